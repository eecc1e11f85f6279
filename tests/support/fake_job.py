"""`core.job` without training: the same folder, lock, events and resuming, in milliseconds a step.

The seed says how the job behaves: see the constants.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from PIL import Image

from core.config import Config, Job
from core.errors import InputError
from core.events import Built, Checkpointed, Diverged, Evaluated, Event, Finished, Losses, Sampled
from core.folder import Outcome, Recorded, RunFolder, Status

FAILS = 13
KILLS_ITS_WORKER_ONCE = 66
KILLS_ITS_WORKER_ALWAYS = 67
HANGS_ONCE = 68
HANGS_ALWAYS = 69
DIVERGES = 99
UNUSABLE = 404
SLOW = 1000
"""From this seed on a step takes a tenth of a second."""
TUNING = 2000
"""Quick again: the value depends on the rates alone, and large ones of G diverge."""
BEST_RATES = (0.002, 0.001)
DIVERGING_RATE = 0.012

CHECKPOINT_EVERY = 3


class JobTaken(RuntimeError):
    """As in `core.job`."""


class OutOfMemory(RuntimeError):
    """As in `core.job`."""


def never() -> bool:
    return False


def run_job(
    job: Job,
    *,
    runs: Path,
    device: str = "cpu",
    data_path: Path | None = None,
    cache: Path,
    threads: int = 1,
    evaluation: str = "inline",
    shared: bool = False,
    stop: Callable[[], bool] = never,
    asked_to_stop: Callable[[], bool] | None = None,
) -> Iterator[Event]:
    folder = RunFolder(runs, job)
    folder.samples.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.lock_file, timeout=0):
            before = folder.outcome()
            if before and before.status != "failed":
                return
            if job.seed == UNUSABLE:
                raise InputError("no Inception weights here: say where they are")
            folder.write("job.json", job.model_dump_json())
            folder.write("protocol.json", json.dumps({"metric": "fd_rooms"}))
            ran_by = {"device": device, "evaluation": evaluation, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}
            folder.write("provenance.json", json.dumps({"commit": "0" * 40, **ran_by}))
            with (folder.path / "trained_by.txt").open("a") as log:
                log.write(f"{os.getpid()}\n")
            yield from _events(folder, job, stop)
    except Timeout:
        raise JobTaken(job.digest) from None


def score(job: Job, iteration: int) -> float:
    """What the fake metric is at an iteration."""
    if job.seed != TUNING:
        return 100.0 / iteration + job.seed
    assert isinstance(job.config, Config)
    rates = job.config.optimizers.learning_rates
    found = (rates.generator, rates.discriminator)
    return 1.0 / iteration + sum(abs(math.log(a / b)) for a, b in zip(found, BEST_RATES, strict=True))


def diverges(job: Job) -> bool:
    if job.seed != TUNING:
        return job.seed == DIVERGES
    assert isinstance(job.config, Config)
    return job.config.optimizers.learning_rates.generator > DIVERGING_RATE


def _events(folder: RunFolder, job: Job, stop: Callable[[], bool]) -> Iterator[Event]:
    checkpoint = folder.path / "checkpoint.json"
    done, lines = json.loads(checkpoint.read_text()) if checkpoint.exists() else (0, 0)
    kept = folder.events_file.read_bytes().splitlines(keepends=True)[:lines] if folder.events_file.exists() else []
    folder.events_file.write_bytes(b"".join(kept))
    lines = len(kept)
    began = time.perf_counter()

    def write(event: Event) -> Event:
        nonlocal lines
        with folder.events_file.open("a") as stream:
            stream.write(event.model_dump_json() + "\n")
        lines += 1
        return event

    def clock(iteration: int) -> dict[str, float | int]:
        return {"iteration": iteration, "images": iteration * 4, "seconds": time.perf_counter() - began}

    def end(status: Status, iteration: int, reason: str | None = None) -> None:
        outcome = Outcome(
            status=status,
            iteration=iteration,
            reason=reason,
            seconds=time.perf_counter() - began,
            evaluation_seconds=0.0,
            job_seconds=time.perf_counter() - began,
            recorded=None if status == "failed" else Recorded.of(folder.events_file.read_bytes()),
        )
        folder.write("outcome.json", outcome.model_dump_json())
        if status != "failed":
            checkpoint.unlink(missing_ok=True)

    if done == 0:
        counts = {"emitted_parameters": 1, "shared_parameters": 2, "generator_parameters": 3}
        yield write(Built(**clock(0), **counts, discriminator_parameters=4))
    for iteration in range(done + 1, job.config.iterations + 1):
        time.sleep(0.1 if SLOW <= job.seed < TUNING else 0.002)
        if iteration == 5:
            attempts = len((folder.path / "trained_by.txt").read_text().splitlines())
            if job.seed == FAILS:
                folder.log_file.write_text("Traceback (most recent call last):\nRuntimeError: this job always fails\n")
                end("failed", iteration, "RuntimeError: this job always fails")
                return
            if job.seed == KILLS_ITS_WORKER_ALWAYS or (job.seed == KILLS_ITS_WORKER_ONCE and attempts == 1):
                os.kill(os.getpid(), signal.SIGKILL)
            if job.seed == HANGS_ALWAYS or (job.seed == HANGS_ONCE and attempts == 1):
                time.sleep(600)
            if diverges(job):
                yield write(Evaluated(**clock(iteration), metric="fd_rooms", value=math.inf, evaluation_seconds=0.0))
                yield write(Diverged(**clock(iteration), reason="a weight stopped being finite"))
                end("diverged", iteration, "a weight stopped being finite")
                return
        scores = {"d_loss": 1.0 / iteration, "g_loss": 0.5, "penalty": 0.1, "real_score": 1.0, "fake_score": -1.0}
        yield write(Losses(**clock(iteration), **scores))
        if iteration % job.config.evaluation.every == 0 or iteration == job.config.iterations:
            value = score(job, iteration)
            yield write(Evaluated(**clock(iteration), metric="fd_rooms", value=value, evaluation_seconds=0.0))
            write(Sampled(**clock(iteration), pictures=None))
            Image.new("RGB", (16, 16)).save(folder.samples / f"{iteration:06d}.png")
        stopping = stop()
        if stopping or iteration % CHECKPOINT_EVERY == 0:
            yield write(Checkpointed(**clock(iteration), state=None))
            checkpoint.write_text(json.dumps([iteration, lines]))
        if stopping:
            return
    yield write(Finished(**clock(job.config.iterations), generator=None))
    end("finished", job.config.iterations)
