"""Learning curves: the metric against iterations and against what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from core.arithmetic import g_updates, training
from reports import charts, figures
from reports.numbers import WORK, counted, fixed_unit, listed
from reports.page import Block, Heading, Paragraph
from reports.report import Report, highlighted
from reports.results import Results, metric_letters, metric_name
from reports.sections.end_to_end import Axis, work_axis
from studies.plan import PlannedVariant


def learning_curves(report: Report) -> list[Block]:
    """The metric against iterations and whatever of images, updates of G and arithmetic is not proportional to them."""
    results = report.results
    blocks: list[Block] = [Heading("Learning curves")]
    colours = highlighted(report)
    variants = results.plan.variants
    frames = {
        v.name: [frame for seed in results.plan.seeds if not (frame := results.curve(v, seed)).empty] for v in variants
    }
    values = [float(v) for found in frames.values() for frame in found for v in frame["value"]]
    if not np.isfinite(values).any():
        return [*blocks, Paragraph("No run has been evaluated yet.")]
    axes = curve_axes(results)
    with figures.style():
        columns = len(axes) if len(axes) < 4 else 2
        rows = -(-len(axes) // columns)
        canvas = Canvas(figsize=(figures.WIDTH, 0.2 + 2.55 * rows), layout="constrained")
        panels = canvas.subplots(rows, columns, sharey=True, squeeze=False)
        # Of grey variants only the mean is drawn: a seed of theirs that went astray is not seen, and takes no room.
        arms = {
            name: tuple((f["iteration"].to_numpy(dtype=float), f["value"].to_numpy(dtype=float)) for f in found)
            for name, found in frames.items()
        }
        means = [charts.mean_curve(runs) for runs in arms.values()]
        seen = [float(v) for mean in means if mean is not None for v in mean[1]]
        seen += [float(v) for name in colours for frame in frames[name] for v in frame["value"]]
        limits = figures.span(seen)
        for ax, (along, label, _) in zip(panels.flat, axes, strict=True):
            drawn = []
            for v in variants:
                runs = tuple((along(v, f), f["value"].to_numpy(dtype=float)) for f in frames[v.name])
                drawn.append(charts.Curve(v.title, runs, colours.get(v.name)))
            charts.curves(ax, drawn, label, limits)
        for ax in panels[:, 0]:
            ax.set_ylabel(f"{metric_name(results)}, log scale", fontsize=6.8)
        figures.shared_legend(canvas, list(panels.flat), columns=3)
        others = sum(means_of is not None and name not in colours for name, means_of in zip(arms, means, strict=True))
        grey = f" The other {counted(others, 'variant')} in grey." if others else ""
        against = listed([words for *_, words in axes])
        same = "" if any(words == "images" for *_, words in axes) else " Images shown are proportional to iterations."
        blocks.append(
            report.figure(
                canvas,
                "curves.svg",
                f"{metric_letters(results)} during training against {against}: geometric means over seeds, thin lines "
                f"single seeds, × the last value of a run that diverged.{grey}{same} {WORK} Seconds are not "
                "drawn: they would be of the machine's load as well.",
                f"{counted(len(axes), 'panel')} of learning curves: against {against}.",
            )
        )
    return blocks


def curve_axes(results: Results) -> list[tuple[Axis, str, str]]:
    """What the metric is drawn along, each with its label and its words: iterations and arithmetic always, images and
    updates of G where they are not proportional to iterations alike in all variants."""
    configs = [variant.config for variant in results.plan.variants]
    axes: list[tuple[Axis, str, str]] = [
        (lambda _, curve: curve["iteration"].to_numpy(dtype=float), "iterations (updates of D)", "iterations")
    ]
    if len({config.batch_size for config in configs}) > 1:
        axes.append((lambda _, curve: curve["images"].to_numpy(dtype=float), "real images shown", "images"))
    if len({g_updates(config) / config.iterations for config in configs}) > 1:

        def updates(variant: PlannedVariant, curve: pd.DataFrame) -> NDArray[np.float64]:
            return np.array([g_updates(variant.config, int(i)) for i in curve["iteration"]], dtype=float)

        axes.append((updates, "updates of G", "updates of G"))
    unit = fixed_unit([training(config) for config in configs])

    def work(variant: PlannedVariant, curve: pd.DataFrame) -> NDArray[np.float64]:
        return work_axis(variant, curve) / unit.size

    axes.append((work, f"arithmetic of training, {unit.name}", "arithmetic"))
    return axes
