"""A process that measures how long configs take here: short jobs through the path that real ones take, timed in parts.

`python -m studies.times.measure ORDER INDEX` is what `studies.times.calibration` starts; it prints JSON lines.
"""

from __future__ import annotations

import json
import math
import signal
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from core.config import AnyConfig, Job
from core.errors import InputError
from core.events import Built, Evaluated, Event, Fitted, Losses, Sampled
from core.files import make_folder
from core.folder import RunFolder
from core.job import load_once, run_job
from core.reading import model_of
from core.words import first_words
from studies.click_life import Command, Count
from studies.runner.order import AGAIN, Order
from studies.runner.worker import stop_with_parent
from studies.times.calibration import StepTimes

LEAST_ITERATIONS = {"cpu": 20, "cuda": 100}
"""Timed iterations. More on a GPU, where steps are shorter and reports, more frequent here than in a long job, wait."""


class Unmeasured(RuntimeError):
    """The short job came to no end; the message says why."""


def measure(
    job: Job, *, device: str = "cpu", data_path: Path | None = None, cache: Path, threads: int = 1
) -> StepTimes:
    """Trains `job` for two short stretches of whole periods, the first of them to warm up, and times the parts.

    The run folder is made below `cache` and removed. Raises InputError as `core.job.run_job` does, and Unmeasured where
    the job diverges or fails at once.
    """
    whole = job.config.period
    stretch = whole * math.ceil(LEAST_ITERATIONS["cuda" if device.startswith("cuda") else "cpu"] / whole)
    short = Job(config=shortened(job.config, stretch), seed=job.seed)
    load_once(short, data_path=data_path, cache=cache, device=device, threads=threads)
    make_folder(cache)
    with TemporaryDirectory(prefix=".calibration-", dir=cache) as scratch:
        runs, clock = Path(scratch), _Clock(stretch)
        for event in run_job(short, runs=runs, data_path=data_path, cache=cache, device=device, threads=threads):
            clock.note(event)
        ended = time.perf_counter()
        outcome = RunFolder(runs, short).outcome()
        if outcome is None or outcome.status != "finished":
            raise Unmeasured("it came to no end" if outcome is None else f"{outcome.status}: {outcome.reason}")
    return clock.times(ended)


def shortened(config: AnyConfig, stretch: int) -> AnyConfig:
    """The same config for two stretches of iterations, with an evaluation after each."""
    return config.replace(iterations=2 * stretch, evaluation=config.evaluation.replace(every=stretch))


class _Clock:
    """When the parts of a short job began and ended, by the events that end them."""

    def __init__(self, stretch: int) -> None:
        self.stretch = stretch
        self.called = time.perf_counter()
        self.built = self.evaluating = self.resumed = self.trained = 0.0

    def note(self, event: Event) -> None:
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


@click.command(cls=Command)
@click.argument("order_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("index", type=Count(0))
def main(order_file: Path, index: int) -> None:
    """Measures every job of ORDER_FILE that is the share of process INDEX until it is ended, a JSON line each time."""
    stopping = threading.Event()
    threading.Thread(target=stop_with_parent, args=(stopping,), daemon=True).start()
    # An exception, so that the run folder of the short job is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    order = model_of(order_file, Order, AGAIN)
    order.make_findable()
    tasks = order.tasks[index :: order.workers] or (order.tasks[index % len(order.tasks)],)

    def say(**line: object) -> None:
        print(json.dumps(line), flush=True)

    try:
        load_once(
            tasks[0].job, data_path=order.data_path, cache=order.cache, device=order.device, threads=order.threads
        )
        say(ready=True)
        while not stopping.is_set():
            for task in tasks:
                try:
                    times = measure(
                        task.job,
                        device=order.device,
                        data_path=order.data_path,
                        cache=order.cache,
                        threads=order.threads,
                    )
                except Unmeasured as error:
                    say(job=task.digest, unmeasured=str(error))
                else:
                    say(job=task.digest, times=times.model_dump())
    except InputError as error:
        print(error, file=sys.stderr, flush=True)
        sys.exit(2)
    except Exception as error:
        print(first_words(error), file=sys.stderr, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
