"""What belongs into the sentence that tells of an effect: what else the change does, and how well the finding keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ablations.designs import in_order, ladder, variant_name
from ablations.schema import Change, DesignName, Study
from core.arithmetic import g_updates
from core.config import AnyConfig
from reports.fair import fair_remark
from reports.numbers import counted, interval, listed, short
from reports.page import Strong, Text
from reports.results import Results
from reports.verdicts import ChangeEffect, astray_words, compare, one_family, seeds_words
from studies.numbers import trained_here
from studies.plan import PlannedVariant
from studies.power import MOST_SEEDS, seeds_to_decide

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


def cost_remark(effect: ChangeEffect, results: Results) -> str:
    """Whether a finding stands at equal updates of G, images and arithmetic; where that is not known, how often G is
    updated."""
    return fair_remark(effect, results) or g_updates_remark(effect.change, results)


def g_updates_note(results: Results) -> str:
    """Of all changes of the study that alter how often G is updated, as a sentence; nothing where none does."""
    cells = [
        f"{change.title}: {remark}" for change in results.study.changes if (remark := g_updates_remark(change, results))
    ]
    return f" At equal iterations updates of G are not equal ({'; '.join(cells)})." if cells else ""


def family_words(resolved: Sequence[ChangeEffect], effects: Effects) -> str:
    """Which of these significant effects stay so over the comparisons of all designs as one family; nothing where one
    design was tested, whose verdicts are corrected so already."""
    family = one_family(effects)
    if family.designs < 2 or not resolved:
        return ""
    lost = [effect.change.brief for effect in resolved if not family.keeps(effect)]
    whole = f"when all {family.comparisons} comparisons of all designs are one family"
    if not lost:
        return f"{'it stays' if len(resolved) == 1 else f'all {len(resolved)} stay'} so {whole}"
    if len(lost) == len(resolved):
        return f"{'it does not stay' if len(resolved) == 1 else 'none stays'} so {whole}"
    return f"all but {listed(lost)} stay so {whole}"


def clauses(tested: Sequence[ChangeEffect], results: Results, effects: Effects) -> list[str]:
    """What a design found, word by word: the changes with each verdict, and what has to stand in the same sentence."""
    lines = []
    resolved = [e for e in tested if e.resolved]
    for word, phrase in (("helps", "help"), ("hurts", "hurt")):
        findings = [remarked(e, e.why, cost_remark(e, results)) for e in tested if e.word == word]
        lines += [f"{len(findings)} {phrase if len(findings) > 1 else word}: {listed(findings)}"] if findings else []
    lines += [words] if (words := family_words(resolved, effects)) else []
    if small := [remarked(e, e.why) for e in tested if e.word == "negligible"]:
        within = f"within a factor of {results.study.negligible:g}"
        lines.append(f"{len(small)} negligible, {within}: {listed(small)}")
    if open_ones := [e for e in tested if e.word == "open"]:
        needed = [seeds_remark(e, results) for e in open_ones]
        told = [remarked(e, e.why, seeds) for e, seeds in zip(open_ones, needed, strict=True)]
        lines.append(f"{len(told)} open{SEEDS_NEEDED if any(needed) else ''}: {listed(told)}")
    if lost := [f"{e.change.title} ({e.why})" for e in tested if e.word == "unstable"]:
        lines.append(f"{len(lost)} unstable over seeds: {listed(lost)}")
    return lines


SEEDS_NEEDED = " (with the seeds at which 80% of studies would decide it, were ratio and scatter exactly these)"


def seeds_remark(effect: ChangeEffect, results: Results) -> str:
    """How many seeds it would take to decide an open change, were its ratio and its scatter what they are here."""
    known = effect.effect
    if known is None or known.ratio is None or known.error is None or not known.n:
        return ""
    log_sd = known.error * math.sqrt(known.n)
    family = len(results.study.judged)
    borrowed = (known.df or 0.0) - (known.n - 1) if effect.estimate is None else 0.0
    margin = results.study.negligible
    needed = seeds_to_decide(log_sd, known.ratio, margin, comparisons=family, borrowed=max(0.0, borrowed))
    return f"over {MOST_SEEDS:,} seeds" if needed is None else f"{needed} seeds"


def remarked(effect: ChangeEffect, *remarks: str) -> str:
    """A change with its ratio and remarks, as far as there are any."""
    ratio = interval(effect.effect) if effect.effect is not None and effect.effect.ratio is not None else ""
    line = "; ".join(part for part in (ratio, *remarks) if part)
    return f"{effect.change.title} ({line})" if line else effect.change.title


# --- instability ------------------------------------------------------------------------------------------------------


def ladder_names(study: Study) -> list[str]:
    """The names of a ladder's rungs."""
    return [variant_name(study, subset) for subset in ladder(study)]


