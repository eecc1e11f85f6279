"""The rules of every launcher: how many workers there are, and what becomes of those that hang, die or are to stop.

`Crew` has what holds wherever workers are, `OwnCrew` what holds for workers that end with the command.
"""

from __future__ import annotations

import signal
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from core.command_line import BAD_INPUT
from core.errors import InputError
from core.files import append, make_folder
from core.folder import RunFolder
from core.reading import last_text
from core.words import visible
from studies.plan import jobs_root
from studies.run_state import has_result, mark_failed
from studies.runner.deaths import note_death
from studies.runner.heartbeat import Silence, presume_dead
from studies.runner.order import NO_ROOM, TrainingOrder, WorkersLost
from studies.runner.outages import Unreachable

if TYPE_CHECKING:
    from studies.runner.claim import Claim

TICK_SECONDS = 0.2
ORPHANS_SECONDS = 10.0

EXITS_OF_A_PLACE = 3
"""Workers in a row that ended by themselves, with an error, before any of them recorded an event."""

KILLS_OF_A_PLACE = 21
"""The same, of workers that were killed: more than two jobs that kill their workers at once can bring about."""

LOG_LINES = 20
"""Of a worker's last words, kept in the log of a job that is given up."""


@dataclass
class Streak:
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


@dataclass(frozen=True)
class End:
    """How a worker ended that should not have, as its launcher saw it, and the last lines that it printed.

    One that is `lost` went with its node, which says nothing against its place either. `reason` is what the launcher
    was told of it, in place of the worker's log.
    """

    how: str
    killed: bool
    hung: bool = False
    lost: bool = False
    words: Sequence[str] = ()
    perhaps: str = ""
    reason: str = ""

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


class Crew(ABC):
    """The workers of one order."""

    look_seconds = 1.0
    """How often the queue is asked."""

    def __init__(self, order: TrainingOrder, say: Callable[[str], None]) -> None:
        self.order, self.say = order, say
        self.queue = order.queue()
        self.silence = Silence(order.hang_seconds)
        self.last_death = ""
        self._orphans = float("-inf")

    def run(self, *, stop: Callable[[], bool], tick: Callable[[], None]) -> None:
        """See `studies.runner.launchers.launch`."""
        looked = float("-inf")
        try:
            while True:
                tick()
                try:
                    self.take_in()
                    now = time.monotonic()
                    if not stop() and (now - looked >= self.look_seconds or self.is_empty):
                        looked = now
                        if not self.look():
                            return
                except Unreachable:
                    # Asked to stop while the queue is gone: workers are told, and write their checkpoints.
                    if not stop():
                        raise
                if stop() and self.has_stopped():
                    return
                time.sleep(TICK_SECONDS)
        finally:
            self.close()

    @property
    def is_empty(self) -> bool:
        """Whether it has no worker, so that the queue is asked at once."""
        return False

    @abstractmethod
    def take_in(self) -> None:
        """Takes in what happened to workers since the last time. Raises InputError where one found the input
        unusable."""

    @abstractmethod
    def look(self) -> bool:
        """Asks the queue and starts workers that are missing. False when all jobs have ended."""

    @abstractmethod
    def has_stopped(self) -> bool:
        """Asks the workers to stop, once; whether the command has to wait for them no longer."""

    @abstractmethod
    def close(self) -> None:
        """Removes what the command leaves behind, whatever ended it."""

    @property
    def orphans_due(self) -> bool:
        """Whether it is time to look for jobs without a worker."""
        return time.monotonic() - self._orphans >= ORPHANS_SECONDS

    def release_orphans(self) -> None:
        """Has the queue put back jobs without a worker, once in a while."""
        if self.orphans_due:
            self._orphans = time.monotonic()
            self.queue.release_orphans()

    def release_lost(self, worker: str, end: End, streak: Streak) -> str | None:
        """Puts the job of a worker that died back into the queue, or fails it, and takes the death in at its place.

        Returns what is to be said of the worker; None where its job has failed, which is said of that.
        """
        order, queue = self.order, self.queue
        claim, recorded = queue.held_by(worker), queue.completed_by(worker) > 0
        presume_dead(queue.worker_lock(worker))
        if claim is None:
            if not end.lost:
                streak.note(killed=end.killed, recorded=recorded)
            return f"{end.how}: {end.words[-1] if end.words else 'it printed nothing'}"
        folder = self.folder_of(claim.digest)
        if has_result(folder):
            queue.settle(claim)
            if not end.lost:
                streak.note(killed=end.killed, recorded=True)
            return f"{end.how} when {order.called(claim)} had ended"
        death = note_death(folder, worker, end.how, hung=end.hung, lost=end.lost)
        if not end.lost:
            streak.note(killed=end.killed, recorded=death.recorded or recorded)
        if death.given_up is None:
            append(folder.log_file, f"its worker {end.how}: the job will be resumed\n")
            queue.release(claim, again=True)
            return f"{end.how} at {order.called(claim)}: the job will be resumed"
        append(folder.log_file, "".join(f"{line}\n" for line in end.words[-LOG_LINES:]))
        mark_failed(folder, death.given_up + end.perhaps)
        queue.release(claim, again=False)
        return None

    def folder_of(self, digest: str) -> RunFolder:
        """Where a job is trained."""
        return RunFolder(jobs_root(self.order.runs), digest)


