"""What every figure that answers a study has: the finding in bold, and images at the left, each row under its name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from ablations.answers import Dense, Enlarged, Pictured
from core.reading import Damaged
from reports import dense, figures
from reports.figures import GREY
from reports.numbers import short
from reports.pictures import enlarged_tiles, real_images, value_of
from reports.report import Report

TILES = 4
"""Images of each variant."""

DENSE_TILES = 2
"""Where they are dense: fewer, so that what lies between the pixels is seen."""

TILES_INCHES = 1.25
"""The width of a row of tiles; the names of rows begin behind it."""

PICTURE_INCHES = 0.6
"""The least height of a row of tiles with its name, which may have two lines."""

DENSE_INCHES = 0.9
"""The same of dense images."""

PICTURE_POINTS = 97
"""The widest that the name of a row of tiles may be in a line."""

ROW_INCHES = 0.225
"""The height of a row of a panel; of few rows, up to twice as much where images leave the room."""

TITLE_POINTS = 10.0
NAMES_POINTS = 130
"""The widest that a row's name may be in a line."""

BOLD = 1.18
"""How much wider bold letters are than those that text is measured by."""

MOST_LINES = 2
"""Of the title: a second sentence that would make it longer is left to the page."""

LEFT, WIDE = 0.47, 0.52
"""Where panels begin behind the names of rows, and how wide they all are, as shares of the figure."""

Row = tuple[str, NDArray[np.uint8]]
"""A row of images under its name."""


@dataclass(frozen=True)
class Frame:
    """A figure with its title and images. `top` and `bottom` are the ends of the room for panels, as shares of the
    height, which is `tall` inches."""

    canvas: Canvas
    top: float
    bottom: float
    tall: float

    def panel(self, left: float, wide: float, rows: float, heading: str = "", what: str = "") -> Axes:
        """Axes for so many rows at the top of the room; `what` stands small under the heading."""
        high = min(self.top - self.bottom, 2 * ROW_INCHES * rows / self.tall)
        ax = self.canvas.add_axes((left, self.top - high, wide, high))
        if heading:
            ax.set_title(heading, loc="left", fontsize=8, fontweight="bold", pad=14 if what else 5)
        if what:
            above = 1 + 0.05 / (high * self.tall)
            ax.text(0, above, what, transform=ax.transAxes, fontsize=6.2, color=GREY, va="bottom")
        return ax


def title_of(told: Sequence[str]) -> str:
    """The first sentence of a finding, and the second one where both are short enough."""
    both = " ".join(told[:2])
    return both if len(lines_of(both)) <= MOST_LINES else "".join(told[:1])


def lines_of(title: str) -> list[str]:
    """The title in lines of the figure's width, none of which ends within a number of seeds."""
    kept = title.replace("n = ", "n.=.")
    return [line.replace("n.=.", "n = ") for line in figures.wrapped(kept, TITLE_POINTS * BOLD, 72 * figures.WIDTH)]


def framed(title: str, pictures: Sequence[Row], inches: float) -> Frame:
    """A figure whose panels have `inches` of height, more where the images need it."""
    lines = lines_of(title)
    named = [(figures.in_lines(name, 7, PICTURE_POINTS), tiles) for name, tiles in pictures]
    tall = (
        0.95
        + 0.17 * len(lines)
        + max(inches, (DENSE_INCHES if are_dense(pictures) else PICTURE_INCHES) * len(pictures) - 0.3)
    )
    canvas = Canvas(figsize=(figures.WIDTH, tall))
    draw_title(canvas, lines, tall)
    top = 1 - (0.52 + 0.17 * len(lines)) / tall
    draw_pictures(canvas, named, top, tall)
    return Frame(canvas, top, 0.43 / tall, tall)


def draw_title(canvas: Canvas, lines: Sequence[str], tall: float) -> None:
    """The finding at the head of a figure."""
    looks: dict[str, Any] = {"fontsize": TITLE_POINTS, "fontweight": "bold", "va": "top", "linespacing": 1.15}
    canvas.text(0.0, 1 - 0.04 / tall, "\n".join(lines), **looks)


def tiles_of(report: Report, pictured: Pictured, count: int = TILES) -> list[Row]:
    """Real images, then those that an answer names, each with what its run measured."""
    results = report.results
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    rows: list[Row] = []
    if any(isinstance(each, Dense) for each in pictured):
        if (real := dense.real_tiles(results, DENSE_TILES)) is not None:
            rows.append((f"real images, {real.shape[1]}×{real.shape[1]}", real))
    elif (real := real_images(results, results.plan.seeds, count)) is not None:
        rows.append(("real images", real))
    for each in pictured:
        name = each if isinstance(each, str) else each.variant
        variant = results.variant(name)
        folder = None if variant is None else results.folder_of(variant, seed)
        if variant is None or folder is None:
            continue
        size = variant.config.data.resolution
        with suppress(Damaged):  # The sheet of samples says so.
            if isinstance(each, Enlarged):
                shown = f"{2 * size}×{2 * size}, {each.method}"
                tiles = enlarged_tiles(folder, variant).get(each.method)
            elif isinstance(each, Dense):
                shown = results.brief(variant)
                both = dense.tiles(results, variant, seed)
                tiles = None if both is None else both[1][:DENSE_TILES]
            else:
                shown = f"{results.title(name)}: {short(value_of(results, variant, seed))}"
                tiles = figures.first_tiles(folder.samples / f"{variant.config.iterations:06d}.png", size, count)
            if tiles is not None:
                rows.append((shown, tiles[:count]))
    return rows


def draw_pictures(canvas: Canvas, rows: Sequence[Row], top: float, tall: float) -> None:
    """Rows of tiles below each other at the left, each under its name."""
    step = min(DENSE_INCHES if are_dense(rows) else 0.72, (tall * top - 0.05) / max(1, len(rows)))
    inches = min(TILES_INCHES / DENSE_TILES, step - 0.2) if are_dense(rows) else TILES_INCHES / TILES
    side = inches / figures.WIDTH
    for row, (name, tiles) in enumerate(rows):
        above = top + 0.12 / tall - row * step / tall
        canvas.text(0.0, above, name, fontsize=7 if "\n" not in name else 6.2, va="bottom", linespacing=1.05)
        high = side * figures.WIDTH / tall
        for column, tile in enumerate(tiles):
            ax = canvas.add_axes((column * side, above - 0.03 / tall - high, side, high))
            # Of more pixels than a figure has dots none may be left out.
            ax.imshow(tile, interpolation="none" if are_dense(rows) else "nearest")
            ax.set_axis_off()


def are_dense(rows: Sequence[Row]) -> bool:
    """Whether rows are of as few images as dense ones are."""
    return bool(rows) and all(len(tiles) == DENSE_TILES for _, tiles in rows)


def name_rows(
    ax: Axes, names: Sequence[str], places: Sequence[float] | None = None, width: float = NAMES_POINTS
) -> Axes:
    """The names of rows at the left of a panel, from the top down, none wider than so many points."""
    labels = [figures.in_lines(name, 7, width) if name else "" for name in names]
    ax.set_yticks(range(len(names)) if places is None else places, labels)
    ax.tick_params(axis="y", length=0, labelsize=7)
    for tick, label in zip(ax.get_yticklabels(), labels, strict=True):
        if "\n" in label:
            tick.set_fontsize(6)
    ax.spines["left"].set_visible(False)
    return ax
