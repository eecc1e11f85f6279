"""A view that changes the grid: at every iteration another quarter of the image, rendered as densely as the whole."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.data.shown import Real
from core.grids import Pixels
from core.streams import stream
from core.views import Sight


class Zoom:
    """Half of the columns and half of the rows from a drawn corner on, each pixel twice as wide."""

    def __init__(self, grid: Pixels, seed: int) -> None:
        self.grid, self.random = grid, stream(seed, "zoom")
        self.corner = 0

    def next(self, iteration: int) -> Sight:
        """See `core.views.View`."""
        self.corner = int(torch.randint(0, self.grid.size // 2 + 1, (), generator=self.random))
        return Sight(self.grid.at(self.corner + torch.arange(self.grid.size, dtype=torch.float64) / 2))

    def of_real(self, real: Real, sight: Sight) -> Tensor:
        """See `core.views.View`."""
        part = slice(self.corner, self.corner + self.grid.size // 2)
        return real.whole[..., part, part].repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)

    def state_dict(self) -> dict[str, Any]:
        """See `core.views.View`."""
        return {"random": self.random.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `core.views.View`."""
        self.random.set_state(state["random"])
