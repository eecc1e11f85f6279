"""What the one figure shows that answers a study, as data: the report draws it and titles it with the finding."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.config import Node

PairDesign = Literal["ladder", "add_one_in", "leave_one_out"]
"""A design that compares each change's variant with one other."""


class ChangesAnswer(Node):
    """Samples of a few variants beside real ones, and the effect of every change in the first two of these designs that
    were run, sorted by the first. `pictured` are names of variants."""

    kind: Literal["changes"] = "changes"
    designs: tuple[PairDesign, ...] = Field(min_length=1, max_length=3)
    pictured: Annotated[tuple[str, ...], Field(max_length=3)] = ("baseline", "all")
