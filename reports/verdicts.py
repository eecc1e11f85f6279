"""Judging claims and changes by rules that were fixed before the numbers were there.

A claim says itself where the 95% interval of its ratio has to lie (`ablations.claims.Claim`). A change helps or hurts
in a design when the effect, below or above 1, is significant at 5% after Holm's correction over the design's changes:
the chance that a design calls any change so when none does anything is at most 5%. A diverged run leaves no interval
and counts as the worst outcome in an exact signed-rank test. Where the seeds of one of a comparison's variants lie
wildly apart (`stats.unstable`) the change is called unstable instead: going into such a variant and coming out of it
again are neither loss nor gain of a change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal, assert_never

import numpy as np
import pandas as pd

from ablations.claims import Claim, Comparison, Measured
from ablations.designs import DESIGNS, arms, available, variant_name
from ablations.protocols import DECK_2020
from ablations.schema import Change, DesignName, Study
from core.arithmetic import training
from core.config import PUBLIC_RESAMPLING, CleanFid, Images, Metric
from core.metrics.identity import STATE_DICT_SHA256
from reports import stats
from reports.attribution import NO_RATIO, Estimate, main_effects, shapley_values
from reports.numbers import counted, short
from reports.protocols import MixedProtocols
from reports.results import Results
from reports.stats.arms import ROUNDING
from studies.overrides import override
from studies.plan import PlannedVariant

ClaimWord = Literal["reproduced", "contradicted", "inconclusive", "not comparable", "not tested"]
Word = Literal["helps", "hurts", "inconclusive", "unstable", "not tested"]

METRIC_OF_THE_FIELD = {"clean_fid": "FID", "mae": "MAE"}
"""What claims call the metric that a config names; any other metric is nobody else's."""

LEVEL = 0.05
"""The family-wise error rate of verdicts on changes."""

ALONE = "before the correction"
"""How a remark ends on what is significant before the correction only."""


# --- claims -----------------------------------------------------------------------------------------------------------


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


NO_MAGNITUDE = ", and how much it is is a magnitude, which does not compare here"
"""Why an interval that misses a margin on the claimed side of 1 contradicts nothing."""

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


def claim_iteration(claim: Claim, number: Measured, results: Results) -> int | None:
    """Where in our runs the claim's iteration lies, by proportion; None for the last one.

    A further measure of a run is taken at its last iteration alone.
    """
    variant = results.variant(number.variant)
    if claim.iterations is None or variant is None or number.series is not None:
        return None
    deck, here = results.study.base.iterations, variant.config.iterations
    at = round(claim.iterations * here / deck)
    return at if at < here else None


def claimed_values(claim: Claim, number: Measured, results: Results) -> np.ndarray | None:
    """One of a claim's numbers per seed in our runs: inf where it diverged, NaN where it is missing; None: not planned.

    All measures that claims name are better the lower they are, so a diverged run is the worst in each.
    """
    variant = results.variant(number.variant)
    if variant is None:
        return None
    if number.series is not None:
        return results.worst_where_diverged(variant, number.series)
    at = claim_iteration(claim, number, results)
    last = results.last(variant)
    # Only of runs that ended: what a failed one measured on its way is no result.
    return last if at is None else np.where(np.isnan(last), np.nan, results.at(variant, at))


def judge_claim(claim: Claim, results: Results) -> ClaimVerdict:
    """The verdict on one claim in the setting of `results`, and whether it stands as registered."""
    verdict = judged_claim(claim, results)
    if unsteady := [name for name in claim.variants if (v := results.variant(name)) and v.name in results.unstable]:
        told = f"unstable over seeds: {', '.join(results.title(name) for name in unsteady)}"
        verdict = replace(verdict, why=f"{verdict.why}; {told}" if verdict.why else told)
    if verdict.word == "not tested" or verdict.exploratory:
        return verdict
    late = results.unplanned() or results.trained_before(claim.variants) or incomplete(claim, results)
    return replace(verdict, exploratory=late)


def incomplete(claim: Claim, results: Results) -> str | None:
    """Why a verdict is one of an interim look: fewer seeds have ended than were registered. None: all have."""
    found = [values for number in claim.numbers if (values := claimed_values(claim, number, results)) is not None]
    ended = int((~np.isnan(np.array(found))).all(axis=0).sum()) if found else 0
    return interim(ended, results)


