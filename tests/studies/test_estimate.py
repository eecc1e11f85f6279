"""Expected seconds: measured here first, recorded with the code second, unknown otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import InputError
from core.folder import Outcome, RunFolder
from studies import catalogue
from studies.plan import Plan, jobs_root, make_plan, record_plan
from studies.runner import estimate
from studies.runner.tasks import Task, tasks_of

STUDY = catalogue.study("changes_overview")


def planned(**overrides: int) -> Plan:
    return make_plan(STUDY, STUDY.profile("cpu"), designs=["ladder"], seeds=[0, 1, 2], overrides=overrides)


def finish(runs: Path, task: Task, seconds: float, status: str = "finished") -> None:
    folder = RunFolder(jobs_root(runs), task.digest)
    fields = {"status": status, "iteration": 1, "seconds": 1.0, "evaluation_seconds": 0.0, "job_seconds": seconds}
    folder.write("job.json", task.job.model_dump_json(indent=1))
    folder.write("provenance.json", json.dumps({"processor": "a processor", "torch": "2.15.0", "device": "cpu"}))
    folder.write("outcome.json", Outcome.model_validate_json(json.dumps(fields)).model_dump_json())


def test_other_seeds_of_the_config_say_how_long_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "REFERENCE_TIMES", tmp_path / "none.json")
    tasks = tasks_of(planned())
    finish(tmp_path, tasks[0], 10.0)
    finish(tmp_path, tasks[1], 20.0)
    finish(tmp_path, tasks[3], 1.0, status="diverged")
    estimated = estimate.with_estimates(tasks, planned(), tmp_path)
    assert [task.expected_seconds for task in estimated[:4]] == [15.0, 15.0, 15.0, None]


def test_recorded_times_hold_for_the_profile_without_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "reference_times.json"
    monkeypatch.setattr(estimate, "REFERENCE_TIMES", file)
    plan = record_plan(tmp_path, planned())
    finish(tmp_path, tasks_of(plan)[0], 10.0)
    assert estimate.record("changes_overview", "cpu", tmp_path, file) == 1
    assert json.loads(file.read_text())["changes_overview"]["cpu"]["seconds"] == {"baseline": 10.0}
    elsewhere = tmp_path / "elsewhere"
    assert estimate.with_estimates(tasks_of(plan), plan, elsewhere)[0].expected_seconds == 10.0
    longer = planned(iterations=7)
    assert estimate.with_estimates(tasks_of(longer), longer, elsewhere)[0].expected_seconds is None


def test_recording_needs_a_plan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no plan of changes_overview"):
        estimate.record("changes_overview", "cpu", tmp_path, tmp_path / "times.json")
