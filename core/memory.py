"""The memory that a job takes at its peak, what its process takes of a GPU, and how it is known that none is left."""

from __future__ import annotations

import ctypes
import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from core.folder import DeviceMemory

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


OUT_OF_MEMORY = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUSOLVER_STATUS_ALLOC_FAILED",
)
"""How errors begin or end that are no `torch.OutOfMemoryError`: of a context, or of a library's own memory."""


class OutOfMemory(RuntimeError):
    """A GPU that a job shares with others has no memory left for it; the message is one line with the remedy."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU had no memory left."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


@cache
def free_at_start(device: str) -> int:
    """Free bytes of the GPU when this process first asked, having made its context and nothing else."""
    return int(torch.cuda.mem_get_info(device)[0])


def device_memory(device: str, iteration: int) -> DeviceMemory | None:
    """The share of its GPU that this process takes now, and its peak since `PeakMemory` was made; None on a CPU."""
    if not device.startswith("cuda"):
        return None
    free, total = torch.cuda.mem_get_info(device)
    return DeviceMemory(
        process=os.getpid(),
        iteration=iteration,
        total=total,
        free_at_start=free_at_start(device),
        free=free,
        reserved=torch.cuda.memory_reserved(device),
        peak=torch.cuda.max_memory_reserved(device),
    )


class PeakMemory:
    """Starts counting when made: what the allocator's peak on CUDA, on a CPU the resident set (Linux) grows by.

    On a CPU a process's first job also pays for the libraries that it loads.
    """

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")
        self.before: int | None
        if self.cuda:
            # What an earlier job of this process left in the allocator's cache is no need of this one's.
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            self.device, self.before = device, torch.cuda.memory_allocated(device)
            return
        try:
            # A worker has run other jobs before: what they freed is given back, and 5 resets the peak.
            with suppress(OSError, AttributeError):
                ctypes.CDLL(None).malloc_trim(0)
            CLEAR.write_bytes(b"5")
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
    match = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return int(match[1]) * 1024 if match else None
