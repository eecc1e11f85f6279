"""Detail by octave: windows at every zoom against true ones, a figure, tables and pictures; and what a step costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from core.arithmetic import training
from core.config import PATCH, Config
from core.reading import Damaged
from reports import dense, figures, stats
from reports.numbers import WORK, fixed, fixed_unit
from reports.page import Block, Figure, Heading, Note, Paragraph, Strong, Table
from reports.report import PAGE_INCHES, Report
from reports.results import Results
from reports.sections.scales import SHEET_DOTS, ended_words
from reports.tables import Rows, to_runs
from studies.plan import PlannedVariant

PATCHES, FLOOR = "octaves/patch_1_", "octaves/floor_1_"
POWER = re.compile(r"octaves/power_\d+_\d+")

MARKS = ("s", "D", "^", "v", "P", "X", "<")
"""Of variants besides the base, by turns: one fewer than colours, so that no two have both."""

MOST_PICTURED = 3
"""Variants whose windows are shown."""


@dataclass(frozen=True)
class Mean:
    """The geometric mean of a series at a zoom over seeds with the ends of its 95% interval, None where there are
    none."""

    zoom: int
    centre: float
    low: float | None = None
    high: float | None = None


def zooms_of(results: Results) -> tuple[int, ...]:
    """At which windows were measured."""
    found = {str(name) for name in results.tidy["metric"].dropna().unique()}
    return tuple(sorted(int(tail) for name in found if (tail := name.removeprefix(PATCHES)).isdecimal()))


def detail_by_octave(report: Report) -> list[Block]:
    """The section; none where no run has measured it."""
    results, zooms = report.results, zooms_of(report.results)
    if not zooms:
        return []
    measured = [v for v in results.plan.listed if isinstance(v.config, Config) and v.config.evaluation.octaves]
    return [
        Heading("Detail by octave"),
        Paragraph(
            f"Windows of {PATCH}×{PATCH} pixels that show 1/zoom of the picture's side, as a picture of {PATCH} times "
            "zoom pixels has them, against windows of true scenes. What each number sees is on the page octaves.md of "
            "the documentation."
        ),
        over_zoom(report, measured, zooms),
        values_table(results, measured, zooms),
        power_table(results, measured),
        *pictures(report, measured, zooms),
    ]


def mean_at(values: np.ndarray, zoom: int) -> Mean | None:
    """Of the seeds; None where none has a distance, or one diverged: what is left would flatter."""
    found = None if np.isinf(values).any() else stats.geometric_mean(values[np.isfinite(values)])
    return None if found is None else Mean(zoom, found.centre, found.low, found.high)


def means_of(results: Results, variant: PlannedVariant, zooms: Sequence[int], series: str = PATCHES) -> list[Mean]:
    """Those of a variant, by zoom. Raises MixedProtocols."""
    found = (mean_at(results.worst_where_diverged(variant, f"{series}{zoom}"), zoom) for zoom in zooms)
    return [mean for mean in found if mean is not None]


def floor_of(results: Results, variants: Sequence[PlannedVariant], zooms: Sequence[int]) -> dict[int, float]:
    """By zoom what other true windows read: the same in every run. Raises MixedProtocols."""
    floor: dict[int, float] = {}
    for variant in variants:
        for mean in means_of(results, variant, zooms, FLOOR):
            floor.setdefault(mean.zoom, mean.centre)
    return floor


# --- the figure -------------------------------------------------------------------------------------------------------


def over_zoom(report: Report, variants: Sequence[PlannedVariant], zooms: Sequence[int]) -> Figure:
    """The distance of windows over the zoom, a line for each variant, and the floor."""
    results = report.results
    lines = {variant.name: means_of(results, variant, zooms) for variant in variants}
    floor = floor_of(results, variants, zooms)
    with figures.style():
        canvas = Canvas(figsize=(figures.WIDTH, 3.6), layout="constrained")
        ax = canvas.subplots()
        others = [variant for variant in variants if variant.name != "baseline"]
        looks = {"baseline": (figures.INK, "o")} | {
            variant.name: (colour, MARKS[k % len(MARKS)])
            for k, (variant, colour) in enumerate(zip(others, figures.palette(len(others)), strict=True))
        }
        for variant in variants:
            colour, mark = looks[variant.name]
            line(ax, lines[variant.name], results.brief(variant), colour, mark)
        if floor:
            ax.plot(list(floor), list(floor.values()), ls="--", lw=1, color=figures.GREY, label="other true windows")
        seen = [mean.centre for means in lines.values() for mean in means]
        figures.log_axis(ax, "y", *figures.span([*seen, *floor.values()]))
        zoom_axis(ax, zooms)
        ax.set_ylabel("distance of windows, log scale (lower is better)")
        figures.shared_legend(canvas, [ax], columns=3)
        return report.figure(
            canvas,
            "octaves.svg",
            f"Fréchet distance of windows of {PATCH}×{PATCH} pixels to those of true scenes, over the size of the "
            "picture that they are parts of, at the last iteration: geometric means with 95% intervals, "
            f"n = {report.n} at most, of variants of which no seed diverged. Dashed: as many windows of other true "
            "scenes, which nothing is told apart from. "
            "Distances of two zooms are of other windows: compare variants at a zoom, each with the floor below it.",
            "Distance of windows over zoom, one line for each variant, and the floor.",
        )


def line(ax: Axes, means: Sequence[Mean], label: str, colour: str, mark: str) -> Axes:
    """A variant's means with their intervals."""
    zooms, centres = [mean.zoom for mean in means], [mean.centre for mean in means]
    ax.plot(zooms, centres, marker=mark, ms=3.6, lw=1.1, color=colour, label=label)
    for mean in means:
        if mean.low is not None and mean.high is not None:
            ax.plot([mean.zoom] * 2, [mean.low, mean.high], color=colour, lw=0.8, alpha=0.6)
    return ax


