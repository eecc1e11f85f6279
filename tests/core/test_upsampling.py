"""Upsampling: every method is the library's, the two conventions differ by their shift, natural is the INR itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor

from core import config as cfg
from core.build import build_generator
from core.grids import Pixels
from core.metrics.enlarging import Convention, Method, Sampled, interpolated, positions, sampled
from core.metrics.features import generated
from core.metrics.measure import Reading, Strips, build_metric
from core.metrics.upsampling import SHOWN, UpsamplingMeasure
from core.models.generator import Generator
from core.pixels import to_uint8
from core.signals import Picture
from tests.core.conftest import small_config, smooth_images
from tests.core.test_further import UPSAMPLED

RESOLUTION = 8


class Collected:
    """A measure that keeps what it is given; its value says how many came before."""

    def __init__(self, key: str = "collected", samples: int = 10, *, quantised: bool = True) -> None:
        self.key, self.samples, self.quantised = key, samples, quantised
        self.images: list[Tensor] = []

    def __call__(self, images: Iterator[Tensor]) -> float:
        self.images.append(torch.cat(list(images)))
        return float(len(self.images))


@pytest.fixture(params=["corners", "centres"])
def generator(request: pytest.FixtureRequest) -> Generator:
    torch.manual_seed(0)
    coordinates = cfg.Coordinates(low=-1.0, high=1.0, sampling=request.param)
    return build_generator(small_config(inr=cfg.Inr(width=8, depth=3, coordinates=coordinates))).eval()


class Plane:
    """Stands for a generator whose images are linear in the coarse pixel index, of levels 10 x + 20 y + 11.3."""

    pixels, signal = Pixels(RESOLUTION, cfg.Coordinates()), Picture()

    def __call__(self, latents: Tensor, grid: Pixels | None = None) -> Tensor:
        at = (grid or self.pixels).position_S
        levels = 10 * at[None, :] + 20 * at[:, None] + 11.3
        return (levels / 127.5 - 1).expand(len(latents), 3, -1, -1)


# --- where fine pixels lie --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_positions_share_areas_or_samples(factor: int) -> None:
    centres, corners = (positions(RESOLUTION, factor, convention) for convention in ("centres", "corners"))
    assert centres.reshape(RESOLUTION, factor).mean(1).tolist() == pytest.approx(range(RESOLUTION))
    assert corners[::factor].tolist() == list(range(RESOLUTION))
    shift = (corners - centres).tolist()
    assert shift == pytest.approx([(factor - 1) / (2 * factor)] * len(shift))
    # Half a fine pixel at factor 2.
    if factor == 2:
        assert shift == pytest.approx([0.5 / factor] * len(shift))


# --- interpolation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_centres_are_what_torch_calls_not_aligned_corners(method: Sampled, factor: int) -> None:
    images = smooth_images()
    found = interpolated(images, positions(RESOLUTION, factor, "centres"), method)
    options = {} if method == "nearest" else {"align_corners": False}
    expected = F.interpolate(images.double(), scale_factor=factor, mode=method, **options).clamp(0, 255)
    # A value between two levels may be rounded to either.
    assert (found.double() - expected).abs().max() <= 0.5 + 1e-9


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_corners_keep_the_coarse_samples(method: Method) -> None:
    images = smooth_images()
    fine = interpolated(images, positions(RESOLUTION, 2, "corners"), method)
    assert torch.equal(fine[..., ::2, ::2], images)
    assert not torch.equal(interpolated(images, positions(RESOLUTION, 2, "centres"), method)[..., ::2, ::2], images)


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_on_a_ramp_the_conventions_differ_by_the_shift(method: Method) -> None:
    ramp = (16 * torch.arange(RESOLUTION, dtype=torch.uint8)).expand(1, 3, RESOLUTION, RESOLUTION)
    centres, corners = (
        interpolated(ramp, positions(RESOLUTION, 2, convention), method).double()
        for convention in ("centres", "corners")
    )
    # A quarter of a coarse pixel of 16 levels; away from the edges, which are repeated. At a = -0.75 a cubic does not
    # keep a line straight between samples: a quarter from each it is off by as much to either side.
    difference = (corners - centres)[..., 4:-4]
    assert difference.mean() == 4
    assert difference.unique().tolist() == ([4] if method == "bilinear" else [3, 5])


def test_lanczos_is_pils_away_from_the_edges() -> None:
    """PIL leaves taps beyond an edge out, here the pixel at the edge is repeated. It also rounds between its passes."""
    images = torch.randint(64, 192, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = interpolated(images, positions(16, 2, "centres"), "lanczos")
    for image, mine in zip(images, found, strict=True):
        pil = Image.fromarray(image.permute(1, 2, 0).numpy()).resize((32, 32), Image.Resampling.LANCZOS)
        expected = torch.from_numpy(np.asarray(pil).copy()).permute(2, 0, 1)
        assert (mine.int() - expected.int())[..., 6:-6, 6:-6].abs().max() <= 1


@pytest.mark.parametrize("convention", ["centres", "corners"])
def test_lanczos_keeps_what_is_flat_and_corners_keep_the_samples(convention: Convention) -> None:
    flat = torch.full((1, 3, RESOLUTION, RESOLUTION), 77, dtype=torch.uint8)
    assert interpolated(flat, positions(RESOLUTION, 3, convention), "lanczos").unique().tolist() == [77]
    images = smooth_images()
    fine = interpolated(images, positions(RESOLUTION, 2, convention), "lanczos")
    assert torch.equal(fine[..., ::2, ::2], images) == (convention == "corners")


def test_sharpening_is_an_unsharp_mask_of_bicubic() -> None:
    images, at = smooth_images()[:4].float(), positions(RESOLUTION, 2, "centres")
    bicubic = sampled(images.double(), at, "bicubic")
    blurred = gaussian_filter(bicubic.numpy(), (0, 0, 1, 1), mode="nearest", truncate=3)
    expected = (bicubic + 0.8 * (bicubic - torch.from_numpy(blurred))).clamp(0, 255).float()
    torch.testing.assert_close(interpolated(images, at, "sharpened", 0.8), expected, atol=1e-3, rtol=0)
    assert torch.equal(interpolated(images, at, "sharpened", 0), interpolated(images, at, "bicubic"))


# --- natural ----------------------------------------------------------------------------------------------------------


def test_a_dense_grid_holds_the_training_pixels(generator: Generator) -> None:
    latents = torch.randn(3, 8)
    emitted = generator.hypernetwork(latents)
    coarse = generator(latents)
    torch.testing.assert_close(
        generator.render(emitted, generator.pixels.at(torch.arange(RESOLUTION).double())), coarse
    )
    fine = generator.render(emitted, generator.pixels.at(positions(RESOLUTION, 2, "corners")))
    torch.testing.assert_close(fine[..., ::2, ::2], coarse)
    # Of centres that is so at an odd factor.
    fine = generator.render(emitted, generator.pixels.at(positions(RESOLUTION, 3, "centres")))
    torch.testing.assert_close(fine[..., 1::3, 1::3], coarse)


def test_the_convention_of_the_training_is_the_generators_own_dense_grid(generator: Generator) -> None:
    latents = torch.randn(3, 8)
    emitted = generator.hypernetwork(latents)
    own = generator.render(emitted, generator.pixels.of_size(2 * RESOLUTION))
    sampling = generator.pixels.config.sampling
    torch.testing.assert_close(generator.render(emitted, generator.pixels.at(positions(RESOLUTION, 2, sampling))), own)
    other = "centres" if sampling == "corners" else "corners"
    assert (generator.render(emitted, generator.pixels.at(positions(RESOLUTION, 2, other))) - own).abs().max() > 1e-3


def test_batches_of_other_sizes_are_the_same_images(generator: Generator) -> None:
    latents = torch.randn(300, 8)
    whole = torch.cat(list(generated(generator, latents)))
    assert torch.equal(whole, to_uint8(generator(latents)))
    batches = list(generated(generator, latents, positions(RESOLUTION, 2, "corners")))
    assert [len(batch) for batch in batches] == [64, 64, 64, 64, 44]
    fine = torch.cat(batches)
    assert fine.shape == (300, 3, 2 * RESOLUTION, 2 * RESOLUTION)
    assert (fine[..., ::2, ::2].int() - whole.int()).abs().max() <= 1
    averaged = torch.cat(list(generated(generator, latents[:5], positions(RESOLUTION, 4, "centres"), average=2)))
    dense = generator.render(
        generator.hypernetwork(latents[:5]), generator.pixels.at(positions(RESOLUTION, 4, "centres"))
    )
    assert torch.equal(averaged, to_uint8(F.avg_pool2d(dense, 2)))


# --- the measure ------------------------------------------------------------------------------------------------------


def test_every_method_is_measured_on_its_own_images() -> None:
    coarse, fine = Collected(), Collected()
    *readings, strips = UpsamplingMeasure(2, coarse, fine)(Plane(), torch.randn(12, 8))  # type: ignore[arg-type]
    names = [reading.key.removeprefix("upsampled/") for reading in readings if isinstance(reading, Reading)]
    assert names == list(UPSAMPLED)
    assert [image.shape for image in coarse.images] == [(10, 3, 8, 8)]
    found = dict(zip(names[1:], fine.images, strict=True))
    assert {image.shape for image in fine.images} == {(10, 3, 16, 16)}

    def along_the_diagonal(name: str) -> np.ndarray:
        return found[name][0, 0].double().diagonal().numpy()[4:-4]

    # 30 levels a coarse pixel on the diagonal: 7.5 between the conventions, less what each is rounded by.
    for method in ("natural", "bilinear", "bicubic"):
        shift = along_the_diagonal(f"{method}_corners") - along_the_diagonal(f"{method}_centres")
        assert shift.mean() == pytest.approx(7.5, abs=0.51)
        difference = along_the_diagonal(f"{method}_centres") - along_the_diagonal("natural_centres")
        np.testing.assert_allclose(difference, 0, atol=1 if method == "bilinear" else 2)
    assert isinstance(strips, Strips) and strips.pictures.shape == (8, len(SHOWN), 3, 16, 16)
    for column, name in enumerate(SHOWN):
        images = found[name if name == "nearest" else f"{name}_centres"]
        np.testing.assert_array_equal(strips.pictures[:, column], images[:8])
    np.testing.assert_array_equal(found["natural_averaged"], found["natural_centres"])
    np.testing.assert_array_equal(found["nearest"][..., ::2, ::2], coarse.images[0])
    np.testing.assert_array_equal(found["nearest"][..., 1::2, 1::2], coarse.images[0])


def test_opponents_follow_the_others_and_leave_them_as_they_are() -> None:
    """Off is none: series, images and pictures are then those that they were."""
    plain, asked = (Collected(), Collected()), (Collected(), Collected())
    *before, pictures = UpsamplingMeasure(2, *plain)(Plane(), torch.randn(12, 8))  # type: ignore[arg-type]

    def doubled(images: Tensor) -> Tensor:
        return interpolated(images, positions(RESOLUTION, 2, "centres"), "nearest")

    measure = UpsamplingMeasure(2, *asked, ("sr_cnn", "lanczos", "sharpened"), doubled)  # type: ignore[arg-type]
    *after, more = measure(Plane(), torch.randn(12, 8))  # type: ignore[arg-type]
    names = [reading.key.removeprefix("upsampled/") for reading in after if isinstance(reading, Reading)]
    further = ["sr_cnn", *(f"{name}_{where}" for name in ("lanczos", "sharpened") for where in ("centres", "corners"))]
    assert after[: len(before)] == before and names[len(before) :] == further
    for one, other in zip(plain[1].images, asked[1].images, strict=False):
        assert torch.equal(one, other)
    assert isinstance(pictures, Strips) and isinstance(more, Strips)
    assert torch.equal(more.pictures[:, : len(SHOWN)], pictures.pictures) and more.pictures.shape[1] == len(SHOWN) + 3
    assert torch.equal(more.pictures[:, len(SHOWN)], pictures.pictures[:, 0])


def test_without_quantisation_nothing_is_rounded_on_the_way() -> None:
    coarse, fine = (Collected(quantised=False) for _ in range(2))
    asked = UpsamplingMeasure(2, coarse, fine)  # type: ignore[arg-type]
    *readings, strips = asked(Plane(), torch.randn(12, 8))  # type: ignore[arg-type]
    names = [reading.key.removeprefix("upsampled/") for reading in readings if isinstance(reading, Reading)]
    found = dict(zip(names[1:], fine.images, strict=True))
    assert {images.dtype for images in (*coarse.images, *fine.images)} == {torch.float32}
    # The plane's levels end in .3, and a line between them is the plane itself, to the last digit.
    x = torch.arange(RESOLUTION).double()
    levels = (10 * x[None, :] + 20 * x[:, None] + 11.3).float()
    torch.testing.assert_close(coarse.images[0][0, 0], levels, atol=1e-3, rtol=0)
    inside = (..., slice(4, -4), slice(4, -4))
    for convention in ("centres", "corners"):
        torch.testing.assert_close(
            found[f"bilinear_{convention}"][inside], found[f"natural_{convention}"][inside], atol=1e-3, rtol=0
        )
    assert isinstance(strips, Strips) and strips.pictures.dtype == torch.uint8


def test_protocols_say_of_which_images_larger_ones_are_made() -> None:
    real = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    coarse, fine = (
        build_metric(cfg.RoomsFrechet(samples=4), images, device="cpu", cache=None)
        for images in (real[..., ::2, ::2], real)
    )
    told = {p.series: p.details["upsampling"] for p in UpsamplingMeasure(2, coarse, fine).protocols[1:]}
    assert told["upsampled/bicubic_corners"] == "bicubic a = -0.75, of 8-bit images"
    floats = replace(fine, quantised=False)
    told = {p.series: p.details["upsampling"] for p in UpsamplingMeasure(2, coarse, floats).protocols[1:]}
    assert told["upsampled/nearest"] == "nearest, of images that are not quantised"
    assert told["upsampled/natural_corners"] == "the INR at points"


def test_a_pixel_that_is_not_finite_is_an_error() -> None:
    class Broken(Plane):
        def __call__(self, latents: Tensor, grid: Pixels | None = None) -> Tensor:
            at = (grid or self.pixels).position_S
            return super().__call__(latents, grid) * torch.where(at % 1 > 0, torch.nan, 1.0)

    measured = UpsamplingMeasure(2, Collected(), Collected())(Broken(), torch.randn(12, 8))  # type: ignore[arg-type]
    assert next(measured).key == "upsampled/own"
    with pytest.raises(FloatingPointError, match="not finite"):
        next(measured)
