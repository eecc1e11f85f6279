"""Each job is claimed once, whoever asks, and what a dead worker held is claimed again."""

from __future__ import annotations

import json
import math
import multiprocessing
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from optuna.trial import TrialState

from core.folder import Outcome, Recorded, RunFolder
from core.reading import Damaged
from studies.plan import Plan, jobs_root
from studies.run_state import final_value, has_result, to_train
from studies.runner import queue as queues
from studies.runner.deaths import WITHOUT_CHECKPOINT
from studies.runner.journal import MendingBackend
from studies.runner.queue import UNSIGNED_CLAIM_SECONDS, Queue
from studies.runner.tasks import Task, tasks_of


def claim_all(runs: Path, digests: list[str], name: str, into: Path) -> None:
    queue = Queue(runs, "changes_overview", "cpu")
    mine = []
    with FileLock(queue.worker_lock(name)):
        while (claim := queue.claim(digests, name)) is not None:
            mine.append(claim.digest)
            queue.settle(claim)
    into.write_text(json.dumps(mine))


@pytest.fixture
def tasks(small_plan: Callable[..., Plan]) -> list[Task]:
    return tasks_of(small_plan(seeds=(0, 1, 2, 3)))[:40]


def finish(runs: Path, task: Task, status: str = "finished", value: float = 12.5) -> None:
    folder = RunFolder(jobs_root(runs), task.digest)
    outcome = {"status": status, "iteration": 1, "seconds": 1.0, "evaluation_seconds": 0.0, "job_seconds": 1.0}
    folder.write("outcome.json", Outcome.model_validate_json(json.dumps(outcome)).model_dump_json())
    event = {"kind": "evaluated", "iteration": 1, "images": 4, "seconds": 1.0}
    event |= {"metric": "fd_rooms", "value": value, "evaluation_seconds": 0.0}
    folder.events_file.write_text(json.dumps(event) + "\n")


