"""What belongs into the sentence that tells of an effect: what else the change does, and how well the finding keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ablations.designs import in_order
from ablations.schema import Change, DesignName
from core.arithmetic import g_updates
from core.config import AnyConfig
from reports import stats
from reports.numbers import counted, interval, listed, short
from reports.page import Strong, Text
from reports.results import Results
from reports.verdicts import ChangeEffect, one_family, seeds_words
from studies.numbers import trained_here

Effects = Mapping[DesignName, Sequence[ChangeEffect]]


def configs_of(change: Change, results: Results) -> tuple[AnyConfig, AnyConfig]:
    """The base with what a change requires, and the same with the change, as this setting trains them."""
    study = results.study
    subsets = in_order(study, set(change.requires)), in_order(study, {change.name, *change.requires})
    without, with_it = (trained_here(study, results.profile, results.plan, subset) for subset in subsets)
    return without, with_it


def g_updates_remark(change: Change, results: Results) -> str:
    """That a change alters how often G is updated, with both numbers; nothing where it does not.

    An iteration is an update of D, so variants that are compared at equal iterations may differ in updates of G.
    """
    without, with_it = (g_updates(config) for config in configs_of(change, results))
    if without == with_it:
        return ""
    more = f"{with_it / without:.3g} times as many" if without else "more"
    return f"with it G also has {more} updates: {with_it:,}, not {without:,}"


def g_updates_note(results: Results) -> str:
    """Of all changes of the study that alter how often G is updated, as a sentence; nothing where none does."""
    told = [
        f"{change.title}: {remark}" for change in results.study.changes if (remark := g_updates_remark(change, results))
    ]
    return f" At equal iterations updates of G are not equal ({'; '.join(told)})." if told else ""


def family_remark(effect: ChangeEffect, effects: Effects) -> str:
    """Whether a significant effect stays so over the comparisons of all designs as one family; nothing where one design
    was tested, whose verdicts are corrected so already."""
    family = one_family(effects)
    if family.designs < 2:
        return ""
    keeps = "still significant" if family.keeps(effect) else "not significant"
    return f"{keeps} when all {family.comparisons} comparisons of all designs are one family"


def finding(effect: ChangeEffect, results: Results, effects: Effects) -> str:
    """A change that helps or hurts, with its factor and everything that has to stand in the same sentence."""
    known = effect.effect is not None and effect.effect.ratio is not None
    parts = [
        interval(effect.effect) if known else "",
        g_updates_remark(effect.change, results),
        family_remark(effect, effects),
    ]
    said = "; ".join(part for part in parts if part)
    return f"{effect.change.title} ({said})" if said else effect.change.title


# --- instability ------------------------------------------------------------------------------------------------------


def unstable_rungs(results: Results, names: Sequence[str]) -> list[int]:
    """Which rungs of a ladder, by the names of their variants, are unstable."""
    variants = [results.variant(name) for name in names]
    return [rung for rung, variant in enumerate(variants) if variant is not None and variant.name in results.unstable]


def candidate(effect: ChangeEffect, results: Results) -> str:
    """A change that is significant before the correction only, with all that has to stand in the same sentence."""
    parts = [
        interval(effect.effect),
        "" if effect.p_holm is None else f"p = {effect.p_holm:.2g} after the correction",
        g_updates_remark(effect.change, results),
    ]
    return f"{effect.change.title} ({'; '.join(part for part in parts if part)})"


def rungs_words(results: Results, names: Sequence[str]) -> str:
    """What keeps a ladder's steps from being read one by one: unstable rungs, and a rung worse than the first one."""
    return " ".join(part for part in (unstable_rungs_words(results, names), peak_words(results, names)) if part)


def peak_words(results: Results, names: Sequence[str]) -> str:
    """That the worst rung, where it is worse than the first one and not the last, is what the next step comes from."""
    arms = {
        rung: arm
        for rung, name in enumerate(names)
        if (variant := results.variant(name)) is not None
        and (arm := stats.log_summary(results.last(variant))).mean is not None
        and np.isfinite(arm.mean)
    }
    if 0 not in arms or len(arms) < len(names):
        return ""
    peak = max(arms, key=lambda rung: arms[rung].mean or 0.0)
    if not 0 < peak < len(names) - 1 or names[peak] in results.unstable:
        return ""
    one, after, worst = (results.variant(names[rung]) for rung in (peak - 1, peak + 1, peak))
    assert one is not None and after is not None and worst is not None
    first = results.variant(names[0])
    assert first is not None
    across = stats.paired_effect(results.last(one), results.last(after))
    above = stats.paired_effect(results.last(first), results.last(worst))
    if across.ratio is None or above.ratio is None:
        return ""
    resolved = "" if above.low is not None and above.low > 1 else ", not resolved"
    return (
        f"Rung {peak} ({seeds_words(results.last(worst))}) lies above rung 0 ({short(arms[0].mean)}; ×{interval(above)}"
        f"{resolved}), so a part of step {peak + 1} may be the recovery from it: "
        f"rung {peak + 1} over rung {peak - 1} is ×{interval(across)}."
    )


def unstable_rungs_words(results: Results, names: Sequence[str]) -> str:
    """The unstable rungs with their seeds, and which steps cannot be read; nothing where all rungs are stable."""
    rungs = unstable_rungs(results, names)
    if not rungs:
        return ""
    seeds = {rung: results.variant(names[rung]) for rung in rungs}
    told_of = [f"{rung} ({seeds_words(results.last(variant))})" for rung, variant in seeds.items() if variant]
    # A rung's own step leads into it, the next one's out of it again; rung 0 is nobody's step.
    steps = sorted({step for rung in rungs for step in (rung, rung + 1) if 0 < step < len(names)})
    many = len(rungs) > 1
    subject = f"{'Rungs' if many else 'Rung'} {listed(told_of)} {'are' if many else 'is'} unstable over seeds"
    if not steps:
        return f"{subject}."
    whole = "rungs" if len(steps) > 1 else "rung"
    how = "single steps" if len(steps) > 1 else "a single step"
    return f"{subject}; {whole} {listed([str(step) for step in steps])} cannot be read as {how}."


def unstable_words(results: Results, told_already: Sequence[str] = ()) -> str:
    """Every unstable variant with its seeds, for a list of what to beware of, but those that are told of already;
    nothing where all are stable."""
    known = {variant.name for name in told_already if (variant := results.variant(name)) is not None}
    found = [
        f"“{results.title(variant.name)}” ({seeds_words(results.last(variant))})"
        for variant in results.plan.variants
        if variant.name in results.unstable - known
    ]
    if not found:
        return ""
    return f"{counted(len(found), 'variant is', 'variants are')} unstable over seeds and no evidence: {listed(found)}"


def verdict_text(effect: ChangeEffect) -> Text:
    """The verdict of a row, bold where it is one."""
    return Strong(effect.verdict) if effect.word in ("helps", "hurts") else effect.verdict
