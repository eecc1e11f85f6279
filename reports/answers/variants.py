"""The figure of a study that asks which variant is best: every seed of each, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from ablations.answers import VariantsAnswer
from reports import figures, stats
from reports.answers.frame import (
    LEFT,
    NAMES_POINTS,
    ROW_INCHES,
    WIDE,
    Row,
    draw_title,
    framed,
    lines_of,
    name_rows,
    tiles_of,
    title_of,
)
from reports.charts import beyond_words
from reports.figures import GREY, INK, PALE, interval_bar, log_axis
from reports.finding_of_variants import Arm, Panel, elsewhere, panels_of
from reports.numbers import fixed, short
from reports.page import Block
from reports.report import Report
from reports.results import metric_letters, metric_name, when

VALUES = 0.055
"""The share of the width that the values beside a panel take."""

OWN_NAMES = 92
"""The widest that a row's name may be in a line where every panel has names of its own."""

WIDE_TILES = 8
"""Images in a row of a figure that has no panel."""

Write = Callable[[float | None], str]


def figure(report: Report, answer: VariantsAnswer, told: Sequence[str]) -> list[Block]:
    """The figure; nothing where no run of its rows has ended."""
    results = report.results
    panels = panels_of(results, answer)
    if not any(arm.summary.n for panel in panels for arm in panel.arms):
        return []
    finding = title_of(told)
    rows = max(len(panel.arms) for panel in panels)
    with figures.style():
        if rows == 1 and len(panels) == 1:
            pictures = tiles_of(report, answer.pictured, WIDE_TILES)
            if not pictures:
                return []
            canvas, shown = samples_alone(finding, pictures), "Samples beside real images."
            caption = seeds_words(panels[0].arms[0], metric_name(results))
        else:
            canvas = with_panels(report, answer, finding, panels)
            shown = "Samples beside real images, and the value of every seed of each variant."
            caption = caption_of(report, answer)
        caption = (
            f"The answer: {caption} {when(results)}, n = {report.n} at most. Images are the first of the fixed latents "
            "and not chosen, pixels enlarged."
        )
        return [report.figure(canvas, "answer.svg", caption, f"{finding} {shown}")]


def caption_of(report: Report, answer: VariantsAnswer) -> str:
    """What the marks of the panels are."""
    words = (
        f"{metric_name(report.results)}, lower is better: a dot for each seed, an upright bar for their geometric mean "
        "with its 95% interval (an arrow where one goes on); grey where seeds lie wildly apart or diverged; the dashed "
        "line is the base."
    )
    if answer.order_of is not None and elsewhere(report.results, answer) is not None:
        words += (
            f" Rows are in the order of the values behind their names, which they have in {answer.order_of.study}: "
            "where that order predicts this one the bars move to the right from row to row."
        )
    return f"{words} Values are"


def samples_alone(finding: str, rows: Sequence[Row]) -> Canvas:
    """A figure of images alone, as large as its width holds."""
    lines = lines_of(finding)
    count = max(len(tiles) for _, tiles in rows)
    side = figures.WIDTH / count
    tall = 0.15 + 0.17 * len(lines) + len(rows) * (side + 0.22)
    canvas = Canvas(figsize=(figures.WIDTH, tall))
    draw_title(canvas, lines, tall)
    above = tall - 0.15 - 0.17 * len(lines)
    for name, tiles in rows:
        canvas.text(0.0, (above - 0.17) / tall, name, fontsize=7, va="bottom")
        for column, tile in enumerate(tiles):
            ax = canvas.add_axes((column / count, (above - 0.2 - side) / tall, 1 / count, side / tall))
            ax.imshow(tile, interpolation="nearest")
            ax.set_axis_off()
        above -= side + 0.22
    return canvas


def seeds_words(arm: Arm, metric: str) -> str:
    """The values of a single arm, seed by seed."""
    ended = arm.values[~np.isnan(arm.values)]
    return f"{metric} by seed {', '.join(short(float(value)) for value in ended)},"


