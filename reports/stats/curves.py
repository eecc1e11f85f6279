"""A curve of a metric over training: reading it between evaluations, and placing the names of several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression


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


def mean_along(along: ArrayLike, values: ArrayLike, places: Sequence[float]) -> float | None:
    """The geometric mean of the metric at several places, each as `value_at` reads it; None where it cannot one."""
    read = [value_at(along, values, place) for place in places]
    known = [value for value in read if value is not None]
    return float(np.exp(np.log(known).mean())) if known and len(known) == len(read) else None


def spread_apart(positions: ArrayLike, gap: float) -> NDArray[np.float64]:
    """The positions moved as little as needed to lie `gap` apart, in the order they had."""
    x = np.asarray(positions, dtype=float)
    order = np.argsort(x, kind="stable")
    places = gap * np.arange(x.size)
    moved = np.empty_like(x)
    # Isotonic regression of what is left of the gaps is exactly the least-squares answer.
    moved[order] = isotonic_regression(x[order] - places).x + places if x.size else x
    return moved
