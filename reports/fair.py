"""A change that alters how much is computed, at equal something else than iterations.

An iteration is one update of D. A change of how often G is updated, of the batch or of the networks' sizes makes equal
iterations unequal in updates of G, in real images, or in arithmetic. Equal is made of them in two ways: the costlier
arm is read earlier, where it has had as much as the cheaper one at its end; and a control arm of the study is trained
for longer (`ablations.controls`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.arithmetic import g_updates, training
from core.config import AnyConfig
from core.values import shares
from reports import stats
from reports.numbers import interval, listed
from reports.results import Results
from reports.verdicts import ChangeEffect, side_of_one
from studies.plan import PlannedVariant

Cost = Literal["updates of G", "real images", "arithmetic"]

COSTS: dict[Cost, Callable[[AnyConfig, int], int]] = {
    "updates of G": g_updates,
    "real images": lambda config, iterations: config.batch_size * iterations,
    "arithmetic": training,
}
"""What so many iterations of a config come to."""

ALIKE = 0.05
"""Costs that differ by no more count as equal: what another form of a layer takes is no question of budget."""


@dataclass(frozen=True)
class AtEqual:
    """The ratio with / without a change at equal `cost`: where `control` is empty the costlier arm was read earlier, at
    iteration `read_at`; else the control arm of that name has had as much as the other one at its end."""

    cost: Cost
    effect: stats.Effect
    read_at: int = 0
    control: str = ""

    @property
    def words(self) -> str:
        """What is equal, and how."""
        return f"{self.cost}, trained for longer" if self.control else self.cost


def differs_in(before: AnyConfig, after: AnyConfig) -> list[Cost]:
    """What two configs differ in when each is trained to its end."""
    ends = {cost: (of(before, before.iterations), of(after, after.iterations)) for cost, of in COSTS.items()}
    return [cost for cost, (one, other) in ends.items() if abs(one - other) > ALIKE * max(one, other)]


def at_equal(found: ChangeEffect, results: Results) -> list[AtEqual]:
    """A comparison at equal everything that its arms differ in; nothing where they differ in none, or are not there."""
    if not found.before:
        return []
    return [*both_read(found.before, found.after, results), *controlled(found, results)]


def both_read(before: str, after: str, results: Results) -> list[AtEqual]:
    """Two variants at equal everything that they differ in, the costlier one read earlier."""
    one, other = results.variant(before), results.variant(after)
    if one is None or other is None:
        return []
    earlier = [read_earlier(cost, one, other, results) for cost in differs_in(one.config, other.config)]
    return [each for each in earlier if each is not None]


def read_earlier(cost: Cost, one: PlannedVariant, other: PlannedVariant, results: Results) -> AtEqual | None:
    """The costlier arm where it has cost what the cheaper one has at its end; None where that lies before its first
    evaluation, or a run diverged."""
    of = COSTS[cost]
    reached = min(of(variant.config, variant.config.iterations) for variant in (one, other))

    def values(variant: PlannedVariant) -> np.ndarray:
        return np.array([value_at(cost, variant, seed, reached, results) for seed in results.plan.seeds])

    effect = stats.paired_effect(values(one), values(other))
    if not effect.n or effect.ratio is None:
        return None
    costlier = max((one, other), key=lambda variant: of(variant.config, variant.config.iterations)).config
    read_at = round(costlier.iterations * reached / of(costlier, costlier.iterations))
    return AtEqual(cost, effect, read_at)


def value_at(cost: Cost, variant: PlannedVariant, seed: int, reached: float, results: Results) -> float:
    """A finished run's value had it ended where it has cost so much; NaN where there is none.

    Of a value over a window the places are the same shares of that cost as of a whole run, each log-linear between two
    evaluations: a window of an early stretch has fewer of its own.
    """
    if seed not in results.plan.seeds_of(variant) or results.job(variant, seed)["status"] != "finished":
        return float("nan")
    curve = results.curve(variant, seed)
    along = [COSTS[cost](variant.config, int(iteration)) for iteration in curve["iteration"]]
    value = stats.mean_along(along, curve["evaluated"], [share * reached for share in shares_of(variant.config)])
    return float("nan") if value is None else value


def shares_of(config: AnyConfig) -> tuple[float, ...]:
    """Where the evaluations lie that a run's value is of, as shares of its iterations."""
    return shares(config.evaluation.every, config.iterations, config.evaluation.window)


def controlled(found: ChangeEffect, results: Results) -> list[AtEqual]:
    """The comparison with each of the study's control arms that answer for it."""
    there = []
    for control in results.study.controls:
        arm, against = results.variant(control.name), results.variant(control.against)
        if control.change != found.change.name or control.of != found.before or arm is None or against is None:
            continue
        effect = stats.paired_effect(results.last(arm), results.last(against))
        if effect.n and effect.ratio is not None:
            there.append(AtEqual(control.equal, effect, control=control.name))
    return there


def fair_remark(found: ChangeEffect, results: Results) -> str:
    """Under which costs a finding stands as at equal iterations, and under which it does not, with intervals that are
    not corrected; nothing where its arms cost the same, or nothing is known."""
    stands, falls = fair_words(found, results)
    also = [f"holds at equal {listed(stands)}"] if stands else []
    return listed([*also, *falls])


def fair_words(found: ChangeEffect, results: Results) -> tuple[list[str], list[str]]:
    """The costs at which a finding stands as at equal iterations, and what it is at the others; each with the ratio."""
    if not found.resolved:
        return [], []
    side = "below" if found.word == "helps" else "above"
    stands, falls = [], []
    for together in alike(at_equal(found, results)):
        effect = together[0].effect
        where = side_of_one(effect)
        ratio = f"{listed([each.words for each in together])} ×{interval(effect)}"
        if where == side:
            stands.append(ratio)
        else:
            falls.append(f"is {'not resolved' if where == 'unresolved' else 'reversed'} at equal {ratio}")
    return stands, falls


def alike(read: list[AtEqual]) -> list[list[AtEqual]]:
    """Those that are one reading of the same runs, as equal images and equal arithmetic of two batch sizes are."""
    groups: list[list[AtEqual]] = []
    for each in read:
        mine = [g for g in groups if not each.control and not g[0].control and g[0].read_at == each.read_at]
        if mine:
            mine[0].append(each)
        else:
            groups.append([each])
    return groups
