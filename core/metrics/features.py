"""Generated images as the metrics take them, in batches, and the features that metrics are computed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from core.models.generator import Generator
from core.pixels import to_8_bit_range

Features = Callable[[Tensor], Tensor]
"""Images [B, 3, R, R] in 0..255, uint8 or float, on any device -> float32 [B, D]."""

FeatureArray = NDArray[np.float32]


@torch.inference_mode()
def features_of(
    images: Iterator[Tensor], extract: Features, limit: int, dtype: torch.dtype = torch.uint8
) -> FeatureArray:
    """Features of the first `limit` images of these batches, float32 [N, D]; the batch that completes them is taken.

    Raises ValueError for fewer images and for other than [B, 3, R, R] of `dtype`. An image that is not finite is the
    caller's to notice.
    """
    features: list[FeatureArray] = []
    count = 0
    while count < limit and (batch := next(images, None)) is not None:
        if batch.dtype != dtype or batch.ndim != 4 or batch.shape[1] != 3:
            wanted = str(dtype).removeprefix("torch.")
            raise ValueError(f"images must be {wanted} [B, 3, R, R], not {batch.dtype} {list(batch.shape)}")
        batch = batch[: limit - count]
        features.append(extract(batch).float().cpu().numpy())
        count += len(batch)
    if count < limit:
        raise ValueError(f"{limit} images are needed and {count} were given")
    return np.concatenate(features)


SAMPLE_BATCH = 256
"""Images in a batch at the training resolution; of larger ones as many as have the same number of pixels."""


@torch.inference_mode()
def generated(
    generator: Generator, latents: Tensor, position_S: Tensor | None = None, *, average: int = 1, quantised: bool = True
) -> Iterator[Tensor]:
    """The images of these latents in batches, [B, 3, R, R] in 0..255, uint8 or with `quantised` off float32.

    NaN pixels raise FloatingPointError.
    `position_S` are other columns and rows than the training images' pixels (`core.grids.Pixels`); then `average` x
    `average` neighbours among them make one pixel.
    """
    batch = SAMPLE_BATCH
    if position_S is not None:
        batch = max(1, batch * generator.pixels.size**2 // len(position_S) ** 2)
    grid = None if position_S is None else generator.pixels.at(position_S)
    for z in latents.split(batch):
        images = generator(z) if grid is None else generator(z, grid)
        if not images.isfinite().all():
            raise FloatingPointError("the generator made a pixel that is not finite")
        images = F.avg_pool2d(images, average) if average > 1 else images
        yield generator.signal.to_stored(images) if quantised else to_8_bit_range(images)
