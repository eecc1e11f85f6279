"""Where an INR is evaluated. A grid alone knows how many numbers make a point, and how values at its points lie."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from core import config as cfg


class Grid(Protocol):
    """Points, and the array that values at them make."""

    inputs: int
    """Numbers of a point."""

    def coordinates(self) -> Tensor:
        """The points, float32 [P, inputs] on the CPU, or [B, P, inputs] where each sample has its own."""
        ...

    def arranged(self, values_BPC: Tensor) -> Tensor:
        """Values at the points as D sees them, [B, C, ...]."""
        ...


class Pixels:
    """Columns and rows of a square image of `resolution` pixels at `position_S`, float64: position i is pixel i, and
    others lie between pixels or outside of them. Without `position_S` every pixel."""

    inputs = 2

    def __init__(self, resolution: int, coordinates: cfg.Coordinates, position_S: Tensor | None = None) -> None:
        self.resolution, self.config = resolution, coordinates
        self.position_S = torch.arange(resolution, dtype=torch.float64) if position_S is None else position_S
        self.size = len(self.position_S)

    def coordinates(self) -> Tensor:
        """[S S, 2] as (x, y) with x = column, row by row."""
        offset = 0.5 if self.config.sampling == "centres" else 0.0
        steps = (self.position_S + offset) / self.resolution
        line = (self.config.low + (self.config.high - self.config.low) * steps).float()
        y, x = torch.meshgrid(line, line, indexing="ij")
        return torch.stack([x.flatten(), y.flatten()], dim=1)

    def arranged(self, values_BPC: Tensor) -> Tensor:
        """[B, C, S, S]."""
        return values_BPC.transpose(1, 2).reshape(len(values_BPC), -1, self.size, self.size)

    def of_size(self, resolution: int) -> Pixels:
        """The same picture in other pixels."""
        return Pixels(resolution, self.config)

    def at(self, position_S: Tensor) -> Pixels:
        """The same picture at other columns and rows, in its own pixels."""
        return Pixels(self.resolution, self.config, position_S)
