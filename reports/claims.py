"""Judging the deck's claims.

A claim says itself, before the numbers are there, where the 95% interval of its ratio has to lie
(`ablations.schema.Claim`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, assert_never

import numpy as np

from ablations.claims import Claim, Comparison, Measured
from reports import stats
from reports.comparability import MixedProtocols
from reports.deck import claim_iteration, claimed_values, what_differs
from reports.results import Results
from reports.verdicts import LEVEL, ROUNDED, effect_of_pair, interim, no_interval, side_of_one

ClaimWord = Literal["reproduced", "contradicted", "inconclusive", "not comparable", "not tested"]


@dataclass(frozen=True)
class PairVerdict:
    """One pair of a claim with its verdict: `effect` with the claim's 95% interval, `why` one phrase."""

    comparison: Comparison
    word: ClaimWord
    why: str
    effect: stats.Effect | None


@dataclass(frozen=True)
class ClaimVerdict:
    """`differs` names what keeps the magnitudes apart; empty means they may be compared. `why` is one sentence.

    `parts` are the claim's pairs, `effect` is the first one's; `order` is there for a claim of an order. `iteration` is
    where our runs were read, None for their last. `exploratory` says what was declared too late, or None.
    """

    claim: Claim
    word: ClaimWord
    why: str
    effect: stats.Effect | None
    differs: tuple[str, ...]
    iteration: int | None = None
    exploratory: str | None = None
    parts: tuple[PairVerdict, ...] = ()
    order: stats.OrderAgreement | None = None

    @property
    def magnitude(self) -> str:
        """`comparable`, or `not comparable`."""
        return "not comparable" if self.differs else "comparable"


NO_MAGNITUDE = ", and how much it is is a magnitude, which does not compare here"
"""Why an interval that misses a margin on the claimed side of 1 contradicts nothing."""


def judge_claim(claim: Claim, results: Results) -> ClaimVerdict:
    """The verdict on one claim in the setting of `results`, and whether it stands as registered."""
    verdict = judged_claim(claim, results)
    if unsteady := [name for name in claim.variants if (v := results.variant(name)) and v.name in results.unstable]:
        remark = f"unstable over seeds: {', '.join(results.title(name) for name in unsteady)}"
        verdict = replace(verdict, why=f"{verdict.why}; {remark}" if verdict.why else remark)
    if verdict.word == "not tested" or verdict.exploratory:
        return verdict
    late = results.unplanned() or results.trained_before(claim.variants) or incomplete(claim, results)
    return replace(verdict, exploratory=late)


def incomplete(claim: Claim, results: Results) -> str | None:
    """Why a verdict is one of an interim look: fewer seeds have ended than were registered. None: all have."""
    arrays = [values for number in claim.numbers if (values := claimed_values(claim, number, results)) is not None]
    ended = int((~np.isnan(np.array(arrays))).all(axis=0).sum()) if arrays else 0
    return interim(ended, results)


def judged_claim(claim: Claim, results: Results) -> ClaimVerdict:
    """The verdict on one claim by its own rule."""
    verdict = ClaimVerdict(
        claim,
        "not tested",
        "",
        None,
        what_differs(claim, results),
        claim_iteration(claim, claim.after, results),
        results.exploratory(f"claim {claim.name}") or claim.late,
    )

    def quoted(name: str) -> str:
        return f"“{results.title(name)}”"

    values: dict[Measured, np.ndarray] = {}
    for number in claim.numbers:
        try:
            array = claimed_values(claim, number, results)
        except MixedProtocols as error:
            return replace(verdict, why=str(error))
        if array is None:
            return replace(verdict, why=f"{quoted(number.variant)} is not in the plan")
        if np.isnan(array).all():
            what, at = number.series or "a value", claim_iteration(claim, number, results)
            where = f" at iteration {at:,}" if at is not None else ""
            return replace(verdict, why=f"no run of {quoted(number.variant)} has ended with {what}{where}")
        values[number] = array
    match claim.expects:
        case "value":
            return judge_value(verdict, values[claim.after])
        case "order":
            return judge_order(verdict, values, quoted)
        case "lower" | "higher" | "same" | "no_higher":
            return judge_pairs(verdict, values, quoted, results)
        case _:
            assert_never(claim.expects)


