"""Silence is measured by the observer's clock; a worker of another host is judged by it alone."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from core.config import Job
from core.events import Event
from core.folder import RunFolder
from studies.plan import Plan, jobs_root
from studies.runner import heartbeat
from studies.runner.heartbeat import LONGEST_PAUSES, Heart, Silence, heartbeat_file
from studies.runner.order import Order
from studies.runner.outages import waiting_until
from studies.runner.worker import work
from tests.support import fake_job

FLOOR = 100.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def beats(lock: Path, count: int) -> None:
    """The worker's clock is years off, and that must not matter."""
    os.utime(heartbeat_file(lock), ns=(count, count))


def test_silence_beyond_the_floor_or_a_multiple_of_the_longest_pause(tmp_path: Path) -> None:
    lock, clock = tmp_path / "w.lock", Clock()
    silence = Silence(FLOOR, clock)
    assert silence.too_long(lock) is None, "without a heartbeat nobody can tell"
    with Heart(lock):
        beats(lock, 1)
        assert silence.too_long(lock) is None
        clock.now = 90
        beats(lock, 2)
        assert silence.too_long(lock) is None
        clock.now = 90 + LONGEST_PAUSES * 90
        assert silence.too_long(lock) is None, "it once paused for 90 seconds"
        clock.now += 1
        assert silence.too_long(lock) == LONGEST_PAUSES * 90 + 1
        beats(lock, 3)
        assert silence.too_long(lock) is None
    clock.now += 10_000
    assert silence.too_long(lock) is None, "it has ended"


def test_a_beat_moves_the_file_and_often_asked_it_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, clock = tmp_path / "w.lock", Clock()
    monkeypatch.setattr(heartbeat.time, "monotonic", clock)
    touched: list[Path] = []
    monkeypatch.setattr(heartbeat.os, "utime", touched.append)
    with Heart(lock) as heart:
        stop = heart.beating(lambda: clock.now > 2)
        answers = []
        for now in (0.0, 0.1, 0.9, 1.1, 2.2):
            clock.now = now
            answers.append(stop())
    assert answers == [False, False, False, False, True]
    assert touched == [heartbeat_file(lock)] * 3
    assert not heartbeat_file(lock).exists()


def test_a_worker_that_was_taken_for_dead_stops_with_a_line(tmp_path: Path) -> None:
    lock = tmp_path / "w.lock"
    with Heart(lock) as heart:
        heartbeat_file(lock).unlink()
        with pytest.raises(SystemExit, match="was taken for dead"):
            heart.beat()


def test_a_beat_that_a_file_system_refuses_for_a_moment_fails_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(_: Path) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    with Heart(tmp_path / "w.lock") as heart:
        with monkeypatch.context() as patch:
            patch.setattr(heartbeat.os, "utime", stale)
            heart.beat()
        before = heartbeat_file(tmp_path / "w.lock").stat().st_mtime_ns
        heart.beat(now=True)
        assert heartbeat_file(tmp_path / "w.lock").stat().st_mtime_ns > before


@pytest.mark.parametrize("dead", [True, False], ids=["taken for dead", "alive"])
def test_a_job_that_another_has_taken_over_is_not_begun_again_nor_given_back_by_who_was_taken_for_dead(
    dead: bool, small_plan: Callable[..., Plan], order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = order(small_plan(variants=1))
    queue = made.queue()
    queue.enqueue(made.tasks)
    begun: list[str] = []
    real = fake_job.run_job

    def taken_over(job: Job, **options: Any) -> Iterator[Event]:
        begun.append(job.digest)
        yield next(iter(real(job, **options)))
        if dead:
            heartbeat_file(queue.worker_lock("w")).unlink()
        raise fake_job.JobTaken(job.digest)

    monkeypatch.setattr(fake_job, "run_job", taken_over)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 1e9)
    with pytest.raises(SystemExit, match="was taken for dead") if dead else nullcontext():
        work(made, "w", stop=lambda: bool(begun))
    assert begun == made.digests
    assert (queue.running(made.digests), queue.waiting(made.digests)) == ((begun, []) if dead else ([], begun))


def test_a_claim_of_another_host_is_released_when_its_heartbeat_stops_whatever_its_locks_say(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=1))
    queue, clock = made.queue(), Clock()
    queue._silence = Silence(FLOOR, clock)
    queue.enqueue(made.tasks)
    claim = queue.claim(made.digests, "there")
    assert claim is not None
    lock = queue.worker_lock("there")
    folder = RunFolder(jobs_root(made.runs), claim.digest)
    folder.path.mkdir(parents=True)
    with FileLock(folder.lock_file), Heart(lock):
        heartbeat_file(lock).write_text("another-host")
        # Nobody holds the worker's lock as far as this host can see, and yet it lives.
        assert queue.release_orphans() == [] and queue.running(made.digests) == [claim.digest]
        clock.now += FLOOR + 1
        beats(lock, 1)
        assert queue.release_orphans() == []
        clock.now += (LONGEST_PAUSES + 1) * FLOOR
        # The job's lock still looks held, as it may where a file system keeps locks of a host that is gone.
        assert queue.release_orphans() == [claim.digest]
        assert queue.waiting(made.digests) == [claim.digest]
        assert not heartbeat_file(lock).exists(), "should it wake, it stops"


def test_who_waits_asks_whether_to_stop_without_a_beat(
    small_plan: Callable[..., Plan], order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evaluation that hangs in a process beside is to be noticed although somebody waits for it."""
    made = order(small_plan(variants=1))
    made.queue().enqueue(made.tasks)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.0)
    beaten: list[Path] = []
    monkeypatch.setattr(heartbeat.os, "utime", lambda file: beaten.append(file))
    real, told = fake_job.run_job, []

    def waits(job: Job, **options: Any) -> Iterator[Event]:
        for asked in (options["asked_to_stop"], options["stop"]):
            before = len(beaten)
            told.append((asked(), len(beaten) - before))
        return real(job, **options)

    monkeypatch.setattr(fake_job, "run_job", waits)
    with waiting_until(lambda: True):
        work(made, "w", stop=lambda: False)
    assert told == [(True, 0), (False, 1)]
