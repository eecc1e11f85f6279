"""Seeds that are added until a comparison is decided, at looks that were declared before the first run.

Testing at 5% at each of six looks errs far more often than in 5% of studies. Here the 5% are spent over the looks: up
to a share t of the most seeds, total * log(1 + (e - 1) t) of them, a spending function of Pocock's type (Lan and DeMets
1983). The nominal level of a look is that of a bound of a standard normal |z|, found by numerical integration over the
scores that have crossed none before (Armitage, McPherson and Rowe 1969). A p of Student's t is put to the same level
(Pocock 1977): the simulation that chose the function among nine ways shows that it holds for moderated t of three seeds
on (docs/intervals.md, "Seeds until all is decided").

A level grows with the total at every look. So there is a least total at which any look so far rejects, the sequential p
(Liu and Anderson 2008), and a family of them goes through Holm as ordinary p-values do (Maurer and Bretz 2013): at most
5% of designs call anything when nothing is true, whichever comparison stops when, and for whatever reason.

How to use it. The p of a look is of the first n seeds, of all comparisons of the design that they borrow from, however
many have ended: between two looks the last one that was passed counts, and past the last none is added. Whoever asks
for a number of seeds before the first run has one look, an ordinary p, and nothing to do with this module.

On PyPI `gsdesign` (0.1) calls itself experimental: no well-kept library was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm
from scipy.stats import t as student

from studies.looks import LOOKS

Array = NDArray[np.float64]
Spending = Callable[[float, Array], Array]
"""Of a total level, what may be spent up to these shares of the most seeds, all of it at 1."""

LEVEL = 0.05
"""The total of a family."""

FAR = 9.0
"""A bound of |z| that is as good as none: its tails have 2e-19."""

TOTALS = np.append(np.geomspace(1e-12, 0.5, 80), np.linspace(0.52, 0.98, 24))
"""Totals whose levels are integrated for a sequential p. Between them it is interpolated, to 1e-5 of itself where it is
below 0.4 and to 1e-3 above; beyond them Bonferroni's bound of it does."""

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)
"""Gauss and Legendre's rule between two bounds: with a look at every seed up to 30, more change no level by 1e-8."""


def passed(n: int, looks: Sequence[int] = LOOKS) -> int | None:
    """The last look that n seeds have passed; None before the first."""
    return max((look for look in looks if look <= n), default=None)


def pocock(total: float, share: Array) -> Array:
    """Of Pocock's type (Lan and DeMets 1983)."""
    spent: Array = total * np.log1p((np.e - 1) * share)
    return spent


# --- the joint distribution of z at all looks -------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrived:
    """Those that have crossed no bound so far: the density of their score at nodes, times the nodes' weights.

    A score is z times the root of the seeds: it has independent increments, whose variance is the seeds added.
    """

    nodes: Array
    mass: Array

    def beyond(self, bound: float, added: int) -> float:
        """The probability that the score leaves -bound to bound with the seeds added."""
        root = np.sqrt(added)
        return float(self.mass @ (ndtr((self.nodes - bound) / root) + ndtr((-self.nodes - bound) / root)))

    def within(self, bound: float, added: int) -> Arrived:
        """Those of which it does not."""
        nodes, root = bound * NODES, np.sqrt(added)
        density = np.exp(-(((nodes[:, None] - self.nodes) / root) ** 2) / 2) @ self.mass / (root * np.sqrt(2 * np.pi))
        return Arrived(nodes, bound * WEIGHTS * density)


NONE_YET = Arrived(np.zeros(1), np.ones(1))


def crossings(bounds: Sequence[float], looks: Sequence[int]) -> list[float]:
    """The probability, where nothing is true, that |z| exceeds its bound at each look and at none before."""
    arrived, before, found = NONE_YET, 0, []
    for z, n in zip(bounds, looks, strict=True):
        bound = z * np.sqrt(n)
        found.append(arrived.beyond(bound, n - before))
        arrived, before = arrived.within(bound, n - before), n
    return found


def bounds_of(spent: Sequence[float], looks: Sequence[int]) -> list[float]:
    """The bounds of |z| that are crossed at each look, and at none before, with the probability `spent` there."""
    arrived, before, bounds = NONE_YET, 0, []
    for share, n in zip(spent, looks, strict=True):
        root, added = float(np.sqrt(n)), n - before
        least = arrived.beyond(FAR * root, added)
        z = FAR if share <= least else float(brentq(_excess, 0.0, FAR, args=(arrived, root, added, share), xtol=1e-11))
        bounds.append(z)
        arrived, before = arrived.within(z * root, added), n
    return bounds


