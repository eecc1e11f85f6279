"""The real images of an iteration, as the views of critics show them."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from core.data.feed import Batch, chosen
from core.data.windows import Filter, seen_in
from core.grids import Cells, Grid
from core.pixels import rounded
from core.signals import Signal


class Real:
    """A batch, and where its images are to be had in more detail: `fine`, uint8 [M, 3, F, F], None: nowhere.

    Of image i of the training set the fine one is i modulo M.
    """

    def __init__(self, batch: Batch, signal: Signal, fine: Tensor | None = None) -> None:
        self.batch, self.signal, self.fine = batch, signal, fine

    @cached_property
    def whole(self) -> Tensor:
        """All of them as D sees them, [B, C, ...] in [-1, 1]."""
        return self.signal.to_network(self.batch.images)

    def part(self, images: slice) -> Real:
        """Those of these places in the batch."""
        part = Real(self.batch.part(images), self.signal, self.fine)
        # What is made of all of them is not made again.
        part.whole = self.whole[images]
        return part

    def seen(self, grid: Grid | None, filtered: Filter = "box") -> Tensor:
        """Them in these cells, [B, C, H, W] in [-1, 1], in 8 bits as all real images are."""
        assert isinstance(grid, Cells)
        stored, indices, mirrored = self.batch
        if self.fine is not None:
            places = (indices % len(self.fine)).to(self.fine.device)
            there = None if mirrored is None else mirrored.to(self.fine.device)
            stored = chosen(self.fine, places, there).to(stored.device, non_blocking=True)
        columns, rows = (torch.atleast_2d(edges) for edges in (grid.columns, grid.rows))
        return self.signal.to_network(rounded(seen_in(stored, columns, rows, filtered)))
