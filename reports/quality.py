"""What was measured of the trained generators beside the metric that is judged by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.config import CleanFid, Config, Quality
from reports import stats
from reports.links import led
from reports.numbers import counted, fixed
from reports.page import Block, Column, Heading, Paragraph, Table, Text
from reports.results import Results
from studies.plan import PlannedVariant


@dataclass(frozen=True)
class Series:
    """One further measure: the end of its key, its column's head and what its values are multiplied by there."""

    name: str
    head: str
    times: float = 1.0


SHARES = tuple(Series(name, name) for name in ("precision", "recall", "density", "coverage"))
OF_INCEPTION = (Series("kid", "KID × 10³", 1e3), *SHARES, Series("infinity", "FID∞"))
OF_A_PROXY = (Series("kid", "kernel distance × 10³", 1e3), *SHARES, Series("infinity", "FD for N → ∞"))


def other_measures(results: Results) -> list[Block]:
    """The section; none where no variant of the study asks for these measures."""
    asked = [(variant, quality) for variant in results.plan.listed if (quality := quality_of(variant))]
    if not asked:
        return []
    heading = Heading("Other measures")
    inception = isinstance(asked[0][0].config.evaluation.metric, CleanFid)
    series = OF_INCEPTION if inception else OF_A_PROXY
    there = {variant.name: values_of(results, variant, series) for variant, _ in asked}
    if not any(np.isfinite(found).any() for values in there.values() for found in values):
        return [heading, Paragraph("No run has measured them yet.")]
    writers = [
        fixed(stats.summary(values[column]).mean for values in there.values()) for column, _ in enumerate(series)
    ]
    rows: list[tuple[Text, ...]] = []
    for variant, _ in asked:
        found = [stats.summary(values) for values in there[variant.name]]
        n = max(part.n for part in found)
        lost = int(np.isinf(results.last(variant)).sum())
        cells: list[Text] = [
            "–"
            if lost or not part.n
            else f"{write(part.mean)}" + (f" ± {write(part.sd)}" if part.sd is not None else "")
            for part, write in zip(found, writers, strict=True)
        ]
        ended = f"{lost} of {n + lost} diverged" if lost else str(n)
        rows.append((led(results, variant.name, variant.title, strong=not variant.changes), *cells, ended))
    return [
        heading,
        Table(
            name="other_measures",
            columns=(
                Column("variant", share=1.6),
                *(Column(part.head, "right", share=1.0) for part in series),
                Column("n", "right"),
            ),
            rows=tuple(rows),
            caption=caption(asked[0][0], asked[0][1], inception=inception)
            + (f" Left out: {results.plan.drawn_words}, trained with few seeds each." if results.plan.drawn else ""),
            size=7.2,
        ),
    ]


def quality_of(variant: PlannedVariant) -> Quality | None:
    """What the variant asks to be measured."""
    return variant.config.evaluation.quality if isinstance(variant.config, Config) else None


def values_of(results: Results, variant: PlannedVariant, series: tuple[Series, ...]) -> list[np.ndarray]:
    """Of each measure the values at the last iteration, as its column has them, per seed; NaN where there is none."""
    return [part.times * results.last_of(variant, f"{results.metric}/{part.name}") for part in series]


def caption(variant: PlannedVariant, quality: Quality, *, inception: bool) -> str:
    """What the columns are, and of how many images."""
    assert isinstance(variant.config, Config)
    samples = variant.config.evaluation.metric.samples
    compared = counted(min(quality.samples, samples), "image")
    if inception:
        features, kernel, unlimited = "Inception features", "KID is unbiased", "FID∞ is the FID"
    else:
        features = "features, a proxy"
        kernel = "The kernel distance is KID's estimate on the proxy's features and is not KID; it is unbiased"
        unlimited = "FD for N → ∞ is the rooms Fréchet distance, not FID∞,"
    return (
        f"At the last iteration, of the metric's own {features}, mean ± sd over n seeds; no claim is judged by them. "
        f"{kernel}, so it may be negative: {quality.kernel_subsets} subsets of {quality.kernel_subset:,} images of "
        "either side. Precision and density say how many generated images lie among real ones, recall and coverage how "
        f"much of the real set lies among generated ones ({quality.neighbours} nearest neighbours, at most {compared} "
        f"of either side): higher is better, density alone can exceed 1. {unlimited} extrapolated in 1/N to unlimited "
        f"samples from {quality.points} numbers of images between {quality.smallest:,} and {samples:,}."
    )
