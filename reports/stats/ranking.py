"""Which few changes help most, and how sure that is.

Effects are drawn from what the data leave open about them, after shrinking them towards each other: of ten estimates
the most extreme ones owe a part of their lead to luck, and more of it the less the changes differ (Efron and Morris
1975). How much they differ is estimated too, with "not at all" as one of the possible answers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincinv, gammaln

from reports.stats.arms import ROUNDING

Array = NDArray[np.float64]

LEAST_SEEDS = 5
"""Below this many seeds nothing is ranked. Three seeds that resolve three changes do so mostly by luck, and then say
.4 to .7 where .3 to .5 is right (docs/intervals.md)."""

PRIOR_WEIGHT = 5.0
"""The exponent a of the prior a B^(a - 1) of the share B of noise in the estimates' variance between changes. 1 is the
uniform shrinkage prior (Daniels 1999), 5 leans to noise. Rankings are told where enough changes are resolved, which
chance helps to: of 1, 3 and 5 tried, 5 undoes that best with that rule (docs/intervals.md)."""

NO_DIFFERENCE = 0.5
"""The prior probability that no change does anything other than the others."""


@dataclass(frozen=True)
class Measured:
    """Log effects, the variance of each one's error, which is common to all, and its degrees of freedom.

    Errors that all effects share, as those of a common baseline are, are in no variance here: they move all effects
    alike and leave their order as it is.
    """

    centres: Array
    variance: Array
    df: float


def measured_by_seeds(log_effects: ArrayLike) -> Measured:
    """From the log effects [..., seed, change] of a design: a two-way layout of seeds and changes.

    What a seed's effects have in common (its run of the shared baseline, for one) is the seed's and taken out; what is
    left is pooled over changes, so that three seeds of ten changes have 18 degrees of freedom and not 2.
    """
    x = np.asarray(log_effects, dtype=float)
    seeds, changes = x.shape[-2:]
    centres = x.mean(axis=-2)
    residuals = x - centres[..., None, :] - x.mean(axis=-1, keepdims=True) + x.mean(axis=(-2, -1), keepdims=True)
    df = (seeds - 1) * (changes - 1)
    return Measured(centres, (residuals**2).sum(axis=(-2, -1)) / df / seeds, float(df))


def measured_each(estimates: ArrayLike, ses: ArrayLike, dfs: ArrayLike) -> Measured:
    """From estimates with standard errors and degrees of freedom of their own, whose errors are taken as independent.

    The errors' variances are pooled. Raises ValueError for values that are not finite.
    """
    centres, spreads, degrees = (np.asarray(x, dtype=float) for x in (estimates, ses, dfs))
    if not (np.isfinite(centres).all() and np.isfinite(spreads).all() and (degrees > 0).all()):
        raise ValueError("an item without a finite estimate, standard error and degrees of freedom cannot be ranked")
    return Measured(centres, np.asarray(np.average(spreads**2, weights=degrees)), float(degrees.sum()))


def shrunk_draws(measured: Measured, draws: int, rng: np.random.Generator) -> Array:
    """Effects as they may be, [..., draw, change], up to what all of them have in common.

    Effects are normal around a common mean, with a variance between changes that is drawn from its posterior: with B
    the share of noise in the variance of the estimates, B is 1 with a prior probability of `NO_DIFFERENCE`, else has
    the density a B^(a - 1), and given it effects are normal around the estimates shrunk by 1 - B. The noise's variance
    is drawn from its scaled inverse chi-squared distribution.
    """
    centred = measured.centres - measured.centres.mean(axis=-1, keepdims=True)
    free, shape = centred.shape[-1] - 1, (centred.shape[-1] - 1) / 2 + PRIOR_WEIGHT
    # Half the squares over the variance; above 0, for logs.
    half = np.maximum((centred**2).sum(axis=-1) / 2, 1e-10 * measured.variance)
    drawn = measured.variance[..., None] * measured.df / rng.chisquare(measured.df, (*centred.shape[:-1], draws))
    # Evidence that changes differ, the integral of a B^(a - 1) B^(free / 2) exp(-B rate), over that of none,
    # exp(-rate).
    rate = half / measured.variance
    differing = np.log(PRIOR_WEIGHT) + gammaln(shape) + np.log(gammainc(shape, rate)) - shape * np.log(rate)
    odds = differing + rate + np.log((1 - NO_DIFFERENCE) / NO_DIFFERENCE)
    none = rng.random(drawn.shape) < (1 / (1 + np.exp(np.clip(odds, -700, 700))))[..., None]
    # B given that: a gamma distribution cut off at 1, by the inverse of its cumulative distribution.
    rates = half[..., None] / drawn
    noise = np.minimum(1.0, gammaincinv(shape, rng.random(drawn.shape) * gammainc(shape, rates)) / rates)
    normal = rng.normal(size=(*drawn.shape, free + 1))
    shrunk = (1 - noise)[..., None] * centred[..., None, :] + np.sqrt((1 - noise) * drawn)[..., None] * normal
    # Where no change differs every order is as likely, whatever the scale.
    effects: Array = np.where(none[..., None], normal, shrunk)
    return effects


@dataclass(frozen=True)
class TopK:
    """The most probable set of the `k` most helpful items, by index in the order of their estimates.

    `probability` is that of this set in all; `each` has every item's probability of being among the k. Both are shares
    of `draws`, with a Monte-Carlo error of at most half over their root.
    """

    k: int
    items: tuple[int, ...]
    probability: float
    each: tuple[float, ...]
    draws: int


def top_k(measured: Measured, k: int = 3, draws: int = 20_000, seed: int = 0) -> TopK:
    """Which `k` items help most, that is, have the most negative log effects, by `shrunk_draws`.

    Raises ValueError for fewer than `k` items, and where there is no spread but that of rounding.
    """
    centres = measured.centres
    if not 0 < k <= centres.size:
        raise ValueError(f"there are {centres.size} items, of which the best {k} cannot be named")
    if not np.isfinite(centres).all() or not float(measured.variance) >= ROUNDING**2:
        raise ValueError("estimates without a finite spread above rounding cannot be ranked")
    drawn = shrunk_draws(measured, draws, np.random.default_rng(seed))
    best = np.sort(np.argsort(drawn, axis=1)[:, :k], axis=1)
    sets: Counter[tuple[int, ...]] = Counter(map(tuple, best.tolist()))
    items, count = sets.most_common(1)[0]
    each = np.bincount(best.ravel(), minlength=centres.size) / draws
    in_order = sorted(items, key=lambda item: float(centres[item]))
    return TopK(k, tuple(in_order), count / draws, tuple(map(float, each)), draws)
