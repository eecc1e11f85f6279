"""Small panels, one for each comparison, of its interval against something: seeds, or scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from reports import figures, stats
from reports.figures import INK, log_axis, span
from reports.numbers import times

COLUMNS = 5
PANEL_INCHES = 1.15


@dataclass(frozen=True)
class Point:
    """An effect at a place on the horizontal axis."""

    x: float
    effect: stats.Effect | None
    colour: str


@dataclass(frozen=True)
class Panel:
    """A comparison; its title has the colour of its verdict."""

    title: str
    colour: str
    points: Sequence[Point]


def drawn(panels: Sequence[Panel], across: str, labels: Sequence[str] = ()) -> Canvas:
    """All panels on common axes, ratios up on a log scale. `across` says what lies on the horizontal axis, `labels`
    its places 0, 1, 2 and so on where those are no numbers."""
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    lines = max((label.count("\n") + 1 for label in labels), default=1)
    tall = 0.3 + PANEL_INCHES * rows + 0.1 * (lines - 1)
    canvas = Canvas(figsize=(figures.WIDTH, tall), layout="constrained")
    axes = canvas.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    found = [point.effect for panel in panels for point in panel.points if point.effect is not None]
    ends = [x for effect in found for x in (effect.low, effect.high) if x]
    limits = span([min(max(x, 0.05), 20.0) for x in ends] or [0.5, 2.0])
    for ax, panel in zip(axes, panels, strict=False):
        one(ax, panel, limits, across, labels)
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    return canvas


def one(ax: Axes, panel: Panel, limits: tuple[float, float], across: str, labels: Sequence[str]) -> Axes:
    """The intervals of one comparison."""
    ax.axhline(1, color=INK, lw=0.6)
    for point in panel.points:
        effect = point.effect
        if effect is None or effect.ratio is None:
            continue
        if effect.low is not None and effect.high is not None:
            ends = max(effect.low, limits[0]), min(effect.high, limits[1])
            ax.plot((point.x, point.x), ends, color=point.colour, lw=1.3)
        ax.plot(point.x, effect.ratio, "o", ms=3, color=point.colour)
    title = figures.in_lines(panel.title, 6.5, 72 * figures.WIDTH / COLUMNS - 22)
    ax.set_title(title, fontsize=6.5, loc="left", color=panel.colour)
    log_axis(ax, "y", *limits, times)
    ax.tick_params(labelsize=6)
    if labels:
        ax.set_xlim(-0.5, len(labels) - 0.5)
        ax.set_xticks(range(len(labels)), labels, fontsize=5)
    ax.set_xlabel(across, fontsize=6)
    ax.label_outer()
    return ax
