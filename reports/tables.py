"""Tables of a report: results in, `reports.page.Table` out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ablations.beside_deck import edited, node
from ablations.designs import ladder, variant_name
from ablations.schema import Change, DesignName
from core.arithmetic import g_updates, training
from core.metrics.protocol import differences
from reports import stats
from reports.links import anchor, led
from reports.numbers import MEAN_SPREAD, counted, factor, fixed, interval, listed, mean_spread, short
from reports.page import Anchor, Code, Column, Grey, Link, Piece, Strong, Table, Text
from reports.remarks import g_updates_note, g_updates_remark
from reports.results import Results
from reports.seconds import why_left_out
from reports.verdicts import LEVEL, ChangeEffect, ClaimVerdict, EndToEnd, claimed_values
from studies import numbers
from studies.plan import PlannedVariant
from studies.times.costs import read_invocations

# --- the metric -------------------------------------------------------------------------------------------------------

METRICS = {
    "mae": ("MAE", "MAE in [−1, 1]"),
    "fd_rooms": ("FD", "rooms FD (a proxy, not an FID)"),
    "clean_fid": ("FID", "FID (Inception, clean-fid)"),
}


def metric_letters(results: Results) -> str:
    """The metric as a table's head says it."""
    return METRICS.get(results.metric, (results.metric, ""))[0]


def metric_name(results: Results) -> str:
    """The metric as an axis says it, with the word proxy where it is one."""
    return METRICS.get(results.metric, ("", results.metric))[1]


# --- the deck's numbers -----------------------------------------------------------------------------------------------


def deck_number(text: str, differs: Sequence[str]) -> Text:
    """A number of the deck's beside ours: grey where anything keeps the two apart. `grey_note` goes with it."""
    return Grey(f"{text} †") if differs and text != "–" else text


def grey_note(differs: Sequence[str]) -> Text:
    """Why the deck's numbers in a table are grey; nothing where they are not."""
    if not differs:
        return ""
    reasons = "; ".join(dict.fromkeys(differs))
    return f"† Grey, because what follows differs. {reasons[:1].upper()}{reasons[1:]}."


# --- findings ---------------------------------------------------------------------------------------------------------


def claim_table(verdict: ClaimVerdict, results: Results) -> Table:
    """Ours and the deck's, each row with the protocol that its numbers come from."""
    claim, plan = verdict.claim, results.plan
    found = [claimed_values(claim, number, results) for number in claim.numbers]
    ends = [stats.log_summary(values if values is not None else []) for values in found]
    write = fixed([end.mean for end in ends])
    lengths = listed([f"{i:,}" for i in results.iterations])
    length = f"iteration {verdict.iteration:,} of {lengths}" if verdict.iteration else f"{lengths} iterations"
    measured = listed(list(dict.fromkeys(number.series for number in claim.numbers if number.series)))
    ours = f"ours: {measured or metric_name(results)}, {plan.data_name}, {length}, profile {plan.profile}"
    theirs = f"{claim.iterations:,} iterations" if claim.iterations else "iterations not given"
    deck = f"the deck: {claim.metric}, {claim.dataset}, {theirs}, no seeds or spread reported"
    heads = ["before", "after"] if claim.before else ["the model"]
    named = [
        ", ".join([results.title(number.variant), *([number.series] if number.series else [])])
        for number in claim.numbers
    ]
    titles = [f"{head}: {name}" for head, name in zip(heads, named, strict=True)]
    ratio = [Column("after / before [95%]", "right", 1.2)] if claim.before else []
    differs = verdict.differs
    numbers = ["–" if number.value is None else f"{number.value:g}" for number in claim.numbers]
    theirs_of_each = [deck_number(text, differs) for text in (*numbers, *([factor(claim.ratio)] if ratio else []))]
    return Table(
        name=f"claim_{claim.name}",
        columns=(Column("numbers from", share=2.4), *(Column(title, "right", 1.3) for title in titles), *ratio),
        rows=(
            (
                ours,
                *(
                    led(results, number.variant, mean_spread(end, write))
                    for number, end in zip(claim.numbers, ends, strict=True)
                ),
                *([interval(verdict.effect)] if ratio else []),
            ),
            (deck, *theirs_of_each),
        ),
        caption=f"The claim, ours and the deck's: {MEAN_SPREAD}"
        + (
            "; the ratio paired by seed, a geometric mean too, with its Student-t interval on the log scale."
            if ratio
            else "."
        )
        + (
            " The rows have different units."
            if "metric" in {part.partition(":")[0] for part in verdict.differs}
            else ""
        ),
        size=8.5,
        note=grey_note(differs) if any(isinstance(cell, Grey) for cell in theirs_of_each) else "",
    )


