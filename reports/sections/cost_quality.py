"""Cost against quality: what each variant's training computes, and what it gains by that."""

from __future__ import annotations

from functools import partial
from statistics import fmean

from ablations.answers import FrontierAnswer
from reports import dense
from reports.finding_of_frontier import Mark, above, bound_of, marks_of, told_apart
from reports.numbers import WORK, factor
from reports.page import Block, Heading, Paragraph, Strong
from reports.report import Report
from reports.results import Results, metric_letters, when
from reports.seconds import finished_seconds, left_out, why_left_out
from reports.tables import Rows, to_runs


def series_of(results: Results) -> str | None:
    """The series whose cost is asked for: the answer's, else that of the first claim of a measure of detail."""
    answer = results.study.answer
    if isinstance(answer, FrontierAnswer):
        return answer.series
    claimed = [number.series or "" for claim in results.study.claims for number in claim.numbers]
    return next((series for series in claimed if series.startswith((dense.SCALES, dense.OCTAVES))), None)


def cost_against_quality(report: Report) -> list[Block]:
    """One row for every variant, the cheapest first."""
    results = report.results
    series = series_of(results)
    marks = [] if series is None else marks_of(results, series)
    blocks: list[Block] = [Heading("Cost against quality")]
    if series is None or not any(mark.quality.n for mark in marks if not mark.is_base):
        return [*blocks, Paragraph("No run has measured it yet.")] if marks else []
    unsteady = why_left_out(results)
    rows = Rows(sorted(marks, key=lambda mark: (round(mark.cost, 6), mark.quality.ratio or float("inf"))))
    rows.words("variant", lambda mark: to_runs(results, mark.name, results.title(mark.name), strong=mark.is_base), 2.0)
    rows.numbers("arithmetic", lambda mark: f"{factor(mark.cost)}×")
    base = results.variant("baseline")
    if not unsteady and base is not None and (took := finished_seconds(results, base)):
        rows.numbers("seconds", partial(seconds, results, fmean(took)))
    rows.numbers(f"{dense.head_of(series)} [95%]", lambda mark: "1" if mark.is_base else mark.quality, 1.2)
    rows.numbers(f"{metric_letters(results)} [95%]", lambda mark: "1" if mark.is_base else mark.metric, 1.2)
    rows.numbers("n", lambda mark: mark.quality.n, 0.3)
    rows.words("dominated", lambda mark: dominated(mark, marks), 1.7)
    answer = results.study.answer
    named = f"{dense.head_of(series)} ({series})"
    asked = ""
    if isinstance(answer, FrontierAnswer):
        asked = f" Declared before the first run: a whole interval below {factor(bound_of(results, answer))}."
    return [
        *blocks,
        rows.table(
            f"What training computes, over that of the base, and what it gains: ratios to the base of {named} at the "
            f"last iteration, and of the {metric_letters(results)} {when(results)}, below 1 where it is better, paired "
            "by seed, geometric means with 95% intervals that are not corrected for their number. Dominated is a "
            f"variant by one with no more arithmetic and no larger a mean of {dense.head_of(series)}; “on average” "
            f"where the interval between the two reaches 1.{asked} {WORK}{left_out(unsteady)}",
            name="cost_quality",
            size=7.6,
        ),
    ]


def seconds(results: Results, base: float, mark: Mark) -> str:
    """Its seconds of training over those of the base, means over finished runs."""
    variant = results.variant(mark.name)
    found = [] if variant is None else finished_seconds(results, variant)
    return f"{factor(fmean(found) / base)}×" if found else "–"


def dominated(mark: Mark, marks: list[Mark]) -> str | Strong:
    """By what, or what else is to be said of it."""
    if mark.quality.ratio is None and not mark.is_base:
        return "diverged" if mark.quality.diverged else "no ratio"
    if mark.incoherent:
        return "coherence failed"
    better = above(mark, marks)
    if not better:
        return Strong("no")
    sure = [each for each in better if told_apart(mark, each)]
    return f"by {sure[0].title}" if sure else f"by {better[0].title}, on average"
