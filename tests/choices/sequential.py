"""Chooses how the 5% of a design are spent over looks at more and more seeds (docs/intervals.md).

Every comparison that is still open gets the seeds of the next look, until all are decided: a change helps or hurts
(Holm over the design's sequential p-values), or is negligible (two one-sided tests within `MARGIN`, Holm as a family of
its own). Designs in which nothing does anything scatter as in `tests.choices.moderation`; counted is how many of them
call anything at any look. Worlds with effects count the runs until all is decided.

A way to spend is a spending function, what of the total may be used up by a share of the seeds, and how it becomes a
nominal level of each look. "Integrated": by the joint distribution of normal z at all looks, the level then put to the
p of a moderated t (`reports.stats.sequential`). "Split": each look's own share and no more, which holds however looks
depend on each other.

The rule, written before the first run. A way is admitted if, to the whole percent, at most 5% of families call anything
falsely in every scenario but those `beyond` and in every world, and at most 5% call something negligible that is not.
Of those, the one with the fewest runs until all is decided or 30 seeds are used, summed over the worlds `weighed`; the
fewest of those that are split, which need no integrals, if that is at most 2% more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from reports.stats.moderated import fit, squeeze
from reports.stats.sequential import LEVEL, Spending, increments, levels, pocock
from studies.looks import LOOKS, looks_up_to
from studies.spreads import MOST_BORROWED
from tests.choices import moderation

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]
CAPS = (30, 20)
MARGIN = 1.15
COMPARISONS = moderation.ARMS - 1
DRAWS = 10_000
"""Designs of each scenario in which nothing does anything."""
DESIGNS = 5_000
"""Designs of each world with effects."""
SEED = 23
FIXED = tuple(range(3, 31))
"""Numbers of seeds of a design that is looked at once."""
FEW = 1.02
TITLE = "Seeds until all is decided"
USED = "Pocock type, integrated"
"""What `reports.stats.sequential` does."""

# --- spending functions and nominal levels ----------------------------------------------------------------------------


def obrien_fleming(total: float, share: Array) -> Array:
    """Of O'Brien and Fleming's type (Lan and DeMets 1983), half of the total on either side."""
    spent: Array = 4 * norm.sf(norm.isf(total / 4) / np.sqrt(share))
    return spent


def hwang(total: float, share: Array) -> Array:
    """Hwang, Shih and DeCani (1990) with gamma = -2, between the two."""
    spent: Array = total * np.expm1(2 * share) / np.expm1(2.0)
    return spent


def linear(total: float, share: Array) -> Array:
    """As many per cent as of the seeds (Kim and DeMets 1987)."""
    return total * share


SPENDINGS: Mapping[str, Spending] = MappingProxyType(
    {
        "O'Brien-Fleming type": obrien_fleming,
        "Hwang-Shih-DeCani, gamma -2": hwang,
        "linear": linear,
        "Pocock type": pocock,
    }
)


@dataclass(frozen=True)
class Way:
    """A spending function, and whether it is split over looks or integrated. None: as much at every look."""

    spending: str | None
    split: bool

    @property
    def name(self) -> str:
        return f"{self.spending or 'equal'}, {'split' if self.split else 'integrated'}"

    def levels(self, total: float, looks: tuple[int, ...] = LOOKS) -> Array:
        """The nominal two-sided level of each look. Half of that of twice the total is of one-sided tests: that both
        bounds are crossed has no probability to speak of."""
        if self.spending is None:
            return np.full(len(looks), total / len(looks))
        spending = SPENDINGS[self.spending]
        if self.split:
            # Weights of one total for all: a level then grows with its total at every look.
            return increments(LEVEL, looks, spending) / LEVEL * total
        return np.array(levels(total, looks, spending))


WAYS = (
    *(Way(spending, False) for spending in SPENDINGS),
    *(Way(spending, True) for spending in SPENDINGS),
    Way(None, True),
)


@cache
def ladders(way: Way | None, looks: tuple[int, ...]) -> tuple[Array, Array]:
    """Levels [look, step] of Holm's steps, the total over 1 to `COMPARISONS`: two-sided, and one-sided. No way: one
    look, which has all of it."""
    totals = [LEVEL / step for step in range(1, COMPARISONS + 1)]
    if way is None:
        alone = np.array([totals])
        return alone, alone
    two = np.array([way.levels(total, looks) for total in totals]).T
    one = np.array([way.levels(2 * total, looks) / 2 for total in totals]).T
    return two, one


def reached(p: Array, ladder: Array) -> Counts:
    """The largest divisor of the total that each p still keeps; 0: not even the total itself."""
    kept: Counts = (p[..., None] <= ladder).sum(axis=-1)
    return kept


def by_holm(kept: Counts) -> Flags:
    """Which of [design, comparison] Holm rejects, each having kept the total over `kept` at some look."""
    order = np.argsort(-kept, axis=-1, kind="stable")
    needed = COMPARISONS - np.arange(COMPARISONS)
    met = np.logical_and.accumulate(np.take_along_axis(kept, order, axis=-1) >= needed, axis=-1)
    rejected = np.zeros(kept.shape, dtype=bool)
    np.put_along_axis(rejected, order, met, axis=-1)
    return rejected


# --- where nothing does anything --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Null:
    """Shares in one cell: families that call anything at any look, and comparisons whose interval misses at any."""

    scenario: str
    structure: str
    way: str
    families: float
    missed: float
    beyond: bool


def p_at_looks(scenario: moderation.Scenario, structure: str, draws: int) -> tuple[Array, Flags]:
    """Of [design, look, comparison] without any effect, all of which go on; and which comparisons are ordinary.

    Comparisons with a collapsing arm have 1: they are called unstable.
    """
    pairs = moderation.STRUCTURES[structure]
    place = [SEED, moderation.SCENARIOS.index(scenario), list(moderation.STRUCTURES).index(structure)]
    logs = scenario.draw(np.random.default_rng(place), draws, LOOKS[-1])
    out = np.array([bool({*pair} & {*scenario.collapsing}) for pair in pairs])
    wide = np.array([bool({*pair} & {*scenario.outlying}) for pair in pairs])
    p = np.ones((draws, len(LOOKS), len(pairs)))
    for k, n in enumerate(LOOKS):
        e = moderation.moderated_pairs(logs[..., :n], pairs, MOST_BORROWED)
        p[:, k] = np.where(out, 1.0, 2 * student.sf(np.abs(e.centre) / e.error, e.df))
    return p, ~out & ~wide


def null(scenario: moderation.Scenario, structure: str, draws: int = DRAWS) -> list[Null]:
    """Every way on the same draws. Whatever stops it, a family has called something if any look would."""
    p, ordinary = p_at_looks(scenario, structure, draws)
    found = []
    for way in WAYS:
        two, _ = ladders(way, LOOKS)
        # Holm calls anything exactly where one comparison keeps the level over the family's size.
        called = (p <= two[:, -1, None]).any(axis=(1, 2)).mean()
        missed = (p[..., ordinary] <= two[:, 0, None]).any(axis=1).mean()
        found.append(
            Null(scenario.name, structure, way.name, round(float(called), 4), round(float(missed), 4), scenario.beyond)
        )
    return found


# --- with effects -----------------------------------------------------------------------------------------------------

MEASURED = (0.85, 0.97, 0.84, 0.77, 0.78, 1.30, 0.34, 1.21, 0.76, 0.65)
"""Ratios of 20 seeds of leave one out, `all` over `all` without the change; by the correlation with `all`."""


@dataclass(frozen=True)
class World:
    """True log-ratios of ten changes; `weighed`: its runs choose."""

    name: str
    effects: Array
    weighed: bool = True


AS_MEASURED = np.log(np.array(MEASURED))
SIGNS = np.where(np.arange(COMPARISONS) % 2, 1.0, -1.0)
WORLDS = (
    World("as measured", AS_MEASURED),
    World("half as large", AS_MEASURED / 2),
    World("every second one nothing", np.where(SIGNS > 0, AS_MEASURED, 0.0)),
    World("nothing at all", np.zeros(COMPARISONS), weighed=False),
    World(f"all at ×{MARGIN}", SIGNS * np.log(MARGIN), weighed=False),
)
SCATTER = moderation.SCENARIOS[3]


@dataclass(frozen=True)
class Spent:
    """Means over designs: runs, and shares of comparisons decided; shares of families with a false word."""

    world: str
    way: str
    cap: int
    runs: float
    resolved: float
    negligible: float
    false: float
    false_negligible: float

    @property
    def decided(self) -> float:
        """Share of comparisons that help, hurt or are negligible."""
        return self.resolved + self.negligible


@cache
def differences(world: int, designs: int) -> Array:
    """Paired log-ratios [design, comparison, seed] of a world by its place in `WORLDS`."""
    logs = SCATTER.draw(np.random.default_rng([SEED, 100 + world]), designs, LOOKS[-1])
    one, other = moderation.of_pairs(logs, moderation.STRUCTURES["leave one out"])
    apart: Array = other - one + WORLDS[world].effects[None, :, None]
    return apart


def spend(world: World, way: Way | None, looks: tuple[int, ...], designs: int = DESIGNS) -> Spent:
    """Trains designs of a world until all is decided or the last look is passed. No arm of these is unstable."""
    apart = differences(WORLDS.index(world), designs)
    two, one = ladders(way, looks)
    shape = apart.shape[:2]
    still = np.ones(shape, dtype=bool)
    seeds, centre, s2 = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    kept, kept_small = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    resolved, negligible = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for k, n in enumerate(looks):
        now = apart[..., :n]
        # Whoever is decided gets no more seeds, and lends the variance of those that it has.
        seeds = np.where(still, n, seeds)
        centre, s2 = np.where(still, now.mean(-1), centre), np.where(still, now.var(-1, ddof=1), s2)
        prior = fit(s2, seeds - 1)
        own = squeeze(s2, seeds - 1, prior, np.broadcast_to(np.minimum(prior.df[:, None], MOST_BORROWED), shape))
        error = np.sqrt(own.variance / seeds)
        p = np.where(still, 2 * student.sf(np.abs(centre) / error, own.df), 1.0)
        p_small = np.where(still, student.sf((np.log(MARGIN) - np.abs(centre)) / error, own.df), 1.0)
        kept, kept_small = np.maximum(kept, reached(p, two[k])), np.maximum(kept_small, reached(p_small, one[k]))
        resolved |= still & by_holm(kept)
        negligible |= still & ~resolved & by_holm(kept_small)
        still &= ~(resolved | negligible)
    wrong = resolved & (np.sign(centre) != np.sign(world.effects))
    large = negligible & (np.abs(world.effects) > np.log(MARGIN) - 1e-9)
    return Spent(
        world.name,
        way.name if way else "one look",
        looks[-1],
        # The shared arm goes on while any comparison is open.
        round(float((seeds.sum(axis=1) + seeds.max(axis=1)).mean()), 1),
        round(float(resolved.mean()), 4),
        round(float(negligible.mean()), 4),
        round(float(wrong.any(axis=1).mean()), 4),
        round(float(large.any(axis=1).mean()), 4),
    )


def fixed_runs(decided: float, alone: Sequence[Spent]) -> float | None:
    """Runs of a design that is looked at once and decides as many comparisons; None: more than it ever does."""
    shares = np.maximum.accumulate([one.decided for one in alone])
    if decided > shares[-1]:
        return None
    return round(float(np.interp(decided, shares, [one.runs for one in alone])), 1)


# --- choosing and telling ---------------------------------------------------------------------------------------------


def choose(nulls: Sequence[Null], spent: Sequence[Spent]) -> str | None:
    """By the rule; None: none is admitted."""
    weighed = {world.name for world in WORLDS if world.weighed}
    runs = {}
    for way in WAYS:
        errors = [n.families for n in nulls if n.way == way.name and not n.beyond]
        mine = [s for s in spent if s.way == way.name]
        errors += [share for s in mine for share in (s.false, s.false_negligible)]
        if max(errors) < LEVEL + 0.005:
            runs[way] = round(sum(s.runs for s in mine if s.cap == CAPS[0] and s.world in weighed), 1)
    if not runs:
        return None
    fewest = min(runs, key=lambda way: runs[way])
    split = min((way for way in runs if way.split), key=lambda way: runs[way], default=fewest)
    return (split if runs[split] <= FEW * runs[fewest] else fewest).name


def simulate() -> list[dict[str, Any]]:
    """One row per way to spend."""
    nulls = [n for s in moderation.SCENARIOS for structure in moderation.STRUCTURES for n in null(s, structure)]
    spent = [spend(world, way, looks_up_to(cap)) for world in WORLDS for way in WAYS for cap in CAPS]
    alone = {world.name: [spend(world, None, (n,)) for n in FIXED] for world in WORLDS}
    chosen = choose(nulls, spent)
    rows = []
    for way in WAYS:
        mine = [n for n in nulls if n.way == way.name]
        rows.append(
            asdict(
                Summary(
                    way=way.name,
                    chosen=way.name == chosen,
                    levels=[float(f"{level:.3g}") for level in way.levels(LEVEL)],
                    cells=sum(not n.beyond for n in mine),
                    families_most=max(n.families for n in mine if not n.beyond),
                    missed_most=max(n.missed for n in mine if not n.beyond),
                    wider_families=max(n.families for n in mine if n.beyond),
                    worlds=[
                        {**asdict(s), "fixed_runs": fixed_runs(s.decided, alone[s.world])}
                        for s in spent
                        if s.way == way.name
                    ],
                )
            )
        )
    return rows


@dataclass(frozen=True)
class Summary:
    """One way to spend: nominal `levels` of looks, worst shares over `cells`, and what `Spent` has of every world.

    `wider_families` is of arms that scatter three times as widely; `fixed_runs` of a world are those of one look that
    decides as many.
    """

    way: str
    chosen: bool
    levels: list[float]
    cells: int
    families_most: float
    missed_most: float
    wider_families: float
    worlds: list[dict[str, Any]]

    def of(self, world: str, cap: int = CAPS[0]) -> dict[str, Any]:
        """A world by its name and the most seeds."""
        return next(found for found in self.worlds if (found["world"], found["cap"]) == (world, cap))


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """The section of the page."""
    ways = [Summary(**row) for row in rows]
    chosen = next((way for way in ways if way.chosen), ways[0])
    split = min((way for way in ways if "split" in way.way), key=weighed_runs)
    more = weighed_runs(split) / weighed_runs(chosen) - 1
    weighed = [world.name for world in WORLDS if world.weighed]
    levels_table = [
        f"| {'**' if w.chosen else ''}{w.way}{'**' if w.chosen else ''} "
        f"| {' | '.join('–' if level < 1e-4 else f'{level:.2%}' for level in w.levels)} | {w.families_most:.1%} "
        f"| {w.missed_most:.1%} | {w.wider_families:.1%} |"
        for w in ways
    ]
    runs_table = []
    for way in ways:
        cells = []
        for name in weighed:
            world = way.of(name)
            cells.append(f"{world['runs']:.0f} of {world['fixed_runs']:.0f}, {share_decided(world):.0%}")
        runs_table.append(f"| {way.way} | {' | '.join(cells)} |")
    worlds_table = [
        f"| {world['world']} | {world['cap']} | {world['runs']:.0f} | {once(world)} | {world['resolved']:.1%} "
        f"| {world['negligible']:.1%} | {world['false']:.1%} | {world['false_negligible']:.1%} |"
        for world in chosen.worlds
    ]
    return [
        f"## {TITLE}",
        "",
        f"Looks were declared at {', '.join(map(str, LOOKS))} seeds. At each, what is still open gets further seeds: a "
        f"change helps or hurts by Holm over the sequential p-values of {COMPARISONS} comparisons (moderated, at most "
        f"{MOST_BORROWED:g} borrowed), or is negligible by two one-sided tests within a factor of {MARGIN}, Holm as a "
        f"family of its own. {DRAWS:,} designs in which nothing does anything in each of {chosen.cells} cells, the "
        f"scenarios and structures of the section above; {DESIGNS:,} designs of leave one out in each world with "
        f"effects, scattering {SCATTER.name.removeprefix('uneven, ')}. The rule, written before the first run: at most "
        f"{LEVEL:.0%} of families, to the whole percent, call anything falsely at any look, and at most {LEVEL:.0%} "
        "call something negligible that is not; of those ways the one with the fewest runs until all is decided or 30 "
        "seeds are used; the best of those that split, which need no integrals, if that is at most "
        f"{FEW - 1:.0%} more. Chosen: **{chosen.way}**. The best that splits ({split.way.removesuffix(', split')}) "
        f"needs {more:.1%} more runs.",
        "",
        "Nominal levels of looks for a total of 5%, – below 0.01%; the share of families that call anything at any "
        "look, and that of ordinary comparisons whose interval misses the truth at any look, in the worst cell; "
        "families where arms scatter three times as widely, told and not asked:",
        "",
        f"| spent | {' | '.join(f'n = {n}' if n == LOOKS[0] else str(n) for n in LOOKS)} "
        "| families that call anything | intervals that miss at any look | families, three times as widely |",
        f"|:--|{'--:|' * (len(LOOKS) + 3)}",
        *levels_table,
        "",
        "Runs of a design of 11 arms until all is decided or 30 seeds are used, of those that one look needs to decide "
        "as many, and how many of its comparisons are then decided. As measured: the ten ratios of 20 seeds of "
        "`changes_overview`; half as large: their logs halved.",
        "",
        f"| spent | {' | '.join(weighed)} |",
        f"|:--|{'--:|' * len(weighed)}",
        *runs_table,
        "",
        "Fewest runs is what the rule asks, not most verdicts. Ways that keep more for late looks train a few per cent "
        "more runs and decide more by the 30th seed; against one look that decides as many, Hwang-Shih-DeCani saves "
        "most. Of many small effects one look at a number of seeds that was well chosen needs no more runs, but has to "
        "be chosen without knowing them.",
        "",
        f"{chosen.way}, by the most seeds that were declared:",
        "",
        "| world | at most | runs | one look | help or hurt | negligible | families with a false one "
        "| families with a false negligible |",
        "|:--|--:|--:|--:|--:|--:|--:|--:|",
        *worlds_table,
        "",
    ]


def weighed_runs(way: Summary) -> float:
    """What the rule compares."""
    return float(sum(way.of(world.name)["runs"] for world in WORLDS if world.weighed))


def share_decided(world: Mapping[str, Any]) -> float:
    """Of comparisons: help, hurt or are negligible."""
    return float(world["resolved"] + world["negligible"])


def once(world: Mapping[str, Any]) -> str:
    """Runs of one look that decides as many."""
    return "–" if world["fixed_runs"] is None else f"{world['fixed_runs']:.0f}"
