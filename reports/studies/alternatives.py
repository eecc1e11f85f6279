"""The report of a study whose changes exclude each other: every combination of the alternatives, best first."""

from __future__ import annotations

from functools import partial

from reports import pictures, sections
from reports.abstract import change_answers
from reports.numbers import MEAN_SPREAD, counted, interval
from reports.page import Block, Heading, Strong, Text
from reports.report import Report, best_variants, composed
from reports.results import Results, metric_letters, metric_name, when
from reports.tables import Rows, last_values
from reports.verdicts import compare, side_of_one
from studies.plan import PlannedVariant


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    parts = (
        sections.question,
        sections.claims,
        combinations,
        sections.single_changes,
        sections.spread,
        sections.learning_curves,
        pictures.samples,
        pictures.between_latents,
        sections.method,
    )
    return composed(report, parts)


def answers(report: Report) -> list[Text]:
    """The best combination against the base, and what each alternative does alone."""
    results = report.results
    ranked = best_variants(results)
    if len(ranked) < 2:
        return change_answers(report)
    best = ranked[0]
    text = f" “{best.title}” is the best of {len(ranked)} that ended in all seeds"
    if best.name == "baseline":
        text += ", and it is the base."
    else:
        ratio = compare(results, "baseline", best.name)
        text += f"; over the base it has the ratio {interval(ratio)}" if ratio is not None else ""
        resolved = ratio is not None and side_of_one(ratio) != "unresolved"
        text += f", which {'is' if resolved else 'is not'} told from 1 before any correction." if ratio else "."
    picked = " Exploratory: it was picked as the best on these seeds, so its advantage is overstated."
    return [(Strong("Best combination:"), text + picked), *change_answers(report)]


def combinations(report: Report) -> list[Block]:
    """Every variant with what it has of each group, those that ended in all seeds by their mean, then the others."""
    results = report.results
    ranked = best_variants(results)
    rest = [variant for variant in results.plan.variants if variant not in ranked]
    if len(ranked) + len(rest) < 2:
        return []
    rows = Rows([*ranked, *rest])
    for group in results.study.groups:
        rows.words(group.replace("_", " "), partial(alternative_of, results, group), 1.2)
    rows.numbers(
        metric_letters(results),
        lambda variant: last_values(results, variant.name, strong=variant in ranked[:1]),
        1.2,
    )
    rows.numbers(
        "over the base [95%]",
        lambda variant: compare(results, "baseline", variant.name) if variant.name != "baseline" else "1",
        1.2,
    )
    ended = sum(results.ends(variant.name).n > 0 for variant in results.plan.variants)
    caption = (
        f"{metric_name(results)} {when(results)}, {MEAN_SPREAD}, of {counted(ended, 'combination')} with runs "
        "that ended: those that ended in all seeds first, by their mean, then unstable, diverged and unfinished ones. "
        "Ratios are paired by seed, with Student-t intervals on the log scale that are not corrected for the number of "
        "rows: the order is a description, the verdicts stand below. “–” is what the base has."
    )
    return [Heading("Every combination"), rows.table(caption, name="combinations", size=7.8)]


def alternative_of(results: Results, group: str, variant: PlannedVariant) -> str:
    """The title of what a variant has of a group."""
    titles = {change.name: change.title for change in results.study.changes}
    return next((titles[name] for name in results.study.groups[group] if name in variant.changes), "–")
