"""The one way to start processes by multiprocessing: as `core.processes` does, and out of a Ctrl-C's reach."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess

from core.processes import SAFE_PATH


class _Process(SpawnProcess):
    def start(self) -> None:
        # What is blocked here is blocked there from the very start: while Python starts, a Ctrl-C would be a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Context(SpawnContext):
    Process = _Process


@contextmanager
def spawning() -> Iterator[SpawnContext]:
    """What multiprocessing is to start processes with, within this context.

    No module in the working folder takes another one's place in them. Ctrl-C does not reach them: it is the parent's to
    act on.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield _Context()
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before
