"""The measures of generated images: a metric against its real set, and those of the last iteration."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, assert_never

import numpy as np
import torch
from torch import Tensor

from core.config import CleanFid, GanMetric, ImageNetFrechet, RoomsFrechet
from core.errors import InputError
from core.metrics.enough import check_metric
from core.metrics.extractor import load_extractor
from core.metrics.features import Features, features_of, generated
from core.metrics.frechet import Gaussian, frechet_distance
from core.metrics.identity import IMAGENET_SHA256, extractor_sha256, inception_sha256
from core.metrics.imagenet import imagenet_features
from core.metrics.protocol import Protocol, of_metric
from core.metrics.real import RealSet
from core.models.generator import Generator
from core.precision import float32_products
from core.streams import stream


@dataclass(frozen=True)
class Measure:
    """Frechet distance between the features of `samples` generated images and the Gaussian of the real ones.

    Generated images are rounded to 8 bits, uint8, or with `quantised` off taken as they come, float32 in 0..255.
    """

    samples: int
    features: Features
    real: RealSet
    protocol: Protocol
    quantised: bool = True

    @property
    def key(self) -> str:
        """ "fd_rooms", "fd_imagenet" or "clean_fid": the name of the series in events and tables."""
        return self.protocol.series

    @property
    def dtype(self) -> torch.dtype:
        """Of the images that it takes."""
        return torch.uint8 if self.quantised else torch.float32

    def __call__(self, images: Iterator[Tensor]) -> float:
        """The distance of the first `samples` of these images, [B, 3, R, R] a batch; the batch that completes them is
        the last one taken.

        Returns `inf` where a feature is not finite. Raises ValueError as `features_of` does.
        """
        features = features_of(images, self.features, self.samples, self.dtype)
        if not np.isfinite(features).all():
            return float("inf")
        return frechet_distance(Gaussian.fit(features), self.real.gaussian)


def build_metric(
    metric: GanMetric, real: Tensor, *, device: torch.device | str, cache: Path | None, latents_seed: int = 8192
) -> Measure:
    """The measure of `metric` against `real`, uint8 [M, 3, R, R], or as many of it as the metric takes.

    `latents_seed` is what the measured images' latents are drawn from, which the measure's protocol says. The real
    set's statistics are computed once per process and kept under `cache` (None: not on disk), see `core.metrics.real`.
    Raises `InputError`, before training, for weights that are missing, damaged or not those the config names, and for
    too few images.
    """
    check_metric(metric, len(real))
    features: Features
    match metric:
        case RoomsFrechet(layer=layer, resolution=resolution):
            weights = extractor_sha256(resolution)
            if metric.extractor and metric.extractor != weights:
                raise InputError(
                    f"the config's rooms{resolution} extractor is {metric.extractor[:12]}, this version ships "
                    f"{weights[:12]}: set the metric's extractor to it, or use the version the config was made with"
                )
            net = load_extractor(resolution, device)
            identity = f"rooms{resolution} {layer} {weights}"

            def features(images: Tensor) -> Tensor:
                return net.features(images.to(device), layer)

        case CleanFid(mode=mode):
            # Its libraries take seconds to import.
            from core.metrics.clean_fid import inception_features, inception_weights

            weights = inception_sha256(mode)
            identity = f"clean_fid {mode} {weights}"
            features = inception_features(mode, inception_weights(mode), device)
        case ImageNetFrechet(side=side):
            weights = IMAGENET_SHA256
            identity = f"fd_imagenet {side} stage 5 pooled {weights}"
            features = imagenet_features(side, device)
        case _:
            assert_never(metric)
    features = in_single_precision(features)
    compared = RealSet(real, features, identity, metric.real, cache, metric.real_taken)
    # Now, not at the first evaluation: a process looks once, and its jobs share what it finds.
    _ = compared.gaussian.root
    protocol = of_metric(
        metric,
        weights=weights,
        side=real.shape[-1],
        real_samples=len(compared),
        real_content=compared.content,
        latents_seed=latents_seed,
    )
    return Measure(metric.samples, features, compared, protocol, metric.quantised)


def in_single_precision(features: Features) -> Features:
    """The same features with convolutions in float32 on CUDA, too, where torch's default is the coarser TF32."""
    exact: Features = float32_products("ieee")(features)
    return exact


# --- at the last iteration --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """One number under the name of its series."""

    key: str
    value: float


@dataclass(frozen=True)
class Strips:
    """Rows of images that belong together, uint8 [rows, columns, 3, R, R] on the CPU (`core.events.Pictured`)."""

    name: Literal["interpolations", "upsampled", "dense", "octaves"]
    pictures: Tensor


class FinalMeasure(typing.Protocol):
    """A measure of the trained generator, in evaluation mode, and of the fixed latents [N, latent_dim]."""

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The protocol of each series, in the order of the readings."""
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