def interim(ended: int, results: Results) -> str | None:
    """Says that `ended` seeds are fewer than were registered; None where they are not."""
    registered = len(results.plan.looks[0].seeds) if results.plan.looks else 0
    if ended >= registered:
        return None
    return f"an interim look: {ended} of the {counted(registered, 'seed')} that were registered"


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
            found = claimed_values(claim, number, results)
        except MixedProtocols as error:
            return replace(verdict, why=str(error))
        if found is None:
            return replace(verdict, why=f"{quoted(number.variant)} is not in the plan")
        if np.isnan(found).all():
            what, at = number.series or "a value", claim_iteration(claim, number, results)
            where = f" at iteration {at:,}" if at is not None else ""
            return replace(verdict, why=f"no run of {quoted(number.variant)} has ended with {what}{where}")
        values[number] = found
    match claim.expects:
        case "value":
            return judge_value(verdict, values[claim.after])
        case "order":
            return judge_order(verdict, values, quoted)
        case "lower" | "higher" | "same":
            return judge_pairs(verdict, values, quoted)
        case _:
            assert_never(claim.expects)


def judge_pairs(
    verdict: ClaimVerdict, values: Mapping[Measured, np.ndarray], quoted: Callable[[str], str]
) -> ClaimVerdict:
    """The verdict on a claim of one pair or several: all pairs of a reading, and all readings, have to agree."""
    claim = verdict.claim
    readings = dict.fromkeys(pair.reading for pair in claim.comparisons)
    sizes = {reading: sum(pair.reading == reading for pair in claim.comparisons) for reading in readings}
    parts = tuple(
        judge_pair(
            claim, pair, (values[pair.before], values[pair.after]), sizes[pair.reading], not verdict.differs, quoted
        )
        for pair in claim.comparisons
    )
    verdict = replace(verdict, parts=parts, effect=parts[0].effect)
    if len(parts) == 1:
        return replace(verdict, word=parts[0].word, why=parts[0].why)
    words = {reading: together([p.word for p in parts if p.comparison.reading == reading]) for reading in readings}
    if len(set(words.values())) > 1:
        told = "; ".join(f"{reading}: {word}" for reading, word in words.items())
        return replace(verdict, word="inconclusive", why=f"it depends on the reading: {told}")
    word = next(iter(words.values()))
    titles = dict.fromkeys(part.comparison.title for part in parts)
    deciding = [title for title in titles if all(p.word == word for p in parts if p.comparison.title == title)]
    everywhere = f" in each of {len(words)} readings" if len(words) > 1 else ""
    if word == "inconclusive":
        return replace(verdict, word=word, why="; ".join(pair_by_pair(title, parts) for title in titles))
    against = f" against {', '.join(deciding)}" if 0 < len(deciding) < len(titles) else ""
    return replace(verdict, word=word, why=f"{word}{against}{everywhere}")


def pair_by_pair(title: str, parts: Sequence[PairVerdict]) -> str:
    """What became of one of a sentence's pairs in the readings that have it."""
    mine = [part for part in parts if part.comparison.title == title]
    held = sum(part.word == "reproduced" for part in mine)
    small = sum(part.why.endswith(NO_MAGNITUDE) for part in mine)
    told = f"{title}: holds in {held} of {len(mine)}" if held else f"{title}: open"
    told += " readings" if held and len(mine) > 1 else " reading" if held else ""
    if small:
        told += f", where the margin is missed in {small} of {len(mine)}{NO_MAGNITUDE}"
    return told


def together(words: Sequence[ClaimWord]) -> ClaimWord:
    """The verdict of pairs that all have to hold."""
    for word in ("not tested", "contradicted"):
        if word in words:
            return word
    return "reproduced" if set(words) == {"reproduced"} else "inconclusive"


