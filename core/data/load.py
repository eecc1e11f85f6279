"""The images of a run as tensors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.config import Data, Pool, Rooms
from core.data.prepare import prepare, prepare_pool, prepare_real, prepare_windows
from core.data.prepared import Progress
from core.data.rooms import held_out_indices


@dataclass(frozen=True)
class ImageSet:
    """`train` uint8 [N, 3, R, R] is what the discriminator sees, `real` uint8 [M, 3, R, R] the metric's real set.

    For rooms `real` are held-out scenes; for images of a person it is the training set itself, FID's usual convention.
    """

    train: Tensor
    real: Tensor


def load(
    data: Data, *, path: Path | None = None, cache: Path, progress: Progress | None = None, workers: int = 1
) -> ImageSet:
    """The images that `data` describes, as `core.data.prepare.prepare` finds or makes them; raises what it raises."""
    train, real = prepare(data, path=path, cache=cache, progress=progress, workers=workers)
    return ImageSet(train=_tensor(train), real=_tensor(real))


def load_real(
    data: Data, resolution: int, *, path: Path | None = None, cache: Path, progress: Progress | None = None
) -> Tensor:
    """The metric's real set at another resolution, uint8 [M, 3, R, R]: see `core.data.prepare.prepare_real`."""
    return _tensor(prepare_real(data, resolution, path=path, cache=cache, progress=progress))


def stored_pool(
    data: Data, pool: Pool, *, path: Path | None = None, cache: Path, progress: Progress | None = None
) -> Tensor:
    """Training images in more detail, uint8 [M, 3, F, F]: see `core.data.prepare.prepare_pool`."""
    return _tensor(prepare_pool(data, pool, path=path, cache=cache, progress=progress))


def held_out_windows(
    data: Rooms, first: int, columns: Tensor, rows: Tensor, *, points: int, cache: Path, workers: int = 1
) -> Tensor:
    """A window of each of the held-out scenes from number `first` on, uint8 [N, 3, H, W], however many `data` has of
    them: see `core.data.prepare.prepare_windows`."""
    indices = held_out_indices(first + len(columns))[first:]
    edges = columns.numpy(), rows.numpy()
    return _tensor(prepare_windows(data, indices, *edges, points=points, cache=cache, workers=workers))


def _tensor(array: NDArray[np.uint8]) -> Tensor:
    """The array's own memory; of a mapped file it must not be written to, which torch cannot promise."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
