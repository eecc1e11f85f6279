"""Latent paths: the numbers are those that are known for generators whose paths are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.build import build_generator
from core.config import Interpolation
from core.metrics.extractor import load_extractor
from core.metrics.interpolation import PathMeasure, path_numbers, slerp
from core.metrics.measure import Reading, Strips
from core.pixels import to_uint8
from core.streams import stream
from tests.core.conftest import a_protocol, small_config

CONFIG = Interpolation(paths=20, steps=9, pictures=3)


def measured(
    generator: Callable[[Tensor], Tensor],
    config: Interpolation = CONFIG,
    features: Callable[[Tensor], Tensor] | None = None,
) -> tuple[dict[str, float], Tensor]:
    measure = PathMeasure(config, features or (lambda images: images.flatten(1)), latents_seed=5, metric=a_protocol())
    *readings, strips = measure(generator, torch.zeros(1, 8))  # type: ignore[arg-type]
    assert isinstance(strips, Strips) and all(isinstance(reading, Reading) for reading in readings)
    return {reading.key.removeprefix("interpolation/"): reading.value for reading in readings}, strips.pictures  # type: ignore[union-attr]


def ends(config: Interpolation = CONFIG) -> tuple[Tensor, Tensor, Tensor]:
    random = stream(5, "interpolation")
    start, end = torch.randn(2, config.paths, 8, generator=random)
    return start, end, torch.rand(config.paths, generator=random)


# --- slerp ------------------------------------------------------------------------------------------------------------


def test_slerp_turns_evenly_and_keeps_unit_norms() -> None:
    start, end, _ = ends()
    start, end = (torch.nn.functional.normalize(part.double()) for part in (start, end))
    points = torch.stack(
        [slerp(start, end, torch.full((20,), t, dtype=torch.float64)) for t in (0, 0.25, 0.5, 0.75, 1)]
    )
    torch.testing.assert_close(points[0], start)
    torch.testing.assert_close(points[-1], end)
    torch.testing.assert_close(points.norm(dim=2), torch.ones(5, 20).double())
    angles = (points[1:] * points[:-1]).sum(2).acos()
    torch.testing.assert_close(angles, ((start * end).sum(1).acos() / 4).expand(4, -1))


def test_slerp_of_latents_on_one_line_is_straight() -> None:
    start = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    end = torch.tensor([[1.0, 2.0], [3.0, 6.0], [-1.0, -2.0]])
    middle = slerp(start, end, torch.full((3,), 0.5))
    torch.testing.assert_close(middle, torch.tensor([[1.0, 2.0], [2.0, 4.0], [0.0, 0.0]]))


# --- paths of images --------------------------------------------------------------------------------------------------


def test_numbers_of_known_paths() -> None:
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    straight = t[:, None] * torch.tensor([3.0, 4.0])
    jump = (t[:, None] > 0.5) * torch.tensor([3.0, 4.0])
    circle = torch.stack([(math.pi * t).cos(), (math.pi * t).sin()], dim=1)
    still = torch.ones(9, 2)
    length, largest, curvature = path_numbers(torch.stack([straight, jump, circle, still]))
    assert length.tolist() == pytest.approx([1, 1, 8 * math.sin(math.pi / 16), 1])
    assert largest.tolist() == pytest.approx([1, 8, 1, 1])
    # Second differences of a jump: two of seven are the jump, whose mean over the steps is an eighth. On a circle each
    # step turns by pi / 8.
    assert curvature.tolist() == pytest.approx([0, 2 / 7 * 8, 2 * math.sin(math.pi / 16), 0], abs=1e-12)


def test_there_and_back_is_infinitely_longer_than_nothing() -> None:
    loop = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)[None, :, None]
    assert path_numbers(loop)[0].item() == math.inf


# --- the measure ------------------------------------------------------------------------------------------------------


def as_images(values: Tensor) -> Tensor:
    """[B, 3] in (-1, 1) -> images of 2 x 2 pixels."""
    return values[:, :3, None, None].expand(-1, 3, 2, 2)


def test_a_step_function_jumps_once_and_a_constant_never_moves() -> None:
    numbers, pictures = measured(lambda z: as_images((z @ (torch.arange(8) - 3.5))[:, None].sign().expand(-1, 3) / 2))
    start, end, _ = ends()
    crossing = (((start @ (torch.arange(8) - 3.5)) * (end @ (torch.arange(8) - 3.5))) < 0).double().mean().item()
    assert 0.2 < crossing < 0.8
    assert numbers["path_length"] == pytest.approx(1)
    assert numbers["largest_step"] == pytest.approx(8 * crossing + 1 - crossing)
    assert pictures.shape == (3, 9, 3, 2, 2)
    numbers, _ = measured(lambda z: torch.zeros(len(z), 3, 2, 2))
    assert numbers == {"ppl": 0.0, "path_length": 1.0, "largest_step": 1.0, "curvature": 0.0}


def test_paths_of_a_linear_generator_are_those_of_the_latents() -> None:
    """Latents of one norm, in eight dimensions that are all seen: arcs, whose length over their chord is known."""

    def linear(z: Tensor) -> Tensor:
        seen = torch.nn.functional.normalize(z) / 2
        return torch.cat([seen, seen.new_zeros(len(z), 4)], dim=1).reshape(-1, 3, 2, 2)

    # The directions of a slerp between latents of unequal norms do not turn evenly, so only the length is known.
    config = Interpolation(paths=20, steps=257, pictures=1)
    start, end, _ = ends(config)
    angle = torch.nn.functional.cosine_similarity(start.double(), end.double()).acos()
    expected = (angle / (2 * (angle / 2).sin())).mean().item()
    numbers, _ = measured(linear, config)
    assert numbers["path_length"] == pytest.approx(expected, rel=1e-4)
    assert 1 < numbers["largest_step"] < 3
    assert numbers["curvature"] < 0.05


def test_perceptual_path_length_is_its_formula() -> None:
    """Against the derivative of a linear generator and linear features along the slerp."""
    weights = torch.randn(8, 12, generator=torch.Generator().manual_seed(0)).double() / 10

    def linear(z: Tensor) -> Tensor:
        return (z.double() @ weights).reshape(-1, 3, 2, 2)

    config = Interpolation(paths=20, steps=3, epsilon=1e-3, pictures=1)
    start, end, at = ends(config)
    angle = torch.nn.functional.cosine_similarity(start.double(), end.double()).acos()[:, None]
    away, towards = ((1 - at[:, None]) * angle).cos() * start, (at[:, None] * angle).cos() * end
    velocity = angle / angle.sin() * (towards - away)
    expected = (velocity @ weights * 127.5).square().sum(1).mean().item()
    numbers, _ = measured(linear, config)
    assert numbers["ppl"] == pytest.approx(expected, rel=1e-2)


def test_perceptual_path_length_hardly_depends_on_epsilon() -> None:
    """With the shipped features of a generator's images: were they quantised, small steps would be noise."""
    torch.manual_seed(0)
    generator = build_generator(small_config()).eval()
    net = load_extractor()
    values = [
        measured(
            generator,
            Interpolation(paths=20, steps=3, epsilon=epsilon, pictures=1),
            lambda x: net.features(x, "pooled"),
        )[0]["ppl"]
        for epsilon in (1e-3, 1e-4)
    ]
    assert values[0] > 0 and values[1] == pytest.approx(values[0], rel=0.02)


def test_every_generator_is_asked_about_the_same_paths_and_strips_show_them() -> None:
    asked: list[Tensor] = []

    def listening(z: Tensor) -> Tensor:
        asked.append(z)
        return as_images(z.tanh())

    numbers, pictures = measured(listening)
    first, asked = torch.cat(asked), []
    assert measured(listening)[0] == numbers
    assert torch.equal(torch.cat(asked), first)
    start, end, _ = ends()
    assert torch.equal(pictures[:, 0], to_uint8(as_images(start[:3].tanh())))
    torch.testing.assert_close(pictures[:, -1], to_uint8(as_images(end[:3].tanh())), atol=1, rtol=0)


def test_a_pixel_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(FloatingPointError, match="not finite"):
        measured(lambda z: torch.full((len(z), 3, 2, 2), torch.nan))
