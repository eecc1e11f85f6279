"""When to give up: a job whose workers keep dying at it, or a place whose workers cannot even start.

A worker that died says little about its job: somebody may have killed it, or the machine was short of memory. So the
job is resumed while its deaths differ or it gets further, and given up where they are the same or go on without end.
The count is in the job's folder, so that it outlives whoever counts, and is the same for every launcher.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.config import Node
from core.files import append
from core.folder import RunFolder
from core.reading import Damaged, model_of
from studies.plan import jobs_root
from studies.run_state import has_result, mark_failed, outcome_mark
from studies.runner.heartbeat import forget

if TYPE_CHECKING:
    from studies.runner.launchers import Shared, Work

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

LOG_LINES = 20
"""Of a worker's last words, kept in the log of a job that is given up."""

LOST = "was lost"
"""How a worker died of which nobody knows more."""

FILE = "deaths.json"


class Deaths(Node):
    """How the workers at one job died since it last had an outcome: `deaths.json` in its folder.

    `outcome` and `checkpoint` are the times of those files at the last death, 0 where there were none; `event` is the
    iteration and the seconds of the last recorded event then, or at the last claim. `how` and `there` are of the last
    death that says something about the point that the job had come to, `worker` is whoever died last.
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
    """Takes in what a job's record has before whoever has just claimed it adds to it."""
    before, event = _read(folder), _last_event(folder)
    if event != before.event:
        folder.write(
            FILE, Deaths(**{**dict(before), "outcome": outcome_mark(folder), "event": event}).model_dump_json()
        )


def note_death(folder: RunFolder, worker: str, how: str, *, hung: bool = False, lost: bool = False) -> Death:
    """Takes in how a worker that held the job ended: each worker once, whoever notices.

    `lost` is a worker of which nobody knows how it ended, as where its node vanished: that says nothing of the point
    that the job had come to, and counts towards `WITHOUT_CHECKPOINT` alone. A new outcome begins the count anew, so
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


def _last_event(folder: RunFolder) -> tuple[int, float] | None:
    last = folder.last_event()
    return (last.iteration, last.seconds) if last else None


def _mtime(folder: RunFolder) -> int:
    try:
        return folder.checkpoint_file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@dataclass(frozen=True)
class End:
    """How a worker ended that should not have, as its launcher saw it, and the last lines that it printed.

    One that is `lost` went with its node, which says nothing against its place either.
    """

    how: str
    killed: bool
    hung: bool = False
    lost: bool = False
    words: Sequence[str] = ()
    perhaps: str = ""

    @classmethod
    def of(cls, code: int, words: Sequence[str]) -> End:
        """Of a process that ended with this code, or by signal -`code`."""
        if code >= 0:
            return cls(f"ended with code {code}", killed=False, words=words)
        memory = "; perhaps for want of memory" if code == -signal.SIGKILL else ""
        return cls(f"was killed by {signal.Signals(-code).name}", killed=True, words=words, perhaps=memory)

    @classmethod
    def of_hang(cls, words: Sequence[str]) -> End:
        """Of a worker that was ended because its loop stood still."""
        return cls("hung", killed=True, hung=True, words=words)


def settle_death(order: Work, queue: Shared, worker: str, end: End, place: DeathsOfPlace) -> str | None:
    """Puts the job of a worker that died back into the queue, or fails it, and takes the death in at its place.

    Returns what is to be said of the worker; None where its job has failed, which is said of that.
    """
    claim, recorded = queue.held_by(worker), queue.completed_by(worker) > 0
    forget(queue.worker_lock(worker))
    if claim is None:
        if not end.lost:
            place.note(killed=end.killed, recorded=recorded)
        return f"{end.how}: {end.words[-1] if end.words else 'it printed nothing'}"
    folder = RunFolder(jobs_root(order.runs), claim.digest)
    if has_result(folder):
        queue.settle(claim)
        if not end.lost:
            place.note(killed=end.killed, recorded=True)
        return f"{end.how} when {order.called(claim)} had ended"
    death = note_death(folder, worker, end.how, hung=end.hung, lost=end.lost)
    if not end.lost:
        place.note(killed=end.killed, recorded=death.recorded or recorded)
    said = [f"its worker {end.how}: the job will be resumed"] if death.given_up is None else end.words[-LOG_LINES:]
    append(folder.log_file, "".join(f"{line}\n" for line in said))
    if death.given_up is not None:
        mark_failed(folder, death.given_up + end.perhaps)
    queue.release(claim, again=death.given_up is None)
    return f"{end.how} at {order.called(claim)}: the job will be resumed" if death.given_up is None else None
