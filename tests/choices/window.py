"""Measures what a window of evaluations is worth as a run's value, and writes docs/window.md.

    python -m studies.run changes_overview --design leave_one_out,add_one_in \
        --only baseline,all,all-generator_ema,all-d1_g1 --seeds 2000,2001,2002,2003,2004,2005,2006,2007,2008,2009 \
        evaluation.every=25 evaluation.quality=null evaluation.resamples=0 --no-report --runs window
    python -m tests.choices.window --runs window

The seeds are no study's. Two variants average G and two do not: one of each updates G at every fifth iteration.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import exp, log
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import click

from core.errors import InputError
from core.events import Evaluated
from core.files import write_whole
from core.folder import RunFolder
from core.values import averaged
from studies.click_life import Command
from studies.plan import jobs_root, plan_file, read_plan, settings_of
from studies.profiles import CPU_EVERY, CPU_WINDOW

STUDY = "changes_overview"
RECORD = Path(__file__).parents[2] / "docs" / "window.json"
VARIANTS = {
    "baseline": "none of the ten changes",
    "all-generator_ema": "all but the averaged G",
    "all-d1_g1": "all but D1:G1, so that G is averaged",
    "all": "all ten changes, so that G is averaged",
}
EVERY = 25
"""Iterations between two evaluations of these runs."""
SPACINGS = {"every 200": 200, "every 100": 100, "every 75": 75, "every 50": 50, "every 25": 25}


def recorded(runs: Path) -> dict[str, Any]:
    """The measurements of the runs in that folder: by variant and seed the distances by iteration, and the seconds of
    an evaluation and of the training, medians. Raises InputError where there are none."""
    settings = settings_of(runs, STUDY)
    if len(settings) != 1:
        raise InputError(
            f"{runs} has {len(settings)} settings of {STUDY}, not one: name the folder of these runs alone"
        )
    plan = read_plan(plan_file(runs, STUDY, settings[0]))
    rows: dict[str, Any] = {}
    for name in VARIANTS:
        variant = plan.variant(name)
        if variant is None:
            raise InputError(f"{runs} has no runs of {name}")
        values, evaluating, training = {}, [], []
        for seed in plan.seeds:
            folder = RunFolder(jobs_root(runs), variant.job(seed))
            outcome = folder.outcome()
            if outcome is None or outcome.status != "finished":
                continue
            events = [event for event in folder.each_event(b'"evaluated"') if isinstance(event, Evaluated)]
            mine = [event for event in events if event.metric == events[0].metric]
            values[str(seed)] = [float(f"{event.value:.5g}") for event in mine]
            evaluating += [event.evaluation_seconds for event in mine]
            training.append(outcome.seconds)
        rows[name] = {
            "evaluation_seconds": round(median(evaluating), 3),
            "training_seconds": round(median(training), 2),
            "values": values,
        }
    return rows


def ends(values: Mapping[str, Sequence[float]], spacing: int, window: float | None) -> list[float]:
    """The log of each run's value, were it evaluated every `spacing` iterations and at the last."""
    logs = []
    for curve in values.values():
        last = EVERY * len(curve)
        curve_at = {EVERY * (k + 1): value for k, value in enumerate(curve)}
        kept = {at: value for at, value in curve_at.items() if (last - at) % spacing == 0}
        logs.append(log(averaged(kept, window)[last]))
    return logs


def lines(rows: Mapping[str, Any]) -> list[str]:
    """The page."""
    heads = ["the last evaluation", *(f"the last quarter, {words}" for words in SPACINGS)]
    page = [
        "# What a window of evaluations is worth",
        "",
        f"By `python -m tests.choices.window`, of runs of {STUDY} with the `cpu` profile on seeds that no study uses. "
        "A run's value is its last evaluation, or the geometric mean of those in the last quarter of its iterations, "
        "evaluated more or less often. A cell has the standard deviation of the log of that value over training seeds "
        "(n of each row), and in brackets its geometric mean: the window is another quantity, higher by what a run "
        "still gains in its last quarter.",
        "",
        f"| variant | n | {' | '.join(heads)} |",
        f"|:--|--:|{'--:|' * len(heads)}",
    ]
    for name, title in VARIANTS.items():
        values = rows[name]["values"]
        cells = [ends(values, EVERY, None), *(ends(values, spacing, CPU_WINDOW) for spacing in SPACINGS.values())]
        shown = " | ".join(f"{stdev(logs):.3f} ({exp(fmean(logs)):.3f})" for logs in cells)
        page.append(f"| {title} | {len(values)} | {shown} |")
    shares = [rows[name]["evaluation_seconds"] / rows[name]["training_seconds"] for name in VARIANTS]
    return [
        *page,
        "",
        "Where G is not averaged it wobbles from evaluation to evaluation, and the three evaluations of the last "
        "quarter, every 100, leave about half to three quarters of the standard deviation; where it is averaged the "
        "scatter is the seed's, and the window neither gains nor loses. Of so few seeds a standard deviation is known "
        "to about a quarter of itself; the columns share their runs, so that they differ by less than that by chance.",
        "",
        f"An evaluation takes {min(shares):.1%} to {max(shares):.1%} of what 800 iterations take. The profile "
        f"evaluates every {CPU_EVERY} iterations, and its last quarter has three evaluations.",
        "",
    ]


def write(rows: Mapping[str, Any]) -> None:
    """The record and the page."""
    write_whole(RECORD, (json.dumps(rows) + "\n").encode())
    write_whole(RECORD.with_suffix(".md"), "\n".join(lines(rows)).encode())


@click.command(cls=Command)
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where these runs are.")
def main(runs: Path) -> None:
    """Records what the window is worth."""
    write(recorded(runs))


if __name__ == "__main__":
    main()
