"""How far the log-ratios of a design's pairs scatter, and how many seeds an effect asks for at that scatter.

Dry runs and reports both answer from here, so that a study is planned by the test it is judged by: Student's t of
paired log-ratios with what a design's comparisons borrow from each other, at 5% alone and, in brackets, at the first
step of Holm's correction over the design's changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import variance
from types import ModuleType
from typing import Any

from ablations.designs import arms
from ablations.schema import DesignName, Study
from core.folder import RunFolder
from studies.plan import Plan, PlannedVariant, jobs_root
from studies.run_state import final_value

EFFECTS = (0.05, 0.10, 0.20)
LEVEL, POWER = 0.05, 0.8
MOST_SEEDS = 1000
"""Beyond this many seeds an answer says no more than that."""
FEWEST = 3
"""Comparisons below which nothing is borrowed."""
MOST_BORROWED = 2.0
"""Degrees of freedom that a comparison of a design borrows at most from its others (`reports.stats.moderated`)."""
MOST_RECORDED = 20
"""Seeds up to which a record says what they can detect."""
DESIGNS: Mapping[DesignName, str] = {
    "ladder": "ladder",
    "add_one_in": "add one in",
    "leave_one_out": "leave one out",
}
"""The designs that compare pairs of variants, by what people call them."""

Values = Callable[[PlannedVariant], Mapping[int, float]]
"""A variant's last value of the metric by seed; those of runs that diverged or have none may be infinite or NaN."""
Logs = Callable[[PlannedVariant], Mapping[int, float]]
"""The natural log of that value, of the runs that have one."""
Power = tuple[int | None, int | None]
"""Seeds for one comparison by itself, and after the correction; None beyond `MOST_SEEDS`."""
Least = tuple[float | None, float | None]
"""The smallest factor above 1 that is found, by itself and after the correction; None below two seeds."""


@dataclass(frozen=True)
class Aside:
    """A comparison that scatters far more than its design's others; `name` is its change's, or its variant's."""

    name: str
    log_sd: float


@dataclass(frozen=True)
class Spread:
    """The standard deviation of paired log-ratios (natural logs) that a design's comparisons have in common.

    `pairs` of runs in `comparisons` went into it; those in `set_aside` did not. `family` is how many comparisons the
    correction is for. `design` is None for variants that only share a first one.
    """

    design: DesignName | None
    log_sd: float
    pairs: int
    comparisons: int
    family: int
    set_aside: tuple[Aside, ...] = ()
    record: Mapping[str, Any] | None = None
    """What follows from a spread that is recorded with the code, so that dry runs need no scipy."""

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> Spread:
        """A spread of `studies/reference_times.json`."""
        asides = tuple(Aside(name, float(log_sd)) for name, log_sd in record["set_aside"].items())
        pairs, comparisons, family = (int(record[key]) for key in ("pairs", "comparisons", "family"))
        return cls(record["design"], float(record["sd"]), pairs, comparisons, family, asides, record)

    @property
    def borrowed(self) -> float:
        """Degrees of freedom that each of its comparisons borrows from the others, where there are enough of them."""
        return MOST_BORROWED if self.design is not None and self.comparisons >= FEWEST else 0.0

    def seeds_needed(self, effect: float) -> Power:
        """The fewest seeds that find a ratio of 1 + `effect` four times in five."""
        if self.record is not None:
            alone, corrected = self.record["seeds_needed"][EFFECTS.index(effect)]
        else:
            alone, corrected = (
                _power().seeds_needed(
                    self.log_sd, 1 + effect, POWER, LEVEL, comparisons, most=MOST_SEEDS, borrowed=self.borrowed
                )
                for comparisons in (1, self.family)
            )
        return alone, corrected

    def detectable(self, seeds: int) -> Least:
        """The smallest ratio that so many seeds find four times in five."""
        if self.record is not None and seeds <= MOST_RECORDED:
            alone, corrected = self.record["detectable"][seeds]
            return alone, corrected
        alone, corrected = (
            _power().detectable_ratio(
                self.log_sd, seeds, power=POWER, alpha=LEVEL / comparisons, borrowed=self.borrowed
            )
            for comparisons in (1, self.family)
        )
        return _six_digits(alone), _six_digits(corrected)


def _power() -> ModuleType:
    """`studies.power`, where a number is not on record: scipy takes a moment to load."""
    from studies import power

    return power


def _six_digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


# --- from runs --------------------------------------------------------------------------------------------------------


def observed_spreads(study: Study, plan: Plan, runs: Path) -> list[Spread]:
    """The spread of each of the plan's designs by its finished runs in the folder `runs`."""

    def values(variant: PlannedVariant) -> dict[int, float]:
        by_seed = {}
        for seed in plan.seeds_of(variant):
            folder = RunFolder(jobs_root(runs), variant.job(seed))
            outcome = folder.outcome()
            value = final_value(folder) if outcome is not None and outcome.status == "finished" else None
            if value is not None:
                by_seed[seed] = value
        return by_seed

    return spreads(study, plan, values)


