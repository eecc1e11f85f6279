"""The rules by which claims and changes are judged."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablations.claims import Claim, Comparison, Measured
from ablations.designs import arms
from ablations.protocols import DECK_2020
from ablations.schema import DesignName, Study
from reports import stats
from reports.claims import ClaimVerdict, judge_claim
from reports.deck import claimed_values
from reports.report import Report
from reports.results import Results, load
from reports.sections.claims import designs_with
from reports.sections.end_to_end import end_to_end, end_to_end_at_equal, seconds_axis, work_axis
from reports.sections.setting import pilot
from reports.verdicts import ChangeEffect, judge_design
from studies.plan import Look, Plan, PlannedVariant
from studies.planning import make_plan

INF, NAN = np.inf, np.nan


@pytest.fixture(scope="module")
def results(full_runs: Path) -> Results:
    return load("changes_overview", full_runs)


def with_values(results: Results, values: Mapping[str, Sequence[float]]) -> Results:
    """The same results with other values at the last iteration."""
    jobs = results.jobs.copy()
    for name, arm in values.items():
        jobs.loc[jobs["variant"] == name, "value"] = list(arm)
    return dataclasses.replace(results, jobs=jobs)


def with_seeds(results: Results, count: int, **given: object) -> Results:
    """The runs of seed 0 as those of so many seeds."""
    seeds = tuple(range(count))
    first = results.jobs[results.jobs["seed"] == 0]
    jobs = pd.concat([first.assign(seed=seed) for seed in seeds], ignore_index=True)
    return dataclasses.replace(results, jobs=jobs, plan=Plan(**{**dict(results.plan), "seeds": seeds, **given}))


def judged(results: Results, name: str, design: DesignName) -> ChangeEffect:
    return next(effect for effect in judge_design(design, results) if effect.change.name == name)


def claim(results: Results, **changed: object) -> Claim:
    return Claim(**{**dict(results.study.claims[0]), **changed})


@pytest.mark.parametrize(
    ("expects", "before", "after", "word"),
    [
        ("lower", [20, 21, 22], [5, 5.5, 6], "reproduced"),
        ("lower", [5, 5.5, 6], [20, 21, 22], "contradicted"),
        ("lower", [20, 21, 22], [10, 21, 40], "inconclusive"),
        ("lower", [20, INF, 22], [5, 5.5, 6], "inconclusive"),
        ("lower", [20, NAN, NAN], [5, 5.5, NAN], "inconclusive"),
        ("lower", [20, NAN, NAN], [NAN, 5, 6], "not tested"),
        ("higher", [5, 5.5, 6], [20, 21, 22], "reproduced"),
        ("same", [20, 21, 22], [20.1, 21.2, 21.9], "reproduced"),
        ("same", [20, 21, 22], [40, 43, 44], "contradicted"),
        ("same", [20, 21, 22], [10, 10.4, 11.2], "contradicted"),
        ("same", [20, 21, 22], [20, 25, 29], "inconclusive"),
        ("no_higher", [20, 21, 22], [20.1, 21.2, 21.9], "reproduced"),
        ("no_higher", [20, 21, 22], [10, 10.4, 11.2], "reproduced"),
        ("no_higher", [20, 21, 22], [40, 43, 44], "contradicted"),
        ("no_higher", [20, 21, 22], [20, 25, 29], "inconclusive"),
    ],
)
def test_word_on_a_claim(results: Results, expects: str, before: list[float], after: list[float], word: str) -> None:
    asked = claim(results, expects=expects, margin=1.25 if expects in ("same", "no_higher") else None)
    verdict = judge_claim(asked, with_values(results, {"baseline": before, "all-ns_loss": after}))
    assert verdict.word == word
    if INF in before:
        assert "diverged in 1" in verdict.why


@pytest.mark.parametrize(
    ("values", "word", "why"),
    [
        ([56, 57, 58], "reproduced", "the whole interval of our mean lies below 63.8"),
        ([70, 71, 72], "contradicted", "the whole interval of our mean lies above 63.8"),
        ([50, 60, 80], "inconclusive", "the interval of our mean contains 63.8"),
        ([57, 57, 57], "inconclusive", "n = 3: the values agree to rounding: no test"),
        ([57, NAN, NAN], "inconclusive", "n = 1: one run has no interval"),
        ([57, 0, 57], "inconclusive", "a value of 0 or below has no logarithm, so our mean has no interval"),
        ([57, INF, 57], "inconclusive", "a run diverged, so our mean has no interval"),
    ],
)
def test_a_claim_of_a_value_stands_only_under_its_own_conditions(
    results: Results, values: list[float], word: str, why: str
) -> None:
    one = claim(results, expects="value", before=None, after=Measured(variant="all", value=58), margin=1.1)
    changed = with_values(results, {"all": values})
    assert judge_claim(one, changed).word == "not comparable"
    verdict = judge_claim(one, like_the_deck(changed))
    assert (verdict.word, verdict.why) == (word, why)


def test_a_claim_is_read_at_its_own_iteration_by_proportion(results: Results) -> None:
    half = claim(results, iterations=10_000)
    verdict = judge_claim(half, results)
    assert verdict.iteration == 400
    baseline = results.variant("baseline")
    assert baseline is not None
    np.testing.assert_array_equal(claimed_values(half, half.before, results), results.at(baseline, 400))  # type: ignore[arg-type]
    assert any(part.startswith("iterations: 400 here") for part in verdict.differs)


def test_a_claim_of_another_measure_reads_that_and_takes_a_diverged_run_as_the_worst(results: Results) -> None:
    tidy = results.tidy.copy()
    last = (tidy["variant"] == "baseline") & (tidy["iteration"] == 800) & (tidy["metric"] == "fd_rooms")
    mine = tidy[last].copy()
    mine["metric"], mine["value"] = "upsampled/own", [3.0, 4.0, 5.0]
    changed = dataclasses.replace(results, tidy=pd.concat([tidy, mine]))
    changed = with_values(changed, {"baseline": [1.0, INF, 1.0]})
    number = Measured(variant="baseline", series="upsampled/own")
    np.testing.assert_array_equal(claimed_values(claim(results), number, changed), [3.0, INF, 5.0])  # type: ignore[arg-type]
    missing = claim(results, after=Measured(variant="all", series="upsampled/own"))
    assert judge_claim(missing, changed).word == "not tested"


def test_what_was_declared_after_the_first_run_is_exploratory(results: Results) -> None:
    assert judge_claim(claim(results), results).exploratory is None
    raw = json.loads(results.plan.model_dump_json())
    raw["registered"]["claim overall"] = "0" * 16
    del raw["registered"]["change r1"]
    late = dataclasses.replace(results, plan=Plan.model_validate_json(json.dumps(raw)))
    assert judge_claim(claim(results), late).exploratory == "claim overall was changed after the first run"
    marks = {e.change.name: e.exploratory for e in judge_design("ladder", late)}
    assert marks["r1"] and not marks["d1_g1"]
    raw["registered"] = {}
    unknown = dataclasses.replace(results, plan=Plan.model_validate_json(json.dumps(raw)))
    assert "does not say" in (judge_claim(claim(results), unknown).exploratory or "")


def test_magnitude_names_all_that_differs(results: Results) -> None:
    verdict = judge_claim(claim(results), results)
    assert verdict.magnitude == "not comparable"
    assert [part.partition(":")[0] for part in verdict.differs] == ["scale", "dataset", "iterations", "metric"]


def like_the_deck(results: Results) -> Results:
    """The same results as if of the deck's scale, data and metric."""
    raw = json.loads(results.plan.model_dump_json())
    raw |= {"profile": "lsun64", "data_name": "LSUN conference room"}
    for variant in raw["variants"]:
        variant["config"]["iterations"] = 20_000
        variant["config"]["evaluation"]["metric"] = DECK_2020.metric.model_dump(mode="json")
    used = {key: p.derived(p.series, samples=8192, real_samples=8192) for key, p in results.protocols.items()}
    return dataclasses.replace(results, plan=Plan.model_validate_json(json.dumps(raw)), protocols=used)


