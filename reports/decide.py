"""What is still open where seeds are added until every comparison is decided, and how likely the next seeds decide it.

Reads what has been trained; the command that trains the next seeds is `studies.commands.decide`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ablations.schema import DesignName
from core.errors import InputError
from reports.results import Results, load
from reports.stats.sequential import levels
from reports.verdicts import LEVEL, ChangeEffect, judge_design
from studies.looks import PAIRS
from studies.plan import Decide, designs_in
from studies.power import power_of_shift


@dataclass(frozen=True)
class Comparison:
    """A change in a design: `word` is its verdict so far, `seeds` those of its last look, 0 before the first.

    `chance` is the power of the next look, were ratio and scatter what they are now: 0 where it is decided.
    """

    design: DesignName
    change: str
    before: str
    after: str
    word: str
    decided: bool
    seeds: int
    chance: float


def comparisons(study: str, runs: Path, setting: str) -> list[Comparison]:
    """All comparisons of a setting that adds seeds until they are decided, in the order of its designs.

    One that cannot be tested counts as decided: no seeds would change that. Raises InputError as `load` does, and where
    the setting has a fixed number of seeds.
    """
    results = load(study, runs, setting)
    decide = results.plan.decide
    if decide is None:
        raise InputError(f"the setting {setting} of {study} has a fixed number of seeds: nothing decides on more")
    designs = [design for design in designs_in(results.plan) if design in PAIRS]
    return [
        _comparison(effect, decide, results)
        for design in designs
        for effect in judge_design(design, results)
        if effect.before and not effect.why.startswith("both arms")
    ]


def _comparison(effect: ChangeEffect, decide: Decide, results: Results) -> Comparison:
    seeds = max(effect.looks, default=0)
    over = effect.decided or seeds == decide.looks[-1]
    chance = 0.0 if over else _chance(effect, seeds, decide, len(results.study.changes))
    return Comparison(
        effect.design, effect.change.name, effect.before, effect.after, effect.word, effect.decided, seeds, chance
    )


def _chance(effect: ChangeEffect, seeds: int, decide: Decide, family: int) -> float:
    """The larger power of the two ways in which the next look may decide it."""
    known = effect.effect
    if known is None or known.ratio is None or known.error is None or not known.n:
        return 0.5  # Nobody knows.
    next_look = next(look for look in decide.looks if look > seeds)
    nominal = levels(LEVEL / family, decide.looks)[decide.looks.index(next_look)]
    log_sd, apart = known.error * math.sqrt(known.n), abs(math.log(known.ratio))
    borrowed = max(0.0, (known.df or 0.0) - (known.n - 1))
    room = math.log(decide.margin) - apart
    ways = [power_of_shift(apart / log_sd, next_look, nominal, borrowed)]
    ways += [power_of_shift(room / log_sd, next_look, nominal, borrowed)] if room > 0 else []
    return max(ways)


def next_look(comparison: Comparison, decide: Decide) -> int | None:
    """The seeds of a comparison's next look; None where there is none, or none is needed."""
    if comparison.decided:
        return None
    return next((look for look in decide.looks if look > comparison.seeds), None)


def counted_words(comparisons: Iterable[Comparison]) -> str:
    """How many comparisons have which verdict: "5 helps, 2 open"."""
    words = [comparison.word for comparison in comparisons]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
