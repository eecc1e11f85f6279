"""Judging claims and changes by rules that were fixed before the numbers were there.

A claim's direction is reproduced when the 95% interval of the paired ratio after / before lies on the claim's side of 1
entirely, contradicted when it lies on the other side, inconclusive otherwise. A change helps when the interval of its
effect lies below 1, hurts when it lies above. A diverged run leaves no interval: the verdict then says who diverged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ablations.designs import DESIGNS, available, in_order, ladder, variant_name
from ablations.schema import Change, Claim, DesignName, Study
from reports import stats
from reports.results import Results

Direction = Literal["reproduced", "contradicted", "inconclusive", "not tested"]
Word = Literal["helps", "hurts", "inconclusive", "diverged", "same config", "not tested"]

METRIC_OF_THE_FIELD = {"clean_fid": "FID", "mae": "MAE"}
"""What claims call the metric that a config names; any other metric is nobody else's."""


@dataclass(frozen=True)
class ClaimVerdict:
    """`differs` names what keeps the magnitudes apart; empty means they may be compared. `why` is one sentence."""

    claim: Claim
    direction: Direction
    why: str
    effect: stats.Effect | None
    differs: tuple[str, ...]

    @property
    def magnitude(self) -> str:
        """`comparable`, or `not comparable`."""
        return "not comparable" if self.differs else "comparable"


@dataclass(frozen=True)
class ChangeEffect:
    """What one change did in one design: `after` has it, `before` has not. `word` is the verdict, `why` its remark."""

    change: Change
    design: DesignName
    before: str
    after: str
    effect: stats.Effect | None
    word: Word
    why: str

    @property
    def verdict(self) -> str:
        """The verdict as a table says it."""
        return self.why if self.word in ("diverged", "not tested") else self.word


def compare(results: Results, before: str, after: str, level: float = 0.95) -> stats.Effect | None:
    """The paired effect at the last iteration between two variants by name; None where the plan lacks one."""
    one, other = results.variant(before), results.variant(after)
    if one is None or other is None:
        return None
    return stats.paired_effect(results.last(one), results.last(other), level)


def diverged_words(effect: stats.Effect) -> str:
    """Which arm diverged, in how many of its runs."""
    arms = (("without", effect.diverged_before), ("with", effect.diverged_after))
    return "diverged in " + ", ".join(f"{lost} of {effect.n} {arm}" for arm, lost in arms if lost)


def side_of_one(effect: stats.Effect) -> Literal["below", "above", "unresolved"]:
    """Where the interval of a ratio lies."""
    if effect.low is None or effect.high is None:
        return "unresolved"
    return "below" if effect.high < 1 else "above" if effect.low > 1 else "unresolved"


def judge_claim(claim: Claim, results: Results) -> ClaimVerdict:
    """The verdict on one claim in the setting of `results`."""
    differs = what_differs(claim, results)
    for name in (claim.before_variant, claim.after_variant):
        if results.variant(name) is None:
            return ClaimVerdict(claim, "not tested", f"the plan has no variant {name}", None, differs)
    effect = compare(results, claim.before_variant, claim.after_variant)
    assert effect is not None
    if effect.n == 0:
        why = f"no seed has ended in both {claim.before_variant} and {claim.after_variant}"
        return ClaimVerdict(claim, "not tested", why, effect, differs)
    if effect.diverged:
        why = (
            f"{claim.before_variant} diverged in {effect.diverged_before} and {claim.after_variant} in "
            f"{effect.diverged_after} of {effect.n} seeds, so the ratio has no interval"
        )
        return ClaimVerdict(claim, "inconclusive", why, effect, differs)
    if effect.low is None:
        return ClaimVerdict(claim, "inconclusive", f"n = {effect.n}: one pair has no interval", effect, differs)
    if claim.before == claim.after:
        why = "the claim is that nothing changes, which no interval can show; read how wide it is"
        return ClaimVerdict(claim, "inconclusive", why, effect, differs)
    side = side_of_one(effect)
    if side == "unresolved":
        return ClaimVerdict(claim, "inconclusive", "the interval contains 1", effect, differs)
    claimed = "below" if claim.after < claim.before else "above"
    direction: Direction = "reproduced" if side == claimed else "contradicted"
    return ClaimVerdict(claim, direction, f"the whole interval lies {side} 1", effect, differs)


def what_differs(claim: Claim, results: Results) -> tuple[str, ...]:
    """What keeps our magnitude from being compared with the claim's."""
    plan = results.plan
    differs = []
    if plan.profile != claim.comparable_profile:
        differs.append(f"scale: profile {plan.profile} here, {claim.comparable_profile} there")
    if plan.data_name.casefold() != claim.dataset.casefold():
        differs.append(f"dataset: {plan.data_name} here, {claim.dataset} there")
    iterations = sorted({v.config.iterations for v in plan.variants})
    if claim.iterations is not None and iterations and iterations != [claim.iterations]:
        differs.append(f"iterations: {', '.join(f'{i:,}' for i in iterations)} here, {claim.iterations:,} there")
    metrics = sorted({v.config.evaluation.metric.kind for v in plan.variants})
    if any(METRIC_OF_THE_FIELD.get(metric) != claim.metric for metric in metrics):
        differs.append(f"metric: {', '.join(metrics)} here, {claim.metric} there")
    if plan.overrides:
        differs.append(f"overrides: {', '.join(f'{path}={value}' for path, value in plan.overrides.items())}")
    return tuple(differs)


