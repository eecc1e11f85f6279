"""Ways of making an image twice as large: their names and series, and what each costs where all are aligned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arithmetic import training
from core.config import Config, Sizes
from reports import stats
from reports.numbers import MEAN_SPREAD, WORK, counted, factor
from reports.page import Block, Heading, Paragraph
from reports.report import Report
from reports.results import Results
from reports.tables import Cell, Rows, to_runs
from studies.plan import PlannedVariant

METHODS = {
    "natural": "natural: the INR on a denser grid",
    "bicubic": "bicubic, of the image",
    "bilinear": "bilinear, of the image",
    "nearest": "nearest, of the image",
}
"""What every run measures, as people read it."""

OPPONENTS = {
    "lanczos": "Lanczos, of the image",
    "sharpened": "sharpened bicubic, of the image",
    "sr_cnn": "super-resolution network, of the image",
}
"""What a run measures where its config asks for it (`core.config.Upsampling`)."""

ONE_CONVENTION = ("nearest", "sr_cnn")
CONVENTIONS = {
    "centres": "aligned to the areas of pixels",
    "corners": "corners: every second sample is a coarse one",
}
OWN, AVERAGED, NATURAL = "upsampled/own", "upsampled/natural_averaged", "upsampled/natural_centres"


def series_of(name: str, convention: str) -> str:
    """The measure of a method under a convention; some have but one."""
    return f"upsampled/{name}" if name in ONE_CONVENTION else f"upsampled/{name}_{convention}"


def methods_of(results: Results) -> dict[str, str]:
    """Those that some run has measured, each with its name for people: of an older study without opponents."""
    measured = set(results.tidy["metric"])
    return METHODS | {name: title for name, title in OPPONENTS.items() if series_of(name, "centres") in measured}


def all_series(results: Results) -> list[str]:
    """Every measure of the table."""
    crossed = [series_of(name, convention) for name in methods_of(results) for convention in CONVENTIONS]
    return list(dict.fromkeys([OWN, *crossed]))


def arms(results: Results) -> list[PlannedVariant]:
    """The variants that are trained at another size or for longer than the base."""
    base = results.variant("baseline")
    if base is None or not isinstance(base.config, Config):
        return []
    view, iterations = base.config.looks.view, base.config.iterations
    return [
        variant
        for variant in results.plan.listed
        if isinstance(variant.config, Config)
        and (variant.config.looks.view, variant.config.iterations) != (view, iterations)
    ]


def is_large(variant: PlannedVariant) -> bool:
    """Whether its discriminator saw images of the size that others are enlarged to, and no others."""
    config = variant.config
    if not isinstance(config, Config) or config.evaluation.upsampling is None:
        return False
    view, size = config.looks.view, config.evaluation.upsampling.factor * config.data.resolution
    return isinstance(view, Sizes) and set(view.sizes) == {size}


def own_grid(variant: PlannedVariant) -> str:
    """The measure of images that lie as real ones do: of a generator that was trained at the large size those on the
    grid that it was trained on, of any other one those on a grid that is aligned to its pixels' areas."""
    config = variant.config
    assert isinstance(config, Config)
    return f"upsampled/natural_{config.inr.coordinates.sampling}" if is_large(variant) else NATURAL


@dataclass(frozen=True)
class Way:
    """One way to images of twice the size, beside the base's denser grid: a model, and what makes its images large."""

    base: PlannedVariant
    variant: PlannedVariant
    method: str
    what: str
    series: str

    def distances(self, results: Results) -> NDArray[np.float64]:
        """By seed."""
        return results.worst_where_diverged(self.variant, self.series)


def ways(results: Results) -> Iterator[Way]:
    """Of the base and of one that is trained for longer every method, aligned; of one of the large size its own images.

    The base's denser grid is the first.
    """
    if (base := results.variant("baseline")) is None:
        return
    for variant in [base, *arms(results)]:
        if is_large(variant):
            yield Way(base, variant, "natural", "its own images", own_grid(variant))
            continue
        for name, title in methods_of(results).items():
            yield Way(base, variant, name, title, series_of(name, "centres"))


def other_ways(report: Report) -> list[Block]:
    """What else would have made such images, what its training computes, and what it gains over a denser grid."""
    results = report.results
    measured = [way for way in ways(results) if np.isfinite(way.distances(results)).any()]
    if not measured or not (arms(results) or set(methods_of(results)) - set(METHODS)):
        return []
    first = measured[0]
    if first.variant is not first.base or first.series != NATURAL:
        return []
    natural, cost = first.distances(results), training(first.variant.config)

    def over(way: Way) -> Cell:
        return "1" if way is first else stats.paired_effect(natural, way.distances(results))

    rows = Rows(measured)
    rows.words("model", lambda way: to_runs(results, way.variant.name, way.variant.title), 1.5, once=True)
    rows.words("its images, twice as large", lambda way: way.what, 1.6)
    rows.numbers("arithmetic", lambda way: f"{factor(training(way.variant.config) / cost)}×", 0.7)
    rows.numbers("distance", lambda way: stats.log_summary(way.distances(results)), 1.3)
    rows.numbers("over the base's denser grid [95%]", over, 1.3)
    means = [stats.log_summary(way.distances(results)).mean for way in measured]
    return [
        Heading("Opponents of a denser grid", 2),
        rows.table(
            "Every way to images of twice the size, each where its pixels lie as those of real images do: Fréchet "
            f"distance through the feature network of that size at the last iteration, {MEAN_SPREAD}; its ratio to "
            f"that of the base's denser grid, paired by seed over {counted(report.n, 'seed')}, below 1 where it is "
            "better, 95% intervals that are not corrected for their number. Arithmetic is what the training of the "
            f"model computes over that of the base, {training(first.variant.config) / 1e12:.3g} T. {WORK}",
            name="opponents",
            size=7.8,
            measures=means,
        ),
        Paragraph(" ".join(remarks(results))),
    ]


def remarks(results: Results) -> Iterator[str]:
    """What has to be known of the opponents that there are."""
    protocol = results.protocol("upsampled/sr_cnn")
    if protocol is not None and "trained by" in protocol.details:
        yield (
            "The super-resolution network is trained once, on true images alone, and is the same for all seeds, so "
            "that intervals leave out how another one would have come out: "
            f"{protocol.details['trained on'].partition(', sha256')[0]}; {protocol.details['trained by']}. Its "
            f"training computes {protocol.details['arithmetic of its training']}, which the column leaves out."
        )
    if any(map(is_large, arms(results))):
        yield (
            "A model that is trained at twice the size has seen real images of that size, as the super-resolution "
            "network has and a denser grid has not; no rate was chosen anew for it. It has no verdict by the metric, "
            "which is taken at the base's size: it was never trained at those pixels."
        )
    yield (
        "Enlarging true coarse images is measured in docs/upsampling.md: bicubic enlargement of those is what has to "
        "be beaten before anything is called super-resolution."
    )
