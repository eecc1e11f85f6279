"""Each change by itself: all designs in one picture, and a table for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure as Canvas

from ablations.schema import Change, DesignName, Study
from reports import figures, stats
from reports.attribution import Estimate
from reports.commands import planned_designs, train_command
from reports.numbers import MEAN_SPREAD, counted, listed, p_text, short
from reports.page import Block, Heading, Listing, Paragraph, Table
from reports.remarks import g_updates_note, verdict_text
from reports.report import DESIGN_HEADS, PAGE_INCHES, Report, design_title
from reports.results import Results, metric_letters
from reports.rows import Rows, last_values
from reports.verdicts import ChangeEffect


def single_changes(report: Report) -> list[Block]:
    """Add one in, leave one out, and all designs in one picture."""
    results = report.results
    blocks: list[Block] = [Heading("Each change by itself")]
    effects = report.effects
    designs = list(effects)
    tested = {design: [e for e in effects[design] if e.word != "not tested"] for design in designs}
    # Designs that nobody asked for share a run or two with those that were.
    drawn = [design for design in designs if tested[design] and design in planned_designs(results)]
    if any(e.effect is not None and e.effect.ratio is not None for design in drawn for e in effects[design]):
        rows = [
            figures.ForestRow(
                change.title,
                tuple(effects[d][i].effect for d in drawn),
                tuple(forest_word(effects[d][i]) for d in drawn),
            )
            for i, change in enumerate(results.study.changes)
        ]
        groups = forest_groups(results.study.changes)
        with figures.style():
            tall = 0.8 + 0.1 * len(drawn) + (len(rows) + len(groups)) * max(0.3, 0.11 * len(drawn))
            canvas = Canvas(figsize=(figures.WIDTH, min(PAGE_INCHES, tall)), layout="constrained")
            titles = [legend_title(d, results.study, grouped=bool(groups)) for d in drawn]
            figures.forest(canvas.subplots(), rows, titles, groups)
            blocks.append(
                report.figure(
                    canvas,
                    "effects.svg",
                    f"Effect of each change on {metric_letters(results)} per design: the ratio with / without the "
                    "change at the last iteration with its 95% interval (an arrow where it goes on). The shape is the "
                    "design; filled, and blue where it helps or vermilion where it hurts, if it is significant after "
                    "Holm's correction over the design, else grey. The designs answer different questions: they agree "
                    f"only where changes do not interact.{g_updates_note(results)}",
                    "Forest plot of the ratio with its interval for each change in each design; the numbers are in "
                    "the tables.",
                    floats=True,
                )
            )
    # What was not asked for at all is told with the answers above; here once more, with the one command for it.
    absent = [design for design in designs if design != "ladder" and not tested[design]]
    for design in designs:
        if design == "ladder" or design in absent:
            continue
        if tested[design]:
            table = design_table if design in ("add_one_in", "leave_one_out") else estimates_table
            blocks.append(table(results, design, tested[design]))
        if len(tested[design]) < len(effects[design]):
            lacking = f"{len(tested[design])} of {len(effects[design])} changes"
            name = DESIGN_HEADS[design]
            why = "; ".join(dict.fromkeys(e.why for e in effects[design] if e.word == "not tested"))
            blocks += [
                Paragraph(f"{name.capitalize()}: {lacking} tested ({why}). To run the design whole:"),
                Listing(train_command(results, [design])),
            ]
    if absent:
        told = [
            f"{DESIGN_HEADS[design]} ({'; '.join(dict.fromkeys(e.why for e in effects[design]))})" for design in absent
        ]
        blocks += [
            Paragraph(f"No change tested: {listed(told)}. To run {'them' if len(absent) > 1 else 'it'} whole:"),
            Listing(train_command(results, absent)),
        ]
    return blocks


def forest_groups(changes: Sequence[Change]) -> tuple[tuple[int, str], ...]:
    """Headers of a forest whose changes stand on different variants: of those on the base, and of those on what they
    require, each with the row it stands above; none where every change stands on the base.

    Changes with one base have to follow each other, else no header could stand for them.
    """
    titles = {change.name: change.title for change in changes}
    bases = [change.requires for change in changes]
    if not any(bases):
        return ()
    starts = [row for row, base in enumerate(bases) if row == 0 or base != bases[row - 1]]
    return tuple(
        (row, f"added to {' and '.join(titles[name] for name in bases[row])}" if bases[row] else "added to the base")
        for row in starts
    )


def legend_title(design: DesignName, study: Study, *, grouped: bool) -> str:
    """A design as a figure's legend has it; where headers say what each change stands on, without the variant."""
    return DESIGN_HEADS[design] if grouped and design == "add_one_in" else design_title(design, study)


def forest_word(effect: ChangeEffect) -> str:
    """The word at the end of a line of the forest."""
    if effect.effect is not None and effect.effect.diverged:
        return "diverged"
    if effect.word == "not tested":
        return "not run" if effect.effect is None else "no pair"
    return effect.word


