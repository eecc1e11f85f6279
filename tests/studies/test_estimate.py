"""Expected seconds: measured here first, recorded with the code second, unknown otherwise."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.config import Config, Ema, Job
from core.errors import InputError
from core.folder import Outcome, RunFolder
from core.machine import Machine
from studies import catalogue
from studies.plan import Plan, jobs_root, record_plan
from studies.planning import make_plan
from studies.runner.tasks import Task, tasks_of
from studies.spreads import Spread
from studies.times import costs, estimate
from studies.times.calibration import (
    Calibrated,
    Calibration,
    StepTimes,
    WorkerStart,
    calibration_file,
    config_key,
    machine_key,
)
from studies.times.costs import Invocation, add_invocation
from tests.choices import reference_times

HERE = Machine(processor="a processor", cores=2, device="cpu", threads=1, torch="2.15.0")
WHERE: dict[str, Any] = {"machine": HERE, "workers": 2}
STUDY = catalogue.study("changes_overview")


def planned(**overrides: int) -> Plan:
    return make_plan(STUDY, STUDY.profile("cpu"), designs=["ladder"], seeds=[0, 1, 2], overrides=overrides)


def finish(runs: Path, task: Task, seconds: float, status: str = "finished", processor: str = HERE.processor) -> None:
    folder = RunFolder(jobs_root(runs), task.digest)
    fields = {"status": status, "iteration": 1, "seconds": 1.0, "evaluation_seconds": 0.0, "job_seconds": seconds}
    folder.write("job.json", task.job.model_dump_json(indent=1))
    folder.write("provenance.json", json.dumps({**HERE.model_dump(), "processor": processor}))
    folder.write("outcome.json", Outcome.model_validate_json(json.dumps(fields)).model_dump_json())


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where times are recorded with the code: nothing yet."""
    monkeypatch.setattr(estimate, "REFERENCE_TIMES", made := tmp_path / "reference_times.json")
    return made


def expected(tasks: Sequence[Task], plan: Plan, runs: Path) -> list[float | None]:
    return [task.expected_seconds for task in estimate.with_estimates(tasks, plan, runs, **WHERE)]


def test_other_seeds_of_the_config_say_how_long_it_takes(tmp_path: Path) -> None:
    tasks = tasks_of(planned())
    finish(tmp_path, tasks[0], 10.0)
    finish(tmp_path, tasks[1], 20.0)
    finish(tmp_path, tasks[3], 1.0, status="diverged")
    assert expected(tasks[:4], planned(), tmp_path) == [15.0, 15.0, 15.0, None]


def test_runs_from_before_a_field_joined_still_say_how_long_it_takes(tmp_path: Path) -> None:
    task = next(t for t in tasks_of(planned()) if isinstance(t.job.config, Config) and t.job.config.ema)
    job = Job(config=task.job.config.replace(ema=Ema(decay=0.9)), seed=0)
    task = task.replace(digest=job.digest, job=job)
    finish(tmp_path, task, 30.0)
    file = RunFolder(jobs_root(tmp_path), task.digest).path / "job.json"
    recorded = json.loads(file.read_text())
    assert recorded["config"]["ema"].pop("warmup") is True
    file.write_text(json.dumps(recorded))
    assert expected([task], planned(), tmp_path) == [30.0]


def test_runs_that_were_evaluated_beside_do_not_say_how_long_a_run_takes(tmp_path: Path) -> None:
    task = tasks_of(planned())[0]
    finish(tmp_path, task, 30.0)
    file = RunFolder(jobs_root(tmp_path), task.digest).path / "provenance.json"
    for recorded, seconds in (({}, 30.0), ({"evaluation": "inline"}, 30.0), ({"evaluation": "beside on cuda"}, None)):
        file.write_text(json.dumps({**HERE.model_dump(), **recorded}))
        assert expected([task], planned(), tmp_path) == [seconds]


def test_recorded_times_hold_for_the_profile_without_overrides(tmp_path: Path, file: Path) -> None:
    plan = record_plan(tmp_path, planned())
    finish(tmp_path, tasks_of(plan)[0], 10.0)
    assert reference_times.record("changes_overview", "cpu", tmp_path, file) == 1
    assert json.loads(file.read_text())["changes_overview"]["cpu"]["seconds"] == {"baseline": 10.0}
    for made, seconds in ((plan, 10.0), (planned(iterations=7), None)):
        assert expected(tasks_of(made)[:1], made, tmp_path / "elsewhere") == [seconds]


def test_recording_needs_a_plan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no plan of changes_overview"):
        reference_times.record("changes_overview", "cpu", tmp_path, tmp_path / "times.json")


def test_times_of_overridden_runs_are_not_recorded_and_no_variant_loses_its_own(tmp_path: Path, file: Path) -> None:
    def record(runs: Path) -> dict[str, float]:
        reference_times.record("changes_overview", "cpu", runs, file)
        return seconds()

    def seconds() -> dict[str, float]:
        recorded: dict[str, float] = json.loads(file.read_text())["changes_overview"]["cpu"]["seconds"]
        return recorded

    shorter = record_plan(tmp_path, planned(iterations=7))
    refused = f"--setting {shorter.setting} is no profile, .*changes_overview has cpu, lsun64$"
    with pytest.raises(InputError, match=refused):
        reference_times.record("changes_overview", shorter.setting, tmp_path, file)
    assert not file.exists()
    tasks, later = tasks_of(record_plan(tmp_path, planned())), tmp_path / "later"
    finish(tmp_path, tasks[0], 10.0)
    finish(tmp_path, tasks[3], 20.0)
    both = record(tmp_path)
    assert len(both) == 2
    record_plan(later, planned())
    finish(later, tasks[0], 12.0)
    assert record(later) == {**both, tasks[0].variant: 12.0}
    finish(later, tasks[0], 1.0, processor="another")
    with pytest.raises(InputError, match="times of 1 variants that have none here, and of another machine"):
        record(later)
    assert seconds() == {**both, tasks[0].variant: 12.0}


