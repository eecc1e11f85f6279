"""Workers that die are replaced and their jobs resumed; everything ends, whatever the jobs do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.folder import RunFolder
from core.locks import is_held
from studies.plan import Plan, jobs_root
from studies.runner.deaths import ALIKE, FILE
from studies.runner.launchers import launcher
from studies.runner.order import Claim, WorkersLost
from studies.runner.queue import Queue
from studies.runner.stores import Unreachable
from studies.runner.tasks import tasks_of
from studies.runner.worker import Order
from tests.studies import fake_job


def launched(order: Order, name: str = "local", stop: Callable[[], bool] = lambda: False) -> list[str]:
    said: list[str] = []
    Queue(order.runs, order.study, order.setting).enqueue(order.tasks)
    launcher(name).run(order, stop=stop, tick=lambda: None, say=said.append)
    return said


def status(order: Order, digest: str) -> str:
    outcome = RunFolder(jobs_root(order.runs), digest).outcome()
    return outcome.status if outcome else "none"


def lines(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.events_file.read_text().splitlines()]


def attempts(order: Order, digest: str) -> int:
    return len((jobs_root(order.runs) / digest / "trained_by.txt").read_text().splitlines())


@pytest.mark.parametrize("name", ["inline", "local"])
def test_trains_every_job_once_and_goes_on_after_a_failure(
    name: str, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(0, fake_job.FAILS, fake_job.DIVERGES), variants=2))
    launched(made, name)
    expected = {0: "finished", fake_job.FAILS: "failed", fake_job.DIVERGES: "diverged"}
    assert [status(made, task.digest) for task in made.tasks] == [expected[task.seed] for task in made.tasks]
    assert all(attempts(made, task.digest) == 1 for task in made.tasks)


def test_a_killed_worker_is_replaced_and_its_job_resumed(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(0, fake_job.KILLS_ITS_WORKER_ONCE), variants=1), workers=1)
    said = launched(made)
    assert [status(made, task.digest) for task in made.tasks] == ["finished", "finished"]
    killed = RunFolder(jobs_root(made.runs), made.tasks[1].digest)
    assert attempts(made, killed.digest) == 2
    assert [event["iteration"] for event in lines(killed) if event["kind"] == "losses"] == list(range(1, 11))
    assert len(said) == 1
    assert "SIGKILL" in said[0]
    assert "resumed" in said[0]


def test_a_job_that_kills_its_worker_at_one_point_again_and_again_is_failed_and_others_go_on(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.KILLS_ITS_WORKER_ALWAYS, 1), variants=1), workers=1)
    launched(made)
    assert [status(made, task.digest) for task in made.tasks] == ["failed", "finished"]
    outcome = RunFolder(jobs_root(made.runs), made.tasks[0].digest).outcome()
    assert outcome
    assert outcome.reason
    assert outcome.reason.startswith(f"its worker was killed by SIGKILL, {ALIKE} times in a row after iteration 4")
    assert attempts(made, made.tasks[0].digest) == ALIKE


@pytest.mark.slow
def test_deaths_count_on_when_each_is_met_by_another_command(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.KILLS_ITS_WORKER_ALWAYS,), variants=1), workers=1)
    Queue(made.runs, made.study, made.setting).enqueue(made.tasks)
    for _ in range(ALIKE):
        assert status(made, made.digests[0]) == "none"
        said: list[str] = []
        launcher("local").run(made, stop=lambda: bool(said), tick=lambda: None, say=said.append)  # noqa: B023
    assert status(made, made.digests[0]) == "failed"
    assert attempts(made, made.digests[0]) == ALIKE


def test_a_worker_that_hangs_is_ended_and_its_job_resumed_twice_at_one_point_is_a_failure(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.HANGS_ALWAYS, fake_job.HANGS_ONCE), variants=1))
    said = launched(Order(**{**dict(made), "hang_seconds": 2.5}))
    always, once = (RunFolder(jobs_root(made.runs), digest) for digest in made.digests)
    assert [status(made, digest) for digest in made.digests] == ["failed", "finished"]
    outcome = always.outcome()
    assert outcome and outcome.reason == "its worker hung, 2 times in a row after iteration 4"
    assert (attempts(made, always.digest), attempts(made, once.digest)) == (2, 2)
    assert [event["iteration"] for event in lines(once) if event["kind"] == "losses"] == list(range(1, 11))
    assert sum("it was ended" in line for line in said) == 3


def test_unusable_input_ends_everything_with_its_line(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.UNUSABLE,)))
    for name in ("local", "inline"):
        with pytest.raises(InputError, match="no Inception weights here"):
            launched(made, name)
    assert all(status(made, task.digest) == "none" for task in made.tasks)
    assert not Queue(made.runs, made.study, made.setting).running(made.digests)


def test_workers_that_cannot_start_are_given_up(small_plan: Callable[..., Plan], order: Callable[..., Order]) -> None:
    made = order(small_plan(variants=1), workers=1)
    broken = Order(**{**dict(made), "trainer": "tests.studies.no_such_module"})
    with pytest.raises(WorkersLost, match="no_such_module"):
        launched(broken)


def test_stopping_leaves_checkpoints_and_the_next_call_goes_on(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.SLOW,), variants=2, iterations=8))
    began = time.monotonic()
    events = [RunFolder(jobs_root(made.runs), digest).events_file for digest in made.digests]

    def training() -> bool:
        return (
            all(file.exists() and file.read_bytes().count(b"\n") > 2 for file in events)
            or time.monotonic() > began + 30
        )

    launched(made, stop=training)
    assert [status(made, digest) for digest in made.digests] == ["none", "none"]
    assert not any(is_held(RunFolder(jobs_root(made.runs), digest).lock_file) for digest in made.digests)
    launched(made)
    for digest in made.digests:
        folder = RunFolder(jobs_root(made.runs), digest)
        assert status(made, digest) == "finished"
        assert [event["iteration"] for event in lines(folder) if event["kind"] == "losses"] == list(range(1, 9))


def test_stopping_while_the_queue_is_gone_and_a_worker_dies_costs_the_others_nothing(
    small_plan: Callable[..., Plan], order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = order(small_plan(seeds=(fake_job.SLOW,), variants=2, iterations=100))
    folders = [RunFolder(jobs_root(made.runs), digest) for digest in made.digests]
    stopping: list[int] = []

    def stop() -> bool:
        if not stopping and all(
            f.events_file.exists() and f.events_file.read_bytes().count(b"\n") > 2 for f in folders
        ):
            stopping.append(int((folders[0].path / "trained_by.txt").read_text()))
            os.kill(stopping[0], signal.SIGKILL)
            wait_for(lambda: not is_held(folders[0].lock_file))
        return bool(stopping)

    def gone(*_: object) -> None:
        raise Unreachable("gone")

    def held_by(queue: Queue, worker: str) -> Claim | None:
        return gone() if stopping else real(queue, worker)

    real = Queue.held_by
    monkeypatch.setattr(Queue, "held_by", held_by)
    launched(made, stop=stop)
    assert lines(folders[1])[-1]["kind"] == "checkpointed", "it was asked, not killed"
    monkeypatch.undo()
    queue = Queue(made.runs, made.study, made.setting)
    assert queue.release_orphans() == made.digests[:1] and sorted(queue.waiting(made.digests)) == sorted(made.digests)


def test_workers_that_the_command_itself_kills_count_for_nothing(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.SLOW,), variants=1, iterations=300), workers=1)
    queue = Queue(made.runs, made.study, made.setting)
    queue.enqueue(made.tasks)
    folder = RunFolder(jobs_root(made.runs), made.digests[0])

    def second_interrupt() -> None:
        if folder.events_file.exists() and folder.events_file.read_bytes().count(b"\n") > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launcher("local").run(made, stop=lambda: False, tick=second_interrupt, say=lambda _: None)
    assert queue.waiting(made.digests) == made.digests and not queue.running(made.digests)
    assert not (folder.path / FILE).exists()


@pytest.mark.slow
def test_two_runners_share_the_work(small_plan: Callable[..., Plan], order: Callable[..., Order]) -> None:
    made = order(small_plan(seeds=(0, fake_job.SLOW), variants=4, iterations=6), workers=1)
    runners = [threading.Thread(target=launched, args=(made,)) for _ in range(2)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(60)
        assert not runner.is_alive()
    assert {status(made, digest) for digest in made.digests} == {"finished"}
    assert all(attempts(made, digest) == 1 for digest in made.digests)
    pids = {(jobs_root(made.runs) / digest / "trained_by.txt").read_text() for digest in made.digests}
    assert len(pids) == 2


def test_a_worker_stops_when_its_parent_is_gone(small_plan: Callable[..., Plan], order: Callable[..., Order]) -> None:
    plan = small_plan(seeds=(fake_job.SLOW,), variants=1, iterations=300)
    made = order(plan, tasks=tasks_of(plan))
    Queue(made.runs, made.study, made.setting).enqueue(made.tasks)
    program = (
        "import sys\nfrom pathlib import Path\nfrom studies.runner.worker import Order\n"
        "from studies.runner.launchers.local import Local\n"
        "Local().run(Order.model_validate_json(Path(sys.argv[1]).read_text()),"
        " stop=lambda: False, tick=lambda: None, say=print)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(made.write("test"))])
    lock = RunFolder(jobs_root(made.runs), made.digests[0])
    wait_for(lambda: lock.events_file.exists() and lock.events_file.read_bytes().count(b"\n") > 2)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not is_held(lock.lock_file))
    assert status(made, lock.digest) == "none"
    assert lines(lock)[-1]["kind"] == "checkpointed"


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


def test_an_unknown_launcher_is_one_line() -> None:
    with pytest.raises(InputError, match="did you mean 'local'"):
        launcher("locl")


def test_the_log_of_a_quiet_worker_is_removed(
    tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    launched(order(small_plan(variants=1)))
    assert list((tmp_path / "queue" / "logs").iterdir()) == []
    assert list((tmp_path / "queue" / "orders").iterdir()) == []
