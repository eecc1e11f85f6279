"""Arms whose seeds lie so far apart that their mean says nothing, and seconds that say nothing of the work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

SPREAD_TIMES = 3.0
"""An unstable arm's logs spread by more than so many times the median spread of the study's arms."""

AWAY = 3.0
"""And at least one of its seeds is this factor or more from the arm's median."""

STEADY = 0.10
"""Seconds say something of the work up to this coefficient of variation over seeds."""


def outlying(values: ArrayLike, away: float = AWAY) -> NDArray[np.bool_]:
    """Which of an arm's positive values are a factor of `away` or more from the median of those that are finite."""
    x = np.asarray(values, dtype=float)
    there = np.isfinite(x) & (x > 0)
    far = np.zeros(x.shape, dtype=bool)
    if there.any():
        logs = np.log(x[there])
        far[there] = np.abs(logs - np.median(logs)) >= np.log(away) - 1e-12
    return far


def unstable(arms: Sequence[ArrayLike]) -> list[bool]:
    """Which arms of a study trained to very different ends by the seed alone.

    The rule, fixed after a first ladder had shown such an arm: the standard deviation of the arm's logs is above
    `SPREAD_TIMES` the median of those of all arms, and at least one seed is a factor of `AWAY` or more from the arm's
    median. The first half keeps a study that is noisy throughout from being called unstable everywhere, the second
    one a study whose arms hardly spread.

    It depends on which other arms there are, and of two seeds it asks for a factor of `AWAY` squared between them.
    Judged are arms with two finite positive values or more of which none diverged: divergence is told as such.
    """
    spreads: list[float | None] = []
    for arm in arms:
        x = np.asarray(arm, dtype=float)
        x = x[~np.isnan(x)]
        judged = x.size > 1 and bool(np.isfinite(x).all() and (x > 0).all())
        spreads.append(float(np.log(x).std(ddof=1)) if judged else None)
    known = [spread for spread in spreads if spread is not None]
    usual = float(np.median(known)) if known else 0.0
    return [
        spread is not None and spread > SPREAD_TIMES * usual and bool(outlying(arm).any())
        for spread, arm in zip(spreads, arms, strict=True)
    ]


def largest_variation(arms: Iterable[ArrayLike]) -> float | None:
    """The largest coefficient of variation of any arm; None where one of them has fewer than two values, or none is
    there, so that nobody knows."""
    variations = []
    for arm in arms:
        x = np.asarray(arm, dtype=float)
        x = x[np.isfinite(x)]
        if x.size < 2:
            return None
        variations.append(float(x.std(ddof=1) / x.mean()) if x.mean() > 0 else 0.0)
    return max(variations, default=None)
