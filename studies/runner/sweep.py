"""Runs the searches of a study: workers that ask Optuna for a trial, train it, and tell how it went.

`python -m studies.runner.sweep ORDER NAME` is a worker, which the launchers start as they do those of a queue.
"""

from __future__ import annotations

import importlib
import importlib.util
import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click
from pydantic import Field
from rich.console import Console
from rich.text import Text

from ablations.schema import Study
from ablations.search import Search
from core.config import AnyConfig
from core.errors import InputError
from core.files import check_folder
from core.locks import FileLock
from core.reading import model_of
from core.words import visible
from studies.click_life import Command
from studies.plan import Plan, Searched, journal_file, with_searched
from studies.runner.heartbeat import Heart
from studies.runner.launchers import launcher
from studies.runner.launchers.declared import Cluster
from studies.runner.place import Place
from studies.runner.stores import Unreachable
from studies.runner.training import GivenUp, TrainingOrder, train_claim
from studies.stores import queue_url
from studies.sweeps import (
    ENDED,
    Sweep,
    Trial,
    baseline_of,
    choice_of,
    key_of,
    read_sweep,
    write_sweep,
)

if TYPE_CHECKING:
    from studies.runner.order import Claim
    from studies.runner.trials import Trials

FAILURES = 3
"""So many failed trials in one command end a search: the next ones would fail as well."""

LAUNCHED_BY = ("inline", "local")
LOOK_SECONDS = 1.0


class SearchGaveUp(RuntimeError):
    """A search that chose nothing; the message is one line."""


class SearchOrder(TrainingOrder):
    """All that the workers of a search need to know."""

    module: ClassVar[str] = "studies.runner.sweep"

    search: Search
    base: AnyConfig
    start: dict[str, float] = Field(default_factory=dict)
    trials: int
    failures: int

    @property
    def digests(self) -> list[str]:
        """None: trials are made up as they are claimed."""
        return []

    def queue(self) -> Trials:
        """The trials that workers share."""
        from studies.runner.trials import Trials

        return Trials(
            self.runs,
            self.study,
            self.setting,
            self.search,
            self.base,
            start=self.start,
            budget=self.trials,
            failures=self.failures,
            hang_seconds=self.hang_seconds,
        )

    def called(self, claim: Claim) -> str:
        """What people call a claimed trial."""
        return f"{self.search.name} trial {claim.number}"

    def work(self, name: str, *, stop: Callable[[], bool], each: Callable[[], None]) -> None:
        """Trains trials as worker `name` until none can be claimed or `stop()`; calls `each` after every event.

        Raises InputError, the trial left to another worker, where the environment or the data cannot do it.
        """
        trainer = importlib.import_module(self.trainer)
        trials = self.queue()
        lock = trials.worker_lock(name)
        try:
            with FileLock(lock), Heart(lock) as heart:
                stop = heart.beating(stop)

                def passed() -> None:
                    heart.beat()
                    each()

                while not stop():
                    claim = trials.claim(name)
                    if claim is None:
                        return
                    try:
                        _train(self, trials, claim, stop, passed)
                    except trainer.JobTaken:
                        heart.beat(now=True)  # Who was taken for dead has nothing to give back.
                        # Another search may begin at the same config: the trial is told once that one is done.
                        trials.release(claim, again=True)
        finally:
            lock.unlink(missing_ok=True)


def _train(
    order: SearchOrder, trials: Trials, claim: Claim, stop: Callable[[], bool], each: Callable[[], None]
) -> None:
    def follow(event: Any) -> None:
        each()
        # Where the trials are out of reach the training goes on, and its next evaluation reports this one too.
        if event.kind == "evaluated":
            with suppress(Unreachable), trials.at_once():
                trials.report(claim)
                if trials.hopeless(claim):
                    trials.prune(claim)
                    raise GivenUp

    train_claim(order, trials, claim, trials.job(claim), stop=stop, each=follow)


# --- the searches of a study ------------------------------------------------------------------------------------------


def check_searches(
    study: Study, plan: Plan, launcher_name: str, trials: int | None, cluster: Cluster | None = None
) -> None:
    """Raises InputError for what cannot be asked of this study's searches."""
    if not study.searches:
        if trials is not None:
            raise InputError(f"--trials: {study.name} searches nothing")
        return
    if cluster is None and launcher_name not in LAUNCHED_BY:
        raise InputError(f"--launcher {launcher_name}: searches run with {' or '.join(LAUNCHED_BY)}")
    taken = {search.seed for search in study.searches} & set(plan.seeds)
    if taken:
        raise InputError(f"--seeds: {min(taken)} is the seed that searches choose by, judge by others")
    baseline_of(plan)


