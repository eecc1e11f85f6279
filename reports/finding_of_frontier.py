"""The finding of a study that asks what a gain costs, in words; and its variants with cost and gain, for figure and
table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ablations.answers import FrontierAnswer
from core.arithmetic import training
from reports import dense, stats
from reports.comparability import MixedProtocols
from reports.numbers import MOST_WORDS, counted, factor, interval, listed
from reports.report import Report
from reports.results import Results, metric_letters
from studies.plan import PlannedVariant

ALIKE = 1e-6
"""Relative: arithmetic that differs by no more is the same."""


@dataclass(frozen=True)
class Mark:
    """A variant with the arithmetic of its training over that of the base, and its values per seed: of the series, of
    the metric. `quality` and `metric` are their ratios to the base's, which itself has 1."""

    name: str
    title: str
    cost: float
    values: NDArray[np.float64]
    quality: stats.Effect
    metric: stats.Effect
    agreement: dense.Coherence | None = None

    @property
    def is_base(self) -> bool:
        """Whether it is what all others are compared with."""
        return self.name == "baseline"

    @property
    def incoherent(self) -> bool:
        """Whether it shows another picture between its pixels, whatever its distances say."""
        return self.agreement is not None and self.agreement.word == "fails"


Ratio = Callable[[Mark], float | None]


def by_quality(mark: Mark) -> float | None:
    """Its ratio of the series."""
    return mark.quality.ratio


def by_metric(mark: Mark) -> float | None:
    """Its ratio of the metric."""
    return mark.metric.ratio


def marks_of(results: Results, series: str) -> list[Mark]:
    """The study's variants in order; nothing where the base is not planned. Raises MixedProtocols."""
    base = results.variant("baseline")
    if base is None:
        return []
    work = float(training(base.config))
    first = results.worst_where_diverged(base, series), results.last(base)

    def mark(variant: PlannedVariant) -> Mark:
        values = results.worst_where_diverged(variant, series)
        return Mark(
            variant.name,
            results.brief(variant),
            training(variant.config) / work,
            values,
            stats.paired_effect(first[0], values),
            stats.paired_effect(first[1], results.last(variant)),
            dense.coherence(results, variant),
        )

    return [mark(variant) for variant in results.plan.listed]


def no_more(one: Mark, other: Mark) -> bool:
    """Whether the one costs no more than the other."""
    return one.cost <= other.cost * (1 + ALIKE)


def above(mark: Mark, marks: Sequence[Mark], ratio: Ratio = by_quality) -> list[Mark]:
    """The variants that dominate this one by their means: no more arithmetic, no larger a ratio, less of one of them.
    What has no ratio or failed coherence dominates nothing."""
    mine = ratio(mark)
    if mine is None:
        return []
    found = []
    for each in marks:
        theirs = None if each.incoherent else ratio(each)
        if theirs is None or theirs > mine or not no_more(each, mark):
            continue
        if theirs < mine or not no_more(mark, each):
            found.append(each)
    return sorted(found, key=lambda each: ratio(each) or 0.0)


def frontier(marks: Sequence[Mark], ratio: Ratio = by_quality) -> list[Mark]:
    """What nothing dominates, from the cheapest on."""
    sound = [mark for mark in marks if ratio(mark) is not None and not mark.incoherent]
    kept = [mark for mark in sound if not above(mark, sound, ratio)]
    return sorted(kept, key=lambda mark: (mark.cost, ratio(mark) or 0.0))


def told_apart(mark: Mark, better: Mark) -> bool:
    """Whether the interval of one variant's values over another's, paired by seed, lies below 1."""
    effect = stats.paired_effect(mark.values, better.values)
    return effect.high is not None and effect.high < 1


# --- in words ---------------------------------------------------------------------------------------------------------


def bound_of(results: Results, answer: FrontierAnswer) -> float:
    """The ratio below which an interval has to lie, by the claim."""
    claim = next(claim for claim in results.study.claims if claim.name == answer.claim)
    return 1 / (claim.margin or 1.0)