def test_magnitude_is_comparable_where_nothing_differs(results: Results) -> None:
    verdict = judge_claim(claim(results), like_the_deck(results))
    assert (verdict.differs, verdict.magnitude) == ((), "comparable")


def test_a_claim_about_an_unplanned_variant_is_not_tested(ladder_runs: Path) -> None:
    ladder = load("changes_overview", ladder_runs)
    verdict = judge_claim(claim(ladder, after=Measured(variant="all-r1")), ladder)
    assert (verdict.word, verdict.effect) == ("not tested", None)
    assert designs_with(ladder.study, "all-r1")[0] == "leave_one_out"


@pytest.mark.parametrize(
    ("without", "with_it", "word", "alone"),
    [
        ([20, 21, 22], [10, 10.5, 11.02], "helps", True),
        ([10, 10.5, 11.02], [20, 21, 22], "hurts", True),
        ([20, 21, 22], [15, 17, 15.5], "open", True),
        ([10, 11, 12], [12, 10, 11], "open", False),
        ([10, 11, 12], [9, INF, 10], "open", False),
        ([NAN, NAN, NAN], [9, 9, 9], "not tested", False),
    ],
)
@pytest.mark.parametrize("design", ["ladder", "add_one_in", "leave_one_out"])
def test_verdict_on_a_change_is_the_same_rule_in_every_design(
    results: Results, design: DesignName, without: list[float], with_it: list[float], word: str, alone: bool
) -> None:
    change = results.study.change("d1_g1")
    before, after = arms(results.study, change, design)
    # Nothing else does anything: the family's correction then multiplies the smallest p by its size.
    quiet = with_values(
        results, {v.name: with_it if change.name in v.changes else without for v in results.plan.variants}
    )
    assert {before, after} <= {v.name for v in results.plan.variants}
    found = judged(quiet, change.name, design)
    assert found.word == word
    assert (found.p is not None and found.p <= 0.05) == alone
    if INF in with_it:
        assert found.verdict == "open: diverged in 1 of 3 with"
    if word == "open" and alone:
        assert found.verdict == "open: helps before the correction"


