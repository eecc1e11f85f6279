"""Chooses the free numbers of the `cpu` profile by its rule, and writes docs/cpu_profile.md with every candidate.

    python -m studies.choose_cpu_profile [--runs DIR] [--jobs N]

Trains `baseline` and `all` of changes_overview for every candidate on two seeds that no study uses. Interrupted, it
goes on where it was: candidates are jobs like any other.
"""

from __future__ import annotations

import json
import math
import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean

import click
from pydantic import PositiveFloat

from core.config import Emission, Job, Node
from core.events import Diverged, Evaluated
from core.folder import RunFolder, write_whole
from studies.changes_overview import STUDY
from studies.plan import jobs_root
from studies.profiles import cpu

SEEDS = (1000, 1001)
FACTORS = (2.5, 5.0, 10.0, 20.0)
EMISSIONS = (Emission(gain=0.19, bias_std=0.15), Emission(gain=0.3, bias_std=1.0), Emission(gain=1.0, bias_std=0.0))
SCALES = (1.0, 2.0, 4.0, 8.0)
FIRST_SCALES = {"baseline": 1.0, "all": 4.0}
ENDS = {"baseline": (), "all": tuple(change.name for change in STUDY.changes)}
RECORD = Path(__file__).parent.parent / "docs" / "cpu_profile.json"


class Candidate(Node):
    """One end of the ladder with one choice of the free numbers."""

    end: str
    factor: PositiveFloat
    emission: Emission
    scale: PositiveFloat

    def job(self, seed: int) -> Job:
        """Both ends take their own first-layer scale from `scale`; the other end's does not occur in the config."""
        profile = cpu(self.factor, self.emission, siren_scale=self.scale, fourier_scale=self.scale)
        return Job(config=profile.scaled(STUDY.folded(ENDS[self.end])), seed=seed)


def train(job: Job, runs: Path) -> None:
    """Trains one job on one thread; runs in a process of its own."""
    from core.job import run_job

    for _ in run_job(job, runs=jobs_root(runs), cache=runs / "cache"):
        pass


def distance(job: Job, runs: Path) -> float:
    """The distance at the last iteration, infinite for a job that diverged."""
    events = RunFolder(jobs_root(runs), job).events()
    if any(isinstance(event, Diverged) for event in events):
        return math.inf
    last = [event for event in events if isinstance(event, Evaluated)][-1]
    assert last.iteration == job.config.iterations
    return last.value


def measured(candidates: Iterable[Candidate], runs: Path, jobs: int) -> dict[Candidate, list[float]]:
    """The distances of each candidate, one per seed; trains what has not been trained."""
    asked = list(candidates)
    todo = [candidate.job(seed) for candidate, seed in product(asked, SEEDS)]
    todo = [job for job in todo if RunFolder(jobs_root(runs), job).outcome() is None]
    click.echo(f"{len(asked) * len(SEEDS)} runs, {len(todo)} to train")
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, _ in enumerate(pool.map(partial(train, runs=runs), todo), 1):
            click.echo(f"{number}/{len(todo)}", nl=number == len(todo))
            click.echo("\r", nl=False)
    return {candidate: [distance(candidate.job(seed), runs) for seed in SEEDS] for candidate in asked}


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(fmean(map(math.log, values)))


@click.command(help=__doc__)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True)
def main(runs: Path, jobs: int) -> None:
    candidate = partial(Candidate)
    pairs = list(product(FACTORS, EMISSIONS))
    first = measured(
        [candidate(end=end, factor=f, emission=e, scale=FIRST_SCALES[end]) for (f, e), end in product(pairs, ENDS)],
        runs,
        jobs,
    )

    def joint(pair: tuple[float, Emission]) -> float:
        chosen = [values for c, values in first.items() if (c.factor, c.emission) == pair]
        return geometric_mean([value for values in chosen for value in values])

    factor, emission = min(pairs, key=joint)
    second = measured(
        [candidate(end=end, factor=factor, emission=emission, scale=s) for s, end in product(SCALES, ENDS)], runs, jobs
    )
    scales = {
        end: min((c for c in second if c.end == end), key=lambda c: geometric_mean(second[c])).scale for end in ENDS
    }

    def row(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def shown(values: Sequence[float]) -> str:
        return ", ".join(f"{value:.1f}" for value in values)

    lines = [
        "# How the free numbers of the `cpu` profile were chosen",
        "",
        f"By `python -m studies.choose_cpu_profile`: `baseline` and `all` of changes_overview, seeds {SEEDS[0]} and "
        f"{SEEDS[1]}, {first.keys().__iter__().__next__().job(0).config.iterations} iterations, rooms Frechet distance "
        "at the last iteration (lower is better; a proxy, not an FID). The rule is in `studies/profiles.py`.",
        "",
        "## One learning-rate factor and one emission for all variants",
        "",
        row(["factor", "emission: gain, bias", "baseline", "all", "geometric mean of the four"]),
        row(["---"] * 5),
    ]
    for f, e in sorted(pairs, key=joint):
        by_end = {c.end: values for c, values in first.items() if (c.factor, c.emission) == (f, e)}
        mark = "**" if (f, e) == (factor, emission) else ""
        figure = f"{mark}{joint((f, e)):.1f}{mark}"
        lines.append(row([f"{f:g}", f"{e.gain:g}, {e.bias_std:g}", *(shown(by_end[end]) for end in ENDS), figure]))
    lines += [
        "",
        "## Each end's first-layer scale",
        "",
        row(["scale", *(f"{end}: distances (geometric mean)" for end in ENDS)]),
        row(["---"] * 3),
    ]
    for s in SCALES:
        found = {c.end: values for c, values in second.items() if c.scale == s}
        cells = []
        for end in ENDS:
            mark = "**" if scales[end] == s else ""
            cells.append(f"{shown(found[end])} ({mark}{geometric_mean(found[end]):.1f}{mark})")
        lines.append(row([f"{s:g}", *cells]))
    chosen = {
        "learning_rate_factor": factor,
        "emission": emission.model_dump(),
        "siren_scale": scales["baseline"],
        "fourier_scale": scales["all"],
    }
    RECORD.parent.mkdir(exist_ok=True)
    write_whole(RECORD.with_suffix(".md"), ("\n".join(lines) + "\n").encode())
    write_whole(RECORD, (json.dumps(chosen, indent=1) + "\n").encode())
    click.echo(json.dumps(chosen))


if __name__ == "__main__":
    main()
