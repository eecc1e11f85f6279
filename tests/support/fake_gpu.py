"""`fake_job` on GPUs of ten GiB: a process has a context, and a job takes as many half GiB as its seed ends in.

Half of them from the beginning, all of them from its first evaluation on. What every process holds is in a file per GPU
and process below the runs, so that processes run out of memory together as on a real GPU. `census.txt` has a line for
each step: the GPU, the job, and how many processes were there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core.config import Job
from core.events import Event, Losses
from core.folder import DeviceMemory, RunFolder
from tests.support import fake_job
from tests.support.fake_job import JobTaken, OutOfMemory

__all__ = ["JobTaken", "OutOfMemory", "run_job"]

GIB = 2**30
TOTAL, CONTEXT = 10 * GIB, GIB // 2
FIRST_EVALUATION = 5


def run_job(
    job: Job, *, runs: Path, shared: bool = False, stop: Callable[[], bool] = fake_job.never, **where: Any
) -> Iterator[Event]:
    gpu = _Gpu(runs / "gpus" / os.environ["CUDA_VISIBLE_DEVICES"])
    needs = job.seed % 100 * GIB // 2
    gpu.take(CONTEXT)
    at_start = gpu.free()
    try:
        for event in fake_job.run_job(job, runs=runs, stop=stop, **where):
            taken = needs if event.iteration >= FIRST_EVALUATION else needs // 2
            if isinstance(event, Losses):
                gpu.count(runs / "census.txt", job)
            if not gpu.take(CONTEXT + taken):
                raise OutOfMemory(f"out of GPU memory: {taken / GIB} GiB")
            if event.kind == "evaluated":
                memory = DeviceMemory(
                    process=os.getpid(),
                    iteration=event.iteration,
                    total=TOTAL,
                    free_at_start=at_start,
                    free=gpu.free(),
                    reserved=taken,
                    peak=taken,
                )
                RunFolder(runs, job).write("memory.json", memory.model_dump_json())
            yield event
    finally:
        gpu.take(CONTEXT)


class _Gpu:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def held(self) -> dict[int, int]:
        """Bytes by living process."""
        files = {int(file.name): file for file in self.folder.iterdir()}
        return {pid: int(files[pid].read_text() or 0) for pid in files if (Path("/proc") / str(pid)).exists()}

    def free(self) -> int:
        return TOTAL - sum(self.held().values())

    def take(self, size: int) -> bool:
        """Holds so many bytes, not more than there are."""
        mine = self.folder / str(os.getpid())
        before = int(mine.read_text()) if mine.exists() else 0
        if size - before > self.free():
            return False
        mine.write_text(str(size))
        return True

    def count(self, census: Path, job: Job) -> None:
        with census.open("a") as stream:
            stream.write(f"{self.folder.name} {job.digest} {len(self.held())}\n")
