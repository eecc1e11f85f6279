"""True windows and faulty ones at any zoom, in the place of generated ones, for `evaluation.octaves`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core import config as cfg
from core.data import rooms, texture
from core.data.room_cells import cells
from core.grids import Cells
from core.metrics.octaves import Draw
from core.metrics.patches import Edges
from tests.support.true_scenes import resampled

POINTS = 4
CENTRES = cfg.Coordinates(sampling="centres")


def of_scenes(indices: np.ndarray, edges: Edges, *, renderer: int = 2, points: int = POINTS) -> Tensor:
    """A window of each scene, uint8 [N, 3, PATCH, PATCH]: means over areas."""
    columns, rows = (each.numpy() for each in edges)
    return torch.from_numpy(cells(indices, columns, rows, renderer=renderer, points=points))


def held_out(draw: Draw) -> Tensor:
    """What a job compares with (`core.data.load.held_out_windows`), of renderer 2."""
    indices = rooms.held_out_indices(draw.first + len(draw.edges[0]))[draw.first :]
    return of_scenes(indices, draw.edges)


@contextmanager
def texture_of(finer: float) -> Iterator[None]:
    """The detail of surfaces so many times as fine as it is."""
    scales = [np.float32(finer) * each for each in texture._scales()]
    with patch.object(texture, "_scales", lambda: scales):
        yield


def of_enlarged(images: Tensor, edges: Edges) -> Tensor:
    """Windows of whole images, uint8 [N, 3, R, R], enlarged bicubically by torch."""
    return resampled(images.float(), Cells(*edges, CENTRES), "bicubic").round().to(torch.uint8)


def blurred(windows: Tensor) -> Tensor:
    """Every cell is seen with its eight neighbours."""
    return F.avg_pool2d(F.pad(windows.float(), [1] * 4, mode="replicate"), 3, stride=1).round().to(torch.uint8)


def elsewhere(windows: Tensor) -> Tensor:
    """Each window in the place opposite to its own: number i is of place i mod 4."""
    return windows.reshape(-1, 4, *windows.shape[1:]).flip(1).flatten(0, 1)


def empty(windows: Tensor, levels: int = 2) -> float:
    """The share of windows no colour of which varies by more than so many 8-bit levels."""
    flat = windows.flatten(2).int()
    return float((flat.amax(2) - flat.amin(2)).le(levels).all(dim=1).double().mean())
