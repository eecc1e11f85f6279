"""Figures. Functions that draw take an `ax` and return it; `save` writes the same bytes for the same figure.

Blue and vermilion of seaborn's "colorblind" palette are verdicts, helps and hurts, wherever they are; what is open is
grey or black. Everything else that needs a colour has one of `CATEGORIES`, which are neither, and a shape or a label
that says the same thing again.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path as Outline
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from core.files import make_folder, write_whole
from core.pictures import MOST_TILES, read_grid
from reports import fonts

BLUE, ORANGE, GREEN, VERMILLION, PURPLE = seaborn.color_palette("colorblind").as_hex()[:5]
CATEGORIES = (GREEN, PURPLE, "#6e5a14", "#5b3a8c", "#7fa11f", "#7a3b4f", "#1f6f6a", "#b0a000")
"""Colours of variants, layers and methods: none is near the two of verdicts, all are dark enough on white."""

INK, GREY, PALE = "#222222", "#777777", "#c4c4c4"
WIDTH = 6.85
"""Inches: the width of the PDF's text."""

ROW_POINTS = 190
"""The widest a name may be beside a row or in a legend."""

_STYLE = {
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "svg.hashsalt": "reports",
    "svg.fonttype": "path",
    # A title is words, whatever dollars are in it.
    "text.parse_math": False,
}


def palette(count: int) -> list[str]:
    """That many colours that are nobody's verdict; from the ninth on they come again, with another shape."""
    return [CATEGORIES[index % len(CATEGORIES)] for index in range(count)]


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure, for as long as it is drawn and saved."""
    with matplotlib.rc_context():
        # Whatever a matplotlibrc says: there may be one where one stands, and it can have other programs run.
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(cast(Any, {**seaborn.axes_style("ticks"), **_STYLE}))
        with fonts.drawing():
            yield


def save(figure: Figure, file: Path) -> None:
    """Writes a figure without the date and version that matplotlib would put into it."""
    make_folder(file.parent)
    nothing: dict[str, str | None] = {"Date": None} if file.suffix == ".svg" else {"Software": None}
    content = io.BytesIO()
    figure.savefig(content, format=file.suffix[1:], metadata=nothing)
    write_whole(file, content.getvalue())


# --- axes -------------------------------------------------------------------------------------------------------------


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers for a log axis from `low` to `high`: more of them the shorter it is, at most about eight."""
    grids = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9))
    # No float has more digits.
    decades = range(max(-307, int(np.floor(np.log10(low))) - 1), min(307, int(np.ceil(np.log10(high)))) + 1)
    ticks: list[float] = []
    for grid in grids:
        finer = [step * 10.0**decade for decade in decades for step in grid]
        finer = [tick for tick in finer if low <= tick <= high]
        if len(finer) > 8:
            break
        ticks = finer
    return ticks


def log_axis(ax: Axes, which: str, low: float, high: float, text: Callable[[float], str] = "{:g}".format) -> Axes:
    """Makes one axis logarithmic between two positive numbers, labelled with plain numbers."""
    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    (ax.set_xlim if which == "x" else ax.set_ylim)(low, high)
    axis = ax.xaxis if which == "x" else ax.yaxis
    ticks = log_ticks(low, high)
    axis.set_major_locator(FixedLocator(ticks) if ticks else LogLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: text(float(value))))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    return ax


def shared_legend(figure: Figure, panels: Sequence[Axes], columns: int = 4) -> Figure:
    """One legend below all panels, of every label that any of them has."""
    handles: dict[str, Any] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        # matplotlib's stubs know no place outside the axes.
        below: Any = {"loc": "outside lower center"}
        labels = [in_lines(label, 6.5, ROW_POINTS) for label in handles]
        figure.legend(list(handles.values()), labels, ncols=columns, frameon=False, fontsize=6.5, **below)
    return figure