def claim_pairs_table(verdict: ClaimVerdict, results: Results) -> Table:
    """A claim of several pairs: one row a pair, reading by reading, with what became of it."""
    claim, plan = verdict.claim, results.plan
    ends = {
        n: stats.log_summary(found) for n in claim.numbers if (found := claimed_values(claim, n, results)) is not None
    }
    write = fixed([end.mean for end in ends.values()])
    rows: list[tuple[Text, ...]] = []
    told = ""
    for part in verdict.parts:
        pair = part.comparison
        theirs = [n.value for n in (pair.before, pair.after)]
        deck = None if None in theirs else deck_number(" → ".join(f"{n:g}" for n in theirs if n), verdict.differs)
        rows.append(
            (
                pair.reading if pair.reading != told else "",
                pair.title,
                *(led(results, n.variant, mean_spread(ends[n], write)) for n in (pair.before, pair.after)),
                interval(part.effect),
                deck or "–",
                Strong(part.word) if part.word in ("reproduced", "contradicted") else part.word,
            )
        )
        told = pair.reading
    length = f"iteration {verdict.iteration:,}" if verdict.iteration else "the last iteration"
    of_metric = all(n.series is None or n.series.startswith("upsampled/") for n in claim.numbers)
    measured = metric_name(results) if of_metric else "the measures named"
    asked = {"lower": "below 1", "higher": "above 1", "same": "about 1"}[claim.expects]
    margin = f" by the declared factor of {claim.margin:g}" if claim.margin is not None else ""
    return Table(
        name=f"claim_{claim.name}",
        columns=(
            Column("reading", share=1.3),
            Column("pair", share=1.0),
            Column("before", "right", 1.1),
            Column("after", "right", 1.1),
            Column("after / before [95%]", "right", 1.2),
            Column("the deck", "right"),
            Column("verdict", share=0.9),
        ),
        rows=tuple(rows),
        caption=f"One sentence of the deck, every pair that it speaks of, and every reading of it: "
        f"{measured}, {plan.data_name}, at {length}, {MEAN_SPREAD}; the "
        "geometric mean of the ratio paired by seed with its Student-t interval on the log scale, expected "
        f"{asked}{margin}.",
        size=7.8,
        note=grey_note(verdict.differs) if any(isinstance(row[5], Grey) for row in rows) else "",
    )


def end_to_end_table(
    at_iterations: EndToEnd, at_work: EndToEnd | None, at_seconds: EndToEnd | None, results: Results
) -> Table:
    """The base over all changes, at equal iterations, arithmetic and, where those mean something, seconds."""
    base, everything = results.title("baseline"), results.title("all")
    write = fixed([at_iterations.before.mean, at_iterations.after.mean])
    iterations = listed([f"{i:,}" for i in results.iterations])
    named = [(f"equal iterations ({iterations})", at_iterations)]
    if at_work is not None:
        named.append((f"equal arithmetic of training ({work_text(at_work.reached)})", at_work))
    if at_seconds is not None:
        named.append((f"equal training seconds ({short(at_seconds.reached)} s)", at_seconds))
    return Table(
        name="end_to_end",
        columns=(
            Column("compared at", share=1.5),
            Column(base, "right", 1.3),
            Column(everything, "right", 1.3),
            Column("ratio [95%]", "right", 1.1),
            Column("least of all pairings", "right", 0.9),
        ),
        rows=tuple(
            (
                name,
                led(results, "baseline", mean_spread(found.before, write)),
                led(results, "all", mean_spread(found.after, write)),
                interval(found.paired) if found.paired else "–" if found.ratio is None else factor(found.ratio),
                "–" if found.least is None else f"{factor(found.least)}×",
            )
            for name, found in named
        ),
        caption=f"End to end: {metric_letters(results)} of “{base}” over “{everything}”, above 1× when the changes "
        f"help: {MEAN_SPREAD}; the ratio of the geometric means with its interval by seed, and the least ratio of any "
        "seed of the one to any of the other, which is an extreme and no bound."
        + (f" {WORK}" if at_work is not None else ""),
        size=8.5,
    )


WORK = (
    "Arithmetic: multiply-accumulates of the products in G, D and the penalty, forwards and backwards, counted from "
    "the config; no load of a machine is in them."
)


