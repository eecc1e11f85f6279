"""One worker's share of the machine, as environment variables."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import studies


def share_of_machine(index: int, *, threads: int, gpus: Sequence[str]) -> dict[str, str]:
    """The environment of the worker at place `index`: threads are counted before any library reads these."""
    root = str(Path(studies.__file__).parent.parent)
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)] if gpus else "",
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
        "DO_NOT_TRACK": "1",
    }
