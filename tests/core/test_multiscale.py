"""INRs of several scales, against the blocks as they read: whole grids that are enlarged, or points one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from core import arithmetic
from core import config as cfg
from core.build import build_generator
from core.grids import Cells, Grid, Pixels, evenly_cut
from core.metrics.enlarging import positions
from core.metrics.features import generated
from core.models.generator import Renderer
from core.models.layers.emitted import rms
from core.models.multiscale import MultiScaleInr
from core.places import Level, Places, coarser, merged
from tests.core.conftest import small_config
from tests.core.test_footprint import CENTRES, CORNERS, an_inr, check_training, renderer_of
from tests.systems.waves import Line

THREE = cfg.MultiScale(blocks=3)


def of_scales(scales: cfg.MultiScale = THREE, **fields: Any) -> cfg.Inr:
    return an_inr(fields.pop("footprint", None), **{"depth": 6, "scales": scales, **fields})


def by_whole_grids(inr: MultiScaleInr, emitted: Tensor, resolutions: list[int], coordinates: cfg.Coordinates) -> Tensor:
    """RGB [B, 3, R, R] of blocks on square grids of these resolutions, each enlarged to the next by torch."""
    numbers = iter(torch.split(emitted, inr.sizes, dim=1))
    hidden = iter(inr.hidden_layers)
    x = torch.empty(0)
    for block, (resolution, count) in enumerate(zip(resolutions, inr.counts, strict=True)):
        own = inr.embedded(
            next(numbers), Pixels(resolution, coordinates).coordinates(), layer=inr.coordinates_of(block)
        )
        if block:
            join = inr.join(block)
            theirs = join.of_coarser(x, next(numbers)).transpose(1, 2).unflatten(2, (resolutions[block - 1],) * 2)
            theirs = F.interpolate(theirs, size=resolution, mode="nearest-exact").flatten(2).transpose(1, 2)
            x = (theirs + join.of_own(own, next(numbers))).relu()
        else:
            x = own
        for _ in range(count - bool(block)):
            x = next(hidden)(x, next(numbers)).relu()
    return Pixels(resolutions[-1], coordinates).arranged(inr.rgb_layer(x, next(numbers)).tanh())


def multi_scale(config: cfg.Inr, grid: Grid) -> tuple[MultiScaleInr, Renderer, Tensor]:
    renderer = renderer_of(config, grid)
    assert isinstance(renderer.inr, MultiScaleInr)
    return renderer.inr, renderer, torch.randn(2, renderer.inr.emitted)


# --- whole pictures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coordinates", [CENTRES, CORNERS], ids=lambda node: node.sampling)
@pytest.mark.parametrize(
    ("scales", "resolution", "resolutions"),
    [
        (THREE, 8, [2, 4, 8]),
        (THREE, 16, [2, 8, 16]),
        (THREE.replace(denser_from=0), 16, [4, 8, 16]),
        (THREE.replace(denser_from=2), 16, [2, 4, 16]),
        (THREE, 24, [2, 12, 24]),
        # Smaller than it is trained.
        (THREE, 4, [2, 2, 4]),
        (THREE.replace(denser_from=2), 4, [2, 4, 4]),
        (cfg.MultiScale(), 8, [4, 8]),
        (cfg.MultiScale(factor=4), 32, [2, 32]),
    ],
)
def test_blocks_are_grids_that_are_enlarged(
    scales: cfg.MultiScale, resolution: int, resolutions: list[int], coordinates: cfg.Coordinates
) -> None:
    """Trained at 8 x 8; the public code enlarges at `upsample_block_idx`."""
    inr, renderer, emitted = multi_scale(of_scales(scales, coordinates=coordinates), Pixels(8, coordinates))
    found = renderer.render(emitted, renderer.pixels.of_size(resolution))
    torch.testing.assert_close(found, by_whole_grids(inr, emitted, resolutions, coordinates))
    if resolution == 8:
        torch.testing.assert_close(renderer.render(emitted), found)
    if coordinates is CENTRES and resolution > 8:
        at = renderer.pixels.at(positions(8, resolution // 8, "centres"))
        torch.testing.assert_close(renderer.render(emitted, at), found, atol=1e-5, rtol=1e-4)


def test_a_coarse_cell_may_reach_beyond_the_picture() -> None:
    _, renderer, emitted = multi_scale(of_scales(), Pixels(10, CENTRES))
    where = renderer.coords_PI
    assert isinstance(where, Places) and [len(level.points) for level in where.levels] == [9, 25, 100]
    # The middle of its last cell is where the picture ends.
    assert where.levels[0].points.max() == 1
    assert renderer.render(emitted).shape == (2, 3, 10, 10)


def test_metrics_render_it_denser() -> None:
    config = small_config(inr=of_scales())
    generator = build_generator(config).eval()
    z = torch.randn(3, 8)
    (images,) = generated(generator, z, positions(8, 2, "centres"), quantised=False)
    expected = generator.render(generator.hypernetwork(z), Pixels(16, CENTRES))
    torch.testing.assert_close(images, (expected + 1) * 127.5, atol=1e-3, rtol=1e-4)


# --- parts of pictures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("denser_from", [0, 1, 2])
@pytest.mark.parametrize("resolution", [8, 16])
def test_a_part_is_that_of_the_whole_wherever_it_begins(denser_from: int, resolution: int) -> None:
    """At every offset from the coarse cells, and of each sample's own."""
    _, renderer, emitted = multi_scale(of_scales(THREE.replace(denser_from=denser_from)), Pixels(8, CENTRES))
    whole = renderer.render(emitted, Pixels(resolution, CENTRES))
    edges = evenly_cut(resolution)
    for first in range(4):
        part = renderer.render(emitted, Cells(edges[first : first + 5], edges[2:5], CENTRES))
        torch.testing.assert_close(part, whole[:, :, 2:4, first : first + 4], atol=1e-5, rtol=1e-4)
    own = Cells(torch.stack([edges[1:6], edges[3:8]]), torch.stack([edges[:3], edges[5:8]]), CENTRES)
    part = renderer.render(emitted, own)
    torch.testing.assert_close(part[0], whole[0, :, :2, 1:5], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(part[1], whole[1, :, 5:7, 3:7], atol=1e-5, rtol=1e-4)


def test_a_cell_lies_in_the_coarse_cell_of_its_middle() -> None:
    """Cells that no coarser ones consist of: the coarse grid stays where it is in the picture."""
    edges = 0.07 + evenly_cut(6) / 4
    coarse, of = coarser(edges, 0.125)
    torch.testing.assert_close(coarse, torch.tensor([0.0, 0.125, 0.25, 0.375], dtype=torch.float64))
    assert of.tolist() == [0, 1, 1, 1, 2, 2]
    # On an edge it is of the cell to the right; widths come from divisions.
    assert coarser(torch.tensor([0.1, 0.3, 0.5]).double() / 3, 0.2 / 3)[1].tolist() == [0, 1]
    both, of = coarser(torch.stack([edges, edges + 0.25]), torch.tensor([[0.125], [0.25]], dtype=torch.float64))
    assert both[1].tolist() == [0.25, 0.5, 0.75, 1.0] and of.tolist() == [[0, 1, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1]]


def test_neighbours_of_different_widths_make_one_coarse_cell() -> None:
    edges = torch.tensor([0.0, 0.1, 0.15, 0.2, 0.6, 1.0], dtype=torch.float64)
    coarse, of = merged(edges, 2)
    assert coarse.tolist() == [0.0, 0.15, 0.6, 1.0] and of.tolist() == [0, 0, 1, 1, 2]
    _, renderer, emitted = multi_scale(of_scales(THREE.replace(denser_from=0)), Pixels(8, CENTRES))
    grid = Cells(edges, torch.stack([edges, 1 - edges.flip(0)]), CENTRES)
    assert renderer.render(emitted, grid).shape == (2, 3, 5, 5)
    _, where = renderer.inr.placed(grid)
    assert isinstance(where, Places)
    middle, finest = where.levels[1:]
    assert middle.points.shape == (2, 9, 2) and finest.of is not None and finest.of.tolist()[:6] == [0, 0, 1, 1, 2, 0]


def test_features_do_not_change_with_the_density_where_their_block_keeps_the_trained_grid() -> None:
    """One point of the coarsest block, and one of the finest."""
    inr, renderer, _ = multi_scale(of_scales(THREE.replace(denser_from=2)), Pixels(8, CENTRES))
    where, denser = (renderer.inr.placed(Pixels(resolution, CENTRES))[1] for resolution in (8, 32))
    assert isinstance(where, Places) and isinstance(denser, Places)
    for one, other in zip(where.levels[:2], denser.levels[:2], strict=True):
        torch.testing.assert_close(one.points, other.points)
    assert inr.trained_sides == (0.125, 0.125)


def test_a_grid_without_cells_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^a Line has no cells"):
        renderer_of(of_scales(), Line(8, CENTRES))


# --- with footprints --------------------------------------------------------------------------------------------------


def test_averaged_evaluates_the_last_block_alone_at_more_points() -> None:
    scales = THREE.replace(denser_from=2)
    _, plain, emitted = multi_scale(of_scales(scales), Pixels(8, CENTRES))
    _, mean, _ = multi_scale(of_scales(scales, footprint=cfg.Averaged()), Pixels(8, CENTRES))
    expected = F.avg_pool2d(plain.render(emitted, Pixels(16, CENTRES)), 2)
    torch.testing.assert_close(mean.render(emitted), expected, atol=1e-5, rtol=1e-4)


def test_every_block_has_the_boxes_of_its_own_cells() -> None:
    _, renderer, emitted = multi_scale(of_scales(footprint=cfg.BoxMean()), Pixels(8, CORNERS))
    where = renderer.coords_PI
    assert isinstance(where, Places)
    assert [level.sides.tolist() for level in where.levels if level.sides is not None] == [
        [[0.5] * 2],
        [[0.25] * 2],
        [[0.125] * 2],
    ]
    # Middles, not corners.
    assert where.levels[0].points[0].tolist() == [0.25, 0.25]
    assert renderer.render(emitted).shape == (2, 3, 8, 8)
    assert renderer.render(emitted, Cells(evenly_cut(3), evenly_cut(5), CORNERS)).shape == (2, 3, 5, 3)


# --- as any INR -------------------------------------------------------------------------------------------------------


LAYERS: tuple[cfg.Layer, ...] = (cfg.Linear(), cfg.FactorizedSE(rank=3), cfg.AdaIN(), cfg.MFiLM())


@pytest.mark.parametrize("layer", LAYERS, ids=lambda node: node.kind)
@pytest.mark.parametrize("basis", [cfg.Fourier(scale=4.0), cfg.Siren()], ids=lambda node: node.kind)
def test_unit_init_holds_pre_activations_near_one(layer: cfg.Layer, basis: cfg.Basis) -> None:
    config = of_scales(layer=layer, basis=basis, width=32, init="unit")
    inr, renderer, _ = multi_scale(config, Pixels(16, CENTRES))
    found: list[float] = []
    for module in (*inr.joins, *inr.hidden_layers, inr.rgb_layer):
        module.register_forward_hook(lambda _module, _inputs, output: found.append(rms(output)))
    with torch.no_grad():
        renderer.render(torch.randn(32, inr.emitted))
    assert len(found) == 6 and all(0.6 < size < 1.6 for size in found)
    again, _, _ = multi_scale(config.replace(init="deck"), Pixels(16, CENTRES))
    again.load_state_dict(inr.state_dict())
    assert [again.join(block).of_own.gain for block in (1, 2)] == [inr.join(block).of_own.gain for block in (1, 2)]


def test_layers_are_shared_out_evenly_and_the_last_blocks_have_the_odd_ones() -> None:
    assert cfg.MultiScale().layers(8) == (3, 4) and THREE.layers(4) == (1, 1, 1) and THREE.layers(9) == (2, 3, 3)
    assert THREE.coarsening == (4, 2, 1) and cfg.MultiScale(factor=4).coarsening == (4, 1)


def test_arithmetic_knows_every_layer() -> None:
    for layer in LAYERS:
        for coordinates in (CENTRES, CENTRES.replace(layer="shared")):
            config = of_scales(layer=layer, coordinates=coordinates)
            inr, _, _ = multi_scale(config, Pixels(8, CENTRES))
            expected = [size for count, size in arithmetic.sizes_of(config) for _ in range(count)]
            assert sorted(inr.sizes) == sorted(expected) and len(inr.layers) == 3 + 5 + 2 + 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"depth": 3}, "it has to be 4 or more"),
        ({"scales": {"blocks": 3, "denser_from": 3}}, "of 3 the last is 2"),
        ({"scales": {"blocks": 1}}, "greater than or equal to 2"),
        ({"basis": cfg.Fourier(), "width": 7}, "even width"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        cfg.Inr(**{"scales": THREE, **fields})


def test_chosen_points_have_the_values_that_they_have_among_all() -> None:
    inr, renderer, emitted = multi_scale(of_scales(footprint=cfg.BoxMean()), Pixels(8, CENTRES))
    chosen = torch.randperm(64)[:7]
    where = renderer.coords_PI
    torch.testing.assert_close(inr(emitted, where[chosen]), inr(emitted, where)[:, chosen])
    assert len(where[chosen]) == 7


@pytest.mark.parametrize(
    "of",
    [[0, 0, 1, 1, 2, 2], [2, 0, 2, 2, 0, 2], [[0, 0, 1, 1, 2, 2], [1, 1, 1, 0, 2, 2]]],
    ids=["even", "uneven", "own"],
)
def test_the_gradients_of_repeated_features_are_those_of_indexing(of: Any) -> None:
    index = torch.tensor(of)
    level = Level(torch.zeros(6, 2), None, index, 3)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    samples = torch.arange(2)[:, None].expand(2, 6)
    assert torch.equal(level.repeated(x), x[samples, index.expand(2, 6)])
    assert torch.autograd.gradcheck(level.repeated, (x,))


@pytest.mark.parametrize(
    "inr",
    [of_scales(), of_scales(footprint=cfg.BoxMean(), layer=cfg.FactorizedSE(rank=3), init="unit", residual=True)],
    ids=["points", "box means"],
)
def test_it_trains_and_an_interrupted_job_ends_as_an_undisturbed_one(
    inr: cfg.Inr, images: Tensor, tmp_path: Path
) -> None:
    check_training(inr, images, tmp_path / "state.pt")
