"""Means of real images over cells: exact for any place and size, and the plain box mean where pixels come out even."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data.windows import area_means, shares
from core.grids import evenly_cut


def some_images(count: int = 3, side: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 6])
def test_whole_images_cut_evenly_are_box_means(factor: int) -> None:
    images, edges = some_images(), evenly_cut(12 // factor)
    expected = torch.nn.functional.avg_pool2d(images.double(), factor)
    found = area_means(images, edges, edges)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
    rounded = area_means(images, edges, edges, rounded=True)
    if factor in (1, 2, 4):
        # Shares are powers of two, and nothing is rounded before the mean is: the halves, too, are what they are.
        assert torch.equal(found.double(), expected) and torch.equal(rounded.double(), expected.round())
    assert torch.equal(rounded, rounded.to(torch.uint8).float())


def cumulated(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The integral of a piecewise constant image [F, F] over [0, x] x [0, y], for all pairs, [len(y), len(x)]."""
    side = len(image)
    corners = np.pad(image.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0))) / side**2
    knots = np.arange(side + 1) / side
    rows = np.stack([np.interp(x, knots, row) for row in corners])
    return np.stack([np.interp(y, knots, column) for column in rows.T], axis=1)


@pytest.mark.parametrize("zoom", [1.0, 1.7, 2, 4, 30])
def test_any_window_is_the_integral_of_the_image(zoom: float) -> None:
    """Held to cumulated sums, linear between pixels; cells much smaller than a pixel among them."""
    images, random = some_images(8), torch.Generator().manual_seed(1)
    at = (1 - 1 / zoom) * torch.rand(8, 2, generator=random, dtype=torch.float64)
    columns, rows = (evenly_cut(5, at[:, axis], at[:, axis] + 1 / zoom) for axis in (0, 1))
    found = area_means(images, columns, rows)
    assert found.shape == (8, 3, 5, 5)
    for i, image in enumerate(images.numpy()):
        for channel in range(3):
            whole = cumulated(image[channel], columns[i].numpy(), rows[i].numpy())
            expected = np.diff(np.diff(whole, axis=0), axis=1) * (5 * zoom) ** 2
            np.testing.assert_allclose(found[i, channel].numpy(), expected, atol=1e-4)


def test_cells_may_be_uneven_and_more_one_way_than_the_other() -> None:
    images = some_images(2, 4)
    columns = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    found = area_means(images, columns, evenly_cut(1))
    assert found.shape == (2, 3, 1, 2)
    pixels = images.float()
    torch.testing.assert_close(found[..., 0, 0], pixels[..., 0].mean(-1))
    torch.testing.assert_close(found[..., 0, 1], pixels[..., 1:].mean((-2, -1)))
    # Floats as they are, and images that are not square.
    wide = torch.rand(2, 3, 4, 6)
    torch.testing.assert_close(area_means(wide, evenly_cut(3), evenly_cut(4)), wide.unfold(3, 2, 2).mean(-1))


@pytest.mark.parametrize("pixels", [5, 64])
def test_shares_of_a_cell_sum_to_one(pixels: int) -> None:
    edges = torch.rand(20, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).sort(dim=1).values
    found = shares(edges, pixels)
    assert found.shape == (20, 6, pixels) and found.min() >= 0
    torch.testing.assert_close(found.sum(-1), torch.ones(20, 6, dtype=torch.float64))
    # What rounding of v + s puts beyond the frame.
    assert shares(torch.tensor([0.5, 1 + 1e-15], dtype=torch.float64), 4)[0].tolist() == pytest.approx([0, 0, 0.5, 0.5])


@pytest.mark.parametrize("edges", [[0.0, 0.5, 0.5], [0.5, 0.2], [-0.1, 0.5], [0.5, 1.1], [0.0, float("nan")]])
def test_cells_outside_the_picture_or_without_width_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="increase and lie within the picture"):
        shares(torch.tensor(edges, dtype=torch.float64), 4)
