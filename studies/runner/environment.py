"""Environment variables of processes: a worker's share of the machine, and that nothing is sent anywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from core.processes import environment

NO_TELEMETRY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # mlflow wants the word, others take any value.
    "DO_NOT_TRACK": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Variables that keep libraries from sending usage statistics; each reads its own when it is imported."""


THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Variables by which libraries count their threads."""


def forbid_telemetry() -> None:
    """Sets these in this process, and so in those that it starts. Before any of the libraries is imported."""
    os.environ.update(NO_TELEMETRY)


def share_of_machine(
    index: int, *, threads: int, gpus: Sequence[str], executable: str = sys.executable
) -> dict[str, str]:
    """The environment of the worker at place `index`: threads are counted before any library reads these."""
    return {
        **environment(executable),
        **dict.fromkeys(THREADS, str(threads)),
        "CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)] if gpus else "",
        **NO_TELEMETRY,
    }
