"""What launchers do alike when a worker dies, and when they give up a place whose workers cannot even start."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.files import append
from core.folder import RunFolder
from core.reading import last_text
from core.words import visible
from studies.plan import jobs_root
from studies.run_state import has_result, mark_failed
from studies.runner.deaths import note_death
from studies.runner.heartbeat import forget
from studies.runner.order import Shared, Work

EXITS_OF_A_PLACE = 3
"""Workers in a row that ended by themselves, with an error, before any of them recorded an event."""

KILLS_OF_A_PLACE = 21
"""The same, of workers that were killed: more than two jobs that kill their workers at once can bring about."""

LOG_LINES = 20
"""Of a worker's last words, kept in the log of a job that is given up."""


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


@dataclass
class Slot:
    """The place of one worker, whose process is replaced when it dies; `hung` is for how long it was silent."""

    index: int
    name: str = ""
    log: Path = field(default_factory=Path)
    hung: float | None = None
    deaths: DeathsOfPlace = field(default_factory=DeathsOfPlace)

    @property
    def number(self) -> int:
        """As people count."""
        return self.index + 1

    @property
    def said(self) -> list[str]:
        """The last lines that the worker printed."""
        return [line for line in last_text(self.log).splitlines() if line.strip()]

    @property
    def last_words(self) -> str:
        return visible(self.said[-1]) if self.said else "it printed nothing"


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
