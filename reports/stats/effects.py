"""Effects: ratios between two arms, with intervals and p-values; and families of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student
from scipy.stats import ttest_ind

from reports.stats.arms import ROUNDING, ends_of
from reports.stats.moderated import fit, squeeze
from reports.stats.sequential import negligible_p
from reports.stats.sign_flips import sign_flip_p, signed_rank_p, smallest_sign_flip_p
from studies.spreads import MOST_BORROWED


@dataclass(frozen=True)
class Effect:
    """The paired ratio after / before over `n` seeds that both arms ended; below 1 is better.

    `ratio` is the geometric mean. `low` and `high` are None for one pair, wherever a run diverged (a ratio to infinity
    has no interval), and where all ratios agree to rounding (`rounded`), which is no spread to test by. `p` is the
    exact two-sided sign-flip p, `p_floor` the smallest that n pairs can give, `t_p` that of the t-test of the
    log-ratios, None as the interval is. `log_sd` is the standard deviation of the log-ratios, 0 where they agree to
    rounding. Interval and t-test are of the standard error `error` of their mean, which is known with `df` degrees of
    freedom: n - 1, and what was borrowed from other comparisons (`borrowing`). `ratioless` pairs have a value of 0 or
    below: they have no ratio, and one of them leaves the whole effect without any.

    `median_ratio` and `rank_p`, the exact signed-rank p, are there with diverged runs too. A pair is then ordered by
    what happened: infinite where only `after` diverged, 0 where only `before` did, 1, a tie, where both did.
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
    t_p: float | None = None
    median_ratio: float | None = None
    rank_p: float | None = None
    ratioless: int = 0
    error: float | None = None
    df: float | None = None

    @property
    def rounded(self) -> bool:
        """Whether two pairs or more have one ratio up to rounding."""
        return self.log_sd == 0

    @property
    def diverged(self) -> int:
        """Diverged runs in both arms."""
        return self.diverged_before + self.diverged_after

    def at(self, level: float) -> Effect:
        """The same with an interval of another level."""
        if self.ratio is None or self.error is None or self.df is None:
            return self
        low, high = ends_of(float(np.log(self.ratio)), float(student.ppf((1 + level) / 2, self.df)) * self.error)
        return replace(self, low=low, high=high)

    def negligible_p(self, margin: float) -> float | None:
        """The p of a ratio that lies outside of 1 / margin to margin: the larger of two one-sided tests (Schuirmann
        1987). None as the interval is. Raises ValueError for a margin that is not above 1."""
        if self.ratio is None or self.error is None or self.df is None:
            return None
        return negligible_p(float(np.log(self.ratio)), self.error, self.df, margin)


def paired_effect(before: ArrayLike, after: ArrayLike, level: float = 0.95) -> Effect:
    """The effect of going from `before` to `after`, paired by position."""
    b, a = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if b.shape != a.shape:
        raise ValueError(f"arms are paired by position: {b.shape} and {a.shape} do not match")
    both = ~(np.isnan(b) | np.isnan(a))
    b, a = b[both], a[both]
    n = int(b.size)
    gone_before, gone_after = int(np.isinf(b).sum()), int(np.isinf(a).sum())
    ratioless = int(((b <= 0) | (a <= 0)).sum())
    if n == 0 or ratioless:
        return Effect(n, diverged_before=gone_before, diverged_after=gone_after, ratioless=ratioless)
    logs = log_ratios(b, a)
    median, rank_p = median_of_logs(logs), signed_rank_p(logs)
    if gone_before or gone_after:
        return Effect(n, diverged_before=gone_before, diverged_after=gone_after, median_ratio=median, rank_p=rank_p)
    centre = float(logs.mean())
    log_sd = float(logs.std(ddof=1)) if n > 1 else None
    scatters = log_sd is not None and log_sd >= ROUNDING
    return Effect(
        n=n,
        ratio=float(np.exp(centre)),
        p=sign_flip_p(logs),
        p_floor=smallest_sign_flip_p(n),
        log_sd=0.0 if log_sd is not None and not scatters else log_sd,
        t_p=paired_t_p(logs),
        median_ratio=median,
        rank_p=rank_p,
        error=log_sd / float(np.sqrt(n)) if log_sd is not None and scatters else None,
        df=float(n - 1) if scatters else None,
    ).at(level)


