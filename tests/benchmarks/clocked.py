"""`core.job` that notes when each event was recorded: by a clock that all processes of a machine share."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core import job as job_module
from core.config import Job
from core.events import Event
from core.folder import RunFolder
from core.job import JobTaken, OutOfMemory

__all__ = ["JobTaken", "OutOfMemory", "clock_file", "run_job"]


def clock_file(folder: RunFolder) -> Path:
    """One line an event: process, kind, iteration, and seconds of the monotonic clock."""
    return folder.path / "clock.jsonl"


def run_job(job: Job, *, runs: Path, **options: Any) -> Iterator[Event]:
    """As in `core.job`."""
    for event in job_module.run_job(job, runs=runs, **options):
        with clock_file(RunFolder(runs, job)).open("a") as stream:
            stream.write(json.dumps([os.getpid(), event.kind, event.iteration, time.monotonic()]) + "\n")
        yield event
