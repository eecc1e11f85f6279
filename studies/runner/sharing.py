"""How many workers share a GPU: as many as were asked for, or as many as its memory allows, by what was measured.

A worker's memory is its allocator's peak, what its process holds beside the allocator (code that libraries load when
they first need it, a process that evaluates beside), and its context. The allocator tells the first. The others are the
whole GPU's use less what was in use before, which is a worker's own only as long as it is alone: so each GPU has one
worker until that one has seen a whole turn of its loop and an evaluation. Variants differ: the largest peak of any job
so far decides. What other programs take of a GPU is left to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.folder import DeviceMemory

BUDGET = 0.9
"""The share of a GPU's memory that workers and whatever else runs there may take."""

CONTEXT = 2**30
"""No context takes more bytes; where more was in use when a worker had just made its own, that is another program's."""


@dataclass
class _Gpu:
    """`most` workers were asked for, or turned out not to be too many; `beside` are bytes that no allocator tells."""

    most: int
    measured: DeviceMemory | None = None
    beside: int = 0


@dataclass(frozen=True)
class Fit:
    """So many workers of so many bytes each fit into a GPU of `total` bytes."""

    workers: int
    each: int
    total: int


@dataclass
class Sharing:
    """The GPUs of an order, by their places, with at most `most` workers at a time in all.

    With `measures` each has one worker until what that one takes is known.
    """

    gpus: int
    most: int
    measures: bool
    peak: int = 0
    _each: list[_Gpu] = field(init=False)

    def __post_init__(self) -> None:
        self._each = [_Gpu(most=len(range(gpu, self.most, self.gpus))) for gpu in range(self.gpus)]

    def allowed(self, gpu: int) -> int:
        """How many workers may be at this GPU now."""
        its = self._each[gpu]
        if not self.measures:
            return its.most
        fit = self.fit(gpu)
        return min(its.most, 1 if fit is None else fit.workers)

    def fit(self, gpu: int) -> Fit | None:
        """How many of the largest workers so far fit into this GPU, one at least; None where nobody measured there."""
        its = self._each[gpu]
        if its.measured is None:
            return None
        total, used = its.measured.total, its.measured.total - its.measured.free_at_start
        context = min(used, CONTEXT)
        each = self.peak + its.beside + context
        others = used - context
        return Fit(workers=max(1, int((BUDGET * total - others) // each)), each=each, total=total)

    def saw(self, gpu: int, memory: DeviceMemory, *, alone: bool) -> None:
        """Takes in what a worker at this GPU measured; `alone`: it has had the GPU to itself since it started."""
        its = self._each[gpu]
        self.peak = max(self.peak, memory.peak)
        if alone:
            its.measured = memory
            its.beside = max(its.beside, memory.free_at_start - memory.free - memory.reserved)

    def ran_out(self, gpu: int, workers: int) -> int:
        """That many workers were too many for this GPU; returns how many it gets from now on, one at least."""
        its = self._each[gpu]
        its.most = max(1, min(its.most, workers - 1))
        return self.allowed(gpu)
