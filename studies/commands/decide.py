"""`--decide`: trains round by round what is still open, until all is decided or the time is spent, then reports."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.command_line import DONE, FAILED, INTERRUPTED
from core.words import visible
from reports.decide import HOPE, Comparison, comparisons, counted_words, next_look
from studies.commands.request import Request, estimated, requested
from studies.commands.train import reported, trained
from studies.durations import duration
from studies.options import Asked
from studies.plan import Plan, begun, plan_file, read_plan
from studies.rounds import counts_in, with_seeds
from studies.screen import screen
from studies.times.budget import costing


@dataclass(frozen=True)
class Round:
    """What is trained next: `plan` has it with what has been trained before. `open_ones` are the comparisons that are
    not decided, each with the seeds of its next look, None where it is not looked at in this round; `lines` say it."""

    plan: Plan
    open_ones: Sequence[tuple[str, int | None]]
    lines: Sequence[str]
    ends: bool = False

    def document(self) -> dict[str, Any]:
        """As `--json` shows it."""
        assert self.plan.decide is not None
        return {
            "looks": list(self.plan.decide.looks),
            "factor": self.plan.decide.margin,
            "open": [{"comparison": name, "next_look": look} for name, look in self.open_ones],
        }


def run(asked: Asked) -> int:
    """Trains and reports; returns the exit code. Raises InputError."""
    began = time.monotonic()
    request, console = requested(asked), screen()
    assert request.wish is not None
    left = request.wish.seconds
    coming = so_far(request)
    for line in coming.lines:
        console.print(visible(line), soft_wrap=True)
    while True:
        ended = trained(request, coming.plan, console)
        if ended.code != DONE:
            break
        if left is not None:
            left = (request.wish.seconds or 0.0) - (time.monotonic() - began)
        coming = next_round(request, left)
        for line in coming.lines:
            console.print(visible(line), soft_wrap=True)
        if coming.ends:
            break
    if asked.no_report or ended.code == INTERRUPTED:
        return ended.code
    return ended.code if reported(ended, console) else FAILED


def coming(request: Request) -> Round:
    """What the command would train first: what is left of the round that was begun, else the next one."""
    first = so_far(request)
    if not_begun(request, first.plan):
        return first
    assert request.wish is not None
    return next_round(request, request.wish.seconds)


def not_begun(request: Request, plan: Plan) -> list[str]:
    """The digests of a plan's runs that have not begun."""
    there = set(begun(plan, request.resources.runs))
    return [variant.job(seed).digest for variant, seed in plan.jobs() if variant.job(seed).digest not in there]


def recorded(request: Request) -> Plan | None:
    """The setting's plan on record, None before its first round."""
    file = plan_file(request.resources.runs, request.plan.study, request.plan.setting)
    return read_plan(file) if file.exists() else None


def so_far(request: Request) -> Round:
    """All that earlier rounds asked for, of this plan's variants; the first round before there is any."""
    plan = request.plan
    assert plan.decide is not None
    counts = counts_in(plan, recorded(request))
    looks = ", ".join(map(str, plan.decide.looks))
    line = f"looks at {looks} seeds; a change is negligible within a factor of {plan.decide.margin:g}"
    return Round(with_seeds(plan, counts), [], [line])


def next_round(request: Request, left: float | None) -> Round:
    """The next seeds of the comparisons that are open: as many of those as fit into the seconds that are left, the most
    likely decided per second first. It `ends` where none is open or none fits."""
    plan = request.plan
    decide = plan.decide
    assert decide is not None
    most = decide.looks[-1]
    counts = counts_in(plan, recorded(request))
    found = comparisons(plan.asked_as, request.resources.runs, plan.setting)
    aside = [each.name for each in found if each.set_aside]
    waiting = {each: look for each in found if (look := next_look(each, decide)) is not None}
    lines = [f"after {max(counts.values())} seeds at most: {counted_words(found)}"]
    if aside:
        lines.append(f"set aside, less than {HOPE:.0%} likely to be decided by {most} seeds: {', '.join(aside)}")
    wanted, taken = fitting(request, counts, waiting, left)
    told = [(each.name, look if each in taken else None) for each, look in waiting.items()]
    names, whole = ", ".join(name for name, _ in told), with_seeds(plan, wanted)
    if not taken:
        if waiting:
            lines.append(f"the time is spent: {len(told)} open: {names}; the same command with more time goes on")
        elif all(each.decided for each in found):
            lines.append("all is decided")
        elif not all(each.decided or each.set_aside for each in found):
            lines.append(f"{most} seeds are the most")
    else:
        seconds = coming_seconds(request, whole)
        how_long = "" if seconds is None else f", about {duration(seconds)}"
        later = f"; {len(told) - len(taken)} open ones do not fit into the time" if len(taken) < len(told) else ""
        lines.append(f"next: {len(taken)} of {len(told)} open comparisons get more seeds{how_long}{later}: {names}")
    return Round(whole, [*told, *((name, None) for name in aside)], lines, ends=not taken)


def fitting(
    request: Request, counts: Mapping[str, int], waiting: Mapping[Comparison, int], left: float | None
) -> tuple[dict[str, int], set[Comparison]]:
    """Which of the comparisons that wait for a look fit into the seconds that are left, the most likely decided per
    second first, and how many seeds each variant then has."""
    plan = request.plan
    by_name = {name: variant.name for variant in plan.variants for name in (variant.name, *variant.aliases)}

    def with_look(before: Mapping[str, int], each: Comparison) -> dict[str, int]:
        arms = (by_name[each.before], by_name[each.after])
        return {**before, **{arm: max(before[arm], waiting[each]) for arm in arms}}

    def per_second(each: Comparison) -> float:
        alone = coming_seconds(request, with_seeds(plan, with_look(counts, each)))
        return each.chance / max(alone or 1.0, 1e-9)

    wanted, taken = dict(counts), set()
    for each in sorted(waiting, key=per_second, reverse=True):
        tried = with_look(wanted, each)
        needed = None if left is None else coming_seconds(request, with_seeds(plan, tried))
        if needed is None or left is None or needed <= left:
            wanted = tried
            taken.add(each)
    return wanted, taken


def coming_seconds(request: Request, plan: Plan) -> float | None:
    """What the plan's runs that have not ended take here; None where nothing says so."""
    resources = request.resources
    cost = costing(
        estimated(plan, resources),
        resources.runs,
        machine=resources.machine,
        workers=resources.workers,
        retry_failed=request.asked.retry_failed,
    )
    return cost(plan)
