"""The figure of a study that asks what a gain costs: every variant's gain over the arithmetic of its training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ablations.answers import FrontierAnswer
from reports import dense, figures
from reports.answers.frame import framed, tiles_of, title_of
from reports.figures import GREEN, GREY, INK, log_axis, span
from reports.finding_of_frontier import Mark, Ratio, bound_of, by_metric, by_quality, frontier, marks_of
from reports.numbers import factor, listed, times
from reports.page import Block
from reports.report import Report
from reports.results import metric_name, when

PANEL_INCHES, GAP_INCHES = 1.75, 0.34
LEFT, WIDE = 0.285, 0.71
LABEL_POINTS, LABEL_WIDTH = 5.8, 84
APART_POINTS = 6.0
"""Between marks of the same arithmetic, which stand beside each other."""

MARK_POINTS = 4.0
"""About a mark, that no label may cover."""

LED_POINTS = 10.0
"""From its mark to a label that no line has to lead to."""

SWEEPS = 3
"""So often a label is placed anew, beside where the others are by then."""

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""


@dataclass(frozen=True)
class Placed:
    """A label's box beside its mark, and whether it is so far away that a line leads to it."""

    box: Box
    led: bool


def figure(report: Report, answer: FrontierAnswer, told: Sequence[str]) -> list[Block]:
    """The figure; nothing where no run has measured the series."""
    results = report.results
    marks = marks_of(results, answer.series)
    if not any(mark.quality.n for mark in marks if not mark.is_base):
        return []
    finding = title_of(told)
    bound = bound_of(results, answer)
    room = 2 * PANEL_INCHES + GAP_INCHES
    with figures.style():
        frame = framed(finding, tiles_of(report, answer.pictured), room)
        high = (frame.top - frame.bottom - GAP_INCHES / frame.tall) / 2
        across = span([1.0, *(mark.cost for mark in marks)], 1.13)
        panels = ((answer.title, by_quality, bound), (metric_name(results), by_metric, None))
        for k, (heading, ratio, limit) in enumerate(panels):
            ax = frame.canvas.add_axes((LEFT, frame.top - high - k * (high + GAP_INCHES / frame.tall), WIDE, high))
            size = 72 * figures.WIDTH * WIDE, 72 * high * frame.tall
            panel(ax, marks, ratio, across, size, limit)
            ax.set_title(f"{heading}, over the base's", loc="left", fontsize=8, fontweight="bold", pad=4)
            if k == 0:
                ax.set_xticklabels([])
            else:
                ax.set_xlabel("arithmetic of training, over the base's, log scale", fontsize=6.5)
        counts = sorted({mark.quality.n for mark in marks})
        n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
        series, metric = f"the {answer.title} ({answer.series})", f"the {metric_name(results)} {when(results)}"
        caption = (
            "The answer: for each variant the multiply-accumulates of training, counted from the config, and up the "
            f"ratios to the base of {series} at the last iteration and of {metric}, below 1 where it is better, paired "
            f"by seed, geometric means with 95% intervals, {n}. Filled marks, joined by a line, are those that no "
            "other has as little of both as, by the means; marks of the same arithmetic stand beside each other. The "
            f"dashed line is the factor that the claim declares{crosses(marks)}. Images are the first of the fixed "
            "latents and not chosen."
        )
        alt = f"{finding} Samples beside real images, and every variant's ratios over its arithmetic."
        return [report.figure(frame.canvas, "answer.svg", caption, alt)]


def crosses(marks: Sequence[Mark]) -> str:
    """What crosses are, where there are any."""
    if not any(mark.incoherent for mark in marks):
        return ""
    return f"; a cross is a variant whose dense images are less than {dense.COHERENT:g} dB from the coarse ones"