def reaches(mark: Mark, bound: float) -> bool:
    """Whether the whole interval lies below it, of a variant that shows one picture."""
    return not mark.is_base and not mark.incoherent and mark.quality.high is not None and mark.quality.high < bound


def of_frontier(report: Report, answer: FrontierAnswer) -> list[str]:
    """The finding as sentences, the first of `MOST_WORDS` words at most; nothing where no run has measured it."""
    try:
        marks = marks_of(report.results, answer.series)
    except MixedProtocols:  # The figure says so.
        return []
    forms = [mark for mark in marks if not mark.is_base and mark.quality.n]
    if not forms:
        return []
    bound = bound_of(report.results, answer)
    known = [mark for mark in forms if mark.quality.ratio is not None]
    sound = [mark for mark in known if not mark.incoherent]
    if not sound:
        return [f"No form has a coherent picture and a ratio to the base (n = {report.n}).", *failed(forms)]
    below = [mark for mark in sound if reaches(mark, bound)]
    if below:
        told = min(below, key=lambda mark: (round(mark.cost, 6), mark.quality.ratio))
        found = [cheapest(told, answer.title, bound)]
    else:
        told = min(sound, key=lambda mark: mark.quality.ratio or np.inf)
        found = [none_below(told, answer.title, bound)]
    found.append(costs(told, report.results))
    if len(sound) > 1:
        picked = f"picked among {counted(len(sound), 'form')} on these seeds, by intervals that are not corrected"
        found.append(f"It was {picked}, so its ratio flatters it.")
    names = [mark.title for mark in frontier(marks)]
    return [*found, f"Undominated by the means: {'; '.join(names)}.", *failed(forms)]


def first_that_fits(*forms: str) -> str:
    """The first of some sentences that is short enough, the last one where none is."""
    return next((form for form in forms if len(form.split()) <= MOST_WORDS), forms[-1])


def cheapest(mark: Mark, what: str, bound: float) -> str:
    """The sentence of the cheapest variant whose interval lies below the declared factor."""
    rest = f"below ×{factor(bound)}: {mark.title}, ×{interval(mark.quality)} (n = {mark.quality.n})."
    return first_that_fits(
        f"Cheapest with its {what} {rest}",
        f"Cheapest {rest}",
        f"Cheapest below ×{factor(bound)}: {mark.title} (n = {mark.quality.n}).",
    )


def none_below(mark: Mark, what: str, bound: float) -> str:
    """The sentence where no interval lies below it."""
    rest = f"{mark.title}, ×{interval(mark.quality)} (n = {mark.quality.n})."
    return first_that_fits(
        f"No interval of the {what} lies below ×{factor(bound)}; least: {rest}",
        f"No interval lies below ×{factor(bound)}; least: {rest}",
        f"None below ×{factor(bound)}; least: {rest}",
        f"No form has its interval below ×{factor(bound)} (n = {mark.quality.n}).",
    )


def costs(mark: Mark, results: Results) -> str:
    """What it costs, and what it does to the metric."""
    metric = ""
    if mark.metric.ratio is not None:
        metric = f"; its {metric_letters(results)} is ×{interval(mark.metric)} of the base's (n = {mark.metric.n})"
    return f"It takes {factor(mark.cost)} times the base's arithmetic of training{metric}."


def failed(forms: Sequence[Mark]) -> list[str]:
    """What does not count, and why, as sentences."""
    said = []
    if bad := [f"{m.title} ({m.agreement.words})" for m in forms if m.agreement is not None and m.incoherent]:
        said.append(f"Coherence failed, below {dense.COHERENT:g} dB: {'; '.join(bad)}.")
    if gone := [m.title for m in forms if m.quality.diverged_after]:
        said.append(f"A run diverged of {listed(gone)}.")
    return said
