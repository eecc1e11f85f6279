"""The figure that answers a study of changes: images of a few variants beside real ones, and every effect."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from ablations.answers import ChangesAnswer
from core.reading import Damaged
from reports import figures
from reports.figures import GREY, INK, interval_bar, log_axis, word_colour
from reports.finding import designs_of, title
from reports.numbers import factor, short, times
from reports.page import Block
from reports.pictures import real_images, value_of
from reports.report import Report
from reports.results import metric_name, when
from reports.verdicts import ChangeEffect

TILES = 4
"""Images of each variant."""

ROW_INCHES = 0.225

TILES_INCHES = 1.25
"""The width of a row of tiles; the names of changes begin behind it."""

NAMES_POINTS = 130
"""The widest that a change's name may be in a line."""

VALUES = 0.05
"""The share of the width that the values beside a panel take."""

BOLD = 1.12
"""How much wider bold letters are than those that text is measured by."""

PANELS = {
    "leave_one_out": ("take it out of all", "the distance grows by this factor"),
    "add_one_in": ("add it alone", "the distance shrinks by this factor"),
    "ladder": ("add it on the step before", "the distance shrinks by this factor"),
}
"""What a panel asks of a change, and what its numbers are: helping is to the right in all of them."""


def answer_figure(report: Report) -> list[Block]:
    """The figure; nothing where the study declares none, or nothing of it was run."""
    answer = report.results.study.answer
    if answer is None:
        return []
    there = [design for design in designs_of(report.results.study, report) if design in answer.designs]
    if not there:
        return []
    shown = {design: report.effects[design] for design in there[:2]}
    order = sorted(range(len(report.results.study.changes)), key=lambda k: gain(next(iter(shown.values()))[k]))
    pictures = tiles_of(report, answer)
    finding = title(report, list(shown))
    with figures.style():
        lines = figures.wrapped(finding, 10.0 * BOLD, 72 * figures.WIDTH)
        tall = 0.95 + 0.17 * len(lines) + ROW_INCHES * len(order)
        canvas = Canvas(figsize=(figures.WIDTH, tall))
        canvas.text(0.0, 1 - 0.04 / tall, "\n".join(lines), fontsize=10, fontweight="bold", va="top", linespacing=1.15)
        top, bottom = 1 - (0.52 + 0.17 * len(lines)) / tall, 0.43 / tall
        left, wide, gap = 0.47, 0.52, 0.09
        limits = limits_of([effect for effects in shown.values() for effect in effects])
        each = (wide - gap * (len(shown) - 1)) / len(shown)
        for k, (design, effects) in enumerate(shown.items()):
            ax = canvas.add_axes((left + k * (each + gap), bottom, each - VALUES, top - bottom))
            panel(ax, [effects[index] for index in order], limits, named=k == 0)
            heading, what = PANELS[design]
            ax.set_title(heading, loc="left", fontsize=8, fontweight="bold", pad=14)
            ax.text(0, 1.02, what, transform=ax.transAxes, fontsize=6.5, color=GREY, va="bottom")
        draw_pictures(canvas, pictures, top, tall)
        return [
            report.figure(
                canvas,
                "answer.svg",
                f"The answer: {metric_name(report.results)} {when(report.results)}, n = {report.n} at most. Ratios "
                "with their intervals (an arrow where one goes on), helping to the right; blue helps, vermilion hurts, "
                "black is negligible, grey open or unstable, after Holm's correction over each design. Images are the "
                "first of the fixed latents and not chosen, pixels enlarged.",
                f"{finding} Samples beside real images, and a forest plot of every change.",
            )
        ]


def gain(effect: ChangeEffect) -> float:
    """The ratio with / without, for an order from the most helpful on; what is not known comes last."""
    return effect.effect.ratio if effect.effect is not None and effect.effect.ratio is not None else np.inf


