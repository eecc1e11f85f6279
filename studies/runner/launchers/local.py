"""On this machine: persistent worker processes, one thread each on CPU cores, or one or more per GPU."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from core.errors import InputError
from core.files import append, emptied, make_folder
from core.folder import RunFolder
from core.processes import python
from studies.plan import jobs_root
from studies.run_state import mark_failed
from studies.runner.environment import share_of_machine
from studies.runner.heartbeat import Silence, forget
from studies.runner.launchers.crew import End, Slot, settle_death
from studies.runner.order import NO_ROOM, Shared, Work, WorkersLost
from studies.runner.sharing import Sharing
from studies.runner.stores import Unreachable

POLL_SECONDS = 0.2
LOOK_SECONDS = 1.0
ORPHANS_SECONDS = 10.0


@dataclass
class _Slot(Slot):
    """`gpu` is the place of its GPU in the order, which its process has had to itself unless it had `company`. `job` is
    the digest of the one that it was last seen to hold.
    """

    gpu: int | None = None
    company: bool = False
    job: str | None = None
    process: subprocess.Popen[bytes] | None = None

    def remove_empty_log(self) -> None:
        if self.log.stat().st_size == 0:
            self.log.unlink()


class Local:
    """Starts as many workers as the order asks for and as jobs wait for, and replaces those that die.

    A worker whose loop hangs is killed (`studies.runner.heartbeat`). A job whose worker died goes back into the queue
    and is resumed, until its deaths are alike or without end (`studies.runner.deaths`): then it has failed. A slot
    whose workers cannot start stays empty.

    Workers that share a GPU are as many as `studies.runner.sharing` allows. One that finds no memory left there has its
    job put back, and the GPU gets fewer workers: only a job that had the GPU to itself fails for want of memory.
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
                now = time.monotonic()
                try:
                    crew.reap()
                    if not stop() and (now - looked >= LOOK_SECONDS or not crew.alive):
                        looked = now
                        if now - orphans >= ORPHANS_SECONDS:
                            orphans = now
                            crew.queue.release_orphans()
                        if not crew.fill():
                            return
                except Unreachable:
                    # Asked to stop while the queue is gone: workers are told, and write their checkpoints.
                    if not stop():
                        raise
                if stop():
                    if not asked:
                        crew.signal(signal.SIGTERM)
                        asked = True
                    if not crew.alive:
                        return
                time.sleep(POLL_SECONDS)
        finally:
            crew.kill()


class _Crew:
    def __init__(self, order: Work, say: Callable[[str], None]) -> None:
        self.order, self.say = order, say
        self.queue: Shared = order.queue()
        self.id = uuid.uuid4().hex[:8]
        self.file = order.write(self.id)
        most, gpus = order.most_workers or order.workers, len(order.gpus)
        self.slots = [_Slot(index, gpu=index % gpus if gpus else None) for index in range(most)]
        self.sharing = Sharing(gpus, most, measures=order.most_workers is not None) if order.shares_gpus else None
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
        claims = [(slot, self.queue.held_by(slot.name)) for slot in self.alive]
        idle = sum(claim is None for _, claim in claims)
        if self.sharing is not None:
            for slot, claim in claims:
                self.measure(slot, self.sharing, claim.digest if claim else None)
        usable = [slot for slot in self.slots if slot.process is None and not slot.deaths.given_up]
        if waiting and not usable and not self.alive:
            raise WorkersLost(f"workers keep dying, the log is {self.slots[0].log}: {self.slots[0].last_words}")
        wanted = max(0, waiting - idle)
        for slot in usable:
            if wanted and self.has_room(slot):
                self.start(slot)
                wanted -= 1
        return True

    def has_room(self, slot: _Slot) -> bool:
        if self.sharing is None or slot.gpu is None:
            return True
        return len(self.beside(slot)) < self.sharing.allowed(slot.gpu)

    def beside(self, slot: _Slot) -> list[_Slot]:
        """The others with a worker at the same GPU."""
        return [other for other in self.alive if other.gpu == slot.gpu and other is not slot]

    def measure(self, slot: _Slot, sharing: Sharing, digest: str | None) -> None:
        """What the worker's process took for the job that it holds, and for the one it has ended meanwhile."""
        assert slot.gpu is not None and slot.process is not None
        before = sharing.allowed(slot.gpu)
        for job in {slot.job, digest} - {None}:
            taken = RunFolder(jobs_root(self.order.runs), str(job)).memory()
            if taken is not None and taken.process == slot.process.pid:
                sharing.saw(slot.gpu, taken, alone=not slot.company)
        slot.job = digest
        allowed, fit = sharing.allowed(slot.gpu), sharing.fit(slot.gpu)
        if sharing.measures and fit is not None and allowed != before:
            gib = f"{fit.each / 2**30:.1f} of {fit.total / 2**30:.1f} GiB"
            self.say(f"GPU {self.order.gpus[slot.gpu]}: a worker takes up to {gib}, so {allowed} may share it")

    def start(self, slot: _Slot) -> None:
        self.started += 1
        slot.name = f"{self.id}-{self.started}"
        logs = self.order.runs / "queue" / "logs"
        make_folder(logs)
        slot.job = None
        if slot.gpu is not None:
            others = self.beside(slot)
            slot.company = bool(others)
            for other in others:
                other.company = True
        slot.log, slot.hung = logs / f"{slot.name}.txt", None
        with emptied(slot.log) as log:
            slot.process = subprocess.Popen(
                python(self.order.module, str(self.file), slot.name, "--follow-parent"),
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
            end = End.of_hang(slot.said)
            self.say(f"worker {slot.number} was silent for {slot.hung:.0f} s: it was ended")
        if code == NO_ROOM and slot.hung is None:
            self.find_room(slot)
        elif (told := settle_death(self.order, self.queue, slot.name, end, slot.deaths)) is not None:
            self.say(f"worker {slot.number} {told}")

    def find_room(self, slot: _Slot) -> None:
        """After the worker ran out of its GPU's memory: fewer workers there, or, with nobody beside, a failed job."""
        assert self.sharing is not None and slot.gpu is not None
        # None where an observer of lost workers has put the job back already.
        claim = self.queue.held_by(slot.name)
        forget(self.queue.worker_lock(slot.name))
        called = "a job" if claim is None else self.order.called(claim)
        folder = None if claim is None else RunFolder(jobs_root(self.order.runs), claim.digest)
        if not slot.company:
            if claim is not None and folder is not None:
                mark_failed(folder, slot.last_words)
                self.queue.release(claim, again=False)
            return
        workers = len(self.beside(slot)) + 1
        left = self.sharing.ran_out(slot.gpu, workers)
        gpu, many = self.order.gpus[slot.gpu], f"at most {left} worker{'s' * (left > 1)}"
        self.say(
            f"out of memory of GPU {gpu}, shared by {workers}, at {called}: {many} there now, the job will be resumed"
        )
        if claim is not None and folder is not None:
            append(folder.log_file, f"no memory left on GPU {gpu}, which others used too: the job will be resumed\n")
            self.queue.release(claim, again=True)

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
            forget(self.queue.worker_lock(slot.name))
            slot.remove_empty_log()
        with suppress(Unreachable):  # Whoever reaches the queue next finds them.
            for slot in killed:
                # Not lost: it says nothing of the job.
                if (claim := self.queue.held_by(slot.name)) is not None:
                    self.queue.release(claim, again=True)
        self.file.unlink(missing_ok=True)