def zoom_axis(ax: Axes, zooms: Sequence[int]) -> Axes:
    """Zooms by the pictures that they are of."""
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(list(zooms)))
    ax.set_xticks(list(zooms), [f"{PATCH * zoom:,}\n(1/{zoom})" if zoom > 1 else f"{PATCH}\n(whole)" for zoom in zooms])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("pixels of the side of the picture (part of it that a window shows)")
    return ax


# --- tables -----------------------------------------------------------------------------------------------------------


def step_work(variant: PlannedVariant) -> float:
    """Multiply-accumulates of an iteration, on average."""
    return training(variant.config) / variant.config.iterations


def values_table(results: Results, variants: Sequence[PlannedVariant], zooms: Sequence[int]) -> Table:
    """The distances, and the arithmetic of a step."""
    ends = {
        (variant.name, zoom): stats.log_summary(results.worst_where_diverged(variant, f"{PATCHES}{zoom}"))
        for variant in variants
        for zoom in zooms
    }
    floor = floor_of(results, variants, zooms)
    writers = {zoom: fixed([*(ends[v.name, zoom].mean for v in variants), floor.get(zoom)]) for zoom in zooms}
    unit = fixed_unit([step_work(variant) for variant in variants])

    def cell(variant: PlannedVariant, zoom: int) -> str:
        found = ends[variant.name, zoom]
        spread = "" if found.factor is None else f" ×/÷ {found.factor:.2f}"
        return f"{writers[zoom](found.mean)}{spread}" if found.n else "–"

    rows = Rows(variants)
    rows.words("variant", lambda v: to_runs(results, v.name, v.title, strong=v.name == "baseline"), 2.0)
    rows.numbers(f"a step, {unit.name}", lambda v: f"{step_work(v) / unit.size:.3f}", 0.7)
    rows.each(zooms, lambda zoom: f"{PATCH * zoom:,}", cell, 1.0)
    rows.numbers("n", lambda v: ended_words(results, v, [f"{PATCHES}{zooms[-1]}"]), 0.4)
    reads = ", ".join(f"{writers[zoom](floor[zoom])} at {PATCH * zoom:,}" for zoom in zooms if zoom in floor)
    return rows.table(
        "Distances of windows by the pixels of the picture that they are parts of, lower is better: geometric mean ×/÷ "
        f"geometric standard deviation over n seeds. Other true windows read {reads or 'nothing here'}. A step of "
        f"windows costs the same whatever they are parts of. {WORK}",
        name="octaves_values",
        size=7.2,
    )


