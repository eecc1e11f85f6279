"""Seeds needed: one answer for a dry run and a report, by design, in which a collapse speaks for itself alone."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import variance

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp
from statsmodels.stats.power import TTestPower

from ablations.designs import arms
from ablations.schema import DesignName
from core.folder import Outcome, RunFolder
from reports.render import render
from studies import catalogue
from studies.plan import jobs_root, record_plan
from studies.planning import make_plan
from studies.power import chance_to_decide, detectable_ratio, outlying, power_of_shift, seeds_needed
from studies.runner.preview import _power
from studies.spreads import (
    EFFECTS,
    MOST_RECORDED,
    Aside,
    Spread,
    answer,
    answers,
    common_spread,
    design_words,
    needs_words,
    observed_spreads,
    shows_words,
    spread_words,
)
from studies.times.estimate import REFERENCE_TIMES
from tests.choices.reference_times import as_record
from tests.support.runs import train_all

STUDY = catalogue.study("changes_overview")
TITLES = {change.name: change.title for change in STUDY.changes}
DESIGNS: tuple[DesignName, ...] = ("ladder", "add_one_in", "leave_one_out")
PLAN = make_plan(STUDY, STUDY.profile("cpu"), designs=DESIGNS, seeds=[0, 1, 2])
LADDER = Spread("ladder", 0.21, 30, 10, 10)


def end(runs: Path, name: str, values: Mapping[int, float], status: str = "finished") -> None:
    variant = PLAN.variant(name)
    assert variant is not None
    for seed, value in values.items():
        folder = RunFolder(jobs_root(runs), variant.job(seed))
        fields = {"status": status, "iteration": 1, "seconds": 1.0, "evaluation_seconds": 0.0, "job_seconds": 1.0}
        folder.write("outcome.json", Outcome.model_validate_json(json.dumps(fields)).model_dump_json())
        line = {"kind": "evaluated", "metric": "fd_rooms", "iteration": 1, "images": 1, "seconds": 1.0, "value": value}
        line["evaluation_seconds"] = 0.0
        folder.events_file.write_text(json.dumps(line) + "\n")


def collapse(runs: Path, name: str, seed: int, value: float) -> None:
    """Gives a run that is there another last value of its metric."""
    variant = PLAN.variant(name)
    assert variant is not None
    file = RunFolder(jobs_root(runs), variant.job(seed)).events_file
    events = [json.loads(line) for line in file.read_text().splitlines()]
    measured = [event for event in events if event["kind"] == "evaluated"]
    next(event for event in reversed(measured) if event["metric"] == measured[0]["metric"])["value"] = value
    file.write_text("".join(json.dumps(event) + "\n" for event in events))


def by_seed(values: Sequence[float]) -> dict[int, float]:
    return dict(enumerate(values))


def test_the_spread_is_of_a_designs_own_pairs_in_finished_runs(tmp_path: Path) -> None:
    assert observed_spreads(STUDY, PLAN, tmp_path) == []
    baseline, fourier, alone = [2.0, 4.0, 8.0], [3.0, 4.0, 5.0], [1.0, 8.0]
    end(tmp_path, "baseline", by_seed(baseline))
    end(tmp_path, "baseline+fourier_inr", by_seed(fourier))
    end(tmp_path, "baseline+r1", by_seed(alone))
    end(tmp_path, "baseline+r1", {2: 5.0}, status="diverged")
    end(tmp_path, "baseline+d1_g1", {0: 5.0})
    one = [math.log(a / b) for a, b in zip(fourier, baseline, strict=True)]
    other = [math.log(a / b) for a, b in zip(alone, baseline[:2], strict=True)]
    rungs, added = observed_spreads(STUDY, PLAN, tmp_path)
    # The ladder's first rung is that pair as well; R1 on the baseline is none of its comparisons.
    assert (rungs.design, rungs.pairs, rungs.comparisons) == ("ladder", 3, 1)
    assert rungs.log_sd == pytest.approx(math.sqrt(variance(one)))
    assert (added.design, added.pairs, added.comparisons, added.family) == ("add_one_in", 5, 2, 10)
    assert added.log_sd == pytest.approx(math.sqrt((2 * variance(one) + 1 * variance(other)) / 3))
    only = make_plan(STUDY, STUDY.profile("cpu"), designs=["add_one_in"], seeds=[0, 1, 2])
    assert [spread.design for spread in observed_spreads(STUDY, only, tmp_path)] == ["add_one_in"]


def test_variants_without_a_design_are_compared_with_the_first(tmp_path: Path) -> None:
    claimed = PLAN.replace(variants=tuple(variant.replace(designs={}) for variant in PLAN.variants))
    end(tmp_path, "baseline", by_seed([2.0, 4.0, 8.0]))
    end(tmp_path, "all", by_seed([1.0, 1.0, 1.0]))
    (found,) = observed_spreads(STUDY, claimed, tmp_path)
    assert (found.design, found.family, found.log_sd) == (None, 1, pytest.approx(math.log(2)))
    assert "(" not in needs_words(found)


# --- what collapses ---------------------------------------------------------------------------------------------------

PUBLISHED = {
    "fourier_inr": 0.21, "generator_ema": 0.30, "r1": 0.20, "d1_g1": 1.57, "batch_size": 1.47,
    "learning_rates": 0.40, "inr_size": 0.15, "factorized_se": 0.25, "ns_loss": 0.20, "residual_weight": 0.19,
}  # fmt: skip
"""Spreads of a ladder of which one rung collapses in one seed of three: two comparisons have that rung."""


def of_sd(sd: float) -> list[float]:
    return [-sd, 0.0, sd]


def test_comparisons_that_collapse_are_set_aside_by_name_and_not_pooled() -> None:
    found = common_spread("ladder", {name: of_sd(sd) for name, sd in PUBLISHED.items()}, family=10)
    assert found is not None
    assert [aside.name for aside in found.set_aside] == ["d1_g1", "batch_size"]
    assert f" pairs of {found.comparisons} comparisons; set aside, for they scatter far more: " in spread_words(
        found, {}
    )
    rest = [sd**2 for name, sd in PUBLISHED.items() if name not in ("d1_g1", "batch_size")]
    assert found.log_sd == pytest.approx(math.sqrt(np.mean(rest)))
    assert (found.pairs, found.comparisons) == (24, 8)
    pooled = replace(found, log_sd=math.sqrt(np.mean([sd**2 for sd in PUBLISHED.values()])))
    alone, everything = found.seeds_needed(0.2)[0], pooled.seeds_needed(0.2)[0]
    assert alone is not None and everything is not None and everything > 5 * alone
    said = answer(found, 3, TITLES)
    assert f"set aside, for they scatter far more: {TITLES['d1_g1']} 1.57, {TITLES['batch_size']} 1.47" in said


@pytest.mark.parametrize("n", [3, 5, 10])
def test_a_design_that_scatters_alike_seldom_has_one_set_aside(n: int) -> None:
    rng = np.random.default_rng(n)
    arms_of = rng.normal(size=(500, 10, n)) - rng.normal(size=(500, 1, n))
    sds = arms_of.std(axis=2, ddof=1)
    names = [str(i) for i in range(10)]
    lost = [bool(outlying(dict(zip(names, row, strict=True)), dict.fromkeys(names, n - 1))) for row in sds.tolist()]
    assert np.mean(lost) < 0.025


def test_nothing_that_scatters_is_nothing_known() -> None:
    assert common_spread("ladder", {"r1": [0.1, 0.1], "d1_g1": [0.2]}, family=10) is None
    assert common_spread("ladder", {}, family=10) is None


# --- the numbers, said alike ------------------------------------------------------------------------------------------


def test_seeds_needed_are_of_the_test_that_verdicts_use() -> None:
    for effect in EFFECTS:
        assert LADDER.seeds_needed(effect) == (
            seeds_needed(0.21, 1 + effect, borrowed=2),
            seeds_needed(0.21, 1 + effect, comparisons=10, borrowed=2),
        )
    least = detectable_ratio(0.21, 3, borrowed=2), detectable_ratio(0.21, 3, alpha=0.005, borrowed=2)
    assert LADDER.detectable(3) == (pytest.approx(least[0], rel=1e-5), pytest.approx(least[1], rel=1e-5))
    assert needs_words(LADDER) == "5% 148 (251), 10% 40 (69), 20% 13 (22)"
    assert shows_words(LADDER, 3) == "with 3 seeds the smallest detectable effect is ×1.58 (×2.35)"
    assert shows_words(LADDER, 1) == "one seed can show no effect"
    assert needs_words(replace(LADDER, log_sd=2.0)).startswith("5% over 1,000 (over 1,000)")


def test_a_spread_survives_its_record() -> None:
    spread = Spread("ladder", 0.2134, 24, 8, 10, (Aside("d1_g1", 1.57),))
    back = Spread.recorded(json.loads(json.dumps(as_record(spread))))
    assert (back.design, back.log_sd, back.pairs, back.comparisons, back.family) == ("ladder", 0.2134, 24, 8, 10)
    assert back.set_aside == spread.set_aside
    for seeds in (0, 1, 2, 3, MOST_RECORDED, MOST_RECORDED + 1):
        assert back.detectable(seeds) == spread.detectable(seeds)
    assert answer(back, 3, TITLES) == answer(spread, 3, TITLES)
    assert "at the recorded spread" in answers([back], 3, TITLES)[0]
    assert "at the observed spread" in answers([spread], 3, TITLES)[0]


def test_a_dry_run_and_a_report_say_the_same_of_the_same_runs(tmp_path: Path) -> None:
    plan = record_plan(tmp_path, PLAN)
    train_all(tmp_path, plan, diverged={("all-r1", 0)})
    collapse(tmp_path, "baseline..d1_g1", 1, 1000.0)
    dry = _power(STUDY, plan, tmp_path)
    text = (render("changes_overview", runs=tmp_path) / "report.md").read_text()
    found = observed_spreads(STUDY, plan, tmp_path)
    assert [spread.design for spread in found] == list(DESIGNS)
    assert [aside.name for aside in found[0].set_aside] == ["d1_g1", "batch_size"]
    assert (found[2].pairs, found[2].comparisons) == (29, 10)
    for spread, line in zip(found, dry[1:], strict=True):
        said = answer(spread, 3, TITLES)
        assert line == f"  {design_words(spread)}: {said}"
        assert f"- **{design_words(spread).capitalize()}.** {said}" in text


def test_every_recorded_spread_can_be_read() -> None:
    recorded = json.loads(REFERENCE_TIMES.read_text())
    spreads = [s for profiles in recorded.values() for found in profiles.values() for s in found.get("spreads", [])]
    assert len(spreads) > 5
    assert not any("log_sd" in found for profiles in recorded.values() for found in profiles.values())
    for record in spreads:
        back = Spread.recorded(record)
        assert needs_words(back) == needs_words(Spread(back.design, back.log_sd, 2, 1, back.family))


def test_leave_one_out_pairs_all_with_all_but_one() -> None:
    assert arms(STUDY, STUDY.change("r1"), "leave_one_out") == ("all-r1", "all")


# --- power, against statsmodels where it answers, and by simulation ---------------------------------------------------


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


@pytest.mark.parametrize(("log_ratio", "later"), [(0.0, 20), (0.05, 20), (0.12, 12), (0.3, 8)])
def test_the_chance_to_decide_is_how_often_more_pairs_do(log_ratio: float, later: int) -> None:
    """Against draws: the mean of all pairs, given that of the first eight, and both tests on it."""
    n, sd, margin, level = 8, 0.15, 1.15, 0.02
    rng = np.random.default_rng(7)
    further = rng.normal(log_ratio, sd * math.sqrt(1 / n - 1 / later), 200_000)
    error, df = sd / math.sqrt(later), later - 1
    found = np.abs(further) / error > student.isf(level / 2, df)
    within = (math.log(margin) - np.abs(further)) / error > student.isf(level, df)
    chance = chance_to_decide(log_ratio, sd / math.sqrt(n), n - 1, n, later, margin, level)
    assert chance == pytest.approx(float((found | within).mean()), abs=0.005)


def test_a_chance_is_of_pairs_to_come() -> None:
    assert chance_to_decide(0.1, 0.01, 7, 8, 8, 1.15) == pytest.approx(1.0), "the test of today's pairs decides"
    with pytest.raises(ValueError, match="fewer than the 8"):
        chance_to_decide(0.1, 0.01, 7, 8, 5, 1.15)
