"""Images made worse in ways that a person sees, which a metric of images has to read as further from real ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

Corruption = Callable[[np.ndarray, float], np.ndarray]
"""Of float images [N, 3, R, R] in 0..255 and a strength."""


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def quantised(images: np.ndarray) -> np.ndarray:
    return np.clip(np.round(images), 0, 255).astype(np.uint8)


def coarser(images: np.ndarray, factor: float) -> np.ndarray:
    """Means over areas at 1 / factor of the side, enlarged bilinearly."""
    side = images.shape[-1]
    small = F.interpolate(torch.from_numpy(images), size=int(side / factor), mode="area")
    return F.interpolate(small, size=side, mode="bilinear", align_corners=False).numpy()


def joined(images: np.ndarray) -> np.ndarray:
    """Left halves beside other images' right halves."""
    half = images.shape[-1] // 2
    return np.concatenate([images[..., :half], images[::-1, ..., half:]], axis=-1)


CORRUPTIONS: dict[str, tuple[Corruption, list[float]]] = {
    # standard deviation in units of the [-1, 1] range's half, 127.5 levels
    "noise": (lambda x, sd: x + 127.5 * sd * noise(x.shape), [0.05, 0.1, 0.2, 0.4]),
    "blur": (lambda x, pixels: gaussian_filter(x, (0, 0, pixels, pixels)), [0.5, 1, 2, 4]),
    "mode collapse": (lambda x, lost: np.resize(x[: max(1, int(len(x) / lost))], x.shape), [4, 16, 64, 256, 2048]),
    "greying": (lambda x, share: x + share * (x.mean(1, keepdims=True) - x), [0.25, 0.5, 0.75, 1]),
    "pull to the mean": (lambda x, share: x + share * (x.mean(0) - x), [0.25, 0.5, 0.75, 1]),
}

OF_PHOTOGRAPHS: dict[str, tuple[Corruption, list[float]]] = {
    **CORRUPTIONS,
    "a lower resolution, enlarged": (coarser, [2, 4, 8]),
    # At 1 they are exchanged, which natural colours come nearer to than to having one of two.
    "red mixed with blue": (lambda x, share: x + share * (x[:, ::-1] - x), [0.25, 0.5]),
}
