"""Designs: which subsets of a study's changes are trained, and what each is called.

A subset has one name whichever design asks for it: `baseline`, `all`, `baseline+x` (only x), `all-x` (all but x),
`baseline..x` (every change up to x, in the slide's order); any other is `baseline+x+y` or `all-x-y`, whichever is
shorter.

Most designs train the same subsets with every seed. `screening` draws other ones for each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import assert_never

from ablations.schema import PILING, Change, DesignName, Study

Subset = tuple[str, ...]

Trained = dict[Subset, tuple[int, ...] | None]
"""The subsets that a design asks for, in its order, each with the seeds it is trained with; None: with all."""

Design = Callable[[Study, Sequence[int]], Trained]
"""What a study's designs are: of the seeds that are asked for, only some designs make use."""


def in_order(study: Study, names: set[str]) -> Subset:
    """The names in the study's order."""
    return tuple(change.name for change in study.changes if change.name in names)


def ladder(study: Study) -> list[Subset]:
    """The baseline, then one more change at a time, in the slide's order."""
    order = [change.name for change in study.changes]
    for index, change in enumerate(study.changes):
        missing = set(change.requires) - set(order[:index])
        if missing:
            raise ValueError(f"the ladder of {study.name} reaches {change.name} before {', '.join(sorted(missing))}")
    return [tuple(order[:rung]) for rung in range(len(order) + 1)]


def add_one_in(study: Study) -> list[Subset]:
    """The baseline, and each change alone on it (with what that change requires)."""
    return [(), *(in_order(study, {change.name, *change.requires}) for change in study.changes)]


def leave_one_out(study: Study) -> list[Subset]:
    """All changes, and all but each one (and but what requires that one)."""
    everything = {change.name for change in study.changes}
    subsets = [in_order(study, everything)]
    for left_out in study.changes:
        dropped = {left_out.name} | {change.name for change in study.changes if left_out.name in change.requires}
        subsets.append(in_order(study, everything - dropped))
    return subsets


def grid(study: Study) -> list[Subset]:
    """Every combination of at most one change of each group, the first group's changes innermost."""
    columns = [((), *((name,) for name in names)) for names in reversed(study.groups.values())]
    return [in_order(study, {name for part in parts for name in part}) for parts in product(*columns)]


def screening(study: Study, seed: int) -> list[Subset]:
    """Plackett and Burman's two-level design (1946), folded over, its columns permuted and its signs flipped by `seed`.

    Half of the runs have a change and half have not, balanced over each other change, so every run tells of every
    change. The fold-over (Box and Wilson 1951) keeps interactions of two changes out of the main effects, not those of
    three: with ten changes such a one adds a third of itself, up or down, to the effect of every change outside it.
    Were the runs the same in every seed, so would be that error, and no number of seeds would show it. Drawn at random,
    it is another one in every seed and zero on average: the scatter of the effects between seeds contains it.

    What a seed draws depends on its number and the changes' names alone, so it stays when other seeds are added.
    Raises ValueError where a change requires another, which unbalances the design.
    """
    from pyDOE3 import fold, pbdesign  # Loads numpy and scipy, which most commands do without.

    needy = [change.name for change in study.changes if change.requires]
    if needy:
        raise ValueError(f"{study.name} cannot be screened: {needy[0]} requires another change")
    names = [change.name for change in study.changes]
    if not names:
        return [()]
    drawn = random.Random(f"screening {seed} {','.join(names)}")
    columns = drawn.sample(range(len(names)), len(names))
    signs = [drawn.choice((-1, 1)) for _ in names]
    runs = [
        [sign * run[column] for column, sign in zip(columns, signs, strict=True)] for run in fold(pbdesign(len(names)))
    ]
    subsets = (tuple(name for name, level in zip(names, run, strict=True) if level > 0) for run in runs)
    return list(dict.fromkeys(subsets))


def permutations(study: Study) -> list[Subset]:
    """The study's changes in random orders, always the same ones; what a change requires comes before it."""
    drawn = random.Random("shapley")
    requires = {change.name: set(change.requires) for change in study.changes}
    orders: list[Subset] = []
    for _ in range(study.permutations):
        names = list(requires)
        drawn.shuffle(names)
        order: list[str] = []
        while names:
            ready = next(name for name in names if requires[name] <= set(order))
            names.remove(ready)
            order.append(ready)
        orders.append(tuple(order))
    return orders


def shapley(study: Study) -> list[Subset]:
    """Every rung of a ladder in each of `permutations`: the mean step of a change estimates its Shapley value."""
    rungs = [in_order(study, set(order[:k])) for order in permutations(study) for k in range(len(order) + 1)]
    return list(dict.fromkeys(rungs))


