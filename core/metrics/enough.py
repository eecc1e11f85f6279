"""How many images the measures of a GAN take, and from how many on a distance means something. Needs no torch."""

from __future__ import annotations

from typing import assert_never

from core.config import AnyConfig, Config, GanMetric, Quality, Reconstruction
from core.errors import InputError

FEW = 1_000
"""Fewer images than these make a distance that is mostly the draw of them, whatever looks at them."""

REMEDY = "lower it, or measure none of this with evaluation.quality=null"


def taken(metric: GanMetric, real: int) -> int:
    """How many of so many real images the metric looks at."""
    return real if metric.real is None else min(metric.real, real)


def check_metric(metric: GanMetric, real: int) -> None:
    """Raises InputError for numbers of images that no distance can be had of."""
    if metric.samples < 2 or taken(metric, real) < 2:
        raise InputError(
            f"{metric.kind} compares {metric.samples} samples with {taken(metric, real)} real images: give at least "
            "two of each"
        )


def check_quality(quality: Quality, samples: int, real: int) -> None:
    """Raises InputError for numbers of images that are too few for the further measures."""
    compared = min(quality.samples, samples, real)
    if quality.smallest >= samples:
        raise InputError(
            f"evaluation.quality.smallest is {quality.smallest} and the metric has {samples} samples, so there is "
            f"no line through more than one number of them: {REMEDY}"
        )
    if quality.neighbours > compared - 2:
        raise InputError(
            f"evaluation.quality.neighbours is {quality.neighbours} and it must be two fewer than the "
            f"{compared} images that are compared: {REMEDY}"
        )
    if quality.kernel_subset > min(samples, real):
        raise InputError(
            f"evaluation.quality.kernel_subset is {quality.kernel_subset} and there are {samples} samples and "
            f"{real} real images: {REMEDY}"
        )


def check_counts(config: AnyConfig, train: int, real: int) -> None:
    """Raises InputError where so many images are too few to fit, or real ones too few for what the config measures."""
    match config:
        case Reconstruction(images=images):
            if images > train:
                raise InputError(f"{images} images are to be fitted and the data has {train}: lower images")
        case Config(evaluation=evaluation):
            check_metric(evaluation.metric, real)
            if evaluation.quality is not None:
                check_quality(evaluation.quality, evaluation.metric.samples, taken(evaluation.metric, real))
            if evaluation.upsampling is not None:
                check_metric(evaluation.upsampling.metric, real)
        case _:
            assert_never(config)


def cautions(metric: GanMetric, samples: int, real: int) -> list[str]:
    """The warnings about a distance of so few images; none where there are enough."""
    numbers = metric.features
    lines = []
    for count, what in ((real, "real images"), (samples, "samples")):
        if count <= numbers:
            lines.append(
                f"{count:,} {what} are too few for the metric's {numbers:,} features: their covariance has rank "
                f"{max(count - 1, 0):,} at most, and the distance is mostly the draw of them"
            )
        elif count < FEW:
            lines.append(f"{count:,} {what} are few (fewer than {FEW:,}): much of the distance is the draw of them")
    return lines
