"""The searches of a study: what may be asked of them, what they have recorded, and what they chose.

Loads optuna where a search has to run, or has a journal to go on with.
"""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from ablations.schema import Study
from core.errors import InputError
from core.files import check_folder
from core.words import visible
from studies.durations import span
from studies.plan import Plan, SearchChoice, journal_file
from studies.planning import with_searched
from studies.runner.clusters import HERE, Cluster
from studies.runner.preflight import check_queue_file
from studies.runner.resources import Resources
from studies.search_records import ENDED, Sweep, baseline_of, choice_of, key_of, read_sweep, recorded_as, values_line
from studies.stores import queue_url


class SearchGaveUp(RuntimeError):
    """A search that chose nothing; the message is one line."""


def check_searches(
    study: Study, plan: Plan, launcher_name: str, trials: int | None, cluster: Cluster | None = None
) -> None:
    """Raises InputError for what cannot be asked of this study's searches."""
    if not study.searches:
        if trials is not None:
            raise InputError(f"--trials: {study.name} searches nothing")
        return
    if cluster is None and launcher_name not in HERE:
        raise InputError(f"--launcher {launcher_name}: searches run with {' or '.join(HERE)}")
    taken = {search.seed for search in study.searches} & set(plan.seeds)
    if taken:
        raise InputError(f"--seeds: {min(taken)} is the seed that searches choose by, judge by others")
    baseline_of(plan)


def recorded(study: Study, plan: Plan, runs: Path) -> dict[str, Sweep]:
    """The records of this study's searches in this setting, by name, those of the same base and ranges."""
    base = baseline_of(plan).config
    sweeps = {}
    for search in study.searches:
        sweep = read_sweep(runs, plan.study, plan.setting, search.name)
        if sweep is not None and sweep.key == key_of(search, base):
            sweeps[search.name] = sweep
    return sweeps


def check_recorded(study: Study, plan: Plan, runs: Path, trials: int | None) -> None:
    """Raises InputError where the trials of searches that are to go on cannot be gone on with. Writes nothing."""
    check_folder(runs / "sweeps")
    there = recorded(study, plan, runs)
    base, journal = baseline_of(plan).config, journal_file(runs, plan.study, plan.setting)
    for search in study.searches:
        if search.name not in there or len(there[search.name].ended) < (trials or search.trials):
            check_queue_file(journal, recorded_as(search, base), [parameter.path for parameter in search.parameters])


def searched(
    study: Study,
    plan: Plan,
    resources: Resources,
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
    check_recorded(study, plan, resources.runs, trials)
    there = recorded(study, plan, resources.runs)
    chosen: list[SearchChoice] = []
    for search in study.searches:
        budget = trials or search.trials
        sweep = there.get(search.name)
        if sweep is None or len(sweep.ended) < budget:
            prepare()
            from studies.runner.search_run import run_search

            start = next((choice.values for choice in chosen if choice.search == search.begins_at), {})
            say_line = partial(say, console)
            sweep = run_search(search, plan, resources, start=start, budget=budget, stop=stop, say=say_line)
        if stop():
            return None
        if len(sweep.ended) < budget:
            raise SearchGaveUp(f"search {search.name} gave up: {_how_they_ended(sweep)}; logs are in the run folders")
        choice = choice_of(sweep)
        if choice is None:
            raise SearchGaveUp(f"search {search.name}: no trial came to a result, {_how_they_ended(sweep)}")
        say(console, f"{search.name}: best of {choice.trials} trials is {values_line(choice.values)}")
        chosen.append(choice)
    if chosen and (hint := dashboard_command(plan, resources.runs)):
        say(console, f"trials: {hint}")
    return with_searched(plan, study, chosen)


def dashboard_command(plan: Plan, runs: Path) -> str | None:
    """What shows the trials in a browser; None where optuna-dashboard is not installed, or they are in a database.

    A database's URL may have a password, which has no place in a command.
    """
    if queue_url() is not None or importlib.util.find_spec("optuna_dashboard") is None:
        return None
    return shlex.join(["optuna-dashboard", str(journal_file(runs, plan.study, plan.setting))])


def _how_they_ended(sweep: Sweep) -> str:
    counts = {state: sum(trial.state == state for trial in sweep.trials) for state in (*ENDED, "failed")}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none ended"


def say(console: Console, line: str) -> None:
    """One line for people, whatever signs it has."""
    console.print(Text(visible(line)), soft_wrap=True, highlight=False)


def search_documents(
    study: Study, plan: Plan, seconds: float | None, *, resources: Resources, trials: int | None
) -> list[dict[str, Any]]:
    """What a dry run says of searches, as plain data: what they seek, the trials there are, how long the rest goes.

    `seconds` is what a run of the baseline takes; trials that are given up take less: `most_seconds` is a bound.
    """
    there, base = recorded(study, plan, resources.runs), baseline_of(plan).config
    documents = []
    for search in study.searches:
        budget = trials or search.trials
        sweep = there.get(search.name)
        to_go = max(0, budget - (len(sweep.ended) if sweep else 0))
        most = 0.0 if to_go == 0 else None if seconds is None else -(-to_go // resources.workers) * seconds
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
                "left": to_go,
                "most_seconds": most,
                "parameters": parameters,
            }
        )
    return documents


def print_searches(
    study: Study, plan: Plan, seconds: float | None, *, resources: Resources, trials: int | None, console: Console
) -> None:
    """The same as lines for people."""
    for search in search_documents(study, plan, seconds, resources=resources, trials=trials):
        most = search["most_seconds"]
        time_left = "an unknown time" if most is None else f"at most about {span(most)}" if most else "no time"
        say(
            console,
            f"search {search['name']} ({search['title']}), before the runs: {search['trials']} trials on seed "
            f"{search['seed']}, {search['left']} to train, {time_left}; then {search['variant']} with "
            f"{len(plan.seeds)} seeds",
        )
        for parameter in search["parameters"]:
            scale = ", log scale" if parameter["log"] else ""
            ends = f"from {parameter['low']:g} to {parameter['high']:g}{scale}"
            say(console, f"    {parameter['path']} {ends}: {parameter['why']}")
