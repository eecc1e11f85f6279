"""The one way to lock: the system's own lock on a file, which ends with its process, however that ended.

Optuna's locks and filelock's fallback are files that are locks by being there: one that outlives its process blocks
everybody. Here a file that was left behind, moved or copied locks nothing.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from core.errors import InputError
from core.files import handle_of

HELD_BY_ANOTHER = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)
"""The last is what some file systems say."""

FIRST_PAUSE_SECONDS = 0.001
MOST_PAUSE_SECONDS = 0.05

SILENT_SECONDS = 20.0
"""A longer wait is announced."""


class Timeout(TimeoutError):
    """Another process, or thread, holds the lock."""


def is_held(lock: Path) -> bool:
    """Whether a live process holds this lock file. Takes it for an instant: whoever locks must try twice.

    Writes nothing, so that it can be asked of runs that may only be read.
    """
    try:
        handle = handle_of(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared: those who ask are not in each other's way.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


class FileLock:
    """Held by one thread of one process at a time, which may take it again; the file stays behind, empty.

    `timeout` is how many seconds to wait for it, 0 for one try. Acquiring raises Timeout, and InputError where the file
    system cannot lock.
    """

    def __init__(self, file: Path, timeout: float = math.inf) -> None:
        self._file, self._timeout = file, timeout
        self._of_thread = threading.local()

    def acquire(self, timeout: float | None = None) -> ExitStack:
        """Waits for the lock, for `timeout` seconds where that is given; what it returns releases it at its exit."""
        depth = getattr(self._of_thread, "depth", 0)
        if not depth:
            self._of_thread.handle = self._locked(self._timeout if timeout is None else timeout)
        self._of_thread.depth = depth + 1
        held = ExitStack()
        held.callback(self.release)
        return held

    def release(self) -> None:
        """Gives up what was acquired last."""
        self._of_thread.depth -= 1
        if not self._of_thread.depth:
            handle = self._of_thread.handle
            # A child that was forked a moment ago may still have the file open.
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _locked(self, timeout: float) -> int:
        """The file, open and locked."""
        began, pause, silent = time.monotonic(), FIRST_PAUSE_SECONDS, True
        while True:
            handle = handle_of(self._file, os.O_RDWR | os.O_CREAT)
            try:
                if self._try(handle):
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)
            waited = time.monotonic() - began
            if waited >= timeout:
                raise Timeout(f"{self._file} is held by another process")
            if silent and waited > SILENT_SECONDS:
                silent = False
                with suppress(OSError, ValueError):
                    print(f"waiting for {self._file}, which another process holds", file=sys.stderr, flush=True)
            time.sleep(min(pause, max(0.0, timeout - waited)))
            pause = min(2 * pause, MOST_PAUSE_SECONDS)

    def _try(self, handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in HELD_BY_ANOTHER:
                return False
            raise InputError(
                f"{self._file.absolute().parent} is on a file system that cannot lock files ({error.strerror}): choose "
                "a folder on another one, with --runs, or --out"
            ) from error
        # The file may have been removed by its last holder: then this is no lock that others would meet.
        return os.fstat(handle).st_nlink > 0
