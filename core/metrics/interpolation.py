"""Interpolation in latent space: how far, how evenly and how straight images move between two latents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.config import Interpolation
from core.metrics.features import Features
from core.metrics.measure import Reading, Strips
from core.metrics.protocol import Protocol
from core.models.generator import Generator
from core.pixels import to_uint8
from core.streams import stream

BATCH = 256
SHOWN_PATHS, SHOWN_STEPS = 4, 12
"""In the strips of a generator whose interpolations are not measured."""


def slerp(start_BZ: Tensor, end_BZ: Tensor, t_B: Tensor) -> Tensor:
    """Spherical interpolation (Shoemake 1985) of latents [B, Z], 0 at `start_BZ`, 1 at `end_BZ`.

    Norms are interpolated with the directions, so that of normal latents every point is about as likely as the ends.
    """
    cosine = torch.nn.functional.cosine_similarity(start_BZ, end_BZ, dim=1)
    angle = cosine.clamp(-1, 1).acos()[:, None]
    t = t_B[:, None]
    along_the_arc = (((1 - t) * angle).sin() * start_BZ + (t * angle).sin() * end_BZ) / angle.sin()
    # Latents on one line have no arc between them, or any.
    return torch.where(angle.sin() > 1e-4, along_the_arc, (1 - t) * start_BZ + t * end_BZ)


def path_numbers(images_PSD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(length, largest step, curvature) of paths of images, [paths, steps, D] -> three times [paths].

    Distances are root mean squares over D. Length is the sum of the steps over the distance of the ends: 1 for a
    straight path, more for every other. The largest step is in units of the mean step: 1 for an even path, the number
    of steps for a path that jumps once. Curvature is the mean second difference over the mean step, 0 for an even
    straight path. A path along which nothing moves is straight and even: 1, 1, 0.
    """
    steps = images_PSD.diff(dim=1)
    moves = _rms(steps)
    total = moves.sum(dim=1)
    ends = _rms(images_PSD[:, -1] - images_PSD[:, 0])
    mean = moves.mean(dim=1)
    still = total == 0
    return (
        torch.where(still, 1, total / ends),
        torch.where(still, 1, moves.amax(dim=1) / mean),
        torch.where(still, 0, _rms(steps.diff(dim=1)).mean(dim=1) / mean),
    )


def _rms(values: Tensor) -> Tensor:
    return values.square().mean(dim=-1).sqrt()


def _ends(paths: int, latents: Tensor, random: torch.Generator) -> Tensor:
    """Where `paths` paths begin and end, [2, paths, latent_dim], on the device of `latents`."""
    return torch.randn(2, paths, latents.shape[1], generator=random).to(latents.device)


def _along(generator: Generator, start_PZ: Tensor, end_PZ: Tensor, line_S: Tensor) -> Tensor:
    """Images on the paths at the places of the line, [paths, steps, 3, R, R]."""
    paths, steps = len(start_PZ), len(line_S)
    between = slerp(start_PZ.repeat_interleave(steps, 0), end_PZ.repeat_interleave(steps, 0), line_S.repeat(paths))
    return generator(between).unflatten(0, (paths, steps))


@dataclass(frozen=True)
class PathStrips:
    """Strips of the first paths that the default `Interpolation` would measure, to look at; no number is of them."""

    latents_seed: int
    protocols: tuple[Protocol, ...] = ()

    @torch.inference_mode()
    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Strips]:
        """The strips alone. Pixels that are not finite are the metric's to find."""
        start, end = _ends(Interpolation().paths, latents, stream(self.latents_seed, "interpolation"))
        line = torch.linspace(0, 1, SHOWN_STEPS, device=latents.device)
        images = _along(generator, start[:SHOWN_PATHS], end[:SHOWN_PATHS], line)
        yield Strips("interpolations", to_uint8(images).cpu())


@dataclass(frozen=True)
class PathMeasure:
    """The path numbers of `config` between latents drawn from `latents_seed`, the same for every generator.

    `features` takes images in 0..255 that are not quantised: at such small steps rounding would be most of a distance.
    `metric` is the protocol of the metric that they are the features of.
    """

    config: Interpolation
    features: Features
    latents_seed: int
    metric: Protocol

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """Of paths; perceptual path length alone looks at features. No number is of real images."""
        length = self.metric.derived(
            "interpolation/ppl",
            quantisation="none",
            samples=self.config.paths,
            real_samples=None,
            real_content=None,
            latents=f"pairs of paths, seed {self.latents_seed}",
        )
        path = {"path": "spherical", "distance": "squared, of features", "epsilon": f"{self.config.epsilon:g}"}
        # Nothing that the metric's protocol says of its real images holds of paths.
        length = length.replace(details=path)
        pixels = {"path": "spherical", "distance": "root mean square, of pixels", "steps": f"{self.config.steps}"}
        others = ("path_length", "largest_step", "curvature")
        of_pixels = length.replace(extractor=None, weights=None, resize=None, details=pixels)
        return (length, *(of_pixels.replace(series=f"interpolation/{name}") for name in others))

    @torch.inference_mode()
    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading | Strips]:
        """`interpolation/ppl`, `/path_length`, `/largest_step` and `/curvature`, means over paths, then the strips."""
        paths, random = self.config.paths, stream(self.latents_seed, "interpolation")
        start, end = _ends(paths, latents, random)
        at = torch.rand(paths, generator=random).to(latents.device)
        yield Reading("interpolation/ppl", self._perceptual_path_length(generator, start, end, at).mean().item())

        numbers: list[Tensor] = []
        shown: list[Tensor] = []
        line = torch.linspace(0, 1, self.config.steps, device=latents.device)
        together = max(1, BATCH // self.config.steps)
        for a, b in zip(start.split(together), end.split(together), strict=True):
            images = _finite(_along(generator, a, b, line))
            numbers.append(torch.stack(path_numbers(images.flatten(2).double())))
            missing = self.config.pictures - sum(map(len, shown))
            shown.append(to_uint8(images[:missing]).cpu())
        means = torch.cat(numbers, dim=1).mean(dim=1).tolist()
        for name, value in zip(("path_length", "largest_step", "curvature"), means, strict=True):
            yield Reading(f"interpolation/{name}", value)
        yield Strips("interpolations", torch.cat(shown))

    def _perceptual_path_length(self, generator: Generator, start: Tensor, end: Tensor, at: Tensor) -> Tensor:
        """|f(G(slerp(t))) - f(G(slerp(t + epsilon)))|^2 / epsilon^2 of each path (Karras et al. 2019, eq. 2), [paths].

        f are `features` where Karras et al. have LPIPS, and no path is left out where they drop the largest 1%.
        """
        epsilon = self.config.epsilon
        lengths: list[Tensor] = []
        for a, b, t in zip(start.split(BATCH), end.split(BATCH), at.split(BATCH), strict=True):
            here, there = (
                self.features((_finite(generator(slerp(a, b, moment))) + 1) * 127.5).double()
                for moment in (t, t + epsilon)
            )
            lengths.append((here - there).square().sum(dim=1) / epsilon**2)
        return torch.cat(lengths)


def _finite(images: Tensor) -> Tensor:
    if not images.isfinite().all():
        raise FloatingPointError("the generator made a pixel that is not finite")
    return images
