"""Chooses how the intervals of a design's comparisons are made (docs/intervals.md).

Designs of eleven arms and ten comparisons in which no change does anything scatter as our own runs do. Counted is how
often each method's interval holds the truth, how wide it is, and how often a family of ten calls anything after Holm.

The rule. Its bounds were written before the simulation; that they hold to the whole percent, and that an outlying arm
scatters twice as widely, was settled after a first look. A method is admitted if in every scenario but those `beyond`,
structure and n,
- ordinary comparisons are covered 93% to 97% on average,
- a comparison with an outlying arm is covered 90% or more,
- at most 5% of families call anything.
Of those, the method with the shortest intervals over all of these cells is chosen. An arm that collapses in some seeds
is not judged by an interval: it is to be called unstable (`reports.stats.unstable`), and not to cost the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as fisher
from scipy.stats import t as student

from reports.stats.moderated import TINY, Squeezed, fit, squeeze
from reports.stats.stability import AWAY, SPREAD_TIMES
from studies.spreads import MOST_BORROWED

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pairs = tuple[tuple[int, int], ...]
SEEDS = (2, 3, 5, 10, 20, 30)
LEVEL = 0.95
ARMS = 11
DRAWS = 5_000
SEED = 18
TITLE = "Comparisons of one design borrow from each other"
STRUCTURES: Mapping[str, Pairs] = MappingProxyType(
    {
        "leave one out": tuple((k, 0) for k in range(1, ARMS)),
        "ladder": tuple((k, k + 1) for k in range(ARMS - 1)),
    }
)
SDS = (0.18, 0.12, 0.14, 0.15, 0.16, 0.17, 0.18, 0.20, 0.22, 0.24, 0.26)
"""Standard deviations of log distances between 20 seeds of leave one out, `all` first: 0.12 to 0.26."""
SHARED = (1.0, 0.83, 0.67, 0.55, 0.32, 0.31, 0.27, 0.16, 0.16, -0.05, -0.07)
"""Correlations with `all` over the same seeds, `all`'s own first."""
USED = f"pairs, at most {MOST_BORROWED:g} borrowed"
"""What `reports.stats.moderated` does."""


@dataclass(frozen=True)
class Estimates:
    """Of each comparison [study, pair]: the log-ratio, its standard error and degrees of freedom."""

    centre: Array
    error: Array
    df: Array


def unstable_arms(logs: Array) -> Flags:
    """`reports.stats.unstable` of [study, arm, seed] logs."""
    spread = logs.std(axis=-1, ddof=1)
    usual = np.median(spread, axis=-1, keepdims=True)
    away = np.abs(logs - np.median(logs, axis=-1, keepdims=True)).max(axis=-1) >= np.log(AWAY)
    flags: Flags = (spread > SPREAD_TIMES * usual) & away
    return flags


def of_pairs(logs: Array, pairs: Pairs) -> tuple[Array, Array]:
    """The two arms of every comparison, each [study, pair, seed]."""
    return logs[:, [one for one, _ in pairs]], logs[:, [other for _, other in pairs]]


def paired(logs: Array, pairs: Pairs) -> Estimates:
    one, other = of_pairs(logs, pairs)
    n = logs.shape[-1]
    apart = other - one
    return Estimates(apart.mean(-1), apart.std(-1, ddof=1) / np.sqrt(n), np.full(apart.shape[:2], n - 1.0))


def of_variances(logs: Array, pairs: Pairs, squeezed: Squeezed) -> Estimates:
    """Unpaired, each arm with its own variance; Welch's degrees of freedom (Satterthwaite 1946)."""
    n = logs.shape[-1]
    means = logs.mean(-1)
    i, j = [one for one, _ in pairs], [other for _, other in pairs]
    a, b = squeezed.variance[:, i] / n, squeezed.variance[:, j] / n
    df = (a + b) ** 2 / (a**2 / squeezed.df[:, i] + b**2 / squeezed.df[:, j])
    return Estimates(means[:, j] - means[:, i], np.sqrt(a + b), df)


def plain(logs: Array) -> Squeezed:
    s2 = logs.var(-1, ddof=1)
    return Squeezed(s2, np.full(s2.shape, logs.shape[-1] - 1.0))


def welch(logs: Array, pairs: Pairs) -> Estimates:
    return of_variances(logs, pairs, plain(logs))


def unpaired(logs: Array, pairs: Pairs) -> Estimates:
    n, found = logs.shape[-1], welch(logs, pairs)
    return Estimates(found.centre, found.error, np.full(found.df.shape, 2.0 * (n - 1)))


def pooled(logs: Array, pairs: Pairs) -> Estimates:
    n = logs.shape[-1]
    counted = ~unstable_arms(logs)
    s2 = plain(logs).variance
    common = (s2 * counted).sum(-1, keepdims=True) / counted.sum(-1, keepdims=True)
    df = counted.sum(-1, keepdims=True) * (n - 1.0)
    own = Squeezed(np.where(counted, common, s2), np.where(counted, df, n - 1.0))
    return of_variances(logs, pairs, own)


