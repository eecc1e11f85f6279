"""Planning: which effects so many seeds can find, how many seeds an effect asks for, and which spreads stand apart.

Power of the two-sided t-test of paired log-ratios, whose standard deviation `log_sd` comes from a pilot. A pilot of
three pairs leaves it open by a factor of twelve (95% interval, 0.52 to 6.3 times), and these answers no less: pool it
over comparisons.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from statistics import median

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, f, ncf, norm
from scipy.stats import t as student

MOST_SEEDS = 1000
"""Beyond this many seeds the answer is that there is none."""
SET_ASIDE = 0.01
"""How often, at most, a design whose comparisons all scatter alike has one set aside."""
MEDIAN_IS_WORTH = 0.6
"""The median of variances estimates their common value about as well as this share of their degrees of freedom pooled:
the asymptotic efficiency of a median, 2 / pi for normal values, is a little less for skewed ones."""


def power_of_shift(shift: float, n: int, alpha: float = 0.05, borrowed: float = 0.0) -> float:
    """Power of the two-sided one-sample t-test of `n` values whose true mean is `shift` standard deviations from 0.

    Its variance is known with n - 1 degrees of freedom and those that are `borrowed`.
    t squared has a noncentral F distribution; its tail is finite where the noncentral t that statsmodels' TTestPower
    asks gives NaN (two values and a shift of 8, for one).
    """
    if n < 2:
        return 0.0
    if shift == 0:
        return alpha
    freedom = n - 1 + borrowed
    return float(ncf.sf(student.isf(alpha / 2, freedom) ** 2, 1, freedom, n * shift**2))


def detectable_ratio(
    log_sd: float, n: int, power: float = 0.8, alpha: float = 0.05, borrowed: float = 0.0
) -> float | None:
    """The smallest true ratio, a factor above 1, that a paired t-test of `n` seeds finds in `power` of all studies.

    Its inverse is the factor below 1. None below two seeds. Raises ValueError for a spread that is not above 0.
    """
    _check(log_sd)
    if n < 2:
        return None

    def spare(shift: float) -> float:
        return power_of_shift(shift, n, alpha, borrowed) - power

    top = 1.0
    while spare(top) < 0:
        top *= 2
    return float(np.exp(log_sd * brentq(spare, 0.0, top)))


def seeds_needed(
    log_sd: float,
    ratio: float,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int = 1,
    most: int = MOST_SEEDS,
    borrowed: float = 0.0,
) -> int | None:
    """The fewest seeds whose paired t-test finds a true `ratio` (1.05 or 1 / 1.05 for 5%) in `power` of all studies.

    With `comparisons` in a family each is tested at alpha / comparisons: Holm's first step, so that the answer holds
    when no other change does anything. None beyond `most`. Raises ValueError for a ratio of 1 and for a spread that is
    not above 0.
    """
    _check(log_sd)
    if ratio <= 0 or ratio == 1:
        raise ValueError(f"no number of seeds finds a ratio of {ratio:g}: name a positive one other than 1")
    shift, level = abs(float(np.log(ratio))) / log_sd, alpha / comparisons
    return _fewest(shift, level, power, most, borrowed)


def seeds_to_decide(
    log_sd: float,
    ratio: float,
    margin: float,
    power: float = 0.8,
    alpha: float = 0.05,
    comparisons: int = 1,
    most: int = MOST_SEEDS,
    borrowed: float = 0.0,
) -> int | None:
    """The fewest seeds that find a true `ratio` or, where it lies within `margin`, find that it does, in `power` of all
    studies. None beyond `most`. Raises ValueError as `seeds_needed`."""
    _check(log_sd)
    apart, room = abs(math.log(ratio)), math.log(margin) - abs(math.log(ratio))
    shifts = [apart / log_sd, room / log_sd]
    # One side of a two-sided test at twice the level is a one-sided one.
    levels = [alpha / comparisons, 2 * alpha / comparisons]
    needed = [
        _fewest(shift, level, power, most, borrowed) for shift, level in zip(shifts, levels, strict=True) if shift > 0
    ]
    return min((seeds for seeds in needed if seeds is not None), default=None)


def chance_to_decide(
    log_ratio: float, error: float, df: float, n: int, later: int, margin: float, level: float = 0.05
) -> float:
    """How probable it is, after n pairs, that a test of `later` pairs decides: finds a ratio, or that it is negligible.

    A predictive probability (Spiegelhalter, Freedman and Blackburn 1986): given mean and scatter so far, the mean of
    all later pairs is normal about it. `error` is the standard error of the mean log-ratio now, with `df` degrees of
    freedom; `level` is that of the later test, twice of each of the two one-sided ones. Raises ValueError for fewer
    pairs than now.
    """
    if not n <= later:
        raise ValueError(f"{later} pairs are fewer than the {n} there are")
    log_sd, freedom = error * math.sqrt(n), df + later - n
    ahead, then = log_sd * math.sqrt(1 / n - 1 / later) or math.ulp(1.0), log_sd / math.sqrt(later)
    bound = float(student.isf(level / 2, freedom)) * then
    found = norm.sf((bound - log_ratio) / ahead) + norm.cdf((-bound - log_ratio) / ahead)
    # One side of a two-sided test at twice the level is a one-sided one.
    room = max(0.0, math.log(margin) - float(student.isf(level, freedom)) * then)
    within = norm.cdf((room - log_ratio) / ahead) - norm.cdf((-room - log_ratio) / ahead)
    return min(1.0, float(found + within))


def _fewest(shift: float, level: float, power: float, most: int, borrowed: float) -> int | None:
    """The fewest seeds whose test of that level has the power; None beyond `most`."""
    numbers = range(2, most + 1)
    place = bisect_left(numbers, power, key=lambda n: power_of_shift(shift, n, level, borrowed))
    return numbers[place] if place < len(numbers) else None


def _check(log_sd: float) -> None:
    if not log_sd > 0:
        raise ValueError(f"the standard deviation of log-ratios must be above 0, not {log_sd:g}")


def outlying(log_sds: Mapping[str, float], freedom: Mapping[str, int]) -> list[str]:
    """The names whose variance is beyond what the others' common one explains, by an F-test with Bonferroni's level.

    The common variance is the median's, each variance over the median of its own chi-squared distribution, so that a
    few that are far larger do not raise it.
    """
    common = median(log_sds[name] ** 2 * freedom[name] / float(chi2.median(freedom[name])) for name in log_sds)
    worth = MEDIAN_IS_WORTH * sum(freedom.values())
    level = SET_ASIDE / len(log_sds)
    return [name for name, sd in log_sds.items() if sd**2 > common * float(f.isf(level, freedom[name], worth))]