def judge_pairs(
    verdict: ClaimVerdict,
    values: Mapping[Measured, np.ndarray],
    quoted: Callable[[str], str],
    results: Results,
) -> ClaimVerdict:
    """The verdict on a claim of one pair or several: all pairs of a reading, and all readings, have to agree."""
    claim = verdict.claim
    readings = dict.fromkeys(pair.reading for pair in claim.comparisons)
    sizes = {reading: sum(pair.reading == reading for pair in claim.comparisons) for reading in readings}
    parts = tuple(
        judge_pair(
            claim,
            pair,
            effect_between(pair, values, verdict, results),
            sizes[pair.reading],
            not verdict.differs,
            quoted,
        )
        for pair in claim.comparisons
    )
    verdict = replace(verdict, parts=parts, effect=parts[0].effect)
    if len(parts) == 1:
        return replace(verdict, word=parts[0].word, why=parts[0].why)
    words = {reading: together([p.word for p in parts if p.comparison.reading == reading]) for reading in readings}
    if len(set(words.values())) > 1:
        by_reading = "; ".join(f"{reading}: {word}" for reading, word in words.items())
        return replace(verdict, word="inconclusive", why=f"it depends on the reading: {by_reading}")
    word = next(iter(words.values()))
    titles = dict.fromkeys(part.comparison.title for part in parts)
    deciding = [title for title in titles if all(p.word == word for p in parts if p.comparison.title == title)]
    everywhere = f" in each of {len(words)} readings" if len(words) > 1 else ""
    if word == "inconclusive":
        return replace(verdict, word=word, why="; ".join(pair_by_pair(title, parts) for title in titles))
    against = f" against {', '.join(deciding)}" if 0 < len(deciding) < len(titles) else ""
    if not against and not everywhere:
        everywhere = f" in each of {len(parts)} pairs"
    return replace(verdict, word=word, why=f"{word}{against}{everywhere}")


def effect_between(
    pair: Comparison, values: Mapping[Measured, np.ndarray], verdict: ClaimVerdict, results: Results
) -> stats.Effect:
    """A pair's effect: that of the study's design which compares the same values, else one that borrows nothing."""
    own = pair.before.series is None and pair.after.series is None and verdict.iteration is None
    shared = effect_of_pair(pair.before.variant, pair.after.variant, results) if own else None
    return shared or stats.paired_effect(values[pair.before], values[pair.after])


def pair_by_pair(title: str, parts: Sequence[PairVerdict]) -> str:
    """What became of one of a sentence's pairs in the readings that have it."""
    mine = [part for part in parts if part.comparison.title == title]
    held = sum(part.word == "reproduced" for part in mine)
    small = sum(part.why.endswith(NO_MAGNITUDE) for part in mine)
    of_several = f"holds in {held} of {len(mine)} readings"
    line = f"{title}: {'open' if not held else 'holds' if len(mine) == 1 else of_several}"
    if small:
        line += f", where the margin is missed in {small} of {len(mine)}{NO_MAGNITUDE}"
    return line


def together(words: Sequence[ClaimWord]) -> ClaimWord:
    """The verdict of pairs that all have to hold."""
    for word in ("not tested", "contradicted"):
        if word in words:
            return word
    return "reproduced" if set(words) == {"reproduced"} else "inconclusive"


def judge_pair(
    claim: Claim,
    pair: Comparison,
    effect: stats.Effect,
    pairs: int,
    compares: bool,
    quoted: Callable[[str], str],
) -> PairVerdict:
    """One of `pairs` pairs that all have to hold.

    All of them holding is as rare by chance as the rarest, so each is asked at 95%; that one of them fails is not, so
    it has to at 1 - 5% / `pairs`.
    """
    open_verdict = PairVerdict(pair, "inconclusive", "", effect)
    if effect.n == 0:
        names = dict.fromkeys((pair.before.variant, pair.after.variant))
        return replace(
            open_verdict, word="not tested", why=f"no seed has ended in both {' and '.join(map(quoted, names))}"
        )
    if effect.diverged:
        return replace(
            open_verdict,
            why=f"{quoted(pair.before.variant)} diverged in {effect.diverged_before} and {quoted(pair.after.variant)} "
            f"in {effect.diverged_after} of {effect.n} seeds, so the ratio has no interval",
        )
    if effect.low is None or effect.high is None:
        return replace(open_verdict, why=no_interval(effect))
    where, words = lies(claim, effect)
    if where == "outside" and claim.margin is not None and claim.expects in ("lower", "higher") and not compares:
        wrong = "above" if claim.expects == "lower" else "below"
        if side_of_one(effect) != wrong:
            return replace(open_verdict, why=f"{words}{NO_MAGNITUDE}")
    strict = effect if pairs == 1 else effect.at(1 - LEVEL / pairs)
    if where == "outside" and lies(claim, strict)[0] != "outside":
        return replace(open_verdict, why=f"{words}, but not at 5% over {pairs} comparisons")
    verdicts: dict[str, ClaimWord] = {"inside": "reproduced", "outside": "contradicted"}
    return replace(open_verdict, word=verdicts.get(where, "inconclusive"), why=words)


def shortest(one: str, other: str) -> str:
    """Of two ways to write a number the first one, unless its digits are cut off and the other's are not."""
    return other if len(one) > 7 and len(other) < len(one) else one


