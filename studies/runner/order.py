"""Orders: what workers are to train and with what, as files that they read; and what a worker's end says."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ConfigDict

from core.file_names import StoredPath
from core.files import make_folder, write_whole
from studies.outside import make_findable
from studies.plan import Plan
from studies.runner.claim import Claim
from studies.runner.resources import Resources
from studies.runner.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.config import Job
    from studies.runner.claimed_jobs import Claims
    from studies.runner.queue import Queue

TOLD_TO_STOP = 75
"""Exit code of a detached worker that was told to stop: there is work left, start it again (EX_TEMPFAIL)."""

NO_ROOM = 76
"""Exit code of a worker whose GPU had no memory left for a job beside those of other workers."""

AGAIN = "give the same command again"
"""What helps where an order is damaged, which every command writes anew."""


class WorkersLost(RuntimeError):
    """Every worker died again and again; the message is one line that ends with the last one's last words."""


class TrainingOrder(Resources):
    """What workers share of an order, whatever its jobs: `python -m MODULE FILE NAME` is a worker of it.

    Workers of a `detached` order outlive the command that started them: one that starts puts back what lost workers
    left, above all those that were started in its place before (`starts_before`), one that is told to stop puts its own
    job back and exits with `TOLD_TO_STOP`. Where `shares_gpus`, a job that finds no memory left makes its worker exit
    with `NO_ROOM`. `folder_of_study` has modules that a study given by its file brings along.
    """

    # Workers on a cluster may go on with an order that another version wrote.
    model_config = ConfigDict(extra="ignore")

    module: ClassVar[str]
    taken_seconds: ClassVar[float]
    """So long a worker waits that has claimed a job which another process trains."""

    study: str
    setting: str
    folder_of_study: StoredPath | None = None

    @classmethod
    def of(cls, plan: Plan, resources: Resources, **jobs: Any) -> Self:
        """An order for jobs of a plan."""
        return cls(
            study=plan.study,
            setting=plan.setting,
            folder_of_study=plan.folder_of_study,
            **dict(resources),
            **jobs,
        )

    @property
    @abstractmethod
    def digests(self) -> list[str]:
        """The identities of the jobs, in the order in which they should be claimed; none that are still to be made."""

    @abstractmethod
    def queue(self) -> Claims:
        """The queue that its jobs are claimed from."""

    @abstractmethod
    def claim(self, queue: Any, worker: str) -> tuple[Claim, Job] | None:
        """A job of `queue`, the order's own, for this worker alone; None when there is none."""

    @abstractmethod
    def called(self, claim: Claim) -> str:
        """What people call a claimed job."""

    def make_findable(self) -> None:
        """Lets this process import what lies beside the study's file."""
        if self.folder_of_study is not None:
            make_findable(self.folder_of_study)

    def write(self, name: str) -> Path:
        """Writes the order where its workers find it."""
        folder = self.runs / "queue" / "orders"
        make_folder(folder)
        file = folder / f"{name}.json"
        write_whole(file, self.model_dump_json().encode())
        return file


class Order(TrainingOrder):
    """Tasks of a plan, in the order in which they should be claimed."""

    module: ClassVar[str] = "studies.runner.worker"
    taken_seconds: ClassVar[float] = 5.0

    tasks: tuple[Task, ...]

    @classmethod
    def of_tasks(cls, plan: Plan, resources: Resources, tasks: Sequence[Task], workers: int) -> Order:
        """These tasks of the plan for so many workers, and for no more of them than there are tasks."""
        most = resources.most_workers and min(resources.most_workers, len(tasks))
        return cls.of(plan, resources.replace(workers=workers, most_workers=most), tasks=tuple(tasks))

    @property
    def digests(self) -> list[str]:
        """See `TrainingOrder`."""
        return [task.digest for task in self.tasks]

    def queue(self) -> Queue:
        """See `TrainingOrder`."""
        # A dry run makes an order too, and need not wait for optuna.
        from studies.runner.queue import Queue

        return Queue(self.runs, self.study, self.setting, self.hang_seconds)

    def claim(self, queue: Queue, worker: str) -> tuple[Claim, Job] | None:
        """See `TrainingOrder`."""
        claim = queue.claim(self.digests, worker)
        return None if claim is None else (claim, self._task(claim).job)

    def called(self, claim: Claim) -> str:
        """See `TrainingOrder`."""
        task = self._task(claim)
        return f"{task.variant} seed {task.seed}"

    def _task(self, claim: Claim) -> Task:
        return next(task for task in self.tasks if task.digest == claim.digest)


def starts_before(worker: str) -> list[str]:
    """The names of a detached worker's earlier starts: NAME.0 and NAME.1 of NAME.2, none of a name without a number."""
    name, dot, number = worker.rpartition(".")
    return [f"{name}.{earlier}" for earlier in range(int(number))] if dot and number.isdigit() else []
