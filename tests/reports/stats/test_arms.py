"""One arm: by hand and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from reports import stats

INF, NAN = math.inf, math.nan


def test_summary_by_hand() -> None:
    assert stats.summary([1.0, 2.0, 6.0]) == stats.Summary(
        n=3,
        diverged=0,
        mean=3.0,
        sd=pytest.approx(math.sqrt(7)),
        median=2.0,
    )


def test_the_mean_of_tables_can_be_the_one_that_ratios_compare() -> None:
    # One collapsed run of three moves the mean to 4.5 and the geometric mean to 2.1: the ratio of two arms is of these.
    before, after = [0.5, 0.6, 0.55], [0.545, 1.53, 11.52]
    one, other = stats.log_summary(before), stats.log_summary(after)
    assert one.mean is not None and other.mean is not None
    assert other.mean / one.mean == pytest.approx(stats.paired_effect(before, after).ratio)
    assert stats.log_summary([1.0, math.e**2]).factor == pytest.approx(math.exp(math.sqrt(2)))


def test_a_geometric_mean_goes_where_its_logs_go() -> None:
    lost, zero, single = (stats.log_summary(values) for values in ([1.0, INF], [0.0, 1.0], [2.0]))
    assert (lost.mean, lost.factor) == (INF, None)
    assert (zero.mean, zero.factor, zero.median) == (None, None, 0.5)
    assert (single.mean, single.factor) == (pytest.approx(2.0), None)


def test_values_that_agree_to_rounding_have_no_interval() -> None:
    found = stats.geometric_mean([0.3, 0.3 * (1 + 1e-8), 0.3])
    assert found is not None
    assert (found.n, found.centre, found.low, found.high) == (3, pytest.approx(0.3), None, None)
    spread = stats.geometric_mean([0.3, 0.3 * (1 + 1e-5), 0.3])
    assert spread is not None and spread.low is not None


def test_missing_runs_are_left_out_and_diverged_ones_stay() -> None:
    found = stats.summary([4.0, NAN, INF, 8.0])
    assert (found.n, found.diverged, found.mean, found.sd, found.median) == (3, 1, INF, None, 8.0)


def test_one_value_has_no_spread_and_none_no_mean() -> None:
    assert stats.summary([5.0]).sd is None
    assert stats.summary([NAN]) == stats.Summary(0, 0, None, None, None)


def test_geometric_mean_is_scipys() -> None:
    values = [3.0, 5.0, 11.0]
    found = stats.geometric_mean(values)
    assert found is not None
    assert found.centre == pytest.approx(float(reference.gmean(values)))
    low, high = reference.t.interval(0.95, 2, np.log(values).mean(), reference.sem(np.log(values)))
    assert (found.low, found.high) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))
    assert stats.geometric_mean([3.0, INF]) is None


def test_divergence_rate_is_wilsons_interval_of_the_runs_that_ended() -> None:
    found = stats.divergence_rate([1.0, INF, NAN, 3.0])
    assert found is not None
    assert (found.k, found.n) == (1, 3)
    theirs = reference.binomtest(1, 3).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert stats.divergence_rate([NAN]) is None


def test_diverged_runs_become_the_worst_that_ended() -> None:
    values, count = stats.diverged_as_worst([1.0, INF, NAN, 3.0])
    assert count == 1
    np.testing.assert_array_equal(values, [1.0, 3.0, NAN, 3.0])
    with pytest.raises(ValueError, match="every run diverged"):
        stats.diverged_as_worst([INF, NAN])