def _excess(z: float, arrived: Arrived, root: float, added: int, share: float) -> float:
    return arrived.beyond(z * root, added) - share


def increments(total: float, looks: Sequence[int] = LOOKS, spending: Spending = pocock) -> Array:
    """What is spent of a total at each look, of all seeds at the last one."""
    return np.diff(spending(total, np.array(looks, dtype=float) / looks[-1]), prepend=0.0)


@lru_cache(maxsize=1024)
def levels(total: float = LEVEL, looks: tuple[int, ...] = LOOKS, spending: Spending = pocock) -> tuple[float, ...]:
    """The nominal two-sided level of every look, which together err with probability `total`.

    Half of the levels of twice the total are those of one-sided tests.
    """
    if not 0 < total < 1:
        raise ValueError(f"a total level is between 0 and 1, not {total:g}")
    if not looks or looks[0] < 1 or any(b <= a for a, b in pairwise(looks)):
        raise ValueError(f"looks are at ever more seeds, not at {looks}")
    bounds = bounds_of(increments(total, looks, spending).tolist(), looks)
    return tuple(float(2 * norm.sf(bound)) for bound in bounds)


# --- what verdicts use ------------------------------------------------------------------------------------------------


def sequential_p(
    p_by_look: Mapping[int, float | None], looks: tuple[int, ...] = LOOKS, sides: Literal[1, 2] = 2
) -> float | None:
    """The least total level at which a comparison is rejected at any of its looks so far; None without any p.

    `p_by_look` has the p of each look by its number of seeds; None is a look without a test. `sides` is 1 where they
    are one-sided, as the larger p of two one-sided tests is (`negligible_p`), and the sequential p then 1/2 at most.
    Raises ValueError for a number of seeds that is no look: which seeds count is for the caller to say, by `passed`.
    """
    strays = sorted(set(p_by_look) - set(looks))
    if strays:
        raise ValueError(f"no looks were declared at {strays} seeds, but at {list(looks)}")
    # That both one-sided tests reject has no probability to speak of: each has half of a two-sided level.
    tested = {looks.index(n): min(1.0, 2 / sides * p) for n, p in p_by_look.items() if p is not None}
    if not tested:
        return None
    found = min(_least_total(p, k, looks) for k, p in tested.items())
    return found if sides == 2 else found / 2


def _least_total(p: float, look: int, looks: tuple[int, ...]) -> float:
    """The least total whose level of that look is at least p."""
    # A look's level is at least its own share of the total.
    bonferroni = min(1.0, p / float(increments(1.0, looks)[look]))
    logs, inverse = _inverses(looks)[look]
    if not (p > 0 and logs[0] <= np.log(p) <= logs[-1]):
        return bonferroni
    return min(bonferroni, float(np.exp(inverse(np.log(p)))))


@lru_cache(maxsize=64)
def _inverses(looks: tuple[int, ...]) -> list[tuple[Array, PchipInterpolator]]:
    """For every look the logarithms of its levels, and that of the total as a function of them."""
    table = np.log([levels(float(total), looks) for total in TOTALS]).T
    return [(logs, PchipInterpolator(logs, np.log(TOTALS))) for logs in table]


def interval_level(n: int, total: float = LEVEL, looks: tuple[int, ...] = LOOKS) -> float | None:
    """The level of the interval to show with n seeds, those of the last look passed; None before the first.

    Such intervals hold the truth at all looks together with probability 1 - total (repeated confidence intervals,
    Jennison and Turnbull 1989), and one that excludes no effect is a sequential p below the total. The interval with
    twice the total lies within a margin where the two one-sided tests reject.
    """
    look = passed(n, looks)
    return None if look is None else 1 - levels(total, looks)[looks.index(look)]


def negligible_p(log_ratio: float, error: float, df: float, margin: float) -> float:
    """The p of an effect as large as a factor of `margin`: the larger of two one-sided tests (Schuirmann 1987).

    `error` is the standard error of the mean log-ratio, with `df` degrees of freedom. Raises ValueError for a margin
    that is not above 1, and for an error that is none.
    """
    if margin <= 1:
        raise ValueError(f"a margin is a factor above 1, not {margin:g}")
    if not error > 0:
        raise ValueError(f"a standard error is above 0, not {error:g}")
    return float(student.sf((np.log(margin) - abs(log_ratio)) / error, df))
