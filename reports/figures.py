"""Figures. Functions that draw take an `ax` and return it; `save` writes the same bytes for the same figure.

Blue and vermilion of seaborn's "colorblind" palette are verdicts, helps and hurts, wherever they are; what is open is
grey or black. Everything else that needs a colour has one of `CATEGORIES`, which are neither, and a shape or a label
that says the same thing again.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast

import matplotlib
import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from core.files import make_folder, write_whole
from core.pictures import MOST_TILES, read_grid
from reports import fonts, stats
from reports.numbers import fixed, short, times

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
    found: dict[str, Any] = {}
    for ax in panels:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        # matplotlib's stubs know no place outside the axes.
        below: Any = {"loc": "outside lower center"}
        labels = [in_lines(label, 6.5, ROW_POINTS) for label in found]
        figure.legend(list(found.values()), labels, ncols=columns, frameon=False, fontsize=6.5, **below)
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


# --- the ladder -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rung:
    """One row of the ladder: what it is called, its values per seed, a colour that goes with `verdict`, and whether the
    seeds lie wildly apart."""

    label: str
    values: NDArray[np.float64]
    verdict: str = ""
    unstable: bool = False

    @property
    def outlying(self) -> NDArray[np.float64]:
        """The seeds of an unstable row that the axis may leave out."""
        return self.values[stats.outlying(self.values)] if self.unstable else self.values[:0]


VERDICT_COLOURS = {"helps": BLUE, "hurts": VERMILLION}


def ladder(ax: Axes, rungs: Sequence[Rung], metric: str) -> Axes:
    """One row per rung: a dot per seed, the geometric mean as a bar with its 95% interval, diverged runs in words.

    The axis holds the bulk: a seed that makes its rung unstable is named at the edge instead of stretching the axis.
    """
    means = [stats.geometric_mean(rung.values) for rung in rungs]
    write = fixed([mean.centre for mean in means if mean is not None])
    low, high = span([value for rung in rungs for value in rung.values if value not in rung.outlying])
    reach_low, reach_high = low / 1.25, high * 1.6
    for row, (rung, mean) in enumerate(zip(rungs, means, strict=True)):
        colour = VERDICT_COLOURS.get(rung.verdict, INK)
        ax.axhline(row, color="#eeeeee", lw=0.6, zorder=0)
        finite = rung.values[np.isfinite(rung.values)]
        if mean is not None:
            if mean.low is not None and mean.high is not None:
                interval_bar(ax, mean.low, mean.high, row, colour, (reach_low, reach_high))
            if reach_low <= mean.centre <= reach_high:
                ax.plot(mean.centre, row, "|", ms=11, mew=1.8, color=colour, zorder=3)
        for text, side in beyond_words(rung.outlying, (reach_low, reach_high)):
            ax.annotate(
                text,
                (0.995 if side == "right" else 0.005, row - 0.28),
                xycoords=("axes fraction", "data"),
                ha=side,
                va="center",
                fontsize=6.2,
                color=INK,
            )
        finite = finite[(finite >= reach_low) & (finite <= reach_high)]
        ax.plot(finite, np.full(finite.size, row), "o", ms=3.4, mfc="white", mec=colour, mew=0.8, zorder=4)
        ended = rung.values[~np.isnan(rung.values)]
        gone = int(np.isinf(ended).sum())
        if gone:
            note = f"× {gone} of {ended.size} diverged"
        elif ended.size == 0:
            note = "no run has ended"
        else:
            note = f"{write(mean.centre)}  {rung.verdict}" if mean is not None else ""
        ax.annotate(note, (1.025, row), xycoords=("axes fraction", "data"), va="center", color=colour, fontsize=7)
    name_rows(ax, range(len(rungs)), [rung.label for rung in rungs])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rungs) - 0.4, -0.6)
    ax.spines["left"].set_visible(False)
    log_axis(ax, "x", reach_low, reach_high)
    ax.set_xlabel(f"{metric}, log scale (lower is better)")
    return ax


def beyond_words(values: NDArray[np.float64], ends: tuple[float, float]) -> list[tuple[str, Literal["left", "right"]]]:
    """What lies beyond either end of an axis, in words with an arrow: "one seed: 11.5 →"."""
    found: list[tuple[str, Literal["left", "right"]]] = []
    finite = values[np.isfinite(values)]
    for side, there in (("left", finite[finite < ends[0]]), ("right", finite[finite > ends[1]])):
        if there.size:
            seeds = "one seed" if there.size == 1 else f"{there.size} seeds"
            said = f"{seeds}: {', '.join(short(float(value)) for value in np.sort(there))}"
            found.append((f"← {said}", "left") if side == "left" else (f"{said} →", "right"))
    return found


def interval_bar(ax: Axes, low: float, high: float, y: float, colour: str, ends: tuple[float, float]) -> Axes:
    """An interval as a line; an arrow where it goes on beyond the axis."""
    inside = max(low, ends[0]), min(high, ends[1])
    ax.plot(inside, (y, y), color=colour, lw=1.1, alpha=0.75, solid_capstyle="butt", zorder=2)
    for beyond, x, mark in ((low < ends[0], ends[0], "<"), (high > ends[1], ends[1], ">")):
        if beyond:
            ax.plot(x, y, mark, color=colour, ms=3.5, clip_on=False, zorder=3)
    return ax


# --- effects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ForestRow:
    """One change; its effect per design (None: not run), and the word for an effect that has no ratio."""

    label: str
    effects: tuple[stats.Effect | None, ...]
    words: tuple[str, ...]


DESIGN_MARKS = ("o", "s", "D", "^", "v")
"""Designs are told apart by shape: colour is the verdict."""


def forest(ax: Axes, rows: Sequence[ForestRow], designs: Sequence[str], groups: Sequence[tuple[int, str]] = ()) -> Axes:
    """Ratios with 95% intervals, one line per design under each change, around the line of no effect.

    `groups` are headers, each with the row it stands above. Effects that are "unstable" do not stretch the axis.
    """
    told = [
        effect
        for row in rows
        for effect, word in zip(row.effects, row.words, strict=True)
        if effect is not None and word != "unstable"
    ]
    ratios = [e.ratio for e in told if e.ratio is not None]
    ends = [x for e in told for x in (e.low, e.high) if x is not None]
    # The axis holds every ratio and most intervals; the few that go on for decades end in an arrow.
    reach = np.quantile(np.abs(np.log(ends)), 0.85) if ends else 0.0
    reach = max(float(reach), 1.15 * max((abs(np.log(r)) for r in ratios), default=0.0), np.log(1.5))
    reach = min(reach, max(np.log(20.0), 1.15 * max((abs(np.log(r)) for r in ratios), default=0.0)))
    limits = float(np.exp(-reach)), float(np.exp(reach))
    step = 0.8 / max(1, len(designs))
    headers = dict(groups)
    places: list[float] = []
    below = 0.0
    for index in range(len(rows)):
        if index in headers:
            ax.annotate(headers[index], (0.005, below), xycoords=("axes fraction", "data"), va="center", style="italic")
            below += 1
        places.append(below)
        below += 1
    for number, (place, row) in enumerate(zip(places, rows, strict=True)):
        if number % 2:
            ax.axhspan(place - 0.5, place + 0.5, color="#f5f5f5", lw=0, zorder=0)
        for index, (effect, word) in enumerate(zip(row.effects, row.words, strict=True)):
            mark = DESIGN_MARKS[index]
            resolved = word in VERDICT_COLOURS
            colour = VERDICT_COLOURS.get(word, GREY)
            y = place + (index - (len(designs) - 1) / 2) * step
            if effect is None or effect.ratio is None:
                ax.annotate(word, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=5.8, color=GREY)
                continue
            if effect.low is not None and effect.high is not None:
                interval_bar(ax, effect.low, effect.high, y, colour, limits)
            if limits[0] <= effect.ratio <= limits[1]:
                ax.plot(effect.ratio, y, mark, ms=4, mfc=colour if resolved else "white", mec=colour, mew=0.9, zorder=4)
            if resolved or word == "unstable":
                ax.annotate(
                    word, (1.01, y), xycoords=("axes fraction", "data"), va="center", fontsize=5.8, color=colour
                )
    ax.axvline(1, color=INK, lw=0.8, zorder=1)
    for index, name in enumerate(designs):
        ax.plot([], [], DESIGN_MARKS[index], ls="-", lw=1.1, color=GREY, mfc="white", mec=GREY, ms=4, label=name)
    columns = len(designs) if len(designs) <= 3 else 2
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=columns, frameon=False, fontsize=6.8)
    name_rows(ax, places, [row.label for row in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(below - 0.5, -0.5)
    ax.spines["left"].set_visible(False)
    log_axis(ax, "x", *limits, times)
    ax.set_xlabel("← the change helps      ratio with / without the change, log scale      it hurts →")
    return ax


# --- curves -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """One variant's seeds: arrays of x and of the metric each. `colour` None draws it grey and without a label."""

    label: str
    runs: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]
    colour: str | None = None


