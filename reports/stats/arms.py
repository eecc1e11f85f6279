"""One arm: the values of one variant over training seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student
from statsmodels.stats.proportion import proportion_confint

ROUNDING = 1e-6
"""A standard deviation of logs below this is none: single precision leaves a relative 6e-8 in every value, and a metric
of thousands of them about this much. A test on it would be one of the rounding."""


@dataclass(frozen=True)
class Summary:
    """One arm: `n` runs that ended, `diverged` of them. `mean` and `median` are inf where diverged runs make them so;
    `sd` (n - 1 in the denominator) is None below two runs and wherever a run diverged.
    """

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
class LogSummary:
    """One arm of positive values on the log scale: `n` runs that ended, `diverged` of them. `mean` is the geometric
    mean; `mean` and `median` are inf where diverged runs make them so.

    `factor` is the geometric standard deviation, exp of the logs' (n - 1 in the denominator): about two runs in three
    lie within mean / factor and mean x factor. It is None below two runs and wherever a run diverged. A value that is
    not positive has no log, and leaves neither mean nor factor.
    """

    n: int
    diverged: int
    mean: float | None
    factor: float | None
    median: float | None


def log_summary(values: ArrayLike) -> LogSummary:
    """Geometric mean, geometric standard deviation and n over seeds."""
    plain = summary(values)
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if x.size == 0 or (x <= 0).any():
        return LogSummary(plain.n, plain.diverged, None, None, plain.median)
    logs = np.log(x)
    factor = float(np.exp(logs.std(ddof=1))) if x.size > 1 and not plain.diverged else None
    return LogSummary(plain.n, plain.diverged, float(np.exp(logs.mean())), factor, plain.median)


@dataclass(frozen=True)
class Interval:
    """A geometric mean with the ends of its interval, which are None at n = 1 and where values agree to rounding."""

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
    return Interval(x.size, float(np.exp(centre)), *ends_of(centre, half_width(logs, level)))


def ends_of(centre: float, half: float | None) -> tuple[float, float] | tuple[None, None]:
    """The ends of the interval of a ratio, from its log and half the width there; None where that is."""
    return (None, None) if half is None else (float(np.exp(centre - half)), float(np.exp(centre + half)))


def half_width(logs: NDArray[np.float64], level: float) -> float | None:
    """Half the width of Student's t interval of a mean; None below two values, and where they agree to rounding."""
    if logs.size < 2 or logs.std(ddof=1) < ROUNDING:
        return None
    return float(standard_errors(logs.size, level) * logs.std(ddof=1) / np.sqrt(logs.size))


def standard_errors(n: int, level: float = 0.95) -> float:
    """How many standard errors Student's t interval of n values reaches to each side."""
    return float(student.ppf((1 + level) / 2, n - 1))


@dataclass(frozen=True)
class Rate:
    """`k` of `n` runs, with the ends of Wilson's interval of the share."""

    k: int
    n: int
    low: float
    high: float


def divergence_rate(values: ArrayLike, level: float = 0.95) -> Rate | None:
    """How many of the runs that ended diverged; None where none has ended."""
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if x.size == 0:
        return None
    diverged = int(np.isinf(x).sum())
    low, high = proportion_confint(diverged, x.size, alpha=1 - level, method="wilson")
    return Rate(diverged, x.size, float(low), float(high))


def diverged_as_worst(log_values: ArrayLike) -> tuple[NDArray[np.float64], int]:
    """Log values with each infinity replaced by the largest finite one of all, and how many were replaced.

    A diverged run is at least as bad as the worst that ended, so a difference of means in which it takes part is
    understated, not overstated. Raises ValueError where every run diverged: nothing says how bad that is.
    """
    x = np.array(log_values, dtype=float)
    gone = np.isposinf(x)
    if gone.any():
        finite = x[np.isfinite(x)]
        if finite.size == 0:
            raise ValueError("every run diverged: there is no finite value to stand for the worst")
        x[gone] = finite.max()
    return x, int(gone.sum())
