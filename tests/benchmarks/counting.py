"""What an iteration costs by arithmetic: operations and bytes counted, and what this device can do of either."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

from core import precision
from core.config import Precision


class Counter(TorchDispatchMode):
    """Sums the operations of products, and the bytes that all operations read and write when each goes to memory for
    itself. Views cost nothing. torch's own counter of operations cannot stand `torch.autograd.grad`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        read = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
        written = [x for x in tree_iter(found) if isinstance(x, Tensor)]
        storages = {x.untyped_storage()._cdata for x in read}
        changes = func._schema.is_mutable
        if changes or any(x.untyped_storage()._cdata not in storages for x in written):
            self.bytes += sum(x.numel() * x.element_size() for x in read + written)
        if (flops := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += flops(*args, **(kwargs or {}), out_val=found)
        return found


@dataclass(frozen=True)
class Work:
    """Of one iteration: floating point operations of matrix products and convolutions, and unfused bytes."""

    flops: float
    bytes: float


def counted(iterate: Callable[[int], object], iterations: int) -> Work:
    """Means over `iterations` iterations from 1 on, a whole period of the loop."""
    with Counter() as counter:
        for iteration in range(1, iterations + 1):
            iterate(iteration)
    return Work(counter.flops / iterations, counter.bytes / iterations)


@dataclass(frozen=True)
class Device:
    """What large operations reach here: FLOP/s of a square matrix product, bytes/s of a copy, read and written."""

    flops: float
    bandwidth: float


def reached(device: torch.device, how: Precision, *, size: int, megabytes: int) -> Device:
    """Medians of 9 products and copies, in this process's number of threads."""
    kind = torch.bfloat16 if how == "bfloat16" else torch.float32
    a = torch.randn(size, size, device=device, dtype=kind)
    block = torch.zeros(megabytes << 18, device=device)
    other = torch.empty_like(block)
    with precision.products(how):
        product = timed(lambda: a @ a, device)
    copy = timed(lambda: other.copy_(block), device)
    return Device(2 * size**3 / product, 2 * block.nbytes / copy)


def timed(work: Callable[[], object], device: torch.device, rounds: int = 9) -> float:
    """Median seconds of `work`, the device's queue included."""
    times = []
    for _ in range(rounds + 2):
        synchronise(device)
        started = time.perf_counter()
        work()
        synchronise(device)
        times.append(time.perf_counter() - started)
    return statistics.median(times[2:])


def synchronise(device: torch.device) -> None:
    """Waits until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Parts:
    """Seconds of each part of an iteration, by `core.step.Part`; on a GPU it waits for it at the seams."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, dict[str, float]()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        synchronise(self.device)
        started = time.perf_counter()
        yield
        synchronise(self.device)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
