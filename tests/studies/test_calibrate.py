"""Calibration: every config once, with as many processes as workers, kept by config, machine and load."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import InputError
from core.machine import Machine
from studies.plan import Plan
from studies.runner import calibrate as calibration
from studies.runner.calibrate import (
    calibrate,
    calibration_file,
    config_key,
    machine_key,
    read_calibration,
    uncalibrated,
)
from studies.runner.estimate import with_estimates
from studies.runner.order import Order
from studies.runner.tasks import Task, tasks_of
from tests.studies import fake_job

HERE = Machine(processor="a processor", cores=2, device="cpu", threads=1, torch="2.15.0")


@pytest.fixture(autouse=True)
def _no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MEASURER", "tests.studies.fake_measure")


def test_every_config_is_measured_and_then_known(
    small_plan: Callable[..., Plan], order: Callable[..., Order], tmp_path: Path
) -> None:
    plan = small_plan(variants=11)
    unknown = uncalibrated(tasks_of(plan), HERE, 2)
    made = order(plan, tasks=unknown, workers=2)
    said: list[str] = []
    calibrate(made, HERE, said.append)
    assert len(said) == len(unknown)
    known = with_estimates(tasks_of(plan), plan, tmp_path, machine=HERE, workers=2)
    expected = [4 + 10 * task.job.config.batch_size + 2 + 3 for task in tasks_of(plan)]
    assert [task.expected_seconds for task in known] == expected
    assert {task.times_from for task in known} == {"calibration"}
    assert uncalibrated(known, HERE, 2) == []
    start = read_calibration(tmp_path).starts[machine_key(HERE, 2)]
    assert start.n == 2 and start.seconds > 0
    assert not list((tmp_path / "queue" / "orders").iterdir())


def test_rates_share_their_times_and_are_measured_once(small_plan: Callable[..., Plan]) -> None:
    tasks = tasks_of(small_plan(variants=11, seeds=(0, 1)))
    unknown = {task.variant for task in uncalibrated(tasks, HERE, 2)}
    everything = {task.variant for task in tasks}
    assert everything - unknown == {"baseline..learning_rates"}
    recorded = [Task(**{**dict(task), "times_from": "record"}) for task in tasks]
    assert len(uncalibrated(recorded, HERE, 2)) == len(unknown), "recorded elsewhere is not measured here"
    finished = [Task(**{**dict(task), "times_from": "runs"}) for task in tasks]
    assert uncalibrated(finished, HERE, 2) == []


def test_all_workers_measure_until_the_last_config_is_known(
    small_plan: Callable[..., Plan], order: Callable[..., Order], tmp_path: Path
) -> None:
    made = order(small_plan(variants=1), workers=3)
    calibrate(made, HERE, lambda _: None)
    processes = {line.split()[1] for line in (made.cache / "measured.txt").read_text().splitlines()}
    assert 1 <= len(processes) <= 3
    entry = read_calibration(tmp_path).configs[config_key(made.tasks[0].job.config, HERE, 3)]
    assert entry.n >= 2
    assert entry.spread == 0


def test_what_cannot_be_measured_is_said_and_stays_unknown(
    small_plan: Callable[..., Plan], order: Callable[..., Order], tmp_path: Path
) -> None:
    plan = small_plan(variants=1, seeds=(fake_job.DIVERGES,))
    said: list[str] = []
    calibrate(order(plan, workers=1), HERE, said.append)
    assert said == ["not measured: baseline: diverged: a weight stopped being finite"]
    assert with_estimates(tasks_of(plan), plan, tmp_path, machine=HERE, workers=1)[0].expected_seconds is None


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (fake_job.UNUSABLE, "^no Inception weights here: say where they are$"),
        (fake_job.FAILS, "^the calibration broke: RuntimeError: this measurement always breaks$"),
    ],
)
def test_what_ends_a_process_ends_the_calibration_in_one_line(
    seed: int, message: str, small_plan: Callable[..., Plan], order: Callable[..., Order], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        calibrate(order(small_plan(variants=1, seeds=(seed,)), workers=1), HERE, lambda _: None)
    assert not calibration_file(tmp_path).exists()


def test_a_calibration_of_another_version_counts_as_none(tmp_path: Path) -> None:
    calibration_file(tmp_path).write_text('{"configs": {"x": {"seconds": 1}}}')
    assert read_calibration(tmp_path).configs == {}
