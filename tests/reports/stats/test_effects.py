"""Effects and families: by hand, against scipy, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference
from statsmodels.stats.multitest import multipletests

from reports import stats

INF, NAN = math.inf, math.nan


def test_paired_effect_by_hand() -> None:
    # Ratios 1/2, 1/4, 1/8: logs -1, -2, -3 in units of ln 2; mean -2, sd 1, t(0.975, 2) = 4.302653.
    found = stats.paired_effect([8.0, 8.0, 8.0], [4.0, 2.0, 1.0])
    half = 4.302653 / math.sqrt(3)
    assert found.n == 3
    assert found.ratio == pytest.approx(0.25)
    assert found.low == pytest.approx(2 ** (-2 - half), rel=1e-5)
    assert found.high == pytest.approx(2 ** (-2 + half), rel=1e-5)
    assert found.log_sd == pytest.approx(math.log(2))


@pytest.mark.parametrize("n", [2, 3, 5, 9])
def test_paired_effect_is_scipys_paired_t_on_logs(n: int) -> None:
    rng = np.random.default_rng(n)
    before, after = np.exp(rng.normal(3, 0.3, n)), np.exp(rng.normal(2, 0.3, n))
    theirs = reference.ttest_rel(np.log(after), np.log(before)).confidence_interval(0.95)
    ours = stats.paired_effect(before, after)
    assert (ours.low, ours.high) == (pytest.approx(math.exp(theirs.low)), pytest.approx(math.exp(theirs.high)))


def test_pairs_with_a_missing_run_are_dropped() -> None:
    assert stats.paired_effect([8.0, 8.0, NAN], [4.0, NAN, 1.0]).n == 1


def test_one_pair_has_a_ratio_and_no_interval() -> None:
    found = stats.paired_effect([8.0], [4.0])
    assert (found.ratio, found.low, found.high, found.p) == (pytest.approx(0.5), None, None, 1.0)


@pytest.mark.parametrize(
    ("before", "after", "lost"), [([INF, 8.0], [4.0, 4.0], (1, 0)), ([8.0, 8.0], [INF, INF], (0, 2))]
)
def test_a_diverged_run_leaves_no_ratio_and_no_interval(
    before: list[float], after: list[float], lost: tuple[int, int]
) -> None:
    found = stats.paired_effect(before, after)
    assert (found.diverged_before, found.diverged_after) == lost
    assert (found.ratio, found.low, found.high, found.p) == (None, None, None, None)


def test_arms_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="do not match"):
        stats.paired_effect([1.0, 2.0], [1.0])


def test_smallest_pairing_ratio() -> None:
    assert stats.smallest_pairing_ratio([20.0, 24.0], [4.0, 5.0]) == pytest.approx(4.0)
    assert stats.smallest_pairing_ratio([20.0, 24.0], [4.0, INF]) == 0.0
    assert stats.smallest_pairing_ratio([20.0, INF], [4.0]) == pytest.approx(5.0)
    assert stats.smallest_pairing_ratio([NAN], [4.0]) is None
    assert stats.smallest_pairing_ratio([INF], [4.0]) is None


# --- diverged runs ----------------------------------------------------------------------------------------------------


def test_diverged_pairs_are_ordered_by_what_happened() -> None:
    # Log-ratios +inf (only after), -inf (only before), 0 (both), -ln 2, -ln 4.
    found = stats.paired_effect([8.0, INF, INF, 8.0, 8.0], [INF, 8.0, INF, 4.0, 2.0])
    assert (found.n, found.diverged_before, found.diverged_after) == (5, 2, 2)
    assert found.median_ratio == pytest.approx(0.5)
    assert found.rank_p == stats.signed_rank_p([INF, -INF, 0.0, -1.0, -2.0])


def test_a_median_ratio_may_be_infinite_or_undefined() -> None:
    assert stats.paired_effect([8.0, 8.0, 8.0], [INF, INF, 4.0]).median_ratio == INF
    assert stats.paired_effect([INF, INF, 4.0], [8.0, 8.0, 8.0]).median_ratio == 0.0
    assert stats.paired_effect([8.0, INF], [INF, 8.0]).median_ratio is None
    assert stats.paired_effect([8.0, INF], [INF, INF]).median_ratio == INF


def test_finite_pairs_have_all_three_p_values() -> None:
    rng = np.random.default_rng(1)
    before, after = np.exp(rng.normal(1.0, 0.3, 6)), np.exp(rng.normal(0.4, 0.3, 6))
    found = stats.paired_effect(before, after)
    assert found.t_p == pytest.approx(float(reference.ttest_rel(np.log(after), np.log(before)).pvalue))
    assert found.rank_p == pytest.approx(float(reference.wilcoxon(np.log(after / before), method="exact").pvalue))
    assert found.median_ratio == pytest.approx(float(np.exp(np.median(np.log(after / before)))))


def test_the_t_test_agrees_with_the_interval() -> None:
    for n in (2, 3, 5):
        rng = np.random.default_rng(n)
        for _ in range(50):
            found = stats.paired_effect(np.ones(n), np.exp(rng.normal(0.6, 0.4, n)))
            assert found.low is not None and found.high is not None and found.t_p is not None
            assert (found.t_p < 0.05) == (not found.low < 1 < found.high)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([0.2, 0.4], [0.1, 0.2]),
        # 0.6 / 0.2 and 0.9 / 0.3 differ in their last bits, which gave p = 7e-17.
        ([0.3, 0.6, 0.9], [0.1, 0.2, 0.3]),
        ([0.205, 0.233, 0.199], [0.205 * (1 - 1e-7), 0.233 * (1 - 1.01e-7), 0.199 * (1 - 0.99e-7)]),
        ([0.2, 0.3], [0.2, 0.3]),
    ],
)
def test_ratios_that_agree_to_rounding_are_no_test(before: list[float], after: list[float]) -> None:
    found = stats.paired_effect(before, after)
    assert found.ratio == pytest.approx(after[0] / before[0])
    assert (found.rounded, found.low, found.high, found.t_p, found.log_sd) == (True, None, None, None, 0.0)
    assert stats.equivalent(found, 1.25) == "unresolved"
    apart = stats.unpaired_effect(np.full(3, 0.2) * [1, 1 + 1e-8, 1], np.full(2, 0.1))
    assert (apart.ratio, apart.low, apart.p) == (pytest.approx(0.5), None, None)


def test_a_real_spread_is_not_called_rounding() -> None:
    found = stats.paired_effect([0.2, 0.4], [0.1, 0.2 * (1 + 1e-5)])
    assert not found.rounded and found.t_p is not None and found.low is not None
    assert not stats.paired_effect([0.2], [0.1]).rounded


def test_a_value_of_zero_has_no_ratio() -> None:
    found = stats.paired_effect([0.3, 0.0, 0.5], [0.2, 0.4, 0.4])
    assert (found.n, found.ratioless, found.ratio, found.t_p, found.rank_p) == (3, 1, None, None, None)
    assert stats.smallest_pairing_ratio([0.2, 0.3], [0.0, 0.0]) is None


# --- unpaired, equivalent ---------------------------------------------------------------------------------------------


def test_unpaired_effect_is_welchs_interval_on_logs() -> None:
    rng = np.random.default_rng(4)
    before, after = np.exp(rng.normal(2.0, 0.1, 3)), np.exp(rng.normal(1.0, 0.5, 5))
    found = stats.unpaired_effect(before, after)
    s2 = np.log(before).var(ddof=1) / 3, np.log(after).var(ddof=1) / 5
    df = sum(s2) ** 2 / (s2[0] ** 2 / 2 + s2[1] ** 2 / 4)
    half = reference.t.ppf(0.975, df) * math.sqrt(sum(s2))
    centre = np.log(after).mean() - np.log(before).mean()
    assert (found.n_before, found.n_after, found.df) == (3, 5, pytest.approx(df))
    assert found.ratio == pytest.approx(math.exp(centre))
    assert (found.low, found.high) == (pytest.approx(math.exp(centre - half)), pytest.approx(math.exp(centre + half)))


def test_unpaired_effect_says_nothing_that_it_cannot() -> None:
    lost = stats.unpaired_effect([1.0, INF], [2.0, NAN, 3.0])
    assert (lost.ratio, lost.diverged_before, lost.n_before, lost.n_after) == (None, 1, 2, 2)
    one = stats.unpaired_effect([1.0], [2.0, 4.0])
    assert one.ratio == pytest.approx(math.sqrt(8))
    assert (one.low, one.high, one.p) == (None, None, None)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.96, 1.04, "inside"),
        (0.94, 1.04, "unresolved"),
        (1.01, 1.30, "unresolved"),
        (1.06, 1.30, "outside"),
        (0.50, 0.90, "outside"),
        (None, None, "unresolved"),
    ],
)
def test_equivalence_reads_the_interval(low: float | None, high: float | None, verdict: str) -> None:
    assert stats.equivalent(stats.Effect(3, 1.0, low, high), 1.05) == verdict


def test_a_margin_is_above_one() -> None:
    with pytest.raises(ValueError, match="above 1"):
        stats.equivalent(stats.Effect(3), 0.95)


# --- families ---------------------------------------------------------------------------------------------------------


def test_holm_by_hand_with_gaps() -> None:
    # Four tests: 0.01 * 4, then max(0.04, 0.02 * 3), then max(0.06, 0.03 * 2), then 0.9.
    assert stats.holm([0.03, None, 0.01, NAN, 0.9, 0.02]) == [
        pytest.approx(0.06),
        None,
        pytest.approx(0.04),
        None,
        pytest.approx(0.9),
        pytest.approx(0.06),
    ]
    assert stats.holm([None, NAN]) == [None, None]


def test_holm_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(2)
    for size in (1, 2, 3, 10, 28):
        p = np.round(rng.uniform(0, 1, size) ** 3, 2)  # Ties and zeros among them.
        theirs = multipletests(p, method="holm")[1]
        assert stats.holm(p.tolist()) == pytest.approx(list(theirs), abs=1e-15)


def test_holm_collects_no_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    # statsmodels' multipletests does at each call, a fifth of a second where much is loaded.
    calls: list[int] = []
    monkeypatch.setattr("gc.collect", lambda *_: calls.append(1))
    stats.holm([0.01, 0.02])
    assert not calls


def test_a_comparison_with_a_diverged_run_stays_in_the_family() -> None:
    clear = stats.paired_effect(np.ones(4), [0.50, 0.51, 0.49, 0.50])
    lost = stats.paired_effect(np.ones(4), [0.5, INF, 0.4, 0.6])
    single = stats.paired_effect([1.0], [2.0])
    adjusted = stats.holm_t([clear, lost, None, single])
    assert clear.t_p is not None
    assert adjusted[0] == pytest.approx(2 * clear.t_p)
    assert adjusted[1] == pytest.approx(lost.rank_p)
    assert adjusted[2:] == [None, None]


@pytest.mark.parametrize("shared", [True, False], ids=["one baseline", "arms of their own"])
@pytest.mark.parametrize("n", [3, 5])
def test_holm_keeps_the_family_wise_error(n: int, shared: bool) -> None:
    draws, comparisons = 1000, 10
    rng = np.random.default_rng([n, shared])
    baseline = rng.normal(0.0, 0.2, (draws, 1 if shared else comparisons, n))
    arms = rng.normal(0.0, 0.2, (draws, comparisons, n))
    p_values = reference.ttest_1samp(arms - baseline, 0.0, axis=2).pvalue
    adjusted = single = 0
    for family in p_values:
        adjusted += any(p is not None and p <= 0.05 for p in stats.holm_t([stats.Effect(n, t_p=p) for p in family]))
        single += bool((family <= 0.05).any())
    # What a true rate of 5% exceeds once in a thousand simulations; without Holm the rate is several times that.
    assert adjusted <= reference.binom.ppf(0.999, draws, 0.05)
    assert single > 0.15 * draws


# --- what a design's comparisons tell each other ----------------------------------------------------------------------


def drawn(count: int, n: int, sd: float = 0.2) -> list[stats.Effect]:
    rng = np.random.default_rng(7)
    return [stats.paired_effect(np.ones(n), np.exp(rng.normal(0, sd, n))) for _ in range(count)]


def test_comparisons_borrow_at_most_two_degrees_of_freedom() -> None:
    alone = drawn(10, 3)
    borrowed = stats.borrowing(alone, [True] * 10)
    for before, after in zip(alone, borrowed, strict=True):
        assert after is not None and after.ratio == before.ratio and after.log_sd == before.log_sd
        assert before.df == 2 and after.df is not None and 2 < after.df <= 4
        # Interval and test are of the same standard error.
        assert after.low is not None and after.ratio is not None and after.error is not None
        half = float(reference.t.ppf(0.975, after.df)) * after.error
        assert math.log(after.ratio) - math.log(after.low) == pytest.approx(half)
        p = 2 * reference.t.sf(abs(math.log(after.ratio)) / after.error, after.df)
        assert after.t_p == pytest.approx(float(p))

    def wide(effects: list[stats.Effect] | list[stats.Effect | None]) -> float:
        return float(np.median([math.log((e.high or 1) / (e.low or 1)) for e in effects if e is not None]))

    assert wide(borrowed) < 0.75 * wide(alone)
    # Three values that happen to lie close make no tight interval any more.
    tight = min(range(10), key=lambda k: alone[k].log_sd or 0.0)
    assert (borrowed[tight].error or 0.0) > (alone[tight].error or 0.0)  # type: ignore[union-attr]


def test_who_is_not_steady_or_has_no_interval_neither_lends_nor_borrows() -> None:
    alone = drawn(6, 3)
    wild = stats.paired_effect([1.0, 1.0, 1.0], [1.0, 1.2, 20.0])
    lost = stats.paired_effect([1.0, 1.0, 1.0], [1.0, 1.2, INF])
    family = [*alone, wild, lost, None, stats.paired_effect([1.0], [2.0])]
    found = stats.borrowing(family, [*[True] * 6, False, True, True, True])
    assert found[6:] == family[6:]
    assert found[:6] == stats.borrowing(alone, [True] * 6)
    assert stats.borrowing(alone[:2], [True, True]) == alone[:2], "two know too little of each other"


def test_a_level_and_negligible() -> None:
    effect = stats.paired_effect([1.0, 1.0, 1.0, 1.0], [1.01, 0.99, 1.02, 1.0])
    assert effect.at(0.95) == effect
    wider = effect.at(0.99)
    assert (wider.low or 0) < (effect.low or 0) and (wider.high or 0) > (effect.high or 0)
    p = effect.negligible_p(1.15)
    assert p is not None and p < 0.01
    # The larger of two one-sided tests, as by hand: the interval of 1 - 2 p ends on the margin.
    on_the_edge = effect.at(1 - 2 * p)
    ends = (math.log(on_the_edge.low or 1), math.log(on_the_edge.high or 1))
    assert max(map(abs, ends)) == pytest.approx(math.log(1.15), rel=1e-6)
    assert stats.paired_effect([1.0], [1.0]).negligible_p(1.15) is None
    assert (stats.paired_effect([1.0, 1.0], [2.0, 2.1]).negligible_p(1.15) or 0) > 0.5
    with pytest.raises(ValueError, match="above 1"):
        effect.negligible_p(1.0)
