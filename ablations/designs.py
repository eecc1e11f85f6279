"""Designs: which subsets of a study's changes are trained, and what each is called.

A subset has one name whichever design asks for it: `baseline`, `all`, `baseline+x` (only x), `all-x` (all but x),
`baseline..x` (every change up to x, in the slide's order), and `baseline+x+y` for any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from types import MappingProxyType

from ablations.schema import DesignName, Study

Subset = tuple[str, ...]


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


DESIGNS: Mapping[DesignName, Callable[[Study], list[Subset]]] = MappingProxyType(
    {"ladder": ladder, "add_one_in": add_one_in, "leave_one_out": leave_one_out, "grid": grid}
)


def available(study: Study) -> list[DesignName]:
    """The designs that make sense for a study: alternatives exclude each other, so they are never piled up."""
    return ["add_one_in", "grid"] if study.groups else ["ladder", "add_one_in", "leave_one_out"]


def variant_name(study: Study, subset: Subset) -> str:
    """The one name of a subset."""
    order = tuple(change.name for change in study.changes)
    joined = "+".join(("baseline", *subset))
    match subset:
        case ():
            return "baseline"
        case _ if study.groups:
            return joined
        case _ if subset == order:
            return "all"
        case (only,):
            return f"baseline+{only}"
        case _ if len(subset) == len(order) - 1:
            return f"all-{next(name for name in order if name not in subset)}"
        case _ if subset == order[: len(subset)]:
            return f"baseline..{subset[-1]}"
    return joined


def subset_named(study: Study, name: str) -> Subset:
    """The subset that a variant's name stands for. Raises KeyError for a name that no design gives."""
    for design in available(study):
        for subset in DESIGNS[design](study):
            if variant_name(study, subset) == name:
                return subset
    raise KeyError(f"no design of {study.name} has a variant '{name}'")


def variant_title(study: Study, subset: Subset) -> str:
    """The subset as a phrase for people."""
    name = variant_name(study, subset)
    titles = {change.name: change.title for change in study.changes}
    if name == "baseline":
        return "no change"
    if study.groups:
        return ", ".join(titles[change] for change in subset)
    if name == "all":
        return f"all {len(study.changes)} changes"
    if len(subset) == 1:
        return f"only {titles[subset[0]]}"
    if name.startswith("all-"):
        return f"all but {titles[name.removeprefix('all-')]}"
    if name.startswith("baseline.."):
        return f"first {len(subset)}, up to {titles[subset[-1]]}"
    return ", ".join(titles[change] for change in subset)
