"""How far the design `screening` can be trusted: simulated studies of ten changes whose true effects are known.

A world gives every combination of the changes its mean log metric, with or without interactions. A study trains the
design in it with a few seeds; counted is how often the 95% intervals hold the true main effects, how often a change
that does nothing gets a verdict, and how wide the intervals are. Once as the design is, every seed with a relabelling
of its own and Student's t over seeds; and once as it would be with one design for all seeds and the standard errors of
least squares over all runs, to which what interactions of three changes add is not visible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyDOE3 import fold, pbdesign
from scipy.stats import t as student

from ablations.designs import screening
from ablations.schema import Study
from reports.stats import effects_within, over_seeds
from studies.catalogue import study as declared_study

Array = NDArray[np.float64]
SEEDS = (3, 10)
STUDIES = 2000
LEVEL = 0.95
RUN_SD, SEED_SD = 0.25, 0.1
"""Of the log metric: what runs scatter by, and what the runs of one seed share."""
POOL = 600
"""Seeds whose relabellings the simulated studies have: so many that a study rarely shares one with another."""
CHANGES = 10
LEVELS: Array = np.array(list(product((-1.0, 1.0), repeat=CHANGES)))
"""Every combination, [combination, change]; `combination_of` numbers them so."""


def products(of: int, among: int = CHANGES) -> Array:
    """The interactions of so many changes, of the first `among`: [combination, interaction]."""
    return np.stack([LEVELS[:, list(each)].prod(axis=1) for each in combinations(range(among), of)], axis=1)


def combination_of(runs: Array) -> NDArray[np.int64]:
    """The number of each combination [..., change] of -1 and 1."""
    return ((runs > 0) @ (1 << np.arange(CHANGES)[::-1])).astype(np.int64)


def contrasts(logs: Array) -> Array:
    """The true main effects [study, change] of log metrics [study, combination]."""
    return logs @ LEVELS * (2 / len(LEVELS))


# --- worlds: log metrics [study, combination], coefficients of -1 and 1 -----------------------------------------------

World = Callable[[np.random.Generator, int], Array]


def drawn(rng: np.random.Generator, studies: int, sd: float, terms: Array) -> Array:
    """Normal coefficients for each of the terms."""
    found: Array = rng.normal(0, sd, (studies, terms.shape[1])) @ terms.T
    return found


def additive(rng: np.random.Generator, studies: int) -> Array:
    """Changes multiply."""
    return drawn(rng, studies, 0.15, LEVELS)


def of_two(rng: np.random.Generator, studies: int) -> Array:
    """Every two changes interact."""
    return drawn(rng, studies, 0.1, LEVELS) + drawn(rng, studies, 0.05, products(2))


def of_three(rng: np.random.Generator, studies: int) -> Array:
    """Every three changes interact."""
    return drawn(rng, studies, 0.1, LEVELS) + drawn(rng, studies, 0.02, products(3))


def four_active(sd: float) -> World:
    """Four changes do something, alone, in twos and in threes; six do nothing."""

    def world(rng: np.random.Generator, studies: int) -> Array:
        alone, twos, threes = (products(of, among=4) for of in (1, 2, 3))
        found = drawn(rng, studies, 0.3, alone) + drawn(rng, studies, 0.15, twos)
        return found + drawn(rng, studies, sd, threes)

    return world


def collapse(with_them: tuple[str, ...], without: tuple[str, ...]) -> World:
    """The metric is 7.4 times as large wherever these changes are made and those are not."""

    def world(rng: np.random.Generator, studies: int) -> Array:
        names = [change.name for change in _study().changes]
        on, off = (LEVELS[:, [names.index(name) for name in side]] for side in (with_them, without))
        return drawn(rng, studies, 0.1, LEVELS) + 2.0 * ((on > 0).all(axis=1) & (off < 0).all(axis=1))

    return world


WORLDS: dict[str, World] = {
    "changes multiply": additive,
    "every two interact, sd .05": of_two,
    "four changes do something, in threes sd .1": four_active(0.1),
    "four changes do something, in threes sd .2": four_active(0.2),
    "every three interact, sd .02": of_three,
    "×7.4 with R1 and D1:G1, without rates and batch size": collapse(("r1", "d1_g1"), ("learning_rates", "batch_size")),
    "×7.4 with R1 and D1:G1, without rates": collapse(("r1", "d1_g1"), ("learning_rates",)),
}


def _study() -> Study:
    return declared_study("changes_overview")


# --- studies ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """Of simulated studies: the share of intervals that hold the truth, of studies that give a change without effect a
    verdict (None where every change has an effect), and the geometric mean of the intervals' upper over lower ends."""

    studies: int
    covered: float
    false: float | None
    width: float


@cache
def relabellings() -> Array:
    """The design of each seed of the pool, [seed, run, change] of -1 and 1."""
    study = _study()
    names = [change.name for change in study.changes]
    subsets = [screening(study, seed) for seed in range(POOL)]
    return np.array([[[1.0 if name in subset else -1.0 for name in names] for subset in runs] for runs in subsets])


