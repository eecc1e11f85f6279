"""How long jobs will take: by finished runs of the same config here, by a calibration, or as recorded with the code.

`python -m studies.runner.estimate --record STUDY --runs DIR` records the times and the spread of a study's runs.
"""

from __future__ import annotations

import heapq
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import click

from core.config import AnyConfig, canonical, parse
from core.errors import InputError
from core.files import write_whole
from core.folder import RunFolder
from core.machine import Machine, this_machine
from core.reading import Damaged, record_of
from studies import catalogue
from studies.click_life import Command
from studies.costs import overheads
from studies.plan import Plan, jobs_root, plan_file, read_plan
from studies.runner.calibrate import machine_key, read_calibration
from studies.runner.tasks import Task, TimesFrom, tasks_of
from studies.spreads import observed_spreads

REFERENCE_TIMES = Path(__file__).parent.parent / "reference_times.json"


def with_estimates(tasks: Sequence[Task], plan: Plan, runs: Path, *, machine: Machine, workers: int) -> list[Task]:
    """The tasks with their expected seconds and where these come from, None where nobody has measured such a config.

    In this order: finished runs of the same config on such a machine, a calibration of it under as many workers, and
    the times recorded with the code. Of an interrupted job the share after its last checkpoint counts.
    """
    measured, calibration, reference = _measured(runs, machine), read_calibration(runs), _reference(plan)
    estimated = []
    for task in tasks:
        config = task.job.config
        sources: tuple[tuple[TimesFrom, float | None], ...] = (
            ("runs", measured.get(_config_key(config))),
            ("calibration", calibration.seconds(config, machine, workers)),
            ("record", reference.get(task.variant)),
        )
        source, seconds = next(((name, known) for name, known in sources if known is not None), (None, None))
        if seconds is not None:
            seconds *= 1 - _share_done(RunFolder(jobs_root(runs), task.digest), config.iterations)
        estimated.append(task.replace(expected_seconds=seconds, times_from=source))
    return estimated


@dataclass(frozen=True)
class Prediction:
    """Wall seconds of so many workers for the jobs whose time is known; `unknown` jobs are not in it.

    `start_seconds` is a worker's start-up, which is in it; None where nobody has measured that, and then it is not.
    """

    seconds: float
    unknown: int
    start_seconds: float | None


def predicted(tasks: Sequence[Task], runs: Path, *, machine: Machine, workers: int) -> Prediction:
    """How long these jobs will take."""
    known = [task.expected_seconds for task in tasks if task.expected_seconds is not None]
    start = start_seconds(runs, machine=machine, workers=workers)
    seconds = makespan(known, workers, start=start or 0.0)
    return Prediction(seconds=seconds, unknown=len(tasks) - len(known), start_seconds=start)


def start_seconds(runs: Path, *, machine: Machine, workers: int) -> float | None:
    """What a worker's start takes: by a calibration, else the median overhead of earlier commands, else unknown."""
    calibrated = read_calibration(runs).starts.get(machine_key(machine, workers))
    if calibrated:
        return calibrated.seconds
    earlier = overheads(runs, machine, workers)
    return median(earlier) if earlier else None


def makespan(seconds: Sequence[float], workers: int, *, start: float = 0.0) -> float:
    """Wall time of jobs that are claimed longest first by so many workers, each of which takes `start` to begin."""
    if not seconds:
        return 0.0
    ends = [start] * max(1, workers)
    for job in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + job)
    return max(ends)


def _config_key(config: AnyConfig) -> str:
    return json.dumps(canonical(config), sort_keys=True)


