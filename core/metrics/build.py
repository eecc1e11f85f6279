"""A metric's config node -> a measure that holds the real set's statistics and takes generated images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from core.config import CleanFid, Config, GanMetric, RoomsFrechet
from core.errors import InputError
from core.metrics.clean_fid import inception_features, inception_weights
from core.metrics.enough import check_metric
from core.metrics.extractor import load_extractor
from core.metrics.features import Features, features_of
from core.metrics.frechet import Gaussian, frechet_distance
from core.metrics.further import Further, Resamples
from core.metrics.identity import extractor_sha256, inception_sha256
from core.metrics.interpolation import Interpolated, Walked
from core.metrics.measure import Measure
from core.metrics.protocol import Protocol, of_metric
from core.metrics.real import RealSet, Taken
from core.metrics.upsampling import Upsampled
from core.precision import float32_products


@dataclass(frozen=True)
class FrechetMeasure:
    """Frechet distance between the features of `samples` generated images and the Gaussian of the real ones."""

    key: str
    samples: int
    features: Features
    real: RealSet
    protocol: Protocol
    quantised: bool = True

    @property
    def dtype(self) -> torch.dtype:
        """See `core.metrics.measure.Measure`."""
        return torch.uint8 if self.quantised else torch.float32

    def __call__(self, images: Iterator[Tensor]) -> float:
        """Takes the first `samples` images and leaves the iterator after the batch that completes them.

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
    Everything that can be wrong is found here, before training: raises `InputError` for weights that are missing,
    damaged or not those the config names, and for too few images.
    """
    check_metric(metric, len(real))
    features: Features
    real_taken: Taken = "spread"
    quantised = True
    match metric:
        case RoomsFrechet(layer=layer, resolution=resolution):
            shipped = extractor_sha256(resolution)
            if metric.extractor and metric.extractor != shipped:
                raise InputError(
                    f"the config's rooms{resolution} extractor is {metric.extractor[:12]}, this version ships "
                    f"{shipped[:12]}: set the metric's extractor to it, or use the version the config was made with"
                )
            net = load_extractor(resolution, device)
            weights, identity = shipped, f"rooms{resolution} {layer} {shipped}"

            def features(images: Tensor) -> Tensor:
                return net.features(images.to(device), layer)

        case CleanFid(mode=mode, real_taken=real_taken, quantised=quantised):
            file = inception_weights(mode)
            weights = inception_sha256(mode)
            identity = f"clean_fid {mode} {weights}"
            features = inception_features(mode, file, device)
        case _:
            assert_never(metric)
    features = in_single_precision(features)
    compared = RealSet(real, features, identity, metric.real, cache, real_taken)
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
    return FrechetMeasure(metric.kind, metric.samples, features, compared, protocol, quantised)


def in_single_precision(features: Features) -> Features:
    """The same features with convolutions in float32 on CUDA, too, where torch's default is the coarser TF32."""
    exact: Features = float32_products("ieee")(features)
    return exact


def build_further(config: Config, against: Callable[[GanMetric, int], Measure]) -> tuple[Further, ...]:
    """What `config` measures at the last iteration besides its metric.

    `against(metric, resolution)` is the measure of a metric against the real set at a resolution; what it raises for a
    set that cannot be had is raised here, before training.
    """
    evaluation, resolution = config.evaluation, config.data.resolution
    measure = against(evaluation.metric, resolution)
    further: list[Further] = []
    if evaluation.quality:
        # Its libraries take seconds to import.
        from core.metrics.quality import Assessed

        further.append(Assessed(evaluation.quality, measure, evaluation.latents_seed))
    if evaluation.resamples:
        further.append(Resamples(measure, evaluation.resamples, evaluation.latents_seed))
    if asked := evaluation.upsampling:
        coarse, fine = against(asked.metric, resolution), against(asked.metric, asked.factor * resolution)
        further.append(Upsampled(asked.factor, coarse, fine))
    if evaluation.interpolation:
        further.append(
            Interpolated(evaluation.interpolation, measure.features, evaluation.latents_seed, measure.protocol)
        )
    else:
        further.append(Walked(evaluation.latents_seed))
    return tuple(further)
