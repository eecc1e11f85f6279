"""Looks whether an LMDB's pages fit together: `python -m core.data.walk FILE`, for the library ends the process that
comes upon a damaged page.

Says `BEGUN` before it touches the file. Exit codes: 0 sound, 3 damaged, which the last line on stderr explains;
anything else, and any end before `BEGUN`, says nothing of the file.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import lmdb
import numpy as np

from core.processes import environment, python

BEGUN = "begun"
DAMAGED = 3
OF_DAMAGE = tuple(-number for number in (signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV, signal.SIGFPE, signal.SIGILL))
"""How a process ends that reads a damaged page."""

LEAST_BYTES = 10
"""Of a key with its value, beside their own: the head of its node, and where in the page that is."""


class NotWalked(RuntimeError):
    """It could not be looked; the message says why, and the file may be sound."""


def damage(file: Path) -> str | None:
    """The damage of an LMDB's pages, None for a sound one. Raises NotWalked."""
    try:
        ended = subprocess.run(
            python("core.data.walk", str(file)),
            env=environment(),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise NotWalked(f"Python cannot be started: {error.strerror or error}") from None
    if ended.returncode == 0:
        return None
    lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    if ended.stdout.startswith(BEGUN):
        if ended.returncode == DAMAGED:
            return lines[-1] if lines else "its pages do not fit together"
        if ended.returncode in OF_DAMAGE:
            return "its pages do not fit together"
    how = f"killed by signal {-ended.returncode}" if ended.returncode < 0 else f"exit code {ended.returncode}"
    raise NotWalked(f"{how}: {lines[-1]}" if lines else how)


def main() -> None:
    """Looks at every key and at where every value lies; the values' own pages, most of the file, are not read."""
    print(BEGUN, flush=True)
    file = Path(sys.argv[1])
    size = file.stat().st_size
    try:
        with (
            lmdb.open(str(file), subdir=False, readonly=True, lock=False, readahead=False) as database,
            database.begin(buffers=True) as transaction,
        ):
            start, room = _start_of(file), size
            for key, value in transaction.cursor():
                if len(value) > size:
                    _refuse("a value is longer than the file")
                # Pages that lead to one page time and again hold any number of keys, and lead to one value.
                room -= LEAST_BYTES + len(key) + len(value)
                if room < 0:
                    _refuse("its pages hold more than the file has room for")
                if start is not None and len(value):
                    first = np.frombuffer(value, np.uint8).__array_interface__["data"][0] - start
                    if not 0 <= first <= first + len(value) <= size:
                        _refuse("a value lies outside of the file")
    except (lmdb.MemoryError, lmdb.ReadersFullError):
        raise
    except lmdb.Error as error:
        _refuse(" ".join(str(error).split()))


def _start_of(file: Path) -> int | None:
    """Where this process has the file in its memory; None where the system does not tell."""
    maps, inode = Path("/proc/self/maps"), str(file.stat().st_ino)
    if not maps.exists():
        return None
    lines = [line.split() for line in maps.read_bytes().decode(errors="replace").splitlines()]
    starts = [int(line[0].split("-")[0], 16) for line in lines if line[4:5] == [inode]]
    return min(starts, default=None)


def _refuse(reason: str) -> NoReturn:
    print(reason, file=sys.stderr)
    sys.exit(DAMAGED)


if __name__ == "__main__":
    main()