def tiles_of(report: Report, answer: ChangesAnswer) -> list[tuple[str, NDArray[np.uint8]]]:
    """Real images, then those of the variants that the answer names, each with what its run measured."""
    results = report.results
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    rows: list[tuple[str, NDArray[np.uint8]]] = []
    if (real := real_images(results, results.plan.seeds, TILES)) is not None:
        rows.append(("real images", real))
    for name in answer.pictured:
        variant, folder = results.variant(name), None
        if variant is not None:
            folder = results.folder_of(variant, seed)
        if variant is None or folder is None:
            continue
        file = folder.samples / f"{variant.config.iterations:06d}.png"
        with suppress(Damaged):  # The sheet of samples says so.
            tiles = figures.first_tiles(file, variant.config.data.resolution, TILES)
            if tiles is not None:
                rows.append((f"{results.title(name)}: {short(value_of(results, variant, seed))}", tiles))
    return rows


def draw_pictures(canvas: Canvas, rows: Sequence[tuple[str, NDArray[np.uint8]]], top: float, tall: float) -> None:
    """Rows of tiles below each other at the left, each under its name."""
    side = TILES_INCHES / figures.WIDTH / TILES
    step = min(0.72, (tall * top - 0.05) / max(1, len(rows)))
    for row, (name, tiles) in enumerate(rows):
        above = top + 0.12 / tall - row * step / tall
        canvas.text(0.0, above, name, fontsize=7, va="bottom")
        high = side * figures.WIDTH / tall
        for column, tile in enumerate(tiles):
            ax = canvas.add_axes((column * side, above - 0.03 / tall - high, side, high))
            ax.imshow(tile, interpolation="nearest")
            ax.set_axis_off()


def limits_of(effects: Sequence[ChangeEffect]) -> tuple[float, float]:
    """The ends of an axis that holds every ratio and most of the intervals."""
    found = [e.effect for e in effects if e.effect is not None and e.effect.ratio is not None]
    far = [abs(float(np.log(e.ratio or 1.0))) for e in found]
    ends = [abs(float(np.log(x))) for e in found for x in (e.low, e.high) if x is not None]
    reach = float(np.exp(max(np.log(1.5), 1.1 * max(far, default=0.0), float(np.quantile(ends, 0.8)) if ends else 0.0)))
    return 1 / reach, reach


def panel(ax: Axes, effects: Sequence[ChangeEffect], limits: tuple[float, float], *, named: bool) -> Axes:
    """One design: a row for each change, helping to the right, its factor at the mark."""
    for row, e in enumerate(effects):
        colour = word_colour(e.word)
        if e.effect is None or e.effect.ratio is None:
            word = "diverged" if e.effect is not None and e.effect.diverged else "not run" if not e.tested else e.word
            ax.text(1, row - 0.3, word, fontsize=6, color=GREY, ha="center", va="center")
            continue
        ratio = 1 / e.effect.ratio
        if e.effect.low is not None and e.effect.high is not None:
            interval_bar(ax, 1 / e.effect.high, 1 / e.effect.low, row, colour, limits)
        ax.plot(ratio, row, "o", ms=4, mfc=colour if e.decided else "white", mec=colour, mew=0.9, zorder=4)
        said = f"{factor(ratio)} unstable" if e.word == "unstable" else factor(ratio)
        place: dict[str, Any] = {"xytext": (7, 0), "textcoords": "offset points", "xycoords": ax.get_yaxis_transform()}
        ax.annotate(said, (1, row), fontsize=6.5, color=colour, va="center", annotation_clip=False, **place)
    ax.axvline(1, color=INK, lw=0.8, zorder=1)
    names = [figures.in_lines(e.change.title, 7, NAMES_POINTS) if named else "" for e in effects]
    ax.set_yticks(range(len(effects)), names)
    ax.tick_params(axis="y", length=0, labelsize=7)
    ax.set_ylim(len(effects) - 0.5, -0.5)
    ax.spines["left"].set_visible(False)
    log_axis(ax, "x", *limits, times)
    ax.set_xticks([tick for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8) if limits[0] <= tick <= limits[1]] or [1])
    ax.tick_params(axis="x", labelsize=6.5)
    ax.set_xlabel("← it hurts        it helps →", fontsize=6.5)
    return ax
