"""Main effects: known ones come back, clear of interactions in a folded design, and intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pyDOE3 import fold, pbdesign

from reports import stats

INF, NAN = math.inf, math.nan


def folded(factors: int) -> NDArray[np.float64]:
    """A folded-over Plackett-Burman design."""
    return np.asarray(fold(pbdesign(factors)), dtype=float)


def over_seeds(design: NDArray[np.float64], seeds: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return np.tile(design, (seeds, 1)), np.repeat(np.arange(seeds), len(design))


def test_main_effects_are_exact_without_noise_whatever_two_factors_do_together() -> None:
    design, seeds = over_seeds(folded(10), 2)
    rng = np.random.default_rng(0)
    true = rng.normal(0, 0.3, 10)
    pairs = rng.normal(0, 0.3, (10, 10))
    logs = design @ true / 2 + np.einsum("ri,ij,rj->r", design, pairs, design) + 5.0 * seeds
    found = stats.main_effects(design, logs, seeds)
    np.testing.assert_allclose([math.log(f.ratio) for f in found], true, atol=1e-10)
    # The same without the fold mixes the two: this test can fail.
    half = pbdesign(10)
    alone = np.einsum("ri,ij,rj->r", half, pairs, half) + half @ true / 2
    mixed = stats.main_effects(half, alone, np.zeros(len(half)))
    assert max(abs(math.log(f.ratio) - t) for f, t in zip(mixed, true, strict=True)) > 0.1


def test_zeros_and_ones_say_the_same() -> None:
    design, seeds = over_seeds(folded(5), 2)
    logs = np.random.default_rng(1).normal(size=len(design))
    assert stats.main_effects((design + 1) / 2, logs, seeds) == stats.main_effects(design, logs, seeds)


@pytest.mark.parametrize("interactions", [0.0, 0.2])
def test_intervals_cover(interactions: float) -> None:
    design, seeds = over_seeds(folded(7), 2)
    rng = np.random.default_rng(2)
    true = np.array([-0.5, 0.0, 0.1, -0.1, 0.0, 0.3, 0.0])
    together = interactions * design[:, 0] * design[:, 5]
    covered, total = 0, 0
    for _ in range(150):
        logs = design @ true / 2 + together + rng.normal(0, 0.2, len(design)) + rng.normal(size=2)[seeds]
        for effect, truth in zip(stats.main_effects(design, logs, seeds), true, strict=True):
            assert effect.low is not None and effect.high is not None
            covered += effect.low <= math.exp(truth) <= effect.high
            total += 1
    # An interaction stays in the residual: intervals are then wider than they need be, never narrower.
    assert 0.92 <= covered / total <= (0.98 if interactions == 0 else 1.0)


def test_missing_runs_leave_and_diverged_ones_count_as_the_worst() -> None:
    design, seeds = over_seeds(folded(3), 2)
    logs = np.random.default_rng(3).normal(size=len(design))
    logs[4] = logs.max() + 1
    worst = logs.copy()
    worst[7] = logs[4]
    kept = np.arange(len(design)) != 2
    expected = stats.main_effects(design[kept], worst[kept], seeds[kept])
    logs[2], logs[7] = NAN, INF
    found = stats.main_effects(design, logs, seeds)
    assert [f.ratio for f in found] == pytest.approx([f.ratio for f in expected])
    assert {(f.diverged, f.runs, f.df) for f in found} == {(1, len(design) - 1, len(design) - 1 - 3 - 2)}


def test_no_degree_of_freedom_leaves_no_interval() -> None:
    found = stats.main_effects([[-1], [1]], [0.0, 1.0], [0, 0])
    assert found[0].ratio == pytest.approx(math.e)
    assert (found[0].low, found[0].high, found[0].p, found[0].se, found[0].df) == (None, None, None, None, 0)


def test_what_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot tell 2 factors and 1 seeds apart"):
        stats.main_effects([[-1, -1], [1, 1], [1, 1]], [0.0, 1.0, 2.0], [0, 0, 0])
    with pytest.raises(ValueError, match="-1 and 1"):
        stats.main_effects([[2], [1]], [0.0, 1.0], [0, 0])
