"""Where seeds were added until all was decided: every comparison's interval at each look, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from reports import figures
from reports.commands import planned_designs
from reports.decide import HOPE
from reports.figures import GREY, INK, log_axis, span, word_colour
from reports.numbers import counted, interval, times
from reports.page import Block, Heading, Paragraph
from reports.report import DESIGN_HEADS, Report
from reports.tables import Rows
from reports.verdicts import ChangeEffect

COLUMNS = 5
PANEL_INCHES = 1.15


def path(report: Report) -> list[Block]:
    """Nothing where the number of seeds was fixed."""
    results = report.results
    decide = results.plan.decide
    if decide is None:
        return []
    designs = [design for design in planned_designs(results) if design in report.effects]
    looked = [(design, [e for e in report.effects[design] if e.looks]) for design in designs]
    shown = [(design, effects) for design, effects in looked if effects]
    if not shown:
        return []
    looks = ", ".join(map(str, decide.looks))
    runs = sum(len(results.plan.seeds_of(variant)) for variant in results.plan.listed)
    most = len(results.plan.listed) * decide.looks[-1]
    blocks: list[Block] = [
        Heading("How the seeds were spent", 2),
        Paragraph(
            f"Seeds were added until every comparison was decided, at looks that were declared before the first run: "
            f"{looks} seeds. Intervals and tests hold at all looks together (docs/intervals.md), so that looking again "
            f"finds nothing by itself; they are wider than those of a number of seeds that was fixed. From the second "
            f"look on, a comparison that is less than {HOPE:.0%} likely to be decided by the last one gets no more "
            "seeds. "
            f"{counted(runs, 'run')} were asked for; {most:,} would have been with the most seeds everywhere."
        ),
    ]
    for design, effects in shown:
        with figures.style():
            blocks.append(
                report.figure(
                    drawn(effects),
                    f"path_{design}.svg",
                    f"{DESIGN_HEADS[design].capitalize()}: ratio with / without each change and its interval at every "
                    "look, against seeds; below 1 it helps. Blue helps, vermilion hurts, black is negligible, grey is "
                    f"open; a change is negligible "
                    f"within a factor of {decide.margin:g}.",
                    "One small panel for each change: its interval narrows with the seeds until it is decided.",
                )
            )
        rows = Rows(effects)
        rows.words("change", lambda e: e.change.title, 1.5)
        rows.each(
            sorted({n for e in effects for n in e.looks}),
            lambda n: f"{n} seeds",
            lambda e, n: interval(e.looks[n].effect) if n in e.looks else "",
        )
        rows.words("verdict", lambda e: e.word, 0.7)
        blocks.append(
            rows.table(
                f"{DESIGN_HEADS[design].capitalize()}: the ratio with / without each change at every look, with the "
                "interval that holds at all of them together.",
                name=f"path_{design}",
                size=7.2,
            )
        )
    return blocks


def drawn(effects: Sequence[ChangeEffect]) -> Canvas:
    """A panel for each comparison."""
    columns = min(COLUMNS, len(effects))
    rows = -(-len(effects) // columns)
    canvas = Canvas(figsize=(figures.WIDTH, 0.3 + PANEL_INCHES * rows), layout="constrained")
    panels = canvas.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    ends = [x for e in effects for at in e.looks.values() if at.effect for x in (at.effect.low, at.effect.high) if x]
    limits = span([min(max(x, 0.05), 20.0) for x in ends] or [0.5, 2.0])
    for ax, effect in zip(panels, effects, strict=False):
        panel(ax, effect, limits)
    for ax in panels[len(effects) :]:
        ax.set_axis_off()
    return canvas


def panel(ax: Axes, effect: ChangeEffect, limits: tuple[float, float]) -> Axes:
    """The intervals of one comparison against seeds."""
    colour = word_colour(effect.word)
    ax.axhline(1, color=INK, lw=0.6)
    last = max(effect.looks)
    for n, at in effect.looks.items():
        if at.effect is None or at.effect.ratio is None:
            continue
        shade = colour if n == last else GREY
        if at.effect.low is not None and at.effect.high is not None:
            ax.plot((n, n), (max(at.effect.low, limits[0]), min(at.effect.high, limits[1])), color=shade, lw=1.3)
        ax.plot(n, at.effect.ratio, "o", ms=3, color=shade)
    title = figures.in_lines(effect.change.brief, 6.5, 72 * figures.WIDTH / COLUMNS - 22)
    ax.set_title(title, fontsize=6.5, loc="left", color=colour)
    log_axis(ax, "y", *limits, times)
    ax.tick_params(labelsize=6)
    ax.set_xlabel("seeds", fontsize=6)
    ax.label_outer()
    return ax
