"""Judging changes by a rule that was fixed before the numbers were there; claims have theirs in `reports.claims`.

A change helps or hurts in a design when the effect, below or above 1, is significant at 5% after Holm's correction over
the design's changes: the chance that a design calls any change so when none does anything is at most 5%. A diverged run
leaves no interval and counts as the worst outcome in an exact signed-rank test. Where the seeds of one of a
comparison's variants lie wildly apart (`stats.unstable`) the change is called unstable instead: going into such a
variant and coming out of it again are neither loss nor gain of a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ablations.designs import arms, available
from ablations.schema import Change, DesignName
from reports import stats
from reports.attribution import NO_RATIO, Estimate, main_effects, shapley_values
from reports.numbers import counted, short
from reports.results import Results
from reports.stats.arms import ROUNDING

Word = Literal["helps", "hurts", "inconclusive", "unstable", "not tested"]

LEVEL = 0.05
"""The family-wise error rate of verdicts on changes."""

ALONE = "before the correction"
"""How a remark ends on what is significant before the correction only."""


def compare(results: Results, before: str, after: str) -> stats.Effect | None:
    """The paired effect at the last iteration between two variants by name; None where the plan lacks one."""
    one, other = results.variant(before), results.variant(after)
    if one is None or other is None:
        return None
    return stats.paired_effect(results.last(one), results.last(other))


def diverged_words(effect: stats.Effect) -> str:
    """Which arm diverged, in how many of its runs."""
    arms = (("without", effect.diverged_before), ("with", effect.diverged_after))
    return "diverged in " + ", ".join(f"{lost} of {effect.n} {arm}" for arm, lost in arms if lost)


ROUNDED = "agree to rounding: no test"
"""Where there is no spread but that of floating-point arithmetic (`reports.stats.arms.ROUNDING`)."""


def no_interval(effect: stats.Effect, estimate: Estimate | None = None) -> str:
    """Why an effect in which no run diverged has no interval."""
    if effect.ratioless:
        return f"{NO_RATIO}: {effect.ratioless} of {effect.n} pairs"
    if estimate is not None and estimate.shapley is not None and estimate.shapley.monte_carlo_se is None:
        return "one order: no interval"
    if effect.n < 2 or (estimate is not None and not estimate.df):
        return "one seed: no interval"
    return f"the ratios {ROUNDED}"


def side_of_one(effect: stats.Effect) -> Literal["below", "above", "unresolved"]:
    """Where the interval of a ratio lies."""
    if effect.low is None or effect.high is None:
        return "unresolved"
    return "below" if effect.high < 1 else "above" if effect.low > 1 else "unresolved"


def interim(ended: int, results: Results) -> str | None:
    """Says that `ended` seeds are fewer than were registered; None where they are not."""
    registered = len(results.plan.looks[0].seeds) if results.plan.looks else 0
    if ended >= registered:
        return None
    return f"an interim look: {ended} of the {counted(registered, 'seed')} that were registered"


@dataclass(frozen=True)
class ChangeEffect:
    """What one change did in one design. `word` is the verdict, `why` its remark.

    `after` has the change and `before` has not; both are empty for designs that compare no single pair. `p` is the
    two-sided p of this effect alone, `p_holm` the same after Holm's correction over the design's changes. `estimate` is
    there for designs that estimate it from many variants. `exploratory` marks a change that the deck does not name or
    that was declared after the first run. `unstable` names the unstable variants among the two, with their seeds.
    """

    change: Change
    design: DesignName
    before: str
    after: str
    effect: stats.Effect | None
    word: Word
    why: str
    p: float | None = None
    p_holm: float | None = None
    estimate: Estimate | None = None
    exploratory: bool = False
    unstable: str = ""

    @property
    def tested(self) -> bool:
        """Whether seeds of both sides ended, so that there is a verdict."""
        return self.word != "not tested"

    @property
    def resolved(self) -> bool:
        """Whether the change helps or hurts."""
        return self.word in ("helps", "hurts")

    @property
    def verdict(self) -> str:
        """The verdict as a table says it."""
        word = f"{self.word} (exploratory)" if self.exploratory and self.tested else self.word
        return f"{word}: {self.why}" if self.why else word


def pair_effect(change: Change, design: DesignName, results: Results) -> ChangeEffect:
    """The effect of one pair of variants, wherever both are in the plan, whichever design asked for them."""
    before, after = arms(results.study, change, design)
    one, other = results.variant(before), results.variant(after)
    open_effect = ChangeEffect(change, design, before, after, None, "not tested", "not run")
    if one is None or other is None:
        return open_effect
    if one == other:
        return replace(open_effect, why="both arms are one config at this scale")
    effect = stats.paired_effect(results.last(one), results.last(other))
    if effect.n == 0:
        return replace(open_effect, effect=effect, why="no seed ended in both arms")
    apart = [
        f"seeds {arm} it {seeds_words(results.last(variant))}"
        for arm, variant in (("without", one), ("with", other))
        if variant.name in results.unstable
    ]
    # With an infinite ratio among them, log-ratios have no mean: the exact signed-rank test is left.
    p = effect.rank_p if effect.diverged else effect.t_p
    return replace(open_effect, effect=effect, p=p, unstable="; ".join(apart))


def seeds_words(values: np.ndarray) -> str:
    """An arm's values, the least first."""
    return ", ".join(short(float(value)) for value in np.sort(values[~np.isnan(values)]))


