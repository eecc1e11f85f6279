"""Seeds needed: held to a simulation and to statsmodels' own solver; the spread is that of the finished pairs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import variance

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from statsmodels.stats.power import TTestPower

from core.folder import Outcome, RunFolder
from studies import catalogue
from studies.plan import Plan, jobs_root, make_plan
from studies.runner.power import Spread, observed_spread, seeds_needed, sentence, smallest_detectable

STUDY = catalogue.study("changes_overview")
PLAN = make_plan(STUDY, STUDY.profile("cpu"), designs=["ladder"], seeds=[0, 1, 2])


@pytest.mark.parametrize(("log_sd", "effect"), [(0.21, 0.05), (0.21, 0.1), (0.21, 0.2), (0.05, 0.05), (1.0, 0.2)])
def test_seeds_needed_are_those_of_statsmodels(log_sd: float, effect: float) -> None:
    solved = TTestPower().solve_power(effect_size=math.log1p(effect) / log_sd, alpha=0.05, power=0.8)
    assert seeds_needed(log_sd, effect) == math.ceil(solved)


def test_with_the_seeds_needed_four_of_five_simulated_studies_see_the_effect() -> None:
    seeds = seeds_needed(0.21, 0.2)
    assert seeds is not None
    logs = np.random.default_rng(0).normal(math.log(1.2), 0.21, (20_000, seeds))
    assert (ttest_1samp(logs, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.04)
    fewer = (ttest_1samp(logs[:, : seeds // 2], 0, axis=1).pvalue < 0.05).mean()
    assert fewer < 0.7


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 50])
def test_the_smallest_detectable_effect_needs_just_these_seeds(seeds: int) -> None:
    ratio = smallest_detectable(0.1, seeds)
    assert ratio is not None
    logs = np.random.default_rng(1).normal(math.log(ratio), 0.1, (40_000, seeds))
    assert (ttest_1samp(logs, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.01)


def test_one_seed_shows_nothing_and_some_effects_are_out_of_reach() -> None:
    assert smallest_detectable(0.1, 1) is None
    assert seeds_needed(10.0, 0.05) is None
    assert seeds_needed(1e-6, 0.2) == 2


def end(runs: Path, variant: int, seed: int, value: float, status: str = "finished") -> None:
    folder = RunFolder(jobs_root(runs), PLAN.variants[variant].job(seed))
    fields = {"status": status, "iteration": 1, "seconds": 1.0, "evaluation_seconds": 0.0, "job_seconds": 1.0}
    folder.write("outcome.json", Outcome.model_validate_json(json.dumps(fields)).model_dump_json())
    line = {"kind": "evaluated", "metric": "fd_rooms", "iteration": 1, "value": value}
    folder.events_file.write_text(json.dumps(line) + "\n")


def test_the_spread_is_pooled_over_the_comparisons_with_the_first_variant(tmp_path: Path) -> None:
    assert observed_spread(PLAN, tmp_path) is None
    baseline, one, two = [2.0, 4.0, 8.0], [3.0, 4.0, 5.0], [1.0, 8.0]
    for variant, values in enumerate((baseline, one, two)):
        for seed, value in enumerate(values):
            end(tmp_path, variant, seed, value)
    end(tmp_path, 2, 2, 5.0, status="diverged")
    end(tmp_path, 3, 0, 5.0)
    first = [math.log(a / b) for a, b in zip(one, baseline, strict=True)]
    second = [math.log(a / b) for a, b in zip(two, baseline[:2], strict=True)]
    found = observed_spread(PLAN, tmp_path)
    assert found is not None
    assert found.log_sd == pytest.approx(math.sqrt((2 * variance(first) + 1 * variance(second)) / 3))
    assert (found.pairs, found.comparisons) == (5, 2)
    assert observed_spread(Plan(**{**dict(PLAN), "variants": PLAN.variants[1:]}), tmp_path) is not None


def test_a_spread_survives_its_record() -> None:
    spread = Spread(0.2134, 30, 10)
    assert Spread.of_record(json.loads(json.dumps(spread.as_record()))) == spread


def test_the_sentence_names_its_protocol() -> None:
    said = sentence(Spread(0.21, 30, 10), 3, recorded=False)
    assert "observed spread (sd of a paired log-ratio 0.21, from 30 pairs of 10 comparisons)" in said
    assert "5% needs 148 seeds, 10% needs 41 seeds, 20% needs 13 seeds" in said
    assert "with the planned 3 seeds the smallest detectable effect is ×1.98" in said
    assert "power 80%, paired t test at level 0.05" in said
    assert "recorded spread" in sentence(Spread(0.21, 30, 10), 3, recorded=True)
    assert "one planned seed can show no effect" in sentence(Spread(0.21, 30, 10), 1, recorded=False)
