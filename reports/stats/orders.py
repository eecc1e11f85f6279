"""Orders of items, and how far two of them agree."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, spearmanr


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(np.asarray(one, dtype=float), np.asarray(other, dtype=float)).statistic)


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho of geometric means, and the 2.5% and 97.5% quantiles of it over resampled seeds.

    `p` is two-sided: how often items in random order correlate as strongly.
    """

    items: int
    rho: float
    low: float
    high: float
    p: float


def seed_bootstrap_rank_correlation(
    one: ArrayLike, other: ArrayLike, draws: int = 4000, level: float = 0.95
) -> RankCorrelation | None:
    """Rank correlation over items of two [items, seeds] tables of positive values, by geometric means over seeds.

    The interval resamples seeds within every item and table: it says how far training noise moves the order of these
    items, not what other items would do, and with three seeds it is too narrow. Items with a missing or diverged value,
    or one of 0, are left out; None below three items or two seeds.
    """
    a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    kept = (np.isfinite(a) & (a > 0)).all(axis=1) & (np.isfinite(b) & (b > 0)).all(axis=1)
    a, b = np.log(a[kept]), np.log(b[kept])
    if len(a) < 3 or min(a.shape[1], b.shape[1]) < 2:
        return None
    rng = np.random.default_rng(0)

    def resampled(table: NDArray[np.float64]) -> NDArray[np.float64]:
        picks = rng.integers(table.shape[1], size=(draws, *table.shape))
        means: NDArray[np.float64] = np.take_along_axis(table[None], picks, axis=2).mean(axis=2)
        return means

    one_ranks, other_ranks = (rankdata(resampled(table), axis=1) - (len(a) + 1) / 2 for table in (a, b))
    norms = np.sqrt((one_ranks**2).sum(axis=1) * (other_ranks**2).sum(axis=1))
    low, high = np.quantile((one_ranks * other_ranks).sum(axis=1) / norms, [(1 - level) / 2, (1 + level) / 2])
    means = a.mean(axis=1), b.mean(axis=1)
    return RankCorrelation(len(a), rank_correlation(*means), float(low), float(high), random_order_p(*means))


def same_order(table: ArrayLike, size: int, draws: int = 1000) -> float | None:
    """The median rank correlation of two disjoint draws of `size` seeds of one [items, seeds] table of positive values:
    what training noise alone leaves of full agreement.

    Draws are smaller where there are fewer than twice as many seeds. Items are left out as by
    `seed_bootstrap_rank_correlation`; None below three items or two seeds in a draw.
    """
    values = np.asarray(table, dtype=float)
    logs = np.log(values[(np.isfinite(values) & (values > 0)).all(axis=1)])
    size = min(size, logs.shape[1] // 2)
    if len(logs) < 3 or size < 2:
        return None
    rng = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        order = rng.permutation(logs.shape[1])
        found.append(rank_correlation(logs[:, order[:size]].mean(axis=1), logs[:, order[size : 2 * size]].mean(axis=1)))
    return float(np.median(found))


@dataclass(frozen=True)
class OrderAgreement:
    """How far an order of `items` agrees with a given one: Spearman's rho by geometric means over seeds, the least and
    the largest rho of a single seed, and how often random order agrees or disagrees as strongly (two-sided p).

    `given` and `ours` are the places in both orders, 1 for the smallest value; ties share a mean place.
    """

    items: int
    rho: float
    least: float
    most: float
    p: float
    given: tuple[float, ...]
    ours: tuple[float, ...]


def order_agreement(given: ArrayLike, table: ArrayLike) -> OrderAgreement | None:
    """The agreement of `given` values, one an item, with an [items, seeds] table of positive ones.

    A diverged run (inf) puts its item last. None below three items, and where a value is missing or not positive.
    """
    reference, values = np.asarray(given, dtype=float), np.asarray(table, dtype=float)
    if len(reference) < 3 or values.shape[1] == 0 or np.isnan(values).any() or (values <= 0).any():
        return None
    ours = rankdata(np.log(values).mean(axis=1))
    # Where all are tied there is no order, which agrees with none.
    single = [rank_correlation(reference, rankdata(column)) if np.ptp(column) else 0.0 for column in values.T]
    return OrderAgreement(
        items=len(reference),
        rho=rank_correlation(reference, ours) if np.ptp(ours) else 0.0,
        least=min(single),
        most=max(single),
        p=random_order_p(reference, ours) if np.ptp(ours) else 1.0,
        given=tuple(map(float, rankdata(reference))),
        ours=tuple(map(float, ours)),
    )


PERMUTED_UP_TO = 8
"""All orders are tried up to this many items, else Student's t approximates."""


def random_order_p(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Two-sided p of Spearman's rho when every order of the items is as likely."""
    if len(one) > PERMUTED_UP_TO:
        return float(spearmanr(one, other).pvalue)
    ranks, orders = rankdata(one), np.array(list(permutations(rankdata(other))))
    products = (orders - orders.mean()) @ (ranks - ranks.mean())
    observed = (rankdata(other) - orders.mean()) @ (ranks - ranks.mean())
    return float((np.abs(products) >= abs(observed) - 1e-9).mean())
