"""A view that changes the grid: at every iteration another quarter of the image, rendered as densely as the whole."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.grids import Grid, Pixels
from core.streams import stream


class Zoom:
    """Half of the columns and half of the rows from a drawn corner on, each pixel twice as wide."""

    def __init__(self, grid: Pixels, seed: int) -> None:
        self.grid, self.random = grid, stream(seed, "zoom")
        self.corner = 0

    def next(self, iteration: int) -> Grid:
        """See `core.views.View`."""
        self.corner = int(torch.randint(0, self.grid.size // 2 + 1, (), generator=self.random))
        return self.grid.at(self.corner + torch.arange(self.grid.size, dtype=torch.float64) / 2)

    def of_real(self, real: Tensor, grid: Grid | None) -> Tensor:
        """See `core.views.View`."""
        part = slice(self.corner, self.corner + self.grid.size // 2)
        return real[..., part, part].repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)

    def state_dict(self) -> dict[str, Any]:
        """See `core.views.View`."""
        return {"random": self.random.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `core.views.View`."""
        self.random.set_state(state["random"])
