"""How long a job will take: from finished runs of the same config, else from times recorded with the code.

`python -m studies.runner.estimate --record STUDY --runs DIR` records the times of a study's runs.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click

from core.errors import InputError
from core.folder import RunFolder, write_whole
from studies.plan import Plan, jobs_root, plan_file, read_plan
from studies.runner.tasks import Task, tasks_of

REFERENCE_TIMES = Path(__file__).parent.parent / "reference_times.json"


def with_estimates(tasks: Sequence[Task], plan: Plan, runs: Path) -> list[Task]:
    """The tasks with their expected seconds, None where nobody has measured such a config."""
    measured = _measured(runs)
    reference = _reference(plan)
    estimated = []
    for task in tasks:
        seconds = measured.get(_config_key(task.job.config.model_dump(mode="json")), reference.get(task.variant))
        estimated.append(Task(**{**dict(task), "expected_seconds": seconds}))
    return estimated


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Wall time of jobs that are claimed longest first by so many workers."""
    ends = [0.0] * max(1, workers)
    for job in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + job)
    return max(ends)


def _config_key(config: dict[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)


def _measured(runs: Path) -> dict[str, float]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    for file in jobs_root(runs).glob("*/outcome.json"):
        try:
            outcome = json.loads(file.read_text())
            if outcome["status"] == "finished":
                config = json.loads((file.parent / "job.json").read_text())["config"]
                times[_config_key(config)].append(float(outcome["job_seconds"]))
        except (OSError, ValueError, KeyError):
            continue
    return {key: mean(seconds) for key, seconds in times.items()}


def _reference(plan: Plan) -> dict[str, float]:
    """The recorded seconds by variant; they hold for a profile's own numbers, not for overridden ones."""
    if plan.setting != plan.profile:
        return {}
    try:
        recorded = json.loads(REFERENCE_TIMES.read_text())
        return {name: float(seconds) for name, seconds in recorded[plan.study][plan.profile]["seconds"].items()}
    except (OSError, ValueError, KeyError):
        return {}


def record(study: str, setting: str, runs: Path, file: Path) -> int:
    """Writes the mean seconds of each variant's finished runs to `file`; returns how many variants had any."""
    source = plan_file(runs, study, setting)
    if not source.exists():
        raise InputError(f"there is no plan of {study} in {runs}: run it there first")
    plan = read_plan(source)
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    provenance: dict[str, Any] = {}
    for task in tasks_of(plan):
        folder = RunFolder(jobs_root(runs), task.digest)
        outcome = folder.outcome()
        if outcome is not None and outcome.status == "finished":
            seconds[task.variant].append(outcome.job_seconds)
            provenance = folder.read("provenance.json") or provenance
    recorded = json.loads(file.read_text()) if file.exists() else {}
    recorded.setdefault(study, {})[plan.profile] = {
        "machine": f"{provenance.get('processor', 'unknown processor')}, {os.cpu_count()} cores",
        "device": provenance.get("device"),
        "torch": provenance.get("torch"),
        "seconds": {name: round(mean(values), 2) for name, values in seconds.items()},
    }
    write_whole(file, (json.dumps(recorded, indent=1) + "\n").encode())
    return len(seconds)


@click.command()
@click.option("--record", "study", metavar="STUDY", required=True, help="The study whose times are recorded.")
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--setting", default="cpu", show_default=True, help="The setting, a profile without overrides.")
def main(study: str, runs: Path, setting: str) -> None:
    """Records how long each variant of STUDY took, for the estimates of --dry-run on fresh checkouts."""
    try:
        count = record(study, setting, runs, REFERENCE_TIMES)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    click.echo(f"recorded the times of {count} variants in {REFERENCE_TIMES.name}")


if __name__ == "__main__":
    main()
