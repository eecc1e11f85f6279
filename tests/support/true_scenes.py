"""True images in a generator's place: what a perfect INR, and those with one known fault, read in `evaluation.scales`.

Latents are numbers of scenes. An image answers any cells as the fault has it: the means over areas that real windows
are, points, what its 16 x 16 pixels know, or an image that was made worse.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core import config as cfg
from core.data.windows import area_means
from core.grids import Cells, Pixels
from core.pixels import to_unit_range
from core.signals import Picture
from tests.support.corruptions import noise

TRAINED = 16

Answer = Callable[[Tensor, Cells], Tensor]
"""Images [B, 3, F, F] in 0..255 and cells -> values in them, [B, 3, H, W]."""


class Scenes:
    """A generator's double: latent [i, ...] is image i of `images`, uint8 [N, 3, F, F], modulo `different` of them."""

    signal = Picture()

    def __init__(self, images: Tensor, answer: Answer, different: int | None = None) -> None:
        self.pixels = Pixels(TRAINED, cfg.Coordinates(sampling="centres"))
        self.images, self.answer, self.different = images, answer, different or len(images)

    def __call__(self, latents: Tensor, grid: Cells | None = None) -> Tensor:
        images = self.images[latents[:, 0].long() % self.different]
        if grid is None:
            # As it is trained: means over the coarse pixels, which no 8 bits round.
            return to_unit_range(F.avg_pool2d(images.float(), images.shape[-1] // TRAINED))
        return to_unit_range(self.answer(images, grid))


def latents_of(count: int) -> Tensor:
    """Those of as many scenes, [count, 1]."""
    return torch.arange(count, dtype=torch.float32)[:, None]


def coarse(images: Tensor) -> Tensor:
    """The 16 x 16 images, uint8."""
    return F.avg_pool2d(images.float(), images.shape[-1] // TRAINED).round().to(torch.uint8)


# --- right, or as right as 16 x 16 pixels are -------------------------------------------------------------------------


def areas(images: Tensor, cells: Cells) -> Tensor:
    """Means over the very cells."""
    return area_means(images, cells.columns, cells.rows)


def points(images: Tensor, cells: Cells) -> Tensor:
    """The pixel in whose area the middle of a cell lies; of images at points, the nearest of them."""
    return resampled(images.float(), cells, "nearest")


def boxes(images: Tensor, cells: Cells) -> Tensor:
    """Means over a coarse pixel's area, whatever the cell: what an INR holds that has learned them without error."""
    side = images.shape[-1] // TRAINED
    padded = F.pad(images.float(), [side // 2] * 4, mode="replicate")
    # One value on each corner of pixels, so that the middles of twice coarser cells have theirs.
    return resampled(F.avg_pool2d(padded, side, stride=1), cells, "bilinear", corners=True)


def enlarged(method: str, images: Tensor, cells: Cells) -> Tensor:
    """The 16 x 16 image, enlarged by torch."""
    return resampled(coarse(images).float(), cells, method)


def resampled(images: Tensor, cells: Cells, method: str, *, corners: bool = False) -> Tensor:
    """Values at the middles of cells, [B, 3, H, W], by `grid_sample`; `corners`: the outer values lie on the frame."""
    coordinates = cells.config
    at = (cells.coordinates() - coordinates.low) / (coordinates.high - coordinates.low)
    grid = (2 * at - 1).reshape(*at.shape[:-2], cells.height, cells.width, 2).expand(len(images), -1, -1, -1)
    found = F.grid_sample(images, grid, mode=method, padding_mode="border", align_corners=corners)
    return found.clamp(0, 255)


# --- controls ---------------------------------------------------------------------------------------------------------


def noisy(levels: float, images: Tensor, cells: Cells) -> Tensor:
    """Noise of so many 8-bit levels on each cell."""
    found = areas(images, cells)
    return (found + levels * torch.from_numpy(noise(tuple(found.shape)))).clamp(0, 255)


def blurred(images: Tensor, cells: Cells) -> Tensor:
    """Every cell is seen with its eight neighbours."""
    padded = F.pad(areas(images, cells), [1] * 4, mode="replicate")
    return F.avg_pool2d(padded, 3, stride=1)


def misplaced(images: Tensor, cells: Cells) -> Tensor:
    """Windows show the place half of the way across, both ways, and together the same; whole images exchange halves."""
    if cells.columns.ndim == 1:
        half = cells.height // 2
        return areas(images, cells).roll((half, half), dims=(2, 3))

    def moved(edges: Tensor) -> Tensor:
        room = 1 - (edges[:, -1:] - edges[:, :1])
        return edges - edges[:, :1] + (edges[:, :1] + room / 2) % room

    return areas(images, Cells(moved(cells.columns), moved(cells.rows), cells.config))


def shuffled(images: Tensor) -> Tensor:
    """Each sixteenth of an image is that of another one, in its place: every part is right, the whole is not."""
    random, side = np.random.default_rng(0), images.shape[-1] // 4
    found = images.clone()
    for row in range(0, 4 * side, side):
        for column in range(0, 4 * side, side):
            part = (..., slice(row, row + side), slice(column, column + side))
            found[part] = images[random.permutation(len(images))][part]
    return found


def jittered(images: Tensor) -> Tensor:
    """Each sixteenth of an image is off by up to a sixteenth of its own side, either way: lines break, little else."""
    random, side = np.random.default_rng(0), images.shape[-1] // 4
    most = max(1, side // 16)
    found = images.clone()
    for row in range(0, 4 * side, side):
        for column in range(0, 4 * side, side):
            down, across = (np.clip(at + random.integers(-most, most + 1), 0, 3 * side) for at in (row, column))
            found[..., row : row + side, column : column + side] = images[
                ..., down : down + side, across : across + side
            ]
    return found


ORACLES: dict[str, Answer] = {
    "means over the cells": areas,
    "points": points,
    "means over 1/16 boxes": boxes,
    "16 x 16, bicubic": partial(enlarged, "bicubic"),
    "16 x 16, nearest": partial(enlarged, "nearest"),
    "16 x 16, bilinear": partial(enlarged, "bilinear"),
}
