"""What becomes of 5% when seeds are added until something is significant (docs/intervals.md).

Nothing is true in these studies, so every verdict is false. One look at a number of seeds that was registered before
errs as often as it says; a look at every number on the way errs more often with each of them (Armitage et al. 1969).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

LEVEL = 0.05
FIRST, LAST = 3, 10
CHANGES = 10
STUDIES = 20_000
SEED = 1
TITLE = "Seeds that are added after a look"


def simulate(studies: int = STUDIES) -> list[dict[str, Any]]:
    """One row per last number of seeds: how often a look at it alone, and one at every number from 3 to it, resolves a
    claim of direction, and calls any of ten changes that share a baseline (after Holm)."""
    rng = np.random.default_rng(SEED)
    claim = rng.normal(size=(studies, 1, LAST))
    family = rng.normal(size=(studies, CHANGES, LAST)) - rng.normal(size=(studies, 1, LAST))
    ever = np.zeros((2, studies), dtype=bool)
    rows = []
    for n in range(FIRST, LAST + 1):
        # Holm rejects something exactly where the smallest p is at most the level over the family's size.
        now = np.array([smallest_p(claim, n) <= LEVEL, smallest_p(family, n) <= LEVEL / CHANGES])
        ever |= now
        row: dict[str, Any] = {"n": n}
        for name, alone, looked in zip(("claim", "family"), now.mean(axis=1), ever.mean(axis=1), strict=True):
            row |= {name: round(float(alone), 4), f"{name}_looks": round(float(looked), 4)}
        rows.append(row)
    return rows


def smallest_p(logs: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Of the paired t-tests of [study, comparison, seed] log-ratios, over the comparisons, by the first n seeds."""
    x = logs[..., :n]
    t = np.abs(x.mean(axis=-1)) / (x.std(axis=-1, ddof=1) / np.sqrt(n))
    p: NDArray[np.float64] = 2 * student.sf(t.max(axis=1), n - 1)
    return p


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The section of the page."""
    worst = rows[-1]
    return [
        f"## {TITLE}",
        "",
        f"{STUDIES:,} studies in which no change does anything, looked at with {FIRST} seeds and again after every "
        f"further one up to n, until something is significant at {LEVEL:.0%}: how often a claim of direction is "
        f"resolved (to either side), and how often any of {CHANGES} changes with a shared baseline gets a verdict "
        "after Holm's correction. Beside it: one look, at a number of seeds that was registered before the first run.",
        "",
        "| seeds n | a claim, registered n alone | a claim, looks at 3 to n | a family, registered n alone "
        "| a family, looks at 3 to n |",
        "|--:|--:|--:|--:|--:|",
        *(
            f"| {row['n']} | {row['claim']:.1%} | {row['claim_looks']:.1%} | {row['family']:.1%} "
            f"| {row['family_looks']:.1%} |"
            for row in rows
        ),
        "",
        f"So looking after every seed up to {worst['n']} makes of 5% {worst['claim_looks']:.0%} and "
        f"{worst['family_looks']:.0%}. Seeds and designs that join after runs have ended are therefore exploratory: "
        "the promise is of the registered ones.",
        "",
    ]
