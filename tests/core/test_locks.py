"""Locks end with their processes, and a file system without them is told as such."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pytest

from core.errors import InputError
from core.locks import FileLock, Timeout
from core.processes import environment

HOLDS = "import sys, time; from pathlib import Path; from core.locks import FileLock\n"


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    program = f"{HOLDS}with FileLock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"
    command = [sys.executable, "-P", "-c", program, str(file)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(Timeout, match="is held by another process"):
            FileLock(file).acquire(timeout=0.05)
        holder.send_signal(signal.SIGKILL)
        began = time.monotonic()
        with FileLock(file):
            assert time.monotonic() - began < 1


def test_one_thread_holds_it_at_a_time_as_often_as_it_likes(tmp_path: Path) -> None:
    lock, seen = FileLock(tmp_path / "lock"), []

    def tried() -> None:
        try:
            with lock.acquire(timeout=0):
                seen.append("had")
        except Timeout:
            seen.append("held")

    def from_another_thread() -> str:
        thread = threading.Thread(target=tried)
        thread.start()
        thread.join()
        return seen[-1]

    with lock:
        with lock.acquire(timeout=0):
            assert from_another_thread() == "held"
        assert from_another_thread() == "held"
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(tmp_path / "lock", timeout=0).acquire()
    assert from_another_thread() == "had"
    assert (tmp_path / "lock").read_bytes() == b""


def test_a_file_that_its_holder_removed_is_no_lock(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    waiting = os.open(file, os.O_RDWR | os.O_CREAT)
    file.unlink()
    assert not FileLock(file)._try(waiting)
    os.close(waiting)
    with FileLock(file):
        assert file.exists()


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "else")
    with pytest.raises(InputError, match="is a link"):
        FileLock(tmp_path / "lock").acquire()
    assert not (tmp_path / "else").exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EIO])
def test_a_file_system_without_locks_is_one_line(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(InputError, match="cannot lock files") as refused:
        FileLock(tmp_path / "lock").acquire()
    said = str(refused.value)
    assert said.startswith(str(tmp_path)) and os.strerror(number) in said and "--runs" in said and "\n" not in said
    held = [os.path.realpath(handle) for handle in Path("/proc/self/fd").iterdir()]
    assert str(tmp_path / "lock") not in held


def test_where_nothing_can_be_locked_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from studies.run import main

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SystemExit) as ended:
        main(["weight_clipping", "--only", "baseline", "--seeds", "1", "--launcher", "inline"])
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert "No locks available" in said and str(tmp_path / "runs") in said and "--runs" in said
    assert not (tmp_path / "runs" / "jobs").exists()
