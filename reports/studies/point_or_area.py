"""The report of points and areas: what each does alone, whether they interact, and what to train on for which use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from reports import dense, stats
from reports import finding as findings
from reports.numbers import interval, sentence
from reports.page import Block, Bullets, Heading, Note, Strong, Text
from reports.pictures import between_latents, samples
from reports.report import Report, composed
from reports.results import Results, metric_letters, when
from reports.sections import claims, fair_arms, how, learning_curves, question, single_changes, spread
from reports.sections.cost_quality import cost_against_quality
from reports.sections.scales import detail_by_scale
from reports.studies.alternatives import combinations
from reports.tables import Rows
from reports.verdicts import side_of_one
from studies.dense import PATCH, TWICE
from studies.point_or_area import FOOTPRINT, POINTS, SEEN, WHOLE, WINDOWS, named

SETTINGS: dict[str, tuple[str, ...]] = {WHOLE: (), WINDOWS: (SEEN,)}
"""How D sees images, and the changes that this takes."""

USES: dict[str | None, str] = {None: "the training size", TWICE: "half of the side", PATCH: "a quarter of the side"}
"""What is measured, and of what; None is the metric of whole images."""


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    parts = (
        question,
        claims,
        interactions,
        uses,
        cost_against_quality,
        detail_by_scale,
        combinations,
        single_changes,
        fair_arms,
        spread,
        learning_curves,
        samples,
        between_latents,
        how,
    )
    return composed(report, parts)


def finding(report: Report) -> list[str]:
    """The interaction by windows of a quarter of the side, then the claims, then what to train on."""
    told = []
    for words, seen in SETTINGS.items():
        found = crossed(report.results, PATCH, seen)
        if found.together.ratio is not None:
            said = SAID[side_of_one(found.together)]
            told.append(sentence(f"{said} {words} (interaction ×{interval(found.together)}, n = {found.together.n})"))
    return [*told, *findings.sentences(report), *(f"For {use} {text}" for use, text in advice(report.results))]


def answers(report: Report) -> list[Text]:
    """For each use what to train on, as far as the seeds tell; it was picked on them."""
    return [(Strong(f"For {use}, exploratory:"), f" {text}") for use, text in advice(report.results)]


# --- interactions -----------------------------------------------------------------------------------------------------

SAID = {
    "above": "Points and footprint together do worse than their single effects would give, on",
    "below": "Points and footprint together do better than their single effects would give, on",
    "unresolved": "Whether points and footprint interact is not resolved on",
}
"""Of an interaction, by where its interval lies. Below 1 a change makes the distance smaller."""


@dataclass(frozen=True)
class Crossed:
    """Two changes and whether one alters what the other does, as paired ratios of one measure: the footprint's effect
    with images of areas and of points, the points' with f at points and with a footprint. `together` is the
    interaction: the second of either pair over the first."""

    footprint: tuple[stats.Effect, stats.Effect]
    points: tuple[stats.Effect, stats.Effect]
    together: stats.Effect


def crossed(results: Results, series: str | None, seen: Sequence[str]) -> Crossed:
    """The four combinations of one setting."""
    plain, points, footprint, both = (
        values_of(results, series, named(*changes, *seen))
        for changes in ((), (POINTS,), (FOOTPRINT,), (POINTS, FOOTPRINT))
    )
    # A run that diverged has no share in a ratio of ratios.
    parts = [np.where(np.isfinite(each), each, np.nan) for each in (plain, points, footprint, both)]
    return Crossed(
        footprint=(stats.paired_effect(plain, footprint), stats.paired_effect(points, both)),
        points=(stats.paired_effect(plain, points), stats.paired_effect(footprint, both)),
        together=stats.paired_effect(parts[2] / parts[0], parts[3] / parts[1]),
    )


def values_of(results: Results, series: str | None, name: str) -> NDArray[np.float64]:
    """A measure per seed, of the metric where none is named."""
    variant = results.variant(name)
    if variant is None:
        return np.full(len(results.plan.seeds), np.nan)
    return results.last(variant) if series is None else results.worst_where_diverged(variant, series)


def interactions(report: Report) -> list[Block]:
    """What each does with and without the other, and the interaction, of every measure in both settings."""
    results = report.results
    found = {(words, s): crossed(results, s, seen) for words, seen in SETTINGS.items() for s in USES}
    if not any(each.together.n for each in found.values()):
        return []
    rows = Rows(found)
    rows.words("D sees", lambda row: Strong(row[0]), 1.3, once=True)
    rows.words("measured", lambda row: head_of(results, row[1]), 1.1)
    rows.numbers("footprint, images of areas", lambda row: found[row].footprint[0])
    rows.numbers("footprint, images of points", lambda row: found[row].footprint[1])
    rows.numbers("points, f at points", lambda row: found[row].points[0])
    rows.numbers("points, f with footprint", lambda row: found[row].points[1])
    rows.numbers("interaction [95%]", lambda row: found[row].together)
    rows.numbers("n", lambda row: found[row].together.n, 0.3)
    caption = (
        f"Ratios paired by seed, below 1 where the distance is smaller: of the metric {when(results)}, of windows at "
        "the last iteration. The interaction is the ratio of two ratios: what the footprint does with images of points "
        "over what it does with images of areas, which is what points do with a footprint over what they do without. "
        "Above 1 each does less good beside the other. Student-t intervals on the log scale, not corrected for the "
        "number of rows; the rows of windows of a quarter of the side were declared before the first run."
    )
    return [Heading("Does one alter what the other does?"), rows.table(caption, name="interactions", size=7.2)]


def head_of(results: Results, series: str | None) -> str:
    """What a column or row of a measure is called."""
    return metric_letters(results) if series is None else dense.head_of(series)


# --- uses -------------------------------------------------------------------------------------------------------------


def uses(report: Report) -> list[Block]:
    """For every use the combination with the least distance, and what is told of it."""
    told = advice(report.results)
    if not told:
        return []
    return [
        Heading("What to train on for which use"),
        Bullets(tuple((Strong(f"For {use}:"), f" {text}") for use, text in told)),
        Note(
            "The least of several is picked on these seeds, so it is flattered; its interval is over the next one and "
            "is not corrected for the choice. A footprint costs arithmetic, which the table of costs has. Distances "
            "are to means over areas at every density."
        ),
    ]


def advice(results: Results) -> list[tuple[str, str]]:
    """Every use with a sentence: the best coherent combination, over the next best and over the base."""
    return [(use, text) for series, use in USES.items() for text in best_of(results, series)]


def best_of(results: Results, series: str | None) -> Iterator[str]:
    """The sentence for one use, where two combinations or more have ended."""
    means = {v.name: stats.log_summary(values_of(results, series, v.name)) for v in dense.coherent(results)}
    ranked = sorted((name for name, found in means.items() if found.mean is not None), key=partial(mean_of, means))
    if len(ranked) < 2:
        return
    best, second = ranked[:2]
    over = partial(ratio, results, series, best)
    told = "told" if side_of_one(over(second)) != "unresolved" else "not told"
    text = f"the least distance has {results.title(best)}"
    text += f" ({means[best].mean:.3g}, n = {means[best].n})"
    text += f"; ×{interval(over(second))} of the next, {results.title(second)}, from which it is {told}"
    if best != "baseline" and second != "baseline" and "baseline" in ranked:
        text += f"; ×{interval(over('baseline'))} of {results.title('baseline')}"
    yield f"{text}."


def mean_of(means: dict[str, stats.LogSummary], name: str) -> float:
    """For sorting."""
    found = means[name].mean
    return np.inf if found is None else found


def ratio(results: Results, series: str | None, name: str, over: str) -> stats.Effect:
    """One combination over another."""
    return stats.paired_effect(values_of(results, series, over), values_of(results, series, name))