def log_ratios(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.float64]:
    """log(after / before) of positive values, where two infinities are a tie."""
    logs = np.zeros(before.shape)
    apart = ~(np.isinf(before) & np.isinf(after))
    logs[apart] = np.log(after[apart]) - np.log(before[apart])
    return logs


def median_of_logs(logs: NDArray[np.float64]) -> float | None:
    """The median ratio; None where it lies half-way between 0 and infinity."""
    low, high = np.sort(logs)[[(logs.size - 1) // 2, logs.size // 2]]
    if np.isneginf(low) and np.isposinf(high):
        return None
    return float(np.exp((low + high) / 2))


def paired_t_p(logs: NDArray[np.float64]) -> float | None:
    """Two-sided p of the one-sample t-test of a mean of 0; None below two values, and where they agree to rounding."""
    if logs.size < 2 or logs.std(ddof=1) < ROUNDING:
        return None
    return two_sided_p(float(logs.mean()), float(logs.std(ddof=1) / np.sqrt(logs.size)), logs.size - 1)


def two_sided_p(estimate: float, standard_error: float, df: float) -> float | None:
    """Two-sided p of an estimate over its standard error, by Student's t; None for an error that is rounding."""
    if standard_error < ROUNDING / np.sqrt(df + 1):
        return None
    return float(2 * student.sf(abs(estimate) / standard_error, df))


@dataclass(frozen=True)
class UnpairedEffect:
    """The ratio after / before of two arms that share no seeds, by geometric means; `df` is Welch's.

    `low`, `high` and `p` are None where an arm has one run, and where each arm's values agree to rounding; all but the
    counts are None where a run diverged or a value is 0 or below.
    """

    n_before: int
    n_after: int
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    df: float | None = None
    diverged_before: int = 0
    diverged_after: int = 0


def unpaired_effect(before: ArrayLike, after: ArrayLike, level: float = 0.95) -> UnpairedEffect:
    """The effect of going from `before` to `after`, Welch's interval of the difference of mean logs."""
    b, a = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    b, a = b[~np.isnan(b)], a[~np.isnan(a)]
    gone = int(np.isinf(b).sum()), int(np.isinf(a).sum())
    if not b.size or not a.size or any(gone) or (b <= 0).any() or (a <= 0).any():
        return UnpairedEffect(b.size, a.size, diverged_before=gone[0], diverged_after=gone[1])
    b, a = np.log(b), np.log(a)
    ratio = float(np.exp(a.mean() - b.mean()))
    if min(b.size, a.size) < 2 or max(b.std(ddof=1), a.std(ddof=1)) < ROUNDING:
        return UnpairedEffect(b.size, a.size, ratio)
    test = ttest_ind(a, b, equal_var=False)
    ends = test.confidence_interval(level)
    return UnpairedEffect(
        b.size, a.size, ratio, float(np.exp(ends.low)), float(np.exp(ends.high)), float(test.pvalue), float(test.df)
    )


def between_effects(before: Effect, after: Effect, level: float = 0.95) -> UnpairedEffect:
    """The ratio of two effects of other runs, by their errors and Satterthwaite's degrees of freedom.

    `low`, `high` and `p` are None where an effect has no interval; `ratio` where one has none.
    """
    gone = before.diverged, after.diverged
    known = UnpairedEffect(before.n, after.n, diverged_before=gone[0], diverged_after=gone[1])
    if before.ratio is None or after.ratio is None:
        return known
    log_ratio = float(np.log(after.ratio / before.ratio))
    known = replace(known, ratio=float(np.exp(log_ratio)))
    if before.error is None or after.error is None or before.df is None or after.df is None:
        return known
    squares = before.error**2, after.error**2
    error = float(np.sqrt(sum(squares)))
    df = sum(squares) ** 2 / (squares[0] ** 2 / before.df + squares[1] ** 2 / after.df)
    low, high = ends_of(log_ratio, float(student.ppf((1 + level) / 2, df)) * error)
    return replace(known, low=low, high=high, p=two_sided_p(log_ratio, error, df), df=float(df))


def smallest_pairing_ratio(before: ArrayLike, after: ArrayLike) -> float | None:
    """The least of before_i / after_j over every pairing of seeds: the gain of the unluckiest pair of runs.

    A diverged run counts as the worst: 0 if `after` has one. None where an arm has no run, or diverged ones only, and
    where all of `after` are 0.
    """
    b, a = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    b, a = b[~np.isnan(b)], a[~np.isnan(a)]
    if b.size == 0 or a.size == 0 or np.isinf(b).all() or np.isinf(a).all() or a.max() == 0:
        return None
    return float(b.min() / a.max())


def equivalent(effect: Effect, margin: float) -> Literal["inside", "outside", "unresolved"]:
    """Whether the interval of a ratio lies within [1 / margin, margin], wholly beyond it, or across an end.

    With a 95% interval "inside" is stricter than two one-sided tests at 0.05 (Schuirmann 1987), which ask it of a 90%
    interval. A ratio without an interval is unresolved. Raises ValueError for a margin that is not above 1.
    """
    if margin <= 1:
        raise ValueError(f"a margin is a factor above 1, not {margin:g}")
    if effect.low is None or effect.high is None:
        return "unresolved"
    if 1 / margin <= effect.low and effect.high <= margin:
        return "inside"
    return "outside" if effect.high < 1 / margin or effect.low > margin else "unresolved"


# --- families ---------------------------------------------------------------------------------------------------------


def borrowing(effects: Sequence[Effect | None], steady: Sequence[bool], level: float = 0.95) -> list[Effect | None]:
    """A design's effects, each with what the others know of its variance (`reports.stats.moderated`).

    Those that are not `steady`, for the seeds of one of their arms lie wildly apart, neither lend nor borrow, nor do
    those without an interval.
    """
    takes_part = [e is not None and e.error is not None and kept for e, kept in zip(effects, steady, strict=True)]
    known = [e for e, part in zip(effects, takes_part, strict=True) if part and e is not None]
    variances = np.array([(e.error or 0.0) ** 2 * e.n for e in known])
    df = np.array([e.df or 0.0 for e in known])
    prior = fit(variances, df)
    squeezed = squeeze(variances, df, prior, np.minimum(prior.df, MOST_BORROWED) * np.ones(len(known)))
    moderated = iter(
        _with_error(e, float(np.sqrt(variance / e.n)), float(freedom), level)
        for e, variance, freedom in zip(known, squeezed.variance, squeezed.df, strict=True)
    )
    return [next(moderated) if part else e for e, part in zip(effects, takes_part, strict=True)]


def _with_error(effect: Effect, error: float, df: float, level: float) -> Effect:
    """The effect by another standard error, known with `df` degrees of freedom; itself where nothing was borrowed."""
    if df == effect.df:
        return effect
    t_p = two_sided_p(float(np.log(effect.ratio or 1.0)), error, df)
    return replace(effect, error=error, df=df, t_p=t_p).at(level)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values adjusted for being one family (Holm 1979): rejecting those up to 0.05 errs in 5% of families.

    That holds however the tests depend on each other. None and NaN are no tests: they stay None.
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None and not np.isnan(p))
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for step, (p, i) in enumerate(tested):
        # The smallest p is tested at 0.05 / m, the next one at 0.05 / (m - 1), and none that follows one that failed.
        largest = max(largest, min(1.0, p * (len(tested) - step)))
        adjusted[i] = largest
    return adjusted


def holm_t(effects: Sequence[Effect | None]) -> list[float | None]:
    """The paired t-tests of a family of effects, adjusted by Holm.

    Where a run diverged there is no t-test, and the exact signed-rank p takes its place, so that the comparison stays
    in the family. None for an effect with fewer than two pairs.
    """
    return holm([None if e is None or e.n < 2 else e.rank_p if e.diverged else e.t_p for e in effects])
