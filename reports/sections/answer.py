"""The figure that answers a study, by the kind of answer that it declares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from ablations.answers import (
    ChangesAnswer,
    ClaimsAnswer,
    FrontierAnswer,
    NumberAnswer,
    ScalesAnswer,
    VariantsAnswer,
)
from reports.answers import changes, claims, frontier, number, scales, variants
from reports.page import Block
from reports.report import Report


def answer_figure(report: Report, told: Sequence[str]) -> list[Block]:
    """The figure under the finding, which is `told`; nothing where there is none, or nothing of it was run."""
    answer = report.results.study.answer
    match answer:
        case None:
            return []
        case ChangesAnswer():
            return changes.figure(report, answer)
        case ClaimsAnswer():
            return claims.figure(report, answer, told)
        case VariantsAnswer():
            return variants.figure(report, answer, told)
        case NumberAnswer():
            return number.figure(report, answer, told)
        case ScalesAnswer():
            return scales.figure(report, answer, told)
        case FrontierAnswer():
            return frontier.figure(report, answer, told)
        case _:
            assert_never(answer)
