"""The figure of a study of changes: every effect, sorted, in two designs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ablations.answers import ChangesAnswer
from reports import figures
from reports.answers.frame import LEFT, ROW_INCHES, WIDE, framed, name_rows, tiles_of
from reports.figures import GREY, INK, interval_bar, log_axis, word_colour
from reports.finding import designs_of, title
from reports.numbers import factor, times
from reports.page import Block
from reports.report import Report
from reports.results import metric_name, when
from reports.verdicts import ChangeEffect

VALUES = 0.05
"""The share of the width that the values beside a panel take."""

PANELS = {
    "leave_one_out": ("take it out of all", "the distance grows by this factor"),
    "add_one_in": ("add it alone", "the distance shrinks by this factor"),
    "ladder": ("add it on the step before", "the distance shrinks by this factor"),
}
"""What a panel asks of a change, and what its numbers are: helping is to the right in all of them."""


def figure(report: Report, answer: ChangesAnswer) -> list[Block]:
    """The figure; nothing where no design of it was run."""
    there = [design for design in designs_of(report.results.study, report) if design in answer.designs]
    if not there:
        return []
    shown = {design: report.effects[design] for design in there[:2]}
    order = sorted(range(len(report.results.study.judged)), key=lambda k: gain(next(iter(shown.values()))[k]))
    pictures = tiles_of(report, answer.pictured)
    finding = title(report, list(shown))
    gap = 0.09
    with figures.style():
        frame = framed(finding, pictures, ROW_INCHES * len(order))
        limits = limits_of([effect for effects in shown.values() for effect in effects])
        each = (WIDE - gap * (len(shown) - 1)) / len(shown)
        for k, (design, effects) in enumerate(shown.items()):
            ax = frame.panel(LEFT + k * (each + gap), each - VALUES, len(order), *PANELS[design])
            panel(ax, [effects[index] for index in order], limits, named=k == 0)
        return [
            report.figure(
                frame.canvas,
                "answer.svg",
                f"The answer: {metric_name(report.results)} {when(report.results)}, n = {report.n} at most. Ratios "
                "with their intervals (an arrow where one goes on), helping to the right; blue helps, vermilion hurts, "
                "black is negligible, grey open or unstable, after Holm's correction over each design. These are the "
                "inverse of the tables' ratios with / without. Images are the first of the fixed latents of the first "
                "seed and not chosen, pixels enlarged; numbers above them are that run's.",
                f"{finding} Samples beside real images, and a forest plot of every change.",
            )
        ]


def gain(effect: ChangeEffect) -> float:
    """The ratio with / without, for an order from the most helpful on; what is not known comes last."""
    return effect.effect.ratio if effect.effect is not None and effect.effect.ratio is not None else np.inf


def limits_of(effects: Sequence[ChangeEffect]) -> tuple[float, float]:
    """The ends of an axis that holds every ratio and most of the intervals."""
    found = [e.effect for e in effects if e.effect is not None and e.effect.ratio is not None]
    ends = [x for e in found for x in (e.low, e.high) if x is not None]
    return reach_of([e.ratio for e in found if e.ratio is not None], ends)


def reach_of(ratios: Sequence[float], ends: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis around 1 that holds all of these ratios and most of the ends of their intervals."""
    far = [abs(float(np.log(ratio))) for ratio in ratios]
    wide = [abs(float(np.log(end))) for end in ends]
    reach = float(np.exp(max(np.log(1.5), 1.1 * max(far, default=0.0), float(np.quantile(wide, 0.8)) if wide else 0.0)))
    return 1 / reach, reach


def ratio_axis(ax: Axes, limits: tuple[float, float]) -> Axes:
    """A log axis of factors around 1."""
    log_axis(ax, "x", *limits, times)
    doubled = [tick for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8) if limits[0] <= tick <= limits[1]]
    ax.set_xticks(doubled if len(doubled) > 1 else [0.7, 1, 1.4])
    ax.tick_params(axis="x", labelsize=6.5)
    return ax


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
    name_rows(ax, [e.change.title if named else "" for e in effects])
    ax.set_ylim(len(effects) - 0.5, -0.5)
    ratio_axis(ax, limits)
    ax.set_xlabel("← it hurts        it helps →", fontsize=6.5)
    return ax
