"""Where and how jobs of a command are trained: the part of every order that a plan does not say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core.config import Node
from core.errors import InputError
from core.folder import check_apart
from core.machine import Machine, check_device, cores, this_machine
from studies.plan import Plan
from studies.runner.heartbeat import HANG_SECONDS
from studies.runner.launchers.declared import Cluster
from studies.runner.tasks import Task

if TYPE_CHECKING:
    from studies.runner.worker import Order


PerGpu = int | Literal["auto"]
"""Workers that share each GPU: so many, or as many as its memory allows."""


class Place(Node):
    """So many workers, on these GPUs or on CPU threads, with run folders below `runs` (absolute, as `data_path` is).

    With `evaluation` "beside" each of them has a second process that evaluates while it trains (`core.side_evaluator`).

    With `most_workers` there are `workers`, one per GPU, at first, and so many in the end as the GPUs' memory allows
    (`studies.runner.sharing`). Expected times are those of `workers`.

    A worker whose loop stands still for `hang_seconds` at least is taken for dead (`studies.runner.heartbeat`).

    `trainer` is the module that workers train with, `launcher` the name of what starts them, on a `cluster` where the
    user has declared one by that name.
    """

    runs: Path
    workers: int
    device: Literal["cpu", "cuda"]
    gpus: tuple[str, ...]
    threads: int
    evaluation: Literal["inline", "beside"] = "inline"
    data_path: Path | None
    hang_seconds: float = HANG_SECONDS
    most_workers: int | None = None
    trainer: str
    launcher: str
    cluster: Cluster | None = None

    @property
    def machine(self) -> Machine:
        """What a time of these workers holds for."""
        return this_machine(self.device, self.threads)

    @property
    def detached(self) -> bool:
        """Whether workers outlive the command."""
        return self.cluster is not None and self.cluster.detached

    @property
    def parts_of_gpus(self) -> bool:
        """Whether a cluster puts several workers on one GPU."""
        return self.device == "cuda" and self.cluster is not None and self.cluster.parts_of_gpus

    @property
    def cache(self) -> Path:
        """Where prepared images and statistics are kept."""
        return self.runs / "cache"

    def order(self, plan: Plan, tasks: Sequence[Task], workers: int) -> Order:
        """These tasks of the plan as workers read them."""
        from studies.runner.worker import Order

        return Order(
            study=plan.study,
            setting=plan.setting,
            folder_of_study=plan.folder_of_study,
            runs=self.runs,
            tasks=tuple(tasks),
            workers=workers,
            device=self.device,
            gpus=self.gpus,
            threads=self.threads,
            evaluation=self.evaluation,
            data_path=self.data_path,
            cache=self.cache,
            hang_seconds=self.hang_seconds,
            trainer=self.trainer,
            detached=self.detached,
            most_workers=self.most_workers and min(self.most_workers, len(tasks)),
            parts_of_gpus=self.parts_of_gpus,
        )


def accelerators() -> tuple[str, ...]:
    """The GPUs there are, as CUDA_VISIBLE_DEVICES names them. Asks the system: torch takes seconds to load."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name for part in visible.split(",") if (name := part.strip()) and name != "-1")
    found = (file.name.removeprefix("nvidia") for file in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(sorted((name for name in found if name.isdigit()), key=int))


def place_of(
    device: str,
    profile: str,
    jobs: int | None,
    *,
    gpus: tuple[str, ...],
    runs: Path,
    data_path: Path | None,
    launcher: str,
    trainer: str,
    evaluation: Literal["inline", "beside"] = "inline",
    hang_seconds: float = HANG_SECONDS,
    cluster: Cluster | None = None,
    per_gpu: PerGpu | None = None,
) -> Place:
    """The place that the options of a command come to. Raises InputError where it asks for a GPU that is not there.

    `jobs` are all workers, `per_gpu` those of each GPU. With `jobs` alone they are spread over the GPUs.
    """
    if device == "cuda" and not gpus and cluster is not None:
        raise InputError(f"--device cuda: [{launcher}] asks for no GPU, add gpus = 1 to it")
    if device != "auto":
        check_device(device, len(gpus))
    check_apart(runs, data_path)
    alone = 1 if launcher == "inline" else None
    accelerated = bool(gpus) and (device == "cuda" or (device == "auto" and profile != "cpu"))
    most: int | None = None
    if per_gpu is not None:
        _check_shareable(per_gpu, launcher, cluster, accelerated)
    if cluster is not None:
        workers, threads = min(jobs or cluster.workers, cluster.workers), cluster.cpus
    else:
        workers = alone or jobs or (len(gpus) if accelerated else cores())
        if per_gpu is not None:
            workers, most = _shared(per_gpu, jobs, len(gpus))
        # Of as many as there may ever be: what a job computes must not depend on how many there are when it begins.
        threads = max(1, cores() // (most or workers))
    return Place(
        runs=runs.absolute(),
        workers=workers,
        device="cuda" if accelerated else "cpu",
        # On a cluster a worker is told there which are its own.
        gpus=gpus if accelerated and cluster is None else (),
        # On a CPU one thread each: the order of sums, and so the numbers, must not depend on the number of workers.
        threads=threads if accelerated else 1,
        evaluation=evaluation,
        data_path=data_path.absolute() if data_path else None,
        hang_seconds=hang_seconds,
        most_workers=most,
        trainer=trainer,
        launcher=launcher,
        cluster=cluster,
    )


def _check_shareable(per_gpu: PerGpu, launcher: str, cluster: Cluster | None, accelerated: bool) -> None:
    if cluster is not None:
        raise InputError(
            f"--per-gpu {per_gpu}: what a worker has of a GPU is for the entry [{launcher}] to say: leave it out"
        )
    if launcher == "inline":
        raise InputError(f"--per-gpu {per_gpu}: --launcher inline trains one job at a time: leave out one of them")
    if not accelerated:
        raise InputError(f"--per-gpu {per_gpu}: jobs are trained on the CPU here, --jobs says how many at a time")


def _shared(per_gpu: PerGpu, jobs: int | None, gpus: int) -> tuple[int, int | None]:
    """How many workers there are at first, and in the end at most where memory decides."""
    if per_gpu == "auto":
        # Each needs a core of its own to keep a GPU busy.
        most = gpus * max(1, cores() // gpus)
        return min(gpus, jobs or gpus), min(most, jobs or most)
    return min(per_gpu * gpus, jobs or per_gpu * gpus), None
