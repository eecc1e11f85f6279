"""What else is measured of a trained generator, once, at its last iteration."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from core.metrics.generated import generated
from core.metrics.measure import Measure
from core.metrics.protocol import Protocol
from core.models.generator import Generator
from core.streams import stream


@dataclass(frozen=True)
class Reading:
    """One number under the name of its series."""

    key: str
    value: float


@dataclass(frozen=True)
class Strips:
    """Rows of images that belong together, uint8 [rows, columns, 3, R, R] on the CPU (`core.events.Pictured`)."""

    name: Literal["interpolations", "upsampled"]
    pictures: Tensor


class Further(typing.Protocol):
    """A measure of the evaluated generator, in evaluation mode, and of the fixed latents [N, latent_dim]."""

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """What each series is measured with, in the order of the readings."""
        ...

    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading | Strips]:
        """Raises FloatingPointError where the generator makes a pixel that is not finite."""
        ...


@dataclass(frozen=True)
class Resamples:
    """The metric again on `count` sets of latents that are independent of the fixed ones and of each other.

    Their spread is what a value of the metric owes to the draw of its latents, with the trained generator held.
    """

    measure: Measure
    count: int
    latents_seed: int

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The metric's, on latents of their own."""
        metric = self.measure.protocol
        return tuple(
            metric.derived(f"{metric.series}/resample_{k}", latents=f"set {k}, seed {self.latents_seed}")
            for k in range(1, self.count + 1)
        )

    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading]:
        """`<metric>/resample_1` and so on: set k is drawn from the latents' seed and k."""
        for k in range(1, self.count + 1):
            shape = (self.measure.samples, latents.shape[1])
            others = torch.randn(shape, generator=stream(self.latents_seed, f"evaluation {k}")).to(latents.device)
            images = generated(generator, others, quantised=self.measure.quantised)
            yield Reading(f"{self.measure.key}/resample_{k}", self.measure(images))
