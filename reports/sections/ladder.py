"""The ladder: one more change at a time, as a figure and a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas

from core.arithmetic import g_updates, training
from reports import charts, figures, stats
from reports.commands import planned_designs, train_command
from reports.numbers import WORK, factor, fixed_unit, listed, short
from reports.page import Block, Heading, Listing, Paragraph, Strong, Table
from reports.remarks import g_updates_note, ladder_names, peak_words, unstable_rungs_words, verdict_text
from reports.report import Report, rung_label
from reports.results import Results, metric_letters, metric_name, when
from reports.seconds import finished_seconds, left_out, why_left_out
from reports.tables import Cell, Rows, to_runs
from reports.verdicts import ChangeEffect
from studies.plan import PlannedVariant


def ladder_section(report: Report) -> list[Block]:
    """The ladder as a figure and a table."""
    results = report.results
    there = [results.variant(name) for name in ladder_names(results.study)]
    blocks: list[Block] = [Heading("The ladder: one more change at a time")]
    few = sum(variant is not None for variant in there) < 2
    if few or "ladder" not in planned_designs(results):
        return [
            *blocks,
            Paragraph(f"Not run{': fewer than two rungs are in the plan' if few else ''}. To run it:"),
            Listing(train_command(results, ["ladder"])),
        ]
    if unstable := unstable_rungs_words(results):
        blocks.append(Paragraph((Strong("Unstable."), f" {unstable} {UNSTABLE_RULE}")))
    if peak := peak_words(results):
        blocks.append(Paragraph(peak))
    rungs = []
    for rung, variant in enumerate(there):
        if variant is None:
            continue
        word = report.effects["ladder"][rung - 1].word if rung else ""
        shown = "" if word == "not tested" else word
        apart = variant.name in results.unstable
        rungs.append(charts.Rung(rung_label(there, rung, report), results.last(variant), shown, apart))
    with figures.style():
        canvas = Canvas(figsize=(figures.WIDTH, 0.75 + 0.27 * len(rungs)), layout="constrained")
        charts.ladder(canvas.subplots(), rungs, metric_name(results))
        drawn = report.figure(
            canvas,
            "ladder.svg",
            f"The ladder {when(results)}, n = {report.n} at most. Dots are seeds, the upright bar their "
            "geometric mean with its 95% Student-t interval on the log scale (an arrow where it goes on). At the "
            "right the geometric mean; blue with “helps”, vermilion with “hurts” where the ratio to the rung before is "
            "significant, else black. The axis ends where the bulk of the seeds does: a seed of an unstable rung "
            "beyond it is named at the edge. Intervals of two rungs may overlap where the paired ratio is resolved, "
            "and the reverse.",
            f"{metric_letters(results)} of each rung of the ladder, one dot per seed; the same numbers are in the "
            "table below.",
            floats=True,
        )
    return [*blocks, drawn, ladder_table(results, report.effects["ladder"])]


UNSTABLE_RULE = (
    "Which variants are, by a rule fixed after a first ladder had shown such a one: the logs of a variant's "
    f"seeds spread by more than {stats.SPREAD_TIMES:g} times the median of the study's variants, and one seed at least "
    f"is a factor of {stats.AWAY:g} or more from the variant's median. The mean ratio of a step into such a variant or "
    "out of it says little. The step is called unstable, and beside that stands what the exact signed-rank test says "
    "of most seeds; that ranks alone make no verdict there was decided after 20 seeds of changes_overview had been "
    "seen."
)


def shown_iterations(results: Results, most: int = 5) -> list[int]:
    """At most this many of the evaluated iterations before the last, evenly spread."""
    earlier = [i for i in results.evaluated_iterations if i < max(results.iterations, default=0)]
    if len(earlier) <= most:
        return earlier
    return [earlier[round(k)] for k in np.linspace(0, len(earlier) - 1, most)]


def mean_at(results: Results, name: str, iteration: int) -> float | None:
    """Geometric mean over seeds at an iteration, inf once a seed diverged, None where none has it."""
    variant = results.variant(name)
    return stats.log_summary(results.at(variant, iteration)).mean if variant else None


def ladder_table(results: Results, effects: Sequence[ChangeEffect]) -> Table:
    """One row per rung."""
    study = results.study
    names = ladder_names(study)
    variants = [results.variant(name) for name in names]
    planned = [variant for variant in variants if variant is not None]
    ends = [results.ends(name) for name in names]
    iterations = shown_iterations(results)
    unsteady = why_left_out(results)
    unit = fixed_unit([training(variant.config) for variant in planned])

    def of_run(write: Callable[[int, PlannedVariant], Cell]) -> Callable[[int], Cell]:
        def cell(rung: int) -> Cell:
            variant = variants[rung]
            return None if variant is None else write(rung, variant)

        return cell

    rows = Rows(range(len(names)))
    rows.numbers("", str)
    rows.words("change", lambda rung: study.changes[rung - 1].title if rung else results.title(names[0]), 1.0)
    rows.each(iterations, lambda i: f"{i:,}", lambda rung, i: mean_at(results, names[rung], i))
    rows.numbers(
        listed([f"{i:,}" for i in results.iterations]),
        of_run(lambda rung, _: to_runs(results, names[rung], ends[rung].mean, strong=True)),
    )
    rows.numbers("×/÷", lambda rung: factor(ends[rung].factor))
    rows.numbers("n", lambda rung: ends[rung].n)
    rows.numbers("vs. rung before [95%]", of_run(lambda rung, _: effects[rung - 1].effect if rung else ""))
    rows.words(
        "verdict",
        lambda rung: "not run" if variants[rung] is None else verdict_text(effects[rung - 1]) if rung else "",
        0.6,
    )
    rows.numbers(unit.name, of_run(lambda _, variant: unit.write(training(variant.config))))
    if len({g_updates(variant.config) for variant in planned}) > 1:
        rows.numbers("G updates", of_run(lambda _, variant: g_updates(variant.config)))
    if not unsteady:
        rows.numbers("s/run", of_run(lambda _, variant: short(stats.summary(finished_seconds(results, variant)).mean)))
    rows.numbers("div.", of_run(lambda rung, _: ends[rung].diverged))
    return rows.table(
        f"The ladder: geometric mean of {metric_letters(results)} over seeds at each evaluated iteration (its number "
        "heads the column; fewer where there are many), at the last with its geometric standard deviation (×/÷) and n; "
        f"ratio to the rung before, paired by seed; {'arithmetic' if unsteady else 'arithmetic and mean seconds'} of "
        f"training per run; diverged runs (a mean with one is ∞). {WORK}{left_out(unsteady)}{g_updates_note(results)}",
        name="ladder",
        size=7.4,
        measures=[mean_at(results, name, i) for name in names for i in [*iterations, *results.iterations]],
    )
