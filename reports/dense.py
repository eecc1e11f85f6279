"""What runs measured at other densities than they were trained at: series called `scales/…` (docs/scales.md), and
`octaves/…` (docs/octaves.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.config import Config
from core.reading import Damaged
from reports import figures, stats
from reports.results import Results
from studies.plan import PlannedVariant

SCALES, OCTAVES = "scales/", "octaves/"
PSNR = "scales/psnr"

COHERENT = 30.0
"""Decibels: a variant with less shows another picture between its pixels than at them, whatever its distances say. True
scenes that are enlarged from 16 x 16 pixels have 32 to 59."""

LEVEL = 0.95

Row = tuple[str, NDArray[np.uint8]]
"""Images under a name."""


def series_of(results: Results) -> list[str]:
    """The series that any run has recorded, in the order of the page about them."""
    found = results.tidy["metric"].dropna().astype(str).unique()
    return sorted((series for series in found if series.startswith(SCALES)), key=_place)


KINDS = ("patch", "psnr", "octave", "spectrum", "swd", "lines", "line_pairs")


def _place(series: str) -> tuple[int, list[int], str]:
    name = name_of(series)
    kind = name if name in KINDS else name.partition("_")[0]
    place = KINDS.index(kind) if kind in KINDS else len(KINDS)
    return place, [int(number) for number in re.findall(r"\d+", name)], name


def name_of(series: str) -> str:
    """A series without what all have in front."""
    return series.removeprefix(SCALES).removeprefix(OCTAVES)


def head_of(series: str) -> str:
    """What a column of a series is called."""
    name, _, places = name_of(series).partition("/")
    if name.startswith("patch_"):
        return f"patches {name.removeprefix('patch_').replace('_', '/')}{', places' if places else ''}"
    return name.removeprefix("octave_").replace("_", "–")


@dataclass(frozen=True)
class Coherence:
    """How well dense images of a variant agree with coarse ones: PSNR in dB, a mean over `n` seeds with the ends of its
    95% interval, which are None for one seed."""

    n: int
    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def word(self) -> Literal["fails", "open", "holds"]:
        """Whether it is below what is asked for: by the interval, of one seed by its value."""
        low, high = self.low if self.low is not None else self.mean, self.high if self.high is not None else self.mean
        return "fails" if high < COHERENT else "open" if low < COHERENT else "holds"

    @property
    def words(self) -> str:
        """The mean with its interval."""
        ends = "" if self.low is None or self.high is None else f" [{self.low:.1f}, {self.high:.1f}]"
        return f"{self.mean:.1f} dB{ends}, n = {self.n}"


def coherence(results: Results, variant: PlannedVariant) -> Coherence | None:
    """The agreement over the seeds that have measured it; None where none has. Raises MixedProtocols."""
    values = results.last_of(variant, PSNR)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    mean, half = float(values.mean()), stats.half_width(values, LEVEL)
    ends = (None, None) if half is None else (mean - half, mean + half)
    return Coherence(int(values.size), mean, *ends)


def by_coherence(results: Results, variants: Sequence[PlannedVariant], word: str) -> list[tuple[str, Coherence]]:
    """Those of some variants of whose agreement this is said, by title."""
    found = [(variant.title, coherence(results, variant)) for variant in variants]
    return [(title, known) for title, known in found if known is not None and known.word == word]


def coherent(results: Results) -> list[PlannedVariant]:
    """Variants that show one picture at all densities, as far as that was measured."""
    failed = {title for title, _ in by_coherence(results, results.plan.listed, "fails")}
    return [variant for variant in results.plan.listed if variant.title not in failed]


def fine_of(variant: PlannedVariant) -> int | None:
    """The pixels of a side of its dense images; None where it has none."""
    config = variant.config
    return config.evaluation.scales.fine if isinstance(config, Config) and config.evaluation.scales else None


def tiles(results: Results, variant: PlannedVariant, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """Real and generated dense images of one run, [N, F, F, 3] each; None where it kept none. Raises Damaged."""
    side, folder = fine_of(variant), results.folder_of(variant, seed)
    if side is None or folder is None:
        return None
    rows = figures.rows_of_tiles(folder.samples / "dense.png", side)
    return None if rows is None or len(rows) != 2 else (rows[0], rows[1])


def real_tiles(results: Results, count: int) -> NDArray[np.uint8] | None:
    """Real images at the fine pixels, from the first run that kept them: all have the same."""
    for variant in results.plan.variants:
        for seed in results.plan.seeds_of(variant):
            with suppress(Damaged):  # Any other run has them as well.
                if (found := tiles(results, variant, seed)) is not None:
                    return found[0][:count]
    return None
