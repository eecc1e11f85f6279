"""Real worker processes of this machine: they are started, replaced, ended, and end with the command.

What the crew decides about them is in `test_crew`.
"""

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
from studies.runner.launchers import launch
from studies.runner.order import Order, WorkersLost
from tests.support import fake_job


def launched(order: Order, name: str = "local", stop: Callable[[], bool] = lambda: False) -> list[str]:
    lines: list[str] = []
    order.queue().enqueue(order.tasks)
    launch(order.replace(launcher=name), stop=stop, tick=lambda: None, say=lines.append)
    return lines


def status(order: Order, digest: str) -> str:
    outcome = RunFolder(jobs_root(order.runs), digest).outcome()
    return outcome.status if outcome else "none"


def lines(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.events_file.read_text().splitlines()]


def losses(order: Order, digest: str) -> list[int]:
    """The iterations of which a job has recorded losses."""
    folder = RunFolder(jobs_root(order.runs), digest)
    return [event["iteration"] for event in lines(folder) if event["kind"] == "losses"]


def attempts(order: Order, digest: str) -> int:
    return len((jobs_root(order.runs) / digest / "trained_by.txt").read_text().splitlines())


def under_way(order: Order) -> bool:
    """Whether every job has recorded something."""
    files = [RunFolder(jobs_root(order.runs), digest).events_file for digest in order.digests]
    return all(file.exists() and file.read_bytes().count(b"\n") > 2 for file in files)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize("name", ["inline", "local"])
def test_trains_every_job_once_and_goes_on_after_a_failure(
    name: str, small_plan: Callable[..., Plan], order: Callable[..., Order], tmp_path: Path
) -> None:
    made = order(small_plan(seeds=(0, fake_job.FAILS, fake_job.DIVERGES), variants=2))
    assert launched(made, name) == []
    expected = {0: "finished", fake_job.FAILS: "failed", fake_job.DIVERGES: "diverged"}
    assert [status(made, task.digest) for task in made.tasks] == [expected[task.seed] for task in made.tasks]
    assert all(attempts(made, task.digest) == 1 for task in made.tasks)
    for folder in ("logs", "orders"):
        assert name == "inline" or list((tmp_path / "queue" / folder).iterdir()) == []


def test_workers_that_are_killed_or_hang_are_replaced_and_their_jobs_resumed(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.KILLS_ITS_WORKER_ONCE, fake_job.HANGS_ONCE), variants=1))
    killed, hung = made.digests
    said = launched(made.replace(hang_seconds=2.5))
    assert [status(made, digest) for digest in made.digests] == ["finished", "finished"]
    assert [attempts(made, digest) for digest in made.digests] == [2, 2]
    assert losses(made, killed) == losses(made, hung) == list(range(1, 11))
    assert sum("was killed by SIGKILL" in line and "will be resumed" in line for line in said) == 1
    assert sum("it was ended" in line for line in said) == 1 and len(said) == 3


def test_unusable_input_ends_everything_with_its_line(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.UNUSABLE,)))
    for name in ("local", "inline"):
        with pytest.raises(InputError, match="no Inception weights here"):
            launched(made, name)
    assert all(status(made, task.digest) == "none" for task in made.tasks)
    assert not made.queue().running(made.digests)


def test_workers_that_cannot_start_are_given_up(
    small_plan: Callable[..., Plan], order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = order(small_plan(variants=1), workers=1)
    monkeypatch.setenv("INR_GAN_TRAINER", "tests.studies.no_such_module")
    with pytest.raises(WorkersLost, match="no_such_module"):
        launched(made)


def test_stopping_leaves_checkpoints_and_the_next_call_goes_on(
    small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(seeds=(fake_job.SLOW,), variants=2, iterations=8))
    until = time.monotonic() + 30
    launched(made, stop=lambda: under_way(made) or time.monotonic() > until)
    assert [status(made, digest) for digest in made.digests] == ["none", "none"]
    assert not any(is_held(RunFolder(jobs_root(made.runs), digest).lock_file) for digest in made.digests)
    launched(made)
    assert [status(made, digest) for digest in made.digests] == ["finished", "finished"]
    assert [losses(made, digest) for digest in made.digests] == 2 * [list(range(1, 9))]


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
    made = order(small_plan(seeds=(fake_job.SLOW,), variants=1, iterations=300))
    made.queue().enqueue(made.tasks)
    program = (
        "import sys\nfrom pathlib import Path\nfrom studies.runner.order import Order\n"
        "from studies.runner.launchers import launch\n"
        "launch(Order.model_validate_json(Path(sys.argv[1]).read_text()),"
        " stop=lambda: False, tick=lambda: None, say=print)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(made.write("test"))])
    folder = RunFolder(jobs_root(made.runs), made.digests[0])
    wait_for(lambda: under_way(made))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not is_held(folder.lock_file))
    assert status(made, folder.digest) == "none"
    assert lines(folder)[-1]["kind"] == "checkpointed"