def squeezed(s2: Array, d: float, steady: Flags, most: float) -> Squeezed:
    """Variances [study, k] with the prior of the steady ones, of which each borrows at most `most`."""
    prior = fit(s2, d, steady)
    return squeeze(s2, d, prior, np.where(steady, np.minimum(prior.df[:, None], most), 0.0))


def squeezed_robustly(s2: Array, d: float, steady: Flags) -> Squeezed:
    """As `squeezed`, where one that is too variable to be of the others borrows less (Phipson et al. 2016).

    The prior is fitted with the largest tenth replaced by the next smaller one. d0 of a variance falls with the
    probability that it is an outlier, down to the d0 at which the most outlying one would be the median.
    """
    n = steady.sum(axis=-1, keepdims=True)
    sizes = np.sort(np.where(steady, s2, -np.inf), axis=-1)
    cut = np.maximum(np.ceil(0.1 * n).astype(int), 1)
    limit = np.take_along_axis(sizes, np.maximum(s2.shape[-1] - 1 - cut, 0), axis=-1)
    prior = fit(np.where(np.isfinite(limit), np.minimum(s2, limit), s2), d, steady)
    d0 = np.minimum(prior.df[:, None], d * s2.shape[-1])
    ratio = np.where(steady, s2 / np.maximum(prior.variance[:, None], TINY), 0.0)
    tail = np.where(steady, fisher.sf(ratio, d, np.maximum(d0, TINY)), 1.0)
    # Of n ordinary ones the r-th largest has a tail of about (r - 1/2) / n.
    order = np.argsort(tail, axis=-1)
    ranks = np.argsort(order, axis=-1)
    ordinary = np.minimum(tail / ((ranks + 0.5) / np.maximum(n, 1)), 1.0)
    # None is more of an outlier than a larger one.
    rising = np.maximum.accumulate(np.take_along_axis(ordinary, order, axis=-1), axis=-1)
    ordinary = np.take_along_axis(rising, ranks, axis=-1)
    least = np.minimum(d0, df_of_median(ratio.max(axis=-1, keepdims=True), d))
    own = np.where(ordinary == 1, prior.df[:, None], ordinary * d0 + (1 - ordinary) * least)
    return squeeze(s2, d, prior, np.where(steady, own, 0.0))


def df_of_median(ratio: Array, df: float) -> Array:
    """m at which `ratio` is the median of F(df, m), between 0.01 and 10,000."""
    low, high = np.full(ratio.shape, np.log(1e-2)), np.full(ratio.shape, np.log(1e4))
    for _ in range(40):
        middle = (low + high) / 2
        beyond = fisher.sf(ratio, df, np.exp(middle)) > 0.5
        low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    m: Array = np.exp(low)
    return m


def moderated_arms(logs: Array, pairs: Pairs, most: float | None) -> Estimates:
    """Unpaired, the arms' variances squeezed; `most` None: robustly."""
    s2, d, steady = plain(logs).variance, logs.shape[-1] - 1.0, ~unstable_arms(logs)
    arms = squeezed_robustly(s2, d, steady) if most is None else squeezed(s2, d, steady, most)
    return of_variances(logs, pairs, arms)


def moderated_pairs(logs: Array, pairs: Pairs, most: float | None) -> Estimates:
    """Paired, the variances of the differences squeezed; `most` None: robustly."""
    n = logs.shape[-1]
    one, other = of_pairs(logs, pairs)
    arms = ~unstable_arms(logs)
    steady = arms[:, [i for i, _ in pairs]] & arms[:, [j for _, j in pairs]]
    apart = other - one
    s2 = apart.var(-1, ddof=1)
    own = squeezed_robustly(s2, n - 1.0, steady) if most is None else squeezed(s2, n - 1.0, steady, most)
    return Estimates(apart.mean(-1), np.sqrt(own.variance / n), own.df)


METHODS: Mapping[str, Callable[[Array, Pairs], Estimates]] = MappingProxyType(
    {
        "paired t": paired,
        "unpaired t": unpaired,
        "Welch": welch,
        "pooled": pooled,
        "arms": lambda logs, pairs: moderated_arms(logs, pairs, np.inf),
        "arms, robust": lambda logs, pairs: moderated_arms(logs, pairs, None),
        "arms, at most 2 borrowed": lambda logs, pairs: moderated_arms(logs, pairs, 2.0),
        "pairs": lambda logs, pairs: moderated_pairs(logs, pairs, np.inf),
        "pairs, robust": lambda logs, pairs: moderated_pairs(logs, pairs, None),
        "pairs, at most 4 borrowed": lambda logs, pairs: moderated_pairs(logs, pairs, 4.0),
        USED: lambda logs, pairs: moderated_pairs(logs, pairs, MOST_BORROWED),
        "pairs, at most 1 borrowed": lambda logs, pairs: moderated_pairs(logs, pairs, 1.0),
    }
)

Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]


