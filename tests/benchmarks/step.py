"""Milliseconds per iteration of a profile's variants, alternating in one process: `python -m tests.benchmarks.step`.

Prints the median and quartiles over rounds, and the ratio to the baseline of the same round. One thread, as in a study.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import click
import torch
from torch import Tensor

from ablations.designs import subset_named
from core.config import Job
from core.evaluate import Evaluation, Inline
from core.train import train
from studies.changes_overview import STUDY
from studies.plan import overridden


class Nothing:
    """A metric that costs nothing: only the step is timed."""

    key = "nothing"

    def __call__(self, images: Iterator[Tensor]) -> float:
        return 0.0


def seconds_per_iteration(job: Job, images: Tensor, device: str) -> float:
    started = time.perf_counter()
    evaluator = Inline(Evaluation(job.config, Nothing(), device=device))
    for event in train(job, images, evaluator, device=device):
        if event.kind == "built":
            started = time.perf_counter()
        elif event.kind == "evaluated":
            return (time.perf_counter() - started) / job.config.iterations
    raise RuntimeError("the job ended without an evaluation")


@click.command(help=__doc__)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--iterations", default=60, show_default=True)
@click.argument("variants", nargs=-1)
def main(profile: str, device: str, rounds: int, iterations: int, variants: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    names = variants or ("baseline", "baseline..r1", "baseline..batch_size", "baseline..inr_size", "all")
    short = {"iterations": iterations, "evaluation.every": iterations, "evaluation.metric.samples": 64}
    jobs = {}
    for name in names:
        config = STUDY.profile(profile).scaled(STUDY.folded(subset_named(STUDY, name)))
        jobs[name] = Job(config=overridden(config, short), seed=0)
    resolution = next(iter(jobs.values())).config.data.resolution
    images = torch.randint(0, 256, (1024, 3, resolution, resolution), dtype=torch.uint8)
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for round_ in range(rounds + 1):
        for name, job in jobs.items():
            seconds = seconds_per_iteration(job, images, device)
            if round_:  # The first round warms up.
                times[name].append(seconds * 1e3)
    print(f"{'variant':28s} {'median ms':>10s} {'quartiles':>15s} {'ratio':>7s}")
    for name, measured in times.items():
        low, middle, high = statistics.quantiles(measured, n=4)
        ratios = [mine / base for mine, base in zip(measured, times[names[0]], strict=True)]
        print(f"{name:28s} {middle:10.2f} {low:7.2f}–{high:<7.2f} {statistics.median(ratios):7.2f}")


if __name__ == "__main__":
    main()
