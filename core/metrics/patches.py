"""Windows of a picture at any scale, and the distance of their features: of all places together, and of each.

A window at zoom k shows 1 / k of the picture's side in `PATCH` x `PATCH` cells. Generated and real ones follow one
law: a quarter of the windows lies in each quarter of the places that there are, uniformly. Together they lie uniformly;
taken apart they tell detail in the wrong place, which no distance of all of them sees.

Windows begin on whole pixels of the real images, of which their cells are whole numbers. Anywhere else means of pixels
would be of a blurred picture, and every blurred generator nearer to it: by a quarter at cells of one pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.config import PATCH
from core.data.windows import area_means
from core.grids import evenly_cut
from core.metrics.features import FeatureArray
from core.metrics.frechet import Gaussian, frechet_distance

PLACES = ("upper_left", "upper_right", "lower_left", "lower_right")

Edges = tuple[Tensor, Tensor]
"""Columns and rows of windows, float64 [B, PATCH + 1] in units of the picture."""


def windows(count: int, zoom: int, pixels: int, random: torch.Generator) -> Edges:
    """The edges of `count` windows, number i in place i mod 4 of `PLACES`, uniform there in steps of 1 / `pixels`."""
    i = torch.arange(count)
    place = torch.stack([i % 2, i // 2 % 2], dim=1)
    # The middle one of an odd number of steps is of both sides, and as likely as any other.
    steps = pixels - pixels // zoom + 1
    share = (place + torch.rand(count, 2, generator=random, dtype=torch.float64)) / 2
    at = (share * steps).floor() / pixels
    columns, rows = (evenly_cut(PATCH, at[:, axis], at[:, axis] + 1 / zoom) for axis in (0, 1))
    return columns, rows


def real_windows(images: Tensor, zoom: int, random: torch.Generator, batch: int = 64) -> Tensor:
    """Of each image [M, 3, F, F] one window in every place, uint8 [4 M, 3, PATCH, PATCH]: means over areas, rounded."""
    columns, rows = windows(len(PLACES) * len(images), zoom, images.shape[-1], random)
    of_each = len(PLACES)
    found = [
        area_means(part.repeat_interleave(of_each, 0), *edges, rounded=True).to(torch.uint8)
        for part, *edges in zip(
            images.split(batch), columns.split(of_each * batch), rows.split(of_each * batch), strict=True
        )
    ]
    return torch.cat(found)


def together(parts: Sequence[Gaussian], count: int) -> Gaussian:
    """The Gaussian of sets of features of `count` each, from those of the sets."""
    mean = np.mean([part.mean for part in parts], axis=0)
    between = [np.outer(part.mean - mean, part.mean - mean) for part in parts]
    within = [part.covariance for part in parts]
    total = (count - 1) * np.sum(within, axis=0) + count * np.sum(between, axis=0)
    return Gaussian(mean, total / (count * len(parts) - 1))


def patch_distances(fake: FeatureArray, real: Sequence[Gaussian], whole: Gaussian) -> list[float]:
    """Frechet distances of features [N, D] of `windows`: of all, of each place, and the mean of the places'.

    `real` are the Gaussians of the places, `whole` that of all. All are `inf` where a feature is not finite.
    """
    if not np.isfinite(fake).all():
        return [float("inf")] * (len(PLACES) + 2)
    places = [frechet_distance(Gaussian.fit(fake[place :: len(PLACES)]), there) for place, there in enumerate(real)]
    return [frechet_distance(Gaussian.fit(fake), whole), *places, float(np.mean(places))]
