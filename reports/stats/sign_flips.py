"""Exact tests of paired differences: every way their signs could have fallen."""

from __future__ import annotations

from math import ceil, log2

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

EXACT_UP_TO = 20
"""The sign-flip test lists all 2^n sign patterns up to this n."""


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


def seeds_for_sign_flip(alpha: float = 0.05, comparisons: int = 1) -> int:
    """The fewest seeds at which the sign-flip test can reach `alpha` / `comparisons`, which Holm's first step asks.

    That is 6 for one comparison at 0.05, and 9 for the first of ten.
    """
    return max(1, ceil(1 - log2(alpha / comparisons)))


def signed_rank_p(differences: ArrayLike) -> float | None:
    """Exact two-sided p of "the differences are symmetric around 0" from their signed ranks (Wilcoxon 1945).

    Infinities are allowed, are the largest and tie with each other. Differences of 0 keep their place among the ranks
    and count for neither side (Pratt 1959). Ties and zeros need no correction, since all sign patterns are listed. None
    without differences and beyond `EXACT_UP_TO` of them.
    """
    x = np.asarray(differences, dtype=float)
    return sign_flip_p(np.sign(x) * rankdata(np.abs(x))) if x.size else None
