"""Parts of stored images, seen in any pixels: each the mean over its area, or what another filter makes of it.

An edge is in units of the picture: 0 is its left or upper one, 1 its right or lower one.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Filter = Literal["box", "bilinear", "nearest"]


def weights(edges_BP: Tensor, size: int, filtered: Filter = "box") -> Tensor:
    """How much each of `size` pixels of a stored row weighs in cells with these edges, float32 [B, P, size]; sums to 1.

    "box": the part of the cell that the pixel covers: exact means over areas. "bilinear": a triangle around the cell's
    middle, as wide as two cells and never less than two pixels, as PIL's filter is. "nearest": the pixel in which the
    middle lies. A cell outside of the picture is seen as its edge.
    """
    # In pixels of the stored row, counted from its first one's edge.
    edges = (edges_BP.double() * size).clamp(0, size)
    low, high = edges[:, :-1, None], edges[:, 1:, None]
    pixels = torch.arange(size, dtype=torch.float64)
    if filtered == "nearest":
        middle = ((low + high) / 2).clamp(max=size - 0.5).floor()
        return (pixels == middle).float()
    if filtered == "box":
        covered = torch.minimum(high, pixels + 1) - torch.maximum(low, pixels)
    else:
        reach = (high - low).clamp(min=1)
        covered = 1 - ((pixels + 0.5 - (low + high) / 2) / reach).abs()
    covered = covered.clamp(min=0)
    total = covered.sum(dim=-1, keepdim=True)
    # What lies outside has no width left: it is the pixel at that edge.
    outside = (pixels == ((low + high) / 2).clamp(max=size - 0.5).floor()).double()
    return torch.where(total > 0, covered / total.clamp(min=1e-300), outside).float()


def seen_in(images_BCFF: Tensor, columns_BW: Tensor, rows_BH: Tensor, filtered: Filter = "box") -> Tensor:
    """Images in 0..255 as they look in cells with these edges, [B, W + 1] and [B, H + 1]: float32 [B, C, H, W]."""
    images = images_BCFF.float()
    by_row = weights(rows_BH, images.shape[-2], filtered).to(images.device)
    by_column = weights(columns_BW, images.shape[-1], filtered).to(images.device)
    seen: Tensor = by_row[:, None] @ images @ by_column[:, None].mT
    return seen
