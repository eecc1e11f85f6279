"""Exact tests: by hand and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from reports import stats

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("n", [3, 4, 6, 8])
def test_sign_flip_is_scipys_permutation_test(n: int) -> None:
    x = np.random.default_rng(n).normal(0.4, 1.0, n)
    theirs = reference.permutation_test((x,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert stats.sign_flip_p(x) == pytest.approx(float(theirs))


@pytest.mark.parametrize(("n", "least"), [(1, 1.0), (2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_sign_flip_reaches_its_smallest_value_when_all_agree(n: int, least: float) -> None:
    assert stats.smallest_sign_flip_p(n) == least
    assert stats.sign_flip_p(np.linspace(1.0, 1.3, n)) == pytest.approx(least)


def test_sign_flip_gives_up_where_patterns_are_too_many() -> None:
    assert stats.sign_flip_p([]) is None
    assert stats.sign_flip_p(np.ones(stats.EXACT_UP_TO + 1)) is None


@pytest.mark.parametrize(("alpha", "comparisons", "n"), [(0.05, 1, 6), (0.0625, 1, 5), (0.05, 10, 9), (1.0, 1, 1)])
def test_seeds_for_sign_flip_are_the_fewest_that_reach_it(alpha: float, comparisons: int, n: int) -> None:
    assert stats.seeds_for_sign_flip(alpha, comparisons) == n
    assert stats.smallest_sign_flip_p(n) <= alpha / comparisons
    assert n == 1 or stats.smallest_sign_flip_p(n - 1) > alpha / comparisons


@pytest.mark.parametrize("n", [3, 5, 8])
def test_signed_rank_is_wilcoxons_exact_test(n: int) -> None:
    x = np.random.default_rng(n).normal(0.4, 1.0, n)
    assert stats.signed_rank_p(x) == pytest.approx(float(reference.wilcoxon(x, method="exact").pvalue))


def test_infinite_differences_are_the_largest_ranks_and_tie() -> None:
    # Ranks 1, 2, 3.5, 3.5 against 1, 2, 4, 4: any value for the two ties above the others gives the same p.
    x = np.array([0.1, -0.2, INF, INF])
    assert stats.signed_rank_p(x) == stats.signed_rank_p([0.1, -0.2, 9.0, 9.0])
    assert stats.signed_rank_p([INF] * 5) == pytest.approx(2 / 2**5)
    assert stats.signed_rank_p([INF, -INF]) == 1.0
    assert stats.signed_rank_p([0.0, 0.0]) == 1.0
    assert stats.signed_rank_p([]) is None


def test_signed_rank_p_is_valid_with_infinities() -> None:
    # Symmetric around 0: each pair loses one arm with probability 0.3, either arm as often.
    rng = np.random.default_rng(7)
    draws = 1000
    small = 0
    for _ in range(draws):
        x = rng.normal(size=6)
        lost = rng.random(6) < 0.3
        x[lost] = np.copysign(INF, x[lost])
        found = stats.signed_rank_p(x)
        assert found is not None
        small += found <= 0.05
    # The exact level is below 0.05, never above; 0.05 + 3.1 Monte-Carlo errors.
    assert 0 < small <= reference.binom.ppf(0.999, draws, 0.05)
