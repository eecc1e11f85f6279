"""Between 8-bit images and what networks see."""

import torch
from torch import Tensor

PICTURES = 64
"""Images in a recorded sample grid."""


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 [B, 3, R, R] -> float in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """[-1, 1] -> uint8, rounded: generated images are quantised as real ones are."""
    return images.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
