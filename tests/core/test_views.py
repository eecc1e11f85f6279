"""What critics see: windows, sizes and warps of pictures, real and generated alike, and which critic sees what."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from core import config as cfg
from core.data import rooms
from core.data.feed import Batch
from core.data.fine import Drawn, Stored, fine_images
from core.data.prepare import prepare, prepare_pool
from core.data.shown import Real
from core.data.windows import seen_in, weights
from core.evaluation import Evaluation, Inline
from core.events import Checkpointed, Event, Finished, Losses
from core.grids import Cells, Pair, evenly_cut
from core.loop import train
from core.means import Means
from core.signals import Picture
from core.step import Networks, Step
from core.views.places import PlaceChannels
from core.views.whole import Growing, whole_cells
from core.views.windows import Drawing, Foveated, Windows
from tests.core.conftest import MeanPixel, small_config
from tests.core.test_train import events_of, payload

COORDINATES = cfg.Coordinates(low=-1.0, high=1.0, sampling="centres")
CPU = torch.device("cpu")
POOLED = cfg.PooledDiscriminator(width=4, hidden=8, pool=2)
STRIDED = cfg.StridedDiscriminator(width=4, hidden=8)


def windows(images: int = 12, iterations: int = 100, size: int = 4, **fields: Any) -> Windows:
    return Windows(cfg.Patches(**fields), COORDINATES, Drawing(size, images, 0, ""), iterations=iterations)


def cells_of(grid: Any) -> Cells:
    assert isinstance(grid, Cells)
    return grid


def extent(edges: Tensor) -> Tensor:
    return edges[:, -1] - edges[:, 0]


@pytest.fixture(scope="module")
def fine() -> Tensor:
    """64 images of 32 x 32, whose means over 4 x 4 are images of 8 x 8."""
    coarse = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(coarse, size=32, mode="bicubic", align_corners=False)
    return (smooth * 255).clamp(0, 255).to(torch.uint8)


# --- real images in cells ---------------------------------------------------------------------------------------------


def test_whole_cells_of_an_integer_factor_are_plain_means(fine: Tensor) -> None:
    edges = evenly_cut(8)[None]
    expected = torch.nn.functional.avg_pool2d(fine[:5].float(), 4)
    torch.testing.assert_close(seen_in(fine[:5], edges, edges), expected, rtol=0, atol=1e-3)
    own = evenly_cut(32)[None]
    assert torch.equal(seen_in(fine[:2], own, own), fine[:2].float())


@given(st.floats(0.05, 1), st.floats(0, 1), st.integers(1, 9), st.integers(1, 40))
def test_a_cell_is_the_integral_of_what_is_stored_over_it(scale: float, place: float, count: int, size: int) -> None:
    low = place * (1 - scale)
    edges = evenly_cut(count, torch.tensor([low], dtype=torch.float64), torch.tensor([low + scale]))
    stored = torch.rand(size, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    integral = torch.cat([torch.zeros(1), stored.cumsum(0) / size])

    def below(x: float) -> float:
        at = min(max(x * size, 0.0), float(size))
        whole = min(int(at), size - 1)
        return float(integral[whole] + (at - whole) * stored[whole] / size)

    found = weights(edges, size, "box")[0] @ stored
    ends = edges[0].tolist()
    expected = [(below(high) - below(low)) / (high - low) for low, high in pairwise(ends)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize("filtered", ["box", "bilinear", "nearest"])
def test_every_filter_keeps_a_flat_picture_flat(filtered: Any) -> None:
    edges = evenly_cut(5, torch.tensor([0.1, 0.4]), torch.tensor([0.3, 1.0]))
    assert weights(edges, 16, filtered).sum(dim=-1) == pytest.approx(1.0)
    flat = torch.full((2, 3, 16, 16), 77, dtype=torch.uint8)
    torch.testing.assert_close(seen_in(flat, edges, edges, filtered), torch.full((2, 3, 5, 5), 77.0))


def test_a_window_of_a_mirrored_image_is_that_of_the_mirror_image(fine: Tensor) -> None:
    order = torch.tensor([3, 5, 9, 3])
    batch = Batch(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), order, torch.tensor([1, 3]))
    left = evenly_cut(4, torch.full((4,), 0.1), torch.full((4,), 0.35))
    cells = Cells(left, evenly_cut(4, 0.5, 0.75), COORDINATES)
    seen = Real(batch, Picture(), Stored(fine)).seen(cells)
    mirrored = Cells((1 - left).flip(-1), evenly_cut(4, 0.5, 0.75), COORDINATES)
    plain = Real(Batch(batch.images, order, None), Picture(), Stored(fine)).seen(mirrored).flip(-1)
    torch.testing.assert_close(seen[[1, 3]], plain[[1, 3]])
    part = Real(batch, Picture(), Stored(fine)).part(slice(-2, None))
    assert torch.equal(part.seen(Cells(left[-2:], cells.rows, COORDINATES)), seen[-2:])


def test_of_a_share_of_fine_images_every_image_has_one(fine: Tensor) -> None:
    batch = Batch(torch.zeros(3, 3, 8, 8, dtype=torch.uint8), torch.tensor([1, 7, 60]), None)
    cells = whole_cells(32, COORDINATES)
    seen = Real(batch, Picture(), Stored(fine[:6])).seen(cells)
    assert torch.equal(seen, Picture().to_network(fine[[1, 1, 0]]))


def test_windows_of_scenes_are_those_of_the_pictures_they_make(cache: Path) -> None:
    data = cfg.Rooms(resolution=16, train=6, held_out=1)
    pool = prepare_pool(data, cfg.Pool(resolution=64), cache=cache)
    batch = Batch(torch.zeros(3, 3, 16, 16, dtype=torch.uint8), torch.tensor([4, 0, 5]), torch.tensor([1]))
    left = evenly_cut(16, torch.tensor([0.25, 0.5, 0.75]), torch.tensor([0.5, 0.75, 1.0]))
    cells = Cells(left, evenly_cut(16, 0.5, 0.75), COORDINATES)
    # A cell is a pixel of the pool, whose supersampling is 2.
    assert torch.equal(
        Drawn(data, 2).seen(batch, cells, "box"), Stored(torch.from_numpy(pool)).seen(batch, cells, "box")
    )


def test_points_are_the_scenes_in_the_middles_of_pixels(cache: Path) -> None:
    areas, points = (cfg.Rooms(resolution=16, train=4, held_out=2, shown=shown) for shown in ("areas", "points"))
    (train, real), (of_areas, real_of_areas) = (prepare(data, cache=cache) for data in (points, areas))
    assert np.array_equal(real, real_of_areas) and not np.array_equal(train, of_areas)
    assert np.array_equal(train, rooms.render(rooms.train_indices(4), 16, 1))
    fine = fine_images(points, cfg.Pool(resolution=48), cache=cache)
    assert isinstance(fine, Stored) and fine.points
    batch = Batch(torch.from_numpy(train.copy()), torch.arange(4), None)
    # 48 is an odd multiple of 16: the middles are middles of stored pixels.
    assert torch.equal(fine.seen(batch, whole_cells(16, COORDINATES), "box"), batch.images)
    drawn = fine_images(points, cfg.Scenes(), cache=cache)
    assert drawn is not None and torch.equal(drawn.seen(batch, whole_cells(16, COORDINATES), "box"), batch.images)


# --- views ------------------------------------------------------------------------------------------------------------


def test_images_of_one_group_share_a_window_and_real_ones_are_seen_through_the_same() -> None:
    view = windows(scale=cfg.UniformScale(low=0.25))
    sight = view.next(1)
    cells = cells_of(sight.generated)
    assert sight.real is sight.generated and cells.columns.shape == (12, 5)
    # Groups of four: images i, i + 3, i + 6, i + 9, as the minibatch's std has them.
    assert torch.equal(cells.columns[:3].repeat(4, 1), cells.columns)
    assert len({tuple(edges) for edges in cells.columns.tolist()}) == 3
    assert torch.equal(extent(cells.columns), extent(cells.rows))
    assert not torch.equal(cells_of(view.next(2).generated).columns, cells.columns)


SCALES = (
    cfg.FixedScale(scale=0.25),
    cfg.UniformScale(low=0.25),
    cfg.LogUniformScale(low=0.25),
    cfg.BetaScale(low=0.25),
)


@pytest.mark.parametrize("scale", SCALES)
def test_windows_lie_in_the_picture_and_reach_every_part_of_it(scale: Any) -> None:
    view = windows(images=400, scale=scale)
    drawn = [cells_of(view.next(i).generated) for i in (1, 50, 100)]
    for cells in drawn:
        assert cells.columns.min() >= 0 and cells.rows.max() <= 1 + 1e-12
        assert extent(cells.columns).min() >= 0.25 - 1e-12
    late = drawn[-1].columns
    assert late[:, 0].min() < 0.05 and late[:, -1].max() > 0.95


def test_windows_of_stored_images_lie_on_their_pixels_where_they_can() -> None:
    drawing = Drawing(4, 400, 0, "", stored=16)
    on = Windows(cfg.Patches(scale=cfg.FixedScale(scale=0.25)), COORDINATES, drawing, iterations=1)
    left = cells_of(on.next(1).generated).columns[:, 0] * 16
    torch.testing.assert_close(left, left.round())
    assert set(left.round().tolist()) == set(range(13))
    for scale in (cfg.FixedScale(scale=0.4), cfg.UniformScale()):
        off = Windows(cfg.Patches(scale=scale), COORDINATES, drawing, iterations=1)
        edges = cells_of(off.next(1).generated).columns[:, 0] * 16
        assert (edges - edges.round()).abs().max() > 0.1


def test_a_beta_law_begins_with_whole_pictures_and_ends_as_it_says() -> None:
    law = cfg.BetaScale(low=0.25, start=0.001, end=0.8, until=0.5)
    view = windows(images=4000, iterations=200, scale=law)
    sides = [extent(cells_of(view.next(i).generated).columns) for i in (1, 101, 200)]
    assert (sides[0] > 0.99).double().mean() > 0.98
    # The mean of Beta(1, b) is 1 / (1 + b).
    for late in sides[1:]:
        assert float(late.mean()) == pytest.approx(0.25 + 0.75 / 1.8, abs=0.03)


def test_a_log_uniform_law_sees_every_octave_as_often() -> None:
    view = windows(images=4000, scale=cfg.LogUniformScale(low=1 / 256))
    sides = torch.cat([extent(cells_of(view.next(i).generated).columns) for i in range(1, 5)])
    octaves = -sides.log2()
    assert 0 <= octaves.min() < 0.05 and 7.95 < octaves.max() <= 8
    # Of 4,000 windows: a group of four shares one.
    counts = octaves.floor().clamp(max=7).long().bincount(minlength=8) / 4
    assert (counts - 500).abs().max() < 5 * 500**0.5
    needed = r"windows of 8 pixels at scale 0.00390625 would need real images of 2048 pixels"
    with pytest.raises(ValidationError, match=needed):
        small_config(looks=cfg.Looks(view=cfg.Patches(scale=cfg.LogUniformScale())), fine=FINE)


def test_a_share_of_groups_sees_whole_pictures() -> None:
    cells = cells_of(windows(images=16, whole=0.5).next(1).generated)
    assert (extent(cells.columns) == 1).tolist() == ([True, True, False, False] * 4)


def test_the_drafts_defects_each_by_itself() -> None:
    def pair(**draft: Any) -> tuple[Cells, Cells]:
        sight = windows(images=400, scale=cfg.UniformScale(low=0.5), draft=cfg.Draft(**draft)).next(1)
        return cells_of(sight.generated), cells_of(sight.real)

    generated, real = pair(ends=True)
    edges = generated.columns[0]
    points, ends = generated.coordinates()[0, :4, 0], (2 * edges[[0, -1]] - 1).float()
    torch.testing.assert_close(points[[0, -1]], ends)
    middles = Cells(generated.columns, generated.rows, COORDINATES).coordinates()[0, :4, 0]
    assert points[0] < middles[0] and points[-1] > middles[-1]

    generated, real = pair(area=True)
    assert 0.5 <= extent(generated.columns).min() < 0.55 and 0.5**0.5 <= extent(real.columns).min() < 0.75
    assert extent(real.columns).square().mean().item() == pytest.approx(0.75, abs=0.06)

    generated, real = pair(beyond=True)
    assert generated.columns.max() > 1.2 and real.columns.max() <= 1

    view = windows(images=8, iterations=9, draft=cfg.Draft(workers=3))
    firsts = [float(cells_of(view.next(i).real).columns[0, 0]) for i in range(1, 7)]
    assert firsts[0] == firsts[1] == firsts[2] != firsts[3] == firsts[4] == firsts[5]

    # Real windows are drawn by workers that load data, by the same law and apart from G's.
    generated, real = pair()
    assert not torch.equal(generated.columns, real.columns)
    means = [extent(cells.columns).mean().item() for cells in (generated, real)]
    assert means == pytest.approx([0.75, 0.75], abs=0.06)
    sight = windows(images=400).next(1)
    assert sight.generated is sight.real


def test_a_picture_grows_in_equal_parts_of_the_share_it_grows_in() -> None:
    view = Growing(cfg.Growing(sizes=(4, 8, 16), until=0.5), COORDINATES, iterations=100)
    sizes = [view.size_at(i) for i in range(1, 101)]
    assert [sizes.count(size) for size in (4, 8, 16)] == [25, 25, 50] and sizes == sorted(sizes)


def test_foveated_pixels_are_smallest_at_the_drawn_place_and_cover_the_picture() -> None:
    view = Foveated(cfg.Foveated(), COORDINATES, Drawing(16, 8, 0, ""))
    for centre in (0.0, 0.3, 1.0):
        edges = view.edges(torch.tensor([centre], dtype=torch.float64))[0]
        widths = edges.diff()
        assert edges[0] == 0 and edges[-1] == 1 and widths.min() > 0
        narrowest = int(widths.argmin())
        assert edges[narrowest] - 0.06 <= centre <= edges[narrowest + 1] + 0.06
        assert widths.max() / widths.min() > 5


def test_a_picture_and_its_window_are_channels_of_one_image(fine: Tensor) -> None:
    config = small_config(looks=cfg.Looks(view=cfg.Beside()), fine=cfg.Pool(resolution=32), discriminator=STRIDED)
    nets = Networks(config, 0, fine[:, :, ::4, ::4].contiguous(), CPU, Stored(fine))
    (critic,) = nets.critics
    sight = critic.view.next(1)
    assert isinstance(sight.generated, Pair)
    emitted = nets.generator.hypernetwork(torch.randn(6, 8))
    both = nets.generator.render(emitted, sight.generated)
    assert both.shape == (6, 6, 8, 8)
    torch.testing.assert_close(both[:, :3], nets.generator.render(emitted))
    torch.testing.assert_close(both[:, 3:], nets.generator.render(emitted, sight.generated.second))
    real = Real(nets.real.take(), nets.generator.signal, Stored(fine))
    shown = critic.view.of_real(real, sight)
    assert torch.equal(shown[:, :3], real.whole) and torch.equal(shown[:, 3:], real.seen(sight.generated.second))
    # Where fine images are of some training images, both channels are of one of these.
    few = Real(real.batch, nets.generator.signal, Stored(fine[:4]))
    config = config.replace(fine=cfg.Pool(resolution=32, share=4 / len(fine)))
    (critic,) = Networks(config, 0, fine[:, :, ::4, ::4].contiguous(), CPU, few.fine).critics
    shown = critic.view.of_real(few, sight)
    assert torch.equal(shown[:, :3], few.seen(sight.generated.first)) and not torch.equal(shown[:, :3], few.whole)


def test_place_channels_say_where_and_how_densely() -> None:
    channels = PlaceChannels(0.25, whole_cells(8, COORDINATES))
    whole = channels.of(None)
    assert whole.shape == (1, 3, 8, 8)
    assert whole[0, 0, 0].tolist() == pytest.approx([0.25 * (2 * (i + 0.5) / 8 - 1) for i in range(8)])
    assert torch.equal(whole[0, 1], whole[0, 0].T) and not whole[0, 2].any()
    window = Cells(evenly_cut(8, 0.5, 0.75), evenly_cut(8, 0.0, 0.25), COORDINATES)
    assert channels.of(window)[0, 2] == pytest.approx(torch.full((8, 8), -2 * 0.25))
    assert channels.of(Pair(whole_cells(8, COORDINATES), window)).shape == (1, 6, 8, 8)


def test_the_penalty_is_on_the_images_channels_alone(fine: Tensor) -> None:
    told = small_config(looks=cfg.Looks(places=cfg.Places()), penalty=cfg.R1(), discriminator=STRIDED)
    nets = Networks(told, 0, fine[:, :, ::4, ::4].contiguous(), CPU)
    (critic,) = nets.critics
    assert critic.network.stem.weight.shape[1] == (3 + 3) * 4  # type: ignore[union-attr, index]
    real = torch.rand(6, 3, 8, 8).requires_grad_()
    seen = torch.cat([real, critic.places.of(None).expand(6, -1, -1, -1)], dim=1)  # type: ignore[union-attr]
    (gradient,) = torch.autograd.grad(critic.network(seen).sum(), real)
    assert gradient.shape == real.shape


# --- configs ----------------------------------------------------------------------------------------------------------

FINE = cfg.Pool(resolution=32)
PHOTOGRAPHS = cfg.Images(resolution=8, count=64, fingerprint="ab" * 32)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"looks": cfg.Looks(view=cfg.Patches())}, "real images of 32 pixels a side, and those here have 8"),
        ({"critics": (cfg.Critic(name="a", view=cfg.Sizes(sizes=(8, 64))),), "fine": FINE}, "one that is pooled"),
        ({"looks": cfg.Looks(view=cfg.Growing(sizes=(8, 64))), "discriminator": POOLED, "fine": FINE}, "64 pixels"),
        ({"looks": cfg.Looks(view=cfg.Foveated(floor=0.01))}, "densest part"),
        ({"looks": cfg.Looks(share=0.05)}, r"looks.share is 0.05: of a batch of 6 that is no image"),
        ({"critics": (cfg.Critic(name="a", view=cfg.Whole()),) * 2}, "two are called 'a'"),
        ({"critics": (cfg.Critic(name="a", view=cfg.Patches(size=6)),), "fine": FINE}, "critics.a.view.size is 6"),
        ({"consistency": cfg.Consistency()}, "no further critic sees other pixels"),
        (
            {"critics": (cfg.Critic(name="a"),), "fine": FINE, "consistency": cfg.Consistency(block=3)},
            "must divide the 8 pixels that a sees",
        ),
        ({"fine": cfg.Scenes(), "data": PHOTOGRAPHS}, "of rooms alone"),
        ({"looks": cfg.Looks(view=cfg.Beside(patches=cfg.Patches(size=16))), "fine": FINE}, "it has its size"),
        ({"looks": cfg.Looks(view=cfg.Patches(whole=0.1)), "fine": FINE}, "of 3 groups .* that is all or none"),
        (
            {
                "looks": cfg.Looks(view=cfg.Patches(draft=cfg.Draft(ends=True))),
                "fine": FINE,
                "inr": cfg.Inr(width=8, depth=3, footprint=cfg.BoxMean()),
            },
            "points from edge to edge stand for no areas",
        ),
    ],
)
def test_what_cannot_be_seen_is_refused_in_a_line(nodes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        small_config(**nodes)


def test_a_lazy_penalty_is_at_every_so_many_steps_of_its_critic(fine: Tensor) -> None:
    patch = cfg.Critic(name="patch", period=2, penalty=cfg.R1(interval=3))
    config = small_config(critics=(patch,), fine=FINE, penalty=cfg.R1(), d_per_g=1)
    assert config.period == 6
    nets = Networks(config, 0, fine[:, :, ::4, ::4].contiguous(), CPU, Stored(fine))
    penalised = []
    for iteration in range(1, 13):
        means = Means(CPU, ("patch",))
        Step(config, nets, means)(iteration)
        if means.take()["patch/penalty"]:
            penalised.append(iteration)
    assert penalised == [6, 12]


def test_off_is_no_part_of_an_identity() -> None:
    plain = cfg.Job(config=small_config(), seed=0)
    off = {"looks": cfg.Looks(view=cfg.Whole()), "critics": (), "consistency": None, "fine": None}
    assert cfg.Job(config=small_config(**off), seed=0).digest == plain.digest
    assert cfg.Job(config=small_config(fine=FINE), seed=0).digest != plain.digest


# --- training ---------------------------------------------------------------------------------------------------------

SYSTEMS: dict[str, dict[str, Any]] = {
    "windows": {"looks": cfg.Looks(view=cfg.Patches(scale=cfg.UniformScale(), whole=0.5), places=cfg.Places())},
    "log uniform": {"looks": cfg.Looks(view=cfg.Patches(scale=cfg.LogUniformScale(low=0.25)), places=cfg.Places())},
    "beta": {"looks": cfg.Looks(view=cfg.Patches(scale=cfg.BetaScale()))},
    "draft": {"looks": cfg.Looks(view=cfg.Beside(patches=cfg.Patches(draft=cfg.Draft(ends=True, workers=2))))},
    "sizes": {"looks": cfg.Looks(view=cfg.Sizes(sizes=(8, 12, 16)), places=cfg.Places()), "discriminator": POOLED},
    "growing": {"looks": cfg.Looks(view=cfg.Growing(sizes=(4, 8))), "discriminator": POOLED},
    "foveated": {"looks": cfg.Looks(view=cfg.Foveated())},
    "critics": {
        "looks": cfg.Looks(share=2 / 3),
        "critics": (
            cfg.Critic(name="patch", share=1 / 3, places=cfg.Places(scale=0.25), penalty=cfg.R1(interval=3)),
            cfg.Critic(name="odd", view=cfg.Foveated(), period=3, weight=0.5, discriminator=STRIDED),
        ),
        "consistency": cfg.Consistency(),
    },
}
"""One or more of each kind of view and critic."""


def config_of(system: str) -> cfg.Config:
    nodes = {"discriminator": STRIDED, "fine": FINE, "inr": cfg.Inr(width=8, depth=3, coordinates=COORDINATES)}
    return small_config(**{**nodes, **SYSTEMS[system]})


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_trains_and_an_interrupted_job_ends_as_an_undisturbed_one(
    system: str, images: Tensor, fine: Tensor, tmp_path: Path
) -> None:
    config, before, state = config_of(system), list[Event](), None
    whole = events_of(config, images, fine=Stored(fine))
    assert isinstance(whole[-1], Finished)
    losses = [event for event in whole if isinstance(event, Losses)]
    assert all(math.isfinite(value) for event in losses for value in (event.d_loss, *event.further.values()))
    evaluator = Inline(Evaluation(config, MeanPixel()))
    for event in train(
        cfg.Job(config=config, seed=0), images, evaluator, checkpoint_due=lambda: True, fine=Stored(fine)
    ):
        if isinstance(event, Checkpointed) and event.iteration == 7:
            state = event.state
            break
        before.append(event)
    torch.save(state, tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert payload(before) + payload(events_of(config, images, resume=state, fine=Stored(fine))) == payload(whole)


def test_a_further_critic_disturbs_no_stream_of_the_first(images: Tensor, fine: Tensor) -> None:
    plain, both = (
        Networks(config, 0, images, CPU, Stored(fine)) for config in (config_of("windows"), config_of("critics"))
    )
    alone = Networks(small_config(discriminator=STRIDED), 0, images, CPU)
    assert torch.equal(both.real.take().images, plain.real.take().images)
    for one, other in zip(alone.discriminator.parameters(), both.discriminator.parameters(), strict=True):
        assert torch.equal(one, other)
    first, patch, odd = both.critics
    emitted = torch.arange(6)
    assert [critic.of_batch(emitted).tolist() for critic in (first, patch, odd)] == [
        [0, 1, 2, 3],
        [4, 5],
        [0, 1, 2, 3, 4, 5],
    ]
    assert [critic.name for critic in both.critics] == ["", "patch", "odd"]
    assert config_of("critics").period == math.lcm(2, 1, 3)


def test_consistency_adds_to_gs_loss_alone(images: Tensor, fine: Tensor) -> None:
    config = config_of("critics")
    with_it = [event for event in events_of(config, images, fine=Stored(fine)) if isinstance(event, Losses)]
    without = [
        event
        for event in events_of(config.replace(consistency=None), images, fine=Stored(fine))
        if isinstance(event, Losses)
    ]
    assert [event.d_loss for event in with_it[:2]] == [event.d_loss for event in without[:2]]
    assert with_it[1].g_loss > without[1].g_loss
