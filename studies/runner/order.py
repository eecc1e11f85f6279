"""What launchers and workers agree on: an order, the claims of its workers, and how a worker says why it ended."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol


@dataclass(frozen=True)
class Claim:
    """A job that this worker, and no other, is to train."""

    number: int
    digest: str


class Shared(Protocol):
    """What workers share: a queue of jobs, or the trials of a search (`studies.runner.queue` has the meanings)."""

    def worker_lock(self, worker: str) -> Path: ...

    def waiting(self, wanted: Collection[str]) -> list[str]: ...

    def running(self, wanted: Collection[str]) -> list[str]: ...

    def held_by(self, worker: str) -> Claim | None: ...

    def completed_by(self, worker: str) -> int: ...

    def settle(self, claim: Claim) -> None: ...

    def release(self, claim: Claim, *, again: bool) -> None: ...

    def has_claimed(self, worker: str) -> bool: ...

    def release_orphans(self, gone: Collection[str] = ()) -> list[str]: ...


class Work(Protocol):
    """An order: `python -m MODULE FILE NAME` is a worker of it, `called` names a claim in a sentence.

    Workers of a `detached` order outlive the command that started them: one that starts puts back what lost workers
    left, above all those that were started in its place before (`starts_before`), one that is told to stop puts its own
    job back and exits with `TOLD_TO_STOP`.

    With `most_workers` there may be so many in the end, as far as the GPUs' memory allows (`studies.runner.sharing`);
    without it there are `workers`. Where `shares_gpus`, a job that finds no memory left makes its worker exit with
    `NO_ROOM`.
    """

    module: ClassVar[str]

    @property
    def study(self) -> str: ...

    @property
    def setting(self) -> str: ...

    @property
    def device(self) -> Literal["cpu", "cuda"]: ...

    @property
    def detached(self) -> bool: ...

    @property
    def runs(self) -> Path: ...

    @property
    def workers(self) -> int: ...

    @property
    def threads(self) -> int: ...

    @property
    def gpus(self) -> tuple[str, ...]: ...

    @property
    def most_workers(self) -> int | None: ...

    @property
    def shares_gpus(self) -> bool: ...

    @property
    def digests(self) -> list[str]: ...

    def queue(self) -> Shared: ...

    @property
    def hang_seconds(self) -> float: ...

    def called(self, claim: Claim) -> str: ...

    def make_findable(self) -> None: ...

    def work(self, name: str, *, stop: Callable[[], bool], each: Callable[[], None]) -> None: ...

    def write(self, name: str) -> Path: ...


def starts_before(worker: str) -> list[str]:
    """The names of a detached worker's earlier starts: NAME.0 and NAME.1 of NAME.2, none of a name without a number."""
    name, dot, number = worker.rpartition(".")
    return [f"{name}.{earlier}" for earlier in range(int(number))] if dot and number.isdigit() else []


class Launcher(Protocol):
    """Works off `order` and returns when all of its jobs have ended, whoever trained them, or after `stop()`.

    It calls `tick` a few times a second from the caller's thread and says notable things by `say`. Raises InputError
    where the jobs cannot be trained here, and `WorkersLost`.
    """

    def run(
        self, order: Work, *, stop: Callable[[], bool], tick: Callable[[], None], say: Callable[[str], None]
    ) -> None: ...


class ClusterLauncher(Launcher, Protocol):
    """A launcher whose workers are elsewhere."""

    def asks(self, order: Work) -> str:
        """What the cluster would be asked for `order.workers` workers of it, as text. Asks nothing, imports little."""
        ...


class WorkersLost(RuntimeError):
    """Every worker died again and again; the message is one line that ends with the last one's last words."""


TOLD_TO_STOP = 75
"""Exit code of a detached worker that was told to stop: there is work left, start it again (EX_TEMPFAIL)."""


NO_ROOM = 76
"""Exit code of a worker whose GPU had no memory left for a job beside those of other workers."""
