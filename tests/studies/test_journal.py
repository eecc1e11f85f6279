"""A journal whose last write was cut off is mended, and keeps all that was written whole."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from core.processes import environment
from studies.plan import Plan
from studies.runner import journal
from studies.runner.order import Order
from studies.runner.queue import Queue


@pytest.mark.parametrize("cut", [1, 20])
def test_a_line_that_was_cut_off_is_dropped(
    cut: int, tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=3))

    def queue() -> Queue:
        return made.queue()

    queue().enqueue(made.tasks)
    (file,) = (tmp_path / "queue").glob("*.journal")
    whole = file.read_bytes()
    file.write_bytes(whole + whole.splitlines(keepends=True)[-1][:-cut])
    claimed = queue().claim(made.digests, "a-worker")
    assert claimed is not None and claimed.digest == made.digests[0]
    assert file.read_bytes().startswith(whole)
    assert queue().waiting(made.digests) == made.digests[1:]
    assert queue().running(made.digests) == made.digests[:1]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Within it the operating system lets no file grow beyond this size, as where a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_half_way_spoils_nothing_for_who_has_the_file_open(
    tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=2))
    worker, launcher = (made.queue() for _ in range(2))
    launcher.enqueue(made.tasks)
    (file,) = (tmp_path / "queue").glob("*.journal")
    whole = file.read_bytes()
    with pytest.raises(OSError, match="File too large"), room_for(len(whole) + 20):
        worker.claim(made.digests, "w")
    assert file.read_bytes() == whole
    assert launcher.claim(made.digests, "w") is not None
    for queue in (worker, launcher, made.queue()):
        assert queue.running(made.digests) == made.digests[:1]


def test_what_another_left_half_written_is_removed_by_who_writes_next(
    tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is killed, or that cannot cut off its own line either; the line is longer than what is read at once."""
    monkeypatch.setattr(journal, "TAIL_BYTES", 7)
    made = order(small_plan(variants=2))
    queues = [made.queue() for _ in range(2)]
    queues[0].enqueue(made.tasks)
    (file,) = (tmp_path / "queue").glob("*.journal")
    whole = file.read_bytes()
    with file.open("ab") as stream:
        stream.write(whole.splitlines()[-1][:-3])
    assert queues[1].waiting(made.digests) == made.digests, "half a line hinders nobody who reads"
    assert queues[1].claim(made.digests, "w") is not None
    assert queues[0].running(made.digests) == made.digests[:1]
    assert file.read_bytes().startswith(whole)


@pytest.mark.parametrize(("content", "left"), [(b"", b""), (b"half", b""), (b"1\n2\n", b"1\n2\n"), (b"1\n2", b"1\n")])
def test_only_a_last_line_without_its_end_is_cut_off(content: bytes, left: bytes, tmp_path: Path) -> None:
    file = tmp_path / "journal"
    file.write_bytes(content)
    with FileIO(file, "a+") as stream:
        journal._mend(stream)
    assert file.read_bytes() == left


# --- its lock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["changes_overview.journal", "/nowhere/changes_overview.journal"])
def test_the_link_that_was_optunas_lock_hinders_nobody(
    target: str, tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    """An earlier version was killed, and perhaps the folder was moved since."""
    made = order(small_plan(variants=2))
    (tmp_path / "queue").mkdir(exist_ok=True)
    (tmp_path / "queue" / f"{made.study}.journal.lock").symlink_to(target)
    began = time.monotonic()
    made.queue().enqueue(made.tasks)
    assert time.monotonic() - began < 5


def test_who_is_killed_while_it_writes_leaves_nothing_locked(
    tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=2))
    queue = made.queue()
    queue.enqueue(made.tasks)
    (file,) = (tmp_path / "queue").glob("*.journal")
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom studies.runner import journal\n"
        "journal._append = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "journal.MendingBackend(Path(sys.argv[1])).append_logs([{}])"
    )
    command = [sys.executable, "-P", "-c", program, str(file)]
    assert subprocess.run(command, env=environment(), check=False).returncode == -signal.SIGKILL
    began = time.monotonic()
    assert queue.claim(made.digests, "w") is not None
    assert time.monotonic() - began < 1


def test_a_folder_of_runs_that_was_moved_goes_on(
    tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=2))
    made.queue().enqueue(made.tasks)
    links = [path for path in made.runs.rglob("*") if path.is_symlink()]
    assert links == []
    moved = made.runs.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    assert Queue(moved, made.study, made.setting).claim(made.digests, "w") is not None
    assert list(moved.rglob("*.journal")) and not made.runs.exists()


