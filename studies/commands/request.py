"""What a command on one study comes to: its plan and the resources that it would be trained with, both checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from ablations.schema import Study
from core.arguments import MOST_WORKERS, whole_number
from core.errors import InputError
from core.metrics.identity import INCEPTION_VARIABLE
from core.words import visible
from studies.looks import LOOKS
from studies.options import Asked
from studies.plan import Plan, check_received, designs_in
from studies.rounds import Wish, check_designs, decide_of, parse_decide
from studies.runner.clusters import find_launcher
from studies.runner.resources import PerGpu, Resources, accelerators, resources_of
from studies.runner.searches import check_searches
from studies.runner.tasks import Task, tasks_of
from studies.selection import designs_of, entry_of, plan_of
from studies.stores import use_stores
from studies.times.budget import MOST_SEEDS, costing, fitting, parse_time
from studies.times.estimate import with_estimates

Timed = Callable[[Plan, Resources], list[Task]]
"""The tasks of a plan with the seconds that they are expected to take with these resources."""


@dataclass(frozen=True)
class Request:
    """A study, the plan of it that was asked for, and the resources that it would be trained with.

    `budget` is how a budget chose the plan, as `--json` shows it; empty without one. `wish` is what `--decide` says:
    the plan then has all seeds that it may come to (`studies.commands.decide`).
    """

    asked: Asked
    study: Study
    plan: Plan
    resources: Resources
    budget: Mapping[str, Any]
    wish: Wish | None = None

    @property
    def searches(self) -> bool:
        """Whether the study's searches come first: they do, unless variants are named."""
        return bool(self.study.searches) and not self.asked.only

    def print_budget(self, console: Console) -> None:
        """What the budget chose, and what it left out and why."""
        for line in self.budget.get("said", ()):
            console.print(visible(line), soft_wrap=True)


def estimated(plan: Plan, resources: Resources) -> list[Task]:
    """See `Timed`: by what runs and calibrations on record took."""
    return with_estimates(tasks_of(plan), plan, resources.runs, machine=resources.machine, workers=resources.workers)


def requested(asked: Asked, timed: Timed = estimated) -> Request:
    """What the options come to. Starts nothing and writes nothing, unless `timed` does. Raises InputError."""
    entry = entry_of(asked)
    study = entry.study
    if asked.as_json and not asked.only_looks:
        raise InputError("--json goes with --list, --dry-run, --calibrate or --show-config: add one of them")
    use_stores(queue=asked.queue, tracking=asked.tracking)
    cluster = find_launcher(asked.launcher_name, asked.launcher_file)
    if asked.inception is not None:
        # Workers inherit it.
        os.environ[INCEPTION_VARIABLE] = str(asked.inception.absolute())
    gpus = accelerators() if cluster is None else ("0",) if cluster.accelerated else ()
    if cluster is not None and asked.calibrated:
        raise InputError(f"--calibrate measures this machine, not {asked.launcher_name}: leave out one of them")
    if asked.retune is not None and study.searches:
        raise InputError(f"--retune: {study.name} searches rates itself, and with --trials for longer")
    seconds = _budget_seconds(study, asked)
    if seconds is not None:
        # All that a budget may choose from.
        asked = replace(asked, designs=asked.designs or "all", seeds=asked.seeds or str(MOST_SEEDS))
    wish = _wish(study, asked)
    if wish is not None:
        asked = replace(asked, seeds=asked.seeds or str(LOOKS[-1]))
    check_received(asked.runs)
    plan = plan_of(study, asked, gpus, declared_in=entry.file)
    if wish is not None:
        plan = _to_decide(plan, study, wish)
    check_received(asked.runs, plan)
    resources = resources_of(
        asked.device,
        plan.profile,
        asked.jobs,
        gpus=gpus,
        runs=asked.runs,
        data_path=asked.data_path,
        launcher=asked.launcher_name,
        evaluation=asked.evaluation,
        hang_seconds=60 * asked.hang_minutes,
        cluster=cluster,
        per_gpu=_per_gpu(asked.per_gpu),
    )
    if not asked.only or asked.trials is not None:
        check_searches(study, plan, asked.launcher_name, asked.trials, cluster)
    if seconds is None:
        return Request(asked, study, plan, resources, {}, wish)
    tasks = timed(plan, resources)
    cost = costing(
        tasks, resources.runs, machine=resources.machine, workers=resources.workers, retry_failed=asked.retry_failed
    )
    choice = fitting(study, plan, designs_of(asked.designs, study), seconds, cost)
    budget = {"seconds": seconds, "expected_seconds": choice.seconds, "said": list(choice.lines)}
    return Request(asked, study, choice.plan, resources, budget)


def _budget_seconds(study: Study, asked: Asked) -> float | None:
    if asked.budget is None:
        return None
    seconds = parse_time("--budget", asked.budget)
    if study.searches or asked.retune is not None:
        what = "--retune" if asked.retune is not None else f"the searches of {study.name}"
        raise InputError(f"--budget counts runs of designs, not those of {what}: leave it out")
    if asked.only:
        raise InputError("--budget chooses what is trained: leave out --only, or --budget")
    return seconds


def _wish(study: Study, asked: Asked) -> Wish | None:
    """What `--decide` says, None without it. Raises InputError for what does not go with it."""
    if asked.decide is None:
        return None
    wish = parse_decide(asked.decide)
    others = {"--budget": asked.budget, "--retune": asked.retune, "--only": asked.only or None}
    if given := next((option for option, value in others.items() if value is not None), None):
        raise InputError(f"--decide chooses what is trained: leave out {given}, or --decide")
    if study.searches:
        raise InputError(f"--decide counts seeds of comparisons, and {study.name} searches rates first: leave it out")
    return wish


def _to_decide(plan: Plan, study: Study, wish: Wish) -> Plan:
    if plan.seeds != tuple(range(len(plan.seeds))):
        raise InputError("--decide takes seeds in order, from 0 on: give --seeds N, the most that a variant may have")
    check_designs(designs_in(plan), study)
    return plan.replace(decide=decide_of(wish, study, len(plan.seeds)))


def _per_gpu(text: str | None) -> PerGpu | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        return whole_number(text, 1, MOST_WORKERS)
    except ValueError:
        raise InputError(f"--per-gpu {text}: give a number of workers, or auto") from None
