"""Looks at more and more seeds: bounds as published, a total that is spent and no more, and p-values that follow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from reports.stats import holm
from reports.stats.sequential import (
    LEVEL,
    crossings,
    increments,
    interval_level,
    levels,
    negligible_p,
    passed,
    sequential_p,
)
from studies.looks import LOOKS, looks_up_to

FIVE = (1, 2, 3, 4, 5)


def obrien_fleming(total: float, share: np.ndarray) -> np.ndarray:
    return 4 * norm.sf(norm.isf(total / 4) / np.sqrt(share))


@pytest.mark.parametrize(("k", "constant"), [(2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413), (10, 2.555)])
def test_pococks_constants(k: int, constant: float) -> None:
    # Jennison and Turnbull 2000, table 2.1, two-sided 5%.
    least, most = (sum(crossings([constant + half] * k, range(1, k + 1))) for half in (5.1e-4, -5.1e-4))
    assert least < 0.05 < most


@pytest.mark.parametrize(("k", "constant"), [(2, 1.977), (3, 2.004), (4, 2.024), (5, 2.040), (10, 2.087)])
def test_obrien_and_flemings_constants(k: int, constant: float) -> None:
    # The same, table 2.3: a bound is constant * sqrt(k / look).
    looks = range(1, k + 1)
    roots = np.sqrt(k / np.array(looks))
    least, most = (sum(crossings(((constant + half) * roots).tolist(), looks)) for half in (5.1e-4, -5.1e-4))
    assert least < 0.05 < most


def test_bounds_of_lan_and_demets() -> None:
    # Five looks, two-sided 5%: the program of Reboussin, DeMets, Kim and Lan 2000.
    found = norm.isf(np.array(levels(0.05, FIVE, obrien_fleming)) / 2)
    assert found == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
    found = norm.isf(np.array(levels(0.05, FIVE)) / 2)
    assert found == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=2e-4)


@pytest.mark.parametrize("looks", [LOOKS, (4,), looks_up_to(20), tuple(range(3, 31))])
@pytest.mark.parametrize("total", [0.1, 0.05, 0.005, 1e-6])
def test_all_of_the_total_is_spent_and_no_more(total: float, looks: tuple[int, ...]) -> None:
    nominal = np.array(levels(total, looks))
    crossed = crossings(norm.isf(nominal / 2).tolist(), looks)
    assert crossed == pytest.approx(increments(total, looks), rel=1e-6)
    assert sum(crossed) == pytest.approx(total, rel=1e-6)
    # No look has more than the total, nor less than its own share of it.
    assert (nominal <= total * (1 + 1e-9)).all() and (nominal >= increments(total, looks) * (1 - 1e-9)).all()


def test_the_levels_of_the_declared_looks() -> None:
    assert levels() == pytest.approx((0.00793, 0.00678, 0.00914, 0.01161, 0.01764, 0.02052), abs=5e-6)
    # One look is an ordinary test.
    assert levels(0.05, (10,)) == pytest.approx((0.05,))
    assert interval_level(10, looks=(10,)) == pytest.approx(0.95)


def test_a_level_grows_with_its_total_at_every_look() -> None:
    grown = np.array([levels(total) for total in np.geomspace(1e-10, 0.5, 40)])
    assert (np.diff(grown, axis=0) > 0).all()


@pytest.mark.parametrize("total", [0.05, 0.05 / 10])
def test_a_sequential_p_is_below_a_total_iff_some_look_rejects(total: float) -> None:
    rng = np.random.default_rng(0)
    nominal, seen = np.array(levels(total)), set()
    for _ in range(60):
        z = np.cumsum(rng.normal(size=LOOKS[-1]) + 0.4)[np.array(LOOKS) - 1] / np.sqrt(LOOKS)
        p = 2 * norm.sf(np.abs(z))[: rng.integers(1, len(LOOKS) + 1)]
        found = sequential_p(dict(zip(LOOKS, p, strict=False)))
        assert found is not None
        rejects = bool((p <= nominal[: len(p)]).any())
        assert rejects or (p > nominal[: len(p)] * 1.001).all(), "a draw too close to call"
        assert (found <= total) == rejects
        seen.add(rejects)
    assert seen == {True, False}


def test_a_further_look_never_takes_a_p_back() -> None:
    p = {3: 0.03, 5: 0.004, 8: 0.5, 12: 0.0009, 20: 0.2, 30: 0.9}
    sofar = [sequential_p(dict(list(p.items())[:k])) for k in range(1, 7)]
    assert sofar == sorted(sofar, reverse=True)
    assert sofar[0] > sofar[1] == sofar[2] > sofar[3] == sofar[4] == sofar[5]


def test_the_first_look_by_hand() -> None:
    # Nothing came before it: its level is what is spent, total * log(1 + (e - 1) / 10).
    share = np.log1p((np.e - 1) / 10)
    assert sequential_p({3: 0.001}) == pytest.approx(0.001 / share, rel=1e-4)
    assert sequential_p({3: 0.9}) == 1


def test_edges_of_sequential_p() -> None:
    assert sequential_p({}) is None
    assert sequential_p({3: None}) is None
    assert sequential_p({3: None, 5: 0.01}) == sequential_p({5: 0.01})
    assert sequential_p({30: 1.0}) == 1
    assert sequential_p({3: 0.0}) == 0
    tiny = sequential_p({30: 1e-40})
    assert tiny is not None and 1e-40 <= tiny <= 1e-38
    assert sequential_p({7: 0.03}, looks=(7,)) == pytest.approx(0.03, rel=1e-4)
    with pytest.raises(ValueError, match=r"no looks were declared at \[4, 40\] seeds"):
        sequential_p({3: 0.1, 4: 0.1, 40: 0.1})


def test_between_looks_the_last_one_counts_and_none_is_added() -> None:
    assert [passed(n) for n in (0, 2, 3, 4, 29, 30, 500)] == [None, None, 3, 3, 20, 30, 30]
    assert interval_level(2) is None
    assert interval_level(11) == interval_level(8) == 1 - levels()[2]
    assert interval_level(500) == interval_level(30)


def test_the_looks_of_fewer_seeds() -> None:
    assert looks_up_to(30) == LOOKS
    assert looks_up_to(20) == (3, 5, 8, 12, 20)
    assert looks_up_to(10) == (3, 5, 8, 10)
    assert looks_up_to(2) == (2,)


@pytest.mark.parametrize("n", LOOKS)
def test_an_interval_excludes_no_effect_where_its_look_rejects(n: int) -> None:
    level = interval_level(n)
    assert level is not None
    end = student.isf((1 - level) / 2, n - 1)
    for moved, below in ((0.999, False), (1.001, True)):
        found = sequential_p({n: 2 * student.sf(end * moved, n - 1)})
        assert found is not None and (found <= LEVEL) == below


def test_negligible_where_the_interval_of_twice_the_total_lies_within() -> None:
    n, df, error, margin = 12, 11, 0.03, 1.15
    level = interval_level(n, 2 * LEVEL)
    assert level is not None
    # The estimate at which the interval just ends at the margin.
    edge = np.log(margin) - student.isf((1 - level) / 2, df) * error
    assert edge > 0
    for centre, within in ((edge - 1e-5, True), (edge + 1e-5, False), (-edge - 1e-5, False)):
        found = sequential_p({n: negligible_p(centre, error, df, margin)}, sides=1)
        assert found is not None and (found <= LEVEL) == within


def test_negligible_p() -> None:
    assert negligible_p(np.log(1.15), 0.1, 5, 1.15) == pytest.approx(0.5)
    assert negligible_p(-0.02, 0.04, 9, 1.15) == negligible_p(0.02, 0.04, 9, 1.15)
    with pytest.raises(ValueError, match="above 1"):
        negligible_p(0.0, 0.1, 5, 0.9)
    with pytest.raises(ValueError, match="standard error"):
        negligible_p(0.0, 0.0, 5, 1.15)


def test_totals_and_looks_that_are_none() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        levels(0.0)
    with pytest.raises(ValueError, match="ever more seeds"):
        levels(0.05, (3, 3, 5))
    with pytest.raises(ValueError, match="ever more seeds"):
        levels(0.05, ())


def test_a_family_of_normal_walks_errs_in_5_percent() -> None:
    rng = np.random.default_rng(2)
    walks = np.cumsum(rng.normal(size=(20_000, 4, LOOKS[-1])), axis=-1)[..., np.array(LOOKS) - 1]
    p = 2 * norm.sf(np.abs(walks) / np.sqrt(LOOKS))
    # Holm calls something exactly where one comparison keeps the total over the family's size.
    called = (p <= np.array(levels(LEVEL / 4))).any(axis=(1, 2))
    assert called.mean() == pytest.approx(1 - (1 - LEVEL / 4) ** 4, abs=0.005)
    for i in range(8):
        family = holm([sequential_p(dict(zip(LOOKS, row, strict=True))) for row in p[i]])
        assert (min(x for x in family if x is not None) <= LEVEL) == called[i]