def work_text(macs: float | None) -> str:
    """Multiply-accumulates with the unit that keeps them short."""
    if macs is None:
        return "–"
    unit = fixed_unit([macs])
    return f"{unit.write(macs)} {unit.name}"


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
    names = [variant_name(study, subset) for subset in ladder(study)]
    iterations = shown_iterations(results)
    unsteady = why_left_out(results)
    updates_g = len({g_updates(v.config) for name in names if (v := results.variant(name)) is not None}) > 1
    unit = fixed_unit([training(v.config) for name in names if (v := results.variant(name)) is not None])
    write = fixed(mean_at(results, name, i) for name in names for i in [*iterations, *results.iterations])
    rows: list[tuple[Text, ...]] = []
    for rung, name in enumerate(names):
        title: Text = study.changes[rung - 1].title if rung else results.title(name)
        variant = results.variant(name)
        if variant is None:
            more = ["–"] * (1 + updates_g + (not unsteady))
            rows.append((str(rung), title, *["–"] * len(iterations), "–", "–", "0", "–", "not run", *more, "–"))
            continue
        end = stats.log_summary(results.last(variant))
        effect = effects[rung - 1] if rung else None
        more = [unit.write(training(variant.config))]
        more += [f"{g_updates(variant.config):,}"] if updates_g else []
        more += [] if unsteady else [short(seconds_of(results, name).mean)]
        rows.append(
            (
                str(rung),
                title,
                *(write(mean_at(results, name, i)) for i in iterations),
                led(results, name, write(end.mean), strong=True),
                factor(end.factor),
                str(end.n),
                interval(effect.effect) if effect else "",
                verdict_text(effect) if effect else "",
                *more,
                str(end.diverged),
            )
        )
    letters = metric_letters(results)
    last = listed([f"{i:,}" for i in results.iterations])
    return Table(
        name="ladder",
        columns=(
            Column("", "right"),
            Column("change", share=1.0),
            *(Column(f"{i:,}", "right") for i in iterations),
            Column(f"{last}", "right"),
            Column("×/÷", "right"),
            Column("n", "right"),
            Column("vs. rung before [95%]", "right"),
            Column("verdict", share=0.6),
            Column(unit.name, "right"),
            *([Column("G updates", "right")] if updates_g else []),
            *([] if unsteady else [Column("s/run", "right")]),
            Column("div.", "right"),
        ),
        rows=tuple(rows),
        caption=f"The ladder: geometric mean of {letters} over seeds at each evaluated iteration (its number heads the "
        "column; fewer where there are many), at the last with its geometric standard deviation (×/÷) and n; ratio to "
        f"the rung before, paired by seed; {'arithmetic' if unsteady else 'arithmetic and mean seconds'} of training "
        f"per run; diverged runs (a mean with one is ∞). {WORK}{left_out(unsteady)}{g_updates_note(results)}",
        size=7.4,
    )


def left_out(unsteady: str) -> str:
    """The sentence that says why seconds are not in a table or a figure; nothing where they are."""
    return f" Seconds are left out: {unsteady}." if unsteady else ""


def verdict_text(effect: ChangeEffect) -> Text:
    """The verdict of a row, bold where it is one."""
    return Strong(effect.verdict) if effect.word in ("helps", "hurts") else effect.verdict


def p_text(p: float | None) -> str:
    """A p-value: two digits, never 0."""
    if p is None:
        return "–"
    return "< .0001" if p < 1e-4 else f"{p:.2g}".removeprefix("0") if p < 1 else "1"


DESIGN_HEADS: dict[DesignName, str] = {
    "ladder": "ladder",
    "add_one_in": "add one in",
    "leave_one_out": "leave one out",
    "screening": "screening",
    "shapley": "Shapley value",
}


def effects_table(results: Results, effects: Mapping[DesignName, Sequence[ChangeEffect]]) -> Table | None:
    """Each change's effect under each design that was run; None below two designs."""
    shown = [design for design in effects if any(e.effect is not None for e in effects[design])]
    if len(shown) < 2:
        return None
    rows: list[tuple[Text, ...]] = []
    for index, change in enumerate(results.study.changes):
        cells: list[Text] = []
        for design in shown:
            found = effects[design][index]
            text = interval(found.effect) if found.effect and found.effect.ratio else found.verdict
            text = f"{text} (unstable)" if found.word == "unstable" else text
            resolved = found.word in ("helps", "hurts")
            cells.append(led(results, found.after or "", text, strong=resolved))
        rows.append((change.title, *cells))
    return Table(
        name="effects",
        columns=(Column("change", share=1.0), *(Column(DESIGN_HEADS[design], "right") for design in shown)),
        rows=tuple(rows),
        caption=f"Each change under each design: ratio of the {metric_letters(results)} with / without it [95%], below "
        "1 where it helps; bold where it is significant at 5% after Holm's correction over the design; unstable where "
        f"the seeds of one of its two variants lie wildly apart.{g_updates_note(results)}",
        size=8.0 if len(shown) <= 3 else 6.9,
    )


