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
from reports.results import load
from reports.stats.sequential import levels
from reports.verdicts import LEVEL, ChangeEffect, judge_design
from studies.looks import PAIRS
from studies.plan import Decide, designs_in
from studies.power import chance_to_decide

HOPE = 0.1
"""What the runs so far must leave a comparison of being decided by the last look, for it to get more seeds.

Chosen after a look at replays of a published study (docs/replay.md); ending early calls nothing falsely.
"""


@dataclass(frozen=True)
class Comparison:
    """A change in a design: `word` is its verdict so far, `seeds` those of its last look, 0 before the first, of
    `most` that it may get.

    `chance` is the predicted probability that the next look decides it, 0 where it is decided; `hope` the largest of
    all looks to come, 1 up to the first look.
    """

    design: DesignName
    change: str
    before: str
    after: str
    word: str
    decided: bool
    seeds: int
    most: int
    chance: float
    hope: float

    @property
    def name(self) -> str:
        """What a line on the terminal calls it."""
        return f"{self.change} ({self.design})"

    @property
    def set_aside(self) -> bool:
        """Whether it is open and gets no more seeds, for the last look would hardly decide it."""
        return not self.decided and self.seeds < self.most and self.hope < HOPE


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
    return [each for design in designs for each in compared(judge_design(design, results), decide)]


def compared(effects: Iterable[ChangeEffect], decide: Decide) -> list[Comparison]:
    """The comparisons of one design, those of two different configs, by its effects as they are judged so far."""
    mine = [e for e in effects if e.before and not e.why.startswith("both arms")]
    level = LEVEL / max(1, sum(not e.decided for e in mine))
    return [_comparison(effect, decide, level) for effect in mine]


def _comparison(effect: ChangeEffect, decide: Decide, level: float) -> Comparison:
    """`level` is the total of a comparison, that of Holm's correction over the open ones."""
    seeds = max(effect.looks, default=0)
    coming = [] if effect.decided else [look for look in decide.looks if look > seeds]
    chances = [_chance(effect, look, decide, level) for look in coming]
    return Comparison(
        effect.design,
        effect.change.name,
        effect.before,
        effect.after,
        effect.word,
        effect.decided,
        seeds,
        decide.looks[-1],
        chance=chances[0] if chances else 0.0,
        # The first look alone knows little of the scatter.
        hope=1.0 if seeds <= decide.looks[0] else max(chances, default=0.0),
    )


def _chance(effect: ChangeEffect, look: int, decide: Decide, level: float) -> float:
    """The predicted probability that a look to come decides it."""
    known = effect.effect
    if known is None or known.ratio is None or not known.error or known.df is None:
        return 0.5  # Nobody knows.
    nominal = levels(level, decide.looks)[decide.looks.index(look)]
    return chance_to_decide(math.log(known.ratio), known.error, known.df, known.n, look, decide.margin, nominal)


def next_look(comparison: Comparison, decide: Decide) -> int | None:
    """The seeds of a comparison's next look; None where there is none, or none is needed or worth it."""
    if comparison.decided or comparison.set_aside:
        return None
    return next((look for look in decide.looks if look > comparison.seeds), None)


def counted_words(comparisons: Iterable[Comparison]) -> str:
    """How many comparisons have which verdict: "5 helps, 2 open"."""
    words = [comparison.word for comparison in comparisons]
    return ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