def test_four_processes_claim_each_of_forty_jobs_once(tmp_path: Path, tasks: list[Task]) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    digests = [task.digest for task in tasks]
    assert len(tasks) == 40
    assert queue.enqueue(tasks) == 40
    spawn = multiprocessing.get_context("spawn")
    files = [tmp_path / f"claimed-{index}.json" for index in range(4)]
    processes = [
        spawn.Process(target=claim_all, args=(tmp_path, digests, f"w{index}", file)) for index, file in enumerate(files)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    claimed = [digest for file in files for digest in json.loads(file.read_text())]
    assert sorted(claimed) == sorted(digests)
    assert not queue.waiting(digests)
    assert not queue.running(digests)


def test_enqueues_once_while_pending_and_again_after_a_failure(tmp_path: Path, tasks: list[Task]) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    assert queue.enqueue(tasks[:2]) == 2
    assert queue.enqueue(tasks[:3]) == 1
    claim = queue.claim([tasks[0].digest], "w")
    assert claim is not None
    assert queue.enqueue(tasks[:3]) == 0
    queue.release(claim, again=False)
    assert queue.enqueue(tasks[:3]) == 1


def test_claims_in_the_wanted_order_and_nothing_else(tmp_path: Path, tasks: list[Task]) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    queue.enqueue(tasks)
    wanted = [tasks[5].digest, tasks[2].digest]
    assert [claim.digest for _ in wanted if (claim := queue.claim(wanted, "w"))] == wanted
    assert queue.claim(wanted, "w") is None


def test_settles_with_the_final_value_and_infinity_for_divergence(tmp_path: Path, tasks: list[Task]) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    queue.enqueue(tasks[:3])
    for task, status in zip(tasks, ("finished", "diverged", "failed"), strict=False):
        claim = queue.claim([task.digest], "w")
        assert claim is not None
        finish(tmp_path, task, status)
        queue.settle(claim)
        queue.settle(claim)  # A second runner may have been quicker.
    states = [(trial.state.name, trial.values) for trial in queue._study.trials]
    assert states == [("COMPLETE", [12.5]), ("COMPLETE", [math.inf]), ("FAIL", None)]


@pytest.mark.parametrize("wrong", [{"metric": 3}, {"value": None}, {"value": "x"}, {"seconds": "a"}])
def test_a_result_whose_record_says_nothing_is_named(tmp_path: Path, tasks: list[Task], wrong: dict[str, Any]) -> None:
    finish(tmp_path, tasks[0], "finished")
    folder = RunFolder(jobs_root(tmp_path), tasks[0].digest)
    assert final_value(folder) == 12.5
    folder.events_file.write_text(json.dumps({**json.loads(folder.events_file.read_text()), **wrong}) + "\n")
    with pytest.raises(Damaged, match=r"events\.jsonl is damaged \(line 1: "):
        final_value(folder)


def test_orphans_are_released_but_not_living_workers_jobs(tmp_path: Path, tasks: list[Task]) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    queue.enqueue(tasks[:4])
    digests = [task.digest for task in tasks[:4]]
    with FileLock(queue.worker_lock("alive")):
        alive = queue.claim(digests, "alive")
        dead = queue.claim(digests, "dead")
        ended = queue.claim(digests, "dead")
        folder_held = queue.claim(digests, "dead")
        assert alive
        assert dead
        assert ended
        assert folder_held
        finish(tmp_path, tasks[2])
        held = RunFolder(jobs_root(tmp_path), folder_held.digest)
        held.path.mkdir(parents=True)
        with FileLock(held.lock_file):
            assert queue.release_orphans() == [dead.digest]
    assert queue.waiting(digests) == [dead.digest]
    assert sorted(queue.running(digests)) == sorted([alive.digest, folder_held.digest])


class Killed(BaseException):
    """The process is gone at this point."""


@pytest.mark.parametrize("nth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("by", ["its worker", "who finds it lost"])
def test_a_kill_at_any_write_while_a_job_is_put_back_loses_it_never(
    by: str, nth: int, tmp_path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    queue.enqueue(tasks[:1])
    digests = [tasks[0].digest]
    claim = queue.claim(digests, "dead")
    assert claim is not None
    writes = 0
    append = MendingBackend.append_logs

    def killed(backend: MendingBackend, logs: list[dict[str, object]]) -> None:
        nonlocal writes
        writes += 1
        if writes == nth:
            raise Killed
        append(backend, logs)

    with monkeypatch.context() as patch:
        patch.setattr(MendingBackend, "append_logs", killed)
        try:
            queue.release(claim, again=True) if by == "its worker" else queue.release_orphans()
        except Killed:
            pass
        else:
            assert nth > 2, "it was put back without a write"
    # The next command asks the queue, and puts back nothing itself.
    after = Queue(tmp_path, "changes_overview", "cpu")
    after.release_orphans()
    assert after.waiting(digests) == digests and not after.running(digests)


def test_a_job_whose_old_claim_was_not_ended_has_one_worker(tmp_path: Path, tasks: list[Task]) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    queue.enqueue(tasks[:1])
    digest = tasks[0].digest
    old = queue.claim([digest], "dead")
    queue._add({"job": digest, "variant": tasks[0].variant, "seed": tasks[0].seed})
    with FileLock(queue.worker_lock("alive")):
        now = queue.claim([digest], "alive")
        assert old and now and old != now
        queue.release_orphans()
        assert (queue.waiting([digest]), queue.running([digest])) == ([], [digest])
    finish(tmp_path, tasks[0])
    queue.release_orphans()
    assert not queue.waiting([digest]) and not queue.running([digest])


def test_a_job_that_loses_worker_after_worker_is_given_up(tmp_path: Path, tasks: list[Task]) -> None:
    queue = Queue(tmp_path, "changes_overview", "cpu")
    queue.enqueue(tasks[:1])
    digest = tasks[0].digest
    for number in range(1, WITHOUT_CHECKPOINT + 1):
        assert queue.claim([digest], f"lost-{number}")
        # A command of its own each time, as where the machine itself goes down.
        queue = Queue(tmp_path, "changes_overview", "cpu")
        assert queue.release_orphans() == ([digest] if number < WITHOUT_CHECKPOINT else [])
    assert not queue.waiting([digest]) and not queue.running([digest])
    outcome = RunFolder(jobs_root(tmp_path), digest).outcome()
    assert outcome is not None and outcome.status == "failed" and "was lost" in (outcome.reason or "")


def test_a_claim_without_a_name_is_left_alone_for_a_minute_of_whoever_looks(
    tmp_path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claimant's clock is a day behind, or in another time zone."""
    queue = Queue(tmp_path, "changes_overview", "cpu")
    queue.enqueue(tasks[:1])
    monkeypatch.setattr(queue._storage, "set_trial_user_attr", lambda *_: None)
    assert queue.claim([tasks[0].digest], "killed-in-between") is not None
    (trial,) = queue._trials(TrialState.RUNNING)
    trial.datetime_start = datetime.now() - timedelta(days=1)
    monkeypatch.setattr(queue, "_trials", lambda *states: [trial] if states == (TrialState.RUNNING,) else [])
    now = [1e6]
    monkeypatch.setattr(queues.time, "monotonic", lambda: now[0])
    assert queue.release_orphans() == []
    now[0] += UNSIGNED_CLAIM_SECONDS - 1
    assert queue.release_orphans() == []
    now[0] += 2
    monkeypatch.undo()
    monkeypatch.setattr(queues.time, "monotonic", lambda: now[0])
    assert queue.release_orphans() == [tasks[0].digest]


def test_a_result_whose_record_was_lost_is_enqueued_again(tmp_path: Path, tasks: list[Task]) -> None:
    queue, task = Queue(tmp_path, "changes_overview", "cpu"), tasks[0]
    queue.enqueue([task])
    claim = queue.claim([task.digest], "a-worker")
    assert claim is not None
    finish(tmp_path, task)
    folder = RunFolder(jobs_root(tmp_path), task.digest)
    outcome = folder.outcome()
    assert outcome is not None
    recorded = Recorded.of(folder.events_file.read_bytes())
    folder.write("outcome.json", outcome.replace(recorded=recorded).model_dump_json())
    folder.write("job.json", task.job.model_dump_json())
    queue.settle(claim)
    assert folder.state() == "finished" and has_result(folder)
    folder.events_file.write_bytes(bytes(folder.events_file.stat().st_size))
    assert folder.state() == "interrupted" and not has_result(folder)
    assert to_train(folder.state(), retry_failed=False)
    assert queue.enqueue([task]) == 1
