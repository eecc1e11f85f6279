"""Variance components: known ones come back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports import stats


def tables(rng: np.random.Generator, shapes: list[tuple[int, int]], training: float, evaluation: float) -> list:
    """One table per shape, each with a level of its own."""
    return [
        np.exp(rng.normal(3) + rng.normal(0, training, (s, 1)) + rng.normal(0, evaluation, (s, r))) for s, r in shapes
    ]


def test_by_hand() -> None:
    # Logs 0, 2 | 4, 6: seed means 1 and 5, so squares 2 * 8 = 16 between on 1 df and 4 / 2 = 2 within on 2.
    found = stats.variance_components([np.exp([[0.0, 2.0], [4.0, 6.0]])])
    assert found is not None
    assert found.evaluation_sd == pytest.approx(math.sqrt(2))
    assert found.training_sd == pytest.approx(math.sqrt((16 - 2) / 2))
    assert (found.seed_df, found.evaluation_df) == (1, 2)
    assert found.training_df == pytest.approx(14**2 / (16**2 / 1 + 2**2 / 2))
    assert found.training_cv == pytest.approx(math.sqrt(math.expm1(7)))


def test_known_components_come_back_from_unlike_tables() -> None:
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (5, 2), (4, 3)]
    found = [stats.variance_components(tables(rng, shapes, 0.10, 0.04)) for _ in range(400)]
    variances = np.array([(f.training_sd**2, f.evaluation_sd**2) for f in found if f is not None])
    errors = variances.std(axis=0, ddof=1) / math.sqrt(len(variances))
    assert len(variances) == 400
    assert np.all(np.abs(variances.mean(axis=0) - (0.10**2, 0.04**2)) < 4 * errors)
    assert np.all(errors / (0.10**2, 0.04**2) < 0.05)


def test_seeds_that_differ_by_evaluation_noise_alone_have_no_variance_of_their_own() -> None:
    found = stats.variance_components([np.exp([[0.0, 2.0], [2.0, 0.0]])])
    assert found is not None
    assert (found.training_sd, found.training_df) == (0.0, 0.0)


def test_diverged_and_missing_seeds_are_left_out() -> None:
    clean = np.exp([[0.0, 2.0], [4.0, 6.0]])
    more = np.vstack([clean, [np.nan, 1.0], [np.inf, 2.0]])
    assert stats.variance_components([more]) == stats.variance_components([clean])
    assert stats.variance_components([clean[:1], [[1.0], [2.0]]]) is None
    assert stats.variance_components([]) is None
