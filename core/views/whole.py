"""Whole pictures: in their own pixels, or in others."""

from __future__ import annotations

import torch
from torch import Tensor

from core import config as cfg
from core.arithmetic import growing_stage
from core.data.shown import Real
from core.grids import Cells, evenly_cut
from core.streams import stream
from core.views import WHOLE, FromStream, Sight, Undrawn


class Whole(Undrawn):
    """The whole sample, at every iteration."""

    def next(self, iteration: int) -> Sight:
        """See `View`."""
        return WHOLE

    def of_real(self, real: Real, sight: Sight) -> Tensor:
        """See `View`."""
        return real.whole


def whole_cells(size: int, coordinates: cfg.Coordinates) -> Cells:
    """All of a picture in size x size pixels."""
    edges = evenly_cut(size)
    return Cells(edges, edges, coordinates)


class Resized(Undrawn):
    """The whole picture at the size that `size_at` gives for the iteration."""

    def __init__(self, coordinates: cfg.Coordinates) -> None:
        self.coordinates = coordinates

    def size_at(self, iteration: int) -> int:
        """Pixels a side."""
        raise NotImplementedError

    def next(self, iteration: int) -> Sight:
        """See `View`."""
        cells = whole_cells(self.size_at(iteration), self.coordinates)
        return Sight(cells, cells)

    def of_real(self, real: Real, sight: Sight) -> Tensor:
        """See `View`."""
        return real.seen(sight.real)


class Sizes(FromStream, Resized):
    """See `core.config.Sizes`."""

    def __init__(self, config: cfg.Sizes, coordinates: cfg.Coordinates, seed: int, name: str) -> None:
        super().__init__(coordinates)
        self.sizes, self.random = config.sizes, stream(seed, f"sizes {name}".strip())

    def size_at(self, iteration: int) -> int:
        """See `Resized`."""
        return self.sizes[int(torch.randint(0, len(self.sizes), (), generator=self.random))]


class Growing(Resized):
    """See `core.config.Growing`."""

    def __init__(self, config: cfg.Growing, coordinates: cfg.Coordinates, iterations: int) -> None:
        super().__init__(coordinates)
        self.config, self.iterations = config, iterations

    def size_at(self, iteration: int) -> int:
        """See `Resized`."""
        return self.config.sizes[growing_stage(self.config, iteration, self.iterations)]
