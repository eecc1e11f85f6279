"""Changes that alter how much is computed: what they do at equal updates of G, images and arithmetic."""

from __future__ import annotations

from reports.commands import planned_designs
from reports.fair import AtEqual, at_equal
from reports.numbers import WORK
from reports.page import Block, Heading, Paragraph
from reports.report import DESIGN_HEADS, Report
from reports.results import metric_letters
from reports.tables import Rows
from reports.verdicts import ChangeEffect


def fair_arms(report: Report) -> list[Block]:
    """One row for every change and design, and every cost that the two variants differ in."""
    rows: list[tuple[ChangeEffect, AtEqual | None]] = []
    designs = planned_designs(report.results)
    for design, effects in report.effects.items():
        for effect in effects if design in designs else ():
            if effect.effect is not None and (equal := at_equal(effect, report.results)):
                rows += [(effect, None), *((effect, each) for each in equal)]
    if not rows:
        return []
    table: Rows[tuple[ChangeEffect, AtEqual | None]] = Rows(rows)
    table.words("change", lambda row: row[0].change.title, 1.2, once=True)
    table.words("design", lambda row: DESIGN_HEADS[row[0].design], 0.8, once=True)
    table.words("equal", lambda row: "iterations" if row[1] is None else row[1].words, 1.2)
    table.words("how", lambda row: how(row[1], report), 1.6)
    table.numbers("ratio [95%]", lambda row: (row[1] or row[0]).effect, 1.1)
    table.numbers("n", lambda row: n_of(row[1] or row[0]), 0.3)
    return [
        Heading("Changes that alter how much is computed", 2),
        Paragraph(
            "An iteration is one update of D, so a change of how often G is updated, of the batch or of a network's "
            "size makes equal iterations unequal in something else. A finding that holds at equal iterations alone "
            "may be no more than that."
        ),
        table.table(
            f"Ratio of the {metric_letters(report.results)} with / without the change, below 1 where it helps, at "
            "equal iterations as in the design, and at equal everything in which the two variants differ by more than "
            "5%: the costlier one read earlier, at the same shares of that cost as the cheaper one is of its own, "
            "log-linear between its evaluations, or the cheaper one trained for "
            f"longer. Paired by seed, 95% intervals that are not corrected and, but for those at equal iterations, "
            f"borrow nothing. {WORK}",
            name="fair_arms",
            size=7.8,
        ),
    ]


def n_of(compared: ChangeEffect | AtEqual) -> int:
    """The seeds that a ratio is of."""
    return compared.effect.n if compared.effect else 0


def how(equal: AtEqual | None, report: Report) -> str:
    """How equal was made."""
    if equal is None:
        return "both at their end"
    if equal.control:
        return f"“{report.results.title(equal.control)}”"
    return f"the costlier one at iteration {equal.read_at:,}"
