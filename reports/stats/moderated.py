"""Variances of a design's comparisons, squeezed towards each other (Smyth 2004).

Three paired log-ratios know their variance with two degrees of freedom, and a t interval of them is wide, or narrow
where they happen to lie close. Ten comparisons of one design that scatter about alike know it far better together.
The model: a comparison's variance is drawn from s0^2 d0 / chi^2(d0), a prior that the sample variances of all of them
give (`fit`). The squeezed variance (d0 s0^2 + d s^2) / (d0 + d) has d0 + d degrees of freedom. Comparisons that
scatter alike give a large d0; where they scatter unevenly it is small, and each is left with its own variance.

A comparison borrows at most `MOST_BORROWED` degrees of freedom, however large d0 is. With all of it an interval of
three seeds is shorter still, but one comparison that scatters twice as widely as the others is then covered less than
it says, and a family errs too often (docs/intervals.md, `python -m tests.choices.interval`).

Arrays are [..., comparison]: the last axis holds one design, axes before it are designs, each fitted by itself.
Variances are of logs, without unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, polygamma

from studies.spreads import FEWEST

Array = NDArray[np.float64]

TINY = 1e-300


@dataclass(frozen=True)
class Prior:
    """s0^2 (`variance`) and d0 (`df`) of each design; d0 is infinite where variances differ by no more than chance."""

    variance: Array
    df: Array


@dataclass(frozen=True)
class Squeezed:
    """`variance` and its degrees of freedom `df`, both [..., comparison]."""

    variance: Array
    df: Array


def inverse_trigamma(y: ArrayLike) -> Array:
    """x with trigamma(x) = y > 0, by Newton's steps on 1 / trigamma (Smyth 2004, appendix)."""
    goal = np.asarray(y, dtype=float)
    x = 0.5 + 1 / goal
    for _ in range(50):
        value = polygamma(1, x)
        step = value * (1 - value / goal) / polygamma(2, x)
        x = x + step
        if np.all(-step / x < 1e-10):
            break
    return np.asarray(x, dtype=float)


def fit(variances: ArrayLike, df: ArrayLike, used: ArrayLike | None = None) -> Prior:
    """The prior of sample variances with `df` degrees of freedom each, by the moments of their logs (Smyth 2004, 6.2).

    What `used` leaves out (False) lends nothing to the others. Fewer than `FEWEST` variances give d0 = 0.
    """
    s2 = np.asarray(variances, dtype=float)
    d = np.broadcast_to(np.asarray(df, dtype=float), s2.shape)
    counts = (s2 > 0) & (d > 0) & (True if used is None else np.asarray(used, dtype=bool))
    safe_d = np.where(counts, d, 1.0)
    logs = np.where(counts, np.log(np.where(counts, s2, 1.0)) - digamma(safe_d / 2) + np.log(safe_d / 2), 0.0)
    return _by_moments(logs, polygamma(1, safe_d / 2), counts)


def _by_moments(logs: Array, noise: Array, counts: NDArray[np.bool_]) -> Prior:
    """The prior whose mean and variance of log s^2 are those of `logs`, less what sampling adds to each (`noise`)."""
    n = counts.sum(axis=-1)
    some = np.maximum(n, 1)
    mean = logs.sum(axis=-1) / some
    apart = np.where(counts, logs - mean[..., None], 0.0)
    between = (apart**2).sum(axis=-1) / np.maximum(n - 1, 1) - np.where(counts, noise, 0.0).sum(axis=-1) / some
    spread = between > 0
    half = inverse_trigamma(np.where(spread, between, 1.0))
    df = np.where(spread, 2 * half, np.inf)
    variance = np.exp(mean + np.where(spread, digamma(half) - np.log(half), 0.0))
    enough = n >= FEWEST
    return Prior(np.where(enough, variance, 0.0), np.where(enough, df, 0.0))


def squeeze(variances: ArrayLike, df: ArrayLike, prior: Prior, prior_df: Array | None = None) -> Squeezed:
    """Every variance with the prior's, (d0 s0^2 + d s^2) / (d0 + d).

    Its degrees of freedom are d0 + d, at most those of the whole design. `prior_df` [..., comparison] takes the place
    of the prior's own d0 where some borrow less than others.
    """
    s2 = np.asarray(variances, dtype=float)
    d = np.broadcast_to(np.asarray(df, dtype=float), s2.shape)
    d0 = np.broadcast_to(prior.df[..., None] if prior_df is None else prior_df, s2.shape)
    total = np.minimum(d0 + d, d.sum(axis=-1, keepdims=True))
    finite = np.isfinite(d0)
    some = np.where(finite, d0, 0.0)
    mixed = (some * prior.variance[..., None] + d * s2) / np.maximum(some + d, TINY)
    return Squeezed(np.where(finite, mixed, prior.variance[..., None]), total)
