"""Where seeds were added until all was decided: every comparison's interval at each look, and what it cost."""

from __future__ import annotations

from reports import figures
from reports.commands import planned_designs
from reports.decide import HOPE
from reports.figures import GREY, word_colour
from reports.numbers import counted, interval
from reports.page import Block, Heading, Paragraph
from reports.report import DESIGN_HEADS, Report
from reports.sections.panels import Panel, Point, drawn
from reports.tables import Rows
from reports.verdicts import ChangeEffect


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
                    drawn([panel(effect) for effect in effects], "seeds"),
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


def panel(effect: ChangeEffect) -> Panel:
    """The intervals of one comparison against seeds; those of looks before its last are grey."""
    colour, last = word_colour(effect.word), max(effect.looks)
    points = [Point(n, at.effect, colour if n == last else GREY) for n, at in effect.looks.items()]
    return Panel(effect.change.brief, colour, points)
