"""Whether seconds of training may stand for cost: only where the machine's load did not make them."""

from __future__ import annotations

from collections.abc import Sequence

from reports import stats
from reports.results import Results
from studies.plan import PlannedVariant


def finished_seconds(results: Results, variant: PlannedVariant) -> list[float]:
    """Seconds of training of a variant's finished runs."""
    rows = results.jobs[(results.jobs["variant"] == variant.name) & (results.jobs["status"] == "finished")]
    return [float(value) for value in rows["seconds"]]


def why_left_out(results: Results, variants: Sequence[PlannedVariant]) -> str:
    """Why seconds of these variants are not shown, as the end of a sentence; empty where they may be.

    Runs of one variant do the same work, so that what their seconds differ by is the machine's. Seconds are shown where
    within every variant their coefficient of variation over seeds is below `stats.STEADY`. A variant of which no run
    has finished has no seconds, and does not count; one with a single run says nothing of the scatter.
    """
    arms = [found for variant in variants if (found := finished_seconds(results, variant))]
    if not arms:
        return "no run has finished"
    varies = stats.largest_variation(arms)
    if varies is None:
        return "a variant has a single finished run, so that nothing says how far the machine's load moved them"
    if varies >= stats.STEADY:
        return (
            f"runs of one variant, which do the same work, differ by up to {varies:.0%} (coefficient of variation; "
            f"{stats.STEADY:.0%} is the most that is shown): they measure the machine's load"
        )
    return ""