@pytest.mark.parametrize(
    ("without", "with_it", "why"),
    [
        ([0.4, 0.8, 1.2], [0.2, 0.4, 0.6], "the ratios agree to rounding: no test"),
        ([0.3, 0.0, 0.5], [0.2, 0.4, 0.4], "a value of 0 or below has no ratio: 1 of 3 pairs"),
        ([0.3, 0.0, 0.5], [INF, 0.4, 0.4], "a value of 0 or below has no ratio: 1 of 3 pairs"),
        ([0.3, NAN, NAN], [0.2, NAN, NAN], "one seed: no interval"),
    ],
)
def test_what_cannot_be_tested_says_why(results: Results, without: list[float], with_it: list[float], why: str) -> None:
    quiet = with_values(results, {v.name: with_it if "d1_g1" in v.changes else without for v in results.plan.variants})
    found = judged(quiet, "d1_g1", "add_one_in")
    assert (found.p, found.word, found.why) == (None, "open", why)
    claimed = judge_claim(claim(results), with_values(results, {"baseline": without, "all-ns_loss": with_it}))
    assert claimed.word == "inconclusive"
    if INF not in with_it:
        assert claimed.why == why


def of_many(results: Results, design: DesignName, value: Callable[[PlannedVariant], float]) -> Results:
    """The same with the runs of one design that estimates, each with a value of its variant's."""
    study = results.study
    plan = make_plan(study, study.profile("cpu"), designs=[design], seeds=results.plan.seeds)
    row = results.jobs.iloc[:1]
    jobs = pd.concat([row.assign(variant=v.name, seed=s, value=value(v)) for v, s in plan.jobs()], ignore_index=True)
    return dataclasses.replace(results, plan=plan, jobs=jobs)