def recorded(study: Study, plan: Plan, runs: Path) -> dict[str, Sweep]:
    """The records of this study's searches in this setting, by name, those of the same base and ranges."""
    base = baseline_of(plan).config
    found = {
        search.name: (search, read_sweep(runs, plan.study, plan.setting, search.name)) for search in study.searches
    }
    return {name: sweep for name, (search, sweep) in found.items() if sweep and sweep.key == key_of(search, base)}


def check_recorded(study: Study, plan: Plan, runs: Path, trials: int | None) -> None:
    """Raises InputError where the trials of searches that are to go on cannot be gone on with. Writes nothing."""
    check_folder(runs / "sweeps")
    there = recorded(study, plan, runs)
    going_on = [s for s in study.searches if s.name not in there or len(there[s.name].ended) < (trials or s.trials)]
    if going_on and queue_url() is None and journal_file(runs, plan.study, plan.setting).exists():
        # Loads optuna, for those alone who have trials.
        from studies.runner.trials import check_trials

        for search in going_on:
            check_trials(runs, plan.study, plan.setting, search, baseline_of(plan).config)


def searched(
    study: Study,
    plan: Plan,
    place: Place,
    *,
    trials: int | None,
    stop: Callable[[], bool],
    prepare: Callable[[], None],
    console: Console,
) -> Plan | None:
    """Runs the searches one after the other and returns the plan with what they chose; None once `stop()` was true.

    A search that has its trials is not run again. `prepare` is called before one that is. Raises `SearchGaveUp`, and
    what launchers raise.
    """
    check_recorded(study, plan, place.runs, trials)
    there = recorded(study, plan, place.runs)
    chosen: list[Searched] = []
    for search in study.searches:
        budget = trials or search.trials
        sweep = there.get(search.name)
        if sweep is None or len(sweep.ended) < budget:
            prepare()
            start = next((choice.values for choice in chosen if choice.search == search.begins_at), {})
            sweep = _searched(search, plan, place, start, budget, stop, console)
        if stop():
            return None
        choice = choice_of(sweep)
        if choice is None:
            raise SearchGaveUp(f"search {search.name}: no trial came to a result, {_how_they_ended(sweep)}")
        _say(console, f"{search.name}: best of {choice.trials} trials is {_values(choice.values)}")
        chosen.append(choice)
    if chosen and (hint := dashboard_command(plan, place.runs)):
        _say(console, f"trials: {hint}")
    return with_searched(plan, study, chosen)


def dashboard_command(plan: Plan, runs: Path) -> str | None:
    """What shows the trials in a browser; None where optuna-dashboard is not installed, or they are in a database.

    A database's URL may have a password, which has no place in a command.
    """
    if queue_url() is not None or importlib.util.find_spec("optuna_dashboard") is None:
        return None
    return shlex.join(["optuna-dashboard", str(journal_file(runs, plan.study, plan.setting))])


def _searched(
    search: Search,
    plan: Plan,
    place: Place,
    start: dict[str, float],
    budget: int,
    stop: Callable[[], bool],
    console: Console,
) -> Sweep:
    from studies.runner.importance import importances

    order = SearchOrder(
        study=plan.study,
        setting=plan.setting,
        folder_of_study=plan.folder_of_study,
        search=search,
        base=baseline_of(plan).config,
        start=start,
        trials=budget,
        failures=FAILURES,
        cache=place.runs / "cache",
        detached=place.detached,
        parts_of_gpus=place.parts_of_gpus,
        **place.model_dump(exclude={"launcher", "cluster"}),
    )
    trials = order.queue()
    trials.take_back_lost()
    order = order.replace(failures=FAILURES + trials.failed())
    watch = _Watch(order, console)
    try:
        launcher(place.launcher, place.cluster).run(order, stop=stop, tick=watch.look, say=watch.say)
    finally:
        watch.look(now=True)
    sweep = watch.sweep
    if stop():
        return sweep
    if len(sweep.ended) < budget:
        raise SearchGaveUp(f"search {search.name} gave up: {_how_they_ended(sweep)}; logs are in the run folders")
    sweep = sweep.replace(importances=importances(sweep))
    write_sweep(place.runs, sweep)
    return sweep


