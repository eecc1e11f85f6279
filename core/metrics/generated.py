"""A generator's images as the metrics take them: in batches, rounded to 8 bits as real images are, or as they come."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from core.models.generator import Generator
from core.pixels import to_8_bit_range

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
