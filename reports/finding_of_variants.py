"""The finding of a study that is answered by which variant is best, in words; and the arms, for the figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ablations import patch
from ablations.answers import NumberAnswer, VariantsAnswer
from ablations.designs import in_order, subset_named, variant_name
from core.errors import InputError
from reports import stats
from reports.claims import ClaimWord
from reports.comparability import MixedProtocols
from reports.numbers import MOST_WORDS, counted, interval, short
from reports.report import Report
from reports.results import Results, load, metric_letters
from reports.verdicts import compare, side_of_one
from studies.plan import PlannedVariant


@dataclass(frozen=True)
class Arm:
    """One variant of a panel: what it is called there, and its value per seed, NaN where none has ended. `planned` says
    whether it was to be trained; `elsewhere` is its mean in the study that gives the order, None where it has none."""

    name: str
    title: str
    values: NDArray[np.float64]
    planned: bool
    unstable: bool = False
    elsewhere: float | None = None

    @property
    def summary(self) -> stats.LogSummary:
        """Its mean and how many of its seeds ended."""
        return stats.log_summary(self.values)

    @property
    def rank(self) -> tuple[int, float]:
        """For the order of rows: what ended well by its mean, then what is unstable, what diverged, what is missing."""
        mean = self.summary.mean
        if mean is None:
            return 3, 0.0
        return (2 if not np.isfinite(mean) else 1 if self.unstable else 0), mean


@dataclass(frozen=True)
class Panel:
    """Arms under a heading, the base's name among them where it is there."""

    heading: str
    arms: tuple[Arm, ...]
    base: str


def with_alternative(results: Results, name: str, alternative: str | None) -> str | None:
    """The name of the variant of that name with one more alternative; None where it is no subset of changes."""
    if alternative is None:
        return name
    try:
        return variant_name(results.study, in_order(results.study, {*subset_named(results.study, name), alternative}))
    except KeyError:
        return None


def alternatives(results: Results, group: str | None) -> list[str | None]:
    """The base's, which is none, and those of a group."""
    return [None, *(results.study.groups[group] if group is not None else ())]


def heading(results: Results, alternative: str | None, base_panel: str) -> str:
    """What a panel is called."""
    return base_panel if alternative is None else results.study.change(alternative).title


def arm(results: Results, name: str, row: str) -> Arm:
    """The arm of a variant by name, called after the `row` that it belongs to."""
    variant = results.variant(name)
    values = np.full(len(results.plan.seeds), np.nan) if variant is None else results.last(variant)
    unstable = variant is not None and variant.name in results.unstable
    return Arm(name, row_title(results, row), values, variant is not None, unstable)


def row_title(results: Results, name: str) -> str:
    """What a row is called: an alternative by itself."""
    try:
        subset = subset_named(results.study, name)
    except KeyError:
        subset = ()
    return results.study.change(subset[0]).title if len(subset) == 1 else results.title(name)


def row_names(results: Results, answer: VariantsAnswer) -> list[str]:
    """The variants that an answer is about, by the names that they have in the base's panel."""
    if answer.variants:
        return list(answer.variants)
    if answer.rows is not None:
        return ["baseline", *(f"baseline+{name}" for name in results.study.groups[answer.rows])]
    others = set(results.study.groups[answer.panels]) if answer.panels is not None else set()
    return [variant.name for variant in results.plan.listed if not others & set(variant.changes)]


def panels_of(results: Results, answer: VariantsAnswer) -> list[Panel]:
    """The panels of an answer with their rows in order; a panel of which nothing is planned is left out."""
    names = row_names(results, answer)
    fits = elsewhere(results, answer)
    panels: list[Panel] = []
    for alternative in alternatives(results, answer.panels):
        named = [(with_alternative(results, name, alternative), name) for name in names]
        arms = [arm(results, own, name) for own, name in named if own is not None]
        if any(each.planned for each in arms):
            base = with_alternative(results, "baseline", alternative) or "baseline"
            panels.append(Panel(heading(results, alternative, answer.base_panel), tuple(arms), base))
    if fits is not None and answer.rows is not None:
        return [by_order_of(panel, results, fits, answer) for panel in panels]
    return aligned(panels, answer.most)


def aligned(panels: Sequence[Panel], most: int) -> list[Panel]:
    """The panels with the same rows, in the order of the first one: the best of them, and the base."""
    if not panels:
        return []
    first = panels[0]
    there = [k for k in range(len(first.arms)) if any(k < len(p.arms) and p.arms[k].planned for p in panels)]
    order = sorted(there, key=lambda k: first.arms[k].rank)
    kept = [k for place, k in enumerate(order) if place < most or first.arms[k].name == first.base]
    return [Panel(panel.heading, tuple(panel.arms[k] for k in kept), panel.base) for panel in panels]


def elsewhere(results: Results, answer: VariantsAnswer) -> Results | None:
    """The runs of the study that gives the order of rows; None where there are none, or none that can be read."""
    if answer.order_of is None:
        return None
    try:
        return load(answer.order_of.study, results.runs, answer.order_of.profile_for(results.plan.profile))
    except (InputError, MixedProtocols):
        return None


