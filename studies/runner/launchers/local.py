"""On this machine: persistent worker processes, one thread each on CPU cores, or one or more per GPU."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.files import append, emptied
from core.processes import python
from studies.run_state import mark_failed
from studies.runner.environment import share_of_machine
from studies.runner.heartbeat import presume_dead
from studies.runner.launchers.crew import End, OwnCrew, Slot
from studies.runner.order import TrainingOrder
from studies.runner.sharing import Sharing

if TYPE_CHECKING:
    from studies.runner.claim import Claim


@dataclass
class LocalSlot(Slot):
    """`gpu` is the place of its GPU in the order, which its process has had to itself unless it had `company`. `job` is
    the digest of the one that it was last seen to hold.
    """

    gpu: int | None = None
    company: bool = False
    job: str | None = None
    process: subprocess.Popen[bytes] | None = None


class LocalCrew(OwnCrew[LocalSlot]):
    """Processes of this machine, which follow this one: their input ends with it.

    Workers that share a GPU are as many as `studies.runner.sharing` allows. One that finds no memory left there has its
    job put back, and the GPU gets fewer workers: only a job that had the GPU to itself fails for want of memory.
    """

    def __init__(self, order: TrainingOrder, say: Callable[[str], None]) -> None:
        most, gpus = order.most_workers or order.workers, len(order.gpus)
        super().__init__(order, say, [LocalSlot(index, gpu=index % gpus if gpus else None) for index in range(most)])
        self.sharing = Sharing(gpus, most, measures=order.most_workers is not None) if order.shares_gpus else None

    def start(self, slot: LocalSlot) -> None:
        """See `OwnCrew`."""
        others = self.beside(slot)
        slot.job, slot.company = None, bool(others)
        for other in others:
            other.company = True
        with emptied(slot.log) as log:
            slot.process = subprocess.Popen(
                python(self.order.module, str(self.file), slot.name, "--follow-parent"),
                env=share_of_machine(slot.index, threads=self.order.threads, gpus=self.order.gpus),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # A terminal's Ctrl-C is the parent's to pass on.
            )
        slot.state = "works"

    def ends(self) -> Iterator[tuple[LocalSlot, int]]:
        """See `OwnCrew`."""
        for slot in self.alive:
            assert slot.process is not None
            if slot.process.poll() is not None:
                yield slot, self._ended(slot)

    def kill(self, slot: LocalSlot) -> None:
        """See `OwnCrew`."""
        assert slot.process is not None
        slot.process.kill()

    def ask_to_stop(self) -> None:
        """See `OwnCrew`."""
        self._signal(signal.SIGTERM)

    def kill_all(self) -> list[LocalSlot]:
        """See `OwnCrew`."""
        self._signal(signal.SIGKILL)
        killed = self.alive
        for slot in killed:
            self._ended(slot)
        return killed

    def _signal(self, number: signal.Signals) -> None:
        for slot in self.alive:
            assert slot.process is not None
            slot.process.send_signal(number)

    def _ended(self, slot: LocalSlot) -> int:
        """The exit code of a process that ends; nothing is left of it."""
        process, slot.process = slot.process, None
        assert process is not None and process.stdin is not None
        code = process.wait()
        process.stdin.close()
        return code

    # --- GPUs ---------------------------------------------------------------------------------------------------------

    def beside(self, slot: LocalSlot) -> list[LocalSlot]:
        """The others with a worker at the same GPU."""
        if slot.gpu is None:
            return []
        return [other for other in self.alive if other.gpu == slot.gpu and other is not slot]

    def has_room(self, slot: LocalSlot) -> bool:
        """See `OwnCrew`."""
        if self.sharing is None or slot.gpu is None:
            return True
        return len(self.beside(slot)) < self.sharing.allowed(slot.gpu)

    def measure(self, slot: LocalSlot, claim: Claim | None) -> None:
        """Takes in the memory of the job that the worker holds, and of the one it has ended meanwhile."""
        if self.sharing is None or slot.gpu is None:
            return
        assert slot.process is not None
        before = self.sharing.allowed(slot.gpu)
        digest = claim.digest if claim else None
        for job in {slot.job, digest} - {None}:
            memory = self.folder_of(str(job)).memory()
            if memory is not None and memory.process == slot.process.pid:
                self.sharing.saw(slot.gpu, memory, alone=not slot.company)
        slot.job = digest
        allowed, fit = self.sharing.allowed(slot.gpu), self.sharing.fit(slot.gpu)
        if self.sharing.measures and fit is not None and allowed != before:
            gib = f"{fit.each / 2**30:.1f} of {fit.total / 2**30:.1f} GiB"
            self.say(f"GPU {self.order.gpus[slot.gpu]}: a worker takes up to {gib}, so {allowed} may share it")

    def out_of_memory(self, slot: LocalSlot) -> End | None:
        """After the worker ran out of its GPU's memory: fewer workers there, or, with nobody beside, a failed job."""
        assert self.sharing is not None and slot.gpu is not None
        # None where an observer of lost workers has put the job back already.
        claim = self.queue.held_by(slot.name)
        presume_dead(self.queue.worker_lock(slot.name))
        if not slot.company:
            if claim is not None:
                mark_failed(self.folder_of(claim.digest), slot.last_words)
                self.queue.release(claim, again=False)
            return None
        workers = len(self.beside(slot)) + 1
        most = self.sharing.ran_out(slot.gpu, workers)
        gpu, many = self.order.gpus[slot.gpu], f"at most {most} worker{'s' * (most > 1)}"
        called = "a job" if claim is None else self.order.called(claim)
        self.say(
            f"out of memory of GPU {gpu}, shared by {workers}, at {called}: {many} there now, the job will be resumed"
        )
        if claim is not None:
            log = self.folder_of(claim.digest).log_file
            append(log, f"no memory left on GPU {gpu}, which others used too: the job will be resumed\n")
            self.queue.release(claim, again=True)
        return None