@pytest.mark.parametrize("design", ["shapley", "screening"])
def test_designs_of_many_variants_say_that_a_zero_has_no_ratio_and_call_nothing_by_rounding(
    results: Results, design: DesignName
) -> None:
    zero = of_many(results, design, lambda _: 0.3)
    zero.jobs.loc[4, "value"] = 0.0
    found = judge_design(design, zero)
    assert {(e.word, e.why) for e in found} == {("not tested", "a value of 0 or below has no ratio")}
    # Changes that multiply, and no noise: an error of 1e-16 would call all of them.
    found = judge_design(design, of_many(results, design, lambda variant: 0.3 * 0.9 ** len(variant.changes)))
    assert {(e.word, e.why) for e in found} == {("open", "the ratios agree to rounding: no test")}
    assert all(e.effect is not None and e.effect.ratio == pytest.approx(0.9) for e in found)


def test_a_change_that_diverges_in_every_one_of_many_runs_hurts(results: Results) -> None:
    looks = (Look(seeds=tuple(range(10)), designs=("ladder",), runs=120),)
    many = with_seeds(results, 10, looks=looks)
    many.jobs["value"] = 10.0 + many.jobs["seed"].astype(float)
    many.jobs.loc[many.jobs["variant"] == "baseline..d1_g1", "value"] = np.inf
    found = judged(many, "d1_g1", "ladder")
    assert (found.word, found.verdict) == ("hurts", "hurts: diverged in 10 of 10 with")


def test_leave_one_out_compares_all_with_all_but_one(results: Results) -> None:
    assert arms(results.study, results.study.change("r1"), "leave_one_out") == ("all-r1", "all")
    assert arms(results.study, results.study.change("r1"), "add_one_in") == ("baseline", "baseline+r1")
    assert arms(results.study, results.study.change("r1"), "ladder") == ("baseline..generator_ema", "baseline..r1")


def test_arms_that_are_one_config_are_called_so(results: Results) -> None:
    plan = results.plan
    baseline = plan.variants[0]
    twin = type(baseline)(**{**dict(baseline), "aliases": ("baseline+r1",)})
    rest = tuple(v for v in plan.variants if v.name not in ("baseline", "baseline+r1"))
    merged = dataclasses.replace(results, plan=Plan(**{**dict(plan), "variants": (twin, *rest)}))
    found = judged(merged, "r1", "add_one_in")
    assert (found.word, found.why) == ("not tested", "both arms are one config at this scale")


def test_end_to_end_by_hand() -> None:
    found = end_to_end([20.0, 24.0, 22.0], [4.0, 5.0, 6.0])
    assert found.ratio == pytest.approx((20 * 24 * 22 / (4 * 5 * 6)) ** (1 / 3))
    assert found.before.mean == pytest.approx((20 * 24 * 22) ** (1 / 3))
    assert found.least == pytest.approx(20 / 6)
    assert end_to_end([20.0, INF], [4.0, 5.0]).ratio is None


def test_equal_seconds_reads_both_arms_at_the_last_second_both_reached(results: Results) -> None:
    found = end_to_end_at_equal(seconds_axis, results, "baseline", "all")
    assert found is not None
    baseline = results.variant("baseline")
    assert baseline is not None
    ends = [float(results.curve(baseline, seed)["seconds"].iloc[-1]) for seed in results.plan.seeds]
    assert found.reached == pytest.approx(min(ends))
    at_iterations = end_to_end(results.last(baseline), results.last(results.plan.variant("all")))  # type: ignore[arg-type]
    assert found.ratio is not None
    assert at_iterations.ratio is not None
    assert 1 < found.ratio < at_iterations.ratio
    assert end_to_end_at_equal(work_axis, results, "baseline", "baseline+r1") is None


