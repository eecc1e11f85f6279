"""When to give up: a job whose workers keep dying at it, or a place whose workers cannot even start.

A worker that died says little about its job: somebody may have killed it, or the machine was short of memory. So the
job is resumed while its deaths differ or it gets further, and given up where they are the same or go on without end.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from core.folder import RunFolder
from studies.runner.tasks import last_event

ALIKE = 3
"""Deaths in a row, in the same way after the same recorded event."""

HANGS_ALIKE = 2
"""The same, of a loop that hung: finding out takes long."""

WITHOUT_CHECKPOINT = 10
"""Deaths in a row without a new checkpoint between them, however they differ."""

EXITS_OF_A_PLACE = 3
"""Workers in a row that ended by themselves, with an error, before any of them recorded an event."""

KILLS_OF_A_PLACE = 21
"""The same, of workers that were killed: more than two jobs that kill their workers at once can bring about."""


@dataclass
class _OfJob:
    event: dict[str, Any] | None = None
    there: int | None = None
    how: str = ""
    checkpoint: int = 0
    alike: int = 0
    without_checkpoint: int = 0


@dataclass(frozen=True)
class Death:
    """`recorded`: the worker had recorded an event of the job. `given_up`: the reason to fail the job, if there is."""

    recorded: bool
    given_up: str | None


@dataclass
class DeathsOfJobs:
    """How the workers at each job died, as far as one launcher saw it."""

    jobs: defaultdict[str, _OfJob] = field(default_factory=lambda: defaultdict(_OfJob))

    def note(self, folder: RunFolder, how: str, *, hung: bool) -> Death:
        """Takes in how a worker that held the job ended."""
        job = self.jobs[folder.digest]
        event, checkpoint = last_event(folder), _mtime(folder)
        # An attempt that recorded nothing left the last line of the one before, with its seconds.
        recorded = event is not None and event != job.event
        there = event["iteration"] if event else 0
        if recorded or hung:
            job.alike = job.alike + 1 if (how, there) == (job.how, job.there) else 1
            job.how, job.there = how, there
        if checkpoint != job.checkpoint:
            job.without_checkpoint = 0
        job.without_checkpoint += 1
        job.event, job.checkpoint = event, checkpoint
        reason = None
        if (recorded or hung) and job.alike >= (HANGS_ALIKE if hung else ALIKE):
            reason = f"its worker {how}, {job.alike} times in a row after iteration {there}"
        elif job.without_checkpoint >= WITHOUT_CHECKPOINT:
            reason = f"its worker {how}, the last of {job.without_checkpoint} deaths in a row without a checkpoint"
        return Death(recorded, reason)


@dataclass
class DeathsOfPlace:
    """Workers that died in one place, one after the other, before any of them recorded an event."""

    exits: int = 0
    kills: int = 0

    def note(self, *, killed: bool, recorded: bool) -> None:
        """Takes in a death; `recorded` says whether its worker had recorded anything."""
        if recorded:
            self.exits = self.kills = 0
        elif killed:
            self.kills += 1
        else:
            self.exits += 1

    @property
    def given_up(self) -> bool:
        """Whether no worker should be started here any more."""
        return self.exits >= EXITS_OF_A_PLACE or self.kills >= KILLS_OF_A_PLACE


def _mtime(folder: RunFolder) -> int:
    try:
        return folder.checkpoint_file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
