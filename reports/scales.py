"""One study at several scales: the effects of its changes in each of its settings, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ablations.schema import Change, DesignName
from reports import stats
from reports.numbers import numbers_words
from reports.results import Results
from reports.verdicts import LEVEL, ChangeEffect, judge_design

DESIGN: DesignName = "leave_one_out"


@dataclass(frozen=True)
class Scale:
    """A setting of the study and what its changes do there, in the study's order."""

    results: Results
    effects: Sequence[ChangeEffect]

    @property
    def title(self) -> str:
        """Its images and iterations, for people: "16×16, 3,200 iterations"."""
        sizes = sorted({v.config.data.resolution for v in self.results.plan.variants})
        iterations = " to ".join(f"{n:,}" for n in self.results.iterations)
        images = any(v.config.data.kind == "images" for v in self.results.plan.variants)
        named = f"{self.results.plan.data_name}, " if images else ""
        return f"{named}{numbers_words(sizes)}×{numbers_words(sizes)}, {iterations} iterations"

    @property
    def size(self) -> tuple[bool, int, int]:
        """What scales are ordered by: embedded rooms first, then pixels of an image times iterations, then pixels."""
        configs = [variant.config for variant in self.results.plan.variants]
        pixels = max(config.data.resolution**2 for config in configs)
        return any(c.data.kind == "images" for c in configs), pixels * max(self.results.iterations), pixels

    @property
    def n(self) -> int:
        """The most pairs of seeds that a comparison has."""
        return max((e.effect.n for e in self.effects if e.effect is not None), default=0)

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """[changes, seeds] of the variant that lacks a change, for the seeds that all of them ended.

        Ratios of one design share the variant with all changes, so their order is the opposite of these.
        """
        rows = []
        for effect in self.effects:
            variant = self.results.variant(effect.before)
            seeds = len(self.results.plan.seeds)
            rows.append(np.full(seeds, np.nan) if variant is None else self.results.last(variant))
        table = np.array(rows, dtype=float)
        ended: NDArray[np.float64] = table[:, ~np.isnan(table).any(axis=0)]
        return ended


@dataclass(frozen=True)
class Agreement:
    """How the effects at one scale agree with those at another, the smaller one.

    `order` is the rank correlation of the effects, `noise` that of as many seeds of the smaller scale with as many
    others of it. `resolved` changes help or hurt at both; `flips` are those that help at one and hurt at the other,
    `apart` those whose effect differs, with how many times the ratio it is at the larger scale, after Holm's correction
    over all changes.
    """

    larger: Scale
    resolved: int
    order: stats.RankCorrelation | None
    noise: float | None
    flips: tuple[Change, ...]
    apart: tuple[tuple[Change, stats.UnpairedEffect], ...]


def scales_of(own: Results) -> list[Scale]:
    """The settings of a study in which the design was run, the smallest scale first.

    Raises MixedProtocols where one of them measured its runs differently.
    """
    scales = [Scale(results, judge_design(DESIGN, results)) for results in (own, *own.other_settings)]
    return sorted((s for s in scales if any(e.tested for e in s.effects)), key=lambda scale: scale.size)


def agreement(smaller: Scale, larger: Scale) -> Agreement:
    """How far two scales agree."""
    both = list(zip(smaller.effects, larger.effects, strict=True))
    flips = tuple(a.change for a, b in both if {a.word, b.word} == {"helps", "hurts"})
    found = [
        (a.change, stats.between_effects(a.effect, b.effect))
        for a, b in both
        if a.effect is not None and b.effect is not None
    ]
    corrected = stats.holm([effect.p for _, effect in found])
    apart = tuple(pair for pair, p in zip(found, corrected, strict=True) if p is not None and p <= LEVEL)
    order, noise = None, None
    with suppress(ValueError):
        order = stats.seed_bootstrap_rank_correlation(smaller.distances, larger.distances)
        noise = stats.same_order(smaller.distances, larger.distances.shape[1])
    resolved = sum(a.resolved and b.resolved for a, b in both)
    return Agreement(larger, resolved, order, noise, flips, apart)


def agreements(scales: Sequence[Scale]) -> list[Agreement]:
    """Of every larger scale with the smallest one."""
    return [agreement(scales[0], larger) for larger in scales[1:]]
