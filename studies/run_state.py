"""How a run stands, read from its folder: which state it is in, whether it has its result, and which value that is."""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from core.events import Evaluated
from core.files import append, handle_of
from core.folder import Outcome, RunFolder
from core.reading import last_text

State = Literal["new", "interrupted", "running", "finished", "diverged", "failed"]


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


def state_of(folder: RunFolder, running: Collection[str] | None = None) -> State:
    """How a job stands. `running` are the digests known to be in training; without it the folder's lock is asked."""
    if running is not None and folder.digest in running:
        return "running"
    outcome = folder.outcome()
    if outcome is not None:
        return outcome.status
    if not (folder.path / "job.json").exists():
        return "new"
    return "running" if running is None and is_held(folder.lock_file) else "interrupted"


def has_result(folder: RunFolder) -> bool:
    """Whether the job has finished or diverged, which nothing that happens afterwards changes."""
    outcome = folder.outcome()
    return outcome is not None and outcome.status != "failed"


def to_train(state: State, retry_failed: bool) -> bool:
    """Whether a job that stands so is (still) to be trained."""
    return state in ("new", "interrupted", "running") or (state == "failed" and retry_failed)


def outcome_mark(folder: RunFolder) -> int:
    """Differs between two outcomes of one folder; 0 while there is none."""
    try:
        return (folder.path / "outcome.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def final_value(folder: RunFolder) -> float | None:
    """The last value of the metric that the job is about, the first it measures; None where it measured nothing.

    Infinite where it was not finite. Raises Damaged.
    """
    measured = [event for event in folder.each_event(b'"evaluated"') if isinstance(event, Evaluated)]
    mine = [event.value for event in measured if event.metric == measured[0].metric]
    if not mine:
        return None
    return mine[-1] if math.isfinite(mine[-1]) else math.inf


def log_tail(folder: RunFolder, lines: int = 6) -> list[str]:
    """The last lines of what the job printed, where a failure left its traceback."""
    return [line for line in last_text(folder.log_file, 20_000).splitlines() if line.strip()][-lines:]


def mark_failed(folder: RunFolder, reason: str) -> None:
    """Records a failure that the job itself could not record: its process was killed, or could not write.

    A result stays: a worker may die after its job has ended.
    """
    if has_result(folder):
        return
    last = folder.last_event()
    seconds = last.seconds if last else 0.0
    before = folder.outcome()
    outcome = Outcome(
        status="failed",
        iteration=last.iteration if last else 0,
        reason=reason,
        seconds=seconds,
        evaluation_seconds=before.evaluation_seconds if before else 0.0,
        job_seconds=before.job_seconds if before else seconds,
        attempts=before.attempts + 1 if before else 1,
    )
    folder.write("outcome.json", outcome.model_dump_json(indent=1) + "\n")
    append(folder.log_file, f"{reason}\n")
