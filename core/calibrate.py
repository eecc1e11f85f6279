"""How long a config takes on this machine: a short job through the path that real ones take, timed in its parts.

Reading times (`StepTimes`, `timed_alike`) needs no torch; only `load` and `measure` import it.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.config import AnyConfig, Job, Node, canonical, parse
from core.events import Built, Evaluated, Fitted, Losses, Sampled
from core.files import make_folder
from core.folder import RunFolder

LEAST_ITERATIONS = {"cpu": 20, "cuda": 100}
"""Timed iterations. More on a GPU, where steps are shorter and reports, more frequent here than in a long job, wait."""

NO_COST = ("optimizers", "optimizer", "learning_rate", "iterations")
"""Nodes of a config whose numbers do not change what one iteration or evaluation computes."""


class Unmeasured(RuntimeError):
    """The short job came to no end; the message says why."""


class StepTimes(Node):
    """Wall seconds of the parts of one job.

    `start_seconds` go by until the first iteration, once a process has its images and its metric. The last evaluation
    is timed apart, with what ends a job; recording belongs to the part that it follows.
    """

    seconds_per_iteration: float
    seconds_per_evaluation: float
    last_evaluation_seconds: float
    start_seconds: float

    def job_seconds(self, config: AnyConfig) -> float:
        """What a whole job of `config` takes."""
        evaluations = math.ceil(config.iterations / config.evaluation.every)
        return (
            self.start_seconds
            + config.iterations * self.seconds_per_iteration
            + (evaluations - 1) * self.seconds_per_evaluation
            + self.last_evaluation_seconds
        )


def timed_alike(config: AnyConfig) -> dict[str, Any]:
    """The part of a config that its step times depend on: equal parts share their times.

    Left out are learning rates and Adam's constants, the decays of an average, the latents' seed, and how many
    iterations and evaluations there are. Everything else stays, scales of a first layer included: sines of large
    numbers take longer.
    """
    data = {key: value for key, value in canonical(config).items() if key not in NO_COST}
    data["evaluation"] = {k: v for k, v in data["evaluation"].items() if k not in ("every", "latents_seed")}
    if data.get("ema"):
        data["ema"] = {key: value for key, value in data["ema"].items() if key not in ("decay", "warmup")}
    return data


def shortened(config: AnyConfig, stretch: int) -> AnyConfig:
    """The same config for two stretches of iterations, with an evaluation after each."""
    data = config.model_dump(mode="json")
    data |= {"iterations": 2 * stretch, "evaluation": {**data["evaluation"], "every": stretch}}
    return parse(data)


def load(job: Job, *, device: str = "cpu", data_path: Path | None = None, cache: Path, threads: int = 1) -> None:
    """What a process does once before its first job; see `core.job.load_once`."""
    from core.job import load_once

    load_once(job, data_path=data_path, cache=cache, device=device, threads=threads)


def measure(
    job: Job, *, device: str = "cpu", data_path: Path | None = None, cache: Path, threads: int = 1
) -> StepTimes:
    """Trains `job` for two short stretches of whole periods, the first of them to warm up, and times the parts.

    The run folder is made below `cache` and removed. Raises InputError as `core.job.run_job` does, and Unmeasured where
    the job diverges or fails at once.
    """
    from core.job import run_job

    whole = job.config.period
    stretch = whole * math.ceil(LEAST_ITERATIONS["cuda" if device.startswith("cuda") else "cpu"] / whole)
    short = Job(config=shortened(job.config, stretch), seed=job.seed)
    load(short, device=device, data_path=data_path, cache=cache, threads=threads)
    make_folder(cache)
    with TemporaryDirectory(prefix=".calibration-", dir=cache) as scratch:
        clock = _Clock(stretch)
        for event in run_job(
            short,
            runs=Path(scratch),
            device=device,
            data_path=data_path,
            cache=cache,
            threads=threads,
        ):
            clock.note(event)
        ended = time.perf_counter()
        outcome = RunFolder(Path(scratch), short).outcome()
        if outcome is None or outcome.status != "finished":
            raise Unmeasured("it came to no end" if outcome is None else f"{outcome.status}: {outcome.reason}")
    return clock.times(ended)


class _Clock:
    """When the parts of a short job began and ended, by the events that end them."""

    def __init__(self, stretch: int) -> None:
        self.stretch = stretch
        self.called = time.perf_counter()
        self.built = self.evaluating = self.resumed = self.trained = 0.0

    def note(self, event: object) -> None:
        """Takes the moment at which an event was recorded."""
        now = time.perf_counter()
        match event:
            case Built():
                self.built = now
            case Evaluated(iteration=self.stretch) if not self.evaluating:
                self.evaluating = now - event.evaluation_seconds
            case Sampled(iteration=self.stretch):
                self.resumed = now
            case Losses() | Fitted() if event.iteration == 2 * self.stretch:
                self.trained = now

    def times(self, ended: float) -> StepTimes:
        """The parts, the job having ended at `ended`."""
        return StepTimes(
            seconds_per_iteration=(self.trained - self.resumed) / self.stretch,
            seconds_per_evaluation=self.resumed - self.evaluating,
            last_evaluation_seconds=ended - self.trained,
            start_seconds=self.built - self.called,
        )