def spreads(study: Study, plan: Plan, values: Values) -> list[Spread]:
    """The spread in each design that the plan asks for and that compares pairs, of pairs whose runs have a value.

    Diverged runs and values that have no logarithm leave their pair. Empty where nothing counts.

    Where that tells nothing and no design estimates from all variants together, it is that of every variant with the
    plan's first one, each by itself: claims compare variants so.
    """
    known: dict[str, dict[int, float]] = {}

    def logs(variant: PlannedVariant) -> dict[int, float]:
        if variant.name not in known:
            ended = values(variant).items()
            known[variant.name] = {seed: math.log(value) for seed, value in ended if 0 < value < math.inf}
        return known[variant.name]

    asked = {design for variant in plan.variants for design in variant.designs}
    tried = [
        common_spread(design, pairs_of(study, plan, design, logs), family=len(study.judged))
        for design in DESIGNS
        if design in asked
    ]
    known_spreads = [spread for spread in tried if spread is not None]
    if not known_spreads and plan.variants and not asked & {"screening", "shapley"}:
        first, *others = plan.variants
        pairs = {variant.name: _log_ratios(first, variant, logs) for variant in others}
        among = common_spread(None, pairs, family=1)
        known_spreads = [] if among is None else [among]
    return known_spreads


def pairs_of(study: Study, plan: Plan, design: DesignName, logs: Logs) -> dict[str, list[float]]:
    """The paired log-ratios of each change whose two variants the plan has, by the change's name."""
    pairs = {}
    for change in study.judged:
        before, after = (plan.variant(name) for name in arms(study, change, design))
        if before is not None and after is not None and before != after:
            pairs[change.name] = _log_ratios(before, after, logs)
    return pairs


def _log_ratios(before: PlannedVariant, after: PlannedVariant, logs: Logs) -> list[float]:
    one, other = logs(before), logs(after)
    return [other[seed] - one[seed] for seed in sorted(one.keys() & other.keys())]


def common_spread(design: DesignName | None, pairs: Mapping[str, Sequence[float]], family: int) -> Spread | None:
    """What comparisons of two pairs or more scatter by, those that scatter far more than the others set aside.

    The others' variances are pooled by degrees of freedom. A run that collapses has its pairs scatter several times as
    far, and pooled it would speak for comparisons in which nothing collapsed. None where nothing scatters.
    """
    sds = {name: math.sqrt(variance(ratios)) for name, ratios in pairs.items() if len(ratios) > 1}
    freedom = {name: len(pairs[name]) - 1 for name in sds}
    aside = _power().outlying(sds, freedom) if any(sds.values()) else []
    kept = [name for name in sds if name not in aside]
    squares = sum(freedom[name] * sds[name] ** 2 for name in kept)
    if not squares:
        return None
    log_sd = math.sqrt(squares / sum(freedom[name] for name in kept))
    count = sum(freedom[name] + 1 for name in kept)
    return Spread(design, log_sd, count, len(kept), family, tuple(Aside(name, sds[name]) for name in aside))


# --- in words ---------------------------------------------------------------------------------------------------------

HOW = (
    f"Student's t of paired log-ratios, as verdicts have it, at {LEVEL:.0%}, found in {POWER:.0%} of studies; in "
    "brackets with Holm's correction, which verdicts on changes have"
)


def needs_words(spread: Spread) -> str:
    """ "5% 203 (340), 10% 57 (97), 20% 17 (29)": the seeds that effects need, in brackets with the correction."""
    return ", ".join(f"{effect:.0%} {_both(spread, spread.seeds_needed(effect), _seeds)}" for effect in EFFECTS)


def shows_words(spread: Spread, seeds: int) -> str:
    """What so many seeds can show: "×2.19 (×5.4)", the smallest true factor that they find."""
    least = spread.detectable(seeds)
    if least[0] is None:
        return "one seed can show no effect"
    return f"with {seeds} seeds the smallest detectable effect is {_both(spread, least, _factor)}"


def _both(spread: Spread, pair: tuple[Any, Any], write: Callable[[Any], str]) -> str:
    return write(pair[0]) if spread.family == 1 else f"{write(pair[0])} ({write(pair[1])})"


def _seeds(count: int | None) -> str:
    return f"over {MOST_SEEDS:,}" if count is None else str(count)


def _factor(ratio: float) -> str:
    return f"×{ratio:.3g}" if ratio < 1000 else "beyond ×1,000"


def spread_words(spread: Spread, titles: Mapping[str, str]) -> str:
    """What the spread is of, with the comparisons that were set aside; `titles` are by name, where there is a better
    word than that."""
    comparisons = f"{spread.comparisons} comparison{'s' * (spread.comparisons > 1)}"
    words = f"sd of a paired log-ratio {spread.log_sd:.3g}, from {spread.pairs} pairs of {comparisons}"
    if not spread.set_aside:
        return words
    asides = ", ".join(f"{titles.get(aside.name, aside.name)} {aside.log_sd:.3g}" for aside in spread.set_aside)
    return f"{words}; set aside, for they scatter far more: {asides}"


def design_words(spread: Spread) -> str:
    """What the spread's comparisons are called together."""
    return "each with the first variant" if spread.design is None else DESIGNS[spread.design]


def answers(spreads: Sequence[Spread], seeds: int, titles: Mapping[str, str]) -> list[str]:
    """All designs' answers under a heading that says whether the spreads were recorded with the code."""
    whose = "observed" if spreads[0].record is None else "recorded"
    head = f"seeds needed at the {whose} spread ({HOW}):"
    return [head, *(f"  {design_words(spread)}: {answer(spread, seeds, titles)}" for spread in spreads)]


def answer(spread: Spread, seeds: int, titles: Mapping[str, str]) -> str:
    """One design's answer: its spread, the seeds that effects need, and what the planned seeds show."""
    return f"{spread_words(spread, titles)}. Seeds needed: {needs_words(spread)}; {shows_words(spread, seeds)}."
