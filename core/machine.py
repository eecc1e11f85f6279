"""The machine of a measured time. Needs no torch, so that a command can say at once which times hold here."""

from __future__ import annotations

import os
import platform
import re
import resource
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from core.config import Node
from core.errors import InputError
from core.words import visible

GPUS = Path("/proc/driver/nvidia/gpus")

MEMORY, GROUPS, CONTROLS = Path("/proc/meminfo"), Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


class Machine(Node):
    """Processor, cores that this process may use, and how one job runs on them.

    `device` is "cpu" or the name of the GPU, "cuda" where the driver does not tell it. `torch` is its version without
    the build's suffix.
    """

    processor: str
    cores: int
    device: str
    threads: int
    torch: str

    def ran(self, provenance: Mapping[str, Any]) -> bool:
        """Whether a run that wrote this provenance was trained on such a machine; what it left out is not compared."""
        mine = {"processor": self.processor, "cores": self.cores, "threads": self.threads, "torch": self.torch}
        theirs = {**provenance, "torch": _released(str(provenance.get("torch", self.torch)))}
        device = str(provenance.get("device", self.device))
        unnamed = self.device == "cuda" and device != "cpu"
        return (device == self.device or unnamed) and all(theirs.get(key, mine[key]) == mine[key] for key in mine)

    @property
    def words(self) -> str:
        """As people read it: "Some Processor, 2 cores, 1 thread a job"."""
        where = "" if self.device == "cpu" else f"{self.device}, "
        return f"{where}{self.processor}, {self.cores} cores, {self.threads} thread{'s' * (self.threads > 1)} a job"


def this_machine(device: Literal["cpu", "cuda"], threads: int) -> Machine:
    """The machine that this process runs on, for jobs of so many threads on CPU cores or on a GPU."""
    return Machine(
        processor=processor(),
        cores=cores(),
        device=device if device == "cpu" else _gpu(),
        threads=threads,
        torch=_released(version("torch")),
    )


def check_device(device: str, gpus: int, option: str = "--device") -> None:
    """Raises InputError where nothing can be trained on the device of that name, the value of an option.

    That is "cpu", "cuda" (the first GPU), or "cuda:N", the GPUs being counted from 0.
    """
    named = re.fullmatch(r"cpu|cuda(?::(0|[1-9][0-9]{0,3}))?", device)
    if device == "cpu" or (named is not None and int(named[1] or 0) < gpus):
        return
    if named is not None and not gpus:
        raise InputError(f"{option} {device}: there is no NVIDIA device here (or CUDA_VISIBLE_DEVICES hides it)")
    there = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{index}" for index in range(gpus))]
    raise InputError(f"{option} {visible(device)} is no device here: there is {', '.join(there)}")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def memory() -> int | None:
    """Bytes that this process may have at all: the machine's, less where its control group or a limit gives it fewer.

    Swap counts where nothing limits it. None where the system does not tell.
    """
    limits = [*_of_machine(), *_of_groups(), *_of_limit()]
    return min(limits) if limits else None


def _of_machine() -> list[int]:
    try:
        lines = MEMORY.read_text(encoding="utf-8").splitlines()
    except OSError:
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else []
    sizes = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    return [sizes["MemTotal"] + sizes.get("SwapTotal", 0)] if "MemTotal" in sizes else []


def _of_groups() -> list[int]:
    """The limits of all control groups that this process is in, whichever of the two versions."""
    try:
        lines = GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        _, controllers, inside = line.split(":", 2)
        root, name = (CONTROLS, "memory.max") if not controllers else (CONTROLS / "memory", "memory.limit_in_bytes")
        if controllers and "memory" not in controllers.split(","):
            continue
        group = root / inside.lstrip("/")
        # A container sees its own group at the root, whatever it is called outside.
        for folder in dict.fromkeys([root, group, *group.parents]):
            if folder.is_relative_to(root):
                with suppress(OSError, ValueError):
                    limits.append(int((folder / name).read_text(encoding="utf-8")))
    return limits


def _of_limit() -> list[int]:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return [] if limit == resource.RLIM_INFINITY else [limit]


@cache
def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _gpu() -> str:
    """The name of the first GPU by the driver's own table, as torch tells it, too."""
    for file in sorted(GPUS.glob("*/information")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return "cuda"


def _released(torch: str) -> str:
    return torch.partition("+")[0]