@pytest.mark.parametrize(
    ("without", "with_it", "word"),
    [
        # One seed diverged in both arms, a tie: the others decide.
        ([INF, *[10.0] * 9], [INF, *[8.0] * 9], "helps"),
        # One diverged without the change, and all others are worse with it.
        ([INF, *[10.0] * 18], [9.0, *[12.0] * 18], "hurts"),
        ([INF, *[10.0] * 2], [9.0, 12.0, 8.0], "open"),
    ],
)
def test_diverged_runs_take_their_place_in_the_order_of_pairs(
    results: Results, without: list[float], with_it: list[float], word: str
) -> None:
    many = with_seeds(results, len(without))
    for variant in results.plan.variants:
        arm = with_it if "d1_g1" in variant.changes else without
        many.jobs.loc[many.jobs["variant"] == variant.name, "value"] = arm
    assert judged(many, "d1_g1", "ladder").word == word


def test_a_pair_is_judged_alike_whatever_other_designs_were_run(ladder_runs: Path) -> None:
    ladder = load("changes_overview", ladder_runs)
    few = with_values(ladder, {"baseline": [20, 21, 22], "baseline+fourier_inr": [15, 17, 15.5]})
    rung, alone = (judged(few, "fourier_inr", design) for design in ("ladder", "add_one_in"))
    assert (rung.before, rung.after) == (alone.before, alone.after) == ("baseline", "baseline+fourier_inr")
    assert alone.effect == stats.paired_effect([20, 21, 22], [15, 17, 15.5]), "nothing to borrow from"
    assert rung.effect is not None and rung.effect.df == 4.0, "of the ladder's other steps"
    assert alone.p_holm == pytest.approx(10 * alone.p)  # type: ignore[operator]
    assert alone.word == "open"


def scattered(results: Results, count: int, factors: Mapping[str, float]) -> Results:
    """So many seeds of values that scatter by a tenth, times these factors by variant."""
    many = with_seeds(results, count, looks=(Look(seeds=tuple(range(count)), designs=EVERY, runs=9 * count),))
    rng = np.random.default_rng(5)
    shared = dict(zip(range(count), 0.05 * rng.normal(size=count), strict=True))
    for place, row in many.jobs.iterrows():
        value = 0.2 * factors.get(str(row["variant"]), 1.0) * np.exp(shared[int(row["seed"])] + 0.05 * rng.normal())
        many.jobs.loc[place, "value"] = value  # type: ignore[index]
    return many


EVERY: tuple[DesignName, ...] = ("ladder", "add_one_in", "leave_one_out")


def test_the_four_words_and_what_stands_in_no_word(results: Results) -> None:
    many = scattered(results, 20, {"all-d1_g1": 2.0, "all-learning_rates": 0.7, "all-r1": 1.12})
    words = {e.change.name: e for e in judge_design("leave_one_out", many)}
    assert words["d1_g1"].word == "helps" and words["learning_rates"].word == "hurts"
    assert words["residual_weight"].word == "negligible" and words["residual_weight"].why == ""
    # As far from none as from the margin, with both excluded by no test.
    assert words["r1"].word in ("open", "helps", "negligible")
    small = scattered(results, 20, {"all-r1": 1.07})
    r1 = next(e for e in judge_design("leave_one_out", small) if e.change.name == "r1")
    assert (r1.word, r1.why) == ("negligible", "helps, but by no more") and r1.decided and not r1.resolved
    few = {e.word for e in judge_design("leave_one_out", scattered(results, 3, {}))}
    assert few <= {"open", "negligible"} and "open" in few, "few seeds are no evidence of no effect"


def test_a_margin_that_was_declared_after_the_first_run_makes_negligible_exploratory(results: Results) -> None:
    many = scattered(results, 20, {})
    plan = many.plan.replace(registered={k: v for k, v in many.plan.registered.items() if k != "negligible"})
    for found, exploratory in ((many, False), (dataclasses.replace(many, plan=plan), True)):
        words = [e for e in judge_design("leave_one_out", found) if e.word == "negligible"]
        assert words and {e.exploratory for e in words} == {exploratory}


