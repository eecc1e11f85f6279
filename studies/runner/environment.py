"""What processes get as environment variables: a worker's share of the machine, and that nothing is sent anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from core.processes import environment

NO_TELEMETRY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # mlflow wants the word, others take any value.
    "DO_NOT_TRACK": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""What libraries look for before they send usage statistics; each reads its own when it is imported."""


NO_HOME = "/nonexistent"
"""Debian's home of users without one."""


def forbid_telemetry() -> None:
    """Sets these in this process, and so in those that it starts. Before any of the libraries is imported."""
    os.environ.update(NO_TELEMETRY)


def have_home() -> None:
    """Lets this process, and those that it starts, have a home where it has none, as users of containers have whom
    nobody knows: libraries ask for it when they are imported. Nothing is there to be read, nor can be written."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = NO_HOME


def share_of_machine(
    index: int, *, threads: int, gpus: Sequence[str], executable: str = sys.executable
) -> dict[str, str]:
    """The environment of the worker at place `index`: threads are counted before any library reads these."""
    return {
        **environment(executable),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)] if gpus else "",
        **NO_TELEMETRY,
    }