def simulated(world: World, n: int, studies: int = STUDIES, *, one_design: bool = False) -> Found:
    """Studies of `n` seeds; `one_design`: with the same runs in every seed and standard errors of least squares."""
    rng = np.random.default_rng(n)
    logs = world(rng, studies)
    if one_design:
        runs = np.broadcast_to(np.asarray(fold(pbdesign(CHANGES)), dtype=float), (studies, n, 24, CHANGES))
    else:
        runs = relabellings()[np.array([rng.choice(POOL, n, replace=False) for _ in range(studies)])]
    measured = np.take_along_axis(logs[:, None], combination_of(runs).reshape(studies, 1, -1), axis=2)
    measured = measured.reshape(runs.shape[:3]) + rng.normal(0, SEED_SD, (studies, n, 1))
    measured = measured + rng.normal(0, RUN_SD, measured.shape)
    if one_design:
        effects, errors, df = least_squares(runs, measured)
    else:
        effects, errors = over_seeds(effects_within(runs, measured))
        df = n - 1
    half = student.ppf((1 + LEVEL) / 2, df) * errors
    true = contrasts(logs)
    nothing = np.abs(true) < 1e-9
    verdicts = holm(2 * student.sf(np.abs(effects) / errors, df)) <= 1 - LEVEL
    return Found(
        studies,
        covered=float((np.abs(effects - true) <= half).mean()),
        false=float((verdicts & nothing).any(axis=1).mean()) if nothing.any() else None,
        width=float(np.exp(2 * half.mean())),
    )


def least_squares(runs: Array, logs: Array) -> tuple[Array, Array, int]:
    """Effects [study, change], standard errors and degrees of freedom from all runs as one regression, with one level
    for each seed. Every seed has the same orthogonal design."""
    effects = effects_within(runs, logs).mean(axis=1)
    fitted = np.einsum("snrc,sc->snr", runs, effects) / 2 + logs.mean(axis=2, keepdims=True)
    df = logs[0].size - CHANGES - logs.shape[1]
    variance = ((logs - fitted) ** 2).sum(axis=(1, 2)) / df
    return effects, np.broadcast_to(2 * np.sqrt(variance / logs[0].size)[:, None], effects.shape), df


def holm(p_values: Array) -> Array:
    """`stats.holm` of families [..., test]."""
    order = np.argsort(p_values, axis=-1)
    sorted_p = np.take_along_axis(p_values, order, axis=-1) * np.arange(p_values.shape[-1], 0, -1)
    found = np.empty_like(p_values)
    np.put_along_axis(found, order, np.minimum(1, np.maximum.accumulate(sorted_p, axis=-1)), axis=-1)
    return found


def simulate(studies: int = STUDIES) -> list[dict[str, Any]]:
    """One row a world and number of seeds, always the same: coverage of intervals, the share of studies in which a
    change that does nothing gets a verdict (None where every change does something), and the median width, with one
    design for all seeds and with a design for each."""
    rows = []
    for name, world in WORLDS.items():
        for n in SEEDS:
            row: dict[str, Any] = {"world": name, "seeds": n, "studies": studies}
            for way, one in (("one_design", True), ("each_seed", False)):
                found = simulated(world, n, studies, one_design=one)
                row[way] = {
                    "covered": round(found.covered, 4),
                    "false": None if found.false is None else round(found.false, 4),
                    "width": round(found.width, 3),
                }
            rows.append(row)
    return rows


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The section of the page that tells them."""
    studies = max(row["studies"] for row in rows)
    told = [
        "## Screening, where changes act together",
        "",
        f"Simulated studies of ten changes ({studies:,} in each row), run standard deviation .25 on the log scale. In "
        "a folded-over Plackett-Burman design three changes that act together shift the effects of others. Trained "
        "alike "
        "with every seed that is a bias which no standard error sees; with another relabelling of the design for each "
        "seed it is scatter between seeds, and Student's t over seeds has it. A cell holds how often the 95% interval "
        "held a change's true mean effect, how often a change that does nothing got a verdict after Holm's correction "
        "(at most 5% is promised; the Monte-Carlo standard error of 5% is "
        f"{np.sqrt(0.05 * 0.95 / studies):.1%}), and the median of an interval's upper over its lower end.",
        "",
        "| world | seeds | one design for all seeds: coverage | false verdicts | width | a design for each seed: "
        "coverage | false verdicts | width |",
        "|:--|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = [
            cell
            for found in (row["one_design"], row["each_seed"])
            for cell in (
                f"{found['covered']:.1%}",
                "–" if found["false"] is None else f"{found['false']:.1%}",
                f"×{found['width']:.2f}",
            )
        ]
        told.append(f"| {row['world']} | {row['seeds']} | {' | '.join(cells)} |")
    return [*told, ""]
