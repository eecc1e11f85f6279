"""The measures of any resolution: true scenes read little, each fault is seen by what is there to see it, and each
number says how it was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from core import config as cfg
from core.build import build_generator
from core.data import rooms
from core.data.sources import fingerprint
from core.errors import InputError
from core.events import Evaluated, Pictured
from core.folder import RunFolder
from core.grids import Cells, evenly_cut
from core.job import run_job
from core.metrics import lines, pyramid, spectrum
from core.metrics.frechet import Gaussian
from core.metrics.identity import imagenet_file
from core.metrics.measure import Reading, build_metric
from core.metrics.patches import PLACES, real_windows, together, windows
from core.metrics.protocol import from_json, resize_of
from core.metrics.scales import MOST_DECIBELS, ScalesMeasure, agreement
from tests.choices import scales as chosen
from tests.core.conftest import small_config
from tests.support import true_scenes
from tests.support.true_scenes import Answer, Scenes, areas, coarse, latents_of

SCENES, FINE = 512, 64
CONFIG = cfg.Scales(patches=SCENES, dense=192, pyramids=64)
METRIC = cfg.RoomsFrechet(samples=SCENES)


@lru_cache(maxsize=1)
def held_out() -> Tensor:
    """1,024 held-out scenes."""
    return torch.from_numpy(rooms.render(rooms.held_out_indices(2 * SCENES), FINE))


@lru_cache(maxsize=1)
def shown() -> Tensor:
    """512 training scenes, twice as fine: their windows are those of no image of `FINE` pixels."""
    return torch.from_numpy(rooms.render(rooms.train_indices(SCENES), 2 * FINE, supersample=1))


@lru_cache(maxsize=1)
def measure() -> ScalesMeasure:
    torch.set_num_threads(1)
    metric = build_metric(METRIC, coarse(held_out()), device="cpu", cache=None)
    return ScalesMeasure(CONFIG, metric, held_out(), resize_of(METRIC, cfg.PATCH), latents_seed=8192)


def of_scenes(
    answer: Answer = areas, change: Callable[[Tensor], Tensor] = lambda x: x, different: int = SCENES
) -> Scenes:
    return Scenes(change(shown()), answer, different)


def back_windows() -> np.ndarray:
    """Which of the scenes have their window on the back wall."""
    wall = rooms.factors(0, rooms.train_indices(SCENES))["window_wall"]
    return np.flatnonzero((wall >= 1) & (wall < 2))


GENERATORS: dict[str, Callable[[], Scenes]] = {
    "true": of_scenes,
    **{name: partial(of_scenes, answer) for name, answer in true_scenes.ORACLES.items() if answer is not areas},
    "noise of 6 levels": partial(of_scenes, partial(true_scenes.noisy, 6.0)),
    "blur": partial(of_scenes, true_scenes.blurred),
    "other places": partial(of_scenes, true_scenes.misplaced),
    "parts of others": partial(of_scenes, areas, true_scenes.shuffled),
    "parts that are off": partial(of_scenes, areas, true_scenes.jittered),
    "a sixteenth of the scenes": partial(of_scenes, areas, different=SCENES // 16),
    "a third of the kinds of scenes": lambda: Scenes(shown()[torch.from_numpy(back_windows())], areas),
}


@cache
def readings(name: str) -> dict[str, float]:
    found = measure()(GENERATORS[name](), latents_of(SCENES))  # type: ignore[arg-type]
    return {each.key.removeprefix("scales/"): each.value for each in found if isinstance(each, Reading)}


# --- what is seen, against the floor ----------------------------------------------------------------------------------

SEEN: dict[str, dict[str, float]] = {
    # Of what the 16 x 16 pixels know, the less the nearer one looks.
    "means over 1/16 boxes": {"patch_1_2": 1.5, "patch_1_4": 3, "spectrum": 15, "swd_64": 2.5, "lines": 4},
    "16 x 16, bicubic": {"patch_1_2": 2, "patch_1_4": 4, "spectrum": 30, "swd_64": 3.5, "swd_32": 1.5, "lines": 4},
    "16 x 16, nearest": {"patch_1_2": 1.8, "patch_1_4": 3.5, "spectrum": 6, "swd_64": 2, "lines": 4},
    "16 x 16, bilinear": {"patch_1_2": 3.5, "patch_1_4": 4, "spectrum": 30, "swd_64": 3, "swd_32": 1.6, "lines": 4},
    "points": {"patch_1_2": 1.6, "spectrum": 4, "lines": 2},
    "noise of 6 levels": {"patch_1_2": 4, "patch_1_4": 10, "patch_1_4/places": 3, "swd_64": 3, "lines": 3.5},
    "blur": {"patch_1_2": 4, "patch_1_4": 1.8, "spectrum": 15, "swd_64": 2, "lines": 3},
    "other places": {"patch_1_2/places": 3, "patch_1_4/places": 4, "swd_16": 2.5},
    "parts of others": {"patch_1_2": 10, "patch_1_4": 7, "spectrum": 6, "swd_64": 3, "swd_32": 2, "lines": 12},
    "parts that are off": {"lines": 4},
    "a sixteenth of the scenes": {"patch_1_2": 3, "patch_1_4": 2.5, "patch_1_4/places": 2.2},
    "a third of the kinds of scenes": {"patch_1_2": 1.5, "patch_1_4": 1.4, "patch_1_2/places": 1.3, "spectrum": 2},
}
"""By fault the series that have to read so many times what other true scenes do."""

UNSEEN: dict[str, tuple[str, ...]] = {
    # The law of windows is the same wherever they lie.
    "other places": ("patch_1_2", "patch_1_4"),
    # Each window is right but for a seam of a pixel or so: what the lines are for.
    "parts that are off": ("patch_1_2", "patch_1_4", "spectrum", "swd_64", "swd_32", "swd_16"),
    "a sixteenth of the scenes": ("spectrum", "swd_64", "swd_32"),
    "a third of the kinds of scenes": ("swd_64", "swd_32"),
    "noise of 6 levels": ("swd_32", "swd_16"),
    "blur": ("swd_16",),
}
"""And those that read as they do, which is why there are several."""


@pytest.mark.parametrize("fault", SEEN)
def test_faults_are_read_as_worse_than_other_true_scenes(fault: str) -> None:
    floor, found = readings("true"), readings(fault)
    ratios = {series: found[series] / floor[series] for series in SEEN[fault]}
    assert {series: ratio for series, ratio in ratios.items() if ratio < SEEN[fault][series]} == {}


@pytest.mark.parametrize("fault", UNSEEN)
def test_no_measure_alone_sees_everything(fault: str) -> None:
    floor, found = readings("true"), readings(fault)
    ratios = {series: found[series] / floor[series] for series in UNSEEN[fault]}
    assert {series: ratio for series, ratio in ratios.items() if ratio > 1.35} == {}


def test_the_floor_is_small() -> None:
    floor = readings("true")
    assert max(floor["patch_1_2"], floor["patch_1_4"]) < 0.03
    # Of 128 windows a place, which the mean of places does not make more.
    assert max(floor["patch_1_2/places"], floor["patch_1_4/places"]) < 0.09
    assert floor["spectrum"] < 0.15 and floor["lines"] < 0.12 and floor["line_pairs"] == pytest.approx(1, abs=0.15)
    assert floor["psnr"] == MOST_DECIBELS


def test_what_16_pixels_know_lacks_power_and_points_have_too_much() -> None:
    """An error-free f of area pixels loses whole octaves between them; that of points has what areas average away."""
    boxes, points, bicubic = (readings(name) for name in ("means over 1/16 boxes", "points", "16 x 16, bicubic"))
    assert -0.7 < boxes["octave_4_8"] < -0.2 and -3 < boxes["octave_8_16"] < -1.5 and boxes["octave_16_32"] < -3.5
    assert 0.4 < points["octave_16_32"] < 1.3
    assert bicubic["octave_16_32"] < boxes["octave_16_32"]
    assert bicubic["line_pairs"] < 0.5 < boxes["line_pairs"] + 0.1 < readings("true")["line_pairs"]


def test_agreement_of_dense_and_coarse_falls_with_what_is_between_the_pixels() -> None:
    order = ("true", "16 x 16, nearest", "16 x 16, bicubic", "16 x 16, bilinear", "other places")
    values = [readings(name)["psnr"] for name in order]
    assert values == sorted(values, reverse=True) and values[-1] < 15 < 30 < values[-2]
    assert 30 < readings("means over 1/16 boxes")["psnr"] < 45


# --- patches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [2, 4])
def test_windows_lie_in_their_places_and_together_everywhere(zoom: int) -> None:
    count = 20_000
    columns, rows = windows(count, zoom, FINE, torch.Generator().manual_seed(0))
    assert columns.shape == rows.shape == (count, cfg.PATCH + 1)
    x, y, room = columns[:, 0], rows[:, 0], 1 - 1 / zoom
    assert torch.equal(columns[:, -1] - x, torch.full((count,), 1 / zoom, dtype=torch.float64))
    assert [end.item() for at in (x, y) for end in (at.min(), at.max())] == [0, room, 0, room]
    # All edges lie on pixels.
    assert torch.equal(columns * FINE, (columns * FINE).round())
    for place, name in enumerate(PLACES):
        vertical, horizontal = name.split("_")
        for at, low in ((y, vertical == "upper"), (x, horizontal == "left")):
            assert (at[place::4] <= room / 2 if low else at[place::4] >= room / 2).all()
    steps = int(FINE * room) + 1
    for at in (x, y):
        expected = count / steps
        assert ((at * FINE).long().bincount(minlength=steps) - expected).abs().max() < 5 * expected**0.5


def test_windows_off_the_pixels_would_be_blurred() -> None:
    """Why they lie on them: half a pixel further, means of pixels have lost detail that is there."""
    images, edges = shown()[:64], evenly_cut(cfg.PATCH, 0.25, 0.5)
    exact, pixels = areas(images, Cells(edges, edges, cfg.Coordinates())), coarse_by_two(images)
    torch.testing.assert_close(areas(pixels, Cells(edges, edges, cfg.Coordinates())), exact, atol=0.51, rtol=0)
    off = edges + 0.5 / FINE
    cells = Cells(off, off, cfg.Coordinates())

    def detail(values: Tensor) -> float:
        return values.diff(dim=-1).square().mean().item()

    assert detail(areas(pixels, cells)) < 0.75 * detail(areas(images, cells))


def coarse_by_two(images: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(images.float(), 2).round()


def test_real_windows_are_rounded_means_in_all_places_of_each_image() -> None:
    images = held_out()[:70]
    found = real_windows(images, 4, torch.Generator().manual_seed(3))
    assert found.shape == (280, 3, cfg.PATCH, cfg.PATCH) and found.dtype == torch.uint8
    columns, rows = windows(280, 4, FINE, torch.Generator().manual_seed(3))
    for i in (0, 69 * 4 + 3):
        one = areas(images[i // 4][None], Cells(columns[i : i + 1], rows[i : i + 1], cfg.Coordinates()))
        assert torch.equal(found[i], one[0].round().to(torch.uint8))


def test_the_gaussian_of_all_places_is_that_of_their_features() -> None:
    features = np.random.default_rng(0).normal(size=(4, 50, 6)) + np.arange(4)[:, None, None]
    whole = together([Gaussian.fit(part) for part in features], 50)
    expected = Gaussian.fit(features.reshape(200, 6))
    np.testing.assert_allclose(whole.mean, expected.mean)
    np.testing.assert_allclose(whole.covariance, expected.covariance)


# --- agreement and spectrum -------------------------------------------------------------------------------------------


def test_agreement_is_in_decibels_of_the_range() -> None:
    coarse_images = torch.zeros(3, 3, 4, 4)
    dense = torch.stack([torch.full((3, 8, 8), offset) for offset in (0.0, 0.2, -2.0)])
    assert agreement(dense, coarse_images).tolist() == pytest.approx([MOST_DECIBELS, 20, 0])
    # What cancels within a coarse pixel is no disagreement.
    dense[:, :, ::2] += 0.1
    dense[:, :, 1::2] -= 0.1
    assert agreement(dense, coarse_images)[1:].tolist() == pytest.approx([20, 0], abs=1e-4)


@pytest.mark.parametrize(("side", "expected"), [(32, [(4, 8), (8, 16)]), (64, [(4, 8), (8, 16), (16, 32)])])
def test_octaves_end_where_pixels_do(side: int, expected: list[tuple[int, int]]) -> None:
    assert list(spectrum.octaves(side)) == expected and spectrum.octaves(side + 16) == tuple(expected)


def test_a_wave_has_its_power_in_its_octave() -> None:
    x = torch.arange(64) / 64
    wave = (127.5 + 40 * (2 * torch.pi * 12 * x).sin()).expand(1, 3, 64, 64)
    powers = spectrum.octave_powers([wave, wave])
    # Of the mean square, 800, the squares of the windows leave 3/8 each way.
    assert powers.tolist() == pytest.approx([0, 800 * 9 / 64, 0], abs=0.1)
    turned = spectrum.octave_powers([wave.mT])
    torch.testing.assert_close(turned, powers, atol=1e-6, rtol=1e-6)
    # Brightness and what begins at the frame are no detail.
    assert spectrum.octave_powers([wave + 50]).tolist() == pytest.approx(powers.tolist(), abs=1e-4)
    assert spectrum.octave_powers([(100 * x).expand(1, 3, 64, 64)])[1:].max() < 0.01
    gains = spectrum.octave_gains(powers / 4, powers)
    assert gains.tolist() == pytest.approx([0, -2, 0], abs=1e-6)
    assert spectrum.octave_gains(torch.zeros(3), powers).isfinite().all()


def test_white_noise_has_power_in_proportion_to_area() -> None:
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(64, 1, 64, 64, generator=random).expand(-1, 3, -1, -1) * 10
    powers = spectrum.octave_powers([noise[:32], noise[32:]])
    areas_of = [torch.pi * (high**2 - low**2) / 64**2 for low, high in spectrum.octaves(64)]
    assert powers.tolist() == pytest.approx([100 * 9 / 64 * area for area in areas_of], rel=0.1)


# --- pyramids ---------------------------------------------------------------------------------------------------------


def test_a_pyramid_holds_the_image_and_each_level_its_detail() -> None:
    assert pyramid.levels(64) == (64, 32, 16) and pyramid.levels(48) == (48, 24) and pyramid.levels(16) == (16,)
    images = held_out()[:2]
    found = pyramid.pyramid(images)
    assert [level.shape[-1] for level in found] == [64, 32, 16]
    # Karras et al.'s reconstruction: each level added to the enlarged next one.
    whole = found[-1]
    for level in reversed(found[:-1]):
        larger = torch.zeros_like(level)
        larger[..., ::2, ::2] = whole
        whole = level + 4 * pyramid._blurred(larger)
    torch.testing.assert_close(whole, images.float(), atol=1e-3, rtol=0)
    # Their filter, by scipy, with edges mirrored.
    from scipy.ndimage import convolve

    line = np.array([1, 4, 6, 4, 1]) / 16
    expected = convolve(images[0, 0].numpy().astype(np.float64), np.outer(line, line), mode="mirror")[::2, ::2]
    smaller = pyramid._blurred(images.float())[0, 0, ::2, ::2]
    np.testing.assert_allclose(smaller, expected, atol=1e-3)
    flat = pyramid.pyramid(torch.full((1, 3, 64, 64), 77.0))
    assert max(level.abs().max().item() for level in flat[:-1]) < 1e-3


def test_sliced_distances_are_of_standardised_patches() -> None:
    random = torch.Generator().manual_seed(0)
    level = 30 * torch.randn(8, 3, 16, 16, generator=random) + 5
    patches = pyramid.descriptors(level, torch.Generator().manual_seed(1))
    assert patches.shape == (8 * 128, 3 * 49) and patches.dtype == np.float32
    by_colour = patches.reshape(-1, 3, 49)
    np.testing.assert_allclose(by_colour.mean((0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(by_colour.std((0, 2)), 1, atol=1e-5)
    # Rows are 7 x 7 patches of the image, colour by colour.
    again = pyramid.descriptors(3 * level - 9, torch.Generator().manual_seed(1))
    np.testing.assert_allclose(again, patches, atol=1e-4)

    def distance(one: pyramid.Descriptors, other: pyramid.Descriptors) -> float:
        return pyramid.sliced_distance(one, other, torch.Generator().manual_seed(2))

    assert distance(patches, patches[::-1].copy()) == pytest.approx(0, abs=1e-6)
    # By 1 in every number: a projection moves by the sum of a direction's, which is about normal: sqrt(2 / pi).
    assert distance(patches, patches + 1) == pytest.approx(np.sqrt(2 / np.pi), rel=0.1)
    with pytest.raises(ValueError, match="equal numbers"):
        distance(patches, patches[:5])
    flat = pyramid.descriptors(torch.zeros(2, 3, 16, 16), torch.Generator().manual_seed(1))
    assert not flat.any()


# --- lines ------------------------------------------------------------------------------------------------------------


def half_plane(angle: float, offset: float, side: int = 32) -> Tensor:
    """A grey image [1, 3, side, side] whose edge has its normal at `angle` and lies `offset` pixels from the centre."""
    fine = (torch.arange(8 * side, dtype=torch.float64) + 0.5) / 8 - side / 2
    far = fine[None, :] * np.cos(angle) + fine[:, None] * np.sin(angle) - offset
    image = torch.nn.functional.avg_pool2d((60 + 120 * (far > 0).double())[None, None], 8)
    return image.expand(1, 3, side, side)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8, np.pi / 2, 2.2, -0.5])
def test_a_straight_edge_is_found_where_it_is_and_goes_on(angle: float) -> None:
    image = half_plane(angle, 1.7)
    found = lines.fitted_lines(image)
    normal = torch.tensor([np.cos(angle), np.sin(angle)], dtype=torch.float64)
    there = found.there[0]
    assert there.sum() >= 4
    assert (found.normal[0][there] @ normal).abs().min() > 0.99
    missed = ((found.middle[0][there] - 16) @ normal - 1.7).abs()
    assert missed.max() < 0.35
    residuals = lines.residuals(image)
    # Of an edge that cuts the corner of a window a few pixels are left, and its normal is known less well.
    assert len(residuals) >= 2 and residuals.max() < 0.6 and residuals.median() < 0.4


def test_a_broken_edge_misses_by_its_break() -> None:
    image = half_plane(np.pi / 2, 2.5)
    for broken in (1, 2, 3):
        moved = torch.cat([image[..., :16], half_plane(np.pi / 2, 2.5 + broken)[..., 16:]], dim=-1)
        residuals = lines.residuals(moved)
        # Two windows on either side: of three pairs one is broken.
        assert residuals.sort().values.tolist() == pytest.approx([0, 0, broken], abs=0.1)


def test_no_lines_are_as_far_as_can_be_and_shading_is_none() -> None:
    assert len(lines.residuals(torch.full((2, 3, 32, 32), 9.0))) == 0
    ramp = (6.0 * torch.arange(32)).expand(1, 3, 32, 32)
    assert not lines.fitted_lines(ramp).there.any()
    # A steep ramp is no line either: its gradients have no place.
    assert not lines.fitted_lines((20.0 * torch.arange(32)).expand(1, 3, 32, 32)).there.any()
    some, none = torch.tensor([0.5, 1.5]), torch.zeros(0)
    assert lines.line_distance(none, some) == lines.line_distance(some, none) == lines.WINDOW
    assert lines.line_distance(some, some + 2) == pytest.approx(2)
    from scipy.stats import wasserstein_distance

    random = np.random.default_rng(0)
    one, other = random.exponential(size=50), np.round(random.exponential(2, size=31), 1)
    found = lines.line_distance(torch.from_numpy(one), torch.from_numpy(other))
    assert found == pytest.approx(wasserstein_distance(one, other), rel=1e-6)


# --- protocols --------------------------------------------------------------------------------------------------------

KEYS = [
    *(
        f"patch_1_{zoom}{name}"
        for zoom in (2, 4)
        for name in ("", "/upper_left", "/upper_right", "/lower_left", "/lower_right", "/places")
    ),
    *("psnr", "octave_4_8", "octave_8_16", "octave_16_32", "spectrum", "swd_64", "swd_32", "swd_16", "swd"),
    *("lines", "line_pairs"),
]


def test_every_number_says_how_it_was_measured_and_none_is_an_fid() -> None:
    protocols = {protocol.series.removeprefix("scales/"): protocol for protocol in measure().protocols}
    assert list(protocols) == KEYS == list(readings("true"))
    assert len({protocol.fingerprint for protocol in protocols.values()}) == len(KEYS)
    assert not [value for p in protocols.values() for value in p.fields().values() if "FID" in value]
    whole, place = protocols["patch_1_4"], protocols["patch_1_4/upper_left"]
    assert whole.extractor == "rooms16, pooled" and whole.resize == "none, 16"
    assert (whole.samples, whole.real_samples, place.samples, place.real_samples) == (512, 4096, 128, 1024)
    assert whole.real_content == protocols["lines"].real_content == measure()._real.content
    assert whole.details["windows"].startswith("1/4 of the side, 16 x 16 cells")
    assert protocols["psnr"].quantisation == "none" and protocols["psnr"].real_samples is None
    assert protocols["octave_8_16"].details["cycles across the image"] == "8 to 16"
    assert (protocols["swd_32"].samples, protocols["swd_32"].real_samples) == (64, 64)
    assert protocols["swd_32"].details["patches"] == "7 x 7, 128 an image"
    assert (protocols["lines"].samples, protocols["lines"].real_samples) == (192, 768)
    assert {p.latents for p in protocols.values()} == {"fixed, seed 8192"}


@pytest.mark.skipif(imagenet_file() is None, reason="the extra imagenet is not installed")
def test_patches_of_photographs_are_seen_by_their_metrics_network() -> None:
    """Which they are enlarged for, as images are."""
    config = cfg.ImageNetFrechet(samples=64)
    asked = cfg.Scales(zooms=(2,), patches=64, dense=8, pyramids=4, real=24)
    metric = build_metric(config, coarse(held_out()[:24]), device="cpu", cache=None)
    of_photographs = ScalesMeasure(asked, metric, held_out(), resize_of(config, cfg.PATCH), latents_seed=1)
    protocol = of_photographs.protocols[0]
    assert protocol.extractor == "EfficientNet-Lite0 of ImageNet, stage 5 pooled"
    assert protocol.resize == "bilinear without antialiasing (torch), 16 to 64"
    first = next(iter(of_photographs(of_scenes(), latents_of(64))))  # type: ignore[arg-type]
    assert isinstance(first, Reading) and first.key == "scales/patch_1_2" and 0 < first.value < np.inf


def test_it_reads_the_same_again_and_another_seed_looks_elsewhere() -> None:
    scenes, latents = of_scenes(), latents_of(SCENES)
    few = cfg.Scales(zooms=(4,), patches=64, dense=8, pyramids=4, real=64)

    def read(seed: int) -> list[float]:
        asked = ScalesMeasure(few, measure().metric, held_out(), "none, 16", latents_seed=seed)
        found = asked(scenes, latents)  # type: ignore[arg-type]
        return [each.value for each in found if isinstance(each, Reading)]

    assert read(1) == read(1)
    assert read(1)[:6] != read(2)[:6]


def test_a_generator_is_rendered_through_cells_as_it_renders_itself() -> None:
    """Dense images of an INR are those of its own dense grid, in the convention that it is trained in."""
    conventions: tuple[Literal["centres", "corners"], ...] = ("centres", "corners")
    for sampling in conventions:
        torch.manual_seed(0)
        inr = cfg.Inr(width=8, depth=3, coordinates=cfg.Coordinates(low=-1.0, high=1.0, sampling=sampling))
        generator = build_generator(small_config(inr=inr, data=cfg.Rooms(resolution=16))).eval()
        latents = torch.randn(300, 8)
        dense, decibels = measure()._dense(generator, latents)
        own = generator(latents, generator.pixels.of_size(FINE))
        assert (dense.int() - generator.signal.to_stored(own).int()).abs().max() <= 1
        torch.testing.assert_close(decibels, agreement(own, generator(latents)), rtol=1e-3, atol=1e-3)
        patches = torch.cat(list(measure()._windows(generator, latents, 4)))
        assert patches.shape == (300, 3, cfg.PATCH, cfg.PATCH) and patches.dtype == torch.uint8
        columns, rows = windows(300, 4, FINE, measure()._stream("windows at 4"))
        one = generator(latents[299:], Cells(columns[299:], rows[299:], generator.pixels.config))
        assert (patches[299].int() - generator.signal.to_stored(one)[0].int()).abs().max() <= 1


def test_a_pixel_that_is_not_finite_is_an_error() -> None:
    def broken(images: Tensor, cells: Cells) -> Tensor:
        found = areas(images, cells)
        return found if cells.columns.ndim == 2 else torch.full_like(found, torch.nan)

    asked = measure()(of_scenes(broken), latents_of(SCENES))  # type: ignore[arg-type]
    assert len([next(asked) for _ in range(12)]) == 12
    with pytest.raises(FloatingPointError, match="not finite"):
        next(asked)


# --- in a job ---------------------------------------------------------------------------------------------------------

SMALL = cfg.Scales(zooms=(2,), fine=32, patches=64, dense=16, pyramids=8, real=24)


def of_small(scales: cfg.Scales | None, **nodes: object) -> cfg.Config:
    evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5, scales=scales)
    return small_config(evaluation=evaluation, **nodes)


def test_a_job_measures_it_at_its_end_and_trains_as_without(tmp_path: Path) -> None:
    def measured(scales: cfg.Scales | None) -> tuple[cfg.Job, list[Evaluated]]:
        job = cfg.Job(config=of_small(scales), seed=1)
        events = run_job(job, runs=tmp_path / "runs", cache=tmp_path / "cache")
        return job, [event for event in events if isinstance(event, Evaluated)]

    job, events = measured(SMALL)
    _, without = measured(None)
    plain = [(event.metric, event.iteration, event.value) for event in without]
    assert [(event.metric, event.iteration, event.value) for event in events][: len(plain)] == plain
    further = [event for event in events if event.metric.startswith("scales/")]
    assert len(further) == 6 + 1 + 3 + 3 + 2 and {event.iteration for event in further} == {12}
    assert np.isfinite([event.value for event in further]).all()
    recorded = from_json(RunFolder(tmp_path / "runs", job).read("protocol.json"))
    assert all(event.protocol == recorded[event.metric].fingerprint for event in further)


def test_a_job_keeps_dense_images_below_real_ones(tmp_path: Path) -> None:
    job = cfg.Job(config=of_small(SMALL, iterations=1), seed=1)
    events = run_job(job, runs=tmp_path / "runs", cache=tmp_path / "cache")
    (pictured,) = (event for event in events if isinstance(event, Pictured) and event.name == "dense")
    assert pictured.pictures.shape == (2, 8, 3, SMALL.fine, SMALL.fine)
    shown = rooms.render(rooms.held_out_indices(4096)[:: 4096 // SMALL.real], SMALL.fine)
    assert any((pictured.pictures[0, 0].numpy() == scene).all() for scene in shown)
    kept = np.asarray(Image.open(RunFolder(tmp_path / "runs", job).samples / "dense.png"))
    assert (kept[: SMALL.fine, : SMALL.fine].transpose(2, 0, 1) == pictured.pictures[0, 0].numpy()).all()
    assert (kept[-SMALL.fine :, -SMALL.fine :].transpose(2, 0, 1) == pictured.pictures[1, -1].numpy()).all()


def test_photographs_have_to_have_the_fine_pixels(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((44, 40), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    digest, count = fingerprint(folder)
    data = cfg.Images(resolution=8, count=count, fingerprint=digest)
    options = {"runs": tmp_path / "runs", "cache": tmp_path / "cache", "data_path": folder}

    def job(scales: cfg.Scales) -> cfg.Job:
        return cfg.Job(config=of_small(scales, data=data, iterations=1), seed=0)

    events = list(run_job(job(SMALL), **options))  # type: ignore[arg-type]
    assert "scales/lines" in [event.metric for event in events if isinstance(event, Evaluated)]
    with pytest.raises(InputError, match=r"6 images are smaller than 96 x 96, .* or the fine pixels of scales"):
        list(run_job(job(SMALL.replace(fine=96)), **options))  # type: ignore[arg-type]


def test_off_it_leaves_no_trace() -> None:
    """Digests as they were before there was this measure."""
    assert "scales" not in cfg.canonical(cfg.Config())["evaluation"]
    assert cfg.Job(config=cfg.Config(), seed=0).digest == "8450a70f128c1426"
    assert cfg.Job(config=of_small(SMALL), seed=0).digest != cfg.Job(config=of_small(None), seed=0).digest
    on = of_small(SMALL)
    assert cfg.parse(cfg.canonical(on)) == on == cfg.parse(on.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"fine": 32}, "must be a multiple of 64, so that cells of a window at zoom 4 are whole pixels"),
        ({"fine": 80}, "must be a multiple of 32, so that cells of a window at zoom 2 are whole pixels"),
        ({"zooms": (4, 2)}, "name each once, the smallest first"),
        ({"zooms": (2, 2)}, "name each once"),
        ({"zooms": (1, 2)}, "greater than or equal to 2"),
        ({"patches": 2046}, "a quarter of them is of each place"),
        ({"pyramids": 300}, "pyramids is 300: there are 256 dense images"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        cfg.Scales(**fields)  # type: ignore[arg-type]


def test_it_is_refused_where_it_does_not_fit_the_rest_of_the_config() -> None:
    with pytest.raises(ValidationError, match=r"scales asks for 2048 images and the fixed latents are 64"):
        cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), scales=cfg.Scales())
    for resolution in (48, 64, 80):
        with pytest.raises(
            ValidationError, match=rf"fine is 64: it must be a multiple of data.resolution, {resolution}"
        ):
            cfg.Config(data=cfg.Rooms(resolution=resolution), evaluation=cfg.Evaluation(scales=cfg.Scales()))


def test_cells_of_whole_images_are_their_pixels() -> None:
    edges = evenly_cut(true_scenes.TRAINED)
    whole = areas(shown()[:4], Cells(edges, edges, cfg.Coordinates()))
    torch.testing.assert_close(whole.round().to(torch.uint8), coarse(shown()[:4]))


def test_the_page_says_what_was_recorded() -> None:
    record = json.loads(chosen.RECORD.read_text())
    assert chosen.RECORD.with_suffix(".md").read_text() == chosen.page(record)
    rows = record["rows"]
    assert set(rows) >= {chosen.TRUE, chosen.OTHERS, chosen.TRAINED}
    assert all(set(row) == set(KEYS) for row in rows.values())
    # What no run of this test makes: the numbers of images of a real run.
    floor, generator = rows[chosen.TRUE], rows[chosen.TRAINED]
    assert floor["patch_1_4"] < 0.01 and floor["patch_1_4/places"] < 0.03
    assert generator["patch_1_4"] > 5 * floor["patch_1_4"]
