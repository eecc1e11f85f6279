"""The one way to start processes by multiprocessing: as `core.processes` does, and out of a Ctrl-C's reach."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext
from typing import Any

from core.processes import SAFE_PATH


@contextmanager
def pool(
    workers: int, initializer: Callable[..., object] | None = None, initargs: tuple[Any, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """So many processes, started as they are needed; none is left behind, and what still waits then is not done.

    No module in the working folder takes another one's place in them. Ctrl-C does not reach them: it is the parent's to
    act on.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        # Not forked: this process may have threads, and locks that they hold.
        with _Pool(workers, SpawnContext(), initializer, initargs) as processes:
            try:
                yield processes
            finally:
                processes.shutdown(cancel_futures=True)
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


class _Pool(ProcessPoolExecutor):
    """Its processes start in `submit`: one that is half started when its parent goes away would say so at length."""

    def submit(self, *given: Any, **named: Any) -> Future[Any]:
        with _undisturbed():
            return super().submit(*given, **named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with _undisturbed():
            super().shutdown(wait, cancel_futures=cancel_futures)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Within it a Ctrl-C waits; processes and threads that are started are never reached by one."""
    noted: list[tuple[Any, ...]] = []
    # Another thread may take the signal, and it is in the main one that Python acts on it.
    acts = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, lambda *given: noted.append(given)) if acts else None
    # What is blocked here is blocked there from the very start.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if acts:
            signal.signal(signal.SIGINT, signal.SIG_DFL if handler is None else handler)
        if noted and callable(handler):
            handler(*noted[0])