def with_panels(report: Report, answer: VariantsAnswer, finding: str, panels: Sequence[Panel]) -> Canvas:
    """Images at the left and the panels beside them; each has names of its own where their orders differ."""
    pictures = tiles_of(report, answer.pictured)
    rows = max(len(panel.arms) for panel in panels)
    own_names = any([a.title for a in panel.arms] != [a.title for a in panels[0].arms] for panel in panels)
    frame = framed(finding, pictures, ROW_INCHES * rows)
    drawn = [value for panel in panels for arm in panel.arms for value in shown_values(arm)]
    limits = figures.span(drawn, 1.25)
    write = fixed([arm.summary.mean for panel in panels for arm in panel.arms])
    ordered = any(arm.elsewhere is not None for panel in panels for arm in panel.arms)
    what = f"in the order of {answer.order_of.study}" if ordered and answer.order_of is not None else ""
    gap, left = (0.21, 0.375) if own_names else (0.03, LEFT)
    each = (LEFT + WIDE - left - gap * (len(panels) - 1)) / len(panels)
    for k, panel in enumerate(panels):
        ax = frame.panel(left + k * (each + gap), each - VALUES, rows, panel.heading, what)
        draw_panel(ax, panel, limits, write, named=own_names or k == 0, width=OWN_NAMES if own_names else NAMES_POINTS)
        ax.set_xlabel(f"{metric_letters(report.results)} (lower is better)", fontsize=6.5)
    return frame.canvas


def shown_values(arm: Arm) -> NDArray[np.float64]:
    """What the axis has to hold: of an unstable arm its bulk."""
    finite = arm.values[np.isfinite(arm.values) & (arm.values > 0)]
    return finite[~stats.outlying(finite)] if arm.unstable else finite


def draw_panel(ax: Axes, panel: Panel, limits: tuple[float, float], write: Write, *, named: bool, width: float) -> Axes:
    """A row for each arm, from the top down."""
    base = next((arm for arm in panel.arms if arm.name == panel.base), None)
    if base is not None and base.rank[0] == 0 and len(panel.arms) > 1:
        ax.axvline(base.summary.mean or 1.0, color=PALE, lw=0.9, ls="--", zorder=0)
    for row, arm in enumerate(panel.arms):
        ax.axhline(row, color="#eeeeee", lw=0.6, zorder=0)
        draw_arm(ax, arm, row, limits, write)
    titles = [a.title if a.elsewhere is None else f"{a.title}  {short(a.elsewhere)}" for a in panel.arms]
    name_rows(ax, titles if named else [""] * len(titles), width=width)
    ax.set_ylim(len(panel.arms) - 0.5, -0.5)
    log_axis(ax, "x", *limits)
    few = figures.log_ticks(*limits)
    ax.set_xticks(few if len(few) <= 4 else few[:: int(np.ceil(len(few) / 4))])
    ax.tick_params(axis="x", labelsize=6.5)
    return ax


def draw_arm(ax: Axes, arm: Arm, row: int, limits: tuple[float, float], write: Write) -> None:
    """The seeds of one arm, their mean with its interval, and its value in digits or what became of it in words."""
    summary, mean = arm.summary, stats.geometric_mean(arm.values)
    sound = mean is not None and not arm.unstable
    colour = INK if sound else GREY
    if mean is not None:
        if sound and mean.low is not None and mean.high is not None:
            interval_bar(ax, mean.low, mean.high, row, colour, limits)
        if limits[0] <= mean.centre <= limits[1]:
            ax.plot(mean.centre, row, "|", ms=8, mew=1.7, color=colour, zorder=3)
    seeds = arm.values[(arm.values >= limits[0]) & (arm.values <= limits[1])]
    ax.plot(seeds, np.full(seeds.size, row), "o", ms=2.8, mfc="white", mec=colour, mew=0.7, zorder=4)
    looks: dict[str, Any] = {"fontsize": 6, "color": GREY, "va": "center", "transform": ax.get_yaxis_transform()}
    outside = beyond_words(arm.values, limits) if arm.unstable else []
    for text, side in outside:
        x = 0.99 if side == "right" else 0.01
        ax.text(x, row - 0.3, text, ha=side, **looks)
    said = write(summary.mean) if mean is not None else ""
    if not arm.planned or not summary.n:
        ax.text(0.5, row - 0.05, "no run has ended" if arm.planned else "not run", ha="center", **looks)
    elif summary.diverged:
        said = f"∞ {summary.diverged}/{summary.n}"
        ax.text(0.99, row - 0.3, "diverged", ha="right", **looks)
    elif arm.unstable:
        ax.text(0.5, row + 0.3, "unstable", ha="center", **looks)
    place: dict[str, Any] = {"xytext": (5, 0), "textcoords": "offset points", "xycoords": ax.get_yaxis_transform()}
    ax.annotate(said, (1, row), annotation_clip=False, fontsize=6.5, color=colour, va="center", **place)
