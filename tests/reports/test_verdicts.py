"""The rules by which claims and changes are judged."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from ablations.schema import Claim
from core.folder import Outcome
from reports.results import Results, load
from reports.verdicts import (
    arms,
    designs_with,
    end_to_end,
    end_to_end_at_equal_seconds,
    judge_change,
    judge_claim,
)
from studies.plan import Plan
from tests.reports.synthetic import planned, train_all

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


def claim(results: Results, **changed: object) -> Claim:
    return Claim(**{**dict(results.study.claims[0]), **changed})


@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        ([20, 21, 22], [5, 5.5, 6], "reproduced"),
        ([5, 5.5, 6], [20, 21, 22], "contradicted"),
        ([20, 21, 22], [10, 21, 40], "inconclusive"),
        ([20, INF, 22], [5, 5.5, 6], "inconclusive"),
        ([20, NAN, NAN], [5, 5.5, NAN], "inconclusive"),
        ([20, NAN, NAN], [NAN, 5, 6], "not tested"),
    ],
)
def test_direction_of_a_claim(results: Results, before: list[float], after: list[float], direction: str) -> None:
    changed = with_values(results, {"baseline": before, "all-ns_loss": after})
    verdict = judge_claim(claim(results), changed)
    assert verdict.direction == direction
    if INF in before:
        assert "diverged in 1" in verdict.why


def test_a_claim_of_degradation_is_reproduced_above_one(results: Results) -> None:
    worse = with_values(results, {"baseline": [5, 5.5, 6], "all-ns_loss": [20, 21, 22]})
    assert judge_claim(claim(results, before=12.0, after=15.0), worse).direction == "reproduced"


def test_a_claim_of_no_change_is_never_reproduced_by_an_interval(results: Results) -> None:
    assert judge_claim(claim(results, before=12.0, after=12.0), results).direction == "inconclusive"


def test_magnitude_names_all_that_differs(results: Results) -> None:
    verdict = judge_claim(claim(results), results)
    assert verdict.magnitude == "not comparable"
    assert [part.partition(":")[0] for part in verdict.differs] == ["scale", "dataset", "iterations", "metric"]


def test_magnitude_is_comparable_where_nothing_differs(results: Results) -> None:
    raw = json.loads(results.plan.model_dump_json())
    raw |= {"profile": "lsun64", "data_name": "LSUN conference room"}
    for variant in raw["variants"]:
        variant["config"]["iterations"] = 20_000
        variant["config"]["evaluation"]["metric"] = {"kind": "clean_fid", "samples": 8192, "mode": "legacy_pytorch"}
    like = dataclasses.replace(results, plan=Plan.model_validate_json(json.dumps(raw)))
    verdict = judge_claim(claim(results), like)
    assert (verdict.differs, verdict.magnitude) == ((), "comparable")


def test_a_claim_about_an_unplanned_variant_is_not_tested(ladder_runs: Path) -> None:
    ladder = load("changes_overview", ladder_runs)
    verdict = judge_claim(claim(ladder, after_variant="all-r1"), ladder)
    assert (verdict.direction, verdict.effect) == ("not tested", None)
    assert designs_with(ladder.study, "all-r1") == ["leave_one_out"]


@pytest.mark.parametrize(
    ("without", "with_it", "word"),
    [
        ([20, 21, 22], [10, 11, 11.5], "helps"),
        ([10, 11, 11.5], [20, 21, 22], "hurts"),
        ([10, 11, 12], [12, 10, 11], "inconclusive"),
        ([10, 11, 12], [9, INF, 10], "diverged"),
        ([NAN, NAN, NAN], [9, 9, 9], "not tested"),
    ],
)
@pytest.mark.parametrize("design", ["ladder", "add_one_in", "leave_one_out"])
def test_verdict_on_a_change_is_the_same_rule_in_every_design(
    results: Results, design: str, without: list[float], with_it: list[float], word: str
) -> None:
    change = results.study.change("d1_g1")
    before, after = arms(results.study, change, design)  # type: ignore[arg-type]
    found = judge_change(change, design, with_values(results, {before: without, after: with_it}))  # type: ignore[arg-type]
    assert found.word == word
    if word == "diverged":
        assert found.verdict == "diverged in 1 of 3 with"


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
    assert judge_change(results.study.change("r1"), "add_one_in", merged).word == "same config"


def test_end_to_end_by_hand() -> None:
    found = end_to_end([20.0, 24.0, 22.0], [4.0, 5.0, 6.0])
    assert found.ratio == pytest.approx(4.4)
    assert found.least == pytest.approx(20 / 6)
    assert end_to_end([20.0, INF], [4.0, 5.0]).ratio is None


def test_equal_seconds_reads_both_arms_at_the_last_second_both_reached(results: Results) -> None:
    found = end_to_end_at_equal_seconds(results, "baseline", "all")
    assert found is not None
    baseline = results.variant("baseline")
    assert baseline is not None
    ends = [float(results.curve(baseline, seed)["seconds"].iloc[-1]) for seed in results.plan.seeds]
    assert found.seconds == pytest.approx(min(ends))
    at_iterations = end_to_end(results.last(baseline), results.last(results.plan.variant("all")))  # type: ignore[arg-type]
    assert found.ratio is not None
    assert at_iterations.ratio is not None
    assert 1 < found.ratio < at_iterations.ratio
    assert end_to_end_at_equal_seconds(results, "baseline", "baseline+r1") is None


def test_statuses_are_those_of_outcomes(tmp_path: Path) -> None:
    plan = planned(tmp_path, only={"baseline"}, seeds=(0, 1))
    train_all(tmp_path, plan, diverged={("baseline", 1)})
    found = load("changes_overview", tmp_path)
    outcome = found.folder(str(found.jobs["run"].iloc[1])).outcome()
    assert isinstance(outcome, Outcome)
    assert [found.count(status) for status in ("finished", "diverged")] == [1, 1]
