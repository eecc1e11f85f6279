"""Parts of the rooms' pictures at any density: cells of any widths, each scene with columns and rows of its own.

A cell is a pixel, its edges are in units of the square picture: 0 is its left or upper edge, 1 its right or lower one.
So a patch of a picture that is too large to be made is rendered alone, and to the byte as the whole would show it: a
patch of 16 x 16 pixels of a picture of 4,096 costs what a picture of 16 x 16 costs.

Beyond 0 and 1 the view goes on. A picture that is not square keeps the height and the spacing of its pixels (`whole`):
a wider one shows more at both sides, as a wider lens does, a narrower one less. Rooms are furnished for the square: in
a wider view there are more walls, floor and ceiling, and the rest of a bed that the square cuts off.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from core.data import rooms

Edges = NDArray[np.float64]

SAMPLES = 1 << 17
"""Points that are rendered at once, as many as in `core.data.rooms`; the bytes do not depend on it."""


def whole(width: int, height: int) -> tuple[Edges, Edges]:
    """Columns [width + 1] and rows [height + 1] of a picture: rows from 0 to 1, square pixels, centred sideways.

    Columns go from 1/2 - r/2 to 1/2 + r/2, where r = width / height.
    """
    return 0.5 + (np.arange(width + 1) - width / 2) / height, np.arange(height + 1) / height


def cells(
    indices: NDArray[np.integer],
    columns: Edges,
    rows: Edges,
    *,
    seed: int = 0,
    renderer: int = rooms.RENDERER,
    points: int = 4,
    workers: int = 1,
) -> NDArray[np.uint8]:
    """Cells uint8 [N, 3, H, W] of the scenes `indices` [N]: the mean over `points` x `points` points of each.

    `columns` and `rows` are increasing edges, float64 [W + 1] and [H + 1], or [N, W + 1] and [N, H + 1]. Of 1 point it
    is the middle of the cell. Equal to `rooms.render` where the cells are its pixels and `points` its supersampling.
    The bytes depend neither on `workers` nor on which other scenes and cells are asked for. Raises ValueError for edges
    of another shape or order, a renderer that is none, and `points` below 1.
    """
    indices = np.asarray(indices)
    x, y = (_places(name, edges, len(indices), points) for name, edges in (("columns", columns), ("rows", rows)))
    rooms.offsets(seed, indices[:0], renderer)  # Refuses before anything is rendered, and where no scene is asked for.
    out = np.empty((len(indices), 3, y.shape[1] // points, x.shape[1] // points), np.uint8)

    def one(part: tuple[slice, slice]) -> None:
        scenes, band = part
        drawn, some = indices[scenes], slice(band.start * points, band.stop * points)
        own_x, own_y = (line if len(line) == 1 else line[scenes] for line in (x, y))
        rgb = rooms.scene(rooms.factors(seed, drawn), own_x, own_y[:, some], rooms.offsets(seed, drawn, renderer))
        out[scenes, :, band] = rooms.area_means(rgb, points)

    parts = _parts(len(indices), out.shape[2], points * x.shape[1])
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for _ in pool.map(one, parts) if workers > 1 else map(one, parts):
            pass
    return out


def _places(name: str, edges: Edges, scenes: int, points: int) -> NDArray[np.float32]:
    """Middles of `points` equal parts of each cell, [1 or N, cells * points]."""
    edges = np.atleast_2d(np.asarray(edges, np.float64))
    if points < 1:
        raise ValueError(f"points {points} must be at least 1")
    if edges.ndim != 2 or len(edges) not in (1, scenes) or edges.shape[1] < 2:
        raise ValueError(f"{name} of shape {edges.shape}: give [cells + 1] edges, or [{scenes}, cells + 1]")
    if not np.isfinite(edges).all() or not ((sides := np.diff(edges)) > 0).all():
        raise ValueError(f"{name} must be finite and increase")
    within = (np.arange(points) + 0.5) / points
    return (edges[:, :-1, None] + sides[..., None] * within).reshape(len(edges), -1).astype(np.float32)


def _parts(scenes: int, height: int, samples_of_row: int) -> Iterator[tuple[slice, slice]]:
    """Scenes and rows to be rendered at once: many small pictures, or a few rows of a large one."""
    band = min(height, max(1, SAMPLES // samples_of_row))
    step = max(1, SAMPLES // (samples_of_row * band))
    for start in range(0, scenes, step):
        for row in range(0, height, band):
            yield slice(start, start + step), slice(row, min(row + band, height))
