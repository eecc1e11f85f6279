"""The meaning of the values of an INR. A signal alone knows its channels, and how values are stored."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.files import write_whole
from core.pixels import to_uint8, to_unit_range


class Signal(Protocol):
    """Values in [-1, 1] and what is stored of them."""

    channels: int
    """Values at a point."""
    suffix: str
    """Of the files in which samples are kept."""

    def to_network(self, stored: Tensor) -> Tensor:
        """Stored values [B, C, ...] as D and a fit see them, float in [-1, 1]."""
        ...

    def to_stored(self, values: Tensor) -> Tensor:
        """Values in [-1, 1] as real ones are stored."""
        ...

    def write(self, file: Path, stored: Tensor, columns: int = 8) -> None:
        """Keeps stored samples [N, C, ...] in one file to look at, so many beside each other."""
        ...


class Picture:
    """RGB in 8 bits a channel, uint8 [B, 3, H, W]."""

    channels, suffix = 3, ".png"

    def to_network(self, stored: Tensor) -> Tensor:
        """Channels last, as convolutions are fastest."""
        return to_unit_range(stored).contiguous(memory_format=torch.channels_last)

    def to_stored(self, values: Tensor) -> Tensor:
        """See `Signal`."""
        return to_uint8(values)

    def write(self, file: Path, stored: Tensor, columns: int = 8) -> None:
        """One PNG, row by row and without gaps."""
        tiles = stored.cpu().numpy()
        count, _, size, _ = tiles.shape
        rows = -(-count // columns)
        padded = np.zeros((rows * columns, 3, size, size), np.uint8)
        padded[:count] = tiles
        grid = padded.reshape(rows, columns, 3, size, size).transpose(0, 3, 1, 4, 2)
        content = io.BytesIO()
        Image.fromarray(grid.reshape(rows * size, columns * size, 3)).save(content, format="png")
        write_whole(file, content.getvalue())
