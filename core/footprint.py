"""Footprints: how f turns the area that a point of a grid stands for into a value."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from core.grids import Celled, Cells, Grid


@dataclass(frozen=True)
class Footprint:
    """The mean of f at `points` x `points` parts of every cell; with `boxes` the coordinate layer takes the mean over
    each part (`core.models.inr.box_means`) instead of its middle."""

    points: int = 1
    boxes: bool = False

    def seen(self, grid: Grid) -> Cells:
        """The cells of `grid`, f evaluated in the middles of their parts: a mean over an area has no corner."""
        cells = cells_of(grid)
        centred = cells.config.replace(sampling="centres")
        return Cells(cells.columns, cells.rows, centred, points=self.points * cells.points)

    def sides(self, cells: Cells) -> Tensor | None:
        """Of what the coordinate layer takes the mean over, [P, 2] or [B, P, 2], None where it is a point."""
        return cells.sides() if self.boxes else None


def cells_of(grid: Grid) -> Cells:
    """The areas of a grid. Raises TypeError for one whose points stand for none."""
    if not isinstance(grid, Celled):
        raise TypeError(f"a {type(grid).__name__} has no cells, which inr.footprint and inr.scales are about")
    return grid.cells()
