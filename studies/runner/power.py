"""How many seeds an effect needs to be seen, at the spread that the study's own runs have shown.

An effect is a ratio of two variants' metrics, paired by seed, on the log scale; it is seen when Student's t test of the
paired log-ratios rejects "no effect". statsmodels, which takes a second to import, is imported where a spread is known.
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

POWER = 0.8
LEVEL = 0.05
EFFECTS = (0.05, 0.10, 0.20)
MOST_SEEDS = 100_000


@dataclass(frozen=True)
class Spread:
    """The pooled standard deviation of paired log-ratios: `pairs` of them in `comparisons` with one variant."""

    log_sd: float
    pairs: int
    comparisons: int

    def as_record(self) -> dict[str, float | int]:
        """As it is recorded beside reference times."""
        return {"sd": round(self.log_sd, 4), "pairs": self.pairs, "comparisons": self.comparisons}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Spread:
        """What `as_record` gave."""
        return cls(float(record["sd"]), int(record["pairs"]), int(record["comparisons"]))


def observed_spread(plan: Plan, runs: Path) -> Spread | None:
    """The spread of the plan's finished runs, each variant paired with the plan's first one by seed.

    A variant counts from two pairs on; diverged runs and values that have no logarithm leave their pair. None where
    nothing counts.
    """
    if not plan.variants:
        return None
    first, *others = plan.variants
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
    for seed in plan.seeds:
        folder = RunFolder(jobs_root(runs), variant.job(seed))
        outcome = folder.outcome()
        value = final_value(folder) if outcome is not None and outcome.status == "finished" else None
        if value is not None and 0 < value < math.inf:
            found[seed] = math.log(value)
    return found


def seeds_needed(log_sd: float, effect: float) -> int | None:
    """The least number of seeds with which a ratio of 1 + `effect` is seen with power 0.8; None beyond 100,000.

    Paired two-sided t test at the level 0.05, log-ratios normal with standard deviation `log_sd`.
    """
    size = math.log1p(effect) / log_sd
    # 1.96 + 0.84 standard errors is the answer of the normal distribution, from which t's is never far below.
    guess = max(2, math.floor((2.8 / size) ** 2))
    if guess > MOST_SEEDS:
        return None
    seeds = guess
    while _power(size, seeds) < POWER:
        seeds += 1
    return seeds


def smallest_detectable(log_sd: float, seeds: int) -> float | None:
    """The least ratio above 1 that so many seeds show with power 0.8; None for one seed, which shows none."""
    if seeds < 2:
        return None
    from scipy.optimize import brentq

    enough = 0.1
    while _power(enough, seeds) < POWER:
        enough *= 2
    # Not from far above: scipy's noncentral t has holes (NaN) where the power is 1.
    size = float(brentq(lambda size: _power(size, seeds) - POWER, 1e-6, enough))
    return math.exp(size * log_sd)


def _power(size: float, seeds: int) -> float:
    """How often an effect of `size` standard deviations is seen, with its sign."""
    from statsmodels.stats.power import TTestPower

    # Half the level on the effect's side: scipy's noncentral t gives NaN in the other tail, which counts for nothing.
    return float(TTestPower().power(size, seeds, LEVEL / 2, alternative="larger"))


def sentence(spread: Spread, seeds: int, *, recorded: bool) -> str:
    """The seeds that effects of 5, 10 and 20% need, and the effect that the planned seeds show."""
    counts = [(effect, seeds_needed(spread.log_sd, effect)) for effect in EFFECTS]
    needs = ", ".join(f"{effect:.0%} needs {'over 100,000' if n is None else f'{n:,}'} seeds" for effect, n in counts)
    least = smallest_detectable(spread.log_sd, seeds)
    shows = (
        "one planned seed can show no effect"
        if least is None
        else f"with the planned {seeds} seeds the smallest detectable effect is ×{least:.3g}"
    )
    whose = "recorded" if recorded else "observed"
    return (
        f"at the {whose} spread (sd of a paired log-ratio {spread.log_sd:.3g}, from {spread.pairs} pairs of "
        f"{spread.comparisons} comparison{'s' * (spread.comparisons > 1)}) {needs}; {shows} (power 80%, paired t test "
        f"at level 0.05)"
    )
