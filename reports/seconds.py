"""Whether seconds of training may stand for cost: only where the machine's load did not make them."""

from __future__ import annotations

from statistics import fmean

from core.arithmetic import training
from reports import stats
from reports.results import Results
from studies.plan import PlannedVariant


def finished_seconds(results: Results, variant: PlannedVariant) -> list[float]:
    """Seconds of training of a variant's finished runs."""
    rows = results.jobs[(results.jobs["variant"] == variant.name) & (results.jobs["status"] == "finished")]
    return [float(value) for value in rows["seconds"]]


def why_left_out(results: Results) -> str:
    """Why a report shows no seconds, as the end of a sentence; empty where it may: one answer for all of its tables.

    Runs of one variant do the same work, and so do variants of equal arithmetic: what their seconds differ by is the
    machine's. Seconds are shown where both vary by less than `stats.STEADY`, over seeds within every variant (the
    coefficient of variation) and between the means of variants of equal arithmetic. A variant of which no run has
    finished has no seconds, and does not count; one with a single run says nothing of the scatter, and those that seeds
    drew, which have one each, do not count beside others.
    """
    variants = results.plan.listed or results.plan.variants
    arms = {v.name: found for v in variants if (found := finished_seconds(results, v))}
    if not arms:
        return "no run has finished"
    varies = stats.largest_variation(arms.values())
    if varies is None:
        return "a variant has a single finished run, so that nothing says how far the machine's load moved them"
    if varies >= stats.STEADY:
        return (
            f"runs of one variant, which do the same work, differ by up to {varies:.0%} (coefficient of variation; "
            f"{stats.STEADY:.0%} is the most that is shown): they measure the machine's load"
        )
    by_work: dict[float, list[float]] = {}
    for variant in variants:
        if variant.name in arms:
            by_work.setdefault(float(training(variant.config)), []).append(fmean(arms[variant.name]))
    apart = max(max(means) / min(means) for means in by_work.values()) - 1
    if apart >= stats.STEADY:
        return (
            f"variants of equal arithmetic differ by up to {apart:.0%} ({stats.STEADY:.0%} is the most that is shown): "
            "they measure the machine's load"
        )
    return ""


def left_out(unsteady: str) -> str:
    """The sentence that says why seconds are not in a table or a figure; nothing where they are."""
    return f" Seconds are left out: {unsteady}." if unsteady else ""
