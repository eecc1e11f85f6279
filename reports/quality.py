"""What was measured of the trained generators beside the metric that is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.config import CleanFid, Config, Quality
from reports import stats
from reports.numbers import counted, factor, fixed, listed
from reports.page import Block, Heading, Paragraph
from reports.results import Results
from reports.tables import Rows, to_runs
from studies.plan import PlannedVariant


@dataclass(frozen=True)
class Series:
    """One further measure: the end of its key, its column's head, what its values are multiplied by there, and whether
    it is a positive distance, whose mean is geometric."""

    name: str
    head: str
    times: float = 1.0
    distance: bool = False


SHARES = tuple(Series(name, name) for name in ("precision", "recall", "density", "coverage"))
OF_INCEPTION = (Series("kid", "KID × 10³", 1e3), *SHARES, Series("infinity", "FID∞", distance=True))
OF_A_PROXY = (Series("kid", "kernel distance × 10³", 1e3), *SHARES, Series("infinity", "FD for N → ∞", distance=True))


def other_measures(results: Results) -> list[Block]:
    """The section; none where no variant of the study asks for these measures."""
    measured = [(variant, quality) for variant in results.plan.listed if (quality := quality_of(variant))]
    if not measured:
        return []
    heading = Heading("Other measures")
    inception = isinstance(measured[0][0].config.evaluation.metric, CleanFid)
    series = OF_INCEPTION if inception else OF_A_PROXY
    there = {variant.name: values_of(results, variant, series) for variant, _ in measured}
    if not any(np.isfinite(found).any() for values in there.values() for found in values):
        return [heading, Paragraph("No run has measured them yet.")]
    columns = [[values[column] for values in there.values()] for column, _ in enumerate(series)]
    writers = [fixed(stats.summary(values).mean for values in column) for column in columns]
    logarithmic = [
        part.distance and not any((values <= 0).any() for values in column)
        for part, column in zip(series, columns, strict=True)
    ]
    lost = {variant.name: int(np.isinf(results.last(variant)).sum()) for variant, _ in measured}

    def spread(variant: PlannedVariant, column: int) -> str | None:
        values = there[variant.name][column]
        return None if lost[variant.name] else cell(values, writers[column], logarithmic=logarithmic[column])

    def ended(variant: PlannedVariant) -> str:
        n = max(stats.summary(values).n for values in there[variant.name])
        gone = lost[variant.name]
        return f"{gone} of {n + gone} diverged" if gone else str(n)

    rows = Rows(variant for variant, _ in measured)
    rows.words("variant", lambda v: to_runs(results, v.name, v.title, strong=not v.changes), 1.6)
    rows.each(range(len(series)), lambda column: series[column].head, spread, 1.0)
    rows.numbers("n", ended)
    heads = [part.head for part, of_logs in zip(series, logarithmic, strict=True) if of_logs]
    drawn = f" Left out: {results.plan.drawn_words}, trained with few seeds each." if results.plan.drawn else ""
    text = caption(*measured[0], inception=inception, logarithmic=heads)
    return [heading, rows.table(text + drawn, name="other_measures", size=7.2)]


def cell(values: np.ndarray, write: Callable[[float | None], str], *, logarithmic: bool) -> str:
    """Mean and spread over seeds: geometric of a distance, as the metric is, arithmetic of shares and differences."""
    if logarithmic:
        of_logs = stats.log_summary(values)
        spread = "" if of_logs.factor is None else f" ×/÷ {factor(of_logs.factor)}"
        return f"{write(of_logs.mean)}{spread}" if of_logs.n else "–"
    plain = stats.summary(values)
    return f"{write(plain.mean)}" + (f" ± {write(plain.sd)}" if plain.sd is not None else "") if plain.n else "–"


def quality_of(variant: PlannedVariant) -> Quality | None:
    """What the variant asks to be measured."""
    return variant.config.evaluation.quality


def values_of(results: Results, variant: PlannedVariant, series: tuple[Series, ...]) -> list[np.ndarray]:
    """Of each measure the values at the last iteration, as its column has them, per seed; NaN where there is none."""
    return [part.times * results.last_of(variant, f"{results.metric}/{part.name}") for part in series]


def caption(variant: PlannedVariant, quality: Quality, *, inception: bool, logarithmic: Sequence[str] = ()) -> str:
    """What the columns are, and of how many images."""
    assert isinstance(variant.config, Config)
    samples = variant.config.evaluation.metric.samples
    compared = counted(min(quality.samples, samples), "image")
    if inception:
        features, kernel, unlimited = "Inception features", "KID is unbiased", "FID∞ is the FID"
    else:
        features = "features, a proxy"
        kernel = "The kernel distance is KID's estimate on the proxy's features and is not KID; it is unbiased"
        whose = {"fd_imagenet": "ImageNet"}.get(variant.config.evaluation.metric.kind, "rooms")
        unlimited = f"FD for N → ∞ is the {whose} Fréchet distance, not FID∞,"
    geometric = (
        f" (of {listed(logarithmic)}: geometric mean ×/÷ geometric standard deviation, as of the metric itself)"
        if logarithmic
        else ""
    )
    return (
        f"At the last iteration, of the metric's own {features}: arithmetic mean ± sd over n seeds{geometric}, for "
        "shares are between 0 and 1 and an unbiased difference may be negative; no claim is judged by them. "
        f"{kernel}, so it may be negative: {quality.kernel_subsets} subsets of {quality.kernel_subset:,} images of "
        "either side. Precision and density say how many generated images lie among real ones, recall and coverage how "
        f"much of the real set lies among generated ones ({quality.neighbours} nearest neighbours, at most {compared} "
        f"of either side): higher is better, density alone can exceed 1. {unlimited} extrapolated in 1/N to unlimited "
        f"samples from {quality.points} numbers of images between {quality.smallest:,} and {samples:,}."
    )
