"""What each change does: the answer across designs, one picture of all, and a table of each design."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure as Canvas

from ablations.designs import available
from ablations.schema import PILING, Change, DesignName
from reports import charts, figures, stats
from reports.attribution import Estimate
from reports.commands import planned_designs, train_command
from reports.numbers import MEAN_SPREAD, counted, factor, interval, listed, p_text, sentence, short
from reports.page import Block, Bullets, Heading, Listing, Paragraph, Piece, Strong, Table, Text
from reports.remarks import clauses, g_updates_note, rungs_words, verdict_text
from reports.report import DESIGN_HEADS, PAGE_INCHES, Report, design_title
from reports.results import Results, metric_letters, when
from reports.sections.limits import power
from reports.stats.arms import ROUNDING
from reports.tables import Cell, Rows, last_values, to_runs
from reports.verdicts import LEVEL, ChangeEffect
from studies.power import outlying
from studies.spreads import MOST_BORROWED


def which_changes(report: Report) -> list[Block]:
    """The answer in a few lines: what each design resolves, and the few changes that carry the gain."""
    items: list[Text] = []
    for design, effects in report.effects.items():
        name = Strong(sentence(design_title(design, report.results.study)))
        tested = [effect for effect in effects if effect.tested]
        if not tested:
            items.append((name, " Not run."))
            continue
        pieces: list[Piece] = [
            name,
            *(f" {sentence(line)}" for line in clauses(tested, report.results, report.effects)),
        ]
        if design == "ladder" and (rungs := rungs_words(report.results)):
            pieces.append(f" {rungs}")
        if same := [e.change.title for e in effects if e.before and e.why.startswith("both arms")]:
            pieces.append(f" Change nothing at this scale: {'; '.join(same)}.")
        if untested := len(effects) - len(tested):
            pieces.append(f" {untested} not tested.")
        items.append(tuple(pieces))
    title = "Which changes are resolved" if len(report.effects) > 1 else "What each change does"
    blocks: list[Block] = [Heading(title), Bullets(tuple(items)), *carriers(report)]
    planned = {d: effects for d, effects in report.effects.items() if d in planned_designs(report.results)}
    drawn = [table(report.results, planned) for table in (effects_table, company_table)]
    blocks += [table for table in drawn if table is not None]
    return [*blocks, *power(report)]


BEST_FOR_SHARES: tuple[DesignName, ...] = ("shapley", "screening", "leave_one_out", "add_one_in")
"""The designs by how well they say what a change carries: averages over orders first, then over the others."""


def carriers(report: Report, k: int = 3) -> list[Block]:
    """Which `k` changes help most, with a probability, by every design in which as many are resolved.

    Fewer seeds or resolved changes have no ranking that keeps what it says (docs/intervals.md); the ladder never has,
    for its steps are made in different company. A design with a comparison that collapsed has no common spread.
    """
    if not PILING & set(available(report.results.study)):
        return []  # Without a pile of changes there is no gain to share out.
    answers: list[Text] = []
    for design in BEST_FOR_SHARES:
        effects = report.effects.get(design, [])
        measured = rankable(design, effects, report)
        if measured is None or len(effects) <= k or sum(e.resolved for e in effects) < k:
            continue
        best = stats.top_k(measured, k)
        titles = "; ".join(effects[index].change.title for index in best.items)
        others = sorted(((p, i) for i, p in enumerate(best.each) if i not in best.items), reverse=True)[:2]
        rest = ", ".join(f"{effects[i].change.title} {p:.0%}" for p, i in others)
        each = ", ".join(f"{best.each[index]:.0%}" for index in best.items)
        answers.append(
            (
                Strong(f"{DESIGN_HEADS[design].capitalize()}: {titles}."),
                f" These are the {k} most helpful with probability {best.probability:.0%}; each is among the {k} with "
                f"{each}; next are {rest}.",
            )
        )
    if not answers:
        return []
    return [
        Heading(f"The {k} changes that help most, and how sure that is", 2),
        Paragraph(
            f"How often these {k} are the most helpful ones when all effects are drawn many times from what the runs "
            "leave open: shrunk towards each other by how little the changes differ beyond noise, without the errors "
            f"that a design's effects share. Told only from {stats.LEAST_SEEDS} seeds and {k} resolved changes on, "
            "where simulated studies bear it out. The designs that average over the company a change is in come first."
        ),
        Bullets(tuple(answers)),
    ]


def rankable(design: DesignName, effects: list[ChangeEffect], report: Report) -> stats.Measured | None:
    """What a design says of its changes together; None where that is not enough to rank them."""
    results = report.results
    ratios = [e.effect.ratio for e in effects if e.effect and e.effect.ratio is not None and e.word != "unstable"]
    if report.n < stats.LEAST_SEEDS or not effects or len(ratios) < len(effects):
        return None
    estimates = [e.estimate for e in effects if e.estimate is not None]
    if len(estimates) == len(effects):
        errors, dfs = [e.se for e in estimates if e.se], [e.df for e in estimates if e.df is not None]
        whole = len(errors) == len(dfs) == len(effects)
        return stats.measured_each(np.log(ratios), errors, dfs) if whole else None
    pairs = [(results.variant(e.before), results.variant(e.after)) for e in effects]
    arms = [(results.last(before), results.last(after)) for before, after in pairs if before and after]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.array([np.log(after) - np.log(before) for before, after in arms])
    logs = logs[:, np.isfinite(logs).all(axis=0)]
    if len(arms) < len(effects) or logs.shape[1] < stats.LEAST_SEEDS:
        return None
    sds = {e.change.name: float(row.std(ddof=1)) for e, row in zip(effects, logs, strict=True)}
    if max(sds.values()) < ROUNDING or outlying(sds, dict.fromkeys(sds, logs.shape[1] - 1)):
        return None
    return stats.measured_by_seeds(logs.T)


def effects_table(results: Results, effects: Mapping[DesignName, Sequence[ChangeEffect]]) -> Table | None:
    """Each change's effect under each design that was run; None below two designs."""
    shown = [design for design in effects if any(e.effect is not None for e in effects[design])]
    if len(shown) < 2:
        return None

    def cell(row: Sequence[ChangeEffect], design: DesignName) -> Cell:
        effect = row[shown.index(design)]
        text = interval(effect.effect) if effect.effect and effect.effect.ratio else effect.verdict
        text = f"{text} (unstable)" if effect.word == "unstable" else text
        return to_runs(results, effect.after, text, strong=effect.resolved)

    rows = Rows(list(zip(*(effects[design] for design in shown), strict=True)))
    rows.words("change", lambda row: row[0].change.title, 1.0)
    rows.each(shown, lambda design: DESIGN_HEADS[design], cell)
    return rows.table(
        f"Each change under each design: ratio of the {metric_letters(results)} with / without it [95%], below "
        "1 where it helps; bold where it is significant at 5% after Holm's correction over the design; unstable where "
        f"the seeds of one of its two variants lie wildly apart.{g_updates_note(results)}",
        name="effects",
        size=8.0 if len(shown) <= 3 else 6.9,
    )


