"""The figure of a study at several scales: every effect at each, in the order of the smallest one."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.answers import ScalesAnswer
from reports import figures
from reports.answers.changes import gain, limits_of, panel
from reports.answers.frame import LEFT, ROW_INCHES, WIDE, framed, tiles_of, title_of
from reports.page import Block
from reports.report import Report
from reports.results import metric_name
from reports.scales import scales_of

GAP, VALUES = 0.07, 0.045
"""Shares of the width: between panels, and what the values beside each take."""


def figure(report: Report, answer: ScalesAnswer, told: Sequence[str]) -> list[Block]:
    """The figure; nothing where no scale was run. Of more scales than it has panels it shows the largest, and the
    smallest first."""
    scales = scales_of(report.results)
    if not scales:
        return []
    shown = [scales[0], *scales[1:][-(answer.most - 1) :]] if len(scales) > 1 else scales
    order = sorted(range(len(scales[0].effects)), key=lambda k: gain(scales[0].effects[k]))
    metrics = dict.fromkeys(metric_name(scale.results) for scale in shown)
    finding = title_of(told)
    with figures.style():
        frame = framed(finding, tiles_of(report, answer.pictured), ROW_INCHES * len(order))
        limits = limits_of([effect for scale in shown for effect in scale.effects])
        each = (WIDE - GAP * (len(shown) - 1)) / len(shown)
        for k, scale in enumerate(shown):
            heading, _, length = scale.title.rpartition(", ")
            what = f"{length}, n = {scale.n}"
            ax = frame.panel(LEFT + k * (each + GAP), each - VALUES, len(order), heading, what)
            panel(ax, [scale.effects[index] for index in order], limits, named=k == 0)
        return [
            report.figure(
                frame.canvas,
                "answer.svg",
                f"The answer: each change taken out of all, at each scale; {', '.join(metrics)}. The distance without "
                "the change over that with it, with its 95% interval (an arrow where one goes on), helping to the "
                "right: the inverse of the tables' ratios. Blue helps, vermilion hurts, black is negligible, grey open "
                "or unstable, after Holm's correction over each scale. Images are the first of the fixed latents of "
                f"the first seed of {report.results.plan.setting} and not chosen, pixels enlarged.",
                f"{finding} Samples beside real images, and every change's effect at each scale.",
            )
        ]