def by_order_of(panel: Panel, results: Results, fits: Results, answer: VariantsAnswer) -> Panel:
    """The panel's rows in the order of their counterparts' means elsewhere, what has none there last."""
    arms = []
    for each in panel.arms:
        variant = results.variant(each.name)
        there = None if variant is None else counterpart(variant, results, fits, answer.rows or "")
        mean = None if there is None else stats.log_summary(fits.last(there)).mean
        if each.planned:
            arms.append(replace(each, elsewhere=mean))
    order = sorted(arms, key=lambda a: np.inf if a.elsewhere is None else a.elsewhere)
    return Panel(panel.heading, tuple(order[: answer.most]), panel.base)


def counterpart(variant: PlannedVariant, results: Results, fits: Results, group: str) -> PlannedVariant | None:
    """The variant elsewhere that has the same nodes where the group's changes are, and the same other changes: by
    value, for a profile may read a name otherwise."""
    paths = {edit.path for change in results.study.changes if change.group == group for edit in change.edits}
    mine, rest = variant.config.model_dump(mode="json"), set(variant.changes) - set(results.study.groups[group])
    for other in fits.plan.variants:
        if set(other.changes) - set(fits.study.groups.get(group, ())) == rest:
            theirs = other.config.model_dump(mode="json")
            if all(patch.has(theirs, p) and patch.lookup(theirs, p) == patch.lookup(mine, p) for p in paths):
                return other
    return None


# --- in words ---------------------------------------------------------------------------------------------------------


def of_variants(report: Report, answer: VariantsAnswer) -> list[str]:
    """The finding as sentences; nothing where no run of a row has ended."""
    panels = panels_of(report.results, answer)
    arms = panels[0].arms if panels else ()
    if len(arms) == 1 and len(panels) == 1:
        return alone(arms[0], report)
    return best_of(arms, report)


def of_number(report: Report, answer: NumberAnswer) -> list[str]:
    """The finding as sentences, of the base's panel."""
    names = dict.fromkeys(name for line in answer.lines for name in line.variants)
    return best_of([arm(report.results, name, name) for name in names], report)


VALUE_WORDS: dict[ClaimWord, str] = {
    "reproduced": "which reproduces the deck's {deck}",
    "contradicted": "which contradicts the deck's {deck}",
    "inconclusive": "which is inconclusive against the deck's {deck}",
    "not comparable": "the deck's {deck} does not compare",
}


def alone(one: Arm, report: Report) -> list[str]:
    """One variant's value, and what became of the deck's number for it."""
    summary, mean = one.summary, stats.geometric_mean(one.values)
    if not summary.n:
        return []
    name = f"{one.title[:1].upper()}{one.title[1:]}"
    if summary.diverged:
        return [f"{name} diverged in {summary.diverged} of {counted(summary.n, 'seed')}."]
    if mean is None:
        return [f"{name} ended in {counted(summary.n, 'seed')}, without a mean."]
    ends = f" [{short(mean.low)}, {short(mean.high)}]" if mean.low is not None and mean.high is not None else ""
    said = f"{name}: {metric_letters(report.results)} {short(mean.centre)}{ends} (n = {mean.n})"
    for verdict in report.claims:
        claim = verdict.claim
        if claim.before is None and claim.after.variant == one.name and verdict.word in VALUE_WORDS:
            deck = f"{claim.metric} {claim.after.value:g}"
            said += f"; {VALUE_WORDS[verdict.word].format(deck=deck)}"
            break
    return [f"{said}."]


def best_of(arms: Sequence[Arm], report: Report) -> list[str]:
    """Which of several is best, against the base or, where that is the base itself, against the next one."""
    ranked = [each for each in sorted(arms, key=lambda a: a.rank) if each.rank[0] == 0]
    if not ranked:
        lost = sum(each.summary.diverged > 0 for each in arms)
        ended = sum(each.summary.n > 0 for each in arms)
        return [f"None of {counted(len(arms), 'variant')} is stable: {lost} diverged."] if ended else []
    best = ranked[0]
    said = [against(best, ranked, arms, report)]
    if best.name != "baseline" and len(ranked) > 1:
        said.append("It was picked as the best on these seeds, so its advantage is overstated.")
    if gone := sum(each.summary.diverged > 0 for each in arms):
        said.append(f"{gone} of {counted(len(arms), 'variant')} diverged in a seed or more.")
    return said


def against(best: Arm, ranked: Sequence[Arm], arms: Sequence[Arm], report: Report) -> str:
    """The best one's ratio to the base, or the next one's to it."""
    results = report.results
    title = best.title
    base = next((each for each in arms if each.name == "baseline"), None)
    if best.name == "baseline" and len(ranked) > 1:
        other, effect = ranked[1], compare(results, best.name, ranked[1].name)
    elif best.name != "baseline" and base is not None and base.summary.n:
        other, effect = base, compare(results, base.name, best.name)
    else:
        return f"Best of {len(ranked)}: {title}, {short(best.summary.mean)} (n = {best.summary.n})."
    if effect is None or effect.ratio is None:
        return f"Best of {len(ranked)}: {title}; {other.title} gives no ratio to it (n = {best.summary.n})."
    which = f"Best of {len(ranked)}{', not resolved' if side_of_one(effect) == 'unresolved' else ''}: {title}"
    ratio, n = f"×{interval(effect)}", f"(n = {effect.n})"
    if best.name == "baseline":
        forms = [f"{which}; then {other.title}, {ratio} of it {n}.", f"{which}; the next has {ratio} of it {n}."]
    else:
        forms = [f"{which}, {ratio} of {other.title} {n}.", f"{which}, {ratio} of the base {n}."]
    return next((each for each in forms if len(each.split()) <= MOST_WORDS), forms[-1])
