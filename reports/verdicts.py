"""Judging changes by a rule that was fixed before the numbers were there; claims have theirs in `reports.claims`.

A change helps or hurts in a design when the effect, below or above 1, is significant at 5% after Holm's correction over
the design's changes: the chance that a design calls any change so when none does anything is at most 5%. It is
negligible when two one-sided tests, corrected in the same way, put the whole effect within the factor that the study
declares, whatever its sign: the chance that a design calls any change so that does more is at most 5%, too. All else is
open, which is not "no effect".

The comparisons of one design borrow from each other what they know of their variances (`stats.borrowing`). A diverged
run leaves no interval and counts as the worst outcome in an exact signed-rank test. Where the seeds of one of a
comparison's variants lie wildly apart (`stats.unstable`) the change is called unstable, with how many: going into such
a variant and coming out of it again are neither loss nor gain of a change. What the same test, which no straying seed
moves much, says of most seeds stands beside the word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from ablations.designs import arms, available
from ablations.schema import Change, DesignName
from reports import stats
from reports.attribution import NO_RATIO, Estimate, main_effects, shapley_values
from reports.numbers import counted, factor, short
from reports.results import Results
from reports.stats.arms import ROUNDING
from studies.looks import PAIRS
from studies.plan import Decide, designs_in

Word = Literal["helps", "hurts", "negligible", "open", "unstable", "not tested"]
DECIDED: tuple[Word, ...] = ("helps", "hurts", "negligible", "unstable")
"""The words that answer a question. No further seeds are asked for."""

LEVEL = 0.05
"""The family-wise error rate of verdicts on changes."""

ALONE = "before the correction"
"""How a remark ends on what is significant before the correction only."""

FIRST_LOOK = "its first look is to come"
"""Why nothing is said of a comparison with fewer seeds than the first look has."""

MOST_TOLD = 5
"""Seeds of an arm that are told one by one."""

UNKNOWN_P = 1.0
"""Of what was not run: it counts as if nothing had been found, else a pair would be judged by what else is there."""


def compare(results: Results, before: str, after: str) -> stats.Effect | None:
    """The paired effect between two variants by name, which borrows nothing; None where the plan lacks one."""
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
    """Says that `ended` seeds are fewer than were registered; None where they are not, and where seeds are added until
    all is decided."""
    if results.plan.decide is not None:
        return None
    registered = len(results.plan.looks[0].seeds) if results.plan.looks else 0
    if ended >= registered:
        return None
    return f"an interim look: {ended} of the {counted(registered, 'seed')} that were registered"


@dataclass(frozen=True)
class ChangeEffect:
    """What one change did in one design. `word` is the verdict, `why` its remark.

    `after` has the change and `before` has not; both are empty for designs that compare no single pair. `p` is the
    two-sided p of this effect alone, `p_holm` the same after Holm's correction over the design's changes, and
    `negligible_p` that of an effect that is not negligible, corrected in the same way. `estimate` is there for designs
    that estimate it from many variants. `looks` has the effect at each look so far, by its number of seeds, where seeds
    are added until all is decided: `p` is then that of all looks together (`stats.sequential_p`). `exploratory` marks
    a change that the deck does not name, or one of which a part was declared after the first run. `unstable` names the
    unstable variants among the two, with their seeds.
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
    negligible_p: float | None = None
    estimate: Estimate | None = None
    looks: Mapping[int, ChangeEffect] = field(default_factory=dict)
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
    def decided(self) -> bool:
        """Whether no further seed is needed to say what the change does."""
        return self.word in DECIDED

    @property
    def verdict(self) -> str:
        """The verdict as a table says it."""
        word = f"{self.word} (exploratory)" if self.exploratory and self.tested else self.word
        # Of an unstable arm the seeds are told elsewhere.
        why = self.why.partition("; " if " by ranks" in self.why else ": ")[0] if self.unstable else self.why
        return f"{word}: {why}" if why else word


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
        f"{arm} it {astray_words(results.last(variant))}"
        for arm, variant in (("without", one), ("with", other))
        if variant.name in results.unstable
    ]
    return replace(open_effect, effect=effect, unstable="; ".join(apart))


