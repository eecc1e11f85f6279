"""The report of natural upsampling: every way of making an image larger, under both conventions of where pixels lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from reports import figures, stats
from reports import finding as findings
from reports.abstract import change_answers
from reports.claims import ClaimVerdict
from reports.comparability import MixedProtocols
from reports.numbers import MEAN_SPREAD, counted, factor, interval, listed
from reports.page import Block, Heading, Paragraph, Strong, Text
from reports.pictures import between_latents, enlarged_tiles, samples
from reports.report import Report, composed
from reports.results import Results
from reports.sections import claims, learning_curves, method, question, retuned, spread, which_changes
from reports.sections.larger import (
    AVERAGED,
    CONVENTIONS,
    NATURAL,
    ONE_CONVENTION,
    OPPONENTS,
    OWN,
    all_series,
    arms,
    is_large,
    methods_of,
    other_ways,
    own_grid,
    series_of,
    ways,
)
from reports.tables import Cell, Rows, to_runs
from studies.plan import PlannedVariant

SHORT = {"lanczos": "Lanczos", "sharpened": "sharpened bicubic", "sr_cnn": "a super-resolution network"}
"""Opponents in a sentence, and beside their rows of pictures."""


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    parts = (
        question,
        claims,
        enlarged,
        other_ways,
        which_changes,
        retuned,
        spread,
        pictures,
        learning_curves,
        samples,
        between_latents,
        method,
    )
    return composed(report, parts)


def finding(report: Report) -> list[str]:
    """What a denser grid does against each other way in all readings, and against the model at its own size."""
    verdicts = {verdict.claim.name: verdict for verdict in report.claims}
    bilinear = verdicts.get("natural_against_bilinear")
    if bilinear is None or (span := span_of(bilinear, "bilinear")) is None:
        return findings.sentences(report)
    n = f"n = {report.n}"
    readings = len(bilinear.parts)
    told = [
        {
            "reproduced": f"A denser grid beats bilinear enlarging in all {readings} readings: {span} of its distance "
            f"({n}).",
            "contradicted": f"A denser grid is worse than bilinear enlarging: {span} of its distance ({n}).",
        }.get(bilinear.word, f"Whether a denser grid beats bilinear enlarging is not resolved: {span} ({n}).")
    ]
    if (much := verdicts.get("much_better")) is not None:
        others = [f"{name} {of_all}" for name in ("nearest", "bicubic") if (of_all := span_of(much, name)) is not None]
        told.append(f"Over the other ways it has {', '.join(others)}; that it is much better is {much.word}.")
    if (own := verdicts.get("natural_against_own")) is not None and (span := span_of(own, "own size")) is not None:
        told.append(f"It has {span} of the distance of the model at its own size; that it is worse is {own.word}.")
    return [*told, *against_opponents(report.results)]


def answers(report: Report) -> list[Text]:
    """What the opponents reach where there are any, and what each change does."""
    told = against_opponents(report.results)
    first: list[Text] = [(Strong("Opponents of a denser grid:"), f" {' '.join(told)}")] if told else []
    return [*first, *change_answers(report)]


def against_opponents(results: Results) -> list[str]:
    """What the opponents that no slide names have of the distance of the base's denser grid, a sentence for each kind:
    other enlargements of the same images, and models that are trained otherwise."""
    enlarged: list[str] = []
    trained: list[str] = []
    for way in ways(results):
        of_base = not way.variant.changes
        if (way.method in OPPONENTS) != of_base or not (of_base or way.method == "natural"):
            continue
        with suppress(MixedProtocols):  # The section of that number says so.
            effect = stats.paired_effect(results.worst_where_diverged(way.base, NATURAL), way.distances(results))
            if effect.ratio is not None:
                name = SHORT[way.method] if of_base else results.brief(way.variant)
                (enlarged if of_base else trained).append(f"{name} {interval(effect)}")
    told = [f"Distance over that of a denser grid: {listed(enlarged)}."] if enlarged else []
    return [*told, f"Trained otherwise: {listed(trained)}."] if trained else told


def span_of(verdict: ClaimVerdict, opponent: str) -> str | None:
    """The least and the largest ratio against one opponent over the readings; None where none is known."""
    effects = [part.effect for part in verdict.parts if part.comparison.title == opponent]
    ratios = [effect.ratio for effect in effects if effect is not None and effect.ratio is not None]
    if not ratios or len(ratios) < len(effects):
        return None
    least, most = factor(min(ratios)), factor(max(ratios))
    return f"×{least}" if least == most else f"×{least} to ×{most}"


def label(variant: PlannedVariant) -> str:
    """How the variant's grid lay in training; of one that is trained otherwise, what it is called."""
    if "pixel_centres" not in variant.changes and variant.changes:
        return variant.title
    return "trained at pixel centres" if variant.changes else "trained at pixel corners, as the deck"


