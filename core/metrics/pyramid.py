"""Sliced Wasserstein distance on Laplacian pyramids (Karras et al. 2018, sec. 5): small patches of every size, without
a network. The constants are those of their public code (`sliced_wasserstein.py`, `laplacian_pyramid.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

NEIGHBOURHOOD, AN_IMAGE = 7, 128
"""Pixels of a patch's side, and patches of an image at each level."""
REPEATS, DIRECTIONS = 4, 128
SMALLEST = 16
"""Pixels of the side of the last level."""
SHOWN_AS = 1e3
"""What distances are multiplied with, as theirs are."""

Descriptors = NDArray[np.float32]
"""[patches, 3 * 7 * 7], standardised colour by colour."""


def levels(side: int) -> tuple[int, ...]:
    """Sides of the pyramid's levels, halved down to `SMALLEST` or as long as they are even."""
    sides = [side]
    while sides[-1] % 2 == 0 and sides[-1] // 2 >= SMALLEST:
        sides.append(sides[-1] // 2)
    return tuple(sides)


def pyramid(images: Tensor) -> list[Tensor]:
    """Laplacian pyramid (Burt and Adelson 1983) of [B, 3, R, R] in 0..255: details of each level, the last one whole.

    Levels are float32 [B, 3, side, side] in the order of `levels`.
    """
    found = [images.float()]
    for _ in levels(images.shape[-1])[1:]:
        smaller = _blurred(found[-1])[..., ::2, ::2]
        larger = torch.zeros_like(found[-1])
        larger[..., ::2, ::2] = smaller
        found[-1] = found[-1] - 4 * _blurred(larger)
        found.append(smaller)
    return found


def _blurred(images: Tensor) -> Tensor:
    line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=images.device) / 16
    channels = images.shape[1]
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    across = F.conv2d(padded, line.expand(channels, 1, 1, 5), groups=channels)
    return F.conv2d(across, line[:, None].expand(channels, 1, 5, 1), groups=channels)


def descriptors(level: Tensor, random: torch.Generator) -> Descriptors:
    """`AN_IMAGE` patches of each image of a level [B, 3, R, R], at random places, standardised over all of them."""
    count, side = len(level), level.shape[-1]
    first = torch.randint(0, side - NEIGHBOURHOOD + 1, (2, count * AN_IMAGE), generator=random)
    within = torch.arange(NEIGHBOURHOOD)
    image = torch.arange(count).repeat_interleave(AN_IMAGE)
    rows, columns = (first[:, :, None] + within).unbind()
    # Indices on both sides of the colours put them last.
    patches = level.cpu()[image[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    spread, mean = torch.std_mean(patches, dim=(0, 2, 3), keepdim=True, correction=0)
    # A level without any detail has no direction: all of its patches are alike.
    standardised = (patches - mean) / spread.clamp(min=1e-6)
    found: Descriptors = standardised.flatten(1).numpy()
    return found


def sliced_distance(one: Descriptors, other: Descriptors, random: torch.Generator) -> float:
    """Mean over directions of the Wasserstein-1 distance of projections, of as many patches on either side.

    Raises ValueError for unequal numbers.
    """
    if one.shape != other.shape:
        raise ValueError(f"{len(one)} and {len(other)} patches: a sliced distance is of equal numbers")
    distances = []
    for _ in range(REPEATS):
        direction = torch.randn(one.shape[1], DIRECTIONS, generator=random)
        direction /= direction.norm(dim=0)
        mine, theirs = (np.sort((direction.T @ torch.from_numpy(side).T).numpy(), axis=1) for side in (one, other))
        distances.append(np.abs(mine - theirs).mean(dtype=np.float64))
    return float(np.mean(distances))


def pyramid_descriptors(images: Tensor, random: torch.Generator) -> list[Descriptors]:
    """Those of each of `levels`, of images [B, 3, F, F] in 0..255."""
    return [descriptors(level, random) for level in pyramid(images)]


def pyramid_distances(fake: Sequence[Descriptors], real: Sequence[Descriptors], random: torch.Generator) -> list[float]:
    """The distance times `SHOWN_AS` at each level; `random` draws directions."""
    return [SHOWN_AS * sliced_distance(mine, theirs, random) for mine, theirs in zip(fake, real, strict=True)]