def estimated(design: DesignName, results: Results) -> list[ChangeEffect]:
    """The effects of a design that estimates them from all of its variants together."""
    estimates = {"screening": main_effects, "shapley": shapley_values}[design](results)
    if isinstance(estimates, str):
        return [ChangeEffect(change, design, "", "", None, "not tested", estimates) for change in results.study.changes]
    # An error that is rounding is none, as in a pair.
    tested = [None if e.se is not None and e.se < ROUNDING else e.p for e in estimates]
    return [
        ChangeEffect(change, design, "", "", e.effect, "not tested", "", p=p, estimate=e)
        for change, e, p in zip(results.study.changes, estimates, tested, strict=True)
    ]


def judged(effects: Sequence[ChangeEffect]) -> list[ChangeEffect]:
    """The effects of one design with their verdicts: one family, corrected together.

    What was not run counts as if nothing had been found: else a pair would be judged by what else happens to be there.
    """
    corrected = stats.holm([1.0 if effect.p is None else effect.p for effect in effects])
    ranks = [1.0 if e.effect is None or e.effect.rank_p is None else e.effect.rank_p for e in effects]
    by_ranks = [p is not None and p <= LEVEL for p in stats.holm(ranks)]
    return [
        verdict_on(replace(e, p_holm=None if e.p is None else p), certain)
        for e, p, certain in zip(effects, corrected, by_ranks, strict=True)
    ]


def verdict_on(found: ChangeEffect, certain: bool = False) -> ChangeEffect:
    """The rule. `certain` says that the exact signed-rank test, which no straying seed moves much, is significant after
    the correction: a variant that is unstable over seeds then withholds no verdict."""
    effect = found.effect
    if effect is None or effect.n == 0:
        return found
    if found.unstable and not certain:
        return replace(found, word="unstable", why=found.unstable)
    if effect.ratioless:
        return replace(found, word="inconclusive", why=no_interval(effect))
    if effect.diverged:
        # The same order of pairs as the test's: of a median that is a tie or unknown nothing is said.
        middle = effect.median_ratio
        if middle is None or middle == 1:
            return replace(found, word="inconclusive", why=diverged_words(effect))
        side: Word = "helps" if middle < 1 else "hurts"
        why = diverged_words(effect)
    elif found.p is None or effect.ratio is None:
        return replace(found, word="inconclusive", why=no_interval(effect, found.estimate))
    else:
        side = "helps" if effect.ratio < 1 else "hurts"
        why = f"{side} {ALONE}" if found.p <= LEVEL else ""
    if found.p_holm is not None and found.p_holm <= LEVEL:
        return replace(found, word=side, why=why if effect.diverged else "")
    return replace(found, word="inconclusive", why=why)


def judge_design(design: DesignName, results: Results) -> list[ChangeEffect]:
    """Every change in one design, in the study's order."""
    if design in ("screening", "shapley"):
        effects = estimated(design, results)
    else:
        effects = [pair_effect(change, design, results) for change in results.study.changes]
    unplanned = results.unplanned(design)
    late = [
        e.change.source is None
        or bool(unplanned or results.exploratory(f"change {e.change.name}"))
        or bool(e.effect is not None and e.effect.n and interim(e.effect.n, results))
        or bool(results.trained_before((e.before, e.after) if e.before else names_in(design, results)))
        or bool(e.estimate and e.estimate.screened and e.estimate.screened.missing)
        for e in effects
    ]
    return judged([replace(e, exploratory=mark) for e, mark in zip(effects, late, strict=True)])


def names_in(design: DesignName, results: Results) -> list[str]:
    """The variants of a design, for every seed of the plan."""
    return [variant.name for variant in results.plan.variants if design in variant.designs]


def judge_changes(results: Results) -> dict[DesignName, list[ChangeEffect]]:
    """Every change in every design that compares it, in the study's order."""
    return {design: judge_design(design, results) for design in available(results.study) if design != "grid"}


@dataclass(frozen=True)
class OneFamily:
    """All comparisons of all designs as one family: how many they are, of how many designs, and the p of each after
    Holm's correction over all of them, by design and change."""

    comparisons: int
    designs: int
    p: Mapping[tuple[DesignName, str], float]

    def keeps(self, effect: ChangeEffect) -> bool:
        """Whether this effect is significant among all of them."""
        return self.p.get((effect.design, effect.change.name), 1.0) <= LEVEL


def one_family(effects: Mapping[DesignName, Sequence[ChangeEffect]]) -> OneFamily:
    """The comparisons that have a p. One that two designs share (the first rung is also an add-one-in) is one."""
    tested = [e for design in effects.values() for e in design if e.p is not None]
    names = [(e.before, e.after) if e.before else (str(e.design), e.change.name) for e in tested]
    once = dict(zip(names, tested, strict=True))
    strict = dict(zip(once, stats.holm([e.p for e in once.values()]), strict=True))
    corrected = {(e.design, e.change.name): strict[name] for e, name in zip(tested, names, strict=True)}
    return OneFamily(
        len(once),
        len({e.design for e in tested}),
        {place: p for place, p in corrected.items() if p is not None},
    )
