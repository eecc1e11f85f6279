"""Windows of real images: the means of their pixels over cells of any place and size, as `core.grids.Cells` has them.

An image of F x F pixels is a function that is constant on each of its pixels. Its mean over a cell is then exact, a
sum of pixels weighted with the shares of the cell that they cover; the shares are products of one of columns and one
of rows, so that a window is two small matrix products.

Finer than its pixels nothing is known of an image. Cells of one pixel that do not lie on pixels are means of
neighbours, of a picture that is blurred by up to a pixel: exact for the image, not for what it shows. Cells should be
whole pixels (`core.metrics.patches`), or many pixels wide.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Filter = Literal["box", "bilinear", "nearest"]
"""What a cell takes of stored pixels: the mean over its area; a triangle around its middle, as wide as two cells and
never less than two pixels, as PIL's is; the pixel in which its middle lies."""

OUTSIDE = 1e-9
"""By how much of the picture's side an edge may lie beyond it, which rounding of v + s does."""


def shares(edges: Tensor, pixels: int) -> Tensor:
    """What part of each cell lies on each of `pixels` equal pixels: edges float64 [..., n + 1] -> [..., n, pixels].

    Edges are in units of the picture, increasing from 0 to 1 at most; the shares of a cell sum to 1. Raises ValueError
    for others.
    """
    edges = edges.double()
    sides = edges.diff(dim=-1)
    if not (sides > 0).all() or (edges[..., 0] < -OUTSIDE).any() or (edges[..., -1] > 1 + OUTSIDE).any():
        raise ValueError("edges of cells must increase and lie within the picture, between 0 and 1")
    scaled = edges.clamp(0, 1)[..., None] * pixels
    pixel = torch.arange(pixels, dtype=torch.float64, device=edges.device)
    # Of the pixel's length what lies to the left of each edge; a cell has what lies between its two.
    left_of = (scaled - pixel).clamp_(0, 1)
    return left_of.diff(dim=-2) / (pixels * sides[..., None])


def weights(edges: Tensor, pixels: int, filtered: Filter) -> Tensor:
    """What each of `pixels` equal pixels weighs in each cell, float64 [..., n, pixels]; a cell's weights sum to 1."""
    if filtered == "box":
        return shares(edges, pixels)
    scaled = edges.double()[..., None] * pixels
    low, high = scaled[..., :-1, :], scaled[..., 1:, :]
    pixel, middle = torch.arange(pixels, dtype=torch.float64, device=edges.device), (low + high) / 2
    if filtered == "nearest":
        return (pixel == middle.clamp(0, pixels - 0.5).floor()).double()
    reached = (1 - ((pixel + 0.5 - middle) / (high - low).clamp(min=1)).abs()).clamp(min=0)
    return reached / reached.sum(dim=-1, keepdim=True)


def seen_in(images: Tensor, columns: Tensor, rows: Tensor, filtered: Filter = "box") -> Tensor:
    """Images [B, C, F, F] in 0..255, uint8 or float, as they look in cells: float32 [B, C, H, W].

    `columns` and `rows` are the edges between cells in units of the picture, float64 [W + 1] and [H + 1], or
    [B, W + 1] and [B, H + 1] where each image has its own (`core.grids.evenly_cut`). Raises ValueError as `shares`
    does.
    """
    count, channels, height, width = images.shape
    of_columns, of_rows = (weights(edges, side, filtered).float() for edges, side in ((columns, width), (rows, height)))
    of_columns, of_rows = of_columns.to(images.device), of_rows.to(images.device)
    # Columns first, of all channels and rows in one product: what is left for rows is smaller.
    narrow = images.float().reshape(count, channels * height, width) @ of_columns.mT
    narrow = narrow.reshape(count, channels, height, -1)
    return (of_rows if of_rows.ndim == 2 else of_rows[:, None]) @ narrow


def area_means(images: Tensor, columns: Tensor, rows: Tensor, *, rounded: bool = False) -> Tensor:
    """Means over cells, see `seen_in`. `rounded` rounds to 8-bit levels, as images are stored; halves to even ones.

    Exact but for float32's rounding, of 1e-4 levels at most.
    """
    means = seen_in(images, columns, rows)
    return means.round_() if rounded else means