def test_a_variant_that_collapses_in_some_seeds_is_told_with_its_rate_and_lends_nothing(results: Results) -> None:
    many = scattered(results, 6, {})
    before = {e.change.name: e for e in judge_design("leave_one_out", many)}
    jobs = many.jobs.copy()
    jobs.loc[jobs[(jobs["variant"] == "all-r1") & (jobs["seed"] == 2)].index[0], "value"] = 9.0
    after = {e.change.name: e for e in judge_design("leave_one_out", dataclasses.replace(many, jobs=jobs))}
    assert after["r1"].word == "unstable" and after["r1"].why.startswith("without it 1 of 6 seeds far from the median")
    assert after["r1"].effect is not None and after["r1"].effect.df == 5, "and it borrows nothing"
    kept = [e.effect for name, e in after.items() if name != "r1"]
    assert all(e is not None and e.high is not None and e.low is not None and e.high / e.low < 1.3 for e in kept)
    assert {name for name in before if before[name].effect is None} == set()


@pytest.mark.parametrize(("collapsing", "arm", "said"), [("all-r1", "without", "helps"), ("all", "with", "hurts")])
def test_neither_to_leave_an_unstable_variant_nor_to_run_into_one_is_a_verdict(
    collapsing: str, arm: str, said: str, results: Results
) -> None:
    """Twenty seeds resolve it by ranks, which is said beside the word."""
    many = scattered(results, 20, {"all-r1": 1.5 if said == "helps" else 0.6})
    jobs = many.jobs.copy()
    jobs.loc[jobs[(jobs["variant"] == collapsing) & (jobs["seed"] < 3)].index, "value"] = 9.0
    found = dataclasses.replace(many, jobs=jobs)
    r1 = next(e for e in judge_design("leave_one_out", found) if e.change.name == "r1")
    assert r1.p_holm is not None and r1.p_holm < 0.05
    assert r1.word == "unstable" and r1.decided and not r1.resolved
    assert r1.why.startswith(f"{said} by ranks, median") and f"; {arm} it 3 of 20 seeds far from" in r1.why
    assert r1.verdict == f"unstable: {r1.why.partition('; ')[0]}", "a table has no room for the seeds"


def test_a_claim_has_the_interval_of_the_design_that_compares_its_pair(results: Results) -> None:
    many = scattered(results, 3, {"all-r1": 1.5})
    pair = claim(results, before=Measured(variant="all-r1"), after=Measured(variant="all"))
    verdict, change = judge_claim(pair, many), judged(many, "r1", "leave_one_out")
    assert verdict.effect == change.effect and change.effect is not None and (change.effect.df or 0) > 2
    one, other = many.variant("all-r1"), many.variant("all")
    assert one is not None and other is not None
    alone = stats.paired_effect(many.last(one), many.last(other))
    assert alone.df == 2 and verdict.effect != alone


# --- looks ------------------------------------------------------------------------------------------------------------


def looked(results: Results, *looks: Look) -> Results:
    return dataclasses.replace(results, plan=Plan(**{**dict(results.plan), "looks": looks}))


def test_what_was_asked_for_after_a_look_is_exploratory(results: Results) -> None:
    ladder: tuple[DesignName, ...] = ("ladder",)
    registered = looked(results, Look(seeds=(0, 1, 2), designs=ladder, runs=36))
    assert judge_claim(claim(results), registered).exploratory is None
    assert not any(e.exploratory for e in judge_design("ladder", registered))
    assert all(e.exploratory for e in judge_design("leave_one_out", registered)), "a design that nobody registered"
    more = looked(registered, Look(seeds=(0, 1), designs=ladder, runs=24), Look(seeds=(2,), designs=(), begun=24))
    assert judge_claim(claim(results), more).exploratory == "seed 2 asked for after 24 runs had begun"
    assert all(e.exploratory for e in judge_design("ladder", more))
    alone = more.registered_seeds()
    assert alone.plan.seeds == (0, 1) and set(alone.jobs["seed"]) == {0, 1}
    assert judge_claim(claim(results), alone).exploratory is None
    late = looked(results, Look(seeds=(0, 1, 2), designs=ladder, begun=36, runs=36))
    assert judge_claim(claim(results), late).exploratory == "all of its runs were there when it was registered"