def design_table(results: Results, design: DesignName, effects: Sequence[ChangeEffect]) -> Table:
    """One row per change: with and without it, the ratio, the exact p."""
    base = results.title("baseline")
    needed = " and what it requires" if any(e.change.requires for e in effects) else ""
    heads = {
        "add_one_in": (f"without: {base}", "with"),
        "leave_one_out": ("all − change", results.title("all")),
    }[design]
    what = {
        "add_one_in": f"Add one in: each change alone, added to “{base}”{needed}.",
        "leave_one_out": "Leave one out: the effect is all / (all − change), so that below 1 means the change helps, "
        "as in the other designs.",
    }[design]
    rows = Rows(effects)
    rows.words("change", lambda e: e.change.title, 1.5)
    rows.numbers(heads[0], lambda e: last_values(results, e.before), 1.0)
    rows.numbers(heads[1], lambda e: last_values(results, e.after), 1.0)
    rows.numbers("pairs", lambda e: e.effect.n if e.effect else 0)
    rows.numbers("ratio [95%]", lambda e: e.effect)
    rows.numbers("exact p", lambda e: p_text(e.effect.p if e.effect and e.effect.n > 1 else None))
    rows.numbers("t p", lambda e: p_text(e.p))
    rows.numbers("Holm p", lambda e: p_text(e.p_holm))
    rows.words("verdict", verdict_text, 0.85)
    most = max((e.effect.n for e in effects if e.effect is not None), default=0)
    floor = f", never below {stats.smallest_sign_flip_p(most):g} at {counted(most, 'pair')}" if most else ""
    return rows.table(
        f"{what} {metric_letters(results)} at the last iteration, {MEAN_SPREAD}; ratio with / without "
        f"paired by seed; p of no effect by the exact sign-flip test{floor}, by the paired t-test of log-ratios, and "
        "the latter after Holm's correction over the design's changes, which the verdict goes by."
        + g_updates_note(results),
        name=design,
        size=7.8,
    )


def estimates_table(results: Results, design: DesignName, effects: Sequence[ChangeEffect]) -> Table:
    """One row per change of a design that estimates effects from all of its variants."""

    def of_estimate(write: Callable[[Estimate], str]) -> Callable[[ChangeEffect], str | None]:
        return lambda effect: write(effect.estimate) if effect.estimate else None

    def of_value(write: Callable[[stats.ShapleyValue], str]) -> Callable[[ChangeEffect], str | None]:
        return lambda effect: write(effect.estimate.shapley) if effect.estimate and effect.estimate.shapley else None

    rows = Rows(effects)
    rows.words("change", lambda e: e.change.title, 1.5)
    rows.numbers("ratio [95%]", lambda e: e.effect)
    if design == "shapley":
        rows.numbers("share", of_value(lambda value: "–" if value.share is None else f"{value.share:.0%}"))
        rows.numbers("se, orders", of_value(lambda value: short(value.monte_carlo_se)))
        rows.numbers("se, seeds", of_value(lambda value: short(value.seed_se)))
    rows.numbers("se", of_estimate(lambda estimate: short(estimate.se)))
    rows.numbers("df", of_estimate(lambda estimate: short(estimate.df)))
    rows.numbers("p", of_estimate(lambda estimate: p_text(estimate.p)))
    rows.numbers("Holm p", lambda e: p_text(e.p_holm) if e.estimate else None)
    rows.words("verdict", verdict_text, 0.85)
    gone = max((e.estimate.diverged for e in effects if e.estimate is not None), default=0)
    words = {
        "screening": "Screening: main effects of a folded-over Plackett-Burman design, its columns and signs drawn "
        "anew in every seed; estimated once per seed, from all its runs, on the log scale, then Student's t over "
        f"{counted(max((e.effect.n for e in effects if e.effect is not None), default=0), 'seed')}. Interactions of "
        "two changes are kept out of the effects. Those of three and more are not: they add to an effect another "
        "amount in every seed, zero on average, and so widen the interval. An effect's variance between seeds counts "
        f"as at least {stats.LEAST_VARIANCE:g} of the mean of all.",
        "shapley": "Shapley values: the mean step of each change over "
        f"{results.study.permutations} random orders and all seeds; its share of the whole log-ratio; the standard "
        "error of the log from orders alone (more orders shrink it) and from training seeds alone (more seeds do).",
    }
    return rows.table(
        f"{words[design]} {metric_letters(results)} at the last iteration."
        + (f" {counted(gone, 'diverged run')} stand in with the worst value that any run reached." if gone else "")
        + lost_seeds(effects)
        + g_updates_note(results),
        name=design,
        size=7.8,
    )


def lost_seeds(effects: Sequence[ChangeEffect]) -> str:
    """What missing runs do to a screening: nothing where all ended."""
    screened = next((e.estimate.screened for e in effects if e.estimate and e.estimate.screened), None)
    if screened is None:
        return ""
    told = ""
    if screened.left_out:
        told += f" {counted(screened.left_out, 'seed')} left out: too few of the runs ended to tell the changes apart."
    if screened.missing:
        told += (
            f" {counted(screened.missing, 'run')} of the {screened.seeds} seeds missing: least squares on the others, "
            "in which interactions of two changes are no longer kept out."
        )
    return told
