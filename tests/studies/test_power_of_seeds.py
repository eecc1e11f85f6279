"""Power: against statsmodels where it answers, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from statsmodels.stats.power import TTestPower

from studies.power import detectable_ratio, power_of_shift, seeds_needed


@pytest.mark.parametrize(("n", "shift"), [(2, 1.0), (3, 2.0), (5, 1.0), (5, 0.0), (50, 0.3)])
def test_power_is_that_of_statsmodels(n: int, shift: float) -> None:
    theirs = TTestPower().power(shift or 1e-9, n, 0.05, alternative="two-sided")
    assert power_of_shift(shift, n) == pytest.approx(float(theirs), abs=1e-6)


def test_power_is_finite_where_that_of_statsmodels_is_not() -> None:
    assert np.isnan(TTestPower().power(8.0, 2, 0.05, alternative="two-sided"))
    assert 0.6 < power_of_shift(8.0, 2) < 0.65


@pytest.mark.parametrize("n", [3, 5, 10])
def test_simulated_studies_find_the_detectable_ratio_as_often_as_predicted(n: int) -> None:
    log_sd, draws = 0.2, 2000
    ratio = detectable_ratio(log_sd, n)
    assert ratio is not None and ratio > 1
    logs = np.random.default_rng(n).normal(-math.log(ratio), log_sd, (draws, n))
    found = float(np.mean(ttest_1samp(logs, 0.0, axis=1).pvalue < 0.05))
    assert abs(found - 0.8) <= 0.04


@pytest.mark.parametrize(("percent", "comparisons"), [(5, 1), (10, 1), (20, 1), (10, 10)])
def test_seeds_needed_are_the_fewest_with_the_power(percent: int, comparisons: int) -> None:
    log_sd, ratio = 0.15, 1 + percent / 100
    n = seeds_needed(log_sd, ratio, comparisons=comparisons)
    assert n is not None
    shift, level = math.log(ratio) / log_sd, 0.05 / comparisons
    assert power_of_shift(shift, n, level) >= 0.8 > power_of_shift(shift, n - 1, level)
    assert seeds_needed(log_sd, 1 / ratio, comparisons=comparisons) == n
    logs = np.random.default_rng(n).normal(math.log(ratio), log_sd, (2000, n))
    found = float(np.mean(ttest_1samp(logs, 0.0, axis=1).pvalue < level))
    assert abs(found - power_of_shift(shift, n, level)) <= 0.04


def test_the_two_answers_are_inverse() -> None:
    ratio = detectable_ratio(0.3, 7)
    assert ratio is not None
    assert seeds_needed(0.3, ratio * 1.0001) == 7


def test_there_may_be_no_answer() -> None:
    assert detectable_ratio(0.2, 1) is None
    assert seeds_needed(2.0, 1.05) is None
    assert seeds_needed(2.0, 1.05, most=20_000) is not None
    with pytest.raises(ValueError, match="other than 1"):
        seeds_needed(0.2, 1.0)
    with pytest.raises(ValueError, match="above 0"):
        detectable_ratio(0.0, 5)
