"""Optuna's journals, which a write that was cut off does not spoil."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, NoReturn

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from core.files import appended, handle_of, named, sync_folder, write_all
from core.locks import FileLock
from core.reading import Damaged
from core.words import first_words

TAIL_BYTES = 1 << 16


def journal_in(file: Path) -> JournalStorage:
    """The journal in `file`, made where there is none. It and its calls raise Damaged for a line that is none."""
    is_new = not file.exists()
    backend = MendingBackend(file)
    if is_new:
        sync_folder(file.parent)
    return JournalStorage(backend)


def lost_with(journal: Path) -> str:
    """What goes with a journal that is moved away, as part of a sentence."""
    search = ".search." in journal.name
    return "its search begins anew" if search else "no result is lost, they are in the folders of runs"


class MendingBackend(JournalFileBackend):  # type: ignore[misc]
    """Optuna's file of lines, without what a full disk or a kill leaves of a write. Made where there is none.

    Readers overlook a last line without its end, for it was never acted on, but refuse the whole journal once another
    line stands behind it. So whoever writes removes it first, and what is left of a write of its own that failed.

    Optuna's own lock is a link that locks by being there: a kill leaves it behind, and it leads to an absolute path.
    """

    def __init__(self, file: Path) -> None:
        # Optuna would follow a link, and make what it leads to.
        os.close(handle_of(file, os.O_RDONLY | os.O_CREAT))
        # Not FILE.lock, where an earlier version may have left its link.
        super().__init__(str(file), lock_obj=FileLock(file.with_name(f"{file.name}.flock")))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The lines from that number on. Raises Damaged for one that is there whole and is no line of a journal."""
        number = log_number_from
        try:
            for log in super().read_logs(log_number_from):
                if not isinstance(log, dict) or not {"op_code", "worker_id"} <= log.keys():
                    raise ValueError("it is no line of a journal")
                number += 1
                yield log
        except ValueError as error:
            self._refuse(number + 1, error)

    def _refuse(self, line: int, error: ValueError) -> NoReturn:
        file = Path(self._file_path)
        raise Damaged(file, f"line {line}: {first_words(error)}", f"move it away: {lost_with(file)}") from None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes these behind the last whole line. Raises OSError where that does not work."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock.acquire()
        try:
            with named(Path(self._file_path)), appended(Path(self._file_path)) as stream:
                _append(stream, memoryview(lines.encode()))
        finally:
            self._lock.release()


def _append(stream: FileIO, left: memoryview) -> None:
    _mend(stream)
    try:
        write_all(stream, left)
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
