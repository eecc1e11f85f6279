"""Shapley values of games with known ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray

from reports import stats

Game = Callable[[frozenset[int]], float]
ADDITIVE = (-0.5, 0.2, 0.0, -0.1)


def additive(members: frozenset[int]) -> float:
    return sum(ADDITIVE[i] for i in members)


def gloves(members: frozenset[int]) -> float:
    """Player 0 has a left glove, 1 and 2 a right one each; a pair is worth 1. Shapley values 2/3, 1/6, 1/6."""
    return float(0 in members and bool(members & {1, 2}))


def marginals(game: Game, players: int, orders: list[tuple[int, ...]], noise: NDArray[np.float64]) -> NDArray:
    """[order, seed, player]; `noise` is [seed, subset], one value for each subset and seed that any order trains."""
    found = np.empty((len(orders), len(noise), players))
    for row, order in enumerate(orders):
        members: frozenset[int] = frozenset()
        for player in order:
            larger = members | {player}
            one, other = (sum(1 << i for i in s) for s in (members, larger))
            found[row, :, player] = game(larger) - game(members) + noise[:, other] - noise[:, one]
            members = larger
    return found


def silent(players: int, seeds: int) -> NDArray[np.float64]:
    return np.zeros((seeds, 2**players))


def test_an_additive_game_is_exact_from_any_orders() -> None:
    found = stats.shapley(marginals(additive, 4, [(0, 1, 2, 3), (3, 1, 0, 2)], silent(4, 2)))
    assert [math.log(f.ratio) for f in found] == pytest.approx(list(ADDITIVE))
    assert [f.share for f in found] == pytest.approx([v / sum(ADDITIVE) for v in ADDITIVE])
    assert [f.order_low for f in found] == pytest.approx([f.order_high for f in found])
    assert all(f.monte_carlo_se == pytest.approx(0.0) and f.seed_se == pytest.approx(0.0) for f in found)


def test_every_order_of_an_interaction_game_gives_its_values() -> None:
    found = stats.shapley(marginals(gloves, 3, list(permutations(range(3))), silent(3, 3)), every_order=True)
    assert [math.log(f.ratio) for f in found] == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert [f.share for f in found] == pytest.approx([2 / 3, 1 / 6, 1 / 6])
    assert [(f.order_low, f.order_high) for f in found] == [pytest.approx((1.0, math.e))] * 3
    assert {f.monte_carlo_se for f in found} == {0.0}
    assert {f.df for f in found} == {2.0}


def test_errors_of_orders_and_seeds_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    orders, seeds = rng.normal(0, 0.3, (40, 1, 1)), rng.normal(0, 0.1, (1, 20, 1))
    only_orders, only_seeds = (stats.shapley(np.broadcast_to(x, (40, 20, 1)))[0] for x in (orders, seeds))
    assert only_orders.monte_carlo_se == pytest.approx(orders.std(ddof=1) / math.sqrt(40))
    assert only_orders.seed_se == pytest.approx(0.0, abs=1e-12)
    assert only_seeds.seed_se == pytest.approx(seeds.std(ddof=1) / math.sqrt(20))
    assert only_seeds.monte_carlo_se == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("orders", "seeds"), [(20, 3), (20, 5), (6, 5)])
def test_intervals_of_the_two_way_layout_cover(orders: int, seeds: int) -> None:
    rng = np.random.default_rng([orders, seeds])
    covered, draws = 0, 1000
    x = (
        0.3
        + rng.normal(0, 0.3, (orders, 1, draws))
        + rng.normal(0, 0.1, (1, seeds, draws))
        + rng.normal(0, 0.2, (orders, seeds, draws))
    )
    for found in stats.shapley(x):
        assert found.low is not None and found.high is not None
        covered += found.low <= math.exp(0.3) <= found.high
    assert 0.92 <= covered / draws <= 0.99


def test_intervals_cover_in_a_game_whose_runs_are_shared_by_orders() -> None:
    # Players 0 and 1 work only together, and 2 and 3 stand in for one another; all four values are known.
    def game(members: frozenset[int]) -> float:
        return -0.4 * ({0, 1} <= members) - 0.3 * bool(members & {2, 3})

    true = (-0.2, -0.2, -0.15, -0.15)
    rng = np.random.default_rng(5)
    covered = total = 0
    for _ in range(250):
        orders = [tuple(rng.permutation(4)) for _ in range(12)]
        noise = rng.normal(0, 0.1, (5, 1)) + rng.normal(0, 0.1, (5, 16))
        for found, truth in zip(stats.shapley(marginals(game, 4, orders, noise)), true, strict=True):
            assert found.low is not None and found.high is not None
            covered += found.low <= math.exp(truth) <= found.high
            total += 1
    assert 0.92 <= covered / total <= 0.99


def test_one_seed_or_one_order_leaves_no_interval() -> None:
    x = np.random.default_rng(1).normal(size=(4, 3, 2))
    one_seed, one_order = stats.shapley(x[:, :1])[0], stats.shapley(x[:1])[0]
    assert (one_seed.low, one_seed.seed_se) == (None, None) and one_seed.monte_carlo_se is not None
    assert (one_order.low, one_order.monte_carlo_se) == (None, None) and one_order.seed_se is not None


def test_shapley_values_that_agree_to_rounding_have_no_interval() -> None:
    x = np.full((4, 3, 2), math.log(0.5)) + 1e-9 * np.random.default_rng(1).normal(size=(4, 3, 2))
    assert [(f.ratio, f.low, f.high) for f in stats.shapley(x)] == [(pytest.approx(0.5), None, None)] * 2


def test_incomplete_orders_are_left_out() -> None:
    x = np.random.default_rng(1).normal(size=(4, 3, 2))
    holes = np.concatenate([x, np.full((4, 1, 2), np.nan)], axis=1)
    holes = np.concatenate([holes, holes[:1]])
    holes[4, 0, 1] = np.nan
    assert stats.shapley(holes) == stats.shapley(x)
    with pytest.raises(ValueError, match="no permutation"):
        stats.shapley(np.full((2, 2, 2), np.nan))
    with pytest.raises(ValueError, match="infinite"):
        stats.shapley([[[0.0, math.inf]]])


def test_degrees_of_freedom_are_never_fewer_than_those_of_orders_or_seeds() -> None:
    rng = np.random.default_rng(8)
    for _ in range(200):
        values = stats.shapley(0.3 * rng.normal(size=(4, 3, 5)))
        assert all(value.df is not None and value.df >= 2 for value in values)
        assert all(value.high is not None and np.isfinite(value.high) for value in values)