def _measured(runs: Path, machine: Machine) -> dict[str, float]:
    times: defaultdict[str, list[float]] = defaultdict(list)
    for file in jobs_root(runs).glob("*/outcome.json"):
        try:
            outcome = record_of(file, "")
            if outcome["status"] != "finished":
                continue
            provenance = record_of(file.with_name("provenance.json"), "")
            # Expected times are those of jobs that evaluate themselves: beside training it depends on what is idle.
            if provenance.get("evaluation", "inline") == "inline" and machine.ran(provenance):
                # Read as a config: a record may be older than a field that has joined since.
                config = parse(record_of(file.with_name("job.json"), "")["config"])
                times[_config_key(config)].append(float(outcome["job_seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # An estimate does without: whoever needs the run says what is wrong with it.
    return {key: mean(seconds) for key, seconds in times.items()}


def _share_done(folder: RunFolder, iterations: int) -> float:
    """The share of its iterations that a job has behind it: up to the checkpoint that it will go on from."""
    if not folder.checkpoint_file.exists():
        return 0.0
    try:
        behind = [event.iteration for event in folder.each_event(b'"checkpointed"')]
        return behind[-1] / iterations if behind else 0.0
    except Damaged:
        return 0.0  # No checkpoint is used behind damage.


def recorded_times(plan: Plan, file: Path | None = None) -> dict[str, Any]:
    """What was recorded with the code, or in `file`, for a plan: machine, torch, seconds by variant, and the spreads if
    known.

    Empty where nothing was; it holds for a profile's own numbers, not for overridden ones.
    """
    if plan.setting != plan.profile:
        return {}
    try:
        found = record_of(file or REFERENCE_TIMES, "")[plan.study][plan.profile]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _reference(plan: Plan) -> dict[str, float]:
    return {name: float(seconds) for name, seconds in recorded_times(plan).get("seconds", {}).items()}


def record(study: str, setting: str, runs: Path, file: Path, calibration: Path | None = None) -> int:
    """Writes the mean seconds of each variant's finished runs to `file`; returns how many variants had any.

    Where the runs shared their machine with other work, their times are no reference: with `calibration`, another
    folder of runs, what was calibrated there stands instead. Variants that have no times here keep those that are on
    record of the same machine. Raises InputError for a setting that is no profile, and where times would be lost.
    """
    declared = catalogue.study(study, runs)
    if setting not in (profiles := [profile.name for profile in declared.profiles]):
        raise InputError(
            f"--setting {setting} is no profile, and times are recorded of profiles without overrides: {study} has "
            f"{', '.join(profiles)}"
        )
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
    if calibration is not None:
        measured = read_calibration(calibration)
        machine = this_machine("cpu", 1)
        times = {v.name: measured.seconds(v.config, machine, machine.cores) for v in plan.variants}
        seconds = defaultdict(list, {name: [known] for name, known in times.items() if known is not None})
    recorded = record_of(file, "restore it, or remove it") if file.exists() else {}
    found = observed_spreads(declared, plan, runs)
    processor, cores = provenance.get("processor", "unknown processor"), provenance.get("cores", os.cpu_count())
    here = f"{processor}, {cores} cores"
    before = recorded_times(plan, file)
    kept = {variant: known for variant, known in before.get("seconds", {}).items() if variant not in seconds}
    if kept and before.get("machine") != here:
        raise InputError(
            f"{file.name} has times of {len(kept)} variants that have none here, and of another machine: train those "
            f"as well, or remove {study} from it"
        )
    recorded.setdefault(study, {})[plan.profile] = {
        **({"spreads": before["spreads"]} if "spreads" in before else {}),
        "machine": here,
        "device": provenance.get("device"),
        "torch": provenance.get("torch"),
        "seconds": {**kept, **{name: round(mean(values), 2) for name, values in seconds.items()}},
        **({"spreads": [spread.as_record() for spread in found]} if found else {}),
    }
    write_whole(file, (json.dumps(recorded, indent=1) + "\n").encode())
    return len(seconds)


@click.command(cls=Command)
@click.option("--record", "study", metavar="STUDY", required=True, help="The study whose times are recorded.")
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option("--setting", default="cpu", show_default=True, help="The setting, a profile without overrides.")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Times as calibrated in this folder of runs, instead of those of the study's runs.",
)
def main(study: str, runs: Path, setting: str, calibration: Path | None) -> None:
    """Records how long each variant of STUDY took, for the estimates of --dry-run on fresh checkouts."""
    count = record(study, setting, runs, REFERENCE_TIMES, calibration)
    print(f"recorded the times of {count} variants in {REFERENCE_TIMES.name}")


if __name__ == "__main__":
    main()