def name_rows(ax: Axes, places: Sequence[float], names: Sequence[str]) -> Axes:
    """Names the rows of a figure beside its y axis. A name that would leave no room for the figure gets two lines."""
    size = FontProperties(size=matplotlib.rcParams["ytick.labelsize"]).get_size_in_points()
    labels = [in_lines(name, size, ROW_POINTS) for name in names]
    ax.set_yticks(places, labels)
    for tick, label in zip(ax.get_yticklabels(), labels, strict=True):
        if "\n" in label:
            tick.set_fontsize(size - 1.5)
    return ax


def span(values: Sequence[float], margin: float = 1.12) -> tuple[float, float]:
    """The ends of a log axis around these values, those that have a place on it."""
    there = [value for value in values if np.isfinite(value) and value > 0]
    if not there:
        return 0.5, 2.0
    return min(there) / margin, max(there) * margin


VERDICT_COLOURS = {"helps": BLUE, "hurts": VERMILLION}


def word_colour(word: str) -> str:
    """The colour of a verdict: black where a change is negligible, grey where nothing is decided."""
    return str({**VERDICT_COLOURS, "negligible": INK}.get(word, GREY))


def interval_bar(ax: Axes, low: float, high: float, y: float, colour: str, ends: tuple[float, float]) -> Axes:
    """An interval as a line; an arrow where it goes on beyond the axis."""
    inside = max(low, ends[0]), min(high, ends[1])
    ax.plot(inside, (y, y), color=colour, lw=1.1, alpha=0.75, solid_capstyle="butt", zorder=2)
    for beyond, x, mark in ((low < ends[0], ends[0], "<"), (high > ends[1], ends[1], ">")):
        if beyond:
            ax.plot(x, y, mark, color=colour, ms=3.5, clip_on=False, zorder=3)
    return ax


# --- samples ----------------------------------------------------------------------------------------------------------


def first_tiles(file: Path, resolution: int, count: int) -> NDArray[np.uint8] | None:
    """The first `count` tiles, row by row, of a grid without padding; None where the file is no such grid.

    Raises Damaged for what is no picture of a run.
    """
    if not file.exists():
        return None
    grid = np.asarray(read_grid(file, resolution))
    rows, columns = grid.shape[0] // resolution, grid.shape[1] // resolution
    if rows == 0 or columns == 0 or grid.shape[0] % resolution or grid.shape[1] % resolution:
        return None
    places = [(row, column) for row in range(rows) for column in range(columns)][:count]
    return np.stack(
        [grid[r * resolution : (r + 1) * resolution, c * resolution : (c + 1) * resolution] for r, c in places]
    )


def rows_of_tiles(file: Path, resolution: int) -> NDArray[np.uint8] | None:
    """A grid without padding as its tiles, [rows, columns, R, R, 3]; None where the file is no such grid."""
    tiles = first_tiles(file, resolution, MOST_TILES)
    if tiles is None:
        return None
    columns = read_grid(file, resolution).width // resolution
    return tiles.reshape(-1, columns, *tiles.shape[1:])


LABEL_INCHES, LABEL_POINTS, LABEL_LEAST = 1.95, 6.4, 4.0
"""Of a sheet's labels: the width of their zone, the size of their letters, and the size below which none goes."""

LABEL_MARGINS = 10, 6
"""Dots between a label and the tiles, and between it and the sheet's edge."""

LINE_HEIGHT = 1.25

LONG_LINE = 120
"""Signs of a line that is longer than any label."""


def _family() -> tuple[str, ...]:
    families = tuple(matplotlib.rcParams["font.family"])
    return families if families[:1] == (fonts.FIGURES,) else (fonts.FIGURES,)


@lru_cache(maxsize=4096)
def _outline_width(shown: str, family: tuple[str, ...]) -> float:
    """A line's width over the size of its letters, by its outlines: by all of their points, of which those beside the
    curves lie no further out in letters, and which `get_extents` takes 200 times as long to tell apart."""
    if not shown.strip():
        return 0.0  # Of blanks matplotlib makes no path.
    outlines = TextPath((0, 0), shown, size=1, prop=FontProperties(family=list(family)))
    across = outlines.vertices[outlines.codes != Outline.CLOSEPOLY, 0]
    return float(np.ptp(across))


