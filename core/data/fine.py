"""Training images in more detail than D's whole ones: of a pool that is stored, or drawn as they are looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, assert_never

import numpy as np
import torch
from torch import Tensor

from core.config import AnyFine, Data, Images, Pool, Rooms, Scenes
from core.data.feed import Batch, chosen
from core.data.load import stored_pool
from core.data.prepared import Progress
from core.data.room_cells import cells as room_cells
from core.data.windows import Filter, seen_in
from core.grids import Cells
from core.pixels import rounded


class FineImages(Protocol):
    """What windows of the training set's images are cut from."""

    def seen(self, batch: Batch, grid: Cells, filtered: Filter) -> Tensor:
        """The images of a batch in these cells, uint8 [B, C, H, W], where the batch is."""
        ...


class Stored:
    """`images`, uint8 [M, 3, F, F]: of training image i it is i modulo M. With `points` its pixels are values in their
    middles, and a cell is the one that its own middle lies in."""

    def __init__(self, images: Tensor, *, points: bool = False) -> None:
        self.images, self.points = images, points

    def seen(self, batch: Batch, grid: Cells, filtered: Filter) -> Tensor:
        """See `FineImages`."""
        there = self.images.device
        mirrored = None if batch.mirrored is None else batch.mirrored.to(there)
        images = chosen(self.images, (batch.indices % len(self.images)).to(there), mirrored)
        return in_cells(images.to(batch.images.device, non_blocking=True), grid, "nearest" if self.points else filtered)


class Drawn:
    """The scenes themselves, the mean of `points` x `points` points a cell, at any scale. Filters are not for them."""

    def __init__(self, data: Rooms, points: int) -> None:
        self.data, self.points = data, points

    def seen(self, batch: Batch, grid: Cells, filtered: Filter) -> Tensor:
        """See `FineImages`."""
        columns, rows = (edges.expand(len(batch.indices), -1).numpy() for edges in (grid.columns, grid.rows))
        if batch.mirrored is not None:
            columns = columns.copy()
            columns[batch.mirrored.numpy()] = 1 - columns[batch.mirrored.numpy(), ::-1]
        drawn = room_cells(
            batch.indices.numpy().astype(np.uint64),
            columns,
            rows,
            seed=self.data.seed,
            renderer=self.data.renderer,
            points=self.points,
        )
        images = torch.from_numpy(drawn)
        if batch.mirrored is not None:
            images[batch.mirrored] = images[batch.mirrored].flip(-1)
        return images.to(batch.images.device, non_blocking=True)


def in_cells(images: Tensor, grid: Cells, filtered: Filter = "box") -> Tensor:
    """Stored images, uint8 [B, 3, F, F], as they look in cells, rounded to 8 bits."""
    return rounded(seen_in(images, grid.columns, grid.rows, filtered))


def fine_images(
    data: Data, fine: AnyFine | None, *, path: Path | None = None, cache: Path, progress: Progress | None = None
) -> FineImages | None:
    """What `fine` asks for; raises InputError where it cannot be had."""
    points = isinstance(data, Rooms) and data.shown == "points"
    match fine:
        case None:
            return None
        case Pool():
            return Stored(stored_pool(data, fine, path=path, cache=cache, progress=progress), points=points)
        case Scenes():
            # That these are rooms is the config's own rule.
            assert not isinstance(data, Images)
            return Drawn(data, 1 if points else fine.points)
        case _:
            assert_never(fine)