def rungs_words(results: Results) -> str:
    """What keeps a ladder's steps from being read one by one: unstable rungs, and a rung worse than the first one."""
    return " ".join(part for part in (unstable_rungs_words(results), peak_words(results)) if part)


def peak_words(results: Results) -> str:
    """That the worst rung, where it is worse than the first one and not the last, is what the next step comes from."""
    names = ladder_names(results.study)
    means = [results.ends(name).mean for name in names]
    known = [mean for mean in means if mean is not None and np.isfinite(mean)]
    if len(known) < len(names):
        return ""
    peak = known.index(max(known))
    if not 0 < peak < len(names) - 1 or names[peak] in results.unstable:
        return ""
    across, above = compare(results, names[peak - 1], names[peak + 1]), compare(results, names[0], names[peak])
    worst = results.variant(names[peak])
    if across is None or above is None or worst is None or across.ratio is None or above.ratio is None:
        return ""
    resolved = "" if above.low is not None and above.low > 1 else ", not resolved"
    return (
        f"Rung {peak} ({seeds_words(results.last(worst))}) lies above rung 0 ({short(known[0])}; ×{interval(above)}"
        f"{resolved}), so a part of step {peak + 1} may be the recovery from it: "
        f"rung {peak + 1} over rung {peak - 1} is ×{interval(across)}."
    )


def unstable_rungs(results: Results) -> dict[int, PlannedVariant]:
    """The rungs of the ladder whose seeds end wildly apart."""
    variants = enumerate(map(results.variant, ladder_names(results.study)))
    return {rung: variant for rung, variant in variants if variant is not None and variant.name in results.unstable}


def unstable_rungs_words(results: Results) -> str:
    """The unstable rungs with their seeds, and which steps cannot be read; nothing where all rungs are stable."""
    rungs = unstable_rungs(results)
    if not rungs:
        return ""
    told_of = [f"{rung} ({astray_words(results.last(variant))})" for rung, variant in rungs.items()]
    many = len(rungs) > 1
    subject = f"{'Rungs' if many else 'Rung'} {listed(told_of)} {'are' if many else 'is'} unstable over seeds"
    return f"{'; '.join(part for part in (subject, unread_steps(results)) if part)}."


def unread_steps(results: Results) -> str:
    """Which steps cannot be read for unstable rungs: a rung's own leads into it, the next one's out of it again; rung 0
    is nobody's step."""
    names = ladder_names(results.study)
    steps = sorted({s for rung in unstable_rungs(results) for s in (rung, rung + 1) if 0 < s < len(names)})
    if not steps:
        return ""
    whole, how = ("rungs", "single steps") if len(steps) > 1 else ("rung", "a single step")
    return f"{whole} {listed([str(step) for step in steps])} cannot be read as {how}"


def unstable_words(results: Results) -> str:
    """Every unstable variant with its seeds, for a list of what to beware of; nothing where all are stable."""
    lines = [
        f"“{results.title(variant.name)}” ({astray_words(results.last(variant))})"
        for variant in results.plan.variants
        if variant.name in results.unstable
    ]
    if not lines:
        return ""
    many = counted(len(lines), "variant is", "variants are")
    return f"{many} unstable over seeds, so that ratios with one, which are of means, say little: {listed(lines)}"


def verdict_text(effect: ChangeEffect) -> Text:
    """The verdict of a row, bold where it is one."""
    return Strong(effect.verdict) if effect.resolved else effect.verdict
