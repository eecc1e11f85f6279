"""How many seeds an effect needs to be seen, at the spread that the study's own runs have shown (`studies.spreads`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from ablations.schema import Study
from core.folder import RunFolder
from studies.plan import Plan, PlannedVariant, jobs_root
from studies.run_state import final_value
from studies.spreads import HOW, RecordedSpread, Spread, answer, design_words, spreads


def observed_spreads(study: Study, plan: Plan, runs: Path) -> list[Spread]:
    """The spread of each of the plan's designs by its finished runs.

    Diverged runs and values that have no logarithm leave their pair. Empty where nothing counts.
    """

    @cache
    def logs(name: str) -> dict[int, float]:
        variant = plan.variant(name)
        return {} if variant is None else _logs(variant, plan, runs)

    return spreads(study, plan, lambda variant: logs(variant.name))


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


def lines(found: Sequence[Spread], seeds: int, titles: Mapping[str, str]) -> list[str]:
    """The seeds that effects of 5, 10 and 20% need in each design, and the effect that the planned seeds show."""
    whose = "recorded" if isinstance(found[0], RecordedSpread) else "observed"
    head = f"seeds needed at the {whose} spread ({HOW}):"
    return [head, *(f"  {design_words(spread)}: {answer(spread, seeds, titles)}" for spread in found)]
