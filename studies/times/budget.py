"""The designs and seeds of a study that fit a budget of wall time on this machine.

The rule, in this order: the variants that the study's claims compare, always; at least three seeds of them before any
design; then whole designs with those seeds, first the ones that the study declares, then the others that it has, each
where it still fits; then more seeds of everything chosen, up to ten. Runs that exist cost nothing. Where the claims do
not fit with three seeds they are planned with two or one. A study without claims begins with its first design.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ablations.designs import DESIGNS, variant_name
from ablations.schema import DesignName, Study
from core.errors import InputError
from core.folder import RunFolder
from core.machine import Machine
from studies.durations import duration
from studies.plan import Plan, both_seeds, jobs_root
from studies.run_state import to_train
from studies.runner.tasks import Task
from studies.times.costs import makespan
from studies.times.estimate import start_seconds

LEAST_SEEDS = 3
MOST_SEEDS = 10
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

Cost = Callable[[Plan], float | None]
"""Wall seconds of what a plan has to train, None where that is unknown."""


@dataclass(frozen=True)
class Choice:
    """The plan that fits, its cost in seconds, and lines that say what was chosen and what was left out and why."""

    plan: Plan
    seconds: float
    lines: tuple[str, ...]


def parse_time(option: str, text: str) -> float:
    """Seconds of "2h", "30m", "90s", "1.5h" or "1d", which an option was given. Raises InputError."""
    parts = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]+)?)\s*([smhd])", text.strip().lower())
    if parts is None or float(parts[1]) == 0:
        raise InputError(f"{option} {text}: give a time, as in 90s, 30m, 1.5h or 1d")
    return float(parts[1]) * UNITS[parts[2]]


def preference(study: Study, designs: Sequence[DesignName]) -> list[DesignName]:
    """These designs in the order in which a budget takes them: declared ones first, as the study declares them."""
    declared = [design for design in study.designs if design in designs]
    return [*declared, *(design for design in designs if design not in declared)]


def fitting(study: Study, everything: Plan, designs: Sequence[DesignName], budget: float, cost: Cost) -> Choice:
    """The part of `everything` (all that may be trained: these designs, ten seeds) that fits `budget` seconds.

    A design whose time is unknown is left out. Raises InputError where that of the claims is, and where not even one
    seed of them fits.
    """
    order = preference(study, designs)
    first: list[DesignName] = [] if study.claims else order[:1]
    name = f"design {first[0]}" if first else "the claims"

    def seconds(chosen: Collection[DesignName], seeds: int) -> float | None:
        return cost(part(study, everything, chosen, seeds))

    def known(chosen: Collection[DesignName], seeds: int) -> float:
        if (total_seconds := seconds(chosen, seeds)) is None:
            raise InputError("what fits a budget is unknown, measure with --calibrate")
        return total_seconds

    least = min(LEAST_SEEDS, len(everything.seeds))
    seeds = next((n for n in range(least, 0, -1) if known(first, n) <= budget), 0)
    if not seeds:
        raise InputError(
            f"nothing fits --budget {duration(budget)}: {name} with one seed would take {duration(known(first, 1))}"
        )
    chosen, left_out = list(first), []
    for design in order:
        if design in first:
            continue
        whole = seconds([*chosen, design], least)
        if whole is None:
            left_out.append(f"left out: {design}, whose time is unknown, measure with --calibrate")
        elif whole <= budget:
            chosen.append(design)
        else:
            left_out.append(f"left out: {design}, with which {_counted(least)} would take {duration(whole)}")
    while seeds < len(everything.seeds) and (more := seconds(chosen, seeds + 1)) is not None and more <= budget:
        seeds += 1
    if seeds < len(everything.seeds):
        take = "take an unknown time, measure with --calibrate" if more is None else f"would take {duration(more)}"
        left_out.append(f"left out: more than {_counted(seeds)}, {seeds + 1} {take}")
    total = known(chosen, seeds)
    what = ", ".join([*(["the claims' variants"] if study.claims else []), *chosen])
    lines = [f"budget {duration(budget)}: {what} with {_counted(seeds)}, about {duration(total)}"]
    if seeds == 1:
        lines.append("one seed is an anecdote: it has no spread, and no claim can be judged")
    elif seeds <= LEAST_SEEDS:
        lines.append(f"{seeds} seeds are a pilot: intervals are wide, and only large effects show")
    return Choice(part(study, everything, chosen, seeds), total, (*lines, *left_out))


def costing(tasks: Sequence[Task], runs: Path, *, machine: Machine, workers: int, retry_failed: bool = False) -> Cost:
    """The cost of any plan made of these tasks, by their expected seconds: of what it has yet to train."""
    pending = {
        (task.variant, task.seed): task
        for task in tasks
        if to_train(RunFolder(jobs_root(runs), task.digest).state(), retry_failed)
    }
    start = start_seconds(runs, machine=machine, workers=workers) or 0.0

    def cost(plan: Plan) -> float | None:
        places = ((variant.name, seed) for variant, seed in plan.jobs())
        seconds = [pending[place].expected_seconds for place in places if place in pending]
        known = [each for each in seconds if each is not None]
        return makespan(known, workers, start=start) if len(known) == len(seconds) else None

    return cost


def part(study: Study, everything: Plan, designs: Collection[DesignName], seeds: int) -> Plan:
    """The variants of these designs and of the claims, with the first `seeds` seeds."""
    first = everything.seeds[:seeds]
    seeds_of: dict[str, tuple[int, ...] | None] = {name: None for claim in study.claims for name in claim.variants}
    for design in designs:
        for subset, trained in DESIGNS[design](study, first).items():
            name = variant_name(study, subset)
            seeds_of[name] = both_seeds(seeds_of.get(name, ()), trained)
    variants = []
    for variant in everything.variants:
        names = seeds_of.keys() & {variant.name, *variant.aliases}
        if names:
            places = {design: place for design, place in variant.designs.items() if design in designs}
            own: tuple[int, ...] | None = ()
            for name in names:
                own = both_seeds(own, seeds_of[name])
            variants.append(variant.replace(designs=places, seeds=own))
    return everything.replace(variants=tuple(variants), seeds=first)


def _counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"