def test_fewer_seeds_than_registered_are_an_interim_look(results: Results) -> None:
    five = looked(results, Look(seeds=(0, 1, 2, 3, 4), designs=("ladder",), runs=60))
    assert judge_claim(claim(results), five).exploratory == "an interim look: 3 of the 5 seeds that were registered"
    assert all(e.exploratory for e in judge_design("ladder", five))


# --- claims of several pairs, of margins and of orders ----------------------------------------------------------------


def pair(title: str, before: str, after: str, reading: str = "") -> Comparison:
    return Comparison(title=title, reading=reading, before=Measured(variant=before), after=Measured(variant=after))


def test_much_better_has_a_margin(results: Results) -> None:
    values = {"baseline": [1.0, 1.0, 1.0], "all-ns_loss": [0.90, 0.91, 0.92]}
    changed = with_values(results, values)
    assert judge_claim(claim(results), changed).word == "reproduced"
    much = judge_claim(claim(results, margin=1.25), changed)
    assert (much.word, much.why) == (
        "inconclusive",
        "the whole interval lies above 1/1.25, and how much it is is a magnitude, which does not compare here",
    )
    there = judge_claim(claim(results, margin=1.25), like_the_deck(changed))
    assert (there.word, there.why) == ("contradicted", "the whole interval lies above 1/1.25")
    worse = with_values(results, {**values, "all-ns_loss": [1.5, 1.6, 1.7]})
    assert judge_claim(claim(results, margin=1.25), worse).word == "contradicted", "the wrong side is no magnitude"
    half = with_values(results, {**values, "all-ns_loss": [0.50, 0.51, 0.52]})
    assert judge_claim(claim(results, margin=1.25), half).word == "reproduced"


def test_all_pairs_of_a_sentence_have_to_hold_and_all_readings_to_agree(results: Results) -> None:
    one, other = results.plan.variants[2].name, results.plan.variants[3].name
    values = {"baseline": [1.0, 1.0, 1.0], "all-ns_loss": [0.50, 0.51, 0.52], one: [0.40, 0.41, 0.42]}
    changed = with_values(results, {**values, other: [2.0, 2.1, 2.2]})
    holds = judge_claim(claim(results, also=(pair("x", "baseline", one),)), changed)
    assert holds.word == "reproduced" and len(holds.parts) == 2
    fails = judge_claim(claim(results, title="a", also=(pair("x", "baseline", other),)), changed)
    assert (fails.word, fails.why) == ("contradicted", "contradicted against x")
    readings = judge_claim(claim(results, reading="one", also=(pair("", "baseline", other, "two"),)), changed)
    assert readings.word == "inconclusive"
    assert readings.why == "it depends on the reading: one: reproduced; two: contradicted"


def test_one_of_many_pairs_fails_at_five_per_cent_over_all_of_them(results: Results) -> None:
    """A pair with p between 2.5 and 5% contradicts a claim of one pair, and not one of two."""
    values = {"baseline": [1.0, 1.0, 1.0], "all-ns_loss": [1.10, 1.20, 1.25]}
    changed = with_values(results, values)
    effect = judge_claim(claim(results), changed).effect
    assert effect is not None and effect.t_p is not None and 0.025 < effect.t_p < 0.05
    assert judge_claim(claim(results), changed).word == "contradicted"
    two = judge_claim(claim(results, also=(pair("", "baseline", "all-ns_loss"),)), changed)
    assert two.word == "inconclusive" and two.parts[0].why.endswith("but not at 5% over 2 comparisons")


