"""Upsampling: an INR's own dense grid against interpolation of the pixels that it was trained at.

A position is in units of the coarse image's pixels: i is its pixel i. Where the fine pixels lie is a convention, and
two are in use. "centres" divides the coarse pixels' areas, as every image library does (`align_corners=False`).
"corners" keeps the coarse samples as every `factor`-th fine one, as the author's grid `arange(0, S) / S` does; its
images are shifted by half a fine pixel at factor 2 against those of "centres", and against real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

from core.metrics.features import generated
from core.metrics.measure import Measure, Reading, Strips
from core.metrics.protocol import Protocol
from core.models.generator import Generator
from core.pixels import rounded

Convention = Literal["centres", "corners"]
Method = Literal["nearest", "bilinear", "bicubic"]

SHOWN: tuple[Method, Method, Method, Literal["natural"]] = ("nearest", "bilinear", "bicubic", "natural")
"""The columns of the pictures, all aligned to the areas of pixels."""

LARGER: tuple[tuple[str, Method | Literal["natural", "averaged"], Convention], ...] = (
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
"""The series in order: name, what makes an image larger, and where its pixels lie."""

WORDS = {
    "natural": "the INR at points",
    "bilinear": "bilinear, of {images}",
    "bicubic": "bicubic a = -0.75, of {images}",
    "nearest": "nearest, of {images}",
    "averaged": "the INR, mean of 2 x 2 points",
}

PICTURED = 8
"""Latents in the pictures."""


def positions(resolution: int, factor: int, convention: Convention) -> Tensor:
    """Where the fine image's columns and rows lie, float64 [factor * resolution], in units of coarse pixels."""
    steps = torch.arange(factor * resolution, dtype=torch.float64)
    match convention:
        case "centres":
            return (steps + 0.5) / factor - 0.5
        case "corners":
            return steps / factor
        case _:
            assert_never(convention)


def interpolated(images: Tensor, position_S: Tensor, method: Method) -> Tensor:
    """[B, 3, R, R] in 0..255 -> [B, 3, S, S] at columns and rows `position_S`; edges are repeated.

    uint8 images come back rounded as uint8, float32 ones as float32; both within 0..255.
    "bicubic" is torch's, a = -0.75 (PIL's has -0.5).
    """
    # In double precision, so that where a value falls between two levels does not hang on the grid's last bit.
    line = ((2 * position_S + 1) / images.shape[-1] - 1).to(images.device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    grid = torch.stack([x, y], dim=-1).expand(len(images), -1, -1, -1)
    fine = F.grid_sample(images.double(), grid, mode=method, padding_mode="border", align_corners=False)
    return rounded(fine) if images.dtype == torch.uint8 else fine.clamp_(0, 255).to(images.dtype)


@dataclass(frozen=True)
class UpsamplingMeasure:
    """Distances of images at `factor` times the training resolution to real images of that size.

    `coarse` holds the real set at the training resolution, `fine` at `factor` times it, both behind one extractor.
    """

    factor: int
    coarse: Measure
    fine: Measure

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
                },
            )
            for name, method, convention in LARGER
        )
        return (self.coarse.protocol.derived("upsampled/own"), *larger)

    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading | Strips]:
        """`upsampled/own`: the coarse images against the coarse real ones; all others against the fine real ones."""
        latents = latents[: self.fine.samples]
        resolution, quantised = generator.pixels.resolution, self.fine.quantised
        coarse = list(generated(generator, latents, quantised=quantised))
        yield Reading("upsampled/own", self.coarse(iter(coarse)))
        for name, method, convention in LARGER:
            average = 2 if method == "averaged" else 1
            at = positions(resolution, self.factor * average, convention)
            if method == "natural" or method == "averaged":
                images = generated(generator, latents, at, average=average, quantised=quantised)
            else:
                images = (interpolated(batch, at, method) for batch in coarse)
            yield Reading(f"upsampled/{name}", self.fine(images))

        at = positions(resolution, self.factor, "centres")
        first = rounded(coarse[0][:PICTURED])
        columns = [interpolated(first, at, method) for method in SHOWN[:-1]]
        columns.append(next(generated(generator, latents[:PICTURED], at)))
        yield Strips("upsampled", torch.stack(columns, dim=1).cpu())