def enlarged(report: Report) -> list[Block]:
    """Distances of every method under every convention, as a figure and a table."""
    results = report.results
    blocks: list[Block] = [Heading("Every way of making an image twice as large")]
    measured = [v for v in results.plan.listed if np.isfinite(results.worst_where_diverged(v, OWN)).any()]
    there = [v for v in measured if v not in arms(results)]
    if not there:
        return [*blocks, Paragraph("No run has measured it yet.")]
    with figures.style():
        tall = 0.35 + 0.3 * len(methods_of(results))
        canvas = Canvas(figsize=(figures.WIDTH, 0.8 + tall * len(there)), layout="constrained")
        panels = np.atleast_1d(canvas.subplots(len(there), 1, sharex=True))
        everything = [x for v in there for s in all_series(results) for x in results.worst_where_diverged(v, s)]
        for ax, variant in zip(panels, there, strict=True):
            panel(ax, results, variant, figures.span(everything, 1.2))
        panels[-1].set_xlabel("Fréchet distance at twice the training resolution, log scale (lower is better)")
        figures.shared_legend(canvas, list(panels), columns=2)
        blocks.append(
            report.figure(
                canvas,
                "upsampling.svg",
                "Distance to real images of twice the size, by method and convention: dots are seeds, the upright bar "
                "is their geometric mean with its 95% interval. The dashed line is the model's own distance at the "
                "size it was trained at, through the same feature network.",
                "Dot plot of the distance for each method of upsampling; the numbers are in the table below.",
            )
        )
    trained_otherwise = [
        row for variant in arms(results) if variant in measured for row in row_of_arm(results, variant)
    ]
    rows = Rows([*(row for variant in there for row in rows_of(results, variant)), *trained_otherwise])
    rows.words("model", share=1.2)
    rows.words("method", share=1.2)
    rows.words("convention")
    rows.numbers("distance")
    rows.numbers("over natural [95%]")
    rows.numbers("over own size [95%]")
    caption = (
        "Fréchet distance through the feature network of the larger size (a proxy where it is not Inception's) at the "
        f"last iteration, {MEAN_SPREAD}; ratios paired by seed over {counted(report.n, 'seed')}, to natural upsampling "
        "under the same convention and to the model at its own size."
    )
    if trained_otherwise:
        caption += " Of a model that is trained otherwise than the base both ratios are to the base's."
    measures = [stats.log_summary(results.worst_where_diverged(v, s)).mean for v in there for s in all_series(results)]
    return [
        *blocks,
        rows.table(caption, name="upsampling", size=7.8, measures=measures),
        Paragraph(
            "Two conventions of where the fine pixels lie. Aligned: a coarse pixel's area is divided, as image "
            "libraries do. Corners: every second fine sample is a coarse one, the deck's grid arange(0, n) / n made "
            "twice as dense; its images are half a fine pixel off those they are compared with, and keep the "
            "coarse samples as they are. A method may win by the convention alone, so ratios are within one."
        ),
    ]


def rows_of(results: Results, variant: PlannedVariant) -> Iterator[tuple[Cell, ...]]:
    """One model's rows of the table: its own size, then every method under every convention."""

    def distances(series: str) -> NDArray[np.float64]:
        return results.worst_where_diverged(variant, series)

    def row(name: str, convention: str, series: str, over: str | None) -> tuple[Cell, ...]:
        mine = distances(series)
        ratio = "1" if over is None else stats.paired_effect(distances(over), mine)
        distance = to_runs(results, variant.name, stats.log_summary(mine))
        return "", name, convention, distance, ratio, stats.paired_effect(distances(OWN), mine)

    own_size = to_runs(results, variant.name, stats.log_summary(distances(OWN)), strong=True)
    yield Strong(label(variant)), "own size", "", own_size, "", ""
    for name, title in methods_of(results).items():
        shown = title.partition(", of the image")[0] if name in OPPONENTS else name
        for convention in CONVENTIONS if name not in ONE_CONVENTION else ("centres" if name == "sr_cnn" else "either",):
            aligned = "centres" if name in ONE_CONVENTION else convention
            natural = None if name == "natural" else series_of("natural", aligned)
            yield row(shown, convention, series_of(name, convention), natural)
    if np.isfinite(distances(AVERAGED)).any():
        yield row("natural, mean of 2×2 points", "centres", AVERAGED, series_of("natural", "centres"))


