"""Features of images: what every metric here is computed on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    found: list[FeatureArray] = []
    count = 0
    while count < limit and (batch := next(images, None)) is not None:
        if batch.dtype != dtype or batch.ndim != 4 or batch.shape[1] != 3:
            wanted = str(dtype).removeprefix("torch.")
            raise ValueError(f"images must be {wanted} [B, 3, R, R], not {batch.dtype} {list(batch.shape)}")
        batch = batch[: limit - count]
        found.append(extract(batch).float().cpu().numpy())
        count += len(batch)
    if count < limit:
        raise ValueError(f"{limit} images are needed and {count} were given")
    return np.concatenate(found)
