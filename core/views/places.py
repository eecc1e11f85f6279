"""Channels that tell a critic which part of the picture it sees, and how densely."""

from __future__ import annotations

import torch
from torch import Tensor

from core.grids import Cells, Grid, Pair

CHANNELS = 3


class PlaceChannels:
    """See `core.config.Places`; `whole` is the picture in its own pixels, of which the third channel is 0."""

    def __init__(self, scale: float, whole: Cells) -> None:
        self.scale, self.whole = scale, whole
        self.own_side = float(whole.columns.diff()[0])

    def of(self, grid: Grid | Pair | None) -> Tensor:
        """float32 [1 or B, 3, H, W] on the CPU; of a pair of grids the channels of both, [.., 6, H, W]."""
        match grid:
            case None:
                return self._of(self.whole)
            case Cells():
                return self._of(grid)
            case Pair(first=first, second=second):
                both = [self._of(first), self._of(second)]
                images = max(len(part) for part in both)
                return torch.cat([part.expand(images, -1, -1, -1) for part in both], dim=1)
            case _:
                raise TypeError(f"a {type(grid).__name__} has no columns and rows")

    def _of(self, cells: Cells) -> Tensor:
        columns, rows = torch.atleast_2d(cells.columns), torch.atleast_2d(cells.rows)
        images = max(len(columns), len(rows))
        shape = (images, cells.height, cells.width)
        x, y = (edges[:, :-1] + edges[:, 1:] - 1 for edges in (columns, rows))
        wide, high = ((edges.diff(dim=-1) / self.own_side).log2() for edges in (columns, rows))
        density = (wide[:, None, :] + high[:, :, None]) / 2
        channels = [x[:, None, :].expand(shape), y[:, :, None].expand(shape), density.expand(shape)]
        return self.scale * torch.stack(channels, dim=1).float()
