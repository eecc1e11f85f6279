"""Wall time of one job that evaluates itself against one that is evaluated beside: `python -m tests.benchmarks.beside`.

Both alternate; printed are job seconds, start of the second process included, those of training and of evaluation, and
the ratio beside / inline of each round with its median. Below max(training, evaluation) / (training + evaluation) it
cannot come. The events of both are compared: they are the same.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from ablations.designs import subset_named
from core.config import Job
from core.folder import Outcome, RunFolder
from core.job import run_job
from studies.changes_overview import STUDY
from studies.overrides import overridden

TIMES = {"seconds", "evaluation_seconds"}


def ran(job: Job, runs: Path, cache: Path, **options: Any) -> tuple[Outcome, list[dict[str, Any]]]:
    """The outcome, and the events but checkpoints and times."""
    for _ in run_job(job, runs=runs, cache=cache, **options):
        pass
    folder = RunFolder(runs, job)
    outcome = folder.outcome()
    assert outcome is not None
    return outcome, [e.model_dump(exclude=TIMES) for e in folder.events() if e.kind != "checkpointed"]


@click.command(help=__doc__)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--variant", default="all", show_default=True)
@click.option("--iterations", default=200, show_default=True)
@click.option("--every", default=20, show_default=True)
@click.option("--samples", default=8192, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--evaluation-device", help="Of the process beside; default: the same.")
@click.option("--rounds", default=3, show_default=True)
def main(
    profile: str,
    variant: str,
    iterations: int,
    every: int,
    samples: int,
    device: str,
    evaluation_device: str | None,
    rounds: int,
) -> None:
    config = STUDY.profile(profile).scaled(STUDY.folded(subset_named(STUDY, variant)))
    numbers = {"iterations": iterations, "evaluation.every": every, "evaluation.metric.samples": samples}
    config = overridden(config, numbers)
    ratios = []
    with TemporaryDirectory() as scratch:
        cache = Path(scratch) / "cache"
        warm = overridden(config, {"iterations": 1, "evaluation.every": 1})
        ran(Job(config=warm, seed=0), Path(scratch) / "warm", cache, device=device)
        for round_ in range(rounds):
            job = Job(config=config, seed=round_)
            inline, events = ran(job, Path(scratch) / "inline", cache, device=device)
            beside, same = ran(
                job,
                Path(scratch) / "beside",
                cache,
                device=device,
                evaluation="beside",
                evaluation_device=evaluation_device,
            )
            ratios.append(beside.job_seconds / inline.job_seconds)
            for name, outcome in (("inline", inline), ("beside", beside)):
                parts = f"training {outcome.seconds:6.2f}, evaluation {outcome.evaluation_seconds:6.2f}"
                print(f"{name}: {outcome.job_seconds:6.2f} s ({parts})")
            bound = max(inline.seconds, inline.evaluation_seconds) / (inline.seconds + inline.evaluation_seconds)
            print(f"ratio {ratios[-1]:.2f}, bound {bound:.2f}, events the same: {events == same}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} of {rounds} rounds ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