def curves(
    ax: Axes, lines: Sequence[Curve], x_label: str, limits: tuple[float, float], names_at_ends: bool = True
) -> Axes:
    """The metric over x, log scale: geometric means over seeds; of coloured lines each seed too, and a name at the end.

    Long names are better left to a legend (`shared_legend`): the ends stay bare then.
    """
    ends: list[tuple[float, float, Curve]] = []
    right = 0.0
    for line in sorted(lines, key=lambda line: line.colour is not None):
        mean = mean_curve(line.runs)
        colour = line.colour or PALE
        for x, y in line.runs:
            right = max(right, float(x.max())) if x.size else right
            finite = np.isfinite(y)
            if line.colour:
                ax.plot(x[finite], y[finite], color=colour, lw=0.5, alpha=0.5, zorder=3)
            if not finite.all() and finite.any():
                ax.plot(x[finite][-1], y[finite][-1], "x", color=colour, ms=4.5, mew=1.0, zorder=5)
        if mean is None:
            continue
        label = line.label if line.colour and not names_at_ends else None
        ax.plot(*mean, color=colour, lw=1.7 if line.colour else 0.7, zorder=4 if line.colour else 2, label=label)
        if mean[0].size == 1:
            ax.plot(*mean, "o", color=colour, ms=3, zorder=4)
        if line.colour and names_at_ends:
            ends.append((float(mean[0][-1]), float(mean[1][-1]), line))
    log_axis(ax, "y", *limits)
    height = np.log(limits[1] / limits[0])
    spread = stats.spread_apart([np.log(last) for _, last, _ in ends], 0.065 * height)
    for (end, last, line), moved in zip(ends, spread, strict=True):
        ax.annotate(
            line.label,
            xy=(end, last),
            xytext=(right * 1.05, float(np.exp(moved))),
            color=line.colour,
            fontsize=6.5,
            va="center",
            arrowprops={"arrowstyle": "-", "color": line.colour, "lw": 0.4, "ls": ":", "shrinkA": 0, "shrinkB": 1.5},
        )
    ax.set_xlim(0, (right or 1.0) * (1.42 if names_at_ends else 1.04))
    ticks = [tick for tick in MaxNLocator(4).tick_values(0, right or 1.0) if 0 <= tick <= right]
    ax.set_xticks(ticks, thousands(ticks))
    ax.set_xlabel(x_label)
    return ax


