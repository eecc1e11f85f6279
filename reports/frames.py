"""Run folders as two frames: every measurement, and how every planned job ended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from core.config import Job
from core.events import Built, Diverged, Evaluated
from core.folder import Outcome, RunFolder, Status
from core.metrics.protocol import from_json
from core.reading import Damaged
from core.values import averaged
from reports.comparability import UNRECORDED
from studies.plan import Plan, PlannedVariant, jobs_root

TIDY_COLUMNS = (
    "study",
    "variant",
    "seed",
    "iteration",
    "images",
    "seconds",
    "metric",
    "value",
    "averaged",
    "protocol",
    "reported",
    "status",
    "run",
)
"""`results.csv`: one row per evaluation, and one with the status for a job that has none. A diverged job ends with a
row of value inf. `averaged` is the run's value at that iteration, of all its evaluations in the window that its config
declares (`core.values`), the evaluation's own where there is none. `protocol` is the fingerprint of what a value was
measured with, empty where the run recorded none; `reported` says of which metric the report is."""

OF_NETWORKS = ("macs", "layer_parameters", "emitted_parameters", "generator_parameters", "discriminator_parameters")
"""What a job row has of the networks as they were built."""

JOB_COLUMNS = (
    "variant",
    "seed",
    "run",
    "status",
    "iteration",
    "value",
    "images",
    "seconds",
    "evaluation_seconds",
    "job_seconds",
    "attempts",
    "reason",
    "peak_memory",
    *OF_NETWORKS,
)

STATUSES = (*get_args(Status), "damaged", "unfinished", "not started")
"""`damaged`: a file in the folder cannot be read, so that nothing of the run counts. `unfinished`: the folder is there
and no outcome in it, or one that its record does not fit, because the job runs or was interrupted."""

ON_RECORD = ("job.json", "protocol.json", "provenance.json", "data.json")
"""What reports read of a run beside its outcome and its events."""

WHOLE = ("seed", "iteration", "images", "attempts", "peak_memory", "macs")


def read_jobs(plan: Plan, runs: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tidy frame of all measurements and the frame of one row per planned job."""
    tidy: list[dict[str, Any]] = []
    jobs: list[dict[str, Any]] = []
    for variant, seed in plan.jobs():
        rows, job = read_job(plan, variant, seed, runs)
        tidy += rows
        jobs.append(job)
    return as_frame(tidy, TIDY_COLUMNS), as_frame(jobs, JOB_COLUMNS)


def as_frame(rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """A frame with these columns, whole numbers kept whole where some are missing."""
    frame = pd.DataFrame(rows, columns=list(columns))
    for column in columns:
        if column in ("value", "averaged", "seconds", "evaluation_seconds", "job_seconds"):
            frame[column] = frame[column].astype("float64")
        elif column in WHOLE or column.endswith("_parameters"):
            frame[column] = frame[column].astype("Int64")
    return frame


def read_job(plan: Plan, variant: PlannedVariant, seed: int, runs: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """One planned job's rows of the tidy frame, and its row of the job frame."""
    job: Job = variant.job(seed)
    folder = RunFolder(jobs_root(runs), job)
    damage = None
    try:
        outcome, events, last = folder.outcome(), [], None
        for last in folder.each_event():
            # Of hundreds of thousands of checkpoints, nothing has to be kept.
            if isinstance(last, Built | Evaluated | Diverged):
                events.append(last)
        with suppress(FileNotFoundError):
            folder.job()
        for name in ON_RECORD:
            folder.read(name)
    except Damaged as error:
        outcome, events, last, damage = None, [], None, str(error)
    missing = "damaged" if damage else "unfinished" if folder.path.exists() else "not started"
    status = outcome.status if outcome else missing
    common = {"study": plan.study, "variant": variant.name, "seed": seed, "status": status, "run": folder.digest}
    # A job that was killed and resumed may have measured an iteration twice: its weights went on from the later line.
    measured = {(event.metric, event.iteration): event for event in events if isinstance(event, Evaluated)}
    rows: list[dict[str, Any]] = [
        {
            **common,
            "iteration": event.iteration,
            "images": event.images,
            "seconds": event.seconds,
            "metric": event.metric,
            "value": event.value if np.isfinite(event.value) else np.inf,
            "averaged": event.value if np.isfinite(event.value) else np.inf,
            "protocol": event.protocol,
        }
        for event in sorted(measured.values(), key=lambda event: (event.metric, event.iteration))
    ]
    metric = reported_key(job.config.evaluation.metric.kind, [row["metric"] for row in rows])
    mine = [row for row in rows if row["metric"] == metric]
    values = averaged({row["iteration"]: row["value"] for row in mine}, job.config.evaluation.window)
    for row in mine:
        row["averaged"] = values[row["iteration"]]
    value = values.get(job.config.iterations, np.nan) if status == "finished" else np.nan
    if status == "diverged" and outcome is not None:
        value = np.inf
        # Of what it measured besides nothing is said: infinity is not the worst of every measure.
        if np.inf not in values.values():
            end = end_of_divergence(job, outcome, events)
            rows.append({**common, **end, "metric": metric, "value": np.inf, "averaged": np.inf})
            rows[-1]["protocol"] = protocol_of(folder, metric)
    built = next((event for event in reversed(events) if isinstance(event, Built)), None)
    reached = outcome.iteration if outcome else last.iteration if last else None
    job_row: dict[str, Any] = {
        **{key: common[key] for key in ("variant", "seed", "run", "status")},
        "iteration": reached,
        "value": value,
        "images": None if reached is None else reached * job.config.batch_size,
        "seconds": outcome.seconds if outcome else last.seconds if last else np.nan,
        "evaluation_seconds": outcome.evaluation_seconds if outcome else np.nan,
        "job_seconds": outcome.job_seconds if outcome else np.nan,
        "attempts": outcome.attempts if outcome else None,
        "reason": outcome.reason if outcome else damage,
        "peak_memory": outcome.peak_memory if outcome else None,
        **{name: getattr(built, name, None) for name in OF_NETWORKS},
    }
    if not rows:
        unmeasured = {
            "iteration": None,
            "images": None,
            "seconds": job_row["seconds"],
            "metric": None,
            "value": value,
            "averaged": value,
            "protocol": UNRECORDED,
        }
        rows = [{**common, **unmeasured}]
    return rows, job_row


def reported_key(configured: str, recorded: Sequence[str]) -> str:
    """The configured metric; where the runs recorded it under another key, the key they used first."""
    return configured if configured in recorded or not recorded else recorded[0]


def end_of_divergence(job: Job, outcome: Outcome, events: Sequence[object]) -> dict[str, Any]:
    """Where a diverged job ended, as its events say, or by its outcome where they do not."""
    end = next((event for event in reversed(events) if isinstance(event, Diverged)), None)
    images = end.images if end else outcome.iteration * job.config.batch_size
    return {"iteration": outcome.iteration, "images": images, "seconds": end.seconds if end else outcome.seconds}


def protocol_of(folder: RunFolder, series: str) -> str:
    """The fingerprint under which a job began to measure a series."""
    protocol = from_json(folder.read("protocol.json")).get(series)
    return UNRECORDED if protocol is None else protocol.fingerprint


def readable(jobs: pd.DataFrame) -> list[str]:
    """The runs of these jobs that are not damaged, in order."""
    return [str(run) for run in jobs[jobs["status"] != "damaged"]["run"]]