def pair_effects(design: DesignName, results: Results) -> list[ChangeEffect]:
    """The effects of a design that compares pairs, in the study's order, each with what it borrows from the others."""
    alone = [pair_effect(change, design, results) for change in results.study.judged]
    borrowed = stats.borrowing([e.effect for e in alone], [not e.unstable for e in alone])
    # With an infinite ratio among them, log-ratios have no mean, and with a straying one it says little: the exact
    # signed-rank test is left.
    return [
        e
        if effect is None
        else replace(e, effect=effect, p=effect.rank_p if effect.diverged or e.unstable else effect.t_p)
        for e, effect in zip(alone, borrowed, strict=True)
    ]


def looked_at(design: DesignName, decide: Decide, results: Results) -> list[ChangeEffect]:
    """The effects of a design whose seeds are added until all is decided, as they are at the last look of each.

    A look is of the first seeds alone, so that no later one changes what it found.
    """
    reached = [n for n in decide.looks if n <= len(results.plan.seeds)]
    rounds = {n: pair_effects(design, results.first_seeds(n)) for n in reached}
    now = pair_effects(design, results)
    return [
        at_its_look(e, {n: found[k] for n, found in rounds.items() if ended(found[k], n)}, decide)
        for k, e in enumerate(now)
    ]


def ended(found: ChangeEffect, n: int) -> bool:
    """Whether all `n` seeds of a look have ended in both arms."""
    return found.effect is not None and found.effect.n == n


def at_its_look(now: ChangeEffect, looks: Mapping[int, ChangeEffect], decide: Decide) -> ChangeEffect:
    """An effect at the last of these looks, with the p of all of them and an interval that holds at every look."""
    if not looks:
        return now if now.effect is None or not now.effect.n else replace(now, p=None, why=FIRST_LOOK)
    last = looks[max(looks)]
    assert last.effect is not None
    level = stats.interval_level(max(looks), looks=decide.looks)
    shown = {
        n: replace(e, effect=e.effect.at(stats.interval_level(n, looks=decide.looks) or level or 0.95))
        for n, e in looks.items()
        if e.effect is not None
    }
    p = stats.sequential_p({n: e.p for n, e in looks.items()}, decide.looks)
    return replace(shown[max(looks)], p=p, looks=shown)


def astray_words(values: np.ndarray) -> str:
    """How many of an unstable arm's seeds lie far from its median, and where: "1 of 3 seeds far from the median 1.2:
    11.5"."""
    ended = values[~np.isnan(values)]
    far = np.sort(ended[stats.outlying(ended)])
    middle = short(float(np.median(ended)))
    return (
        f"{len(far)} of {counted(len(ended), 'seed')} far from the median {middle}: "
        f"{', '.join(short(float(value)) for value in far)}"
    )


def seeds_words(values: np.ndarray) -> str:
    """An arm's values, the least first; of many, the least and the most."""
    ended = np.sort(values[~np.isnan(values)])
    if ended.size > MOST_TOLD:
        return f"{short(float(ended[0]))} to {short(float(ended[-1]))} in {ended.size} seeds"
    return ", ".join(short(float(value)) for value in ended)


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


def judged(effects: Sequence[ChangeEffect], margin: float, looks: tuple[int, ...] = ()) -> list[ChangeEffect]:
    """The effects of one design with their verdicts: one family, corrected together. `looks` are those that seeds are
    added at, none where their number was fixed.

    An effect within `margin` is negligible. That it is not is a family of its own: of one change, "does nothing" and
    "does as much as the margin" are never both true.
    """
    small = [negligible_p(effect, margin, looks) for effect in effects]
    by_p, by_small = corrected([effect.p for effect in effects]), corrected(small)
    return [
        verdict_on(replace(e, p_holm=None if e.p is None else p, negligible_p=None if alone is None else below))
        for e, p, alone, below in zip(effects, by_p, small, by_small, strict=True)
    ]


def corrected(family: Sequence[float | None]) -> list[float]:
    """These p-values after Holm's correction, those that are not known as `UNKNOWN_P`."""
    adjusted = stats.holm([UNKNOWN_P if p is None else p for p in family])
    return [UNKNOWN_P if p is None else p for p in adjusted]


