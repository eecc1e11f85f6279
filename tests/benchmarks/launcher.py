"""What the local launcher makes of this machine's cores: `python -m tests.benchmarks.launcher`.

Real jobs through the real launcher, in alternating rounds: (a) so many workers of one thread each, (b) one worker with
as many threads and the same jobs, (c) one worker with one thread, alone, and its share of the jobs. Printed are

- iterations a second, all workers together, while all of them train: from the first report of losses of a job to its
  last one, so neither start-up nor the only evaluation, behind the last iteration, is in it
- jobs a second from the launcher's start to its end, start-up of its workers and evaluations included

with (a)/(b) and (a)/(workers x (c)) of each round, and their medians over the rounds with least and most. Where the
machine does other work the figures say nothing.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from ablations.designs import subset_named
from core.config import Job
from core.folder import RunFolder
from core.job import run_job
from core.machine import cores
from studies.changes_overview import STUDY
from studies.overrides import overridden
from studies.plan import jobs_root
from studies.runner.launchers import launch
from studies.runner.order import Order
from studies.runner.tasks import Task
from studies.runner.worker import TRAINER_VARIABLE
from tests.benchmarks.clocked import clock_file

BARS = {"(a)/(b)": 1.6, "(a)/(workers x (c))": 0.9}
"""Of iterations a second, what is expected of a machine that does nothing else."""

Stretch = list[tuple[float, int]]
"""When a job was at which iteration, from its first report to its last."""


@dataclass(frozen=True)
class Throughput:
    """Of all workers together; `seconds` are those in which all of them trained."""

    iterations_per_second: float
    jobs_per_second: float
    seconds: float


def together(workers: Sequence[Sequence[Stretch]]) -> tuple[float, float]:
    """(iterations, seconds) of the time in which every worker is in one of its stretches, which do not overlap.

    Between two reports of a job its iterations are taken to go on evenly.
    """
    turns = [turn for own in workers for s in own for turn in ((s[0][0], 1), (s[-1][0], -1))]
    iterations = seconds = 0.0
    active, since = 0, 0.0
    for now, change in sorted(turns):
        if active == len(workers):
            seconds += now - since
            for stretch in (stretch for own in workers for stretch in own):
                times, counts = zip(*stretch, strict=True)
                iterations += float(np.diff(np.interp([since, now], times, counts))[0])
        active, since = active + change, now
    return iterations, seconds


def stretches(order: Order) -> list[list[Stretch]]:
    """Of every process that trained jobs of the order."""
    found: defaultdict[int, list[Stretch]] = defaultdict(list)
    for digest in order.digests:
        folder = RunFolder(jobs_root(order.runs), digest)
        lines = [json.loads(line) for line in clock_file(folder).read_text().splitlines()]
        reports = [(moment, iteration) for _, kind, iteration, moment in lines if kind == "losses"]
        found[lines[0][0]].append(reports)
    return list(found.values())


def launched(runs: Path, cache: Path, jobs: Sequence[Job], *, workers: int, threads: int) -> Throughput:
    """Trains the jobs in a folder of their own."""
    order = Order(
        study="benchmark",
        setting="launcher",
        runs=runs,
        tasks=tuple(Task(digest=job.digest, variant="all", title="all", seed=job.seed, job=job) for job in jobs),
        workers=workers,
        threads=threads,
        cache=cache,
    )
    os.environ[TRAINER_VARIABLE] = "tests.benchmarks.clocked"
    order.queue().enqueue(order.tasks)
    started = time.monotonic()
    launch(order, stop=lambda: False, tick=lambda: None, say=print)
    took = time.monotonic() - started
    for digest in order.digests:
        outcome = RunFolder(jobs_root(runs), digest).outcome()
        if outcome is None or outcome.status != "finished":
            raise click.ClickException(f"job {digest} did not finish: {outcome}")
    found = stretches(order)
    if len(found) != workers:
        raise click.ClickException(f"{len(found)} of {workers} workers trained: give them more jobs")
    iterations, seconds = together(found)
    if not seconds:
        raise click.ClickException("there was no moment in which all workers trained: give them longer jobs")
    return Throughput(iterations / seconds, len(jobs) / took, seconds)


@click.command(help=__doc__)
@click.option("--workers", default=cores(), show_default="one per core")
@click.option("--jobs", default=2, show_default=True, help="Of each worker.")
@click.option("--iterations", default=200, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--variant", default="all", show_default=True)
def main(workers: int, jobs: int, iterations: int, rounds: int, profile: str, variant: str) -> None:
    config = STUDY.profile(profile).scaled(STUDY.folded(subset_named(STUDY, variant)))
    small = {"evaluation.metric.samples": 64, "evaluation.quality": None, "evaluation.resamples": 0}
    config = overridden(config, {"iterations": iterations, "evaluation.every": iterations, **small})
    ways = {"(a)": (workers, 1, workers * jobs), "(b)": (1, workers, workers * jobs), "(c)": (1, 1, jobs)}
    ratios: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    with TemporaryDirectory() as scratch:
        cache = Path(scratch) / "cache"
        warm = overridden(config, {"iterations": 1, "evaluation.every": 1})
        for _ in run_job(Job(config=warm, seed=0), runs=Path(scratch) / "warm", cache=cache):
            pass
        for round_ in range(rounds):
            found = {}
            # Each way is first once, so that none always meets the machine as another one left it.
            names = list(ways)
            for name in names[round_ % 3 :] + names[: round_ % 3]:
                count, threads, of = ways[name]
                seeded = [Job(config=config, seed=seed) for seed in range(of)]
                runs = Path(scratch) / f"{round_}{name[1]}"
                found[name] = its = launched(runs, cache, seeded, workers=count, threads=threads)
                print(
                    f"round {round_ + 1} {name} {count} worker{'s' * (count > 1)} x {threads} thread"
                    f"{'s' * (threads > 1)}, {of} jobs: {its.iterations_per_second:.1f} iterations/s (over "
                    f"{its.seconds:.1f} s), {its.jobs_per_second:.3f} jobs/s",
                    flush=True,
                )
            for unit, of_what in (("iterations/s", "iterations_per_second"), ("jobs/s", "jobs_per_second")):
                a, b, c = (getattr(found[name], of_what) for name in ways)
                ratios["(a)/(b)", unit].append(a / b)
                ratios["(a)/(workers x (c))", unit].append(a / (workers * c))
    for (ratio, unit), values in ratios.items():
        bar = f", bar {BARS[ratio]}" if unit == "iterations/s" else ""
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"{unit:12} {ratio}: median {statistics.median(values):.2f} of {rounds} rounds ({spread}){bar}")


if __name__ == "__main__":
    main()