def same_in_every_seed(design: Callable[[Study], list[Subset]]) -> Design:
    """A design whose subsets are all trained with all seeds."""
    return lambda study, seeds: dict.fromkeys(design(study))


def drawn_by_seed(design: Callable[[Study, int], list[Subset]]) -> Design:
    """A design whose subsets are others in every seed: each is trained with the seeds that drew it."""

    def trained(study: Study, seeds: Sequence[int]) -> Trained:
        drawn: dict[Subset, tuple[int, ...]] = {}
        for seed in sorted(set(seeds)):
            for subset in design(study, seed):
                drawn[subset] = (*drawn.get(subset, ()), seed)
        return {**drawn}

    return trained


DESIGNS: Mapping[DesignName, Design] = MappingProxyType(
    {
        "ladder": same_in_every_seed(ladder),
        "add_one_in": same_in_every_seed(add_one_in),
        "leave_one_out": same_in_every_seed(leave_one_out),
        "screening": drawn_by_seed(screening),
        "shapley": same_in_every_seed(shapley),
        "grid": same_in_every_seed(grid),
    }
)


def available(study: Study) -> list[DesignName]:
    """The designs that make sense for a study, as it declares them."""
    return [design for design in DESIGNS if design in (*study.designs, *study.more_designs)]


DRAWING: frozenset[DesignName] = frozenset({"screening"})
"""Designs whose subsets are others in every seed."""


def variant_name(study: Study, subset: Subset) -> str:
    """The one name of a subset."""
    order = tuple(change.name for change in study.changes)
    missing = tuple(name for name in order if name not in subset)
    joined = "+".join(("baseline", *subset))
    match subset:
        case ():
            return "baseline"
        case _ if study.groups:
            return joined
        case (only,):
            return f"baseline+{only}"
        case _ if subset == order:
            return "all"
        case _ if len(missing) == 1:
            return f"all-{missing[0]}"
        case _ if subset == order[: len(subset)]:
            return f"baseline..{subset[-1]}"
    return joined if len(subset) <= len(missing) else "-".join(("all", *missing))


def arms(study: Study, change: Change, design: DesignName) -> tuple[str, str]:
    """The names of the variants without and with `change` that `design` compares.

    Raises ValueError for the designs that estimate an effect from many variants.
    """
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
        case "grid" | "screening" | "shapley":
            raise ValueError(f"{design} has many pairs for one change")
        case _:
            assert_never(design)
    return variant_name(study, without), variant_name(study, with_it)


def subset_named(study: Study, name: str) -> Subset:
    """The subset that a variant's name stands for. Raises KeyError for what is no such name."""
    order = [change.name for change in study.changes]
    subset: Subset = ()
    if name.startswith("baseline.."):
        last = name.removeprefix("baseline..")
        subset = tuple(order[: order.index(last) + 1]) if last in order else ()
    elif name.startswith("baseline+"):
        subset = in_order(study, set(name.split("+")[1:]))
    elif name == "all" or name.startswith("all-"):
        subset = in_order(study, set(order) - set(name.split("-")[1:]))
    if variant_name(study, subset) != name:
        raise KeyError(f"{study.name} has no variant '{name}'")
    return subset


def base_title(study: Study) -> str:
    """What the study's base is, for people."""
    if study.base_title is not None:
        return study.base_title
    return "none of the changes" if study.changes else study.title


NUMERALS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def all_title(study: Study) -> str:
    """All of the study's changes, for people: "all ten changes"."""
    count = len(study.changes)
    return f"all {NUMERALS[count] if count < len(NUMERALS) else count} changes"


def variant_title(study: Study, subset: Subset) -> str:
    """The one title of a subset, for people: what it is called wherever there is room for more than its name.

    Alternatives are called by themselves, with the base's title where the first group is the base's. Of changes that
    pile up it is "none + R1", "all − R1" or "step 3 (+ R1)".
    """
    if not subset:
        return base_title(study)
    briefs = {change.name: change.brief for change in study.changes}
    if study.groups:
        first = next(iter(study.groups.values()))
        own = [study.base_title] if study.base_title and not set(first) & set(subset) else []
        return ", ".join([*own, *(briefs[name] for name in subset)])
    if not PILING & set(available(study)):
        return ", ".join(briefs[name] for name in subset)
    name = variant_name(study, subset)
    if name == "all":
        return all_title(study)
    if name.startswith("baseline.."):
        return f"step {len(subset)} (+ {briefs[subset[-1]]})"
    if name.startswith("all-"):
        return " − ".join(["all", *(brief for change, brief in briefs.items() if change not in subset)])
    return " + ".join(["none", *(briefs[name] for name in subset)])


def title_of(study: Study, name: str) -> str:
    """The title of the variant of that name; the name itself where it is no subset's."""
    try:
        return variant_title(study, subset_named(study, name))
    except KeyError:
        return name
