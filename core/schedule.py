"""What an iteration has, by its number alone: no torch."""

from __future__ import annotations

import math
from typing import assert_never

from core.config import R1, AnyConfig, GradientPenalty, Penalty, Reconstruction


def penalty_period(penalty: Penalty) -> int:
    """The penalty is part of D's loss at every iteration that this divides."""
    match penalty:
        case R1(interval=interval):
            return interval
        case GradientPenalty():
            return 1
        case _:
            assert_never(penalty)


def period(config: AnyConfig) -> int:
    """After so many iterations the loop does the same again: updates of G and lazy penalties have come round."""
    if isinstance(config, Reconstruction):
        return 1
    return math.lcm(config.d_per_g, penalty_period(config.penalty))
