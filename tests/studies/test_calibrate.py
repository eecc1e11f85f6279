"""Calibration: short jobs in whole periods after a warm-up, every config once under the load of the study, kept by
config, machine and load. Equal work shares its times, other work does not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from core import config as cfg
from core.errors import InputError
from core.events import Built, Checkpointed, Evaluated, Event, Finished, Losses, Sampled
from core.folder import Outcome, RunFolder
from core.machine import Machine
from studies.plan import Plan
from studies.runner.order import Order
from studies.runner.tasks import tasks_of
from studies.times import calibration
from studies.times import measure as program
from studies.times.calibration import (
    StepTimes,
    calibrate,
    calibration_file,
    config_key,
    machine_key,
    read_calibration,
    timed_alike,
    uncalibrated,
)
from studies.times.estimate import with_estimates
from studies.times.measure import Unmeasured, measure
from tests.core.conftest import small_config
from tests.support import fake_job

HERE = Machine(processor="a processor", cores=2, device="cpu", threads=1, torch="2.15.0")
FIT = cfg.Reconstruction(data=cfg.Rooms(resolution=8, train=64, held_out=32), images=4, inr=cfg.Inr(width=8, depth=3))


def test_a_period_is_whole_when_updates_of_g_and_lazy_penalties_have_come_round() -> None:
    assert small_config(d_per_g=5).period == 5
    assert small_config(d_per_g=5, penalty=cfg.R1(interval=4)).period == 20
    assert small_config(d_per_g=2, penalty=cfg.R1(interval=4)).period == 4
    assert FIT.period == 1


def test_what_costs_nothing_shares_its_times_and_nothing_else_does() -> None:
    rates = cfg.LearningRates(generator=0.5)
    base = small_config(ema=cfg.Ema(decay=0.9))
    for same in (
        small_config(ema=cfg.Ema(decay=0.5)),
        small_config(ema=cfg.Ema(decay=0.9, warmup=False)),
        small_config(ema=cfg.Ema(decay=0.9), optimizers=cfg.Optimizers(learning_rates=rates)),
        small_config(ema=cfg.Ema(decay=0.9), iterations=999),
    ):
        assert timed_alike(same) == timed_alike(base)
    for other in (
        small_config(),
        small_config(ema=cfg.Ema(decay=0.9), batch_size=8),
        small_config(ema=cfg.Ema(decay=0.9), d_per_g=1),
        small_config(ema=cfg.Ema(decay=0.9), penalty=cfg.R1()),
        small_config(ema=cfg.Ema(decay=0.9), evaluation=cfg.Evaluation(metric=cfg.RoomsFrechet(samples=65), every=5)),
    ):
        assert timed_alike(other) != timed_alike(base)
    assert timed_alike(cfg.Reconstruction(learning_rate=0.1)) == timed_alike(cfg.Reconstruction())


def test_a_field_that_joins_keeps_the_times_that_were_measured_before_it() -> None:
    plain, later = small_config(), Later(**dict(small_config()))
    assert timed_alike(later) == timed_alike(plain)
    assert timed_alike(Later(**{**dict(later), "noise": 0.1})) != timed_alike(plain)
    fid = small_config(evaluation=cfg.Evaluation(metric=cfg.CleanFid(), every=5))
    assert timed_alike(fid)["evaluation"]["metric"] == {
        "kind": "clean_fid", "samples": 8192, "real": 8192, "mode": "legacy_pytorch",
    }  # fmt: skip


class Later(cfg.Config):
    """The config of a version that knows one thing more."""

    noise: Annotated[float, cfg.JOINED] = 0.0


def test_a_job_is_its_start_its_iterations_and_its_evaluations() -> None:
    times = StepTimes(
        seconds_per_iteration=0.5, seconds_per_evaluation=10, last_evaluation_seconds=30, start_seconds=100
    )
    evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5)
    assert times.job_seconds(small_config(iterations=10, evaluation=evaluation)) == 100 + 5 + 10 + 30
    assert times.job_seconds(small_config(iterations=11, evaluation=evaluation)) == 100 + 5.5 + 20 + 30
    assert times.job_seconds(small_config(iterations=3, evaluation=evaluation)) == 100 + 1.5 + 30


class FakeClock:
    """A `run_job` whose parts take known seconds, and the clock that shows them."""

    def __init__(self, checkpoint_at: int | None = None) -> None:
        self.now = 0.0
        self.checkpoint_at = checkpoint_at
        self.iterations: list[int] = []

    def perf_counter(self) -> float:
        return self.now

    def run_job(self, job: cfg.Job, *, runs: Path, **_: object) -> Iterator[Event]:
        def at(iteration: int) -> dict[str, float | int]:
            return {"iteration": iteration, "images": 0, "seconds": 0.0}

        self.now += 7.0
        sizes = {"emitted_parameters": 1, "shared_parameters": 1, "generator_parameters": 1}
        yield Built(**at(0), **sizes)
        for iteration in range(1, job.config.iterations + 1):
            last = iteration == job.config.iterations
            # Every fourth step is long, and the first twenty are cold.
            self.now += (3.0 if iteration % 4 == 0 else 1.0) + (100.0 if iteration <= 20 else 0.0)
            yield Losses(**at(iteration), d_loss=0, g_loss=0, penalty=0, real_score=0, fake_score=0)
            if iteration == self.checkpoint_at:
                yield Checkpointed(**at(iteration))
            if iteration % job.config.evaluation.every == 0:
                took = 40.0 if last else 10.0
                self.now += took
                yield Evaluated(**at(iteration), metric="fd_rooms", value=1.0, evaluation_seconds=took)
                self.now += 0.5
                yield Sampled(**at(iteration))
        self.iterations.append(job.config.iterations)
        self.now += 2.0
        yield Finished(**at(job.config.iterations))
        RunFolder(runs, job).write("outcome.json", finished(job.config.iterations))


def finished(iterations: int) -> str:
    outcome = Outcome(status="finished", iteration=iterations, seconds=1, evaluation_seconds=1, job_seconds=1)
    return outcome.model_dump_json()


@pytest.mark.parametrize("checkpoint_at", [None, 5, 20])
def test_parts_are_timed_apart(checkpoint_at: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeClock(checkpoint_at)
    monkeypatch.setattr(program, "time", fake)
    monkeypatch.setattr(program, "run_job", fake.run_job)
    monkeypatch.setattr(program, "load_once", lambda *_, **__: None)
    job = cfg.Job(config=small_config(d_per_g=1, penalty=cfg.R1(interval=4)), seed=0)
    assert measure(job, cache=tmp_path) == StepTimes(
        seconds_per_iteration=1.5, seconds_per_evaluation=10.5, last_evaluation_seconds=42.5, start_seconds=7.0
    )
    assert fake.iterations == [40]


@pytest.mark.parametrize(
    "config", [small_config(), small_config(penalty=cfg.R1(interval=3)), FIT], ids=["", "r1", "fit"]
)
def test_real_jobs_are_measured_and_leave_nothing_behind(config: cfg.AnyConfig, tmp_path: Path) -> None:
    times = measure(cfg.Job(config=config, seed=0), cache=tmp_path)
    assert min(times.model_dump().values()) > 0
    assert {entry.name for entry in tmp_path.iterdir()} <= {"images", "statistics"}


def test_what_diverges_at_once_is_not_measured(tmp_path: Path) -> None:
    rates = cfg.LearningRates(generator=1e30, discriminator=1e30)
    config = small_config(optimizers=cfg.Optimizers(learning_rates=rates))
    with pytest.raises(Unmeasured, match="diverged"):
        measure(cfg.Job(config=config, seed=0), cache=tmp_path)


# --- a study's configs, by processes ----------------------------------------------------------------------------------


@pytest.fixture
def _no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MEASURER", "tests.support.fake_measure")


@pytest.mark.usefixtures("_no_training")
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
    recorded = [task.replace(times_from="record") for task in tasks]
    assert len(uncalibrated(recorded, HERE, 2)) == len(unknown), "recorded elsewhere is not measured here"
    finished = [task.replace(times_from="runs") for task in tasks]
    assert uncalibrated(finished, HERE, 2) == []


@pytest.mark.usefixtures("_no_training")
def test_all_workers_measure_until_the_last_config_is_known(
    small_plan: Callable[..., Plan], order: Callable[..., Order], tmp_path: Path
) -> None:
    made = order(small_plan(variants=1), workers=3)
    calibrate(made, HERE, lambda _: None)
    processes = {line.split()[1] for line in (made.cache / "measured.txt").read_text().splitlines()}
    assert 1 <= len(processes) <= 3
    entry = read_calibration(tmp_path).configs[config_key(made.tasks[0].job.config, HERE, 3)]
    assert entry.n >= 2 and entry.spread == 0


@pytest.mark.usefixtures("_no_training")
def test_stopped_as_its_processes_start_a_calibration_ends_those_that_have(
    small_plan: Callable[..., Plan], order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def popen(*arguments: Any, **others: Any) -> subprocess.Popen[bytes]:
        if started:
            raise KeyboardInterrupt
        started.append(start(*arguments, **others))
        return started[0]

    monkeypatch.setattr(calibration.subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        calibrate(order(small_plan(variants=1), workers=2), HERE, lambda _: None)
    assert started[0].returncode is not None


@pytest.mark.usefixtures("_no_training")
def test_what_cannot_be_measured_is_said_and_stays_unknown(
    small_plan: Callable[..., Plan], order: Callable[..., Order], tmp_path: Path
) -> None:
    plan = small_plan(variants=1, seeds=(fake_job.DIVERGES,))
    said: list[str] = []
    calibrate(order(plan, workers=1), HERE, said.append)
    assert said == ["not measured: baseline: diverged: a weight stopped being finite"]
    assert with_estimates(tasks_of(plan), plan, tmp_path, machine=HERE, workers=1)[0].expected_seconds is None


@pytest.mark.usefixtures("_no_training")
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
