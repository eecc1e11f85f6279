"""How long jobs will take: by finished runs of the same config here, by a calibration, or as recorded with the code."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from core.config import AnyConfig, canonical, parse
from core.folder import RunFolder
from core.machine import Machine
from core.reading import Damaged, record_of
from studies.plan import Plan, jobs_root
from studies.runner.tasks import Task, TimesFrom
from studies.times.calibration import Calibration, machine_key, read_calibration
from studies.times.costs import makespan, overheads

REFERENCE_TIMES = Path(__file__).parents[1] / "reference_times.json"
"""Times and spreads for fresh checkouts, recorded by `tests/choices/reference_times.py`."""


@dataclass(frozen=True)
class Times:
    """What is known of how long jobs take on one machine with so many workers, by where it is from.

    `runs` are seconds by config, `record` by variant.
    """

    machine: Machine
    workers: int
    runs: Mapping[str, float]
    calibration: Calibration
    record: Mapping[str, float]

    @classmethod
    def of(cls, plan: Plan, runs: Path, *, machine: Machine, workers: int) -> Times:
        """Reads them, for jobs of this plan."""
        record = {name: float(seconds) for name, seconds in recorded_times(plan).get("seconds", {}).items()}
        return cls(machine, workers, _finished(runs, machine), read_calibration(runs), record)

    def seconds_of(self, config: AnyConfig, variant: str) -> tuple[float | None, TimesFrom | None]:
        """What a whole job takes, and where that is from: finished runs of the same config on such a machine come
        before a calibration of it under as many workers, and that before what was recorded with the code."""
        sources: tuple[tuple[float | None, TimesFrom], ...] = (
            (self.runs.get(_config_key(config)), "runs"),
            (self.calibration.seconds(config, self.machine, self.workers), "calibration"),
            (self.record.get(variant), "record"),
        )
        return next((source for source in sources if source[0] is not None), (None, None))


def with_estimates(tasks: Sequence[Task], plan: Plan, runs: Path, *, machine: Machine, workers: int) -> list[Task]:
    """The tasks with their expected seconds and where these come from, None where nobody has measured such a config.

    Of an interrupted job the share after its last checkpoint counts.
    """
    times = Times.of(plan, runs, machine=machine, workers=workers)
    estimated = []
    for task in tasks:
        seconds, source = times.seconds_of(task.job.config, task.variant)
        if seconds is not None:
            seconds *= 1 - _share_done(RunFolder(jobs_root(runs), task.digest), task.job.config.iterations)
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

    @property
    def of_all(self) -> float | None:
        """The seconds of all jobs, None where the time of some is unknown."""
        return None if self.unknown else self.seconds


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


def _config_key(config: AnyConfig) -> str:
    return json.dumps(canonical(config), sort_keys=True)


def _finished(runs: Path, machine: Machine) -> dict[str, float]:
    """The mean seconds of the finished runs on such a machine, by config."""
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
        recorded = record_of(file or REFERENCE_TIMES, "")[plan.study][plan.profile]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return recorded if isinstance(recorded, dict) else {}
