"""Main effects: known ones come back, clear of interactions of two, and those of three widen the intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pyDOE3 import fold, pbdesign

from reports import stats

INF, NAN = math.inf, math.nan
Array = NDArray[np.float64]


def folded(factors: int, seed: int | None = None) -> Array:
    """A folded-over Plackett-Burman design, relabelled at random where a seed is given."""
    design = np.asarray(fold(pbdesign(factors)), dtype=float)
    if seed is None:
        return design
    rng = np.random.default_rng(seed)
    return design[:, rng.permutation(factors)] * rng.choice([-1.0, 1.0], size=factors)


def test_main_effects_are_exact_without_noise_whatever_two_factors_do_together() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(0, 0.3, 10)
    pairs = rng.normal(0, 0.3, (10, 10))
    designs = [folded(10, seed) for seed in range(2)]
    logs = [d @ true / 2 + np.einsum("ri,ij,rj->r", d, pairs, d) + 5.0 * seed for seed, d in enumerate(designs)]
    found = stats.main_effects(designs, logs)
    np.testing.assert_allclose([math.log(f.ratio) for f in found], true, atol=1e-10)
    # Seeds that agree to rounding have no spread: what would be a p of 0 is none.
    assert {(f.low, f.high, f.p, f.se, f.df) for f in found} == {(None, None, None, None, 1)}
    # The same without the fold mixes the two: this test can fail.
    half = pbdesign(10)
    alone = np.einsum("ri,ij,rj->r", half, pairs, half) + half @ true / 2
    mixed = stats.main_effects([half], [alone])
    assert max(abs(math.log(f.ratio) - t) for f, t in zip(mixed, true, strict=True)) > 0.1


def test_zeros_and_ones_say_the_same() -> None:
    designs = [folded(5, seed) for seed in range(2)]
    logs = [np.random.default_rng(seed).normal(size=len(d)) for seed, d in enumerate(designs)]
    assert stats.main_effects([(d + 1) / 2 for d in designs], logs) == stats.main_effects(designs, logs)


def test_an_effect_is_students_t_over_one_estimate_for_each_seed() -> None:
    rng = np.random.default_rng(4)
    designs = [folded(10, seed) for seed in range(5)]
    logs = [rng.normal(size=24) for _ in designs]
    found = stats.main_effects(designs, logs)
    by_seed = np.array(
        [[y[d[:, j] > 0].mean() - y[d[:, j] < 0].mean() for j in range(10)] for d, y in zip(designs, logs, strict=True)]
    )
    for effect, values in zip(found, by_seed.T, strict=True):
        paired = stats.paired_effect(np.ones(5), np.exp(values))
        ours = (effect.ratio, effect.low, effect.high, effect.p)
        assert ours == pytest.approx((paired.ratio, paired.low, paired.high, paired.t_p))
        assert (effect.seeds, effect.df, effect.runs, effect.left_out, effect.missing) == (5, 4, 120, 0, 0)


def test_a_variance_that_is_small_by_chance_is_raised_to_a_part_of_the_others() -> None:
    effects = np.array([[0.5, -1.0, 1.0], [0.5, 0.0, 0.0], [0.5, 1.0, -1.0]])
    means, errors = stats.over_seeds(effects)
    np.testing.assert_allclose(means, [0.5, 0.0, 0.0])
    np.testing.assert_allclose(errors**2 * 3, [stats.LEAST_VARIANCE * 2 / 3, 1.0, 1.0])
    assert np.isnan(stats.over_seeds(effects[:1])[1]).all()


def test_missing_runs_leave_and_diverged_ones_count_as_the_worst_of_all_seeds() -> None:
    designs = [folded(3, seed) for seed in range(2)]
    logs = [np.random.default_rng(seed).normal(size=len(d)) for seed, d in enumerate(designs)]
    logs[0][4] = max(map(np.max, logs)) + 1
    worst = [each.copy() for each in logs]
    worst[1][7] = logs[0][4]
    kept = np.arange(len(designs[0])) != 2
    expected = stats.main_effects([designs[0][kept], designs[1]], [worst[0][kept], worst[1]])
    logs[0][2], logs[1][7] = NAN, INF
    found = stats.main_effects(designs, logs)
    assert [(f.ratio, f.low) for f in found] == [(pytest.approx(f.ratio), pytest.approx(f.low)) for f in expected]
    assert {(f.diverged, f.runs, f.missing, f.seeds) for f in found} == {(1, 2 * len(designs[0]) - 1, 1, 2)}


def test_a_seed_whose_runs_cannot_tell_the_factors_apart_is_left_out() -> None:
    designs = [folded(10, seed) for seed in range(3)]
    logs = [np.random.default_rng(seed).normal(size=24) for seed in range(3)]
    expected = stats.main_effects(designs[:2], logs[:2])
    logs[2][8:] = NAN
    found = stats.main_effects(designs, logs)
    assert [(f.ratio, f.p) for f in found] == [(f.ratio, f.p) for f in expected]
    assert {(f.seeds, f.left_out, f.df) for f in found} == {(2, 1, 1)}
    with pytest.raises(ValueError, match="no seed has enough runs"):
        stats.main_effects(designs[2:], logs[2:])


def test_one_seed_leaves_no_interval() -> None:
    found = stats.main_effects([[[-1], [1]]], [[0.0, 1.0]])
    assert found[0].ratio == pytest.approx(math.e)
    assert (found[0].low, found[0].high, found[0].p, found[0].se, found[0].df) == (None,) * 5


def test_what_is_no_design_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 and 1"):
        stats.main_effects([[[2], [1]]], [[0.0, 1.0]])
    with pytest.raises(ValueError, match="no seed"):
        stats.main_effects([], [])
