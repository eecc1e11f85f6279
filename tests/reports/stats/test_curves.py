"""Reading curves, and placing their names."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports import stats

INF, NAN = math.inf, math.nan


def test_value_at_is_log_linear_and_never_extrapolates() -> None:
    assert stats.value_at([1.0, 3.0], [100.0, 1.0], 2.0) == pytest.approx(10.0)
    assert stats.value_at([1.0, 3.0], [100.0, 1.0], 3.0) == pytest.approx(1.0)
    assert stats.value_at([1.0, 3.0], [100.0, 1.0], 0.5) is None
    assert stats.value_at([1.0, 3.0], [100.0, 1.0], 3.5) is None
    assert stats.value_at([], [], 1.0) is None


def test_spread_apart_keeps_order_and_distance() -> None:
    moved = stats.spread_apart([5.0, 1.0, 1.1, 1.05], 0.5)
    assert np.all(np.diff(np.sort(moved)) >= 0.5 - 1e-12)
    assert list(np.argsort(moved)) == [1, 3, 2, 0]
    assert moved[0] == 5.0
    assert stats.spread_apart([], 1.0).size == 0


def test_a_mean_along_a_curve_is_geometric_and_of_all_its_places_or_none() -> None:
    along, values = [1.0, 2.0, 3.0], [100.0, 10.0, 1.0]
    assert stats.mean_along(along, values, [1.0, 2.0, 3.0]) == pytest.approx(10.0)
    assert stats.mean_along(along, values, [1.5, 2.5]) == pytest.approx(10.0)
    assert stats.mean_along(along, values, [0.5, 2.0]) is None
    assert stats.mean_along(along, values, []) is None
