"""Whether "the three most helpful with probability p" is right as often as it says (docs/intervals.md).

Studies are drawn with effects that are known, made as each design makes them. What is told names a set of three and a
probability; it is calibrated when the set is the true one as often as that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from reports.stats import LEAST_SEEDS, measured_by_seeds, shrunk_draws

Array = NDArray[np.float64]
CHANGES, K = 10, 3
LEVEL = 0.05
RARELY = 0.01
"""Below this share of studies in which something is told at all, how right it is is not counted."""
DRAWS = 1000
CHUNK = 250
"""Studies that are drawn for at a time, to bound the memory."""
STUDIES = 3000
"""In which something is told, at most; the share of them is of `CANDIDATES`."""
CANDIDATES = 40_000
TITLE = "The three most helpful changes, with a probability"

# --- designs: log-ratios [study, seed, change] from effects [study, change] -------------------------------------------

Design = Callable[[Array, int, float, np.random.Generator], Array]


def pairs_of_their_own(effects: Array, n: int, sd: float, rng: np.random.Generator) -> Array:
    """No two changes share a run; `sd` is a log-ratio's."""
    noisy: Array = effects[:, None] + sd * rng.normal(size=(len(effects), n, CHANGES))
    return noisy


def add_one_in(effects: Array, n: int, sd: float, rng: np.random.Generator) -> Array:
    """Each on the baseline, whose run of that seed they share; `sd` is a run's."""
    return pairs_of_their_own(effects, n, sd, rng) - sd * rng.normal(size=(len(effects), n, 1))


def leave_one_out(effects: Array, n: int, sd: float, rng: np.random.Generator) -> Array:
    """All changes over all but each one: what is shared is the run with all of them."""
    without = -effects[:, None] + sd * rng.normal(size=(len(effects), n, CHANGES))
    together: Array = sd * rng.normal(size=(len(effects), n, 1)) - without
    return together


def ladder(effects: Array, n: int, sd: float, rng: np.random.Generator) -> Array:
    """Each on the rung before: neighbours share a rung."""
    rungs = np.concatenate([np.zeros((len(effects), 1)), effects.cumsum(axis=1)], axis=1)[:, None]
    steps: Array = np.diff(rungs + sd * rng.normal(size=(len(effects), n, CHANGES + 1)), axis=2)
    return steps


def collapsing_ladder(effects: Array, n: int, sd: float, rng: np.random.Generator) -> Array:
    """One rung is e² times as far in two runs of three, by bad luck that is no change's effect."""
    logs = ladder(effects, n, sd, rng)
    rung = rng.integers(CHANGES - 1, size=len(effects))
    collapse = 2.0 * (rng.random((len(effects), n)) < 2 / 3)
    study = np.arange(len(effects))
    logs[study, :, rung] += collapse
    logs[study, :, rung + 1] -= collapse
    return logs


@dataclass(frozen=True)
class World:
    """`effects_sd` is that of the true log effects, which are normal; `told` is False for a design that never ranks."""

    name: str
    design: Design
    n: int
    sd: float
    effects_sd: float = 0.2
    told: bool = True


WORLDS = (
    World("pairs of their own, sd .36", pairs_of_their_own, 3, 0.36),
    World("pairs of their own, sd .48", pairs_of_their_own, 3, 0.48),
    World("add one in", add_one_in, 3, 0.25),
    World("leave one out", leave_one_out, 3, 0.25),
    World("ladder", ladder, 3, 0.25, told=False),
    World("ladder, one rung collapses", collapsing_ladder, 3, 0.25, told=False),
    World("no change does anything", pairs_of_their_own, 3, 0.36, 0.0),
    World("no change does anything, add one in", add_one_in, 10, 0.25, 0.0),
    World("add one in, large effects", add_one_in, 5, 0.25, 0.5),
    World("pairs of their own, sd .36", pairs_of_their_own, 10, 0.36),
    World("add one in", add_one_in, 10, 0.25),
    World("leave one out", leave_one_out, 10, 0.25),
    World("add one in", add_one_in, 20, 0.2),
    World("leave one out", leave_one_out, 20, 0.2),
)

# --- what is told -----------------------------------------------------------------------------------------------------

SETS = np.full(2**CHANGES, -1)
"""The number of a set of three by its bits."""
for _number, _members in enumerate(combinations(range(CHANGES), K)):
    SETS[sum(1 << member for member in _members)] = _number


def best_sets(effects: Array) -> NDArray[np.int64]:
    """The number of the set of the `K` lowest, over the last axis."""
    best = np.argpartition(effects, K - 1, axis=-1)[..., :K]
    found: NDArray[np.int64] = SETS[(1 << best).sum(axis=-1)]
    return found


def resolved(logs: Array) -> NDArray[np.int64]:
    """How many changes of each study are resolved, by paired t-tests after Holm's correction."""
    n, changes = logs.shape[1:]
    t = np.abs(logs.mean(axis=1)) / (logs.std(axis=1, ddof=1) / np.sqrt(n))
    p = np.sort(2 * student.sf(t, n - 1), axis=1)
    passed: NDArray[np.int64] = np.cumprod(p * np.arange(changes, 0, -1) <= LEVEL, axis=1).sum(axis=1)
    return passed


