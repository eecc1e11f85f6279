"""On this machine: persistent worker processes, one thread each on CPU cores, or one process per GPU."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import InputError
from studies.runner.deaths import DeathsOfPlace, End, settle_death
from studies.runner.environment import share_of_machine
from studies.runner.heartbeat import Silence, heartbeat_file
from studies.runner.launchers import Shared, Work, WorkersLost
from studies.runner.stores import Unreachable

POLL_SECONDS = 0.2
LOOK_SECONDS = 1.0
ORPHANS_SECONDS = 10.0


@dataclass
class _Slot:
    """The place of one worker; the process in it is replaced when it dies."""

    index: int
    process: subprocess.Popen[bytes] | None = None
    name: str = ""
    log: Path = field(default_factory=Path)
    hung: float | None = None
    deaths: DeathsOfPlace = field(default_factory=DeathsOfPlace)

    @property
    def said(self) -> list[str]:
        if not self.log.exists():
            return []
        return [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]

    @property
    def last_words(self) -> str:
        return self.said[-1] if self.said else "it printed nothing"

    def remove_empty_log(self) -> None:
        if self.log.stat().st_size == 0:
            self.log.unlink()


class Local:
    """Starts as many workers as the order asks for and as jobs wait for, and replaces those that die.

    A worker whose loop hangs is killed (`studies.runner.heartbeat`). A job whose worker died goes back into the queue
    and is resumed, until its deaths are alike or without end (`studies.runner.deaths`): then it has failed. A slot
    whose workers cannot start stays empty.
    """

    def run(
        self, order: Work, *, stop: Callable[[], bool], tick: Callable[[], None], say: Callable[[str], None]
    ) -> None:
        """See `studies.runner.launchers.Launcher`."""
        crew = _Crew(order, say)
        looked = orphans = float("-inf")
        asked = False
        try:
            while True:
                tick()
                crew.listen()
                crew.reap()
                now = time.monotonic()
                if stop():
                    if not asked:
                        crew.signal(signal.SIGTERM)
                        asked = True
                    if not crew.alive:
                        return
                elif now - looked >= LOOK_SECONDS or not crew.alive:
                    looked = now
                    try:
                        if now - orphans >= ORPHANS_SECONDS:
                            orphans = now
                            crew.queue.release_orphans()
                        if not crew.fill():
                            return
                    except Unreachable:
                        # Asked to stop while the queue is gone: workers are told, and write their checkpoints.
                        if not stop():
                            raise
                time.sleep(POLL_SECONDS)
        finally:
            crew.kill()


class _Crew:
    def __init__(self, order: Work, say: Callable[[str], None]) -> None:
        self.order, self.say = order, say
        self.queue: Shared = order.queue()
        self.id = uuid.uuid4().hex[:8]
        self.file = order.write(self.id)
        self.slots = [_Slot(index) for index in range(order.workers)]
        self.silence = Silence(order.hang_seconds)
        self.started = 0

    @property
    def alive(self) -> list[_Slot]:
        return [slot for slot in self.slots if slot.process is not None]

    def fill(self) -> bool:
        """Starts workers for jobs that wait beyond what idle workers will claim. False when all has ended."""
        waiting = len(self.queue.waiting(self.order.digests))
        running = self.queue.running(self.order.digests)
        if not waiting and not running and not self.alive:
            return False
        idle = sum(self.queue.held_by(slot.name) is None for slot in self.alive)
        usable = [slot for slot in self.slots if slot.process is None and not slot.deaths.given_up]
        if waiting and not usable and not self.alive:
            raise WorkersLost(f"workers keep dying, the log is {self.slots[0].log}: {self.slots[0].last_words}")
        for slot in usable[: max(0, waiting - idle)]:
            self.start(slot)
        return True

    def start(self, slot: _Slot) -> None:
        self.started += 1
        slot.name = f"{self.id}-{self.started}"
        logs = self.order.runs / "queue" / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        slot.log, slot.hung = logs / f"{slot.name}.txt", None
        with slot.log.open("wb") as log:
            slot.process = subprocess.Popen(
                [sys.executable, "-m", self.order.module, str(self.file), slot.name, "--follow-parent"],
                env=share_of_machine(slot.index, threads=self.order.threads, gpus=self.order.gpus),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # A terminal's Ctrl-C is the parent's to pass on.
            )

    def listen(self) -> None:
        """Kills workers whose loops hang."""
        for slot in self.alive:
            assert slot.process is not None
            if slot.hung is None and (silent := self.silence.too_long(self.queue.worker_lock(slot.name))) is not None:
                slot.hung = silent
                slot.process.kill()

    def reap(self) -> None:
        """Looks after workers that ended. Raises InputError where one found the input unusable."""
        for slot in self.alive:
            assert slot.process is not None
            code = slot.process.poll()
            if code is None:
                continue
            assert slot.process.stdin is not None
            slot.process.stdin.close()
            slot.process = None
            if code == 2:
                raise InputError(slot.last_words)
            if code != 0:
                self.mourn(slot, code)
            slot.remove_empty_log()

    def mourn(self, slot: _Slot, code: int) -> None:
        end = End.of(code, slot.said)
        if slot.hung is not None:
            end = End("hung", killed=True, hung=True, words=slot.said)
            self.say(f"worker {slot.index + 1} was silent for {slot.hung:.0f} s: it was ended")
        if (told := settle_death(self.order, self.queue, slot.name, end, slot.deaths)) is not None:
            self.say(f"worker {slot.index + 1} {told}")

    def forget(self, slot: _Slot) -> None:
        lock = self.queue.worker_lock(slot.name)
        lock.unlink(missing_ok=True)
        heartbeat_file(lock).unlink(missing_ok=True)

    def signal(self, number: signal.Signals) -> None:
        for slot in self.alive:
            assert slot.process is not None
            slot.process.send_signal(number)

    def kill(self) -> None:
        """No worker outlives the launcher, whatever ended it."""
        self.signal(signal.SIGKILL)
        killed = self.alive
        for slot in killed:
            assert slot.process is not None
            assert slot.process.stdin is not None
            slot.process.wait()
            slot.process.stdin.close()
            slot.process = None
            self.forget(slot)
            slot.remove_empty_log()
        with suppress(Unreachable):  # Whoever reaches the queue next finds them.
            for slot in killed:
                # Not lost: it says nothing of the job.
                if (claim := self.queue.held_by(slot.name)) is not None:
                    self.queue.release(claim, again=True)
        self.file.unlink(missing_ok=True)