class _Watch:
    """Says how trials end and keeps the search's record up to date."""

    def __init__(self, order: SearchOrder, console: Console) -> None:
        self.order, self.console = order, console
        self.trials = order.queue()
        self.sweep = self.trials.sweep()
        self.said = {trial.number for trial in self.sweep.trials if trial.state != "running"}
        self.looked = self.began = time.monotonic()
        left = max(0, order.trials - len(self.sweep.ended))
        self.say(f"search {order.search.name}: {len(self.sweep.ended)} trials ended, {left} to go")

    def say(self, line: str) -> None:
        _say(self.console, f"[{_clock(time.monotonic() - self.began)}] {line}")

    def look(self, now: bool = False) -> None:
        """Takes in what happened, at most once a second unless `now`; while the trials are out of reach it is shown as
        last known."""
        if not now and time.monotonic() - self.looked < LOOK_SECONDS:
            return
        self.looked = time.monotonic()
        with suppress(Unreachable), nullcontext() if now else self.trials.at_once():
            self.sweep = self.trials.sweep()
        new = [trial for trial in self.sweep.trials if trial.state != "running" and trial.number not in self.said]
        for trial in new:
            self.said.add(trial.number)
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
        return f"{trial.state:9} {name}: {value}{mark} ({_values(trial.values)}; {count})"


def _how_they_ended(sweep: Sweep) -> str:
    counts = {state: sum(trial.state == state for trial in sweep.trials) for state in (*ENDED, "failed")}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none ended"


def _values(values: dict[str, float]) -> str:
    return ", ".join(f"{path.removeprefix('optimizers.')} {value:.3g}" for path, value in values.items())


def _say(console: Console, line: str) -> None:
    console.print(Text(visible(line)), soft_wrap=True, highlight=False)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def search_documents(
    study: Study, plan: Plan, seconds: float | None, *, place: Place, trials: int | None
) -> list[dict[str, Any]]:
    """What a dry run says of searches, as plain data: what they seek, the trials there are, how long the rest goes.

    `seconds` is what a run of the baseline takes; trials that are given up take less: `most_seconds` is a bound.
    """
    there, base = recorded(study, plan, place.runs), baseline_of(plan).config
    documents = []
    for search in study.searches:
        budget = trials or search.trials
        sweep = there.get(search.name)
        left = max(0, budget - (len(sweep.ended) if sweep else 0))
        most = 0.0 if left == 0 else None if seconds is None else -(-left // place.workers) * seconds
        parameters = []
        for parameter in search.parameters:
            low, high = parameter.ends(base)
            ends = {"low": low, "high": high, "log": parameter.log, "why": parameter.why}
            parameters.append({"path": parameter.path, **ends})
        documents.append(
            {
                "name": search.name,
                "title": search.title,
                "variant": search.variant,
                "seed": search.seed,
                "trials": budget,
                "left": left,
                "most_seconds": most,
                "parameters": parameters,
            }
        )
    return documents


def print_searches(
    study: Study, plan: Plan, seconds: float | None, *, place: Place, trials: int | None, console: Console
) -> None:
    """The same as lines for people."""
    from studies.times.durations import span

    for search in search_documents(study, plan, seconds, place=place, trials=trials):
        most = search["most_seconds"]
        time_left = "an unknown time" if most is None else f"at most about {span(most)}" if most else "no time"
        _say(
            console,
            f"search {search['name']} ({search['title']}), before the runs: {search['trials']} trials on seed "
            f"{search['seed']}, {search['left']} to train, {time_left}; then {search['variant']} with "
            f"{len(plan.seeds)} seeds",
        )
        for parameter in search["parameters"]:
            scale = ", log scale" if parameter["log"] else ""
            ends = f"from {parameter['low']:g} to {parameter['high']:g}{scale}"
            _say(console, f"    {parameter['path']} {ends}: {parameter['why']}")


@click.command(cls=Command)
@click.argument("order_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("name")
@click.option("--follow-parent", is_flag=True, help="Stop when stdin ends.")
def main(order_file: Path, name: str, follow_parent: bool) -> None:
    """Works off the search in ORDER_FILE as worker NAME."""
    from studies.runner.worker import AGAIN, serve

    serve(model_of(order_file, SearchOrder, AGAIN), name, follow_parent)


if __name__ == "__main__":
    main()