def arms(study: Study, change: Change, design: DesignName) -> tuple[str, str]:
    """The names of the variants without and with `change` that `design` compares. A grid compares no single pair."""
    everything = {c.name for c in study.changes}
    match design:
        case "ladder":
            rungs = ladder(study)
            place = [c.name for c in study.changes].index(change.name)
            without, with_it = rungs[place], rungs[place + 1]
        case "add_one_in":
            without, with_it = in_order(study, set(change.requires)), in_order(study, {change.name, *change.requires})
        case "leave_one_out":
            dropped = {change.name} | {c.name for c in study.changes if change.name in c.requires}
            without, with_it = in_order(study, everything - dropped), in_order(study, everything)
        case "grid":
            raise ValueError("a grid has many pairs for one change")
    return variant_name(study, without), variant_name(study, with_it)


def judge_change(change: Change, design: DesignName, results: Results, level: float = 0.95) -> ChangeEffect:
    """What `change` did in `design`, wherever both of its arms are in the plan, whichever design asked for them."""
    before, after = arms(results.study, change, design)
    one, other = results.variant(before), results.variant(after)
    if one is None or other is None:
        return ChangeEffect(change, design, before, after, None, "not tested", "not run")
    if one == other:
        return ChangeEffect(
            change, design, before, after, None, "same config", "both arms are one config at this scale"
        )
    effect = compare(results, before, after, level)
    assert effect is not None
    if effect.n == 0:
        return ChangeEffect(change, design, before, after, effect, "not tested", "no seed ended in both arms")
    if effect.diverged:
        return ChangeEffect(change, design, before, after, effect, "diverged", diverged_words(effect))
    match side_of_one(effect):
        case "below":
            return ChangeEffect(change, design, before, after, effect, "helps", "")
        case "above":
            return ChangeEffect(change, design, before, after, effect, "hurts", "")
    why = "one seed: no interval" if effect.low is None else "the interval contains 1"
    return ChangeEffect(change, design, before, after, effect, "inconclusive", why)


def judge_changes(results: Results, level: float = 0.95) -> dict[DesignName, list[ChangeEffect]]:
    """Every change in every design, in the study's order."""
    return {
        design: [judge_change(change, design, results, level) for change in results.study.changes]
        for design in available(results.study)
        if design != "grid"
    }


@dataclass(frozen=True)
class EndToEnd:
    """Baseline over `all`, above 1 when the changes help.

    `ratio` is the ratio of the means, `least` the smallest ratio over every pairing of seeds; None where a diverged or
    missing run leaves none. `seconds` is None at equal iterations.
    """

    before: stats.Summary
    after: stats.Summary
    ratio: float | None
    least: float | None
    seconds: float | None


def end_to_end(before: Sequence[float] | np.ndarray, after: Sequence[float] | np.ndarray) -> EndToEnd:
    """The comparison at equal iterations from the two arms' values."""
    one, other = stats.summary(before), stats.summary(after)
    ratio = None
    if one.mean and other.mean and np.isfinite(one.mean) and np.isfinite(other.mean):
        ratio = one.mean / other.mean
    return EndToEnd(one, other, ratio, stats.smallest_pairing_ratio(before, after), None)


def end_to_end_at_equal_seconds(results: Results, before: str, after: str) -> EndToEnd | None:
    """The comparison where each arm is read at the largest number of training seconds that every finished run of both
    reached. None where a run diverged or the time lies before a run's first evaluation."""
    one, other = results.variant(before), results.variant(after)
    if one is None or other is None or one == other:
        return None
    curves = {}
    for arm in (one, other):
        ended = [s for s in results.plan.seeds if results.job(arm, s)["status"] in ("finished", "diverged")]
        if not ended or any(results.job(arm, s)["status"] == "diverged" for s in ended):
            return None
        curves[arm.name] = [results.curve(arm, seed) for seed in ended]
    if any(curve.empty for arm_curves in curves.values() for curve in arm_curves):
        return None
    reached = min(float(curve["seconds"].iloc[-1]) for arm_curves in curves.values() for curve in arm_curves)
    values: dict[str, list[float]] = {}
    for name, arm_curves in curves.items():
        read = [stats.value_at_seconds(c["seconds"], c["value"], reached) for c in arm_curves]
        if any(value is None for value in read):
            return None
        values[name] = [value for value in read if value is not None]
    found = end_to_end(values[one.name], values[other.name])
    return EndToEnd(found.before, found.after, found.ratio, found.least, reached)


def designs_with(study: Study, name: str) -> list[DesignName]:
    """The designs that train the variant of that name."""
    return [d for d in available(study) if name in [variant_name(study, s) for s in DESIGNS[d](study)]]
