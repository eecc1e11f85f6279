"""Images made larger without a generator: interpolations, with Lanczos' kernel among them, and sharpening.

A position is in units of the coarse image's pixels: i is its pixel i. Where the fine pixels lie is a convention, and
two are in use. "centres" divides the coarse pixels' areas, as every image library does (`align_corners=False`).
"corners" keeps the coarse samples as every `factor`-th fine one, as the author's grid `arange(0, S) / S` does; its
images are shifted by half a fine pixel at factor 2 against those of "centres", and against real ones.
"""

from __future__ import annotations

import math
from typing import Literal, assert_never, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from core.pixels import rounded

Convention = Literal["centres", "corners"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
Sampled = Literal["nearest", "bilinear", "bicubic"]
"""What torch's own sampling has."""

Method = Literal["nearest", "bilinear", "bicubic", "lanczos", "sharpened"]
METHODS: tuple[Method, ...] = get_args(Method)

LOBES = 3
"""The a of Lanczos' kernel, as of PIL's LANCZOS."""

AMOUNT = 0.5
"""How much of what a blur takes away is added in sharpening. One number for all data, chosen without any generator:
of the amounts that docs/upsampling.md lists the one with which true coarse rooms, enlarged, are nearest to true fine
ones, by training scenes alone."""

BLUR = 0.5
"""The standard deviation of that blur, in coarse pixels: what bicubic enlarging itself loses is about as fine."""


def positions(resolution: int, factor: int, convention: Convention) -> Tensor:
    """Where the fine image's columns and rows lie, float64 [factor * resolution], in units of coarse pixels."""
    steps = torch.arange(factor * resolution, dtype=torch.float64)
    match convention:
        case "centres":
            return (steps + 0.5) / factor - 0.5
        case "corners":
            return steps / factor
        case _:
            assert_never(convention)


def interpolated(images: Tensor, position_S: Tensor, method: Method, amount: float = AMOUNT) -> Tensor:
    """[B, 3, R, R] in 0..255 -> [B, 3, S, S] at columns and rows `position_S`; edges are repeated.

    uint8 images come back rounded as uint8, float32 ones as float32; both within 0..255.
    "bicubic" is torch's, a = -0.75 (PIL's has -0.5); "sharpened" is bicubic with an unsharp mask of that `amount`.
    """
    match method:
        case "lanczos":
            fine = lanczos(images.double(), position_S)
        case "sharpened":
            scale = len(position_S) / images.shape[-1]
            fine = sharpened(sampled(images.double(), position_S, "bicubic"), BLUR * scale, amount)
        case "nearest" | "bilinear" | "bicubic":
            fine = sampled(images.double(), position_S, method)
        case _:
            assert_never(method)
    return rounded(fine) if images.dtype == torch.uint8 else fine.clamp_(0, 255).to(images.dtype)


def sampled(images: Tensor, position_S: Tensor, method: Sampled) -> Tensor:
    """Double precision [B, 3, R, R] -> [B, 3, S, S], neither rounded nor kept within a range."""
    # In double precision, so that where a value falls between two levels does not hang on the grid's last bit.
    line = ((2 * position_S + 1) / images.shape[-1] - 1).to(images.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([x, y], dim=-1).expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, mode=method, padding_mode="border", align_corners=False)


def lanczos(images: Tensor, position_S: Tensor) -> Tensor:
    """As `sampled`, by L(x) = sinc(x) sinc(x / a) for |x| < a (Duchon 1979), weights scaled to a sum of 1."""
    side = images.shape[-1]
    first = position_S.floor().long() - LOBES + 1
    taps_ST = first[:, None] + torch.arange(2 * LOBES)
    away = position_S[:, None] - taps_ST
    weights_ST = torch.sinc(away) * torch.sinc(away / LOBES) * (away.abs() < LOBES)
    weights_ST = weights_ST / weights_ST.sum(dim=1, keepdim=True)
    # A tap beyond the edge is the pixel at the edge.
    matrix_SR = torch.zeros(len(position_S), side, dtype=torch.float64)
    matrix_SR = matrix_SR.scatter_add_(1, taps_ST.clamp(0, side - 1), weights_ST).to(images.device)
    return matrix_SR @ images @ matrix_SR.T


def sharpened(images: Tensor, sigma: float, amount: float) -> Tensor:
    """An unsharp mask: images + amount * (images - images blurred by a Gaussian of `sigma` pixels, cut off at 3)."""
    reach = math.ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64, device=images.device)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    blurred = F.conv2d(padded, kernel, groups=images.shape[1])
    blurred = F.conv2d(blurred, kernel.transpose(2, 3), groups=images.shape[1])
    return images + amount * (images - blurred)
