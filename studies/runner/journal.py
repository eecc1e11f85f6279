"""Optuna's journals: opened, and mended first where a write was cut off."""

from __future__ import annotations

from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock


def mended_journal(file: Path) -> JournalStorage:
    """The journal in `file`, made where there is none.

    A last line without its end is what a full disk or a kill leaves of a write. It was never acted on, and is removed:
    Optuna would refuse the whole journal once another line stands behind it.
    """
    lock = JournalFileSymlinkLock(str(file))
    backend = JournalFileBackend(str(file), lock_obj=lock)
    if not _ends_whole(file):
        lock.acquire()
        try:
            if not _ends_whole(file):
                content = file.read_bytes()
                with file.open("r+b") as stream:
                    stream.truncate(content.rfind(b"\n") + 1)
        finally:
            lock.release()
    return JournalStorage(backend)


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as stream:
        if stream.seek(0, 2) == 0:
            return True
        stream.seek(-1, 2)
        return stream.read(1) == b"\n"
