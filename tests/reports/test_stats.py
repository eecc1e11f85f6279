"""Numbers against hand calculation, against scipy, and intervals against their promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from reports import stats

INF, NAN = math.inf, math.nan


def test_summary_by_hand() -> None:
    assert stats.summary([1.0, 2.0, 6.0]) == stats.Summary(
        n=3, diverged=0, mean=3.0, sd=pytest.approx(math.sqrt(7)), median=2.0
    )


def test_missing_runs_are_left_out_and_diverged_ones_stay() -> None:
    found = stats.summary([4.0, NAN, INF, 8.0])
    assert (found.n, found.diverged, found.mean, found.sd, found.median) == (3, 1, INF, None, 8.0)


def test_one_value_has_no_spread_and_none_no_mean() -> None:
    assert stats.summary([5.0]).sd is None
    assert stats.summary([NAN]) == stats.Summary(0, 0, None, None, None)


def test_paired_effect_by_hand() -> None:
    # Ratios 1/2, 1/4, 1/8: logs -1, -2, -3 in units of ln 2; mean -2, sd 1, t(0.975, 2) = 4.302653.
    found = stats.paired_effect([8.0, 8.0, 8.0], [4.0, 2.0, 1.0])
    half = 4.302653 / math.sqrt(3)
    assert found.n == 3
    assert found.ratio == pytest.approx(0.25)
    assert found.low == pytest.approx(2 ** (-2 - half), rel=1e-5)
    assert found.high == pytest.approx(2 ** (-2 + half), rel=1e-5)
    assert found.log_sd == pytest.approx(math.log(2))


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_paired_effect_is_scipys_paired_t_on_logs(n: int) -> None:
    rng = np.random.default_rng(n)
    before, after = np.exp(rng.normal(3, 0.3, n)), np.exp(rng.normal(2, 0.3, n))
    theirs = reference.ttest_rel(np.log(after), np.log(before)).confidence_interval(0.95)
    ours = stats.paired_effect(before, after)
    assert (ours.low, ours.high) == (pytest.approx(math.exp(theirs.low)), pytest.approx(math.exp(theirs.high)))


def test_geometric_mean_is_scipys() -> None:
    values = [3.0, 5.0, 11.0]
    found = stats.geometric_mean(values)
    assert found is not None
    assert found.centre == pytest.approx(float(reference.gmean(values)))
    low, high = reference.t.interval(0.95, 2, np.log(values).mean(), reference.sem(np.log(values)))
    assert (found.low, found.high) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))
    assert stats.geometric_mean([3.0, INF]) is None


def test_pairs_with_a_missing_run_are_dropped() -> None:
    assert stats.paired_effect([8.0, 8.0, NAN], [4.0, NAN, 1.0]).n == 1


def test_one_pair_has_a_ratio_and_no_interval() -> None:
    found = stats.paired_effect([8.0], [4.0])
    assert (found.ratio, found.low, found.high, found.p) == (pytest.approx(0.5), None, None, 1.0)


@pytest.mark.parametrize(
    ("before", "after", "lost"), [([INF, 8.0], [4.0, 4.0], (1, 0)), ([8.0, 8.0], [INF, INF], (0, 2))]
)
def test_a_diverged_run_leaves_no_ratio_and_no_interval(
    before: list[float], after: list[float], lost: tuple[int, int]
) -> None:
    found = stats.paired_effect(before, after)
    assert (found.diverged_before, found.diverged_after) == lost
    assert (found.ratio, found.low, found.high, found.p) == (None, None, None, None)


def test_arms_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="do not match"):
        stats.paired_effect([1.0, 2.0], [1.0])


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


@pytest.mark.parametrize("n", [3, 5])
def test_intervals_cover_as_often_as_they_say(n: int) -> None:
    rng = np.random.default_rng(2020 + n)
    draws, truth, covered = 1000, 0.7, 0
    for _ in range(draws):
        before = np.exp(rng.normal(3.0, 0.2, n))
        after = truth * before * np.exp(rng.normal(0.0, 0.15, n))
        found = stats.paired_effect(before, after)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / draws <= 0.98


def test_a_percentile_bootstrap_would_not() -> None:
    # What the docstring of reports.stats says: at n = 3 it stays within the data, so it covers in at most 3 of 4 draws.
    rng = np.random.default_rng(3)
    draws = rng.normal(0.0, 1.0, (400, 3))
    means = draws[:, rng.integers(0, 3, (500, 3))].mean(axis=2)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) < 0.82


def test_smallest_pairing_ratio() -> None:
    assert stats.smallest_pairing_ratio([20.0, 24.0], [4.0, 5.0]) == pytest.approx(4.0)
    assert stats.smallest_pairing_ratio([20.0, 24.0], [4.0, INF]) == 0.0
    assert stats.smallest_pairing_ratio([20.0, INF], [4.0]) == pytest.approx(5.0)
    assert stats.smallest_pairing_ratio([NAN], [4.0]) is None
    assert stats.smallest_pairing_ratio([INF], [4.0]) is None


def test_value_at_seconds_is_log_linear_and_never_extrapolates() -> None:
    assert stats.value_at_seconds([1.0, 3.0], [100.0, 1.0], 2.0) == pytest.approx(10.0)
    assert stats.value_at_seconds([1.0, 3.0], [100.0, 1.0], 3.0) == pytest.approx(1.0)
    assert stats.value_at_seconds([1.0, 3.0], [100.0, 1.0], 0.5) is None
    assert stats.value_at_seconds([1.0, 3.0], [100.0, 1.0], 3.5) is None
    assert stats.value_at_seconds([], [], 1.0) is None


def test_spread_apart_keeps_order_and_distance() -> None:
    moved = stats.spread_apart([5.0, 1.0, 1.1, 1.05], 0.5)
    assert np.all(np.diff(np.sort(moved)) >= 0.5 - 1e-12)
    assert list(np.argsort(moved)) == [1, 3, 2, 0]
    assert moved[0] == 5.0
    assert stats.spread_apart([], 1.0).size == 0
