"""A curve of a metric over training: reading it between evaluations, and placing the names of several."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def value_at(along: ArrayLike, values: ArrayLike, at: float) -> float | None:
    """The metric at the point `at` of what training is measured along, log-linear between the evaluations around it.

    None before the first evaluation and after the last one: nothing is extrapolated.
    """
    s, v = np.asarray(along, dtype=float), np.asarray(values, dtype=float)
    if s.size == 0 or not s[0] <= at <= s[-1]:
        return None
    if not np.isfinite(v).all() or (v <= 0).any():
        return None
    return float(np.exp(np.interp(at, s, np.log(v))))


def spread_apart(positions: ArrayLike, gap: float) -> NDArray[np.float64]:
    """The positions moved as little as needed to lie `gap` apart, in the order they had."""
    x = np.asarray(positions, dtype=float)
    order = np.argsort(x, kind="stable")
    # Isotonic regression of x - rank * gap (pool adjacent violators) is exactly the least-squares answer.
    pools: list[tuple[float, int]] = []
    for rank, value in enumerate(x[order]):
        total, count = float(value - rank * gap), 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            last = pools.pop()
            total, count = total + last[0], count + last[1]
        pools.append((total, count))
    flat = np.concatenate([np.full(count, total / count) for total, count in pools]) if pools else np.zeros(0)
    moved = np.empty_like(x)
    moved[order] = flat + gap * np.arange(x.size)
    return moved
