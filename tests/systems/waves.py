"""A 1-d signal of one channel: f(t) -> amplitude, waves on a line, and a discriminator of one dimension."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from core import config as cfg
from core.pixels import to_uint8, to_unit_range


class Waves(cfg.Node):
    """`resolution` samples of a sine of random phase and of one of two frequencies."""

    kind: Literal["waves"] = "waves"
    resolution: int = 16


class Conv(cfg.Node):
    """One convolution, one linear score."""

    kind: Literal["conv_1d"] = "conv_1d"
    width: int = 8
    blocks: int = 0


class Config(cfg.Config):
    """A GAN of waves."""

    data: Waves = Waves()  # type: ignore[assignment]
    discriminator: Conv = Conv()  # type: ignore[assignment]


class Line:
    """`count` points between the ends of the coordinates."""

    inputs = 1

    def __init__(self, count: int, coordinates: cfg.Coordinates) -> None:
        self.count, self.config = count, coordinates

    def coordinates(self) -> Tensor:
        """[P, 1]."""
        steps = (torch.arange(self.count) + 0.5) / self.count
        return (self.config.low + (self.config.high - self.config.low) * steps).unsqueeze(1)

    def arranged(self, values_BPC: Tensor) -> Tensor:
        """[B, 1, P]."""
        return values_BPC.transpose(1, 2)


class Tone:
    """An amplitude in 8 bits."""

    channels, suffix = 1, ".npy"

    def to_network(self, stored: Tensor) -> Tensor:
        """See `core.signals.Signal`."""
        return to_unit_range(stored)

    def to_stored(self, values: Tensor) -> Tensor:
        """See `core.signals.Signal`."""
        return to_uint8(values)

    def write(self, file: Path, stored: Tensor, columns: int = 8) -> None:
        """See `core.signals.Signal`."""
        np.save(file, stored.cpu().numpy())


class Discriminator(nn.Module):
    """[B, 1, P] -> scores [B]."""

    def __init__(self, width: int, points: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, width, 5, padding=2)
        self.score = nn.Linear(width * points, 1)

    def forward(self, samples: Tensor, minibatches: int = 1) -> Tensor:
        """One score each."""
        scores: Tensor = self.score(self.conv(samples).relu().flatten(1)).squeeze(1)
        return scores


def drawn(count: int, points: int = 16) -> Tensor:
    """Waves, uint8 [count, 1, points]."""
    random = torch.Generator().manual_seed(0)
    phase = 2 * math.pi * torch.rand(count, 1, 1, generator=random)
    turns = 1 + torch.randint(0, 2, (count, 1, 1), generator=random)
    return to_uint8(0.8 * torch.sin(2 * math.pi * turns * torch.arange(points) / points + phase))