Draw = Callable[[Array, np.random.Generator], Array]


def flat(logs: Array, rng: np.random.Generator) -> Array:
    """Each effect from the t-distribution of its own estimate, independently."""
    n = logs.shape[1]
    t = rng.standard_t(n - 1, size=(len(logs), DRAWS, CHANGES))
    drawn: Array = logs.mean(axis=1)[:, None] + t * (logs.std(axis=1, ddof=1) / np.sqrt(n))[:, None]
    return drawn


def shrunk(logs: Array, rng: np.random.Generator) -> Array:
    """What is told now."""
    return shrunk_draws(measured_by_seeds(logs), DRAWS, rng)


def told(logs: Array, draw: Draw, rng: np.random.Generator) -> tuple[NDArray[np.int64], Array]:
    """The most probable set of each study and its probability."""
    sets, probabilities = [], []
    for start in range(0, len(logs), CHUNK):
        drawn = best_sets(draw(logs[start : start + CHUNK], rng))
        count = int(SETS.max()) + 1
        counts = np.array([np.bincount(row, minlength=count) for row in drawn])
        sets.append(counts.argmax(axis=1))
        probabilities.append(counts.max(axis=1) / DRAWS)
    return np.concatenate(sets), np.concatenate(probabilities)


def calibration(says: Array, right: NDArray[np.bool_]) -> dict[str, float]:
    """Means of what is said and of what is, over all studies and over the quarter that is most confident."""
    confident = says >= np.quantile(says, 0.75)
    parts = {"says": says, "is": right, "quarter_says": says[confident], "quarter_is": right[confident]}
    return {name: round(float(part.mean()), 4) for name, part in parts.items()}


def before(world: World, studies: int = STUDIES) -> dict[str, float]:
    """A flat prior and independent errors, told of every study."""
    effects, logs, rng = drawn_studies(world, studies)
    sets, says = told(logs, flat, rng)
    return calibration(says, sets == best_sets(effects))


def now(world: World, studies: int = STUDIES, candidates: int = CANDIDATES) -> dict[str, float]:
    """Shrunk draws, told of studies with enough seeds and `K` resolved changes; `told` is the share of those."""
    if not world.told or world.n < LEAST_SEEDS:
        return {"told": 0.0}
    effects, logs, rng = drawn_studies(world, candidates)
    asked = resolved(logs) >= K
    share = {"told": round(float(asked.mean()), 4)}
    if share["told"] < RARELY:
        return share
    effects, logs = effects[asked][:studies], logs[asked][:studies]
    sets, says = told(logs, shrunk, rng)
    return share | calibration(says, sets == best_sets(effects))


def drawn_studies(world: World, studies: int) -> tuple[Array, Array, np.random.Generator]:
    """True effects and log-ratios. Effects of size 0 have an order drawn all the same: no set is truer than others."""
    rng = np.random.default_rng([WORLDS.index(world), studies])
    effects = rng.normal(size=(studies, CHANGES))
    made = world.design(world.effects_sd * effects, world.n, world.sd, rng)
    return effects, made, rng


def simulate() -> list[dict[str, Any]]:
    """One row per world."""
    return [
        {"world": world.name, "n": world.n, "effects_sd": world.effects_sd, "before": before(world), "now": now(world)}
        for world in WORLDS
    ]


# --- the page ---------------------------------------------------------------------------------------------------------


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The section of the page."""
    return [
        f"## {TITLE}",
        "",
        f"Of {CHANGES} changes whose true log effects are normal with the sd given, {STUDIES:,} studies each; runs as "
        "noisy as ours. What is said is the probability of the named set of three, what is is how often it was the "
        "true one. Before: effects drawn from the t-distributions of their estimates, each by itself, told of every "
        f"study. Now: effects shrunk towards each other, told of designs with at least {LEAST_SEEDS} seeds and {K} "
        f"changes resolved after Holm's correction, never of the ladder. Where that is fewer than {RARELY:.0%} of "
        "studies, nothing is counted.",
        "",
        "| made as | n | effects' sd | before: says | is | confident quarter says | is | now told in | says | is "
        "| confident quarter says | is |",
        f"|:--|{'--:|' * 11}",
        *(
            f"| {row['world']} | {row['n']} | {row['effects_sd']:g} | {cells(row['before'])} "
            f"| {row['now']['told']:.1%} | {cells(row['now'])} |"
            for row in rows
        ),
        "",
        "The number of resolved changes and of seeds was chosen with this simulation: from one resolved change on, "
        "what is told of studies in which nothing does anything is .1 where .01 is right, and of three seeds .4 where "
        ".3 is right in the most confident quarter, however the draws are shrunk, because with so few seeds luck "
        "resolves a change and the same luck ranks it.",
        "",
    ]


def cells(found: dict[str, float]) -> str:
    """Says, is, and the same of the confident quarter."""
    return " | ".join(
        f"{found[key]:.2f}" if key in found else "–" for key in ("says", "is", "quarter_says", "quarter_is")
    )