def calibrated(runs: Path, task: Task, *, workers: int = 2) -> None:
    """Writes a calibration in which only iterations take time, and workers four seconds to start."""
    times = StepTimes(seconds_per_iteration=1.0, seconds_per_evaluation=0, last_evaluation_seconds=0, start_seconds=0)
    entry = Calibrated(variant=task.variant, machine=HERE, workers=workers, times=times, n=1, spread=None)
    start = WorkerStart(machine=HERE, workers=workers, seconds=4.0, n=workers)
    whole = Calibration(
        configs={config_key(task.job.config, HERE, workers): entry}, starts={machine_key(HERE, workers): start}
    )
    calibration_file(runs).write_text(whole.model_dump_json())


def test_finished_runs_here_come_before_a_calibration_and_that_before_the_record(tmp_path: Path, file: Path) -> None:
    plan = planned()
    first, second = tasks_of(plan)[:2]
    file.write_text(json.dumps({"changes_overview": {"cpu": {"seconds": {first.variant: 5.0}}}}))

    def known() -> tuple[float | None, str | None]:
        (task,) = estimate.with_estimates([first], plan, tmp_path, **WHERE)
        return task.expected_seconds, task.times_from

    assert known() == (5.0, "record")
    finish(tmp_path, second, 7.0, processor="another")
    assert known() == (5.0, "record"), "a run on another machine says nothing about this one"
    calibrated(tmp_path, first, workers=3)
    assert known() == (5.0, "record"), "workers slow each other: three are not two"
    calibrated(tmp_path, first)
    assert known() == (800.0, "calibration")
    finish(tmp_path, second, 9.0)
    assert known() == (9.0, "runs")


def test_of_an_interrupted_job_the_share_after_its_checkpoint_is_left(tmp_path: Path) -> None:
    plan = planned()
    done, begun = tasks_of(plan)[:2]
    finish(tmp_path, done, 100.0)
    folder = RunFolder(jobs_root(tmp_path), begun.digest)
    folder.write("job.json", begun.job.model_dump_json())
    at = '"images":1,"seconds":1.0,"iteration"'
    folder.events_file.write_text(f'{{"kind":"checkpointed",{at}:200}}\n{{"kind":"sampled",{at}:400}}\n')
    assert expected([begun], plan, tmp_path) == [100.0], "without its checkpoint it starts anew"
    folder.checkpoint_file.write_bytes(b"")
    assert expected([begun], plan, tmp_path) == [75.0]


def test_workers_start_before_their_first_job(tmp_path: Path) -> None:
    assert costs.makespan([3, 2, 2, 1], 2, start=10) == 14
    assert costs.makespan([3, 2, 2, 1], 2) == 4 and costs.makespan([], 2, start=10) == 0
    times = (3, 2, None)
    tasks = [task.replace(expected_seconds=s) for task, s in zip(tasks_of(planned()), times, strict=False)]
    found = estimate.predicted(tasks, tmp_path, **WHERE)
    assert (found.seconds, found.unknown, found.start_seconds) == (3, 1, None)
    for overhead in (5.0, 50.0, 6.0, None):
        add_invocation(tmp_path, "changes_overview", "cpu", invocation(overhead))
    assert estimate.predicted(tasks, tmp_path, **WHERE).seconds == 3 + 6
    assert estimate.predicted(tasks, tmp_path, machine=HERE, workers=1).start_seconds is None
    calibrated(tmp_path, tasks[0])
    assert estimate.predicted(tasks, tmp_path, **WHERE).seconds == 3 + 4


def invocation(overhead: float | None) -> Invocation:
    return Invocation(
        began="2026-01-01T00:00:00+00:00",
        machine=HERE,
        workers=2,
        planned=1,
        ended=1,
        continued=0,
        predicted_seconds=None,
        seconds=10.0,
        job_seconds=1.0,
        overhead_seconds=overhead,
        interrupted=False,
    )


def test_the_spread_is_recorded_with_the_times(tmp_path: Path, file: Path) -> None:
    plan = record_plan(tmp_path, planned())
    for task, value in zip(tasks_of(plan)[:6], (1, 1, 1, 1, 2, 4), strict=True):
        finish(tmp_path, task, 10.0)
        at = {"iteration": 800, "images": 1, "seconds": 1.0, "evaluation_seconds": 0.0}
        line = {"kind": "evaluated", "metric": "fd_rooms", "value": value, **at}
        RunFolder(jobs_root(tmp_path), task.digest).events_file.write_text(json.dumps(line) + "\n")
    reference_times.record("changes_overview", "cpu", tmp_path, file)
    recorded = json.loads(file.read_text())["changes_overview"]["cpu"]
    # Whichever two of the plan's variants these are, they are the ladder's first pair.
    assert recorded["spreads"] == [reference_times.as_record(Spread("ladder", math.log(2), 3, 1, 10))]
    assert recorded["spreads"][0]["sd"] == 0.6931
