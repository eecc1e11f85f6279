"""What the values of an INR mean. A signal alone knows its channels, and how values are stored."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from core.pixels import to_uint8, to_unit_range


class Signal(Protocol):
    """Values in [-1, 1] and what is stored of them."""

    channels: int
    """Values at a point."""

    def to_network(self, stored: Tensor) -> Tensor:
        """Stored values [B, C, ...] as D and a fit see them, float in [-1, 1]."""
        ...

    def to_stored(self, values: Tensor) -> Tensor:
        """Values in [-1, 1] as real ones are stored."""
        ...


class Picture:
    """RGB in 8 bits a channel, uint8 [B, 3, H, W]."""

    channels = 3

    def to_network(self, stored: Tensor) -> Tensor:
        """Channels last, as convolutions are fastest."""
        return to_unit_range(stored).contiguous(memory_format=torch.channels_last)

    def to_stored(self, values: Tensor) -> Tensor:
        """See `Signal`."""
        return to_uint8(values)
