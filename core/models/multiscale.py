"""The INR of several scales: blocks of layers on grids of growing density, one's features repeated on the next."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

import torch
from torch import Tensor, nn

from core import config as cfg
from core.footprint import cells_of
from core.grids import Cells, Grid
from core.models.bases import Basis
from core.models.inr import CALIBRATION_IMAGES, CALIBRATION_PIXELS, CoordinateLayer, Inr, LayerFactory
from core.models.layers.emitted import EmittedLayer, rms
from core.places import Level, Places, Where, coarser, crossed, even_side, merged


class Join(nn.Module):
    """The first hidden layer of a block after the first, before its activation: one layer of the coarser block's
    features, evaluated there and repeated, and one of the features of the block's own coordinates.

    Weights and biases of both have std sqrt(1 / n_in) (public `INRResConnector`).
    """

    def __init__(self, width: int, hidden_layer: LayerFactory) -> None:
        super().__init__()
        std = math.sqrt(1 / width)
        self.of_coarser, self.of_own = (hidden_layer(width, width, weight_std=std, bias_std=std) for _ in range(2))

    def forward(self, coarser_BpI: Tensor, own_BPI: Tensor, level: Level, *emitted_BE: Tensor) -> Tensor:
        """[B, P, width] of both features and the emitted numbers of both layers."""
        coarser_BpO: Tensor = self.of_coarser(coarser_BpI, emitted_BE[0])
        own_BPO: Tensor = self.of_own(own_BPI, emitted_BE[1])
        return level.repeated(coarser_BpO) + own_BPO

    def calibrate(self, coarser_BpI: Tensor, own_BPI: Tensor, level: Level, *emitted_BE: Tensor) -> None:
        """Equal shares in a mean square of 1."""
        self.of_coarser.calibrate(coarser_BpI, emitted_BE[0])
        self.of_own.calibrate(own_BPI, emitted_BE[1])
        size = rms(self(coarser_BpI, own_BPI, level, *emitted_BE))
        self.of_coarser.gain /= size
        self.of_own.gain /= size


class MultiScaleInr(Inr):
    """Every block reads the coordinates of its own grid by a coordinate layer of its own; `Join` is the first hidden
    layer of every block but the first, and never `residual` (Skorokhodov et al. 2021).

    What the published INR has besides is left out: Fourier features beside the input of every layer, RGB values of
    several blocks that are added, widths that fall with the resolution, Fourier features without phases.

    `trained` are the cells of the grid that it is trained on.
    """

    def __init__(
        self,
        config: cfg.Inr,
        scales: cfg.MultiScale,
        trained: Cells,
        basis: Basis,
        hidden_layer: LayerFactory,
        inputs: int = 2,
        **further: Any,
    ) -> None:
        after_the_first = range(scales.blocks - 1)
        unjoined = config.replace(depth=config.depth - len(after_the_first), scales=None)
        super().__init__(unjoined, basis, hidden_layer, inputs, **further)
        self.scales, self.counts = scales, scales.layers(config.depth)
        self.trained_sides = tuple(float(edges.diff().mean()) for edges in (trained.columns, trained.rows))
        self.joins = nn.ModuleList(Join(config.width, hidden_layer) for _ in after_the_first)
        self.coordinate_layers = nn.ModuleList(self.reading_coordinates(config, inputs) for _ in after_the_first)

    @property
    def layers(self) -> list[nn.Module]:
        """See `Inr`."""
        hidden, found = iter(self.hidden_layers), list[nn.Module]()
        for block, count in enumerate(self.counts):
            found.append(self.coordinates_of(block))
            if block:
                join = self.join(block)
                found += [join.of_coarser, join.of_own]
            found += islice(hidden, count - bool(block))
        return [*found, self.rgb_layer]

    def join(self, block: int) -> Join:
        """The first layer of a block after the first."""
        return cast(Join, self.joins[block - 1])

    def coordinates_of(self, block: int) -> CoordinateLayer:
        """The layer that reads the coordinates of a block's grid."""
        return cast(CoordinateLayer, self.coordinate_layers[block - 1]) if block else self.coordinate_layer

    # --- grids --------------------------------------------------------------------------------------------------------

    def placed(self, grid: Grid) -> tuple[Grid, Where]:
        """See `Inr`. Blocks before the last see one point, or box, of each of their cells."""
        seen: Grid = grid if self.footprint is None else self.footprint.seen(grid)
        cells = cells_of(seen)
        along = [
            self._along(edges, trained)
            for edges, trained in zip((cells.columns, cells.rows), self.trained_sides, strict=True)
        ]
        grids = [
            Cells(columns, rows, cells.config) for columns, rows in zip(*(edges for edges, _ in along), strict=True)
        ]
        points = [*(each.coordinates() for each in grids), seen.coordinates()]
        sides = [None if self.footprint is None else self.footprint.sides(each) for each in (*grids, cells)]
        levels = [Level(points[0], sides[0])]
        for block, (columns_of, rows_of) in enumerate(zip(*(of for _, of in along), strict=True), start=1):
            if block == len(grids):
                columns_of, rows_of = (of.repeat_interleave(cells.points, -1) for of in (columns_of, rows_of))
            of = crossed(columns_of, rows_of, grids[block - 1].width)
            levels.append(Level(points[block], sides[block], of, points[block - 1].shape[-2]))
        return seen, Places(levels)

    def _along(self, edges: Tensor, trained: float) -> tuple[list[Tensor], list[Tensor]]:
        """Along columns or rows: the edges of every block's cells but the last, and of every block's but the first in
        which of the coarser ones they lie."""
        every_edges, every_of = list[Tensor](), list[Tensor]()
        side = even_side(edges)
        for block, count in reversed(list(enumerate(self.scales.coarsening[:-1]))):
            if block < self.scales.denser_from:
                edges, of = coarser(edges, count * trained)
            elif side is not None:
                edges, of = coarser(edges, count * side)
            else:
                edges, of = merged(edges, self.scales.factor)
            every_edges.insert(0, edges)
            every_of.insert(0, of)
        return every_edges, every_of

    # --- layers -------------------------------------------------------------------------------------------------------

    def forward(self, emitted_BE: Tensor, where: Where) -> Tensor:
        """See `Inr`."""
        assert isinstance(where, Places)
        numbers = iter(emitted_BE.split(self.sizes, dim=1))
        x = self._features(numbers, where)
        return self.coloured(x, next(numbers), where.finest.points.dtype)

    @torch.no_grad()
    def calibrate(self, where: Where) -> None:
        """See `Inr`."""
        assert isinstance(where, Places)
        where = where[torch.randperm(len(where))[:CALIBRATION_PIXELS]]
        numbers = iter(torch.randn(CALIBRATION_IMAGES, self.emitted).split(self.sizes, dim=1))
        x = self._features(numbers, where, calibrated=True)
        self.rgb_layer.calibrate(x, next(numbers))

    def _features(self, numbers: Iterator[Tensor], where: Places, *, calibrated: bool = False) -> Tensor:
        """What the last layer reads, [B, P, width], of the other layers' emitted numbers."""
        hidden = iter(cast("Iterator[EmittedLayer]", self.hidden_layers))
        x: Tensor | None = None
        for block, count in enumerate(self.counts):
            level = where.levels[block]
            own = self.embedded(next(numbers), level.points, level.sides, self.coordinates_of(block))
            if x is None:
                x = own
            else:
                join, given = self.join(block), (x, own, level, next(numbers), next(numbers))
                if calibrated:
                    join.calibrate(*given)
                x, count = self.basis.activate(join(*given)), count - 1
            for layer, emitted in zip(islice(hidden, count), numbers, strict=False):
                if calibrated:
                    layer.calibrate(x, emitted)
                x = self.activated(layer(x, emitted), x)
        assert x is not None
        return x
