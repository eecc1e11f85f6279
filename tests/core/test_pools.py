"""Processes of a pool start out of a Ctrl-C's reach, and out of the working folder's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from core import pools
from core.pools import pool


def blocked_here() -> set[signal.Signals]:
    return {signal.Signals(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())}


def test_processes_of_a_pool_hear_no_ctrl_c_and_have_no_module_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random", "struct", "tempfile", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    with pool(1) as processes:
        assert signal.SIGINT in processes.submit(blocked_here).result(60)
    assert "PYTHONSAFEPATH" not in os.environ and signal.SIGINT not in blocked_here()


@pytest.mark.parametrize("by_another_thread", [False, True])
def test_a_ctrl_c_waits_until_a_process_has_started(by_another_thread: bool) -> None:
    done = []

    def start() -> None:
        with pools._undisturbed():
            if by_another_thread:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
            os.kill(os.getpid(), signal.SIGINT)
            done.append("started")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == ["started"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler and signal.SIGINT not in blocked_here()
