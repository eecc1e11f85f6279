"""Measures beyond one Frechet distance, of the same features: kernel distance, fidelity, variety, sample bias.

A kernel distance over Inception features is KID, a Frechet distance with unlimited samples over them FID-infinity; over
other features they are neither, and are not called so (`docs/metrics.md`). Importing this module takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import numpy as np
from cleanfid import fid
from prdc import prdc
from torch import Tensor

from core.config import Quality
from core.metrics.enough import check_quality
from core.metrics.features import FeatureArray, features_of, generated
from core.metrics.frechet import Gaussian, frechet_distance
from core.metrics.measure import Measure, Reading
from core.metrics.protocol import Protocol
from core.metrics.real import evenly
from core.models.generator import Generator
from core.streams import stream_seed

SHARES = ("precision", "recall", "density", "coverage")


def kernel_distance(generated_ND: FeatureArray, real_MD: FeatureArray, subsets: int, subset: int, seed: int) -> float:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (Binkowski et al. 2018, sec. 4), by clean-fid.

    Unbiased, so it may be negative: the mean over `subsets` draws of `subset` features of either side, all without
    replacement. The draws are those of `seed`.
    """
    with _numpy_seeded(seed):
        # In double precision: it is a small difference of large sums.
        distance = fid.kernel_distance(real_MD.astype(np.float64), generated_ND.astype(np.float64), subsets, subset)
    return float(distance)


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """numpy's global random state, which clean-fid draws from, begins at `seed` inside and is as before outside."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def nearest_neighbours(generated_ND: FeatureArray, real_MD: FeatureArray, neighbours: int) -> dict[str, float]:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020), by prdc.

    Balls around each feature reach to its `neighbours`-th nearest on its own side. Density alone can exceed 1.
    """
    # prdc prints the numbers of features.
    with mock.patch.object(prdc, "print", create=True):
        shares = prdc.compute_prdc(real_MD, generated_ND, neighbours)
    return {name: float(shares[name]) for name in SHARES}


def without_sample_bias(
    generated_ND: FeatureArray, real: Gaussian, points: int, smallest: int, random: np.random.Generator
) -> float:
    """The Frechet distance of unlimited samples (Chong and Forsyth 2020, sec. 4): of its line in 1/N the value at 0.

    The line is fitted by least squares to the distances of `points` random subsets without replacement, from
    `smallest` to all features in even steps. It may lie below zero.
    """
    counts = np.linspace(smallest, len(generated_ND), points).astype(int)
    distances = [
        frechet_distance(Gaussian.fit(generated_ND[random.permutation(len(generated_ND))[:count]]), real)
        for count in counts
    ]
    _, at_zero = np.polyfit(1 / counts, distances, deg=1)
    return float(at_zero)


@dataclass(frozen=True)
class QualityMeasure:
    """The measures of `config` between the images of the fixed latents and the real set of `measure`.

    Its images are generated and looked at once more than for `measure` itself, once for all six. Raises `InputError`
    when it is made for numbers of images that cannot be had, and as `RealSet.features` does.
    """

    config: Quality
    measure: Measure
    latents_seed: int

    def __post_init__(self) -> None:
        check_quality(self.config, self.measure.samples, len(self.measure.real))
        self._real()

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The metric's, with what each number counts besides."""
        config, metric = self.config, self.measure.protocol
        compared = min(config.samples, self.measure.samples), min(config.samples, len(self.measure.real))
        drawn_from = min(max(config.samples, config.kernel_subset), len(self.measure.real))
        subsets = {"kernel": "(x.y / D + 1)^3", "subsets": f"{config.kernel_subsets} of {config.kernel_subset}"}
        line = {"extrapolated": f"a line in 1/N, {config.points} points from {config.smallest}"}
        return (
            metric.derived(f"{metric.series}/kid", real_samples=drawn_from, details=subsets),
            *(
                metric.derived(
                    f"{metric.series}/{name}",
                    samples=compared[0],
                    real_samples=compared[1],
                    details={"neighbours": f"{config.neighbours}"},
                )
                for name in SHARES
            ),
            metric.derived(f"{metric.series}/infinity", details=line),
        )

    def _real(self) -> FeatureArray:
        """As many real features as any of the measures takes."""
        return self.measure.real.features(max(self.config.samples, self.config.kernel_subset))

    def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading]:
        """`<metric>/kid`, `/precision`, `/recall`, `/density`, `/coverage` and `/infinity`.

        All of them are `inf` where a feature is not finite, as the metric is.
        """
        config, measure = self.config, self.measure
        images = generated(generator, latents[: measure.samples], quantised=measure.quantised)
        features = features_of(images, measure.features, measure.samples, measure.dtype)
        if not np.isfinite(features).all():
            yield from (Reading(f"{measure.key}/{name}", float("inf")) for name in ("kid", *SHARES, "infinity"))
            return
        real = self._real()
        seed = stream_seed(self.latents_seed, "kernel distance")
        kid = kernel_distance(features, real, config.kernel_subsets, config.kernel_subset, seed)
        yield Reading(f"{measure.key}/kid", kid)

        spread = real[evenly(len(real), config.samples).numpy()]
        shares = nearest_neighbours(features[: config.samples], spread, config.neighbours)
        yield from (Reading(f"{measure.key}/{name}", value) for name, value in shares.items())

        random = np.random.default_rng(stream_seed(self.latents_seed, "sample bias"))
        unlimited = without_sample_bias(features, measure.real.gaussian, config.points, config.smallest, random)
        yield Reading(f"{measure.key}/infinity", unlimited)
