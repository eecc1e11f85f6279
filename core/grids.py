"""Where an INR is evaluated. A grid alone knows how many numbers make a point, and how values at its points lie."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from core import config as cfg


class Grid(Protocol):
    """Points, and the array that values at them make."""

    inputs: int
    """Numbers of a point."""

    def coordinates(self) -> Tensor:
        """The points, float32 [P, inputs] on the CPU, or [B, P, inputs] where each sample has its own."""
        ...

    def arranged(self, values_BPC: Tensor) -> Tensor:
        """Values at the points as D sees them, [B, C, ...]."""
        ...


@runtime_checkable
class Celled(Protocol):
    """A grid whose points stand for areas, which a footprint takes means over and a coarser grid consists of."""

    def cells(self) -> Cells:
        """Those areas."""
        ...


class Pixels:
    """Columns and rows of a square image of `resolution` pixels at `position_S`, float64: position i is pixel i, and
    others lie between pixels or outside of them. Without `position_S` every pixel."""

    inputs = 2

    def __init__(self, resolution: int, coordinates: cfg.Coordinates, position_S: Tensor | None = None) -> None:
        self.resolution, self.config = resolution, coordinates
        self.position_S = torch.arange(resolution, dtype=torch.float64) if position_S is None else position_S
        self.size = len(self.position_S)

    def coordinates(self) -> Tensor:
        """[S S, 2] as (x, y) with x = column, row by row."""
        offset = 0.5 if self.config.sampling == "centres" else 0.0
        steps = (self.position_S + offset) / self.resolution
        line = (self.config.low + (self.config.high - self.config.low) * steps).float()
        y, x = torch.meshgrid(line, line, indexing="ij")
        return torch.stack([x.flatten(), y.flatten()], dim=1)

    def arranged(self, values_BPC: Tensor) -> Tensor:
        """[B, C, S, S]."""
        return values_BPC.transpose(1, 2).reshape(len(values_BPC), -1, self.size, self.size)

    def of_size(self, resolution: int) -> Pixels:
        """The same picture in other pixels."""
        return Pixels(resolution, self.config)

    def at(self, position_S: Tensor) -> Pixels:
        """The same picture at other columns and rows, in its own pixels."""
        return Pixels(self.resolution, self.config, position_S)

    def cells(self) -> Cells:
        """Each column and row as far as half-way to its neighbours: of a whole image the pixels' areas, whatever the
        `coordinates` sample of them, of denser positions smaller ones."""
        edges = (_half_way(self.position_S) + 0.5) / self.resolution
        return Cells(edges, edges, self.config)


class Cells:
    """Columns and rows of any widths: a part of a picture, its shape, and how densely it is seen.

    `columns` and `rows` are the edges between cells, float64 [W + 1] and [H + 1], or [B, W + 1] and [B, H + 1] where
    each sample has its own, in units of the picture: 0 is its left or upper edge, 1 its right or lower one. A cell is a
    pixel. f is evaluated in its middle, or at its left upper corner where the `coordinates` sample corners; with
    `points` k at the same place of k x k equal parts of it, of which its value is the mean.
    """

    inputs = 2

    def __init__(self, columns: Tensor, rows: Tensor, coordinates: cfg.Coordinates, *, points: int = 1) -> None:
        self.columns, self.rows, self.config, self.points = columns, rows, coordinates, points
        self.width, self.height = columns.shape[-1] - 1, rows.shape[-1] - 1

    @property
    def count(self) -> int:
        """Points."""
        return self.width * self.height * self.points**2

    def merged(self, block: int) -> Cells:
        """The same part in larger cells, of block x block of these each."""
        return Cells(self.columns[..., ::block], self.rows[..., ::block], self.config, points=self.points)

    def coordinates(self) -> Tensor:
        """[P, 2], or [B, P, 2] where samples have cells of their own, as (x, y), row by row."""
        x, y = (self._to_coordinates(self._places(edges)) for edges in (self.columns, self.rows))
        return _pairs(x, y)

    def cells(self) -> Cells:
        """Itself."""
        return self

    def sides(self) -> Tensor:
        """Width and height of what each point stands for, in units of coordinates; shaped as `coordinates`."""
        extent = self.config.high - self.config.low
        x, y = ((extent * parted(edges, self.points).diff(dim=-1)).float() for edges in (self.columns, self.rows))
        return _pairs(x, y)

    def arranged(self, values_BPC: Tensor) -> Tensor:
        """[B, C, H, W]."""
        k = self.points
        values = values_BPC.transpose(1, 2).reshape(len(values_BPC), -1, self.height * k, self.width * k)
        return values if k == 1 else torch.nn.functional.avg_pool2d(values, k)

    def _places(self, edges: Tensor) -> Tensor:
        edges = parted(edges, self.points)
        low, high = edges[..., :-1], edges[..., 1:]
        return (low + high) / 2 if self.config.sampling == "centres" else low

    def _to_coordinates(self, places: Tensor) -> Tensor:
        return (self.config.low + (self.config.high - self.config.low) * places).float()


class Ends(Cells):
    """Cells of which the first and the last are seen at the window's outer edges, as linspace lays points."""

    def _places(self, edges: Tensor) -> Tensor:
        count = edges.shape[-1] - 1
        steps = torch.arange(count, dtype=torch.float64) / max(count - 1, 1)
        return edges[..., :1] + (edges[..., -1:] - edges[..., :1]) * steps


def with_ends(cells: Cells) -> Ends:
    """The same window, seen from edge to edge."""
    return Ends(cells.columns, cells.rows, cells.config, points=cells.points)


class Pair(NamedTuple):
    """Two parts of a picture in pixels of one shape: those of the second are further channels."""

    first: Cells
    second: Cells


def evenly_cut(count: int, low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> Tensor:
    """The edges of `count` equal cells from `low` to `high`, float64 [count + 1]; of ends [B], [B, count + 1]."""
    start, end = torch.as_tensor(low, dtype=torch.float64), torch.as_tensor(high, dtype=torch.float64)
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    return start.unsqueeze(-1) + (end - start).unsqueeze(-1) * steps


def parted(edges: Tensor, points: int) -> Tensor:
    """Edges [..., n + 1] with each cell cut into `points` equal parts: [..., points * n + 1]."""
    if points == 1:
        return edges
    low, sides = edges[..., :-1, None], edges.diff(dim=-1)[..., None]
    inner = (low + sides * torch.arange(points, dtype=edges.dtype) / points).flatten(-2)
    return torch.cat([inner, edges[..., -1:]], dim=-1)


def _half_way(position_S: Tensor) -> Tensor:
    """The edges [S + 1] between positions, the outer ones as far out as the next are in; a lone position has side 1."""
    gaps = position_S.diff() if len(position_S) > 1 else torch.ones(1, dtype=position_S.dtype)
    return torch.cat(
        [position_S[:1] - gaps[:1] / 2, position_S[:-1] + position_S.diff() / 2, position_S[-1:] + gaps[-1:] / 2]
    )


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    """Of [.., W] and [.., H] every pair, [.., H W, 2], row by row."""
    height, width = y.shape[-1], x.shape[-1]
    shape = (*torch.broadcast_shapes(x.shape[:-1], y.shape[:-1]), height, width)
    return torch.stack([x[..., None, :].expand(shape), y[..., :, None].expand(shape)], dim=-1).flatten(-3, -2)
