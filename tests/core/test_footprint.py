"""Footprints: a pixel's value as a mean over its area, against sums over points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core import config as cfg
from core.build import build_generator, build_inr
from core.errors import InputError
from core.evaluation import Evaluation, Inline
from core.events import Built, Checkpointed, Event, Finished
from core.grids import Cells, Grid, Pixels, evenly_cut
from core.loop import train
from core.metrics.enlarging import positions
from core.metrics.features import generated
from core.models.generator import Renderer
from core.models.inr import box_means, read
from core.models.layers.emitted import rms
from core.needs import check_memory
from core.signals import Picture
from tests.core.conftest import MeanPixel, small_config
from tests.core.test_train import events_of, numbers, payload
from tests.systems.waves import Line

CENTRES = cfg.Coordinates(low=-1.0, high=1.0, sampling="centres")
CORNERS = cfg.Coordinates()
MEANS: tuple[cfg.Footprint, ...] = (cfg.Averaged(), cfg.BoxMean())


def an_inr(footprint: cfg.Footprint | None, **fields: Any) -> cfg.Inr:
    given = {"basis": cfg.Fourier(scale=2.0), "width": 8, "depth": 3, "coordinates": CENTRES, "footprint": footprint}
    return cfg.Inr(**{**given, **fields})


def renderer_of(config: cfg.Inr, grid: Grid, seed: int = 0) -> Renderer:
    torch.manual_seed(seed)
    inr = build_inr(config, grid, Picture())
    return Renderer(inr, grid, Picture(), calibrated=config.init == "unit")


def windows(coordinates: cfg.Coordinates = CENTRES, points: int = 1) -> Cells:
    """Two samples with cells of their own, of several widths."""
    columns = torch.tensor([[0.1, 0.3, 0.35, 0.6], [0.5, 0.7, 0.9, 1.0]], dtype=torch.float64)
    return Cells(columns, evenly_cut(2, torch.tensor([0.0, 0.4]), torch.tensor([0.5, 0.6])), coordinates, points=points)


GRIDS: dict[str, Grid] = {
    "pixels": Pixels(3, CENTRES),
    "pixels' corners": Pixels(3, CORNERS),
    "denser": Pixels(3, CENTRES).at(positions(3, 2, "centres")[1:4]),
    "cells": Cells(evenly_cut(2, 0.2, 0.4), evenly_cut(3), CENTRES),
    "cells of each sample": windows(),
}


# --- the closed form --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["generated", "shared"])
@pytest.mark.parametrize("basis", [cfg.Fourier(scale=2.0), cfg.Fourier(scale=0.5, highest=1.5), cfg.Siren(scale=2.0)])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_the_coordinate_layers_box_means_are_means_over_the_cells(grid: Grid, basis: cfg.Basis, layer: Any) -> None:
    config = an_inr(cfg.BoxMean(), basis=basis, coordinates=CENTRES.replace(layer=layer))
    inr = renderer_of(config, Pixels(4, CENTRES)).inr
    emitted = torch.randn(2, inr.sizes[0])
    _, where = inr.placed(grid)
    found = inr.embedded(emitted, *read(where))
    cells = grid.cells()  # type: ignore[attr-defined]
    fine = Cells(cells.columns, cells.rows, cells.config.replace(sampling="centres"), points=160)
    with torch.no_grad():
        expected = fine.arranged(inr.embedded(emitted, fine.coordinates()).double())
    torch.testing.assert_close(found.double(), expected.flatten(2).transpose(1, 2), atol=1e-5, rtol=0)


def test_a_pixels_box_mean_is_the_mean_of_those_of_its_quarters() -> None:
    for coordinates in (CENTRES, CORNERS):
        pixels = Pixels(4, coordinates)
        inr = renderer_of(an_inr(cfg.BoxMean(), coordinates=coordinates), pixels).inr
        emitted = torch.randn(2, inr.sizes[0])
        # Where denser pixels are put, is a convention of upsampling; areas are divided in one way.
        for fine in (pixels.at(positions(4, 2, "centres")), pixels.of_size(8)):
            there, here = (inr.embedded(emitted, *read(inr.placed(grid)[1])) for grid in (fine, pixels))
            image = F.avg_pool2d(Pixels(8, CENTRES).arranged(there), 2)
            torch.testing.assert_close(image.flatten(2).transpose(1, 2), here, atol=1e-5, rtol=0)


def test_it_is_the_sinc_of_half_the_phase_across_the_box() -> None:
    weights, sides = torch.tensor([[3.0, 0.0], [-2.0, 5.0]]), torch.tensor([[0.4, 0.2], [0.0, 0.0]])
    sinc = torch.tensor([[0.6, 0.0], [0.2, 0.5]])
    expected = torch.stack([(sinc.sin() / sinc).nan_to_num(nan=1.0).prod(dim=0), torch.ones(2)])
    torch.testing.assert_close(box_means(weights, sides), expected)


def test_its_gradients_are_those_of_differences() -> None:
    weights = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    sides = torch.rand(2, 4, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda w: box_means(w, sides), (weights,))
    assert torch.autograd.gradcheck(lambda w: box_means(w, torch.zeros_like(sides)), (weights,))
    inr = renderer_of(an_inr(cfg.BoxMean()), Pixels(4, CENTRES)).inr.double()
    points, emitted = torch.rand(4, 2, dtype=torch.float64), torch.randn(2, inr.sizes[0], dtype=torch.float64)
    for boxes in (sides, sides[0, :1]):
        assert torch.autograd.gradcheck(lambda e, b=boxes: inr.embedded(e, points, b), (emitted.requires_grad_(),))


# --- on any grid ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("footprint", MEANS, ids=lambda node: node.kind)
def test_of_vanishing_cells_the_values_are_those_of_points(footprint: cfg.Footprint) -> None:
    edges = torch.tensor([0.3, 0.3 + 1e-7, 0.3 + 2e-7], dtype=torch.float64)
    grid = Cells(edges, edges + 0.4, CENTRES)
    plain, mean = (renderer_of(an_inr(each), Pixels(4, CENTRES)) for each in (None, footprint))
    emitted = torch.randn(2, plain.inr.emitted)
    torch.testing.assert_close(mean.render(emitted, grid), plain.render(emitted, grid), atol=1e-5, rtol=0)
    assert (mean.render(emitted) - plain.render(emitted)).abs().max() > 1e-3


@pytest.mark.parametrize("points", [2, 3])
def test_averaged_is_the_mean_of_points(points: int) -> None:
    grid = Pixels(4, CENTRES)
    plain, mean = (renderer_of(an_inr(each), grid) for each in (None, cfg.Averaged(points=points)))
    emitted = torch.randn(2, plain.inr.emitted)
    for factor in (1, 2):
        fine = plain.render(emitted, grid.at(positions(4, points * factor, "centres")))
        here = mean.render(emitted, grid.at(positions(4, factor, "centres")))
        torch.testing.assert_close(here, F.avg_pool2d(fine, points))
    torch.testing.assert_close(mean.render(emitted), mean.render(emitted, grid.at(positions(4, 1, "centres"))))


@pytest.mark.parametrize("footprint", MEANS, ids=lambda node: node.kind)
def test_parts_of_a_picture_are_those_of_the_whole(footprint: cfg.Footprint) -> None:
    """Each sample's own cells, too, and cells that are points of a larger one."""
    renderer = renderer_of(an_inr(footprint), Pixels(8, CENTRES))
    emitted = torch.randn(2, renderer.inr.emitted)
    whole = renderer.render(emitted)
    edges = evenly_cut(8)
    own = Cells(torch.stack([edges[:5], edges[3:8]]), edges[2:5], CENTRES)
    part = renderer.render(emitted, own)
    torch.testing.assert_close(part[0], whole[0, :, 2:4, :4], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(part[1], whole[1, :, 2:4, 3:7], atol=1e-5, rtol=1e-4)
    fourfold = renderer.render(emitted, Cells(edges[::2], edges[::2], CENTRES, points=2))
    torch.testing.assert_close(fourfold, F.avg_pool2d(whole, 2), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("footprint", MEANS, ids=lambda node: node.kind)
def test_an_area_has_no_corner(footprint: cfg.Footprint) -> None:
    """f is evaluated in the middles of parts of a pixel, whatever points the coordinates sample."""
    corners = CENTRES.replace(sampling="corners")
    one, other = (renderer_of(an_inr(footprint, coordinates=each), Pixels(4, each)) for each in (CENTRES, corners))
    emitted = torch.randn(2, one.inr.emitted)
    assert torch.equal(one.render(emitted), other.render(emitted))


def test_the_cells_of_pixels_reach_half_way_to_their_neighbours() -> None:
    for resolution in (3, 12):
        cells = Pixels(resolution, CORNERS).cells()
        assert torch.equal(cells.columns, evenly_cut(resolution)) and torch.equal(cells.rows, cells.columns)
    for factor in (2, 3):
        finer = Pixels(4, CENTRES).at(positions(4, factor, "centres")).cells().columns
        torch.testing.assert_close(finer, evenly_cut(4 * factor))
    shifted = Pixels(4, CENTRES).at(positions(4, 2, "corners")).cells().columns
    torch.testing.assert_close(shifted, evenly_cut(8) + 1 / 16)
    lone = Pixels(4, CENTRES).at(torch.tensor([1.0], dtype=torch.float64)).cells().columns
    assert lone.tolist() == [0.25, 0.5]


def test_metrics_see_denser_pixels_with_their_own_footprint() -> None:
    config = small_config(inr=an_inr(cfg.BoxMean()))
    torch.manual_seed(0)
    generator = build_generator(config).eval()
    z, at = torch.randn(3, 8), positions(8, 2, "centres")
    (images,) = generated(generator, z, at, quantised=False)
    cells = Cells(evenly_cut(16), evenly_cut(16), CENTRES)
    expected = generator.render(generator.hypernetwork(z), cells)
    torch.testing.assert_close(images, (expected + 1) * 127.5, atol=1e-3, rtol=1e-4)


def test_a_grid_without_areas_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^a Line has no cells, which inr\.footprint and inr\.scales are about$"):
        renderer_of(an_inr(cfg.Averaged()), Line(8, CENTRES))


# --- as any INR -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("footprint", MEANS, ids=lambda node: node.kind)
@pytest.mark.parametrize("basis", [cfg.Fourier(scale=4.0), cfg.Siren()])
def test_unit_init_holds_pre_activations_near_one(footprint: cfg.Footprint, basis: cfg.Basis) -> None:
    renderer = renderer_of(an_inr(footprint, basis=basis, width=32, depth=5, init="unit"), Pixels(16, CENTRES))
    found: list[float] = []
    for module in renderer.inr.layers[1:]:
        module.register_forward_hook(lambda _module, _inputs, output: found.append(rms(output)))
    with torch.no_grad():
        renderer.render(torch.randn(32, renderer.inr.emitted))
    assert len(found) == 5 and all(0.6 < size < 1.6 for size in found)


def test_off_is_no_part_of_a_config_and_on_is() -> None:
    plain = cfg.canonical(an_inr(None))
    assert not {"footprint", "scales"} & set(plain)
    for footprint in MEANS:
        on = an_inr(footprint)
        assert cfg.canonical(on) == {**plain, "footprint": footprint.model_dump()}
        assert cfg.parse(cfg.Config(inr=on).model_dump(mode="json")) == cfg.Config(inr=on)


def test_points_beyond_any_memory_are_named() -> None:
    config = small_config(inr=an_inr(cfg.Averaged(points=10**6)))
    with pytest.raises(InputError, match=r"^inr\.footprint\.points is 1,000,000: one image's activations alone"):
        check_memory(config, on_cpu=True, there=2**34)


def until_checkpoint(iteration: int, config: cfg.Config, images: Tensor) -> tuple[list[Event], Any]:
    """The events up to a checkpoint, and its state."""
    before: list[Event] = []
    evaluator = Inline(Evaluation(config, MeanPixel()))  # type: ignore[arg-type]
    for event in train(cfg.Job(config=config, seed=0), images, evaluator, checkpoint_due=lambda: True):
        if isinstance(event, Checkpointed) and event.iteration == iteration:
            return before, event.state
        before.append(event)
    raise AssertionError("no checkpoint")


def check_training(inr: cfg.Inr, images: Tensor, file: Path) -> None:
    """It trains by the loop itself, is not the plain INR, and resumed ends as undisturbed, bit for bit."""
    config = small_config(inr=inr, ema=cfg.Ema(decay=0.9))
    whole = events_of(config, images)
    before, state = until_checkpoint(5, config, images)
    torch.save(state, file)
    rest = events_of(config, images, resume=torch.load(file, weights_only=True))
    assert payload(before) + payload(rest) == payload(whole)
    (first, *_, one), other = whole, rest[-1]
    assert isinstance(one, Finished) and isinstance(other, Finished)
    assert all(torch.equal(tensor, other.generator[name]) for name, tensor in one.generator.items())
    assert isinstance(first, Built) and all(layer.pre_activation > 0 for layer in first.initial)
    plain = config.replace(inr=inr.replace(footprint=None, scales=None))
    assert numbers(whole) != numbers(events_of(plain, images))


@pytest.mark.parametrize("footprint", MEANS, ids=lambda node: node.kind)
def test_it_trains_and_an_interrupted_job_ends_as_an_undisturbed_one(
    footprint: cfg.Footprint, images: Tensor, tmp_path: Path
) -> None:
    check_training(an_inr(footprint), images, tmp_path / "state.pt")