def row_of_arm(results: Results, variant: PlannedVariant) -> Iterator[tuple[Cell, ...]]:
    """Of a model that is trained at twice the size its own images, of one that is trained for longer those on a denser
    grid; ratios are to the base's."""
    base = results.variant("baseline")
    assert base is not None
    series = own_grid(variant)
    convention = series.rpartition("_")[2]
    mine = results.worst_where_diverged(variant, series)
    natural, own = (results.worst_where_diverged(base, name) for name in (own_grid(base), OWN))
    distance = to_runs(results, variant.name, stats.log_summary(mine))
    ratios = stats.paired_effect(natural, mine), stats.paired_effect(own, mine)
    where = f"{convention}, as trained" if is_large(variant) else convention
    yield Strong(label(variant)), "its own images" if is_large(variant) else "natural", where, distance, *ratios


def panel(ax: Axes, results: Results, variant: PlannedVariant, limits: tuple[float, float]) -> None:
    """One model: a row per method, the two conventions above each other."""
    looks = dict(zip(CONVENTIONS, zip(figures.palette(2), ("o", "s"), strict=True), strict=True))
    methods = methods_of(results)
    for row, name in enumerate(methods):
        for offset, convention in zip((-0.16, 0.16), CONVENTIONS, strict=True):
            if name in ONE_CONVENTION and convention == "corners":
                continue
            y = float(row) if name in ONE_CONVENTION else row + offset
            values = results.worst_where_diverged(variant, series_of(name, convention))
            finite, (colour, mark) = values[np.isfinite(values)], looks[convention]
            mean = stats.geometric_mean(values)
            if mean is not None:
                if mean.low is not None and mean.high is not None:
                    figures.interval_bar(ax, mean.low, mean.high, y, colour, limits)
                ax.plot(mean.centre, y, "|", ms=9, mew=1.6, color=colour, zorder=3)
            named = CONVENTIONS[convention] if row == 0 else None
            ax.plot(
                finite, np.full(finite.size, y), mark, ms=3, mfc="white", mec=colour, mew=0.8, zorder=4, label=named
            )
    own = stats.geometric_mean(results.worst_where_diverged(variant, OWN))
    if own is not None:
        ax.axvline(own.centre, color=figures.INK, lw=0.8, ls="--", zorder=1)
    ax.set_yticks(range(len(methods)), list(methods.values()))
    ax.set_ylim(len(methods) - 0.5, -0.5)
    ax.set_title(label(variant), fontsize=7.5, loc="left")
    figures.log_axis(ax, "x", *limits)


def pictures(report: Report) -> list[Block]:
    """The same latents made larger by every method."""
    results = report.results
    blocks: list[Block] = [Heading("What it looks like")]
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    for variant in (each for each in results.plan.listed if each not in arms(results)):
        folder = results.folder_of(variant, seed)
        if folder is None:
            continue
        size = 2 * variant.config.data.resolution
        by_method = enlarged_tiles(folder, variant)
        if not by_method:
            continue
        further = [SHORT[name] for name in by_method if name in OPPONENTS]
        besides = f", and below it by {listed(further)}" if further else ""
        with figures.style():
            sheet = figures.sample_sheet([(SHORT.get(name, name), tiles) for name, tiles in by_method.items()])
            name = "upsampled.png" if not variant.changes else "upsampled_centres.png"
            blocks.append(
                report.figure(
                    sheet,
                    name,
                    f"Images of the same latents at {size}×{size} pixels, {label(variant)}, seed {seed}: of the "
                    f"{size // 2}×{size // 2} image by nearest, bilinear and bicubic interpolation, and by the INR "
                    f"itself{besides}. "
                    "The first latents, not chosen. Pixels enlarged, not smoothed.",
                    "Sheet of generated images made twice as large, one row for each method.",
                )
            )
    if len(blocks) == 1:
        blocks.append(Paragraph(f"No run of seed {seed} has kept such pictures."))
    return blocks
