"""The INR between and below the pixels that it was trained at, against real images of more pixels.

Patches by scale and place, agreement of dense and coarse renders, power by octaves, Laplacian pyramids, continuity of
lines. None is an FID. Generated and real images are both rounded to 8 bits, but for the agreement, which is of
generated images alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from core.config import PATCH, Scales
from core.grids import Cells, evenly_cut
from core.metrics import lines, pyramid, spectrum
from core.metrics.features import SAMPLE_BATCH, features_of
from core.metrics.frechet import Gaussian
from core.metrics.measure import Measure, Reading, Strips
from core.metrics.patches import PLACES, patch_distances, real_windows, together, windows
from core.metrics.protocol import Protocol
from core.metrics.pyramid import Descriptors
from core.metrics.real import RealSet, evenly
from core.models.generator import Generator
from core.streams import stream

MOST_DECIBELS = 100.0
"""Of an image whose dense render has the very means: more is float32's rounding."""

PICTURED = 8
"""Dense images that are kept to look at, and as many real ones."""

REAL_OF_DENSE = 4
"""Real images for each dense render in spectra and lines, as far as there are."""


@dataclass(frozen=True)
class ScalesMeasure:
    """The measures of `config` against `fine`, the metric's real set at `config.fine` pixels, uint8 [M, 3, F, F].

    Features are those of `metric`, whose protocol theirs derive from; `resize` says how its extractor sees patches
    (`core.metrics.protocol.resize_of`). What is known of the real images is computed when it is made, and kept with it.
    """

    config: Scales
    metric: Measure
    fine: Tensor
    resize: str
    latents_seed: int

    def __post_init__(self) -> None:
        _ = self._patches, self._looks, self._descriptors

    # --- real images --------------------------------------------------------------------------------------------------

    @cached_property
    def _real(self) -> RealSet:
        metric = self.metric.real
        return RealSet(self.fine, metric.extract, metric.extractor, self.config.real, metric.cache)

    def _some(self, count: int) -> Tensor:
        """So many of the real images that are looked at, spread evenly over them."""
        real = self._real
        return self.fine[real.places[evenly(len(real), count)]]

    @cached_property
    def _patches(self) -> dict[int, tuple[Gaussian, ...]]:
        """By zoom the Gaussian of all places, then those of the places."""
        real, found = self._real, {}
        for zoom in self.config.zooms:
            patches = real_windows(self._some(len(real)), zoom, self._stream(f"real windows at {zoom}"))
            places = [
                RealSet(patches[place :: len(PLACES)], real.extract, real.extractor, cache=real.cache).gaussian
                for place in range(len(PLACES))
            ]
            found[zoom] = (together(places, len(real)), *places)
        return found

    @cached_property
    def _looks(self) -> tuple[Tensor, Tensor]:
        """Power by octaves, and how far lines miss each other."""
        batches = self._some(self._compared).split(SAMPLE_BATCH)
        return spectrum.octave_powers(batches), torch.cat([lines.residuals(batch) for batch in batches])

    @property
    def _compared(self) -> int:
        """Real images in both."""
        return min(REAL_OF_DENSE * self.config.dense, len(self._real))

    @cached_property
    def _descriptors(self) -> list[Descriptors]:
        return pyramid.pyramid_descriptors(self._some(self._pyramids), self._stream("real neighbourhoods"))

    @property
    def _pyramids(self) -> int:
        """On either side."""
        return min(self.config.pyramids, len(self._real))

    # --- protocols ----------------------------------------------------------------------------------------------------

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """In the order of the readings. Those of patches are the metric's, of other images."""
        config, real = self.config, self._real
        side = f"{config.fine} x {config.fine}"
        metric = self.metric.protocol.replace(
            quantisation="8 bits a channel",
            resize=self.resize,
            samples=config.patches,
            real_samples=len(PLACES) * len(real),
            real_content=real.content,
            details={},
        )
        found: list[Protocol] = []
        for zoom in config.zooms:
            details = {
                "windows": f"1/{zoom} of the side, {PATCH} x {PATCH} cells, {len(PLACES)} places alike",
                "offsets": f"uniform in steps of 1/{config.fine}, seed {self.latents_seed}",
                "cells": f"points of the INR, means over areas of {side} real pixels",
            }
            whole = metric.derived(f"scales/patch_1_{zoom}", details=details)
            each = whole.replace(samples=config.patches // len(PLACES), real_samples=len(real))
            found += [whole, *(each.derived(f"{whole.series}/{place}") for place in PLACES)]
            found.append(whole.derived(f"{whole.series}/places", details={"mean": "of the places' distances"}))

        plain = metric.replace(extractor=None, weights=None, resize=None, samples=config.dense)
        rendered = {"rendered": f"{side} points of the INR"}
        agreement = {**rendered, "peak": "2", "mean": "in dB over images", "most": f"{MOST_DECIBELS:g} dB"}
        found.append(
            plain.derived("scales/psnr", details=agreement, quantisation="none", real_samples=None, real_content=None)
        )
        plain = plain.replace(details=rendered, real_samples=self._compared)
        hann = {"spectrum": "log2 of power over real power, Hann window, grey"}
        for low, high in spectrum.octaves(config.fine):
            cycles = {"cycles across the image": f"{low} to {high}"}
            found.append(plain.derived(f"scales/octave_{low}_{high}", details={**hann, **cycles}))
        found.append(plain.derived("scales/spectrum", details={**hann, "mean": "of octaves' magnitudes"}))

        constants = {
            "patches": f"{pyramid.NEIGHBOURHOOD} x {pyramid.NEIGHBOURHOOD}, {pyramid.AN_IMAGE} an image",
            "directions": f"{pyramid.REPEATS} x {pyramid.DIRECTIONS}",
            "times": f"{pyramid.SHOWN_AS:g}",
        }
        sliced = plain.replace(samples=self._pyramids, real_samples=self._pyramids)
        found += [
            *(sliced.derived(f"scales/swd_{level}", details=constants) for level in pyramid.levels(config.fine)),
            sliced.derived("scales/swd", details={**constants, "mean": "of levels"}),
        ]

        edges = {
            "windows": f"{lines.WINDOW} x {lines.WINDOW} pixels",
            "line": f"contrast {lines.CONTRAST:g}, coherence {lines.COHERENCE:g}, thickness {lines.THICKNESS:g}",
        }
        missed = plain.derived("scales/lines", details={**edges, "distance": "Wasserstein-1 of residuals, pixels"})
        return (*found, missed, plain.derived("scales/line_pairs", details=edges))

    # --- generated images ---------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading | Strips]:
        """`scales/patch_1_<zoom>`, its places and their mean, then the measures of dense images, and the first of these
        below real ones."""
        for zoom in self.config.zooms:
            batches = self._windows(generator, latents[: self.config.patches], zoom)
            features = features_of(batches, self.metric.features, self.config.patches)
            whole, *places = self._patches[zoom]
            names = ("", *(f"/{place}" for place in PLACES), "/places")
            for name, value in zip(names, patch_distances(features, places, whole), strict=True):
                yield Reading(f"scales/patch_1_{zoom}{name}", value)

        dense, decibels = self._dense(generator, latents[: self.config.dense])
        yield Reading("scales/psnr", decibels.mean().item())

        batches = dense.split(SAMPLE_BATCH)
        real_power, real_residuals = self._looks
        gains = spectrum.octave_gains(spectrum.octave_powers(batches), real_power)
        for (low, high), gain in zip(spectrum.octaves(self.config.fine), gains.tolist(), strict=True):
            yield Reading(f"scales/octave_{low}_{high}", gain)
        yield Reading("scales/spectrum", gains.abs().mean().item())

        fake = pyramid.pyramid_descriptors(dense[: self._pyramids], self._stream("neighbourhoods"))
        distances = pyramid.pyramid_distances(fake, self._descriptors, self._stream("directions"))
        for level, distance in zip(pyramid.levels(self.config.fine), distances, strict=True):
            yield Reading(f"scales/swd_{level}", distance)
        yield Reading("scales/swd", sum(distances) / len(distances))

        residuals = torch.cat([lines.residuals(batch) for batch in batches])
        yield Reading("scales/lines", lines.line_distance(residuals, real_residuals))
        pairs = len(residuals) / len(dense)
        real_pairs = max(len(real_residuals), 1) / self._compared
        yield Reading("scales/line_pairs", pairs / real_pairs)

        shown = min(PICTURED, len(dense), len(self._real))
        yield Strips("dense", torch.stack([self._some(shown), dense[:shown]]))

    def _windows(self, generator: Generator, latents: Tensor, zoom: int) -> Iterator[Tensor]:
        """One window of each latent's picture, uint8 [B, 3, PATCH, PATCH] a batch."""
        columns, rows = windows(len(latents), zoom, self.config.fine, self._stream(f"windows at {zoom}"))
        batch = _together(generator, PATCH)
        for z, across, down in zip(latents.split(batch), columns.split(batch), rows.split(batch), strict=True):
            images = _finite(generator(z, Cells(across, down, generator.pixels.config)))
            yield generator.signal.to_stored(images)

    def _dense(self, generator: Generator, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Images at `fine` pixels, uint8 [N, 3, F, F] on the CPU, and how well they agree with coarse ones, dB [N]."""
        edges = evenly_cut(self.config.fine)
        grid = Cells(edges, edges, generator.pixels.config)
        images, decibels = [], []
        for z in latents.split(_together(generator, self.config.fine)):
            dense = _finite(generator(z, grid))
            decibels.append(agreement(dense, generator(z)))
            images.append(generator.signal.to_stored(dense).cpu())
        return torch.cat(images), torch.cat(decibels)

    def _stream(self, purpose: str) -> torch.Generator:
        return stream(self.latents_seed, f"scales: {purpose}")


def agreement(dense: Tensor, coarse: Tensor) -> Tensor:
    """PSNR of the means over areas of `dense` [B, C, kR, kR] against `coarse` [B, C, R, R], dB [B]; range [-1, 1]."""
    means = F.avg_pool2d(dense, dense.shape[-1] // coarse.shape[-1])
    error = (means - coarse).double().square().mean(dim=(1, 2, 3))
    return (10 * (4 / error).log10()).clamp(max=MOST_DECIBELS)


def _together(generator: Generator, side: int) -> int:
    """Images of `side` pixels in a batch: as many as have the pixels of a batch at the training resolution."""
    return max(1, min(SAMPLE_BATCH, SAMPLE_BATCH * generator.pixels.size**2 // side**2))


def _finite(images: Tensor) -> Tensor:
    if not images.isfinite().all():
        raise FloatingPointError("the generator made a pixel that is not finite")
    return images
