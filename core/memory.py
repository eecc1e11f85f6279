"""The memory that a job takes at its peak."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """Starts counting when made: what the allocator's peak on CUDA, on a CPU the resident set (Linux) grows by.

    On a CPU a process's first job also pays for the libraries that it loads.
    """

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")
        self.before: int | None
        if self.cuda:
            torch.cuda.reset_peak_memory_stats(device)
            self.device, self.before = device, torch.cuda.memory_allocated(device)
            return
        try:
            # A worker has run other jobs before: what they freed is given back, and 5 resets the peak.
            with suppress(OSError, AttributeError):
                ctypes.CDLL(None).malloc_trim(0)
            CLEAR.write_text("5")
            self.before = _resident("VmRSS")
        except OSError:
            self.before = None

    def peak(self) -> int | None:
        """Bytes since the start, None where the system does not tell."""
        if self.cuda:
            return torch.cuda.max_memory_allocated(self.device) - (self.before or 0)
        if self.before is None or (peak := _resident("VmHWM")) is None:
            return None
        return max(0, peak - self.before)


def _resident(name: str) -> int | None:
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None
