"""When an arm is unstable, and when seconds measure the machine."""

import numpy as np
import pytest

from reports import stats

QUIET = [[0.42, 0.30, 0.30], [0.36, 0.40, 0.44], [0.73, 0.65, 0.65], [0.33, 0.45, 0.40]]


def test_an_arm_whose_seeds_lie_wildly_apart_among_quiet_ones_is_unstable() -> None:
    assert stats.unstable([*QUIET, [1.53, 11.52, 0.545]]) == [False] * 4 + [True]


def test_both_halves_of_the_rule_are_needed() -> None:
    # Twice is many times the usual spread, but no seed is a factor of three away.
    assert stats.unstable([[1.0, 1.01, 1.02]] * 3 + [[1.0, 2.0, 1.0]]) == [False] * 4
    # A factor of eight is far away, but no further than in any other arm.
    assert stats.unstable([[1.0, 1.0, 8.0]] * 4) == [False] * 4


@pytest.mark.parametrize("arm", [[1.0, np.inf, 50.0], [1.0], [np.nan, 50.0, np.nan], [0.0, 1.0, 50.0], []])
def test_diverged_single_and_missing_runs_are_not_judged(arm: list[float]) -> None:
    assert stats.unstable([*QUIET, arm])[-1] is False


def test_outlying_seeds_are_a_factor_of_three_from_the_median() -> None:
    assert stats.outlying([0.545, 1.53, 11.52, np.inf, np.nan]).tolist() == [False, False, True, False, False]
    assert stats.outlying([1.0, 3.0, 9.0]).tolist() == [True, False, True]
    assert not stats.outlying([]).any()


def test_the_largest_variation_of_seconds() -> None:
    assert stats.largest_variation([[10.0, 10.0], [9.0, 11.0]]) == pytest.approx(np.sqrt(2) / 10)
    assert stats.largest_variation([[10.0, 10.0], [9.0]]) is None
    assert stats.largest_variation([]) is None