def company_table(results: Results, effects: Mapping[DesignName, Sequence[ChangeEffect]]) -> Table | None:
    """How much each change's effect depends on what else is there; None where no design says so."""
    banded = any(e.estimate is not None and e.estimate.shapley is not None for e in effects.get("shapley", ()))
    both = [effects.get(design, ()) for design in ("add_one_in", "leave_one_out")]
    synergetic = all(any(e.effect is not None for e in design) for design in both)
    if not banded and not synergetic:
        return None
    rows: list[tuple[Text, ...]] = []
    synergies: list[stats.Effect | None] = []
    for index, change in enumerate(results.study.changes):
        cells: list[Text] = []
        if banded:
            value = effects["shapley"][index].estimate
            band = value.shapley if value else None
            cells.append(f"{factor(band.order_low)} – {factor(band.order_high)}" if band else "–")
        if synergetic:
            synergies.append(synergy(results, both[0][index], both[1][index]))
            cells.append(interval(synergies[-1]))
        rows.append((change.title, *cells))
    said = "Does a change help more on top of the others than alone?"
    if banded:
        said += (
            f" Over orders: the least and the largest mean step of the change over the {results.study.permutations} "
            "orders of the Shapley design; the ladder is one order of many."
        )
    if synergetic:
        said += (
            " Synergy: the effect alone over the effect on all others, paired by seed [95%]; above 1 the change helps "
            "more on top of the others than by itself, below 1 it helps less there, or hurts more. These "
            f"{len(synergies)} intervals are not corrected; after Holm's correction {synergies_left(synergies)}."
            + (
                " Numbers of the profile that were chosen in one company favour it there."
                if results.profile.rule
                else ""
            )
        )
    return Table(
        name="company",
        columns=(
            Column("change", share=1.0),
            *([Column("over orders", "right")] if banded else []),
            *([Column("synergy", "right")] if synergetic else []),
        ),
        rows=tuple(rows),
        caption=said,
        size=7.8,
    )


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


def seconds_of(results: Results, name: str, column: str = "seconds") -> stats.Summary:
    """Seconds of a variant's ended jobs; a diverged job's are of what it ran."""
    rows = results.jobs[
        (results.jobs["variant"] == getattr(results.variant(name), "name", ""))
        & results.jobs["status"].isin(["finished"])
    ]
    return stats.summary(rows[column].to_numpy(dtype=float))


def design_table(results: Results, design: DesignName, effects: Sequence[ChangeEffect]) -> Table:
    """One row per change: with and without it, the ratio, the exact p."""
    ends = {e.change.name: [arm_summary(results, name) for name in (e.before, e.after)] for e in effects}
    write = fixed(end.mean for pair in ends.values() for end in pair)
    rows: list[tuple[Text, ...]] = []
    for effect in effects:
        without, with_it = ends[effect.change.name]
        found = effect.effect
        pairs = str(found.n) if found is not None else "0"
        rows.append(
            (
                effect.change.title,
                led(results, effect.before or "", mean_spread(without, write)),
                led(results, effect.after or "", mean_spread(with_it, write)),
                pairs,
                interval(found),
                p_text(found.p if found is not None and found.n > 1 else None),
                p_text(effect.p),
                p_text(effect.p_holm),
                verdict_text(effect),
            )
        )
    base = results.title("baseline")
    needed = " and what it requires" if any(e.change.requires for e in effects) else ""
    heads = {
        "ladder": ("rung before", "rung"),
        "add_one_in": (f"without: {base}", "with"),
        "leave_one_out": ("all − change", results.title("all")),
    }[design]
    what = {
        "ladder": "The ladder.",
        "add_one_in": f"Add one in: each change alone, added to “{base}”{needed}.",
        "leave_one_out": "Leave one out: the effect is all / (all − change), so that below 1 means the change helps, "
        "as in the other designs.",
    }[design]
    most = max((e.effect.n for e in effects if e.effect is not None), default=0)
    floor = f", never below {stats.smallest_sign_flip_p(most):g} at {counted(most, 'pair')}" if most else ""
    return Table(
        name=design,
        columns=(
            Column("change", share=1.5),
            Column(heads[0], "right", 1.0),
            Column(heads[1], "right", 1.0),
            Column("pairs", "right"),
            Column("ratio [95%]", "right"),
            Column("exact p", "right"),
            Column("t p", "right"),
            Column("Holm p", "right"),
            Column("verdict", share=0.85),
        ),
        rows=tuple(rows),
        caption=f"{what} {metric_letters(results)} at the last iteration, {MEAN_SPREAD}; ratio with / without "
        f"paired by seed; p of no effect by the exact sign-flip test{floor}, by the paired t-test of log-ratios, and "
        "the latter after Holm's correction over the design's changes, which the verdict goes by."
        + g_updates_note(results),
        size=7.8,
    )