def panel(
    ax: Axes, marks: Sequence[Mark], ratio: Ratio, across: Point, size: Point, limit: float | None = None
) -> Axes:
    """One measure: marks with intervals and labels, the frontier, and 1; `size` is the panel's in points."""
    drawn = [mark for mark in marks if ratio(mark) is not None]
    up = limits_of(drawn, ratio, limit)
    log_axis(ax, "x", *across, times)
    log_axis(ax, "y", *up, times)
    ax.tick_params(labelsize=6.5)
    ax.axhline(1, color=INK, lw=0.6, zorder=1)
    if limit is not None:
        ax.axhline(limit, color=GREY, lw=0.8, ls="--", zorder=1)
        looks: dict[str, Any] = {"fontsize": 6, "color": GREY, "ha": "right", "va": "bottom"}
        ax.annotate(f"×{factor(limit)}, declared", (1, limit), xycoords=ax.get_yaxis_transform(), **looks)
    step = APART_POINTS * math.log(across[1] / across[0]) / size[0]
    xs = beside_each_other([mark.cost for mark in drawn], step)
    best = {mark.name for mark in frontier(drawn, ratio)}
    line = [(x, ratio(mark)) for x, mark in zip(xs, drawn, strict=True) if mark.name in best]
    ax.plot(*zip(*sorted(line), strict=True), color=GREEN, lw=1.0, alpha=0.8, zorder=2) if line else None
    for x, mark in zip(xs, drawn, strict=True):
        draw_mark(ax, x, mark, ratio, up, on_frontier=mark.name in best)
    draw_labels(ax, [Spot.of(mark, x, ratio) for x, mark in zip(xs, drawn, strict=True)], (across, up), size, limit)
    if missing := [mark.title for mark in marks if ratio(mark) is None]:
        ax.text(0.995, 0.97, f"no ratio: {listed(missing)}", transform=ax.transAxes, fontsize=6, color=GREY, ha="right")
    return ax


def limits_of(marks: Sequence[Mark], ratio: Ratio, limit: float | None) -> Point:
    """The ends of the axis of ratios: all means, and of intervals what lies within twice as far."""
    means = [ratio(mark) or 1.0 for mark in marks]
    least, most = min([1.0, *means]), max([1.0, *means])
    reach = max(math.log(most / least), math.log(1.3))
    ends = [x for mark in marks if not mark.is_base for x in ends_of(mark, ratio) if x is not None]
    kept = [min(max(x, least * math.exp(-reach)), most * math.exp(reach)) for x in ends]
    low, high = span([least, most, *kept, *([] if limit is None else [limit])], 1.08)
    return low, high


def ends_of(mark: Mark, ratio: Ratio) -> tuple[float | None, float | None]:
    """The interval of what is drawn."""
    effect = mark.quality if ratio is by_quality else mark.metric
    return effect.low, effect.high


def beside_each_other(costs: Sequence[float], step: float) -> list[float]:
    """Where marks stand: those of about one cost side by side, `step` apart on the log scale."""
    logs = np.log(costs)
    groups: list[list[int]] = []
    for k in np.argsort(logs, kind="stable").tolist():
        if groups and logs[k] - logs[groups[-1][-1]] < step / 2:
            groups[-1].append(k)
        else:
            groups.append([k])
    places = logs.copy()
    for group in groups:
        for place, k in enumerate(group):
            places[k] = logs[group].mean() + step * (place - (len(group) - 1) / 2)
    return [float(place) for place in np.exp(places)]


def draw_mark(ax: Axes, x: float, mark: Mark, ratio: Ratio, up: Point, *, on_frontier: bool) -> None:
    """A variant with its interval."""
    y = ratio(mark) or 1.0
    colour = GREEN if on_frontier else GREY
    low, high = ends_of(mark, ratio)
    if low is not None and high is not None:
        ax.plot((x, x), (max(low, up[0]), min(high, up[1])), color=colour, lw=1.1, alpha=0.75, zorder=3)
    if mark.is_base:
        ax.plot(x, y, "s", ms=5, mfc=GREEN if on_frontier else INK, mec=INK, mew=0.9, zorder=5)
    elif mark.incoherent:
        ax.plot(x, y, "x", ms=4.5, mew=1.2, color=GREY, zorder=5)
    else:
        ax.plot(x, y, "o", ms=4.4, mfc=GREEN if on_frontier else "white", mec=colour, mew=0.9, zorder=5)


@dataclass(frozen=True)
class Spot:
    """Where a mark stands, with its interval and its name."""

    title: str
    x: float
    y: float
    low: float
    high: float

    @classmethod
    def of(cls, mark: Mark, x: float, ratio: Ratio) -> Spot:
        """The spot of a variant at that place."""
        y = ratio(mark) or 1.0
        low, high = ends_of(mark, ratio)
        return cls(mark.title, x, y, y if low is None else low, y if high is None else high)


