"""A metric's config node -> a measure that holds the real set's statistics and takes generated images."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from core.config import CleanFid, Config, GanMetric, RoomsFrechet
from core.errors import InputError
from core.metrics.clean_fid import inception_features, inception_weights
from core.metrics.extractor import load_extractor
from core.metrics.frechet import Gaussian, frechet_distance
from core.metrics.further import Further, Resamples
from core.metrics.identity import extractor_sha256, file_sha256
from core.metrics.interpolation import Interpolated
from core.metrics.measure import Features, Measure
from core.metrics.protocol import Protocol, content_sha256, of_metric
from core.metrics.upsampling import Upsampled

BATCH = 256


@dataclass(frozen=True)
class FrechetMeasure:
    """Frechet distance between the features of `samples` generated images and the Gaussian of the real ones."""

    key: str
    samples: int
    features: Features
    real: Gaussian
    protocol: Protocol

    def __call__(self, images: Iterator[Tensor]) -> float:
        """Takes the first `samples` images and leaves the iterator after the batch that completes them.

        Returns `inf` where a feature is not finite. Raises ValueError for fewer images and for other than uint8
        [B, 3, R, R]: a float image that is not finite cannot be quantised, so it is the caller's to notice.
        """
        features = _features(self.features, images, self.samples)
        if len(features) < self.samples:
            raise ValueError(f"{self.key} needs {self.samples} images and was given {len(features)}")
        if not np.isfinite(features).all():
            return float("inf")
        return frechet_distance(Gaussian.fit(features), self.real)


@torch.inference_mode()
def _features(extract: Features, images: Iterator[Tensor], limit: int) -> np.ndarray:
    """Features of the first `limit` images, float64 [N, D]."""
    found: list[np.ndarray] = []
    count = 0
    while count < limit and (batch := next(images, None)) is not None:
        if batch.dtype != torch.uint8 or batch.ndim != 4 or batch.shape[1] != 3:
            raise ValueError(f"images must be uint8 [B, 3, R, R], not {batch.dtype} {list(batch.shape)}")
        batch = batch[: limit - count]
        found.append(extract(batch).double().cpu().numpy())
        count += len(batch)
    return np.concatenate(found) if found else np.empty((0, 0))


def build_metric(
    metric: GanMetric, real: Tensor, *, device: torch.device | str, cache: Path | None, latents_seed: int = 8192
) -> Measure:
    """The measure of `metric` against `real`, uint8 [M, 3, R, R], all of it.

    `latents_seed` is what the measured images' latents are drawn from, which the measure's protocol says.

    The real set's statistics are computed once per process and kept under `cache` (None: not on disk) by the content
    of the set and of the extractor. Everything that can be wrong is found here, before training: raises `InputError`
    for weights that are missing, damaged or not those the config names, and for too few images.
    """
    if metric.samples < 2 or len(real) < 2:
        raise InputError(
            f"{metric.kind} compares {metric.samples} samples with {len(real)} real images: give at least two of each"
        )
    features: Features
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

        case CleanFid(mode=mode):
            file = inception_weights(mode)
            weights = file_sha256(file)
            identity = f"clean_fid {mode} {weights}"
            features = inception_features(mode, file, device)
        case _:
            assert_never(metric)
    features = in_single_precision(features)
    protocol = of_metric(
        metric,
        weights=weights,
        side=real.shape[-1],
        real_samples=len(real),
        real_content=content_sha256(real.cpu().numpy()),
        latents_seed=latents_seed,
    )
    statistics = _real_statistics(features, real, identity, cache)
    return FrechetMeasure(metric.kind, metric.samples, features, statistics, protocol)


def in_single_precision(features: Features) -> Features:
    """The same features with convolutions in float32 on CUDA, too, where torch's default is the coarser TF32."""

    def exact(images: Tensor) -> Tensor:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return features(images)

    return exact


def build_further(config: Config, against: Callable[[GanMetric, int], Measure]) -> tuple[Further, ...]:
    """What `config` measures at the last iteration besides its metric.

    `against(metric, resolution)` is the measure of a metric against the real set at a resolution; what it raises for a
    set that cannot be had is raised here, before training.
    """
    evaluation, resolution = config.evaluation, config.data.resolution
    measure = against(evaluation.metric, resolution)
    further: list[Further] = []
    if evaluation.resamples:
        further.append(Resamples(measure, evaluation.resamples, evaluation.latents_seed))
    if asked := evaluation.upsampling:
        coarse, fine = against(asked.metric, resolution), against(asked.metric, asked.factor * resolution)
        further.append(Upsampled(asked.factor, coarse, fine))
    if evaluation.interpolation:
        further.append(
            Interpolated(evaluation.interpolation, measure.features, evaluation.latents_seed, measure.protocol)
        )
    return tuple(further)


# --- statistics of the real set ---------------------------------------------------------------------------------------

_known: dict[str, Gaussian] = {}


def _real_statistics(features: Features, real: Tensor, identity: str, cache: Path | None) -> Gaussian:
    digest = hashlib.sha256(f"{identity} {list(real.shape)} ".encode())
    digest.update(real.contiguous().cpu().numpy().data)
    key = digest.hexdigest()
    if key in _known:
        return _known[key]
    try:
        folder = None if cache is None else cache / "statistics"
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{key[:32]}.lock") if folder else nullcontext():
            stored = folder / f"{key[:32]}.npz" if folder else None
            gaussian = _read(stored) if stored else None
            if gaussian is None:
                extracted = _features(features, iter(real.split(BATCH)), len(real))
                if not np.isfinite(extracted).all():
                    raise InputError(f"the extractor ({identity[:40]}) gives features that are not finite: replace it")
                gaussian = Gaussian.fit(extracted)
                if stored:
                    _write(stored, gaussian)
    except OSError as error:
        raise InputError(f"cache folder {cache} cannot be used ({error.strerror or error}): choose another") from error
    _known[key] = gaussian
    return gaussian


def _write(path: Path, gaussian: Gaussian) -> None:
    aside = path.with_name(f".{path.stem}.{os.getpid()}.npz")
    try:
        np.savez(aside, mean=gaussian.mean, covariance=gaussian.covariance)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _read(path: Path) -> Gaussian | None:
    """None for a file that is missing, truncated (the archive's checksums say so) or of another shape."""
    try:
        # From bytes: np.load leaves the file open where it is damaged.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            mean, covariance = stored["mean"], stored["covariance"]
    except Exception:  # a damaged archive raises zipfile, zlib, EOF and value errors alike; it is only made anew
        return None
    whole = covariance.shape == (len(mean), len(mean)) and np.isfinite(mean).all() and np.isfinite(covariance).all()
    return Gaussian(mean, covariance) if whole else None
