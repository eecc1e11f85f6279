"""Heartbeats, by which a loop that hangs is told from one that works: an observer notices that they stopped.

A worker's heartbeat is a file beside its lock. It says on which host the worker is; its mtime moves whenever the loop
asks whether to stop or an event has passed, so it stands still where the loop hangs, although the process lives. The
observer compares mtimes with each other alone and measures silence by its own clock: the clocks of hosts may differ.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from core.files import write_whole
from core.locks import is_held
from core.reading import last_text

HANG_SECONDS = 1800.0
"""Loading data, or measuring the real images, may take long and beats not once."""

LONGEST_PAUSES = 5.0
"""So many times its longest pause until now, such as an evaluation, a loop may pause again."""

BEAT_SECONDS = 1.0
"""A loop beats once in a while, not at each of hundreds of iterations a second."""


def heartbeat_file(worker_lock: Path) -> Path:
    """Where the worker that holds this lock beats."""
    return worker_lock.with_suffix(".heartbeat")


def is_elsewhere(worker_lock: Path) -> bool:
    """Whether the worker said that it is on another host than this process."""
    return last_text(heartbeat_file(worker_lock), 1000) not in ("", socket.gethostname())


def presume_dead(worker_lock: Path) -> None:
    """Removes the worker's lock and heartbeat, whatever they say: should it wake, it stops."""
    worker_lock.unlink(missing_ok=True)
    heartbeat_file(worker_lock).unlink(missing_ok=True)


class Heart:
    """A worker's own side, for as long as the context lasts.

    A worker whose heartbeat was removed by another hand was taken for dead, and its job may be another's by now: `beat`
    then ends the process with one line, so that it writes no more.
    """

    def __init__(self, worker_lock: Path) -> None:
        self._file = heartbeat_file(worker_lock)
        self._beaten = float("-inf")

    def __enter__(self) -> Heart:
        write_whole(self._file, socket.gethostname().encode(), lasting=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.unlink(missing_ok=True)

    def beat(self, *, now: bool = False) -> None:
        """Says that the loop goes on. Costs next to nothing when called often, unless it is to be said `now`."""
        clock = time.monotonic()
        if not now and clock - self._beaten < BEAT_SECONDS:
            return
        self._beaten = clock
        try:
            os.utime(self._file)
        except FileNotFoundError:
            sys.exit(f"worker {self._file.stem} was taken for dead and its job is another's: it stops, writing no more")
        except OSError:
            pass  # A file system that fails for a moment; should it not come back, the loop falls silent.

    def beating(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """`stop`, which a loop asks at every iteration, as a beat."""

        def beating_stop() -> bool:
            self.beat()
            return stop()

        return beating_stop


@dataclass
class _Pulse:
    mtime: int
    since: float
    longest: float = 0.0


class Silence:
    """An observer's side: which workers have been silent for too long.

    That is `floor` seconds, or a multiple of the longest pause that this observer has seen a worker make, whichever is
    longer. `clock` counts seconds and never goes back.
    """

    def __init__(self, floor: float = HANG_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.floor, self._clock = floor, clock
        self._pulses: dict[Path, _Pulse] = {}

    def alive(self, worker_lock: Path) -> bool:
        """Whether the worker lives: by its lock, or by its heartbeat on another host, whose locks may say nothing here.

        One of another host that was silent for too long loses its heartbeat, so that it stops should it wake.
        """
        if not is_elsewhere(worker_lock):
            return is_held(worker_lock)
        if self.too_long(worker_lock) is None:
            return True
        heartbeat_file(worker_lock).unlink(missing_ok=True)
        return False

    def trained(self, worker_lock: Path, job_lock: Path) -> bool:
        """Whether the worker lives or its job's folder is held, which says nothing of a worker on another host."""
        elsewhere = is_elsewhere(worker_lock)
        return self.alive(worker_lock) or (not elsewhere and is_held(job_lock))

    def too_long(self, worker_lock: Path) -> float | None:
        """Seconds of silence where they are too many, None while the worker may be well, or has no heartbeat (yet)."""
        file, now = heartbeat_file(worker_lock), self._clock()
        try:
            mtime = file.stat().st_mtime_ns
        except FileNotFoundError:
            self._pulses.pop(file, None)
            return None
        pulse = self._pulses.setdefault(file, _Pulse(mtime, now))
        if mtime != pulse.mtime:
            pulse.longest = max(pulse.longest, now - pulse.since)
            pulse.mtime, pulse.since = mtime, now
        silent = now - pulse.since
        return silent if silent > max(self.floor, LONGEST_PAUSES * pulse.longest) else None