def draw_labels(
    ax: Axes, spots: Sequence[Spot], ends: tuple[Point, Point], size: Point, limit: float | None = None
) -> None:
    """The short titles, each beside its mark and none over another."""

    def along(value: float, which: int) -> float:
        low, high = ends[which]
        return size[which] * math.log(value / low) / math.log(high / low)

    texts = [figures.in_lines(spot.title, LABEL_POINTS, LABEL_WIDTH) for spot in spots]
    sizes = [label_size(text) for text in texts]
    points = [(along(spot.x, 0), along(spot.y, 1)) for spot in spots]
    lines = [1.0, *([] if limit is None else [limit])]
    obstacles = [
        *(
            (x - 1.5, along(spot.low, 1), x + 1.5, along(spot.high, 1))
            for (x, _), spot in zip(points, spots, strict=True)
        ),
        *((0.0, along(line, 1) - 1, size[0], along(line, 1) + 1) for line in lines),
        *([] if limit is None else [(size[0] - 50, along(limit, 1), size[0], along(limit, 1) + 8)]),
    ]
    for text, point, placed in zip(texts, points, place_labels(points, sizes, size, obstacles), strict=True):
        left, bottom, right, top = placed.box
        if placed.led:
            nearest = float(np.clip(point[0], left, right)), float(np.clip(point[1], bottom, top))
            xs, ys = zip(point, nearest, strict=True)
            ax.plot(
                np.array(xs) / size[0], np.array(ys) / size[1], color=GREY, lw=0.5, transform=ax.transAxes, zorder=2
            )
        looks: dict[str, Any] = {"ha": "center", "va": "center", "linespacing": 1.05, "transform": ax.transAxes}
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85}
        middle = (left + right) / 2 / size[0], (bottom + top) / 2 / size[1]
        # Below the intervals: nothing that was measured is hidden.
        ax.text(*middle, text, fontsize=LABEL_POINTS, color=INK, zorder=2.5, bbox=behind, **looks)


def label_size(text: str) -> Point:
    """How wide and high a label is, in points."""
    lines = text.split("\n")
    return max(figures.text_points(line, LABEL_POINTS) for line in lines), LABEL_POINTS * 1.2 * len(lines)


def place_labels(
    points: Sequence[Point], sizes: Sequence[Point], room: Point, obstacles: Sequence[Box] = ()
) -> list[Placed]:
    """Boxes of these sizes beside their points and within the room: where they cover no mark and no other label, and of
    `obstacles` little, as far as there is such a place, and as near as can be. All are points from the lower left."""
    marks = [(x - MARK_POINTS, y - MARK_POINTS, x + MARK_POINTS, y + MARK_POINTS) for x, y in points]
    placed: dict[int, Placed] = {}
    for k in [*range(len(points))] * SWEEPS:
        others = [placed[other].box for other in placed if other != k]
        (wide, high), tries = sizes[k], list(beside(points[k], sizes[k]))

        def cost(tried: tuple[float, Box], others: list[Box] = others, area: float = wide * high) -> float:
            distance, box = tried
            covered = sum(overlap(box, other) for other in [*others, *marks])
            crossed = sum(overlap(box, each) for each in obstacles)
            # Of places that are free the nearest, of those as near the first.
            return 10 * covered + 20 * (area - overlap(box, (0.0, 0.0, *room))) + crossed + 4 * distance

        distance, box = min(tries, key=cost)
        placed[k] = Placed(box, distance > LED_POINTS)
    return [placed[k] for k in range(len(points))]


def beside(point: Point, size: Point) -> Iterator[tuple[float, Box]]:
    """Boxes of a size around a point, the right one first, each with how far it is."""
    (x, y), (wide, high) = point, size
    for distance in (6.0, 9.0, 13.0, 18.0, 24.0, 32.0, 42.0, 56.0):
        for turn in range(16):
            angle = math.tau * turn / 16
            across, up = x + math.cos(angle) * (distance + wide / 2), y + math.sin(angle) * (distance + high / 2)
            yield distance, (across - wide / 2, up - high / 2, across + wide / 2, up + high / 2)


def overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)
