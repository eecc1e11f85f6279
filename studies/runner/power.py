"""How many seeds an effect needs to be seen, at the spread that the study's own runs have shown.

An effect is a ratio of two variants' metrics, paired by seed, on the log scale; it is seen when Student's t test of the
paired log-ratios rejects "no effect" (`studies.power`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from core.folder import RunFolder
from studies.plan import Plan, PlannedVariant, jobs_root
from studies.runner.tasks import final_value

EFFECTS = (0.05, 0.10, 0.20)
MOST_SEEDS = 1000
"""As in `studies.power`, which loads scipy."""
MOST_RECORDED = 10


@dataclass(frozen=True)
class Spread:
    """The pooled standard deviation of paired log-ratios: `pairs` of them in `comparisons` with one variant."""

    log_sd: float
    pairs: int
    comparisons: int

    def as_record(self) -> dict[str, Any]:
        """As it is recorded beside reference times, with what follows from it, so that dry runs need no scipy."""
        rounded = Spread(round(self.log_sd, 4), self.pairs, self.comparisons)
        return {
            "sd": rounded.log_sd,
            "pairs": self.pairs,
            "comparisons": self.comparisons,
            "seeds_needed": [rounded.seeds_needed(effect) for effect in EFFECTS],
            "detectable": [rounded.detectable(seeds) for seeds in range(MOST_RECORDED + 1)],
        }

    def seeds_needed(self, effect: float) -> int | None:
        """The fewest seeds that find a ratio of 1 + `effect`; None beyond `studies.power.MOST_SEEDS`."""
        from studies.power import seeds_needed  # scipy takes a moment to load.

        return seeds_needed(self.log_sd, 1 + effect)

    def detectable(self, seeds: int) -> float | None:
        """The smallest ratio that so many seeds find; None below two."""
        from studies.power import detectable_ratio

        found = detectable_ratio(self.log_sd, seeds)
        return None if found is None else float(f"{found:.6g}")


@dataclass(frozen=True)
class RecordedSpread(Spread):
    """A spread as `Spread.as_record` wrote it, with what follows from it."""

    record: Mapping[str, Any]

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> RecordedSpread:
        """What `as_record` gave."""
        return cls(float(record["sd"]), int(record["pairs"]), int(record["comparisons"]), record)

    def seeds_needed(self, effect: float) -> int | None:
        """As recorded."""
        found: int | None = self.record["seeds_needed"][EFFECTS.index(effect)]
        return found

    def detectable(self, seeds: int) -> float | None:
        """As recorded, worked out for more seeds than were."""
        if seeds > MOST_RECORDED:
            return super().detectable(seeds)
        found: float | None = self.record["detectable"][seeds]
        return found


def observed_spread(plan: Plan, runs: Path) -> Spread | None:
    """The spread of the plan's finished runs, each variant paired by seed with the first one that has most seeds.

    A variant counts from two pairs on; diverged runs and values that have no logarithm leave their pair. None where
    nothing counts.
    """
    if not plan.variants:
        return None
    # The plan's first one, unless it is trained with fewer seeds than others.
    first = max(plan.variants, key=lambda variant: len(plan.seeds_of(variant)))
    others = [variant for variant in plan.variants if variant != first]
    before = _logs(first, plan, runs)
    squares, freedom, pairs, comparisons = 0.0, 0, 0, 0
    for variant in others:
        after = _logs(variant, plan, runs)
        ratios = [after[seed] - before[seed] for seed in plan.seeds if seed in before and seed in after]
        if len(ratios) < 2:
            continue
        centre = mean(ratios)
        squares += sum((ratio - centre) ** 2 for ratio in ratios)
        freedom += len(ratios) - 1
        pairs += len(ratios)
        comparisons += 1
    return Spread(math.sqrt(squares / freedom), pairs, comparisons) if freedom and squares else None


def _logs(variant: PlannedVariant, plan: Plan, runs: Path) -> dict[int, float]:
    """The logarithm of the final value by seed, of the runs that finished."""
    found = {}
    for seed in plan.seeds_of(variant):
        folder = RunFolder(jobs_root(runs), variant.job(seed))
        outcome = folder.outcome()
        value = final_value(folder) if outcome is not None and outcome.status == "finished" else None
        if value is not None and 0 < value < math.inf:
            found[seed] = math.log(value)
    return found


def sentence(spread: Spread, seeds: int) -> str:
    """The seeds that effects of 5, 10 and 20% need, and the effect that the planned seeds show."""
    counts = [(effect, spread.seeds_needed(effect)) for effect in EFFECTS]
    needs = ", ".join(f"{effect:.0%} needs {f'over {MOST_SEEDS:,}' if n is None else n} seeds" for effect, n in counts)
    least = spread.detectable(seeds)
    shows = (
        "one planned seed can show no effect"
        if least is None
        else f"with the planned {seeds} seeds the smallest detectable effect is ×{least:.3g}"
    )
    whose = "recorded" if isinstance(spread, RecordedSpread) else "observed"
    return (
        f"at the {whose} spread (sd of a paired log-ratio {spread.log_sd:.3g}, from {spread.pairs} pairs of "
        f"{spread.comparisons} comparison{'s' * (spread.comparisons > 1)}) {needs}; {shows} (power 80%, paired t test "
        f"at level 0.05)"
    )
