"""Which few changes help most: by hand, and right as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports import stats
from tests.choices import ranking as simulated


def measured(centres: list[float], se: float, df: float = 1e6) -> stats.Measured:
    return stats.measured_each(centres, [se] * len(centres), [df] * len(centres))


def test_clear_winners_are_certain() -> None:
    found = stats.top_k(measured([-1.0, 0.5, -3.0, 0.4, -2.0], 0.01))
    assert (found.items, found.probability, found.each) == ((2, 4, 0), 1.0, (1.0, 0.0, 1.0, 0.0, 1.0))


def test_equal_items_are_equally_likely() -> None:
    found = stats.top_k(measured([0.0] * 5, 1.0), k=3)
    error = math.sqrt(0.24 / found.draws)
    assert all(abs(p - 0.6) < 4 * error for p in found.each)
    assert found.probability == pytest.approx(0.1, abs=0.02)
    assert stats.top_k(measured([0.0] * 5, 1.0), k=3) == found


def test_noise_alone_makes_no_favourites() -> None:
    # The estimates differ as much as their errors make equal effects differ: a flat prior says several times that.
    centres = (0.3 * np.random.default_rng(4).normal(size=10)).tolist()
    assert stats.top_k(measured(centres, 0.3)).probability < 0.1


def test_what_all_changes_share_leaves_their_order_as_it_is() -> None:
    rng = np.random.default_rng(3)
    effects = rng.normal(0, 0.3, (1, 10)) + rng.normal(0, 0.1, (6, 10))
    shared = effects + rng.normal(0, 5.0, (6, 1))
    alone, together = (stats.measured_by_seeds(x) for x in (effects, shared))
    assert float(together.variance) == pytest.approx(float(alone.variance))
    assert together.df == 5 * 9
    assert stats.top_k(together).each == pytest.approx(stats.top_k(alone).each, abs=0.01)


def test_the_layouts_variance_is_that_of_a_mean_over_seeds() -> None:
    x = np.random.default_rng(8).normal(0, 0.4, (2000, 5, 10))
    found = stats.measured_by_seeds(x)
    assert float(found.variance.mean()) == pytest.approx(0.4**2 / 5, rel=0.02)
    assert float(found.centres.var(axis=1, ddof=1).mean()) == pytest.approx(0.4**2 / 5, rel=0.02)


def test_two_draws_shrink_towards_each_other() -> None:
    sharp, blurred = (
        stats.shrunk_draws(measured([-1.0, 0.0, 1.0], se), 4000, np.random.default_rng(0)) for se in (0.01, 1)
    )
    assert sharp.mean(axis=0) == pytest.approx([-1, 0, 1], abs=0.02)
    assert abs(blurred.mean(axis=0)[0]) < 0.5


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match="best 3"):
        stats.top_k(measured([0.0, 1.0], 1.0))
    with pytest.raises(ValueError, match="finite"):
        stats.measured_each([0.0, math.nan], [1.0, 1.0], [2, 2])
    with pytest.raises(ValueError, match="rounding"):
        stats.top_k(stats.measured_by_seeds(np.tile([0.0, 1.0, 2.0, 3.0], (5, 1))))


# --- calibration ------------------------------------------------------------------------------------------------------

TOLD = [w for w in simulated.WORLDS if w.told and w.n >= stats.LEAST_SEEDS and w.effects_sd]


@pytest.mark.parametrize(
    "world",
    [pytest.param(w, marks=[pytest.mark.slow] * (w not in (TOLD[0], TOLD[-1]))) for w in TOLD],
    ids=[f"{w.name}, n = {w.n}" for w in TOLD],
)
def test_what_is_told_is_right_as_often_as_it_says(world: simulated.World) -> None:
    found = simulated.now(world, studies=2500, candidates=30_000)
    assert found["told"] >= simulated.RARELY
    assert abs(found["says"] - found["is"]) <= 0.05
    assert abs(found["quarter_says"] - found["quarter_is"]) <= 0.05


@pytest.mark.parametrize("world", [w for w in simulated.WORLDS if w not in TOLD], ids=lambda w: f"{w.name}, n = {w.n}")
def test_nothing_is_told_where_it_could_not_be_right(world: simulated.World) -> None:
    assert simulated.now(world, candidates=20_000)["told"] < simulated.RARELY


def test_independent_draws_without_shrinking_said_more_than_is() -> None:
    nothing = next(w for w in simulated.WORLDS if not w.effects_sd)
    found = simulated.before(nothing, studies=500)
    assert found["says"] > 0.1 > 0.03 > found["is"]


def test_simulated_designs_have_the_effects_they_are_given() -> None:
    effects = np.random.default_rng(0).normal(size=(1, 10))
    for design in (simulated.add_one_in, simulated.leave_one_out, simulated.ladder, simulated.pairs_of_their_own):
        logs = design(effects, 4000, 0.2, np.random.default_rng(1))
        assert logs.mean(axis=1) == pytest.approx(effects, abs=0.03)


def test_sets_are_numbered_apart() -> None:
    effects = np.array(
        [[0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0], [0.0, 1, 2, 9, 9, 9, 9, 9, 9, 9]]
    )
    one, other, again = simulated.best_sets(effects)
    assert one == again != other
    assert sorted(set(simulated.SETS.tolist())) == [-1, *range(120)]