@dataclass
class Slot:
    """The place of one worker, whose process is replaced when it dies.

    A worker `starts` while it waits for room on some node. It is `lost` where it can be asked no longer how it stands,
    but may still write its checkpoint. `hung` are the seconds of its silence, `streak` the deaths of its place.
    """

    index: int
    state: Literal["empty", "starts", "works", "lost"] = "empty"
    name: str = ""
    log: Path = field(default_factory=Path)
    hung: float | None = None
    streak: Streak = field(default_factory=Streak)

    @property
    def number(self) -> int:
        """As people count."""
        return self.index + 1

    @property
    def lines(self) -> list[str]:
        """The last lines that the worker printed."""
        return [line for line in last_text(self.log).splitlines() if line.strip()]

    @property
    def last_words(self) -> str:
        """The last one of them."""
        return visible(lines[-1]) if (lines := self.lines) else "it printed nothing"

    def remove_empty_log(self) -> None:
        """A worker that said nothing leaves no file."""
        with suppress(FileNotFoundError):
            if self.name and self.log.stat().st_size == 0:
                self.log.unlink()


S = TypeVar("S", bound=Slot)


class OwnCrew(Crew, Generic[S]):
    """Workers that end with the command, each in its slot; how they are started and ended is for the launcher to say.

    Those that die are replaced. A worker whose loop hangs is killed (`studies.runner.heartbeat`). A job whose worker
    died goes back into the queue and is resumed, until its deaths are alike or without end (`studies.runner.deaths`):
    then it has failed. A slot whose workers cannot start stays empty.
    """

    def __init__(self, order: TrainingOrder, say: Callable[[str], None], slots: Sequence[S]) -> None:
        super().__init__(order, say)
        self.slots = slots
        self.id = uuid.uuid4().hex[:8]
        self.file = order.write(self.id)
        self._started = 0
        self._asked_to_stop = False

    # --- what a launcher says -----------------------------------------------------------------------------------------

    @abstractmethod
    def start(self, slot: S) -> None:
        """Starts the worker `slot.name`, which prints into `slot.log`; sets the slot's state."""

    @abstractmethod
    def ends(self) -> Iterable[tuple[S, int | End]]:
        """Workers that have ended since the last time, each with its exit code (-N of signal N), or how it ended."""

    @abstractmethod
    def kill(self, slot: S) -> None:
        """Ends a worker at once; `ends` tells when it has ended."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Has all workers write their checkpoints and end."""

    @abstractmethod
    def kill_all(self) -> Sequence[S]:
        """Ends all workers; those of which it is certain that they have ended."""

    def out_of_memory(self, slot: S) -> End | None:
        """How a worker ended that found no memory left on its GPU; None where its job has been looked after."""
        return End("found no memory left on its part of a GPU", killed=True, words=slot.lines)

    def measure(self, slot: S, claim: Claim | None) -> None:
        """Takes in what a worker needs, and which job it holds."""

    def has_room(self, slot: S) -> bool:
        """Whether a worker may be started there."""
        return True

    # --- the rules ----------------------------------------------------------------------------------------------------

    @property
    def alive(self) -> list[S]:
        """Slots whose worker can be asked how it stands, or waits for room."""
        return [slot for slot in self.slots if slot.state in ("starts", "works")]

    @property
    def is_empty(self) -> bool:
        """See `Crew`."""
        return all(slot.state == "empty" for slot in self.slots)

    def take_in(self) -> None:
        """See `Crew`."""
        for slot in self.alive:
            silent = None if slot.hung is not None else self.silence.too_long(self.queue.worker_lock(slot.name))
            if silent is not None:
                slot.hung = silent
                self.kill(slot)
        for slot, end in self.ends():
            slot.state = "empty"
            if end == BAD_INPUT:
                raise InputError(slot.last_words)
            if end != 0:
                self.on_death(slot, end)
            slot.remove_empty_log()

    def on_death(self, slot: S, end: int | End) -> None:
        """Looks after the job of a worker that died."""
        seen = end if isinstance(end, End) else End.of(end, slot.lines)
        self.last_death = seen.reason or f"the log is {slot.log}: {slot.last_words}"
        known: End | None = seen
        if slot.hung is not None and isinstance(end, int):
            known = End.of_hang(slot.lines)
            self.say(f"worker {slot.number} was silent for {slot.hung:.0f} s: it was ended")
        elif end == NO_ROOM:
            known = self.out_of_memory(slot)
        if known is not None and (line := self.release_lost(slot.name, known, slot.streak)) is not None:
            self.say(f"worker {slot.number} {line}")

    def look(self) -> bool:
        """See `Crew`."""
        # A worker that left its lock has died: its end is taken in first, by which its job's deaths are counted.
        if self.orphans_due:
            locks = [self.queue.worker_lock(slot.name) for slot in self.slots if slot.state == "works"]
            if all(self.silence.alive(lock) for lock in locks if lock.exists()):
                self.release_orphans()
        return self.fill()

    def fill(self) -> bool:
        """Starts workers for jobs that wait beyond what idle workers will claim. False when all has ended."""
        waiting = len(self.queue.waiting(self.order.digests))
        busy = any(slot.state in ("works", "lost") for slot in self.slots)
        if not waiting and not busy and not self.queue.running(self.order.digests):
            return False
        idle = 0
        for slot in self.alive:
            claim = self.queue.held_by(slot.name)
            idle += claim is None
            self.measure(slot, claim)
        usable = [slot for slot in self.slots if slot.state == "empty" and not slot.streak.given_up]
        if waiting and not usable and not busy and not self.alive:
            raise WorkersLost(f"workers keep dying, {self.last_death}")
        missing = max(0, waiting - idle)
        for slot in usable:
            if missing and self.has_room(slot):
                self._start(slot)
                missing -= 1
        return True

    def _start(self, slot: S) -> None:
        self._started += 1
        logs = self.order.runs / "queue" / "logs"
        make_folder(logs)
        slot.name, slot.hung = f"{self.id}-{self._started}", None
        slot.log = logs / f"{slot.name}.txt"
        self.start(slot)

    def has_stopped(self) -> bool:
        """See `Crew`."""
        if not self._asked_to_stop:
            self._asked_to_stop = True
            self.ask_to_stop()
        return not self.alive

    def close(self) -> None:
        """No worker outlives the command, whatever ended it."""
        ended = self.kill_all()
        for slot in ended:
            presume_dead(self.queue.worker_lock(slot.name))
        with suppress(Unreachable):  # The next one to reach the queue finds them.
            for slot in ended:
                # Not as one that was lost: it says nothing of the job.
                if (claim := self.queue.held_by(slot.name)) is not None:
                    self.queue.release(claim, again=True)
        for slot in self.slots:
            slot.remove_empty_log()
        self.file.unlink(missing_ok=True)
