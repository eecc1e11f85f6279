"""`--decide`: seeds that are added, look by look, until every comparison of a design is decided or the time is spent.

The looks are declared before the first run, for whoever tests at each of six looks at 5% finds something in far more
than 5% of studies: `reports.stats.sequential` has the levels of each. What is decided is read from the runs by
`reports.decide`; here is which seeds a round trains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ablations.schema import DesignName, Study
from core.errors import InputError
from studies.looks import LOOKS, PAIRS, looks_up_to
from studies.plan import Decide, Plan, PlannedVariant, sized
from studies.times.budget import parse_time

LEAST_SEEDS = LOOKS[0]


@dataclass(frozen=True)
class Wish:
    """What `--decide` says: wall seconds that may be spent, None for as many as it takes, and the factor within which a
    change is negligible, None for the study's."""

    seconds: float | None
    margin: float | None


def parse_decide(text: str) -> Wish:
    """The wish in "2h", "until=1.15" or "2h,until=1.15". Raises InputError."""
    seconds: float | None = None
    margin: float | None = None
    for part in filter(None, (word.strip() for word in text.split(","))):
        if factor := re.fullmatch(r"until\s*=\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)", part):
            if margin is not None or float(factor[1]) <= 1:
                raise InputError(f"--decide {text}: until= is one factor above 1, as in until=1.15")
            margin = float(factor[1])
        elif seconds is not None:
            raise InputError(f"--decide {text}: give one time, as in 2h, or a factor, as in until=1.15, or both")
        else:
            seconds = parse_time("--decide", part)
    if seconds is None and margin is None:
        raise InputError("--decide: give a time, as in 2h, or a factor, as in until=1.15, or both")
    return Wish(seconds, margin)


def decide_of(wish: Wish, study: Study, most: int) -> Decide:
    """The looks and the factor that are declared. Raises InputError for fewer seeds than the first look has."""
    if most < LEAST_SEEDS:
        raise InputError(f"--decide looks first at {LEAST_SEEDS} seeds: give --seeds {LEAST_SEEDS} or more")
    return Decide(looks=looks_up_to(most), margin=wish.margin or study.negligible)


def check_designs(designs: tuple[DesignName, ...], study: Study) -> None:
    """Raises InputError for a plan of designs that compare no pairs."""
    if unfit := [design for design in designs if design not in PAIRS]:
        raise InputError(
            f"--decide is of designs that compare pairs ({', '.join(PAIRS)}), and {unfit[0]} of {study.name} does not: "
            "leave it out"
        )


def with_seeds(plan: Plan, counts: Mapping[str, int]) -> Plan:
    """The plan with each variant's first seeds, as many as `counts` has by its name; those without a count are left
    out."""
    variants = tuple(
        variant.replace(seeds=tuple(range(counts[variant.name])))
        for variant in plan.variants
        if counts.get(variant.name, 0)
    )
    most = max(counts.values(), default=0)
    return sized(**{**dict(plan), "seeds": tuple(range(most)), "variants": variants})


def counts_in(plan: Plan, recorded: Plan | None) -> dict[str, int]:
    """How many first seeds each variant of a plan was asked to have so far: those of the first look at least."""
    assert plan.decide is not None
    known = {} if recorded is None else {key(v): len(recorded.seeds_of(v)) for v in recorded.variants}
    first = plan.decide.looks[0]
    return {variant.name: max(first, known.get(key(variant), 0)) for variant in plan.variants}


def key(variant: PlannedVariant) -> str:
    """The same for two plans' variants of one config, whatever they are called."""
    return variant.job(0).digest
