"""Grids: where points lie, and how values at them are arranged."""

from __future__ import annotations

import pytest
import torch

from core import config as cfg
from core.grids import Cells, Pixels, evenly_cut

SAMPLINGS = ("centres", "corners")


def coordinates(sampling: str) -> cfg.Coordinates:
    return cfg.Coordinates(low=-1.0, high=1.0, sampling=sampling)  # type: ignore[arg-type]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("resolution", [12, 16, 33])
def test_equal_cells_of_a_whole_picture_are_its_pixels(sampling: str, resolution: int) -> None:
    edges = evenly_cut(resolution)
    cells, pixels = Cells(edges, edges, coordinates(sampling)), Pixels(resolution, coordinates(sampling))
    assert torch.equal(cells.coordinates(), pixels.coordinates())
    values = torch.rand(2, resolution**2, 3)
    assert torch.equal(cells.arranged(values), pixels.arranged(values))


def test_cells_may_be_of_any_shape_and_each_sample_may_have_its_own() -> None:
    columns = evenly_cut(3, torch.tensor([0.0, 0.5]), torch.tensor([0.3, 0.8]))
    cells = Cells(columns, evenly_cut(2), coordinates("centres"))
    points = cells.coordinates()
    assert points.shape == (2, 6, 2)
    # Row by row: x runs first.
    assert points[0, :, 0].tolist() == pytest.approx([-0.9, -0.7, -0.5] * 2)
    assert points[1, :, 0].tolist() == pytest.approx([0.1, 0.3, 0.5] * 2)
    assert points[0, :, 1].tolist() == pytest.approx([-0.5] * 3 + [0.5] * 3)
    assert cells.sides()[0, 0].tolist() == pytest.approx([0.2, 1.0])
    assert cells.arranged(torch.zeros(2, 6, 5)).shape == (2, 5, 2, 3)


def test_points_of_a_cell_are_the_middles_of_its_parts_and_its_value_is_their_mean() -> None:
    columns, rows = torch.tensor([0.0, 0.2, 1.0], dtype=torch.float64), evenly_cut(1)
    cells = Cells(columns, rows, coordinates("centres"), points=2)
    x = cells.coordinates()[:4, 0]
    assert x.tolist() == pytest.approx([-0.9, -0.7, -0.2, 0.6])
    assert cells.sides()[:4, 0].tolist() == pytest.approx([0.2, 0.2, 0.8, 0.8])
    image = cells.arranged(cells.coordinates()[None])
    assert image[0, 0].flatten().tolist() == pytest.approx([-0.8, 0.2])
    assert image[0, 1].flatten().tolist() == pytest.approx([0.0, 0.0])
