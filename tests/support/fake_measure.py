"""`studies.times.measure` without training. The seed says how it goes, as in `tests.support.fake_job`."""

from __future__ import annotations

import os
import time
from pathlib import Path

from core.config import Job
from core.errors import InputError
from studies.times import measure as program
from studies.times.calibration import StepTimes
from tests.support.fake_job import DIVERGES, FAILS, UNUSABLE


def load_once(job: Job, *, cache: Path, threads: int, **_: object) -> None:
    if job.seed == UNUSABLE:
        raise InputError("no Inception weights here: say where they are")
    assert os.environ["OMP_NUM_THREADS"] == str(threads)


def measure(job: Job, *, cache: Path, threads: int, **_: object) -> StepTimes:
    if job.seed == FAILS:
        raise RuntimeError("this measurement always breaks")
    if job.seed == DIVERGES:
        raise program.Unmeasured("diverged: a weight stopped being finite")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "measured.txt").open("a") as log:
        log.write(f"{job.digest} {os.getpid()}\n")
    time.sleep(0.02)
    return StepTimes(
        seconds_per_iteration=float(job.config.batch_size),
        seconds_per_evaluation=2.0,
        last_evaluation_seconds=3.0,
        start_seconds=4.0,
    )


if __name__ == "__main__":
    program.load_once, program.measure = load_once, measure
    program.main()
