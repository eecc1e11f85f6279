"""The sections of a report in the order a reader needs them. Each says in one line what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from ablations.designs import ladder, variant_name
from ablations.schema import DesignName
from core.config import MeanAbsoluteError
from reports import figures, stats, tables
from reports.commands import planned_designs, reproduce_commands, train_command
from reports.numbers import counted, factor, listed, short
from reports.page import Block, Bullets, Code, Figure, Heading, Listing, Note, Paragraph, Piece, Quote, Strong, Text
from reports.results import STATUSES, Results
from reports.tables import metric_letters, metric_name, slide_words
from reports.verdicts import (
    ChangeEffect,
    ClaimVerdict,
    compare,
    designs_with,
    end_to_end,
    end_to_end_at_equal_seconds,
    judge_changes,
    judge_claim,
    side_of_one,
)
from studies.plan import PlannedVariant

DESIGN_TITLES: dict[DesignName, str] = {
    "ladder": "ladder: on the rung before",
    "add_one_in": "add one in: on the baseline",
    "leave_one_out": "leave one out: on all others",
}
PILOT = 3
"""Up to this many seeds a study is a pilot, and its report says so."""

FIGURES = (
    "ladder.svg",
    "effects.svg",
    "curves.svg",
    "samples.png",
    "tradeoff.svg",
    "reconstructions.png",
    "rankings.svg",
)
"""Every figure that a report may have."""

PAGE_INCHES = 8.2
"""The tallest a figure may be, so that it and its caption and heading share a page."""

TILES = 12
"""Samples per row of the sheet."""


@dataclass(frozen=True)
class Report:
    """What the sections share. `folder` is the page's; figures go to `folder`/figures."""

    results: Results
    folder: Path
    claims: tuple[ClaimVerdict, ...]
    effects: dict[DesignName, list[ChangeEffect]]

    @classmethod
    def of(cls, results: Results, folder: Path) -> Report:
        """Judges everything once."""
        claims = tuple(judge_claim(claim, results) for claim in results.study.claims)
        return cls(results, folder, claims, judge_changes(results))

    @property
    def n(self) -> int:
        """The largest number of seeds that any variant has finished or diverged with."""
        ended = self.results.jobs[self.results.jobs["status"].isin(["finished", "diverged"])]
        return int(ended.groupby("variant")["seed"].nunique().max()) if len(ended) else 0

    def figure(
        self, canvas: Canvas, name: str, caption: Text, alt: str, width: float = 100.0, floats: bool = False
    ) -> Figure:
        """Saves a drawn figure and returns its block."""
        figures.save(canvas, self.folder / "figures" / name)
        return Figure(f"figures/{name}", caption, alt, width, floats)


def composed(report: Report, parts: Sequence[Callable[[Report], list[Block]]]) -> list[Block]:
    """The blocks of these sections, in order."""
    return [block for part in parts for block in part(report)]