def power_table(results: Results, variants: Sequence[PlannedVariant]) -> Table:
    """The power of windows by octaves."""
    found = {str(name) for name in results.tidy["metric"].dropna().unique()}
    series = sorted(filter(POWER.fullmatch, found), key=lambda name: int(name.rpartition("_")[2]))

    def cell(variant: PlannedVariant, each: str) -> str:
        known = results.last_of(variant, each)
        mean = stats.summary(known[np.isfinite(known)]).mean
        return "–" if mean is None else f"{mean:+.1f}".replace("-", "−")

    rows = Rows(variants)
    rows.words("variant", lambda v: results.brief(v), 1.7)
    rows.each(series, lambda each: f"{int(each.rpartition('_')[2]):,}", cell, 0.6)
    return rows.table(
        "Power by octaves, named by their upper ends in cycles across the picture: log2 of the power of a window's "
        "octave, its mean over generated windows less that over true ones, arithmetic mean over seeds. −1 where most "
        "windows have half of the power, 0 where they have as much.",
        name="octaves_power",
        size=7.0,
    )


# --- pictures ---------------------------------------------------------------------------------------------------------


def pictures(report: Report, variants: Sequence[PlannedVariant], zooms: Sequence[int]) -> list[Block]:
    """Windows of a few variants below true ones, zoom by zoom."""
    results = report.results
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    named = getattr(results.study.answer, "pictured", ())
    chosen = [v for v in variants if v.name in named or not named][:MOST_PICTURED]
    tiles: dict[str, np.ndarray] = {}
    damaged: list[Block] = []
    for variant in chosen:
        folder = results.folder_of(variant, seed)
        try:
            rows = None if folder is None else figures.rows_of_tiles(folder.samples / "octaves.png", PATCH)
        except Damaged as error:
            damaged.append(Note((Strong("A picture is left out:"), f" {error}.")))
            continue
        if rows is not None and len(rows) == 2 * len(zooms):
            tiles[results.brief(variant)] = rows
    if not tiles:
        return [Paragraph(f"No run of seed {seed} has kept windows."), *damaged]
    sheet: list[dense.Row] = []
    for k, zoom in enumerate(zooms):
        part = "whole" if zoom == 1 else f"1/{zoom}"
        sheet.append((f"true, {part}", next(iter(tiles.values()))[2 * k]))
        sheet += [(f"{title}, {part}", rows[2 * k + 1]) for title, rows in tiles.items()]
    with figures.style():
        drawn = figures.sample_sheet(sheet, SHEET_DOTS)
        wide, tall = float(drawn.get_figwidth()), float(drawn.get_figheight())
        width = min(100.0, 100 * wide / figures.WIDTH, 100 * PAGE_INCHES / tall * wide / figures.WIDTH)
        return [
            report.figure(
                drawn,
                "octaves.png",
                f"Windows of {PATCH}×{PATCH} pixels, seed {seed}: at every zoom those of true scenes, then of "
                "variants. The first of the fixed latents and not chosen, each at a place that was drawn; true windows "
                "are of other scenes and places. Pixels enlarged, not smoothed.",
                "Sheet of windows by zoom, true ones and those of variants.",
                width=round(width, 1),
            ),
            *damaged,
        ]