def test_an_order_is_judged_by_rank_correlation_in_every_seed(results: Results) -> None:
    names = [variant.name for variant in results.plan.variants][:6]
    numbers = [Measured(variant=name, value=float(place)) for place, name in enumerate(names, start=1)]
    also = tuple(Comparison(title="", before=numbers[0], after=number) for number in numbers[2:])
    asked = claim(results, expects="order", before=numbers[0], after=numbers[1], also=also)

    def verdict(places: list[int], factors: Sequence[float] = (1, 1.01, 0.99)) -> ClaimVerdict:
        values = {name: [place * f for f in factors] for name, place in zip(names, places, strict=True)}
        return judge_claim(asked, with_values(results, values))

    assert verdict([1, 2, 3, 4, 6, 5]).word == "reproduced"
    assert verdict([6, 5, 4, 3, 2, 1]).word == "contradicted"
    assert verdict([2, 5, 1, 6, 3, 4]).word == "inconclusive"
    single = verdict([1, 2, 3, 4, 5, 6], (1, NAN, NAN))
    assert single.word == "inconclusive" and "one seed is no verdict" in single.why
    assert verdict([1] * 6, (1, 1, 1)).why == "all of ours are tied or diverged"
    opposed = {name: [place, place * 1.01, (7 - place) * 1.5] for place, name in enumerate(names, start=1)}
    assert judge_claim(asked, with_values(results, opposed)).word == "inconclusive", "one seed says the reverse"
    rng = np.random.default_rng(0)
    turned = {n: list(p * rng.normal(1, 0.005, 3)) for p, n in zip([1, 2, 3, 4, 6, 5], names, strict=True)}
    said = "14 of 15 pairs lie as in the deck, 1 are resolved the other way round: here"
    assert said in judge_claim(asked, with_values(results, turned)).why


def test_runs_that_were_there_when_they_were_registered_are_no_plan(results: Results) -> None:
    """A plan that was moved away, and registered again with one more seed, does not make what was seen planned."""
    again = looked(
        results,
        Look(
            seeds=(0, 1, 2),
            designs=("ladder",),
            begun=24,
            runs=36,
            seen=tuple(v.job(seed).digest for v in results.plan.variants for seed in (0, 1)),
        ),
    )
    assert judge_claim(claim(results), again).exploratory == (
        "the runs of 2 of 3 seeds had been there when it was registered"
    )
    assert all(e.exploratory for e in judge_design("ladder", again) if e.effect is not None)
    one_arm = tuple(results.plan.variants[0].job(seed).digest for seed in (0, 1, 2))
    shared = looked(results, Look(seeds=(0, 1, 2), designs=("ladder",), begun=3, runs=36, seen=one_arm))
    assert judge_claim(claim(results), shared).exploratory is None, "the other arm was yet to be trained"


def test_a_claim_whose_margin_came_late_is_exploratory(results: Results) -> None:
    late = claim(results, late="its margin was declared after a look")
    assert judge_claim(late, results).exploratory == "its margin was declared after a look"
    declared = Study(**{**dict(results.study), "claims": (late,)}).declaration("cpu")
    assert declared == results.study.declaration("cpu"), "what is said of a promise is no part of it"


def test_seeds_that_had_been_seen_are_told_with_what_the_others_say(results: Results, tmp_path: Path) -> None:
    """Here all of an effect is in the first three seeds."""
    many = scattered(results, 12, {})
    jobs = many.jobs.copy()
    jobs.loc[(jobs["variant"] == "all-d1_g1") & (jobs["seed"] < 3), "value"] *= 3.0
    found = dataclasses.replace(many, jobs=jobs)
    report = Report.of(found, tmp_path)
    before = next(e.word for e in report.effects["leave_one_out"] if e.change.name == "d1_g1")
    after = next(
        e.word for e in judge_design("leave_one_out", found.without_seeds((0, 1, 2))) if e.change.name == "d1_g1"
    )
    assert before != after
    (told,) = pilot(report)
    assert "Seeds 0, 1 and 2 had been trained and published" in str(told)
    assert "on 9 seeds, other verdicts are" in str(told) and f"D1:G1 (leave one out): {after}" in str(told)
    few = Report.of(scattered(results, 3, {}), tmp_path)
    assert "Too few other seeds" in str(pilot(few))