def all_sections(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    parts = (
        question,
        claims,
        end_to_end_line,
        which_changes,
        ladder_section,
        single_changes,
        learning_curves,
        samples,
        the_setting,
        cost,
        limits,
        missing,
        provenance,
        runs,
    )
    return composed(report, parts)


def subtitle(results: Results) -> str:
    """The setting and the runs in one line."""
    plan = results.plan
    counts = [f"{results.count(status)} {status}" for status in STATUSES if results.count(status)]
    seeds = ("seed " if len(plan.seeds) == 1 else "seeds ") + ", ".join(str(seed) for seed in plan.seeds)
    instead = [f"data {plan.data_name}"] if any(v.config.data.kind == "images" for v in plan.variants) else []
    instead += [f"{path}={value}" for path, value in plan.overrides.items()]
    but = f", but with {', '.join(instead)}" if instead else ""
    return (
        f"Setting {plan.setting}: {results.profile.title}{but}. {counted(len(plan.variants), 'variant')}, {seeds}; "
        f"{counted(len(results.jobs), 'run')}: {', '.join(counts)}."
    )


# --- findings ---------------------------------------------------------------------------------------------------------


def question(report: Report) -> list[Block]:
    """What the study asks."""
    return [Heading("The question"), Paragraph(report.results.study.question)]


def claims(report: Report) -> list[Block]:
    """Each claim of the deck, and ours beside it."""
    results = report.results
    blocks: list[Block] = [
        Heading("The deck's claim, and ours" if len(report.claims) == 1 else "The deck's claims, and ours")
    ]
    if not report.claims:
        blocks += [
            Quote(slide_words(results.study.source.quote), f"slide “{results.study.source.slide}”"),
            Paragraph("This study judges no number of the deck."),
        ]
    for verdict in report.claims:
        claim = verdict.claim
        blocks.append(Quote(slide_words(claim.source.quote), f"slide “{claim.source.slide}”"))
        if verdict.effect is not None:
            blocks.append(tables.claim_table(verdict, results))
        told: list[Piece] = [
            "Direction: ",
            Strong(verdict.direction),
            f" ({verdict.why}). Magnitude: ",
            Strong(verdict.magnitude),
        ]
        if verdict.differs:
            told.append(f", because what follows differs. {sentence('; '.join(verdict.differs))}")
        elif verdict.effect is not None and verdict.effect.ratio is not None:
            ours, theirs = factor(verdict.effect.ratio), factor(claim.after / claim.before)
            told.append(f": ours is {ours}, the deck's {theirs} from one run each, as far as it says.")
        else:
            told.append(".")
        if claim.remark:
            told.append(f" {claim.remark}")
        blocks.append(Paragraph(tuple(told)))
        if verdict.direction == "not tested":
            absent = [n for n in (claim.before_variant, claim.after_variant) if results.variant(n) is None]
            wanted = list(dict.fromkeys(d for name in absent for d in designs_with(results.study, name)[:1]))
            command = train_command(results, wanted or planned_designs(results), only=absent)
            blocks += [Paragraph("To test it:"), Listing(command)]
    if report.claims and report.n <= PILOT:
        blocks.append(pilot_note(report))
    return blocks


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def pilot_note(report: Report) -> Note:
    """What so few seeds can and cannot show."""
    n = report.n
    if n == 0:
        return Note((Strong("Nothing to judge yet."), " No run has ended."))
    if n == 1:
        return Note((Strong("One seed."), " Nothing here has an interval or a test: read every number as an anecdote."))
    width = stats.standard_errors(n)
    return Note(
        (
            Strong(f"A pilot: n = {n}."),
            f" The exact sign-flip test cannot go below p = 2/2{superscript(n)} = {stats.smallest_sign_flip_p(n):g} "
            f"at this n, so it calls nothing significant at .05; the Student-t interval can, at {width:.1f} standard "
            "errors to each side, if log-ratios are about normal. Six seeds or more are needed before the exact "
            "test can reach .05.",
        )
    )


def superscript(n: int) -> str:
    """A raised number."""
    return str(n).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def end_to_end_line(report: Report) -> list[Block]:
    """Baseline over all, at equal iterations and at equal seconds."""
    results = report.results
    baseline, everything = results.variant("baseline"), results.variant("all")
    blocks: list[Block] = [Heading("End to end: all changes against none", 2)]
    if baseline is None or everything is None:
        absent = [name for name in ("baseline", "all") if results.variant(name) is None]
        return [*blocks, Paragraph(f"Not run: the plan lacks {listed(absent)}.")]
    at_iterations = end_to_end(results.last(baseline), results.last(everything))
    if not at_iterations.before.n or not at_iterations.after.n:
        return [*blocks, Paragraph("No seed has ended in one of the two arms.")]
    at_seconds = end_to_end_at_equal_seconds(results, "baseline", "all")
    blocks.append(tables.end_to_end_table(at_iterations, at_seconds, results))
    if at_seconds is None:
        how = "At equal training seconds: not available, because a run diverged or was measured too late or never."
    else:
        how = (
            f"{short(at_seconds.seconds)} s is the largest number of training seconds that every finished run of "
            f"both arms reached (evaluation not counted); each run's {metric_letters(results)} there is log-linear "
            "between its two evaluations around that time."
        )
    images = [arm.config.iterations * arm.config.batch_size for arm in (baseline, everything)]
    if images[0] != images[1]:
        how += f" Equal iterations are not equal images: {images[0]:,} against {images[1]:,} per run."
    return [*blocks, Paragraph(how)]


def by_word(effects: list[ChangeEffect], word: str) -> list[str]:
    """The titles of the changes with this verdict."""
    return [effect.change.title for effect in effects if effect.word == word]


def which_changes(report: Report) -> list[Block]:
    """The answer in a few lines: what each design resolves."""
    items: list[Text] = []
    for design, effects in report.effects.items():
        name = DESIGN_TITLES[design].capitalize()
        tested = [effect for effect in effects if effect.word != "not tested"]
        if not tested:
            items.append((Strong(f"{name}."), " Not run."))
            continue
        told: list[Piece] = [Strong(f"{name}."), " "]
        for word, phrase in (("helps", "help"), ("hurts", "hurt"), ("diverged", "with diverged runs")):
            if titles := by_word(effects, word):
                told.append(f"{len(titles)} {phrase}: {'; '.join(titles)}. ")
        if same := by_word(effects, "same config"):
            told.append(f"{len(same)} change nothing at this scale: {'; '.join(same)}. ")
        unresolved = len(by_word(effects, "inconclusive"))
        left = f"{unresolved} of {counted(len(tested), 'tested change')} inconclusive"
        told.append(f"{left}: no effect and an effect of this size cannot be told apart." if unresolved else f"{left}.")
        if len(tested) < len(effects):
            told.append(f" {len(effects) - len(tested)} not tested.")
        items.append(tuple(told))
    return [Heading("Which changes carry the gain"), Bullets(tuple(items)), *power(report)]


def power(report: Report) -> list[Block]:
    """How large an effect had to be to be seen."""
    effects = [e.effect for design in report.effects.values() for e in design if e.effect is not None]
    spreads = [(e.log_sd, e.n) for e in effects if e.log_sd is not None and e.log_sd > 0]
    if not spreads:
        return []
    halves = [stats.standard_errors(n) * sd / np.sqrt(n) for sd, n in spreads]
    least = float(np.exp(np.median(halves)))
    return [
        Paragraph(
            f"How fine these runs can see: the median interval reaches a factor of {factor(least)} to each side of "
            f"its ratio, so an observed ratio between {factor(1 / least)} and {factor(least)} would typically be "
            "inconclusive. A verdict of “inconclusive” is not a verdict of “no effect”."
        )
    ]


def ladder_section(report: Report) -> list[Block]:
    """The ladder as a figure and a table."""
    results = report.results
    study = results.study
    names = [variant_name(study, subset) for subset in ladder(study)]
    there = [results.variant(name) for name in names]
    blocks: list[Block] = [Heading("The ladder: one more change at a time")]
    if sum(variant is not None for variant in there) < 2:
        return [
            *blocks,
            Paragraph("Not run: fewer than two rungs are in the plan. To run it:"),
            Listing(train_command(results, ["ladder"])),
        ]
    rungs = []
    for rung, variant in enumerate(there):
        if variant is None:
            continue
        word = report.effects["ladder"][rung - 1].word if rung else ""
        shown = "" if word == "not tested" else word
        rungs.append(figures.Rung(rung_label(there, rung, report), results.last(variant), shown))
    with figures.style():
        canvas = Canvas(figsize=(figures.WIDTH, 0.75 + 0.27 * len(rungs)), layout="constrained")
        figures.ladder(canvas.subplots(), rungs, metric_name(results))
        drawn = report.figure(
            canvas,
            "ladder.svg",
            f"The ladder at the last iteration, n = {report.n} at most. Dots are seeds, the upright bar their "
            "geometric mean with its 95% Student-t interval on the log scale (an arrow where it goes on). At the "
            "right the geometric mean; blue with “helps”, vermilion with “hurts” where the interval of the ratio to "
            "the rung before excludes 1. Intervals of two rungs may overlap where the paired ratio is resolved, and "
            "the reverse.",
            f"{metric_letters(results)} of each rung of the ladder, one dot per seed; the same numbers are in the "
            "table below.",
        )
    return [*blocks, drawn, tables.ladder_table(results, report.effects["ladder"])]


def rung_label(rungs: Sequence[PlannedVariant | None], rung: int, report: Report) -> str:
    """A rung by what it adds to the one before, or by all it has where the one before is not planned."""
    variant = rungs[rung]
    if rung and rungs[rung - 1] is not None:
        return f"{rung}  + {report.results.study.changes[rung - 1].title}"
    return f"{rung}  {variant.title if variant else ''}"


def single_changes(report: Report) -> list[Block]:
    """Add one in, leave one out, and all designs in one picture."""
    results = report.results
    blocks: list[Block] = [Heading("Each change by itself: on nothing, and taken out of everything")]
    effects = report.effects
    designs = list(effects)
    tested = {design: [e for e in effects[design] if e.word != "not tested"] for design in designs}
    if any(e.effect is not None and e.effect.ratio is not None for design in designs for e in effects[design]):
        rows = [
            figures.ForestRow(
                change.title,
                tuple(effects[d][i].effect for d in designs),
                tuple(forest_word(effects[d][i]) if tested[d] else "" for d in designs),
            )
            for i, change in enumerate(results.study.changes)
        ]
        labels = [DESIGN_TITLES[d] + ("" if tested[d] else " (not run)") for d in designs]
        with figures.style():
            canvas = Canvas(figsize=(figures.WIDTH, 0.85 + 0.32 * len(rows)), layout="constrained")
            figures.forest(canvas.subplots(), rows, labels)
            blocks.append(
                report.figure(
                    canvas,
                    "effects.svg",
                    f"Effect of each change on {metric_letters(results)} per design: the paired ratio with / without "
                    "the change at the last iteration with its 95% Student-t interval (an arrow where it goes on). "
                    "Filled where the interval excludes 1. The designs answer different questions: they agree only "
                    "where changes do not interact.",
                    "Forest plot of the ratio with its interval for each change in each design; the numbers are in "
                    "the tables.",
                    floats=True,
                )
            )
    for design in ("add_one_in", "leave_one_out"):
        if tested[design]:
            blocks.append(tables.design_table(results, design, tested[design]))
        if len(tested[design]) < len(effects[design]):
            lacking = "no change" if not tested[design] else f"{len(tested[design])} of {len(effects[design])} changes"
            name = design.replace("_", " ")
            blocks += [
                Paragraph(f"{name.capitalize()}: {lacking} tested. To run the design whole:"),
                Listing(train_command(results, [design])),
            ]
    return blocks


def forest_word(effect: ChangeEffect) -> str:
    """The word at the end of a line of the forest."""
    match effect.word:
        case "not tested":
            return "not run" if effect.effect is None else "no pair"
        case "diverged":
            return "diverged"
        case word:
            return word


HIGHLIGHTS = (("baseline", figures.INK), ("all", figures.BLUE))


def learning_curves(report: Report) -> list[Block]:
    """The metric against iterations, images and seconds."""
    results = report.results
    blocks: list[Block] = [Heading("Learning curves")]
    colours: dict[str, str] = {}
    spare = [figures.VERMILLION, figures.GREEN, figures.PURPLE, figures.ORANGE]
    for name, colour in HIGHLIGHTS:
        if (variant := results.variant(name)) is not None:
            colours.setdefault(variant.name, colour)
    for verdict in report.claims:
        for name in (verdict.claim.before_variant, verdict.claim.after_variant):
            variant = results.variant(name)
            if variant is not None and variant.name not in colours and spare:
                colours[variant.name] = spare.pop(0)
    if results.study.groups:
        for variant in best_variants(results):
            if variant.name not in colours and spare:
                colours[variant.name] = spare.pop(0)
    if not colours:
        colours = {variant.name: colour for variant, colour in zip(results.plan.variants, spare, strict=False)}
    axes = (
        ("iteration", "iterations (updates of D)"),
        ("images", "real images shown"),
        ("seconds", "seconds of training"),
    )
    drawn: dict[str, list[figures.Curve]] = {column: [] for column, _ in axes}
    values: list[float] = []
    for variant in results.plan.variants:
        frames = [frame for seed in results.plan.seeds if not (frame := results.curve(variant, seed)).empty]
        values += [float(v) for frame in frames for v in frame["value"]]
        for column, _ in axes:
            runs = tuple((f[column].to_numpy(dtype=float), f["value"].to_numpy(dtype=float)) for f in frames)
            label = variant.title if results.study.groups and variant.changes else variant.name
            drawn[column].append(figures.Curve(label, runs, colours.get(variant.name)))
    if not np.isfinite(values).any():
        return [*blocks, Paragraph("No run has been evaluated yet.")]
    with figures.style():
        canvas = Canvas(figsize=(figures.WIDTH, 2.75), layout="constrained")
        panels = canvas.subplots(1, 3, sharey=True)
        limits = figures.span(values)
        for ax, (column, label) in zip(panels, axes, strict=True):
            figures.curves(ax, drawn[column], label, limits, names_at_ends=not results.study.groups)
        panels[0].set_ylabel(f"{metric_name(results)}, log scale", fontsize=6.8)
        figures.shared_legend(canvas, panels, columns=3)
        others = len(results.plan.variants) - len(colours)
        grey = f" The other {counted(others, 'variant')} in grey." if others else ""
        blocks.append(
            report.figure(
                canvas,
                "curves.svg",
                f"{metric_letters(results)} during training against iterations, images and seconds: means over "
                f"seeds, thin lines single seeds, × the last value of a run that diverged.{grey} Seconds are of the "
                "machine that ran them, under its load.",
                "Three panels of learning curves: against iterations, real images and training seconds.",
            )
        )
    return blocks


def best_variants(results: Results) -> list[PlannedVariant]:
    """The variants whose runs all finished, the least mean first."""
    means = {variant.name: stats.summary(results.last(variant)).mean for variant in results.plan.variants}
    there = [v for v in results.plan.variants if (mean := means[v.name]) is not None and np.isfinite(mean)]
    return sorted(there, key=lambda variant: means[variant.name] or 0.0)


def samples(report: Report) -> list[Block]:
    """What the generators draw at the same latents."""
    results = report.results
    study = results.study
    subsets = [] if study.groups else ladder(study)
    rungs = [results.variant(variant_name(study, subset)) for subset in subsets]
    wanted = [(rung_label(rungs, rung, report), variant) for rung, variant in enumerate(rungs) if variant is not None]
    on_ladder = len(wanted) > 1
    if not on_ladder:
        wanted = [(variant.title if variant.changes else "baseline", variant) for variant in results.plan.variants]
    rows = []
    absent = []
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    for label, variant in wanted:
        folder = results.folder(str(results.job(variant, seed)["run"]))
        file = folder.samples / f"{variant.config.iterations:06d}.png"
        tiles = figures.first_tiles(file, variant.config.data.resolution, TILES)
        if tiles is None:
            absent.append(label.strip())
        else:
            rows.append((label, tiles))
    blocks: list[Block] = [Heading("Samples")]
    if rows:
        if (real := real_images(results, results.plan.seeds, TILES)) is not None and real.shape[1] == rows[0][1].shape[
            1
        ]:
            rows.insert(0, ("real images", real))
        rows = [row for row in rows if row[1].shape[1] == rows[0][1].shape[1]]
        with figures.style():
            sheet = figures.sample_sheet(rows)
            tall = float(sheet.get_figheight() * figures.WIDTH / sheet.get_figwidth())
            what = "each rung" if on_ladder else "each variant"
            blocks.append(
                report.figure(
                    sheet,
                    "samples.png",
                    f"Samples of {what} at the last iteration, seed {seed}: column by column the same latents, the "
                    "first of the fixed ones and not chosen, through the evaluated generator. Pixels enlarged, not "
                    "smoothed.",
                    f"Sheet of sample images, one row for {what}.",
                    width=round(min(100.0, 100 * PAGE_INCHES / tall), 1),
                )
            )
    if absent:
        some = "; ".join(absent) if rows else "any of the variants"
        blocks.append(Paragraph(f"No samples of seed {seed} at the last iteration for: {some}."))
    return blocks


def real_images(results: Results, seeds: Sequence[int], most: int) -> np.ndarray | None:
    """Tiles of real images, from the first run of these seeds that kept them: of a fit, the images that it fits."""
    for variant in results.plan.variants:
        for seed in seeds:
            folder = results.folder(str(results.job(variant, seed)["run"]))
            tiles = figures.first_tiles(folder.samples / "real.png", variant.config.data.resolution, most)
            if tiles is not None:
                return tiles
    return None


# --- how --------------------------------------------------------------------------------------------------------------


def marked(text: str) -> Text:
    """A declaration's text with what stands between backticks set as code."""
    parts = text.split("`")
    return tuple(Code(part) if index % 2 else part for index, part in enumerate(parts) if part)


def the_setting(report: Report) -> list[Block]:
    """What was run: scale, changes, protocol."""
    results = report.results
    profile = results.profile
    blocks: list[Block] = [Heading("What was run"), Heading("Scale", 2)]
    words = [f"Profile {profile.name}: {profile.title}."]
    if profile.rule:
        words.append(f"How its free numbers were chosen (rows with the reason “rule”): {profile.rule}")
    if profile.caveat:
        words.append(profile.caveat)
    blocks.append(Paragraph(marked(" ".join(words))))
    scalings = tables.scalings_table(results)
    blocks.append(
        scalings if scalings is not None else Paragraph("No number differs from the deck's or the public code's.")
    )
    blocks += [Heading("The changes", 2), tables.changes_table(results), Heading("Protocol of the metric", 2)]
    protocol = tables.record_table(results, "protocol.json", "Protocol of the metric, as the runs recorded it.")
    blocks.append(protocol if protocol is not None else Paragraph("No run recorded its protocol (protocol.json)."))
    return blocks


def cost(report: Report) -> list[Block]:
    """What it took."""
    predicted = tables.predicted_table(report.results)
    return [Heading("Cost"), tables.cost_table(report.results), *([] if predicted is None else [predicted])]


def limits(report: Report) -> list[Block]:
    """What these numbers do not say, from the facts of the plan."""
    results, plan = report.results, report.results.plan
    items: list[Text] = []
    if results.metric != "clean_fid":
        items.append(
            f"{metric_letters(results)} is {metric_name(results)}: no value here may stand beside a published FID, "
            "and an order of variants by it may differ from the order by FID."
        )
    if plan.profile != "lsun64":
        items.append(
            f"The scale is the profile's ({results.profile.title}). A change that carries nothing here may carry "
            "much at the deck's scale, and the reverse; directions are evidence, magnitudes are not."
        )
    n = report.n
    if n < 6:
        items.append(
            f"n = {n} at most. Student-t intervals are right if log-ratios over seeds are about normal, which "
            "so few values cannot show. Intervals are over training seeds: they hold for other seeds of this "
            "data and these settings only."
        )
    # Studies of alternatives print other comparisons than the designs' verdicts, and say so themselves.
    items += [] if results.study.groups else comparisons(report)
    items += [
        "Pairing by seed shares the data order and the latents of the metric; how far it shares the course of "
        "training is not known. Where it shares nothing the intervals are valid and wider than unpaired ones.",
        *(
            ()
            if results.study.groups
            else (
                "The ladder's order is the slide's. A rung's effect is its effect on the rungs below it; in another "
                "order it may differ, which is why add one in and leave one out stand beside it.",
            )
        ),
        "Every variant has the same discriminator, and hyperparameters that no change names were not tuned per "
        "variant: a change may look worse for want of its own learning rate.",
    ]
    batches = sorted({variant.config.batch_size for variant in plan.variants})
    if len(batches) > 1:
        items.append(
            f"Equal iterations are not equal work: batch sizes {listed([str(b) for b in batches])} show different "
            "numbers of images, and D-to-G ratios and INR sizes cost different seconds. The curves show all three."
        )
    metrics = [variant.config.evaluation.metric for variant in plan.variants]
    counts = sorted({metric.samples for metric in metrics if not isinstance(metric, MeanAbsoluteError)})
    if counts:
        items.append(
            f"The metric is biased upwards with {listed([f'{c:,}' for c in counts])} samples, by an amount that "
            "depends on the model; ratios of good variants are pulled towards 1."
        )
    kinds = {variant.config.data.kind for variant in plan.variants}
    if "images" in kinds:
        items.append(f"The data is {plan.data_name}, not the deck's.")
    elif "rooms" in kinds:
        items.append(
            "The data is the embedded procedural rooms: far less varied than LSUN, and without camera noise or clutter."
        )
    if plan.overrides:
        told = ", ".join(f"{path}={value}" for path, value in plan.overrides.items())
        items.append(f"Overrides on the command line apply to every variant: {told}.")
    lost = results.count("diverged")
    if lost:
        items.append(
            f"Diverged runs ({lost}) count as the worst outcome (∞) and leave no mean and no interval: nothing was "
            "averaged over the survivors."
        )
    return [Heading("What these numbers do not say"), Bullets(tuple(items))]


def comparisons(report: Report) -> list[Text]:
    """The multiple comparisons: how many, and what is left after Bonferroni's correction."""
    judged = [
        e for design in report.effects.values() for e in design if e.effect is not None and e.effect.low is not None
    ]
    # A comparison that two designs share (the first rung is also an add-one-in) is one comparison.
    pairs = {(e.before, e.after): e for e in judged}
    if len(pairs) < 2:
        return []
    resolved = [e for e in pairs.values() if e.word in ("helps", "hurts")]
    strict = []
    for e in resolved:
        wide = compare(report.results, e.before, e.after, level=1 - 0.05 / len(pairs))
        if wide is not None and side_of_one(wide) != "unresolved":
            strict.append(f"{e.change.title} ({e.design.replace('_', ' ')})")
    kept = f"{len(strict)} remain: {'; '.join(strict)}" if strict else "none remains"
    return [
        f"{len(pairs)} comparisons at 95% each: about {0.05 * len(pairs):.1f} would be called helps or hurts if no "
        f"change did anything; {len(resolved)} are. With Bonferroni's correction over all of them, {kept}. Read "
        "single verdicts with that in mind."
    ]


def missing(report: Report) -> list[Block]:
    """Runs that did not finish, by name."""
    jobs = report.results.jobs
    blocks: list[Block] = [Heading("Failed and missing runs")]
    lost = jobs[jobs["status"] != "finished"]
    if lost.empty:
        return [*blocks, Paragraph("None: every planned run finished.")]
    items: list[Text] = []
    for status in STATUSES[1:]:
        rows = lost[lost["status"] == status]
        if rows.empty:
            continue
        if status == "not started":
            grouped = rows.groupby("variant", sort=False)["seed"].apply(lambda s: ", ".join(str(seed) for seed in s))
            named = [f"{variant} (seed {seeds})" for variant, seeds in grouped.items()]
            items.append((Strong(f"not started ({len(rows)}):"), f" {'; '.join(named)}."))
            continue
        for _, row in rows.iterrows():
            reached = "" if pd.isna(row["iteration"]) else f" at iteration {int(row['iteration']):,}"
            reason = f": {first_line(str(row['reason']))}" if isinstance(row["reason"], str) and row["reason"] else ""
            items.append((Strong(status), " ", Code(str(row["variant"])), f" seed {row['seed']}{reached}{reason}."))
    return [*blocks, Bullets(tuple(items))]


def first_line(text: str, most: int = 160) -> str:
    """The first line of a reason, cut where it goes on for long."""
    line = (text.strip().splitlines() or [""])[0].rstrip(".")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def provenance(report: Report) -> list[Block]:
    """Where the numbers come from, and how to get them again."""
    results = report.results
    blocks: list[Block] = [Heading("Provenance")]
    made = tables.record_table(
        results, "provenance.json", "Code, versions and machine of the runs, as they recorded them."
    )
    blocks.append(made if made is not None else Paragraph("No run recorded its provenance (provenance.json)."))
    if any(content.get("dirty") for _, content in results.recorded("provenance.json")):
        blocks.append(
            Note(
                "Some runs were trained from a working tree with uncommitted changes: their commit does not say it all."
            )
        )
    return [*blocks, Paragraph("To reproduce, from the commit above:"), Listing("\n".join(reproduce_commands(results)))]


def runs(report: Report) -> list[Block]:
    """The appendix."""
    return [Heading("Appendix: all runs"), tables.runs_table(report.results, report.folder)]
