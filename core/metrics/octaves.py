"""Windows at any zoom, from the whole picture to one cell of thousands a side, against windows of true scenes.

`core.metrics.scales` compares with stored images of many pixels, which end where they fill the memory. Here real
windows are drawn by the rooms' own function, each of a scene of its own, and cost the same at any zoom. No distance is
an FID.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from core.config import PATCH, Octaves
from core.grids import Cells
from core.metrics.features import SAMPLE_BATCH, features_of
from core.metrics.frechet import Gaussian
from core.metrics.measure import Measure, Reading, Strips
from core.metrics.patches import PLACES, Edges, patch_distances, together, windows
from core.metrics.protocol import Protocol
from core.metrics.real import RealSet
from core.models.generator import Generator
from core.streams import stream

BANDS = ((2, 4), (4, 8))
"""Octaves of a window, in cycles across it: with zooms four apart those of all windows follow on each other."""

LEAST = 0.01
"""Squared 8-bit levels that are added to every power: what rounding leaves in an octave of a window that is flat."""

PICTURED = 16
"""Windows of every zoom that are kept to look at, and as many real ones."""


class Draw(NamedTuple):
    """Windows that are asked for: their edges, and from which of the held-out scenes on, one window each."""

    edges: Edges
    first: int


Drawn = Callable[[Draw], Tensor]
"""The true windows, uint8 [N, 3, PATCH, PATCH]: means over areas, rounded."""


class Known(NamedTuple):
    """What is known of the real windows at one zoom."""

    whole: Gaussian
    places: tuple[Gaussian, ...]
    powers: Tensor
    floor: tuple[float, ...]
    pictured: Tensor
    content: str


@dataclass(frozen=True)
class OctavesMeasure:
    """The measures of `config` against windows that `drawn` draws.

    Features are those of `metric`, whose protocol theirs derive from; `resize` says how its extractor sees windows.
    What is known of real windows is computed when it is made.
    """

    config: Octaves
    metric: Measure
    drawn: Drawn
    resize: str
    latents_seed: int

    def __post_init__(self) -> None:
        _ = self.known

    # --- real windows -------------------------------------------------------------------------------------------------

    @cached_property
    def known(self) -> dict[int, Known]:
        """By zoom."""
        return {zoom: self._known(zoom) for zoom in self.config.zooms}

    def _known(self, zoom: int) -> Known:
        metric = self.metric.real
        real = self.drawn(Draw(self.edges(self.config.real, zoom, "real windows"), 0))
        sets = [
            RealSet(real[place :: len(PLACES)], metric.extract, metric.extractor, cache=metric.cache)
            for place in range(len(PLACES))
        ]
        places = tuple(each.gaussian for each in sets)
        whole = together(places, len(sets[0]))
        # Scenes behind those: what a generator without a fault reads.
        others = self.drawn(Draw(self.edges(self.config.windows, zoom, "other real windows"), self.config.real))
        floor = self._distances(others, whole, places)
        content = RealSet(real, metric.extract, metric.extractor).content
        return Known(whole, places, log_powers(real).mean(dim=0), floor, real[:PICTURED].clone(), content)

    def _distances(self, found: Tensor, whole: Gaussian, places: Sequence[Gaussian]) -> tuple[float, ...]:
        """Of windows in turn in each place: the distance of all, and the mean of the places'."""
        features = features_of(iter(found.split(SAMPLE_BATCH)), self.metric.features, len(found))
        distances = patch_distances(features, places, whole)
        return distances[0], distances[-1]

    def edges(self, count: int, zoom: int, purpose: str) -> Edges:
        """Where `count` windows of a purpose lie: uniform in steps of a cell, a quarter of them in each place."""
        return windows(count, zoom, PATCH * zoom, self._stream(f"{purpose} at {zoom}"))

    # --- protocols ----------------------------------------------------------------------------------------------------

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """In the order of the readings."""
        config = self.config
        metric = self.metric.protocol.replace(
            quantisation="8 bits a channel",
            resize=self.resize,
            samples=config.windows,
            real_samples=config.real,
            details={},
        )
        found: list[Protocol] = []
        for zoom in config.zooms:
            details = {
                "windows": f"1/{zoom} of the side, {PATCH} x {PATCH} cells, {len(PLACES)} places alike",
                "offsets": f"uniform in steps of 1/{PATCH * zoom}, seed {self.latents_seed}",
                "cells": f"values of the INR, means over {config.points} x {config.points} points of scenes",
            }
            content = self.known[zoom].content
            whole = metric.derived(f"octaves/patch_1_{zoom}", details=details, real_content=content)
            floor = whole.derived(f"octaves/floor_1_{zoom}", latents="none", generator="true scenes")
            means = {"mean": "of the places' distances"}
            found += [whole]
            found += [whole.derived(f"{whole.series}/places", details=means)] if zoom > 1 else []
            found += [floor]
            found += [floor.derived(f"{floor.series}/places", details=means)] if zoom > 1 else []
            plain = whole.replace(extractor=None, weights=None, resize=None)
            for low, high in BANDS:
                hann = {
                    "power": "mean of log2 over windows less that of real ones, Hann window, grey",
                    "cycles across the image": f"{low * zoom} to {high * zoom}",
                }
                found.append(plain.derived(f"octaves/power_{low * zoom}_{high * zoom}", details=hann))
        last = found[-1]
        return (*found, last.replace(series="octaves/power", details={"mean": "of octaves' magnitudes"}))

    # --- generated windows --------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading | Strips]:
        """By zoom `octaves/patch_1_<zoom>` and of its places, the same of other true windows, and the power of two
        octaves; the mean of its magnitudes; then windows of every zoom below real ones."""
        gains: list[float] = []
        shown: list[Tensor] = []
        for zoom in self.config.zooms:
            found = self.windows_of(generator, latents[: self.config.windows], zoom)
            for reading in self.readings(zoom, found):
                gains += [reading.value] if reading.key.startswith("octaves/power_") else []
                yield reading
            shown += [self.known[zoom].pictured, found[:PICTURED]]
        yield Reading("octaves/power", sum(map(abs, gains)) / len(gains))
        count = min(map(len, shown))
        yield Strips("octaves", torch.stack([row[:count] for row in shown]))

    def readings(self, zoom: int, found: Tensor) -> Iterator[Reading]:
        """Of windows, uint8 [N, 3, PATCH, PATCH], in turn in each place."""
        known = self.known[zoom]
        distances = self._distances(found, known.whole, known.places)
        for name, values in (("patch", distances), ("floor", known.floor)):
            for suffix, value in zip(("", "/places"), values, strict=True):
                # Of whole pictures there is one place.
                if zoom > 1 or not suffix:
                    yield Reading(f"octaves/{name}_1_{zoom}{suffix}", value)
        gains = log_powers(found).mean(dim=0) - known.powers
        for (low, high), gain in zip(BANDS, gains.tolist(), strict=True):
            yield Reading(f"octaves/power_{low * zoom}_{high * zoom}", gain)

    def windows_of(self, generator: Generator, latents: Tensor, zoom: int) -> Tensor:
        """One window of each latent's picture, uint8 [N, 3, PATCH, PATCH] on the CPU."""
        columns, rows = self.edges(len(latents), zoom, "windows")
        parts = []
        for z, across, down in zip(*(each.split(SAMPLE_BATCH) for each in (latents, columns, rows)), strict=True):
            images = generator(z, Cells(across, down, generator.pixels.config))
            if not images.isfinite().all():
                raise FloatingPointError("the generator made a pixel that is not finite")
            parts.append(generator.signal.to_stored(images).cpu())
        return torch.cat(parts)

    def _stream(self, purpose: str) -> torch.Generator:
        return stream(self.latents_seed, f"octaves: {purpose}")


def log_powers(found: Tensor) -> Tensor:
    """log2 of each window's power by `BANDS`, in squared 8-bit levels and with `LEAST` added, float64 [N, bands].

    Of grey windows (the mean of the colours) less their mean, under a Hann window, as `core.metrics.spectrum` has it.
    The mean over windows of a logarithm is about what most of them have: that of the power is of the few with an edge.
    """
    side = found.shape[-1]
    hann = torch.hann_window(side, dtype=torch.float64)
    window = hann[:, None] * hann
    grey = found.double().mean(dim=1)
    grey = grey - (grey * window).sum(dim=(1, 2), keepdim=True) / window.sum()
    power = torch.fft.fft2(grey * window).abs().square() / side**4
    frequency = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64)
    cycles = torch.hypot(frequency[:, None], frequency)
    bands = [(low <= cycles) & (cycles < high) for low, high in BANDS]
    return torch.stack([(power[:, band].sum(dim=1) + LEAST).log2() for band in bands], dim=1)
