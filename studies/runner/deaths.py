"""When to give up a job whose workers keep dying at it.

A worker that died says little about its job: somebody may have killed it, or the machine was short of memory. So the
job is resumed while its deaths differ or it gets further, and given up where they are the same or go on without end.
The count is in the job's folder, so that it outlives the command, and is the same for every launcher.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.config import Node
from core.folder import RunFolder
from core.reading import Damaged, model_of
from studies.run_state import outcome_mark

ALIKE = 3
"""Deaths in a row, in the same way after the same recorded event."""

HANGS_ALIKE = 2
"""The same, of a loop that hung: finding out takes long."""

WITHOUT_CHECKPOINT = 10
"""Deaths in a row without a new checkpoint between them, however they differ."""

LOST = "was lost"
"""How a worker died whose end no launcher saw."""

FILE = "deaths.json"


class Deaths(Node):
    """How the workers at one job died since it last had an outcome: `deaths.json` in its folder.

    `outcome` and `checkpoint` are the times of those files at the last death, 0 where there were none; `event` is the
    iteration and the seconds of the last recorded event then, or at the last claim. `how` and `there` are of the last
    death that says something about the point that the job had come to, `worker` is the one that died last.
    """

    outcome: int = 0
    worker: str = ""
    event: tuple[int, float] | None = None
    there: int | None = None
    how: str = ""
    checkpoint: int = 0
    alike: int = 0
    without_checkpoint: int = 0
    given_up: str | None = None


@dataclass(frozen=True)
class Death:
    """`recorded`: the worker had recorded an event of the job. `given_up`: the reason to fail the job, if there is."""

    recorded: bool
    given_up: str | None


def note_claim(folder: RunFolder) -> None:
    """Takes in the last event of a job's record before a worker that has just claimed it adds to it."""
    before, event = _read(folder), _last_event(folder)
    if event != before.event:
        folder.write(FILE, before.replace(outcome=outcome_mark(folder), event=event).model_dump_json())


def note_death(folder: RunFolder, worker: str, how: str, *, hung: bool = False, lost: bool = False) -> Death:
    """Takes in how a worker that held the job ended: each worker once, whichever command notices.

    `lost` is a worker whose end no launcher saw, as where its node vanished: that says nothing of the point that the
    job had come to, and counts towards `WITHOUT_CHECKPOINT` alone. A new outcome begins the count anew, so
    that a job that is tried once more after it was given up has all its chances.
    """
    before = _read(folder)
    if before.worker == worker:
        return Death(recorded=False, given_up=before.given_up)
    event, checkpoint = _last_event(folder), _mtime(folder)
    # An attempt that recorded nothing left the last line of the one before, with its seconds.
    recorded = event is not None and event != before.event
    there = event[0] if event else 0
    telling = hung or (recorded and not lost)
    alike = before.alike
    if telling:
        alike = alike + 1 if (how, there) == (before.how, before.there) else 1
    without_checkpoint = before.without_checkpoint + 1 if checkpoint == before.checkpoint else 1
    given_up = None
    if telling and alike >= (HANGS_ALIKE if hung else ALIKE):
        given_up = f"its worker {how}, {alike} times in a row after iteration {there}"
    elif without_checkpoint >= WITHOUT_CHECKPOINT:
        given_up = f"its worker {how}, the last of {without_checkpoint} deaths in a row without a checkpoint"
    deaths = Deaths(
        outcome=outcome_mark(folder),
        worker=worker,
        event=event,
        there=there if telling else before.there,
        how=how if telling else before.how,
        checkpoint=checkpoint,
        alike=alike,
        without_checkpoint=without_checkpoint,
        given_up=given_up,
    )
    folder.write(FILE, deaths.model_dump_json() + "\n")
    return Death(recorded, given_up)


def _read(folder: RunFolder) -> Deaths:
    try:
        deaths = model_of(folder.path / FILE, Deaths, folder.remedy)
    except (FileNotFoundError, Damaged):
        return Deaths()
    return deaths if deaths.outcome == outcome_mark(folder) else Deaths()


def _last_event(folder: RunFolder) -> tuple[int, float] | None:
    last = folder.last_event()
    return (last.iteration, last.seconds) if last else None


def _mtime(folder: RunFolder) -> int:
    try:
        return folder.checkpoint_file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
