"""Searches that have come to their end, for reports: trials of known distances instead of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ablations.search import Search
from studies import catalogue
from studies.plan import Plan, record_plan
from studies.planning import make_plan, with_searched
from studies.search_records import Importance, Sweep, Trial, choice_of, key_of, write_sweep

STUDY = catalogue.study("learning_rates")
G_RATE = "optimizers.learning_rates.generator"


def a_sweep(search: Search, count: int, *, edge: bool = False) -> Sweep:
    """Trials whose distance grows away from the middle of every range, or towards its upper ends with `edge`."""
    plan = a_plan()
    base = plan.variants[0].config
    ranges = {parameter.path: parameter.ends(base) for parameter in search.parameters}
    logarithmic = {parameter.path for parameter in search.parameters if parameter.log}

    def at(path: str, share: float) -> float:
        low, high = ranges[path]
        return float(low * (high / low) ** share if path in logarithmic else low + (high - low) * share)

    rng = np.random.default_rng(1)
    trials = []
    for number in range(count):
        shares = rng.random(len(ranges))
        if number == 1:
            shares = np.full(len(ranges), 0.99 if edge else 0.5)
        distance = 0.1 * float(np.exp(np.abs(shares - (1.0 if edge else 0.5)).sum()))
        state = "pruned" if number in (4, 6) else "diverged" if number == 5 else "complete"
        moments = [200, 400] if state == "pruned" else [200] if state == "diverged" else [200, 400, 600, 800]
        trials.append(
            Trial(
                number=number,
                state=state,
                proposal="start" if number == 0 else "hypercube",
                values={path: at(path, share) for path, share in zip(ranges, shares, strict=True)},
                digest=f"{number:016x}",
                measured=tuple((moment, distance * 800 / moment) for moment in moments),
                seconds=30.0,
            )
        )
    return Sweep(
        study="learning_rates",
        setting="cpu",
        key=key_of(search, base),
        search=search,
        metric="fd_rooms",
        iterations=800,
        ranges=ranges,
        base={G_RATE: 0.0004} | {path: 1.0 if "multipliers" in path else 0.002 for path in ranges if path != G_RATE},
        trials=tuple(trials),
        importances=tuple(
            Importance(path=path, iteration=moment, trials=10, share=0.25, low=0.1, high=0.6)
            for moment in (400, 800)
            for path in ranges
        ),
    )


def a_plan(seeds: Sequence[int] = (0, 1, 2)) -> Plan:
    return make_plan(STUDY, STUDY.profile("cpu"), designs=["ladder"], seeds=seeds)


def searched(runs: Path, count: int = 12, *, edge: bool = False) -> Plan:
    sweeps = [a_sweep(search, count, edge=edge) for search in STUDY.searches]
    for sweep in sweeps:
        write_sweep(runs, sweep)
    chosen = [choice for sweep in sweeps if (choice := choice_of(sweep)) is not None]
    return record_plan(runs, with_searched(a_plan(), STUDY, chosen))