def thousands(values: Sequence[float]) -> list[str]:
    """0, 5k, 10k: an axis's numbers in the one unit that keeps them short."""
    largest = max((abs(value) for value in values), default=0.0)
    size, letter = (1e6, "M") if largest >= 1e6 else (1e3, "k") if largest >= 1e4 else (1.0, "")
    return [f"{value / size:g}{letter}" if value else "0" for value in values]


def mean_curve(
    runs: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Mean x and geometric mean of the metric over seeds, evaluation by evaluation, as far as every seed has a finite
    value: the one kind of mean that tables have too."""
    if not runs:
        return None
    length = min(min(y.size, int(np.argmin(np.isfinite(y))) if not np.isfinite(y).all() else y.size) for _, y in runs)
    if length == 0:
        return None
    means = [stats.log_summary([y[place] for _, y in runs]).mean for place in range(length)]
    known = np.array([np.nan if mean is None else mean for mean in means])
    return np.mean([x[:length] for x, _ in runs], axis=0), known


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
    found = tuple(matplotlib.rcParams["font.family"])
    return found if found[:1] == (fonts.FIGURES,) else (fonts.FIGURES,)


@lru_cache(maxsize=4096)
def _outline_width(shown: str, family: tuple[str, ...]) -> float:
    """A line's width over the size of its letters, by its outlines."""
    return float(TextPath((0, 0), shown, size=1, prop=FontProperties(family=list(family))).get_extents().width)


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


def sample_sheet(rows: Sequence[tuple[str, NDArray[np.uint8]]], dots_per_inch: int = 150) -> Figure:
    """Labelled rows of tiles, each pixel enlarged to the same whole number of dots."""
    resolution = rows[0][1].shape[1]
    count = max(tiles.shape[0] for _, tiles in rows)
    label_width = int(LABEL_INCHES * dots_per_inch)
    space = int(WIDTH * dots_per_inch) - label_width
    gap = 4
    scale = max(1, (space // count - gap) // resolution)
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
