"""The report of training for pictures of extreme resolution: distance over octaves, and what a step costs."""

from __future__ import annotations

from core.config import Config, FixedScale, Patches
from reports import dense
from reports.abstract import change_answers
from reports.finding_of_frontier import ALIKE
from reports.numbers import factor, listed
from reports.page import Block, Strong, Text
from reports.pictures import between_latents, samples
from reports.report import Report, composed
from reports.sections import claims, fair_arms, how, learning_curves, question, single_changes, spread, which_changes
from reports.sections.cost_quality import cost_against_quality
from reports.sections.octaves import detail_by_octave, floor_of, means_of, step_work, zooms_of
from reports.sections.scales import detail_by_scale


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    parts = (
        question,
        claims,
        detail_by_octave,
        detail_by_scale,
        cost_against_quality,
        which_changes,
        single_changes,
        fair_arms,
        spread,
        learning_curves,
        samples,
        between_latents,
        how,
    )
    return composed(report, parts)


def cost(report: Report) -> list[Text]:
    """What a step with windows of one size costs, by the size of the picture; nothing where fewer than two are planned.

    Counted from configs: it needs no run.
    """
    base = report.results.variant("baseline")
    work: dict[int, float] = {}
    for variant in report.results.plan.listed:
        critics = variant.config.critics if isinstance(variant.config, Config) else ()
        match [critic.view for critic in critics]:
            case [Patches(size=int(size), scale=FixedScale(scale=scale))]:
                work[round(size / scale)] = step_work(variant)
    if base is None or len(work) < 2:
        return []
    sides, least = sorted(work), min(work.values())
    even = max(work.values()) <= least * (1 + ALIKE)
    ratio = f"{factor(least / step_work(base))} times that of whole images alone"
    return [
        (
            Strong("Cost per step:"),
            f" counted arithmetic is the same for windows of pictures of {listed([f'{s:,}' for s in sides])} pixels a "
            f"side, {ratio}."
            if even
            else f" counted arithmetic is not the same at all sizes: it is {ratio} at least.",
        )
    ]


def answers(report: Report) -> list[Text]:
    """What a step costs; at the finest zoom the variant with the least distance, beside the floor; then what each
    change does."""
    results, zooms = report.results, zooms_of(report.results)
    found = [
        (means[0].centre, results.brief(variant))
        for variant in dense.coherent(results)
        if zooms and (means := means_of(results, variant, zooms[-1:]))
    ]
    if not found:
        return [*cost(report), *change_answers(report)]
    (best, title), floor = min(found), floor_of(results, results.plan.listed, zooms[-1:])
    times = f", {best / floor[zooms[-1]]:.0f} times what true windows read" if floor else ""
    told: Text = (
        Strong(f"At 1/{zooms[-1]} of the side:"),
        f" (exploratory) the least distance of windows is {best:.3g}, of “{title}”{times}; picked as the least of "
        f"{len(found)} on these seeds.",
    )
    return [*cost(report), told, *change_answers(report)]
