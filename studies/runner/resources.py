"""What jobs of a command are trained with: how many workers, on which GPUs or threads, in which folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from core.config import Node
from core.errors import InputError
from core.file_names import StoredPath
from core.folder import check_apart
from core.machine import Machine, check_device, cores, this_machine
from studies.runner.clusters import Cluster
from studies.runner.heartbeat import HANG_SECONDS

PerGpu = int | Literal["auto"]
"""Workers that share each GPU: so many, or as many as its memory allows."""


class Resources(Node):
    """So many workers, on these GPUs or on CPU threads, with run folders below `runs`.

    `gpus` are those of this machine; `parts_of_gpus` says that a cluster puts several workers on one of its own.
    `cache` is where prepared images and statistics are kept. With `evaluation` "beside" each worker has a second
    process that evaluates while it trains (`core.side_evaluator`). A worker whose loop stands still for `hang_seconds`
    at least is taken for dead (`studies.runner.heartbeat`).

    With `most_workers` there are `workers`, one per GPU, at first, and so many in the end as the GPUs' memory allows
    (`studies.runner.sharing`). Expected times are those of `workers`.

    Workers of a `detached` cluster outlive the command that started them. `launcher` is the name of what starts them,
    on a `cluster` where the user has declared one by that name; workers need to know neither.
    """

    runs: StoredPath
    workers: int = 1
    device: Literal["cpu", "cuda"] = "cpu"
    gpus: tuple[str, ...] = ()
    threads: int = 1
    data_path: StoredPath | None = None
    cache: StoredPath
    evaluation: Literal["inline", "beside"] = "inline"
    hang_seconds: float = HANG_SECONDS
    detached: bool = False
    most_workers: int | None = None
    parts_of_gpus: bool = False
    launcher: str = Field("local", exclude=True)
    cluster: Cluster | None = Field(None, exclude=True)

    @property
    def machine(self) -> Machine:
        """What a time of these workers holds for."""
        return this_machine(self.device, self.threads)

    @property
    def shares_gpus(self) -> bool:
        """Whether several workers may train on one GPU: of `gpus`, or where a cluster gives parts of them."""
        crowded = bool(self.gpus) and (self.most_workers or self.workers) > len(self.gpus)
        return self.parts_of_gpus or crowded


def accelerators() -> tuple[str, ...]:
    """The GPUs there are, as CUDA_VISIBLE_DEVICES names them. Asks the system: torch takes seconds to load."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(name for part in visible.split(",") if (name := part.strip()) and name != "-1")
    numbers = (file.name.removeprefix("nvidia") for file in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(sorted((number for number in numbers if number.isdigit()), key=int))


def resources_of(
    device: str,
    profile: str,
    jobs: int | None,
    *,
    gpus: tuple[str, ...],
    runs: Path,
    data_path: Path | None,
    launcher: str,
    evaluation: Literal["inline", "beside"] = "inline",
    hang_seconds: float = HANG_SECONDS,
    cluster: Cluster | None = None,
    per_gpu: PerGpu | None = None,
) -> Resources:
    """What the options of a command come to. Raises InputError where they ask for a GPU that is not there.

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
    runs = runs.absolute()
    return Resources(
        runs=runs,
        workers=workers,
        device="cuda" if accelerated else "cpu",
        # On a cluster a worker is told there which are its own.
        gpus=gpus if accelerated and cluster is None else (),
        # On a CPU one thread each: the order of sums, and so the numbers, must not depend on the number of workers.
        threads=threads if accelerated else 1,
        data_path=data_path.absolute() if data_path else None,
        cache=runs / "cache",
        evaluation=evaluation,
        hang_seconds=hang_seconds,
        detached=cluster is not None and cluster.detached,
        most_workers=most,
        parts_of_gpus=accelerated and cluster is not None and cluster.parts_of_gpus,
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