def normal(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    return rng.normal(size=size)


def gumbel(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Mean 0, sd 1, skewness 1.14."""
    return (rng.gumbel(size=size) - np.euler_gamma) * float(np.sqrt(6) / np.pi)


def exponential(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    """Mean 0, sd 1, skewness 2."""
    return rng.exponential(size=size) - 1


@dataclass(frozen=True)
class Scenario:
    """How eleven arms scatter: standard deviations, each one's correlation with the first, the noise.

    The sds of the `outlying` are `times` the usual 0.18. Those that are `collapsing` end at 11.5 times their distance
    in one seed of three, as rung 4 did. `beyond`: told, not asked.
    """

    name: str
    sds: tuple[float, ...] = SDS
    shared: tuple[float, ...] = SHARED
    noise: Noise = normal
    outlying: tuple[int, ...] = ()
    times: float = 2.0
    collapsing: tuple[int, ...] = ()
    beyond: bool = False

    def draw(self, rng: np.random.Generator, studies: int, n: int) -> Array:
        """Logs [study, arm, seed]."""
        logs = self.noise(rng, (studies, ARMS, n))
        rho = np.array(self.shared)[None, 1:, None]
        logs[:, 1:] = rho * logs[:, :1] + np.sqrt(1 - rho**2) * logs[:, 1:]
        sds = [self.times * 0.18 if k in self.outlying else sd for k, sd in enumerate(self.sds)]
        logs *= np.array(sds)[None, :, None]
        for k in self.collapsing:
            logs[:, k] += np.log(11.5) * (rng.random((studies, n)) < 1 / 3)
        return logs


EVEN = (0.18,) * ARMS
ALONE = (1.0, *(0.0,) * (ARMS - 1))
SCENARIOS = (
    Scenario("even, each seed by itself", sds=EVEN, shared=ALONE),
    Scenario("even, seeds shared by all (0.5)", sds=EVEN, shared=(1.0, *(0.5,) * (ARMS - 1))),
    Scenario("uneven, each seed by itself", shared=ALONE),
    Scenario("uneven, seeds shared as measured"),
    Scenario("the same, Gumbel", noise=gumbel),
    Scenario("the same, exponential", noise=exponential),
    Scenario("one arm scatters twice as widely", outlying=(5,)),
    Scenario("two arms scatter twice as widely", outlying=(5, 8)),
    Scenario("one arm collapses", collapsing=(5,)),
    Scenario("two arms collapse", collapsing=(5, 8)),
    Scenario("two arms scatter three times as widely", outlying=(5, 8), times=3.0, beyond=True),
)


SHOWN = SCENARIOS[3].name
"""The scenario whose widths the page shows."""


@dataclass(frozen=True)
class Cell:
    """One method in one scenario: shares of studies. `ordinary` and `least` are the mean and the worst coverage of an
    ordinary comparison, `width` the median of its upper over its lower end; `families` those that call anything."""

    scenario: str
    structure: str
    n: int
    method: str
    ordinary: float
    least: float
    outlying: float | None
    width: float
    families: float
    beyond: bool

    @property
    def admitted(self) -> bool:
        """Within the rule, to the whole percent."""
        held = 0.925 <= self.ordinary < 0.975 and (self.outlying is None or self.outlying >= 0.895)
        return held and self.families < 0.055


def measure(scenario: Scenario, structure: str, n: int, draws: int = DRAWS) -> list[Cell]:
    """Every method on the same draws."""
    pairs = STRUCTURES[structure]
    place = [SEED, SCENARIOS.index(scenario), list(STRUCTURES).index(structure), n]
    logs = scenario.draw(np.random.default_rng(place), draws, n)
    special = {*scenario.outlying, *scenario.collapsing}
    ordinary = np.array([not {*pair} & special for pair in pairs])
    outlying = np.array([bool({*pair} & {*scenario.outlying}) for pair in pairs])
    cells = []
    for method, estimate in METHODS.items():
        e = estimate(logs, pairs)
        half = student.ppf((1 + LEVEL) / 2, e.df) * e.error
        held = (np.abs(e.centre) <= half).mean(axis=0)
        p = np.where(ordinary | outlying, 2 * student.sf(np.abs(e.centre) / e.error, e.df), 1.0)
        # Holm calls anything exactly where the smallest p is at most the level over the family's size.
        called = float((p.min(axis=1) <= (1 - LEVEL) / len(pairs)).mean())
        cells.append(
            Cell(
                scenario.name,
                structure,
                n,
                method,
                round(float(held[ordinary].mean()), 4),
                round(float(held[ordinary].min()), 4),
                round(float(held[outlying].min()), 4) if outlying.any() else None,
                round(float(np.exp(2 * np.median(half[:, ordinary]))), 3),
                round(called, 4),
                scenario.beyond,
            )
        )
    return cells


def simulate() -> list[dict[str, Any]]:
    """One row per method: its worst over all cells that are asked, and whether it is chosen."""
    cells = [
        cell
        for scenario in SCENARIOS
        for structure in STRUCTURES
        for n in SEEDS
        for cell in measure(scenario, structure, n)
    ]
    chosen = choose(cells)
    return [asdict(summed(method, cells, method == chosen)) for method in METHODS]


def choose(cells: Sequence[Cell]) -> str | None:
    """Of the methods that the rule admits, the one with the shortest intervals (log scale); None: there is none."""
    asked = [cell for cell in cells if not cell.beyond]
    admitted = [m for m in METHODS if all(cell.admitted for cell in asked if cell.method == m)]
    lengths = {m: round(np.mean([np.log(np.log(c.width)) for c in asked if c.method == m]), 6) for m in admitted}
    return min(lengths, key=lambda m: lengths[m]) if lengths else None


@dataclass(frozen=True)
class Summary:
    """One method over its `cells`: extremes of what `Cell` has, and `widths` by n where seeds are shared as measured.

    `wider` and `wider_families` are of arms that scatter three times as widely, at n = 3.
    """

    method: str
    chosen: bool
    cells: int
    outside: int
    ordinary_least: float
    ordinary_most: float
    outlying_least: float
    families_most: float
    widths: dict[str, float]
    wider: float
    wider_families: float


def summed(method: str, cells: Sequence[Cell], chosen: bool) -> Summary:
    """One method's cells in one row."""
    mine = [cell for cell in cells if cell.method == method and not cell.beyond]
    wider = [cell for cell in cells if cell.method == method and cell.beyond and cell.n == 3]
    one = [cell for cell in mine if (cell.scenario, cell.structure) == (SHOWN, "leave one out")]
    return Summary(
        method=method,
        chosen=chosen,
        cells=len(mine),
        outside=sum(not cell.admitted for cell in mine),
        ordinary_least=min(cell.ordinary for cell in mine),
        ordinary_most=max(cell.ordinary for cell in mine),
        outlying_least=min(cell.outlying for cell in mine if cell.outlying is not None),
        families_most=max(cell.families for cell in mine),
        widths={str(cell.n): cell.width for cell in one},
        wider=min(cell.outlying for cell in wider if cell.outlying is not None),
        wider_families=max(cell.families for cell in wider),
    )


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The section of the page."""
    methods = [Summary(**row) for row in rows]
    chosen = next((method.method for method in methods if method.chosen), "none")
    table = []
    for m in methods:
        widths = " | ".join(f"×{width:.2f}" for n, width in m.widths.items() if n != "30")
        table.append(
            f"| {m.method} | {m.ordinary_least:.1%} to {m.ordinary_most:.1%} | {m.outlying_least:.1%} "
            f"| {m.families_most:.1%} | {m.outside} of {m.cells} | {widths} | {m.wider:.1%}, {m.wider_families:.1%} |"
        )
    return [
        f"## {TITLE}",
        "",
        f"{DRAWS:,} designs in each of {methods[0].cells} cells: {len(SCENARIOS) - 1} scenarios, leave one out and "
        f"ladder of {ARMS} arms, n = {', '.join(map(str, SEEDS))}. Standard deviations of logs (0.12 to 0.26) and "
        "correlations between arms (-0.07 to 0.83) are those of 20 seeds of `changes_overview`. The rule: "
        "in every cell, to the whole percent, ordinary comparisons are covered 93% to 97% on average, one with "
        "an arm that scatters twice as widely 90% or more, and at most 5% of families call anything after Holm; of "
        f"those methods the one with the shortest intervals. Chosen: **{chosen}**, which verdicts use "
        "(`reports.stats.borrowing`).",
        "",
        "“Arms” and “pairs” squeeze the variances of arms, or of paired differences, towards their common value (Smyth "
        "2004); robust is Phipson et al. 2016. A bound on what is borrowed became a choice after a first look had "
        "shown that all of it errs. The last column, arms that scatter three times as widely, was set apart in that "
        "look, and is told instead of asked. That look also settled “twice” and “to the whole percent”; the bounds "
        "stood before it.",
        "",
        "| method | ordinary, mean coverage | outlying, worst | families that call anything, worst | cells outside "
        "| width at n = 2 | 3 | 5 | 10 | 20 | three times as widely, n = 3: coverage, families |",
        "|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *table,
        "",
        f"Widths are medians of the upper over the lower end: leave one out, {SHOWN}.",
        "",
    ]