def estimates_table(results: Results, design: DesignName, effects: Sequence[ChangeEffect]) -> Table:
    """One row per change of a design that estimates effects from all of its variants."""
    shares = design == "shapley"
    rows: list[tuple[Text, ...]] = []
    for effect in effects:
        found = effect.estimate
        row: list[Text] = [effect.change.title, interval(effect.effect)]
        if found is None:
            rows.append((*row, *["–"] * (7 if shares else 4), effect.verdict))
            continue
        if shares:
            value = found.shapley
            row += [
                "–" if value is None or value.share is None else f"{value.share:.0%}",
                *(short(part) for part in ((value.monte_carlo_se, value.seed_se) if value else (None, None))),
            ]
        row += [short(found.se), short(found.df), p_text(found.p), p_text(effect.p_holm)]
        rows.append((*row, verdict_text(effect)))
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
    return Table(
        name=design,
        columns=(
            Column("change", share=1.5),
            Column("ratio [95%]", "right"),
            *(
                (Column("share", "right"), Column("se, orders", "right"), Column("se, seeds", "right"))
                if shares
                else ()
            ),
            Column("se", "right"),
            Column("df", "right"),
            Column("p", "right"),
            Column("Holm p", "right"),
            Column("verdict", share=0.85),
        ),
        rows=tuple(rows),
        caption=f"{words[design]} {metric_letters(results)} at the last iteration."
        + (f" {counted(gone, 'diverged run')} stand in with the worst value that any run reached." if gone else "")
        + lost_seeds(effects)
        + g_updates_note(results),
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


def retuned_tables(
    published: Results,
    as_published: Mapping[DesignName, Sequence[ChangeEffect]],
    tuned: Results,
    as_tuned: Mapping[DesignName, Sequence[ChangeEffect]],
) -> list[Table]:
    """Effects in both settings for every design that both have, and the rates that were chosen."""
    designs = [
        d for d in as_published if all(any(e.effect for e in side[d]) for side in (as_published, as_tuned) if d in side)
    ]
    rows: list[tuple[Text, ...]] = []
    for design in designs:
        for one, other in zip(as_published[design], as_tuned[design], strict=True):
            rows.append(
                (
                    DESIGN_HEADS[design],
                    one.change.title,
                    *(text for e in (one, other) for text in (interval(e.effect), verdict_text(e))),
                )
            )
    retuned = tuned.plan.retuned
    chosen: list[tuple[Text, ...]] = []
    for variant in tuned.plan.listed:
        before = published.variant(variant.name)
        if retuned is None or variant.name not in retuned.rates:
            continue
        own = getattr(getattr(before and before.config, "optimizers", None), "learning_rates", None)
        rates = retuned.rates[variant.name]
        ends = [stats.log_summary(r.last(v) if v else []) for r, v in ((published, before), (tuned, variant))]
        write = fixed([end.mean for end in ends])
        chosen.append(
            (
                variant.title,
                f"{own.generator:g} / {own.discriminator:g}" if own else "–",
                f"{rates.generator:g} / {rates.discriminator:g}",
                *(mean_spread(end, write) for end in ends),
            )
        )
    found = (
        []
        if not rows
        else [
            Table(
                name="retuned_effects",
                columns=(
                    Column("design"),
                    Column("change", share=1.2),
                    Column("as published [95%]", "right"),
                    Column("verdict", share=0.7),
                    Column("re-tuned [95%]", "right"),
                    Column("verdict", share=0.7),
                ),
                rows=tuple(rows),
                caption="Each change as published and re-tuned: ratio with / without it, paired by seed.",
                size=7.6,
            )
        ]
    )
    found.append(
        Table(
            name="retuned_rates",
            columns=(
                Column("variant", share=1.2),
                Column("own rates G / D", "right"),
                Column("chosen", "right"),
                Column("as published", "right", 0.9),
                Column("re-tuned", "right", 0.9),
            ),
            rows=tuple(chosen),
            caption=f"Chosen rates, and {metric_letters(tuned)} at the last iteration, {MEAN_SPREAD}.",
            size=7.6,
        )
    )
    return found


def arm_summary(results: Results, name: str) -> stats.LogSummary:
    """The last values of a variant by name, an empty summary where it is not planned."""
    variant = results.variant(name)
    return stats.log_summary(results.last(variant) if variant else [])


# --- the setting ------------------------------------------------------------------------------------------------------


ALL_OTHERS = (
    "All other numbers of the base and of the slides' changes that train or make the metric are the deck's or, where "
    "its slides give none, those of its author's first public code."
)


def scalings_table(results: Results) -> Table | None:
    """What is neither the deck's number here nor the public code's, with the reasons; None where nothing is."""
    found = numbers.changed_rows(results.study, results.profile, results.plan)
    if not found:
        return None
    return Table(
        name="scalings",
        columns=(
            Column("path", share=1.4),
            Column("the deck", share=1.0),
            Column("the public code", share=1.1),
            Column("here", share=1.2),
            Column("why", share=1.3),
        ),
        rows=tuple(
            (
                (Code(row.path), f" (of {row.only})") if row.only else Code(row.path),
                row.deck,
                row.public,
                row.here,
                row.why,
            )
            for row in found
        ),
        caption="Numbers that are here neither the deck's nor, where its slides give none (–), those of its author's "
        "first public code; alike for every variant. Where a change varies a value, its before → after; of a whole "
        f"node, the parts that differ. {ALL_OTHERS}",
        size=7.8,
    )


def changes_table(results: Results) -> Table:
    """The documented changes: the slide's words, the edits there and here, and how they were read."""
    pairs = numbers.deck_and_here(results.study, results.profile, results.plan)
    base = pairs[0]
    rows: list[tuple[Text, ...]] = []
    for index, (change, changed) in enumerate(zip(results.study.changes, pairs[1:], strict=True), start=1):
        deck, here = (edits_in(change, before, after) for before, after in zip(base, changed, strict=True))
        said = f"“{change.source.words}”" if change.source else "(not the deck's)"
        called = change.title if change.brief == change.title else f"{change.title} ({change.brief})"
        also = g_updates_remark(change, results)
        read = " ".join(part for part in (change.reading, also and f"{also[0].upper()}{also[1:]}.") if part)
        rows.append((str(index), called, said, deck, here, read))
    return Table(
        name="changes",
        columns=(
            Column("", "right"),
            Column("called here (in short)", share=1.15),
            Column("the slide", share=1.0),
            Column("edits, before the profile", share=1.4),
            Column("edits, here", share=1.4),
            Column("reading", share=2.0),
        ),
        rows=tuple(rows),
        caption=changes_caption(results),
        size=7.4,
    )


def changes_caption(results: Results) -> str:
    """What the table of changes lists."""
    changes, source = results.study.changes, results.study.source
    if source is None:
        quoted = " Quoted words are the deck's." if any(change.source for change in changes) else ""
        return f"The {counted(len(changes), 'change')} of this study.{quoted}"
    slide = source.slide
    if all(change.source is not None and change.source.slide == slide for change in changes):
        return f"The {len(changes)} documented changes of the slide “{slide}”, in its order."
    return f"The {len(changes)} changes of this study. Quoted words are the slide's “{slide}” or another's."


def edits_in(change: Change, before: Mapping[str, Any], after: Mapping[str, Any]) -> Text:
    """The edits of a change between two configs."""
    told: list[Piece] = []
    for path, old, new in edited(change, before, after):
        told += [
            "; " if told else "",
            Code(path),
            f" {node(old)} → {node(new)}" if old != new else ": no difference here",
        ]
    return tuple(told)


def recorded_value(value: Any) -> str:
    """One value of a record; None is what the run could not find out."""
    if value is None:
        return "not known"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def told_apart(recorded: Sequence[tuple[str, Mapping[str, Any]]]) -> list[tuple[str, str]]:
    """Every key of these records with its value, or its values and how many runs have each."""
    keys = dict.fromkeys(key for _, content in recorded for key in content)
    found = []
    for key in keys:
        counts = Counter(recorded_value(content.get(key)) for _, content in recorded)
        values = (
            list(counts)
            if len(counts) == 1
            else [f"{value} ({counted(n, 'run')})" for value, n in counts.most_common()]
        )
        found.append((key, "; ".join(values)))
    return found


def record_table(results: Results, name: str, caption: str) -> Table | None:
    """`provenance.json` over all runs; None where no run has it."""
    recorded = results.recorded(name)
    if not recorded:
        return None
    rows = told_apart(recorded)
    return Table(
        name=name.partition(".")[0],
        columns=(Column("what", share=1.0), Column("value", share=4.0)),
        rows=tuple((key.replace("_", " "), value) for key, value in rows),
        caption=f"{caption} From {counted(len(recorded), 'run')}; differing values with the number of runs that have "
        "them.",
        size=8.2,
    )


SAID = {
    "weights": "sha256 of the extractor's weights",
    "samples": "generated images",
    "real_samples": "real images",
    "real_content": "sha256 of the real images",
}
"""Fields of a protocol whose names do not say it all."""


def protocol_table(results: Results) -> Table | None:
    """What the reported metric was measured with, and of every further series what differs; None: not recorded."""
    reported = results.protocol(results.metric)
    if reported is None:
        return None
    rows: list[tuple[Text, ...]] = [("fingerprint", Code(reported.fingerprint))]
    rows += [(SAID.get(name, name.replace("_", " ")), value) for name, value in reported.fields().items()]
    for series in dict.fromkeys(results.tidy["metric"].dropna()):
        protocol = results.protocol(str(series))
        if series == results.metric or protocol is None:
            continue
        told = {name: there for name, (_, there) in differences(reported, protocol).items() if name != "series"}
        said = "; ".join(f"{SAID.get(name, name.replace('_', ' '))}: {value}" for name, value in told.items())
        rows.append((Code(str(series)), (Code(protocol.fingerprint), f" {said}" if said else "")))
    protocol_name = f", {results.plan.protocol}," if results.plan.protocol else ""
    return Table(
        name="protocol",
        columns=(Column("what", share=1.0), Column("value", share=4.0)),
        rows=tuple(rows),
        caption=f"The protocol{protocol_name} of {metric_name(results)}, as every run recorded it, and below what "
        "differs from it in other measures. Numbers of different fingerprints stand in no table together.",
        size=8.2,
    )


def cost_table(results: Results) -> Table:
    """Arithmetic, sizes and, where they mean something, seconds per variant."""
    write = fixed(results.jobs["seconds"])
    everything = results.plan.variants
    unsteady = why_left_out(results)
    updates_g = len({g_updates(variant.config) for variant in everything}) > 1
    units = fixed_unit([training(variant.config) for variant in everything])
    rows: list[tuple[Text, ...]] = []
    groups: list[tuple[Text, Sequence[PlannedVariant]]] = [
        (led(results, variant.name, variant.title), [variant]) for variant in results.plan.listed
    ]
    if results.plan.drawn:
        groups.append((results.plan.drawn_words, results.plan.drawn))
    for called, variants in groups:
        jobs = results.jobs[results.jobs["variant"].isin([variant.name for variant in variants])]
        finished = jobs[jobs["status"] == "finished"]
        train, evaluation, whole = (
            stats.summary(finished[column].to_numpy(dtype=float))
            for column in ("seconds", "evaluation_seconds", "job_seconds")
        )
        sizes = [
            from_to(jobs[column].dropna())
            for column in ("emitted_parameters", "generator_parameters", "discriminator_parameters")
        ]
        shown = {v.name: v.config.iterations * v.config.batch_size for v in variants}
        of_finished = [shown[str(name)] for name in finished["variant"]]
        rate = train.mean / float(np.mean(of_finished)) * 1000 if train.mean else None
        seconds = [write(train.mean), write(train.sd), short(rate), write(evaluation.mean), write(whole.mean)]
        rows.append(
            (
                called,
                str(train.n),
                from_to(shown.values()),
                *([from_to({g_updates(v.config) for v in variants})] if updates_g else []),
                units.write(float(np.mean([training(v.config) for v in variants]))),
                *([] if unsteady else seconds),
                *sizes,
            )
        )
    total = results.jobs["job_seconds"].sum(min_count=1)
    spent = f" All jobs together took {short(total / 3600)} hours of process time." if np.isfinite(total) else ""
    return Table(
        name="cost",
        columns=(
            Column("variant", share=1.0),
            Column("n", "right"),
            Column("images", "right"),
            *([Column("G updates", "right")] if updates_g else []),
            Column(units.name, "right"),
            *([] if unsteady else [Column(head, "right") for head in SECONDS_HEADS]),
            Column("emitted", "right"),
            Column("G", "right"),
            Column("D", "right"),
        ),
        rows=tuple(rows),
        caption=f"Cost per run: real images shown; arithmetic of training in {units.words}"
        + (
            ""
            if unsteady
            else "; wall seconds of training (arithmetic mean and sd over n finished runs), the same per 1,000 images, "
            "of evaluation, of the whole job"
        )
        + f"; parameters emitted per image, of G and of D. {WORK}{left_out(unsteady)}{spent}",
        size=7.4,
    )


def from_to(numbers: Iterable[int]) -> str:
    """A whole number, or the least and the largest of several."""
    ends = sorted({int(number) for number in numbers})
    return "–" if not ends else f"{ends[0]:,}" + (f" to {ends[-1]:,}" if len(ends) > 1 else "")


SECONDS_HEADS = ("train s", "sd", "s / 1,000 im.", "eval s", "job s")


@dataclass(frozen=True)
class WorkUnit:
    """A unit of multiply-accumulates in which a column or an axis of them is short."""

    size: float
    name: str
    words: str

    def write(self, macs: float) -> str:
        """So many multiply-accumulates in this unit, without its name."""
        return short(macs / self.size)


def fixed_unit(counts: Sequence[float]) -> WorkUnit:
    """The unit for all of these."""
    largest = max(counts, default=0.0)
    if largest >= 1e15:
        return WorkUnit(1e15, "PMAC", "peta-multiply-accumulates")
    if largest >= 1e12:
        return WorkUnit(1e12, "TMAC", "tera-multiply-accumulates")
    return WorkUnit(1e9, "GMAC", "giga-multiply-accumulates")


def predicted_table(results: Results) -> Table | None:
    """What the commands that trained were predicted to take and what they took; None where none wrote it down."""
    invocations = read_invocations(results.runs, results.plan.study, results.plan.setting)
    if not invocations:
        return None
    rows: list[tuple[Text, ...]] = []
    compared = []
    for line in invocations:
        whole = line.ended == line.planned and not line.interrupted
        ratio = line.seconds / line.predicted_seconds if whole and line.predicted_seconds else None
        if ratio is not None:
            compared.append(ratio)
        continued = f", {line.continued} of them continued" if line.continued else ""
        rows.append(
            (
                line.began.replace("T", " ").partition("+")[0],
                f"{line.ended} of {line.planned}{continued}",
                str(line.workers),
                "unknown" if line.predicted_seconds is None else short(line.predicted_seconds / 3600),
                short(line.seconds / 3600),
                "interrupted" if line.interrupted else "not all ended" if not whole else factor(ratio),
                short(line.job_seconds / 3600),
            )
        )
    machines = dict.fromkeys(line.machine.words for line in invocations)
    middle = (
        f" Median actual / predicted {factor(float(np.median(compared)))} (n = {len(compared)})." if compared else ""
    )
    return Table(
        name="predicted",
        columns=(
            Column("began (UTC)"),
            Column("runs ended", share=1.0),
            Column("workers", "right"),
            Column("predicted h", "right"),
            Column("actual h", "right"),
            Column("actual / predicted", "right"),
            Column("h of jobs", "right"),
        ),
        rows=tuple(rows),
        caption="Predicted and actual hours of each training command: wall time, the report not counted; last the "
        "sum over its runs, of which as many went on at a time as there are workers."
        f"{middle} Machine: {'; '.join(machines)}.",
        size=7.4,
    )


def runs_table(results: Results, target: Callable[[str], str | None]) -> Table:
    """Every planned job, linked to `target` of it; the rows of a variant are what `reports.links` lead to."""
    rows: list[tuple[Text, ...]] = []
    write = fixed(results.jobs["value"])
    reached_by: set[str] = set()
    for _, row in results.jobs.iterrows():
        run, variant = str(row["run"]), str(row["variant"])
        led_to = target(run)
        name: Text = Code(run[:8]) if led_to is None else Link(run[:8], led_to, code=True)
        reached = row["iteration"]
        here = () if variant in reached_by else (Anchor(anchor(variant)),)
        reached_by.add(variant)
        rows.append(
            (
                (*here, Code(variant)),
                results.title(variant),
                str(row["seed"]),
                name,
                str(row["status"]),
                "–" if pd.isna(reached) else f"{int(reached):,}",
                write(float(row["value"])),
                short(float(row["seconds"])),
            )
        )
    return Table(
        columns=(
            Column("name in commands"),
            Column("variant", share=1.0),
            Column("seed", "right"),
            Column("run"),
            Column("status"),
            Column("iteration", "right"),
            Column(f"last {metric_letters(results)}", "right"),
            Column("train s", "right"),
        ),
        rows=tuple(rows),
        caption="Every planned run, to which the numbers of a variant lead; the run's name leads to what is on record "
        "of it.",
        name="runs",
        size=7.4,
    )