def company_table(results: Results, effects: Mapping[DesignName, Sequence[ChangeEffect]]) -> Table | None:
    """How much each change's effect depends on what else is there; None where no design says so."""
    shares = effects.get("shapley", ())
    banded = any(e.estimate is not None and e.estimate.shapley is not None for e in shares)
    alone, on_top = (effects.get(design, ()) for design in ("add_one_in", "leave_one_out"))
    synergetic = all(any(e.effect is not None for e in design) for design in (alone, on_top))
    if not banded and not synergetic:
        return None
    synergies = [synergy(results, *pair) for pair in zip(alone, on_top, strict=True)] if synergetic else []

    def band(index: int) -> str:
        value = shares[index].estimate
        shapley = value.shapley if value else None
        return f"{factor(shapley.order_low)} – {factor(shapley.order_high)}" if shapley else "–"

    rows = Rows(range(len(results.study.judged)))
    rows.words("change", lambda index: results.study.judged[index].title, 1.0)
    caption = "Does a change help more on top of the others than alone?"
    if banded:
        rows.numbers("over orders", band)
        caption += (
            f" Over orders: the least and the largest mean step of the change over the {results.study.permutations} "
            "orders of the Shapley design; the ladder is one order of many."
        )
    if synergetic:
        rows.numbers("synergy", lambda index: synergies[index])
        caption += (
            " Synergy: the effect alone over the effect on all others, paired by seed [95%]; above 1 the change helps "
            "more on top of the others than by itself, below 1 it helps less there, or hurts more. These "
            f"{len(synergies)} intervals are not corrected; after Holm's correction {synergies_left(synergies)}."
        )
        if results.profile.rule:
            caption += " Numbers of the profile that were chosen in one company favour it there."
    return rows.table(caption, name="company", size=7.8)


def synergies_left(effects: Sequence[stats.Effect | None]) -> str:
    """How many of these effects are significant after Holm's correction, as the end of a sentence."""
    kept = sum(p is not None and p <= LEVEL for p in stats.holm_t(effects))
    return "none is significant" if not kept else f"{kept} {'is' if kept == 1 else 'are'} significant"


def synergy(results: Results, alone: ChangeEffect, on_top: ChangeEffect) -> stats.Effect | None:
    """The ratio of a change's effect alone to that on all others, paired by seed; None where an arm is missing."""
    arms = [results.variant(name) for name in (on_top.before, on_top.after, alone.before, alone.after)]
    if any(arm is None for arm in arms):
        return None
    without_top, with_top, without, with_it = (results.last(arm) for arm in arms if arm is not None)
    with np.errstate(invalid="ignore"):
        return stats.paired_effect(with_top / without_top, with_it / without)


