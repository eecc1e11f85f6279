"""Statistics of a few training seeds: pure arrays in, numbers out.

Arrays are aligned by seed. NaN is a missing run and leaves its pair; inf is a diverged run, the worst outcome there is,
and stays. Effects are ratios, taken on the log scale, where a Frechet distance has roughly constant spread and where
helping by a factor and hurting by it are equally far from none.

Intervals are Student's t on the paired log-ratios, not bootstrap intervals: a percentile bootstrap of three values can
never leave their range, which with three seeds covers the truth about three times in four at best, where 95 in 100 is
promised; the t interval keeps its promise for normal log-ratios at any n, and pays for it in width (the factor is 4.3
standard errors at n = 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, spearmanr
from scipy.stats import t as student

EXACT_UP_TO = 20
"""The sign-flip test lists all 2^n sign patterns up to this n."""


@dataclass(frozen=True)
class Summary:
    """One arm: `n` runs that ended, `diverged` of them. `mean` and `median` are inf where diverged runs make them so;
    `sd` (n - 1 in the denominator) is None below two runs and wherever a run diverged."""

    n: int
    diverged: int
    mean: float | None
    sd: float | None
    median: float | None


def summary(values: ArrayLike) -> Summary:
    """Mean, standard deviation and n over seeds."""
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    diverged = int(np.isinf(x).sum())
    if x.size == 0:
        return Summary(0, 0, None, None, None)
    sd = float(x.std(ddof=1)) if x.size > 1 and not diverged else None
    return Summary(x.size, diverged, float(x.mean()), sd, float(np.median(x)))


@dataclass(frozen=True)
class Interval:
    """A geometric mean with the ends of its interval, which are None at n = 1."""

    n: int
    centre: float
    low: float | None
    high: float | None


def geometric_mean(values: ArrayLike, level: float = 0.95) -> Interval | None:
    """The geometric mean of positive finite values, Student's t interval on the log scale; None for other values."""
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if x.size == 0 or not np.isfinite(x).all() or (x <= 0).any():
        return None
    logs = np.log(x)
    centre = float(logs.mean())
    half = half_width(logs, level)
    if half is None:
        return Interval(x.size, float(np.exp(centre)), None, None)
    return Interval(x.size, float(np.exp(centre)), float(np.exp(centre - half)), float(np.exp(centre + half)))


def half_width(logs: NDArray[np.float64], level: float) -> float | None:
    """Half the width of Student's t interval of a mean; None below two values."""
    if logs.size < 2:
        return None
    return float(standard_errors(logs.size, level) * logs.std(ddof=1) / np.sqrt(logs.size))


def standard_errors(n: int, level: float = 0.95) -> float:
    """How many standard errors Student's t interval of n values reaches to each side."""
    return float(student.ppf((1 + level) / 2, n - 1))


@dataclass(frozen=True)
class Effect:
    """The paired ratio after / before over `n` seeds that both arms ended; below 1 is better.

    `ratio` is the geometric mean. `low` and `high` are None for one pair and wherever a run diverged: a ratio to
    infinity has no interval. `p` is the exact two-sided sign-flip p, `p_floor` the smallest that n pairs can give.
    `log_sd` is the standard deviation of the log-ratios.
    """

    n: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_floor: float | None = None
    log_sd: float | None = None
    diverged_before: int = 0
    diverged_after: int = 0

    @property
    def diverged(self) -> int:
        """Diverged runs in both arms."""
        return self.diverged_before + self.diverged_after


def paired_effect(before: ArrayLike, after: ArrayLike, level: float = 0.95) -> Effect:
    """The effect of going from `before` to `after`, paired by position."""
    b, a = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if b.shape != a.shape:
        raise ValueError(f"arms are paired by position: {b.shape} and {a.shape} do not match")
    both = ~(np.isnan(b) | np.isnan(a))
    b, a = b[both], a[both]
    n = int(b.size)
    gone_before, gone_after = int(np.isinf(b).sum()), int(np.isinf(a).sum())
    if n == 0 or gone_before or gone_after or (b <= 0).any() or (a <= 0).any():
        return Effect(n, diverged_before=gone_before, diverged_after=gone_after)
    logs = np.log(a) - np.log(b)
    centre, half = float(logs.mean()), half_width(logs, level)
    return Effect(
        n=n,
        ratio=float(np.exp(centre)),
        low=None if half is None else float(np.exp(centre - half)),
        high=None if half is None else float(np.exp(centre + half)),
        p=sign_flip_p(logs),
        p_floor=smallest_sign_flip_p(n),
        log_sd=float(logs.std(ddof=1)) if n > 1 else None,
    )


def sign_flip_p(differences: ArrayLike) -> float | None:
    """Exact two-sided p of "the differences are symmetric around 0".

    It is the share of all sign patterns whose mean is as far from 0 as the one observed. None without differences and
    beyond `EXACT_UP_TO` of them.
    """
    x = np.asarray(differences, dtype=float)
    if not 0 < x.size <= EXACT_UP_TO:
        return None
    sums = np.zeros(1)
    for value in x:
        sums = np.concatenate([sums + value, sums - value])
    # Sums of the same numbers in another order differ by rounding: they count as equal.
    return float(np.mean(np.abs(sums) >= abs(x.sum()) - 1e-12 * np.abs(x).sum()))


def smallest_sign_flip_p(n: int) -> float:
    """2 / 2^n: all differences on one side, which two of the 2^n patterns reach."""
    return min(1.0, 2.0 / 2.0**n)


def smallest_pairing_ratio(before: ArrayLike, after: ArrayLike) -> float | None:
    """The least of before_i / after_j over every pairing of seeds: the gain of the unluckiest pair of runs.

    A diverged run counts as the worst: 0 if `after` has one. None where an arm has no run, or diverged ones only.
    """
    b, a = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    b, a = b[~np.isnan(b)], a[~np.isnan(a)]
    if b.size == 0 or a.size == 0 or np.isinf(b).all() or np.isinf(a).all():
        return None
    return float(b.min() / a.max())


def value_at_seconds(seconds: ArrayLike, values: ArrayLike, at: float) -> float | None:
    """The metric after `at` seconds of training, log-linear between the two evaluations around it.

    None before the first evaluation and after the last one: nothing is extrapolated.
    """
    s, v = np.asarray(seconds, dtype=float), np.asarray(values, dtype=float)
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


# --- orders -----------------------------------------------------------------------------------------------------------


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
    items, not what other items would do, and with three seeds it is too narrow. Items with a missing or diverged value
    are left out; None below three items or two seeds.
    """
    a, b = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    kept = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
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