def judge_pair(
    claim: Claim,
    pair: Comparison,
    arms: tuple[np.ndarray, np.ndarray],
    pairs: int,
    compares: bool,
    quoted: Callable[[str], str],
) -> PairVerdict:
    """One of `pairs` pairs that all have to hold.

    All of them holding is as rare by chance as the rarest, so each is asked at 95%; that one of them fails is not, so
    it has to at 1 - 5% / `pairs`.
    """
    effect = stats.paired_effect(*arms)
    found = PairVerdict(pair, "inconclusive", "", effect)
    if effect.n == 0:
        names = dict.fromkeys((pair.before.variant, pair.after.variant))
        return replace(found, word="not tested", why=f"no seed has ended in both {' and '.join(map(quoted, names))}")
    if effect.diverged:
        return replace(
            found,
            why=f"{quoted(pair.before.variant)} diverged in {effect.diverged_before} and "
            f"{quoted(pair.after.variant)} in {effect.diverged_after} of {effect.n} seeds, so the ratio has no "
            "interval",
        )
    if effect.low is None or effect.high is None:
        return replace(found, why=no_interval(effect))
    where, words = lies(claim, effect)
    if where == "outside" and claim.margin is not None and claim.expects != "same" and not compares:
        wrong = "above" if claim.expects == "lower" else "below"
        if side_of_one(effect) != wrong:
            return replace(found, why=f"{words}{NO_MAGNITUDE}")
    strict = effect if pairs == 1 else stats.paired_effect(*arms, level=1 - LEVEL / pairs)
    if where == "outside" and lies(claim, strict)[0] != "outside":
        return replace(found, why=f"{words}, but not at 5% over {pairs} comparisons")
    verdicts: dict[str, ClaimWord] = {"inside": "reproduced", "outside": "contradicted"}
    return replace(found, word=verdicts.get(where, "inconclusive"), why=words)


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
        bound, named = 1 / claim.margin, f"1/{claim.margin:g}"
    elif claim.margin is not None:
        bound, named = claim.margin, f"{claim.margin:g}"
    if effect.low <= bound <= effect.high:
        return "unresolved", f"the interval contains {named}"
    below = effect.high < bound
    side = "below" if below else "above"
    inside = below == (claim.expects == "lower")
    return "inside" if inside else "outside", f"the whole interval lies {side} {named}"


def judge_order(
    verdict: ClaimVerdict, values: Mapping[Measured, np.ndarray], quoted: Callable[[str], str]
) -> ClaimVerdict:
    """The verdict on a claim of an order, by rank correlation with the deck's values: whether the two orders agree
    beyond chance and in every seed, not whether every place is the same, of which `why` tells."""
    ended = ~np.isnan(np.array(list(values.values()))).any(axis=0)
    found = stats.order_agreement([number.value or 0.0 for number in values], np.array(list(values.values()))[:, ended])
    if found is None:
        return replace(verdict, why="no seed has ended in all of them")
    if len(set(found.ours)) == 1:
        return replace(verdict, word="inconclusive", why="all of ours are tied or diverged")
    least, most = f"{found.least:.2f}", f"{found.most:.2f}"
    single = f"in each of {int(ended.sum())} seeds" if least == most else f"single seeds {least} to {most}"
    words = (
        f"Spearman's ρ with the deck's order is {found.rho:.2f} ({single}, "
        f"n = {int(ended.sum())}); a random order agrees or disagrees as strongly with probability {found.p:.2g}"
    )
    word: ClaimWord = "inconclusive"
    if int(ended.sum()) < 2:
        words += "; one seed is no verdict"
    elif found.p <= LEVEL and found.least > 0:
        word = "reproduced"
    elif found.p <= LEVEL and found.most < 0:
        word = "contradicted"
    return replace(verdict, word=word, why=f"{words}; {reversals(values, quoted)}", order=found)


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
    told = f"{as_there} of {len(apart)} pairs lie as in the deck"
    return f"{told}, {len(turned)} are resolved the other way round: {', and '.join(turned)}" if turned else told


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


def dataset_name(text: str) -> str:
    """A data set's name as people write it, or as a folder, a file or a database is called after it.

    LSUN's own databases are called "bedroom_train_lmdb": they are "LSUN bedroom". Names are all that the deck's data
    can be compared by, for nobody has its pixels.
    """
    words = re.sub(r"[\s_-]+", " ", re.sub(r"\.(zip|tar|lmdb|npz)$", "", text.strip().casefold())).split()
    if words[-2:] == ["train", "lmdb"]:
        words = ["lsun", *words[:-2]]
    return " ".join(words)


def what_differs(claim: Claim, results: Results) -> tuple[str, ...]:
    """What keeps our magnitude from being compared with the claim's."""
    plan = results.plan
    differs = []
    if plan.profile != claim.comparable_profile:
        differs.append(f"scale: profile {plan.profile} here, {claim.comparable_profile} there")
    if dataset_name(plan.data_name) != dataset_name(claim.dataset):
        differs.append(f"dataset: {plan.data_name} here, {claim.dataset} there")
    here = sorted(
        {claim_iteration(claim, number, results) or variant.config.iterations
         for number in claim.numbers if (variant := results.variant(number.variant)) is not None}
    )  # fmt: skip
    if claim.iterations is not None and here and here != [claim.iterations]:
        differs.append(f"iterations: {', '.join(f'{i:,}' for i in here)} here, {claim.iterations:,} there")
    differs += metric_differs(claim, results)
    if plan.overrides:
        differs.append(f"overrides: {', '.join(override(path, value) for path, value in plan.overrides.items())}")
    if plan.retuned:
        differs.append("learning rates: re-tuned here, as published there")
    return tuple(differs)


