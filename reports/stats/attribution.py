"""Sharing a total gain out among changes: Shapley values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from reports.stats.arms import ROUNDING, ends_of


@dataclass(frozen=True)
class ShapleyValue:
    """A change's mean marginal ratio over orders of adding all changes (Shapley 1953), below 1 is better.

    Errors are of the log of `ratio`. `monte_carlo_se` is what more orders would shrink, `seed_se` what more seeds
    would; each is None where there is only one, and `monte_carlo_se` is 0 where all orders were there. `low`, `high`
    and `df` are of both together, None where one of them is unknown; `low` and `high` also where both are rounding.
    `order_low` and `order_high` are the least and the largest ratio of any order, averaged over seeds: how far the
    answer depends on when the change is made. `share` is the part of the total log-ratio, which the values of all
    changes add up to; None where the total is 0.
    """

    ratio: float
    low: float | None
    high: float | None
    monte_carlo_se: float | None
    seed_se: float | None
    df: float | None
    share: float | None
    order_low: float
    order_high: float


def shapley(marginals: ArrayLike, level: float = 0.95, *, every_order: bool = False) -> list[ShapleyValue]:
    """One Shapley value per change, from log-ratios [permutation, seed, change]: log after minus log before adding it.

    Permutations are a random sample of all orders, or, with `every_order`, all of them. Orders that were drawn in
    pairs (an order and its reverse) are not independent: average each pair to one row before. The two errors are those
    of a two-way layout with random rows and columns; their sum counts the noise of single runs once, and never less
    than the larger of the two; df is Satterthwaite's. Runs that several orders share tie their rows together, which the
    seeds' error sees and that of the orders does not.

    Seeds without any value, then permutations with a value missing, are left out. Raises ValueError where nothing is
    left, and for infinite marginals: replace diverged runs first (`diverged_as_worst`).
    """
    x = np.asarray(marginals, dtype=float)
    if np.isinf(x).any():
        raise ValueError("a marginal of a diverged run is infinite: give the run a value before taking differences")
    x = x[:, ~np.isnan(x).all(axis=(0, 2))]
    x = x[~np.isnan(x).any(axis=(1, 2))]
    if x.size == 0:
        raise ValueError("no permutation has all its runs")
    values = x.mean(axis=(0, 1))
    total = float(values.sum())
    return [
        _value(x[:, :, change], level, every_order, float(values[change]) / total if total else None)
        for change in range(x.shape[2])
    ]


def _value(x: NDArray[np.float64], level: float, every_order: bool, share: float | None) -> ShapleyValue:
    orders, seeds = x.shape
    centre, by_order, by_seed = float(x.mean()), x.mean(axis=1), x.mean(axis=0)
    # Mean squares over orders * seeds: each is an estimate of a variance of the overall mean.
    order_square = float(by_order.var(ddof=1)) / orders if orders > 1 else None
    seed_square = float(by_seed.var(ddof=1)) / seeds if seeds > 1 else None
    variance = df = None
    if every_order:
        order_square = 0.0
        if seed_square is not None:
            variance, df = seed_square, float(seeds - 1)
    elif order_square is not None and seed_square is not None:
        residuals = x - by_order[:, None] - by_seed[None] + centre
        noise_df = (orders - 1) * (seeds - 1)
        noise = float((residuals**2).sum()) / noise_df / (orders * seeds)
        variance = max(order_square + seed_square - noise, order_square, seed_square)
        spread = order_square**2 / (orders - 1) + seed_square**2 / (seeds - 1) + noise**2 / noise_df
        # Satterthwaite's for a sum lie between the least of its parts and their sum; subtracting leaves that range.
        least = float(min(orders, seeds) - 1)
        df = max(variance**2 / spread, least) if spread > 0 else least
    # Values that agree to rounding have no spread to make an interval of.
    half = None
    if variance is not None and df and np.sqrt(variance * (df + 1)) >= ROUNDING:
        half = float(student.ppf((1 + level) / 2, df) * np.sqrt(variance))
    low, high = ends_of(centre, half)
    return ShapleyValue(
        ratio=float(np.exp(centre)),
        low=low,
        high=high,
        monte_carlo_se=None if order_square is None else float(np.sqrt(order_square)),
        seed_se=None if seed_square is None else float(np.sqrt(seed_square)),
        df=df,
        share=share,
        order_low=float(np.exp(by_order.min())),
        order_high=float(np.exp(by_order.max())),
    )