def negligible_p(found: ChangeEffect, margin: float, looks: tuple[int, ...]) -> float | None:
    """The p of an effect that is not within the margin; None where nothing is known of it."""
    if found.looks:
        return stats.sequential_p({n: negligible_p_alone(e, margin) for n, e in found.looks.items()}, looks, sides=1)
    return negligible_p_alone(found, margin)


def negligible_p_alone(found: ChangeEffect, margin: float) -> float | None:
    """That of all its seeds, or of one look."""
    if found.estimate is not None:
        return found.estimate.negligible_p(margin)
    return None if found.effect is None else found.effect.negligible_p(margin)


def verdict_on(found: ChangeEffect) -> ChangeEffect:
    """The rule."""
    effect = found.effect
    if effect is None or effect.n == 0:
        return found
    significant = found.p_holm is not None and found.p_holm <= LEVEL
    if found.why == FIRST_LOOK:
        return replace(found, word="open")
    if effect.ratioless:
        return replace(found, word="open", why=no_interval(effect))
    # The same order of pairs as the signed-rank test's: of a median that is a tie or unknown nothing is said.
    middle = effect.median_ratio
    by_ranks: Word | None = None if middle is None or middle == 1 else "helps" if middle < 1 else "hurts"
    if found.unstable:
        # What most seeds say and what a few do are two things: neither a gain nor a loss has both in it.
        said = f"{by_ranks} by ranks, median {factor(middle)}; " if significant and by_ranks else ""
        return replace(found, word="unstable", why=f"{said}{found.unstable}")
    if effect.diverged:
        why = diverged_words(effect)
        if significant and by_ranks:
            return replace(found, word=by_ranks, why=why)
        if by_ranks and found.p is not None and found.p <= LEVEL:
            why = f"{why}; {by_ranks} {ALONE}"
        return replace(found, word="open", why=why)
    if found.p is None or effect.ratio is None:
        return replace(found, word="open", why=no_interval(effect, found.estimate))
    side: Word = "helps" if effect.ratio < 1 else "hurts"
    if found.negligible_p is not None and found.negligible_p <= LEVEL:
        return replace(found, word="negligible", why=f"{side}, but by no more" if significant else "")
    if significant:
        return replace(found, word=side, why="")
    return replace(found, word="open", why=f"{side} {ALONE}" if found.p <= LEVEL else "")


def judge_design(design: DesignName, results: Results) -> list[ChangeEffect]:
    """Every change in one design, in the study's order."""
    combined = design in ("screening", "shapley")
    decide = None if combined else results.plan.decide
    if combined:
        effects = estimated(design, results)
    else:
        effects = pair_effects(design, results) if decide is None else looked_at(design, decide, results)
    unplanned = results.unplanned(design)
    late = [
        e.change.source is None
        or bool(unplanned or results.exploratory(f"change {e.change.name}"))
        or bool(e.effect is not None and e.effect.n and interim(e.effect.n, results))
        or bool(results.trained_before((e.before, e.after) if e.before else names_in(design, results)))
        or bool(e.estimate and e.estimate.screened and e.estimate.screened.missing)
        for e in effects
    ]
    marked = [replace(e, exploratory=mark) for e, mark in zip(effects, late, strict=True)]
    if decide is not None:
        return judged(marked, decide.margin, decide.looks)
    undeclared = results.exploratory("negligible") is not None
    return [
        replace(e, exploratory=e.exploratory or (undeclared and e.word == "negligible"))
        for e in judged(marked, results.study.negligible)
    ]


def names_in(design: DesignName, results: Results) -> list[str]:
    """The variants of a design, for every seed of the plan."""
    return [variant.name for variant in results.plan.variants if design in variant.designs]


def effect_of_pair(before: str, after: str, results: Results) -> stats.Effect | None:
    """The effect between two variants as the first of the plan's designs has it that compares them, so that one pair
    has one interval in claims and changes; None where none does."""
    asked = designs_in(results.plan)
    for design in dict.fromkeys((*results.study.designs, *asked)):
        if design in asked and design in PAIRS:
            decide = results.plan.decide
            effects = pair_effects(design, results) if decide is None else looked_at(design, decide, results)
            for effect in effects:
                if (effect.before, effect.after) == (before, after) and effect.effect is not None:
                    return effect.effect
    return None


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