@pytest.mark.parametrize("garbage", [b"{garbled", b"[]", b"\xff\xfe"])
def test_a_damaged_line_is_named_with_the_remedy(
    garbage: bytes, tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=3))
    made.queue().enqueue(made.tasks)
    (file,) = (tmp_path / "queue").glob("*.journal")
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([*lines[:2], garbage, *lines[3:]]))
    with pytest.raises(InputError, match=r"line 3.*move it away: no result is lost") as caught:
        made.queue()
    assert str(file) in str(caught.value)
    file.rename(tmp_path / "away")
    assert made.queue().enqueue(made.tasks) == 3


TRIAL = {"op_code": 4, "worker_id": "x", "study_id": 0, "datetime_start": None}
STATE = {"op_code": 6, "worker_id": "x", "trial_id": 0, "state": 1, "values": [1.0]}
NOON = "2026-07-01T12:00:00+00:00"


@pytest.mark.parametrize(
    "line",
    [
        {"op_code": 99, "worker_id": "x"},
        {"op_code": None, "worker_id": "x"},
        {"op_code": 4},
        {"op_code": 0, "worker_id": "x", "study_name": "other", "directions": ["x"]},
        {"op_code": 0, "worker_id": "x", "study_name": [1], "directions": [1]},
        {"op_code": 1, "worker_id": "x", "study_id": []},
        {"op_code": 8, "worker_id": "x", "trial_id": 0, "user_attr": 5},
        {"op_code": 8, "worker_id": "x", "trial_id": 0, "user_attr": {}},
        {"op_code": 7, "worker_id": "x", "trial_id": 0, "step": 10**30, "intermediate_value": 1.0},
        {"op_code": 7, "worker_id": "x", "trial_id": 0, "step": 1, "intermediate_value": float("nan")},
        {**TRIAL, "worker_id": []},
        {**TRIAL, "study_id": {}},
        {**TRIAL, "state": 9},
        {**TRIAL, "user_attrs": []},
        {**TRIAL, "system_attrs": {"fixed_params": "x"}},
        {**TRIAL, "datetime_start": "yesterday"},
        {**TRIAL, "datetime_start": "0001-01-01T00:00:00+14:00"},
        {**TRIAL, "params": {"a": 1.0}, "distributions": {"a": "{}"}},
        {**TRIAL, "params": {"a": 1.0}, "distributions": {"a": '{"name":"__class__","attributes":{}}'}},
        {**TRIAL, "params": {"a": 1.0}},
        {**TRIAL, "intermediate_values": {"a": 1.0}},
        {**TRIAL, "value": 1.0, "values": [1.0]},
        STATE,
        {**STATE, "datetime_complete": "x"},
        {**STATE, "datetime_complete": NOON, "values": [None]},
        {**STATE, "datetime_complete": NOON, "values": [1.0, 2.0]},
        "[" * 200_000 + "]" * 200_000,
    ],
    ids=range(27),
)
def test_a_line_that_makes_no_sense_is_named_with_the_remedy(
    line: Any, tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=1))
    there = made.queue()
    there.enqueue(made.tasks)
    (file,) = (tmp_path / "queue").glob("*.journal")
    whole = file.read_bytes()
    number = len(whole.splitlines()) + 1
    said = rf"journal is damaged \(line {number}: .*move it away: no result is lost"
    with file.open("a") as stream:
        stream.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
    for _ in range(2):  # Who has the file open finds it as often as they ask.
        with pytest.raises(InputError, match=said):
            there.waiting(made.digests)
    with pytest.raises(InputError, match=said):
        made.queue()


def test_what_a_line_cannot_mean_here_is_named_with_the_remedy(
    tmp_path: Path, small_plan: Callable[..., Plan], order: Callable[..., Order]
) -> None:
    made = order(small_plan(variants=1))
    made.queue().enqueue(made.tasks)
    (file,) = (tmp_path / "queue").glob("*.journal")
    whole = file.read_text()
    file.write_text(whole.replace('"directions":[1]', '"directions":[2]'))
    with pytest.raises(InputError, match=r"does not seek the least of one value.*move it away, no result is lost"):
        made.queue()
    file.write_text(whole + json.dumps({**STATE, "values": None, "datetime_complete": NOON}) + "\n")
    with pytest.raises(InputError, match="trial 0 has the result 'None', which is none of ours"):
        made.queue().completed_by("w")
