"""`core.job` with a checkpoint every half second: in a short test kills are to fall between checkpoints as well."""

from __future__ import annotations

from core import recorder
from core.job import JobTaken, OutOfMemory, run_job

recorder.CHECKPOINT_SECONDS = 0.5

__all__ = ["JobTaken", "OutOfMemory", "run_job"]
