"""Between 8-bit images and what networks see."""

import torch
from torch import Tensor

PICTURES = 64
"""Images in a recorded sample grid."""


def to_unit_range(images: Tensor) -> Tensor:
    """uint8 [B, 3, R, R] -> float in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_8_bit_range(images: Tensor) -> Tensor:
    """[-1, 1] -> float32 in 0..255, not rounded."""
    return images.float().add(1).mul_(127.5)


def rounded(images: Tensor) -> Tensor:
    """Images in 0..255, uint8 or float -> uint8."""
    return images if images.dtype == torch.uint8 else images.round().clamp_(0, 255).to(torch.uint8)


def to_uint8(images: Tensor) -> Tensor:
    """[-1, 1] -> uint8, rounded: generated images are quantised as real ones are."""
    return images.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
