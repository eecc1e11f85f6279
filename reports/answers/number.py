"""The figure of a study that asks where a number should lie: the metric over it, as lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from ablations import patch
from ablations.answers import Line, NumberAnswer
from reports import figures, stats
from reports.answers.frame import framed, tiles_of, title_of
from reports.answers.variants import shown_values
from reports.figures import CATEGORIES, log_axis
from reports.finding_of_variants import Arm, alternatives, arm, heading, with_alternative
from reports.page import Block
from reports.report import Report
from reports.results import Results, metric_letters, metric_name, when

PANEL_INCHES = 1.9
LEFT, WIDE = 0.27, 0.72
MARKS = ("o", "s", "D", "^")

Points = list[tuple[float, Arm]]
"""The arms of a line, each with its number, from the smallest number on."""


def figure(report: Report, answer: NumberAnswer, told: Sequence[str]) -> list[Block]:
    """The figure; nothing where no run of its lines has ended."""
    results = report.results
    panels = {
        alternative: {line.title: points_of(results, answer, line, alternative) for line in answer.lines}
        for alternative in alternatives(results, answer.panels)
    }
    shown = {key: lines for key, lines in panels.items() if any(a.summary.n for pts in lines.values() for _, a in pts)}
    if not shown:
        return []
    everything = [(x, a) for lines in shown.values() for points in lines.values() for x, a in points]
    finding = title_of(told)
    with figures.style():
        frame = framed(finding, tiles_of(report, answer.pictured), PANEL_INCHES)
        ends = (
            figures.span([x for x, _ in everything], 1.3),
            figures.span([value for _, each in everything for value in shown_values(each)], 1.3),
        )
        each = (WIDE - 0.03 * (len(shown) - 1)) / len(shown)
        for k, (alternative, lines) in enumerate(shown.items()):
            ax = frame.panel(LEFT + k * (each + 0.03), each, 99, heading(results, alternative, answer.base_panel))
            panel(ax, lines, ends)
            ax.set_xlabel(f"{answer.title}, log scale", fontsize=6.5)
            if k == 0:
                ax.set_ylabel(f"{metric_letters(results)}, log scale", fontsize=6.5)
                ax.legend(loc="upper left", frameon=False, fontsize=6.8, handletextpad=0.5)
            else:
                ax.set_yticklabels([])
        caption = (
            f"The answer: {metric_name(results)} {when(results)}, lower is better, n = {report.n} at most. Lines are "
            "geometric means with 95% intervals, small dots are seeds; a cross at the upper edge is a variant that "
            "diverged. Images are the first of the fixed latents and not chosen, pixels enlarged."
        )
        alt = f"{finding} Samples beside real images, and {metric_letters(results)} over the {answer.title}."
        return [report.figure(frame.canvas, "answer.svg", caption, alt)]


def points_of(results: Results, answer: NumberAnswer, line: Line, alternative: str | None) -> Points:
    """A line's planned variants with the number that each has; what has none there is left out."""
    points: Points = []
    for name in line.variants:
        own = with_alternative(results, name, alternative)
        variant = None if own is None else results.variant(own)
        config = None if variant is None else variant.config.model_dump(mode="json")
        if own is not None and config is not None and patch.has(config, answer.path):
            number = patch.lookup(config, answer.path)
            if isinstance(number, int | float) and number > 0:
                points.append((float(number), arm(results, own, name)))
    return sorted(points, key=lambda point: point[0])


def panel(ax: Axes, lines: dict[str, Points], ends: tuple[tuple[float, float], tuple[float, float]]) -> Axes:
    """The lines of one panel."""
    across, up = ends
    for (title, points), colour, mark in zip(lines.items(), CATEGORIES, MARKS, strict=False):
        means = [(x, stats.geometric_mean(each.values)) for x, each in points]
        known = [(x, mean) for x, mean in means if mean is not None]
        line = [x for x, _ in known], [mean.centre for _, mean in known]
        ax.plot(*line, f"{mark}-", color=colour, ms=4.5, lw=1.4, label=title)
        for x, mean in known:
            if mean.low is not None and mean.high is not None:
                ax.plot((x, x), (max(mean.low, up[0]), min(mean.high, up[1])), color=colour, lw=0.9, alpha=0.6)
        for x, each in points:
            seeds = shown_values(each)
            ax.plot(np.full(seeds.size, x), seeds, "o", ms=2, color=colour, alpha=0.45, lw=0, zorder=4)
            if each.summary.diverged:
                ax.plot(x, up[1], "x", color=colour, ms=5, mew=1.2, clip_on=False, zorder=5)
    log_axis(ax, "x", *across)
    log_axis(ax, "y", *up)
    ax.tick_params(labelsize=6.5)
    return ax
