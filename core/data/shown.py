"""The real images of an iteration, as the views of critics show them."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from core.data.feed import Batch
from core.data.fine import FineImages, in_cells
from core.data.windows import Filter
from core.grids import Cells, Grid, Pair
from core.signals import Signal


class Real:
    """A batch, and where its images are to be had in more detail; `fine` None: nowhere."""

    def __init__(self, batch: Batch, signal: Signal, fine: FineImages | None = None) -> None:
        self.batch, self.signal, self.fine = batch, signal, fine

    @cached_property
    def whole(self) -> Tensor:
        """All of them as D sees them, [B, C, ...] in [-1, 1]."""
        return self.signal.to_network(self.batch.images)

    def part(self, images: slice) -> Real:
        """Those of these places in the batch."""
        part = Real(self.batch.part(images), self.signal, self.fine)
        if "whole" in vars(self):  # What is made of all of them is not made again, nor made for a part alone.
            part.whole = self.whole[images]
        return part

    def seen(self, grid: Grid | Pair | None, filtered: Filter = "box") -> Tensor:
        """Them in these cells, [B, C, H, W] in [-1, 1], in 8 bits as all real images are."""
        assert isinstance(grid, Cells)
        if self.fine is None:
            stored = in_cells(self.batch.images, grid, filtered)
        else:
            stored = self.fine.seen(self.batch, grid, filtered)
        return self.signal.to_network(stored)
