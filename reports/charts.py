"""The ladder, the forest of effects and the curves. Each takes an `ax` and returns it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from reports import stats
from reports.figures import GREY, INK, PALE, VERDICT_COLOURS, interval_bar, log_axis, name_rows, span
from reports.numbers import fixed, short, times


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
            beside(ax, text, 0.995 if side == "right" else 0.005, row - 0.28, ha=side, fontsize=6.2, color=INK)
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
        beside(ax, note, 1.025, row, color=colour, fontsize=7)
    name_rows(ax, range(len(rungs)), [rung.label for rung in rungs])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(rungs) - 0.4, -0.6)
    ax.spines["left"].set_visible(False)
    log_axis(ax, "x", reach_low, reach_high)
    ax.set_xlabel(f"{metric}, log scale (lower is better)")
    return ax


def beyond_words(values: NDArray[np.float64], ends: tuple[float, float]) -> list[tuple[str, Literal["left", "right"]]]:
    """What lies beyond either end of an axis, in words with an arrow: "one seed: 11.5 →"."""
    marks: list[tuple[str, Literal["left", "right"]]] = []
    finite = values[np.isfinite(values)]
    for side, there in (("left", finite[finite < ends[0]]), ("right", finite[finite > ends[1]])):
        if there.size:
            seeds = "one seed" if there.size == 1 else f"{there.size} seeds"
            label = f"{seeds}: {', '.join(short(float(value)) for value in np.sort(there))}"
            marks.append((f"← {label}", "left") if side == "left" else (f"{label} →", "right"))
    return marks


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
    drawn = [
        effect
        for row in rows
        for effect, word in zip(row.effects, row.words, strict=True)
        if effect is not None and word != "unstable"
    ]
    ratios = [e.ratio for e in drawn if e.ratio is not None]
    ends = [x for e in drawn for x in (e.low, e.high) if x is not None]
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
            beside(ax, headers[index], 0.005, below, style="italic")
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
                beside(ax, word, 1.01, y, fontsize=5.8, color=GREY)
                continue
            if effect.low is not None and effect.high is not None:
                interval_bar(ax, effect.low, effect.high, y, colour, limits)
            if limits[0] <= effect.ratio <= limits[1]:
                ax.plot(effect.ratio, y, mark, ms=4, mfc=colour if resolved else "white", mec=colour, mew=0.9, zorder=4)
            if resolved or word == "unstable":
                beside(ax, word, 1.01, y, fontsize=5.8, color=colour)
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


@dataclass(frozen=True)
class Curve:
    """One variant's seeds: arrays of x and of the metric each. `colour` None draws it grey and without a label."""

    label: str
    runs: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]
    colour: str | None = None


def curves(ax: Axes, lines: Sequence[Curve], x_label: str, limits: tuple[float, float]) -> Axes:
    """The metric over x, log scale: geometric means over seeds, of coloured lines each seed too. Names are a legend's
    (`figures.shared_legend`)."""
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
        label = line.label if line.colour else None
        ax.plot(*mean, color=colour, lw=1.7 if line.colour else 0.7, zorder=4 if line.colour else 2, label=label)
        if mean[0].size == 1:
            ax.plot(*mean, "o", color=colour, ms=3, zorder=4)
    log_axis(ax, "y", *limits)
    ax.set_xlim(0, (right or 1.0) * 1.04)
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


def beside(ax: Axes, text: str, x: float, row: float, **looks: Any) -> None:
    """Text in a row of a figure, `x` of the axes' width from their left."""
    ax.annotate(text, (x, row), xycoords=("axes fraction", "data"), va="center", **looks)
