"""Optuna's journals, which a write that was cut off does not spoil."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from core.locks import FileLock

TAIL_BYTES = 1 << 16


def journal_in(file: Path) -> JournalStorage:
    """The journal in `file`, made where there is none."""
    return JournalStorage(MendingBackend(file))


class MendingBackend(JournalFileBackend):  # type: ignore[misc]
    """Optuna's file of lines, without what a full disk or a kill leaves of a write.

    Readers overlook a last line without its end, for it was never acted on, but refuse the whole journal once another
    line stands behind it. So whoever writes removes it first, and what is left of a write of its own that failed.

    Optuna's own lock is a link that locks by being there: a kill leaves it behind, and it leads to an absolute path.
    """

    def __init__(self, file: Path) -> None:
        # Not FILE.lock, where an earlier version may have left its link.
        super().__init__(str(file), lock_obj=FileLock(file.with_name(f"{file.name}.flock")))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes these behind the last whole line. Raises OSError where that does not work."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock.acquire()
        try:
            # A buffer would write again what is left in it when the file is closed.
            with FileIO(self._file_path, "a+") as stream:
                _append(stream, memoryview(lines.encode()))
        finally:
            self._lock.release()


def _append(stream: FileIO, left: memoryview) -> None:
    _mend(stream)
    try:
        while left:
            left = left[stream.write(left) :]
        os.fsync(stream.fileno())
    except BaseException:
        with suppress(OSError):  # Then it is left to the next who writes.
            _mend(stream)
        raise


def _mend(stream: FileIO) -> None:
    """Cuts off a last line without its end."""
    end = size = stream.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - TAIL_BYTES)
        stream.seek(begin)
        if (last := stream.read(end - begin).rfind(b"\n")) >= 0:
            end = begin + last + 1
            break
        end = begin
    if end < size:
        stream.truncate(end)
