"""The origin of a run: version and commit of the code, versions of libraries, device, threads."""

from __future__ import annotations

import platform
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from core import origin
from core.machine import cores, processor


@lru_cache(maxsize=1)
def provenance(device: str, threads: int) -> dict[str, Any]:
    """The fields of a provenance.json but where the run was evaluated."""
    commit, dirty = origin.commit()
    return {
        "version": origin.version(),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "device": torch.cuda.get_device_name() if device.startswith("cuda") else "cpu",
        "processor": processor(),
        "cores": cores(),
        "threads": threads,
        "platform": platform.platform(terse=True),
    }