def single_changes(report: Report) -> list[Block]:
    """Add one in, leave one out, and all designs in one picture."""
    results = report.results
    blocks: list[Block] = [Heading("Each change by itself")]
    effects = report.effects
    tested = {design: [e for e in effects[design] if e.tested] for design in effects}
    lacking = {design: "; ".join(dict.fromkeys(e.why for e in effects[design] if not e.tested)) for design in effects}
    # Designs that nobody asked for share a run or two with those that were.
    drawn = [design for design in effects if tested[design] and design in planned_designs(results)]
    if any(e.effect is not None and e.effect.ratio is not None for design in drawn for e in effects[design]):
        rows = [
            charts.ForestRow(
                change.title,
                tuple(effects[d][i].effect for d in drawn),
                tuple(forest_word(effects[d][i]) for d in drawn),
            )
            for i, change in enumerate(results.study.judged)
        ]
        groups = forest_groups(results.study.judged)
        with figures.style():
            tall = 0.8 + 0.1 * len(drawn) + (len(rows) + len(groups)) * max(0.3, 0.11 * len(drawn))
            canvas = Canvas(figsize=(figures.WIDTH, min(PAGE_INCHES, tall)), layout="constrained")
            # Headers say what each change stands on, so the legend need not.
            heads = {"add_one_in": DESIGN_HEADS["add_one_in"]} if groups else {}
            titles = [heads.get(design, design_title(design, results.study)) for design in drawn]
            charts.forest(canvas.subplots(), rows, titles, groups)
            blocks.append(
                report.figure(
                    canvas,
                    "effects.svg",
                    f"Effect of each change on {metric_letters(results)} per design: the ratio with / without the "
                    f"change {when(results)} with its 95% interval (an arrow where it goes on). The shape is the "
                    "design; filled, and blue where it helps or vermilion where it hurts, if it is significant after "
                    "Holm's correction over the design, else grey. The designs answer different questions: they agree "
                    f"only where changes do not interact.{g_updates_note(results)}",
                    "Forest plot of the ratio with its interval for each change in each design; the numbers are in "
                    "the tables.",
                    floats=True,
                )
            )
    # What was not asked for at all is told with the answers above; here once more, with the one command for it.
    absent = [design for design in effects if design != "ladder" and not tested[design]]
    for design in effects:
        if design == "ladder" or design in absent:
            continue
        table = design_table if design in ("add_one_in", "leave_one_out") else estimates_table
        blocks.append(table(results, design, tested[design]))
        if len(tested[design]) < len(effects[design]):
            part = f"{DESIGN_HEADS[design].capitalize()}: {len(tested[design])} of {len(effects[design])} changes"
            blocks += [
                Paragraph(f"{part} tested ({lacking[design]}). To run the design whole:"),
                Listing(train_command(results, [design])),
            ]
    if absent:
        names = [f"{DESIGN_HEADS[design]} ({lacking[design]})" for design in absent]
        blocks += [
            Paragraph(f"No change tested: {listed(names)}. To run {'them' if len(absent) > 1 else 'it'} whole:"),
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


def forest_word(effect: ChangeEffect) -> str:
    """The word at the end of a line of the forest."""
    if effect.effect is not None and effect.effect.diverged:
        return "diverged"
    if not effect.tested:
        return "not run" if effect.effect is None else "no pair"
    return effect.word


BORROWED = (
    "The variance of a comparison is in part that of the design's others (Smyth 2004), of which it borrows at most "
    f"{MOST_BORROWED:g} degrees of freedom; one with an unstable variant neither lends nor borrows."
)


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
    rows.numbers("median", lambda e: factor(e.effect.median_ratio if e.effect and e.effect.n > 1 else None))
    rows.numbers("exact p", lambda e: p_text(e.effect.p if e.effect and e.effect.n > 1 else None))
    rows.numbers("p", lambda e: p_text(e.p))
    rows.numbers("Holm p", lambda e: p_text(e.p_holm))
    rows.words("verdict", verdict_text, 0.85)
    most = max((e.effect.n for e in effects if e.effect is not None), default=0)
    floor = f", never below {stats.smallest_sign_flip_p(most):.2g} at {counted(most, 'pair')}" if most else ""
    return rows.table(
        f"{what} {metric_letters(results)} {when(results)}, {MEAN_SPREAD}; ratio with / without "
        f"paired by seed, and the median of the pairs' ratios; p of no effect by the exact sign-flip test{floor}, by "
        "Student's t of the log-ratios (by the exact signed-rank test where a variant is unstable or a run diverged), "
        "and the latter after Holm's correction over the design's changes, which the verdict goes by. "
        f"{BORROWED}{g_updates_note(results)}",
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
        f"{words[design]} {metric_letters(results)} {when(results)}."
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
    text = ""
    if screened.left_out:
        text += f" {counted(screened.left_out, 'seed')} left out: too few of the runs ended to tell the changes apart."
    if screened.missing:
        text += (
            f" {counted(screened.missing, 'run')} of the {screened.seeds} seeds missing: least squares on the others, "
            "in which interactions of two changes are no longer kept out."
        )
    return text
