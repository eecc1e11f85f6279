"""Seeds needed: as a dry run says them; the spread is that of the finished pairs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import variance

import pytest

from core.folder import Outcome, RunFolder
from studies import catalogue
from studies.plan import Plan, jobs_root, make_plan
from studies.runner.power import EFFECTS, RecordedSpread, Spread, observed_spread, sentence

STUDY = catalogue.study("changes_overview")
PLAN = make_plan(STUDY, STUDY.profile("cpu"), designs=["ladder"], seeds=[0, 1, 2])


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
    back = RecordedSpread.of(json.loads(json.dumps(spread.as_record())))
    assert (back.log_sd, back.pairs, back.comparisons) == (0.2134, 30, 10)
    for effect in EFFECTS:
        assert back.seeds_needed(effect) == spread.seeds_needed(effect)
    for seeds in (0, 1, 2, 3, 10, 40):
        assert back.detectable(seeds) == spread.detectable(seeds)


def test_the_sentence_names_its_protocol() -> None:
    said = sentence(Spread(0.21, 30, 10), 3)
    assert "observed spread (sd of a paired log-ratio 0.21, from 30 pairs of 10 comparisons)" in said
    assert "5% needs 148 seeds, 10% needs 41 seeds, 20% needs 13 seeds" in said
    assert "with the planned 3 seeds the smallest detectable effect is ×1.98" in said
    assert "power 80%, paired t test at level 0.05" in said
    assert "recorded spread" in sentence(RecordedSpread.of(Spread(0.21, 30, 10).as_record()), 3)
    assert "one planned seed can show no effect" in sentence(Spread(0.21, 30, 10), 1)