def metric_differs(claim: Claim, results: Results) -> list[str]:
    """What keeps our measure from being the claim's: another metric, or for an FID another protocol than `deck-2020`.

    By the configs that were run, and by what the runs say they used, which may be less than was asked for.
    """
    numbers = [(number, variant) for number in claim.numbers if (variant := results.variant(number.variant))]
    metrics = list(dict.fromkeys(metric_of(number, variant) for number, variant in numbers))
    kinds = sorted({metric.kind for metric in metrics})
    if any(METRIC_OF_THE_FIELD.get(kind) != claim.metric for kind in kinds):
        measured = list(dict.fromkeys(number.series for number in claim.numbers if number.series)) or kinds
        return [f"metric: {', '.join(measured)} here, {claim.metric} there"]
    if claim.metric != "FID":
        return []
    deck = DECK_2020.metric
    assert isinstance(deck, CleanFid)
    said: list[str] = []
    for metric, series in dict.fromkeys((metric_of(n, variant), n.series or results.metric) for n, variant in numbers):
        assert isinstance(metric, CleanFid)
        protocol = results.protocol(series)
        used = (metric.samples, metric.real) if protocol is None else (protocol.samples, protocol.real_samples)
        if protocol is None and (results.tidy["metric"] == series).any():
            said.append(f"what {series} was measured with is not recorded here")
        weights = None if protocol is None else protocol.weights
        if weights and metric.mode == deck.mode and not weights.startswith(STATE_DICT_SHA256[:8]):
            said.append(f"weights {weights[:8]} here, {STATE_DICT_SHA256[:8]} there")
        said += [f"mode {metric.mode} here, {deck.mode} there"] if metric.mode != deck.mode else []
        said += [
            f"{'all' if here is None else f'{here:,}'} {what} images here, {there:,} there"
            for what, here, there in zip(("generated", "real"), used, (deck.samples, deck.real), strict=True)
            if here != there
        ]
        if metric.quantised != deck.quantised:
            said.append("generated images rounded to 8 bits here, not rounded there")
        if metric.real_taken != deck.real_taken:
            said.append("real images spread over the set here, its first ones there")
    filters = {v.config.data.resampling for _, v in numbers if isinstance(v.config.data, Images)} - {PUBLIC_RESAMPLING}
    said += [f"images made smaller by the filter {each} here, {PUBLIC_RESAMPLING} there" for each in sorted(filters)]
    return [f"protocol: {', '.join(dict.fromkeys(said))}"] if said else []


def metric_of(number: Measured, variant: PlannedVariant) -> Metric:
    """What one of a claim's numbers is measured by."""
    config = variant.config
    if config.evaluation.upsampling and (number.series or "").startswith("upsampled/"):
        return config.evaluation.upsampling.metric
    return config.evaluation.metric


# --- changes ----------------------------------------------------------------------------------------------------------


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
    def verdict(self) -> str:
        """The verdict as a table says it."""
        word = f"{self.word} (exploratory)" if self.exploratory and self.word != "not tested" else self.word
        return f"{word}: {self.why}" if self.why else word


def pair_effect(change: Change, design: DesignName, results: Results) -> ChangeEffect:
    """The effect of one pair of variants, wherever both are in the plan, whichever design asked for them."""
    before, after = arms(results.study, change, design)
    one, other = results.variant(before), results.variant(after)
    found = ChangeEffect(change, design, before, after, None, "not tested", "not run")
    if one is None or other is None:
        return found
    if one == other:
        return replace(found, why="both arms are one config at this scale")
    effect = stats.paired_effect(results.last(one), results.last(other))
    if effect.n == 0:
        return replace(found, effect=effect, why="no seed ended in both arms")
    apart = [
        f"seeds {arm} it {seeds_words(results.last(variant))}"
        for arm, variant in (("without", one), ("with", other))
        if variant.name in results.unstable
    ]
    # With an infinite ratio among them, log-ratios have no mean: the exact signed-rank test is left.
    p = effect.rank_p if effect.diverged else effect.t_p
    return replace(found, effect=effect, p=p, unstable="; ".join(apart))


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


def judge_change(change: Change, design: DesignName, results: Results) -> ChangeEffect:
    """What `change` did in `design`, corrected for the design's other changes."""
    return next(effect for effect in judge_design(design, results) if effect.change.name == change.name)