def _widths(shown: str, family: tuple[str, ...]) -> NDArray[np.float64]:
    """How far each sign of a line moves the next one, over the size of its letters."""
    alone = _outline_width("||", family)
    return np.array([_outline_width(f"|{sign}|", family) - alone for sign in shown])


def text_points(text: str, size: float) -> float:
    """How wide a line of text is when drawn at a size, in points; of a line that is longer than any label, by its
    signs, for outlines take long."""
    shown, family = fonts.shown(text), _family()
    if len(shown) > LONG_LINE:
        return float(size * _widths(shown, family).sum())
    return size * _outline_width(shown, family)


def wrapped(text: str, size: float, width: float) -> list[str]:
    """Lines of a text none of which is wider than `width` points; a word that is by itself is broken."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if text_points(longer, size) <= width:
            line = longer
            continue
        lines += [line] if line else []
        *whole, line = [word] if text_points(word, size) <= width else _broken(word, size, width)
        lines += whole
    return [*lines, line] if line else lines


def _broken(word: str, size: float, width: float) -> list[str]:
    """A word in parts that are at most so wide, of a sign at least."""
    parts: list[str] = []
    room = 0.0
    for sign in word:
        wide = size * float(_widths(fonts.shown(sign), _family()).sum())
        if parts and wide <= room:
            parts[-1] += sign
            room -= wide
        else:
            parts.append(sign)
            room = width - wide
    return parts


def in_lines(text: str, size: float, width: float, most: int = 2) -> str:
    """A text in up to `most` lines that are at most so wide, its end left out where they do not hold it."""
    if text_points(text, size) <= width:
        return text
    lines = wrapped(text, size, width)
    if len(lines) > most:
        lines = [*lines[: most - 1], wrapped(lines[most - 1], size, width - text_points("…", size))[0] + "…"]
    return "\n".join(lines)


def fitted_label(text: str, width: float, height: float) -> tuple[str, float]:
    """A label's lines and the largest size, at most `LABEL_POINTS`, with which they fit into so many points; of one
    that fits at no size the end is left out."""
    size = LABEL_POINTS
    while True:
        lines = wrapped(text, size, width)
        if len(lines) * size * LINE_HEIGHT <= height:
            return "\n".join(lines), size
        if size <= LABEL_LEAST:
            return in_lines(text, size, width, max(1, int(height / (size * LINE_HEIGHT)))), size
        size = max(LABEL_LEAST, size - 0.2)


def sample_sheet(
    rows: Sequence[tuple[str, NDArray[np.uint8]]], dots_per_inch: int = 150, scale: int | None = None
) -> Figure:
    """Labelled rows of tiles, each pixel enlarged to the same whole number of dots: `scale`, or as many as the page's
    width has room for."""
    resolution = rows[0][1].shape[1]
    count = max(tiles.shape[0] for _, tiles in rows)
    label_width = int(LABEL_INCHES * dots_per_inch)
    space = int(WIDTH * dots_per_inch) - label_width
    gap = 4
    scale = scale or max(1, (space // count - gap) // resolution)
    side = resolution * scale
    height, width = len(rows) * (side + gap) - gap, count * (side + gap) - gap
    canvas = np.full((height, width, 3), 255, dtype=np.uint8)
    for row, (_, tiles) in enumerate(rows):
        for column, tile in enumerate(tiles):
            large = tile.repeat(scale, axis=0).repeat(scale, axis=1)
            canvas[row * (side + gap) : row * (side + gap) + side, column * (side + gap) :][:, :side] = large
    figure = Figure(figsize=((label_width + width) / dots_per_inch, height / dots_per_inch), dpi=dots_per_inch)
    figure.figimage(canvas, xo=label_width, yo=0, origin="upper")
    for row, (label, _) in enumerate(rows):
        centre = height - row * (side + gap) - side / 2
        at = (label_width - LABEL_MARGINS[0]) / (label_width + width)
        points = 72 / dots_per_inch
        room = (label_width - sum(LABEL_MARGINS)) * points
        text, size = fitted_label(label, room, (side + gap) * points)
        figure.text(at, centre / height, text, ha="right", va="center", fontsize=size, linespacing=1.1)
    return figure
