"""The looks at which open comparisons are tested where seeds are added until all is decided.

Loads nothing of the runner: reports judge by them.
"""

from __future__ import annotations

from ablations.schema import DesignName

LOOKS = (3, 5, 8, 12, 20, 30)
"""Seeds at which every open comparison of a design is looked at."""

PAIRS: tuple[DesignName, ...] = ("ladder", "add_one_in", "leave_one_out")
"""Designs whose changes are compared pair by pair, each of which can be decided by itself."""


def looks_up_to(most: int) -> tuple[int, ...]:
    """The looks of a design of at most so many seeds, which are its last look. To be fixed before the first run."""
    return (*(n for n in LOOKS if n < most), most)