def judge_design(design: DesignName, results: Results) -> list[ChangeEffect]:
    """Every change in one design, in the study's order."""
    if design in ("screening", "shapley"):
        found = estimated(design, results)
    else:
        found = [pair_effect(change, design, results) for change in results.study.changes]
    unplanned = results.unplanned(design)
    late = [
        e.change.source is None
        or bool(unplanned or results.exploratory(f"change {e.change.name}"))
        or bool(e.effect is not None and e.effect.n and interim(e.effect.n, results))
        or bool(results.trained_before((e.before, e.after) if e.before else names_in(design, results)))
        or bool(e.estimate and e.estimate.screened and e.estimate.screened.missing)
        for e in found
    ]
    return judged([replace(e, exploratory=mark) for e, mark in zip(found, late, strict=True)])


def names_in(design: DesignName, results: Results) -> list[str]:
    """The variants of a design, for every seed of the plan."""
    return [variant.name for variant in results.plan.variants if design in variant.designs]


def judge_changes(results: Results) -> dict[DesignName, list[ChangeEffect]]:
    """Every change in every design that compares it, in the study's order."""
    return {design: judge_design(design, results) for design in available(results.study) if design != "grid"}


EXCLUDES = "the interval excludes “no change at all”"


def excludes_no_change(verdict: ClaimVerdict) -> bool:
    """Whether a claim that nothing changes, whatever its verdict by the margin, has an interval without 1."""
    effect = verdict.effect
    return verdict.claim.expects == "same" and effect is not None and side_of_one(effect) != "unresolved"


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


# --- end to end -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EndToEnd:
    """The base over all changes, above 1 when the changes help.

    `ratio` is the ratio of the geometric means, `least` the smallest ratio over every pairing of seeds; None where a
    diverged or missing run leaves none. `paired` is the ratio by seed, with its interval. `reached` is where along
    another axis both were read, None at equal iterations.
    """

    before: stats.LogSummary
    after: stats.LogSummary
    ratio: float | None
    least: float | None
    reached: float | None
    paired: stats.Effect | None = None


def end_to_end(before: Sequence[float] | np.ndarray, after: Sequence[float] | np.ndarray) -> EndToEnd:
    """The comparison at equal iterations from the two arms' values."""
    one, other = stats.log_summary(before), stats.log_summary(after)
    ratio = None
    if one.mean and other.mean and np.isfinite(one.mean) and np.isfinite(other.mean):
        ratio = one.mean / other.mean
    paired = stats.paired_effect(after, before) if len(before) == len(after) else None
    return EndToEnd(one, other, ratio, stats.smallest_pairing_ratio(before, after), None, paired)


Axis = Callable[[PlannedVariant, pd.DataFrame], np.ndarray]
"""What a curve of a variant is read along, one number for each of its evaluations."""


def seconds_axis(_: PlannedVariant, curve: pd.DataFrame) -> np.ndarray:
    """Seconds of training, evaluation not counted."""
    return curve["seconds"].to_numpy(dtype=float)


def work_axis(variant: PlannedVariant, curve: pd.DataFrame) -> np.ndarray:
    """Multiply-accumulates of training, counted from the config."""
    return np.array([training(variant.config, int(iteration)) for iteration in curve["iteration"]], dtype=float)


def end_to_end_at_equal(axis: Axis, results: Results, before: str, after: str) -> EndToEnd | None:
    """The comparison where each arm is read as far along `axis` as every finished run of both reached.

    None where a run diverged or that point lies before a run's first evaluation.
    """
    one, other = results.variant(before), results.variant(after)
    if one is None or other is None or one == other:
        return None
    curves, seeds = {}, []
    for arm in (one, other):
        ended = [s for s in results.plan.seeds_of(arm) if results.job(arm, s)["status"] in ("finished", "diverged")]
        if not ended or any(results.job(arm, s)["status"] == "diverged" for s in ended):
            return None
        measured = [results.curve(arm, seed) for seed in ended]
        if any(curve.empty for curve in measured):
            return None
        seeds.append(ended)
        curves[arm.name] = [(axis(arm, curve), curve["value"].to_numpy(dtype=float)) for curve in measured]
    reached = min(float(along[-1]) for arm_curves in curves.values() for along, _ in arm_curves)
    values: dict[str, list[float]] = {}
    for name, arm_curves in curves.items():
        read = [stats.value_at(along, value, reached) for along, value in arm_curves]
        if any(value is None for value in read):
            return None
        values[name] = [value for value in read if value is not None]
    found = end_to_end(values[one.name], values[other.name])
    paired = found.paired if seeds[0] == seeds[1] else None
    return EndToEnd(found.before, found.after, found.ratio, found.least, reached, paired)


def designs_with(study: Study, name: str) -> list[DesignName]:
    """The designs that train the variant of that name with all seeds."""
    names = {d: {variant_name(study, subset) for subset in DESIGNS[d](study, ())} for d in available(study)}
    return [design for design in names if name in names[design]]
