"""Upsampling: an INR's own dense grid against interpolation of the pixels that it was trained at.

Where the fine pixels lie is a convention (`core.metrics.enlarging`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from core.config import Opponent
from core.metrics.enlarging import AMOUNT, BLUR, Convention, Method, interpolated, positions
from core.metrics.features import generated
from core.metrics.measure import Measure, Reading, Strips
from core.metrics.protocol import Protocol
from core.metrics.super_resolution import SuperResolver
from core.models.generator import Generator
from core.pixels import rounded

Way = Method | Literal["natural", "averaged", "sr_cnn"]

SHOWN: tuple[Way, ...] = ("nearest", "bilinear", "bicubic", "natural")
"""The columns of the pictures, all aligned to the areas of pixels; opponents follow in their order."""

Series = tuple[str, Way, Convention]
"""A name, what makes an image larger, and where its pixels lie."""

LARGER: tuple[Series, ...] = (
    ("natural_centres", "natural", "centres"),
    ("natural_corners", "natural", "corners"),
    ("bilinear_centres", "bilinear", "centres"),
    ("bilinear_corners", "bilinear", "corners"),
    ("bicubic_centres", "bicubic", "centres"),
    ("bicubic_corners", "bicubic", "corners"),
    # Only one convention makes each pixel a block of equal ones.
    ("nearest", "nearest", "centres"),
    # Real pixels are means over areas, natural ones are values at points: the mean of 2 x 2 lies between.
    ("natural_averaged", "averaged", "centres"),
)
"""The series that are always there, in order."""

FURTHER: dict[Opponent, tuple[Series, ...]] = {
    "lanczos": (("lanczos_centres", "lanczos", "centres"), ("lanczos_corners", "lanczos", "corners")),
    "sharpened": (("sharpened_centres", "sharpened", "centres"), ("sharpened_corners", "sharpened", "corners")),
    # It has learned where fine pixels of real images lie.
    "sr_cnn": (("sr_cnn", "sr_cnn", "centres"),),
}
"""Those of each opponent, behind the others."""

WORDS: dict[Way, str] = {
    "natural": "the INR at points",
    "bilinear": "bilinear, of {images}",
    "bicubic": "bicubic a = -0.75, of {images}",
    "nearest": "nearest, of {images}",
    "lanczos": "Lanczos a = 3, of {images}",
    "sharpened": f"bicubic a = -0.75 with an unsharp mask of {AMOUNT:g} at {BLUR:g} coarse pixels, of {{images}}",
    "sr_cnn": "a network for super-resolution, of {images}",
    "averaged": "the INR, mean of 2 x 2 points",
}

PICTURED = 8
"""Latents in the pictures."""


@dataclass(frozen=True)
class UpsamplingMeasure:
    """Distances of images at `factor` times the training resolution to real images of that size.

    `coarse` holds the real set at the training resolution, `fine` at `factor` times it, both behind one extractor.
    `network` is there where "sr_cnn" is among the `opponents`.
    """

    factor: int
    coarse: Measure
    fine: Measure
    opponents: tuple[Opponent, ...] = ()
    network: SuperResolver | None = None

    @property
    def larger(self) -> tuple[Series, ...]:
        """All series of enlarged images, in order."""
        return (*LARGER, *(series for opponent in self.opponents for series in FURTHER[opponent]))

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """Those of the two measures, with what makes an image larger and where its pixels lie."""
        grids = {"centres": f"(j + 1/2) / {self.factor} - 1/2", "corners": f"j / {self.factor}"}
        images = "8-bit images" if self.fine.quantised else "images that are not quantised"
        larger = (
            self.fine.protocol.derived(
                f"upsampled/{name}",
                details={
                    "upsampling": WORDS[method].format(images=images),
                    "factor": f"{self.factor}",
                    "fine pixel j at": grids[convention],
                    **(self.network.details if method == "sr_cnn" and self.network else {}),
                },
            )
            for name, method, convention in self.larger
        )
        return (self.coarse.protocol.derived("upsampled/own"), *larger)

    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading | Strips]:
        """`upsampled/own`: the coarse images against the coarse real ones; all others against the fine real ones."""
        latents = latents[: self.fine.samples]
        resolution, quantised = generator.pixels.resolution, self.fine.quantised
        coarse = list(generated(generator, latents, quantised=quantised))
        yield Reading("upsampled/own", self.coarse(iter(coarse)))
        for name, method, convention in self.larger:
            average = 2 if method == "averaged" else 1
            at = positions(resolution, self.factor * average, convention)
            if method == "natural" or method == "averaged":
                images = generated(generator, latents, at, average=average, quantised=quantised)
            else:
                images = (self._enlarged(batch, at, method) for batch in coarse)
            yield Reading(f"upsampled/{name}", self.fine(images))

        at = positions(resolution, self.factor, "centres")
        first = rounded(coarse[0][:PICTURED])
        natural = next(generated(generator, latents[:PICTURED], at))
        shown = (*SHOWN, *self.opponents)
        columns = [natural if way == "natural" else self._enlarged(first, at, way) for way in shown]
        yield Strips("upsampled", torch.stack(columns, dim=1).cpu())

    def _enlarged(self, images: Tensor, position_S: Tensor, way: Way) -> Tensor:
        """Images that were rendered at the training resolution, [B, 3, R, R] -> [B, 3, S, S]."""
        if way == "sr_cnn":
            assert self.network is not None
            return self.network(images)
        assert way != "natural" and way != "averaged"
        return interpolated(images, position_S, way)
