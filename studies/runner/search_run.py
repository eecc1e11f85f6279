"""Runs one search: its workers, what is said of its trials, and its record.

Loads optuna, and scikit-learn for what mattered (`studies.runner.importance`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress

from ablations.search import Search
from studies.durations import clock
from studies.plan import Plan
from studies.runner.importance import importances
from studies.runner.launchers import launch
from studies.runner.outages import Unreachable
from studies.runner.resources import Resources
from studies.runner.sweep import FAILURES, SearchOrder
from studies.search_records import Sweep, Trial, baseline_of, values_line, write_sweep

LOOK_SECONDS = 1.0


def run_search(
    search: Search,
    plan: Plan,
    resources: Resources,
    *,
    start: dict[str, float],
    budget: int,
    stop: Callable[[], bool],
    say: Callable[[str], None],
) -> Sweep:
    """Runs a search until `budget` trials have ended, too many have failed, or `stop()`, and returns its record.

    Where all have ended the record says how much each parameter mattered.
    """
    order = SearchOrder.of(plan, resources, search=search, base=baseline_of(plan).config, start=start, trials=budget)
    trials = order.queue()
    trials.take_back_lost()
    order = order.replace(failures=FAILURES + trials.failed())
    watch = _Watch(order, say)
    try:
        launch(order, stop=stop, tick=watch.look, say=watch.say)
    finally:
        watch.look(now=True)
    sweep = watch.sweep
    if stop() or len(sweep.ended) < budget:
        return sweep
    sweep = sweep.replace(importances=importances(sweep))
    write_sweep(resources.runs, sweep)
    return sweep


class _Watch:
    """Says how trials end and keeps the search's record up to date."""

    def __init__(self, order: SearchOrder, say: Callable[[str], None]) -> None:
        self.order, self._say = order, say
        self.trials = order.queue()
        self.sweep = self.trials.sweep()
        self.shown = {trial.number for trial in self.sweep.trials if trial.state != "running"}
        self.looked = self.began = time.monotonic()
        to_go = max(0, order.trials - len(self.sweep.ended))
        self.say(f"search {order.search.name}: {len(self.sweep.ended)} trials ended, {to_go} to go")

    def say(self, line: str) -> None:
        self._say(f"[{clock(time.monotonic() - self.began)}] {line}")

    def look(self, now: bool = False) -> None:
        """Takes in what happened, at most once a second unless `now`; while the trials are out of reach it is shown as
        last known."""
        if not now and time.monotonic() - self.looked < LOOK_SECONDS:
            return
        self.looked = time.monotonic()
        with suppress(Unreachable), nullcontext() if now else self.trials.at_once():
            self.sweep = self.trials.sweep()
        new = [trial for trial in self.sweep.trials if trial.state != "running" and trial.number not in self.shown]
        for trial in new:
            self.shown.add(trial.number)
            self.say(self._sentence(trial))
        if new or now:
            write_sweep(self.order.runs, self.sweep)

    def _sentence(self, trial: Trial) -> str:
        last = trial.measured[-1] if trial.measured else None
        value = f"{self.sweep.metric} {last[1]:.4g} at iteration {last[0]}" if last else "nothing measured"
        best = self.sweep.best
        mark = ", the best so far" if best is not None and best.number == trial.number else ""
        count = f"{len(self.sweep.ended)}/{self.order.trials}"
        name = f"{self.order.search.name} trial {trial.number}"
        return f"{trial.state:9} {name}: {value}{mark} ({values_line(trial.values)}; {count})"