def lies(claim: Claim, effect: stats.Effect) -> tuple[Literal["inside", "outside", "unresolved"], str]:
    """Where the interval of a ratio lies against what a claim of a pair expects, and that in words."""
    if claim.expects == "same":
        assert claim.margin is not None
        where, reach = stats.equivalent(effect, claim.margin), f"1/{claim.margin:g} to {claim.margin:g}"
        return where, {
            "inside": f"the whole interval lies within {reach}",
            "outside": f"the whole interval lies outside of {reach}",
            "unresolved": f"the interval lies neither within nor outside of {reach}",
        }[where]
    assert effect.low is not None and effect.high is not None
    bound, named = 1.0, "1"
    if claim.margin is not None and claim.expects == "lower":
        bound, named = 1 / claim.margin, shortest(f"1/{claim.margin:g}", f"{1 / claim.margin:g}")
    elif claim.margin is not None:
        bound, named = claim.margin, f"{claim.margin:g}"
    if effect.low <= bound <= effect.high:
        return "unresolved", f"the interval contains {named}"
    below = effect.high < bound
    side = "below" if below else "above"
    inside = below == (claim.expects in ("lower", "no_higher"))
    return "inside" if inside else "outside", f"the whole interval lies {side} {named}"


def judge_order(
    verdict: ClaimVerdict, values: Mapping[Measured, np.ndarray], quoted: Callable[[str], str]
) -> ClaimVerdict:
    """The verdict on a claim of an order, by rank correlation with the deck's values: whether the two orders agree
    beyond chance and in every seed, not whether every place is the same, of which `why` tells."""
    ended = ~np.isnan(np.array(list(values.values()))).any(axis=0)
    agreement = stats.order_agreement(
        [number.value or 0.0 for number in values], np.array(list(values.values()))[:, ended]
    )
    if agreement is None:
        return replace(verdict, why="no seed has ended in all of them")
    if len(set(agreement.ours)) == 1:
        return replace(verdict, word="inconclusive", why="all of ours are tied or diverged")
    least, most = f"{agreement.least:.2f}", f"{agreement.most:.2f}"
    single = f"in each of {int(ended.sum())} seeds" if least == most else f"single seeds {least} to {most}"
    words = (
        f"Spearman's ρ with the deck's order is {agreement.rho:.2f} ({single}, "
        f"n = {int(ended.sum())}); a random order agrees or disagrees as strongly with probability {agreement.p:.2g}"
    )
    word: ClaimWord = "inconclusive"
    if int(ended.sum()) < 2:
        words += "; one seed is no verdict"
    elif agreement.p <= LEVEL and agreement.least > 0:
        word = "reproduced"
    elif agreement.p <= LEVEL and agreement.most < 0:
        word = "contradicted"
    return replace(verdict, word=word, why=f"{words}; {reversals(values, quoted)}", order=agreement)


def reversals(values: Mapping[Measured, np.ndarray], quoted: Callable[[str], str]) -> str:
    """How many pairs lie in the deck's order, and which are resolved the other way round, by Holm over all of them."""
    apart = [
        (one, other) if (one.value or 0) < (other.value or 0) else (other, one)
        for one, other in combinations(values, 2)
        if one.value != other.value
    ]
    effects = [stats.paired_effect(values[less], values[more]) for less, more in apart]
    corrected = stats.holm_t(effects)
    as_there = sum(e.ratio is not None and e.ratio > 1 for e in effects)
    turned = [
        f"here {quoted(more.variant)} has less than {quoted(less.variant)}"
        for (less, more), e, p in zip(apart, effects, corrected, strict=True)
        if e.ratio is not None and e.ratio < 1 and p is not None and p <= LEVEL
    ]
    line = f"{as_there} of {len(apart)} pairs lie as in the deck"
    return f"{line}, {len(turned)} are resolved the other way round: {', and '.join(turned)}" if turned else line


def judge_value(verdict: ClaimVerdict, values: np.ndarray) -> ClaimVerdict:
    """The verdict on a claim of one number: it stands only where all of its conditions are the deck's."""
    claim = verdict.claim
    assert claim.after.value is not None
    assert claim.margin is not None
    if verdict.differs:
        return replace(verdict, word="not comparable", why="a number by itself holds under its own conditions alone")
    most = claim.after.value * claim.margin
    mean = stats.geometric_mean(values)
    if mean is None:
        lost = "a run diverged" if np.isinf(values).any() else "a value of 0 or below has no logarithm"
        return replace(verdict, word="inconclusive", why=f"{lost}, so our mean has no interval")
    if mean.low is None or mean.high is None:
        few = "one run has no interval" if mean.n == 1 else f"the values {ROUNDED}"
        return replace(verdict, word="inconclusive", why=f"n = {mean.n}: {few}")
    if mean.high < most:
        return replace(verdict, word="reproduced", why=f"the whole interval of our mean lies below {most:.3g}")
    if mean.low > most:
        return replace(verdict, word="contradicted", why=f"the whole interval of our mean lies above {most:.3g}")
    return replace(verdict, word="inconclusive", why=f"the interval of our mean contains {most:.3g}")


EXCLUDES = "the interval excludes “no change at all”"


def excludes_no_change(verdict: ClaimVerdict) -> bool:
    """Whether a claim that nothing changes, whatever its verdict by the margin, has an interval without 1."""
    effect = verdict.effect
    return verdict.claim.expects == "same" and effect is not None and side_of_one(effect) != "unresolved"
