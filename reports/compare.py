"""Two studies, two settings of one, or one at two dates, side by side: what agrees, and by how much it differs.

Everything is read from tidy frames (`reports.results.TIDY_COLUMNS`), so that a report folder kept from an earlier date
compares with today's runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from core.errors import InputError
from reports import figures, stats
from reports.numbers import counted, factor, fixed, listed, mean_sd, times
from reports.page import (
    Block,
    Bullets,
    Code,
    Column,
    Document,
    Figure,
    Heading,
    Note,
    Paragraph,
    Strong,
    Table,
    Text,
)
from reports.results import TIDY_COLUMNS, load
from reports.tables import METRICS

BASELINE = "baseline"
FIGURE = "figures/effects.svg"


@dataclass(frozen=True)
class Side:
    """One of the two: its tidy frame, and the metric it reports. `data` is None where only a results.csv is there."""

    name: str
    tidy: pd.DataFrame
    metric: str
    data: str | None = None

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per variant and seed: status, run, last iteration and value, inf for a diverged run, NaN for one that
        did not finish."""
        rows = []
        for key, mine in self.tidy.groupby(["variant", "seed"], sort=False):
            variant, seed = cast(Any, key)
            status, run = str(mine["status"].iloc[0]), str(mine["run"].iloc[0])
            measured = mine[(mine["metric"] == self.metric) & mine["iteration"].notna()].sort_values("iteration")
            last = measured.iloc[-1] if len(measured) else None
            ended = last is not None and status == "finished"
            value = np.inf if status == "diverged" else float(last["value"]) if ended and last is not None else np.nan
            iteration = int(last["iteration"]) if ended and last is not None else None
            rows.append((str(variant), int(seed), status, run, iteration, value))
        return pd.DataFrame(rows, columns=["variant", "seed", "status", "run", "iteration", "value"])

    @cached_property
    def variants(self) -> list[str]:
        """Names in the order of the plan."""
        return list(dict.fromkeys(self.runs["variant"]))

    @cached_property
    def _by_variant(self) -> dict[str, pd.DataFrame]:
        return {name: self.runs[self.runs["variant"] == name].set_index("seed") for name in self.variants}

    def of(self, variant: str) -> pd.DataFrame:
        """The runs of one variant by seed."""
        return self._by_variant[variant]

    def values(self, variant: str) -> NDArray[np.float64]:
        """The last values of one variant over its seeds."""
        return self.of(variant)["value"].to_numpy(dtype=float)

    @property
    def iterations(self) -> tuple[int, ...]:
        """At which iterations finished runs were last measured."""
        return tuple(sorted({int(i) for i in self.runs["iteration"].dropna()}))

    @property
    def metric_title(self) -> str:
        """The metric in words, with the word proxy where it is one."""
        return METRICS.get(self.metric, ("", self.metric))[1]

    def effect(self, variant: str) -> stats.Effect:
        """The ratio of a variant to this side's own baseline, paired by seed."""
        before, after = (self.of(name)["value"].dropna() for name in (BASELINE, variant))
        shared = sorted(set(before.index) & set(after.index))
        return stats.paired_effect(before.loc[shared].to_numpy(float), after.loc[shared].to_numpy(float))


def read_side(text: str, runs: Path, other_metric: str | None = None) -> Side:
    """`STUDY`, `STUDY:SETTING` or the path of a folder with a results.csv. Raises InputError where it is none of them.

    A results.csv does not say which of its metrics was reported: it is `other_metric` if recorded, else the one known
    to `reports.tables.METRICS`.
    """
    folder = Path(text)
    if (folder / "results.csv").is_file():
        tidy = read_tidy(folder / "results.csv")
        return Side(text, tidy, metric_of(tidy, text, other_metric))
    if folder.is_dir():
        raise InputError(f"{text} has no results.csv: name a report's folder, or a study as STUDY or STUDY:SETTING")
    study, _, setting = text.partition(":")
    results = load(study, runs, setting or None)
    name = f"{results.plan.study}:{results.plan.setting}"
    return Side(name, results.tidy, results.metric, results.plan.data_name)


def read_tidy(file: Path) -> pd.DataFrame:
    """A results.csv. Raises InputError where it is not one."""
    try:
        tidy = pd.read_csv(file, dtype={"variant": str, "metric": str, "status": str, "run": str})
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a table: {str(error).splitlines()[0]}") from None
    if missing := [column for column in TIDY_COLUMNS if column not in tidy.columns]:
        raise InputError(f"{file} lacks the columns {listed(missing)}: render the report again to write it anew")
    try:
        for column in ("seed", "iteration", "value"):
            tidy[column] = pd.to_numeric(tidy[column])
    except (ValueError, TypeError):
        raise InputError(f"{file} has words in its column '{column}', which holds numbers") from None
    if tidy.empty or tidy[["variant", "seed"]].isna().to_numpy().any():
        raise InputError(f"{file} has no runs, or runs without a variant or a seed: render the report again")
    return tidy


def metric_of(tidy: pd.DataFrame, where: str, wanted: str | None) -> str:
    """The reported metric of a frame. Raises InputError where nothing was measured, or nothing says which it is."""
    recorded = [str(key) for key in tidy["metric"].dropna().unique()]
    known = [key for key in METRICS if key in recorded]
    if wanted in recorded:
        return str(wanted)
    if len(known) == 1 or len(recorded) == 1:
        return (known or recorded)[0]
    if not recorded:
        raise InputError(f"nothing was measured in {where}: there is nothing to compare")
    raise InputError(f"{where} records several metrics ({listed(recorded)}) and does not say which it reports")


# --- what two sides have in common ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """Two sides and the variants that both have."""

    a: Side
    b: Side

    @property
    def same_metric(self) -> bool:
        """Whether values may be divided by each other: one metric, and no two data sets known to differ."""
        data = self.a.data, self.b.data
        return self.a.metric == self.b.metric and (None in data or data[0] == data[1])

    @cached_property
    def shared(self) -> list[str]:
        """Variants of both, in the order of A."""
        return [name for name in self.a.variants if name in self.b.variants]

    def seeds(self, variant: str) -> list[int]:
        """Seeds that have ended in both."""
        ended = (set(side.of(variant)["value"].dropna().index) for side in (self.a, self.b))
        return sorted(set.intersection(*ended))

    def same_runs(self, variant: str) -> int:
        """How many of the seeds that both have are one and the same run."""
        one, other = self.a.of(variant)["run"], self.b.of(variant)["run"]
        return sum(one[seed] == other[seed] for seed in self.seeds(variant))

    def paired(self, variant: str) -> bool:
        """Whether the two are paired by seed: two seeds in common or more."""
        return len(self.seeds(variant)) > 1

    def ratio(self, variant: str) -> stats.Effect | stats.UnpairedEffect:
        """B / A: paired over the seeds in common, Welch's on the logs where fewer than two are."""
        if self.paired(variant):
            seeds = self.seeds(variant)
            one, other = (side.of(variant).loc[seeds, "value"].to_numpy(float) for side in (self.a, self.b))
            return stats.paired_effect(one, other)
        return stats.unpaired_effect(self.a.values(variant), self.b.values(variant))

    def effects(self) -> list[tuple[str, stats.Effect, stats.Effect]]:
        """Each shared variant's ratio to its own side's baseline, where both have one."""
        if BASELINE not in self.shared:
            return []
        return [(name, self.a.effect(name), self.b.effect(name)) for name in self.shared if name != BASELINE]

    def order(self) -> stats.RankCorrelation | None:
        """Agreement of the order of the shared variants, over as many seeds as all of a side's have."""
        tables = []
        for side in (self.a, self.b):
            ended = [side.values(name) for name in self.shared]
            ended = [values[~np.isnan(values)] for values in ended]
            n = max((values.size for values in ended), default=0)
            # A variant that lacks a seed is left out by its NaN, as a diverged one is by its infinity.
            tables.append([[*values, *[np.nan] * (n - values.size)] for values in ended])
        if not self.shared or not all(len(table[0]) for table in tables):
            return None
        return stats.seed_bootstrap_rank_correlation(tables[0], tables[1])


def read(a: str, b: str, runs: Path) -> Comparison:
    """Both sides. Raises InputError where one cannot be read, and where they share no variant."""
    if is_folder(a) and not is_folder(b):
        other = read_side(b, runs)
        found = Comparison(read_side(a, runs, other.metric), other)
    else:
        one = read_side(a, runs)
        found = Comparison(one, read_side(b, runs, one.metric))
    if found.a.name == found.b.name:
        raise InputError(f"'{a}' and '{b}' are the same report: name two")
    if not found.shared:
        raise InputError(
            f"'{a}' and '{b}' have no variant of the same name: "
            f"{listed(found.a.variants[:4])} … and {listed(found.b.variants[:4])} …"
        )
    return found


def is_folder(text: str) -> bool:
    """Whether a side is a kept report rather than a study."""
    return (Path(text) / "results.csv").is_file()


def slug(comparison: Comparison) -> str:
    """The default folder's name."""
    return "_vs_".join(re.sub(r"[^A-Za-z0-9.]+", "-", side.name).strip("-.") for side in (comparison.a, comparison.b))


# --- the page ---------------------------------------------------------------------------------------------------------


def compose(comparison: Comparison, folder: Path) -> Document:
    """The page, its figure drawn into `folder`/figures."""
    parts = (what_is_compared(comparison), values(comparison), effects(comparison, folder), rest(comparison))
    return Document(
        title=f"{comparison.a.name} and {comparison.b.name}",
        subtitle="Side by side: A is the first, B the second.",
        footer=f"{comparison.a.name} · {comparison.b.name}",
        blocks=tuple(block for part in parts for block in part),
    )


def what_is_compared(comparison: Comparison) -> list[Block]:
    """Provenance of both, and what keeps their values from being divided by each other."""
    rows: list[tuple[Text, ...]] = []
    for letter, side in (("A", comparison.a), ("B", comparison.b)):
        counts = side.runs["status"].value_counts()
        rows.append(
            (
                Strong(letter),
                Code(side.name),
                side.metric_title,
                side.data or "not recorded",
                listed([f"{i:,}" for i in side.iterations]) or "–",
                ", ".join(map(str, sorted(side.runs["seed"].unique()))),
                ", ".join(f"{count} {status}" for status, count in sorted(counts.items())),
            )
        )
    blocks: list[Block] = [
        Heading("What is compared"),
        Table(
            columns=(
                Column(""),
                Column("report", share=1.6),
                Column("metric", share=1.5),
                Column("data", share=1.0),
                Column("iterations", share=0.9),
                Column("seeds", share=0.9),
                Column("runs", share=1.2),
            ),
            rows=tuple(rows),
            caption=f"Provenance. {counted(len(comparison.shared), 'variant')} of the same name in both; a name says "
            "which changes were made, not that the configs are equal.",
        ),
    ]
    one, other = comparison.a, comparison.b
    if one.metric != other.metric:
        blocks.append(
            Note(
                (
                    Strong("The metrics differ."),
                    f" A reports {one.metric_title}, B {other.metric_title}: no value of the one is divided by one of "
                    "the other.",
                )
            )
        )
    elif not comparison.same_metric:
        blocks.append(
            Note(
                (
                    Strong("The data differ."),
                    f" A measures against {one.data}, B against {other.data}: a distance to other images is another "
                    "measure, and none is divided by one of the other.",
                )
            )
        )
    elif one.iterations != other.iterations:
        blocks.append(
            Note(
                (
                    Strong("The lengths of training differ."),
                    " A ratio B / A is then the effect of length and of whatever else differs.",
                )
            )
        )
    return blocks


def values(comparison: Comparison) -> list[Block]:
    """Last values of every shared variant, and their ratios where they may be divided."""
    write_a, write_b = (
        fixed([stats.summary(side.values(name)).mean for name in comparison.shared])
        for side in (comparison.a, comparison.b)
    )
    rows: list[tuple[Text, ...]] = []
    for name in comparison.shared:
        cells: list[Text] = [Code(name)]
        cells += [
            mean_sd(stats.summary(side.values(name)), write)
            for side, write in ((comparison.a, write_a), (comparison.b, write_b))
        ]
        if comparison.same_metric:
            cells += [ratio_words(comparison, name), pairing_words(comparison, name)]
        rows.append(tuple(cells))
    columns = [Column("variant", share=1.6), Column("A", "right", 1.2), Column("B", "right", 1.2)]
    caption = "Last values, mean ± sd over n training seeds."
    if comparison.same_metric:
        columns += [Column("B / A [95%]", "right", 1.2), Column("how", share=0.9)]
        caption += (
            " B / A is the ratio of geometric means: paired by seed, Student's t on the log-ratios, where two seeds "
            "or more ended in both; else Welch's t on the logs. A pair that is one and the same run says nothing about "
            "noise. The intervals are not adjusted for there being several."
        )
    return [
        Heading("Values"),
        Table(columns=tuple(columns), rows=tuple(rows), caption=caption),
        order_line(comparison),
    ]


def ratio_words(comparison: Comparison, variant: str) -> str:
    """B / A with its interval; what keeps it from having one."""
    if comparison.paired(variant) and comparison.same_runs(variant) == len(comparison.seeds(variant)):
        return "the same runs"
    return with_interval(comparison.ratio(variant))


def with_interval(found: stats.Effect | stats.UnpairedEffect) -> str:
    """A ratio with the ends of its interval, and diverged runs in words."""
    if found.ratio is not None:
        ends = f" [{factor(found.low)}, {factor(found.high)}]" if found.low is not None else ""
        return f"{factor(found.ratio)}{ends}"
    lost = found.diverged_before, found.diverged_after
    if not any(lost):
        return "–"
    totals = (found.n, found.n) if isinstance(found, stats.Effect) else (found.n_before, found.n_after)
    return "diverged: " + ", ".join(f"{k} of {n}" for k, n in zip(lost, totals, strict=True))


def pairing_words(comparison: Comparison, variant: str) -> str:
    """How the two were set against each other."""
    found = comparison.ratio(variant)
    if isinstance(found, stats.UnpairedEffect):
        return f"unpaired, n = {found.n_before} and {found.n_after}"
    same = comparison.same_runs(variant)
    return f"paired, n = {found.n}" + (f" ({same} the same run)" if 0 < same < found.n else "")


def order_line(comparison: Comparison) -> Block:
    """Whether the two rank the variants alike."""
    found = comparison.order()
    if found is None:
        return Paragraph("Order of the variants: fewer than three have two seeds or more, all ended, in both.")
    left = len(comparison.shared) - found.items
    lost = f"; {counted(left, 'variant')} left out, with a diverged or missing run" if left else ""
    return Paragraph(
        (
            Strong("Order of the variants:"),
            f" Spearman's ρ = {found.rho:.2f} [{found.low:.2f}, {found.high:.2f}], {p_words(found.p)} over "
            f"{found.items} variants{lost}. The interval resamples the seeds there are and is too narrow where they "
            "are three; p asks how often variants in random order would agree as strongly.",
        )
    )


def p_words(p: float) -> str:
    """A p-value; one too small for three decimals as a bound."""
    return f"p = {p:.3f}" if p >= 0.0005 else "p < 0.001"


def effects(comparison: Comparison, folder: Path) -> list[Block]:
    """Each variant's ratio to its own side's baseline, as a table and a scatter."""
    found = comparison.effects()
    blocks: list[Block] = [Heading("Effects on each side's own baseline")]
    if not found:
        why = f"one of the two has no variant {BASELINE}" if BASELINE not in comparison.shared else "no other variant"
        return [*blocks, Paragraph(f"Not available: {why}.")]
    rows = tuple(
        (Code(name), with_interval(one), str(one.n), with_interval(other), str(other.n), agreement(one, other))
        for name, one, other in found
    )
    blocks.append(
        Table(
            columns=(
                Column("variant", share=1.6),
                Column("A: ratio to baseline [95%]", "right", 1.3),
                Column("n", "right"),
                Column("B: ratio to baseline [95%]", "right", 1.3),
                Column("n", "right"),
                Column("together", share=1.0),
            ),
            rows=rows,
            caption="Variant over baseline of the same side, paired by seed, below 1 is better; Student's t on the "
            "log-ratios. Effects may compare where levels do not: ratios have no unit. That they have one size under "
            "two metrics or scales is an assumption all the same.",
        )
    )
    drawn = [(name, one, other) for name, one, other in found if one.ratio is not None and other.ratio is not None]
    if drawn:
        with figures.style():
            canvas = Canvas(figsize=(figures.WIDTH, 4.6), layout="constrained")
            scatter(canvas.subplots(), drawn)
            figures.save(canvas, folder / FIGURE)
        blocks.append(
            Figure(
                FIGURE,
                "Effect in B over effect in A, both against their own baseline, with 95% intervals (an arrow: it goes "
                "on). On the dashed line they are equal; in the lower left and the upper right quarter their direction "
                "agrees.",
                "Scatter of the effect in B over the effect in A for each variant, logarithmic axes.",
            )
        )
    return blocks


def agreement(one: stats.Effect, other: stats.Effect) -> str:
    """Whether both resolve a direction, and the same one."""
    directions = [side_of_one(effect) for effect in (one, other)]
    lacking = [letter for letter, direction in zip("AB", directions, strict=True) if direction is None]
    if lacking:
        return "not resolved in " + ("both" if len(lacking) == 2 else lacking[0])
    return "same direction" if directions[0] == directions[1] else "opposite directions"


def side_of_one(effect: stats.Effect) -> bool | None:
    """Whether the interval lies above 1; None where it holds 1 or is not there."""
    if effect.low is None or effect.high is None or effect.low <= 1 <= effect.high:
        return None
    return effect.low > 1


def scatter(ax: Axes, effects: list[tuple[str, stats.Effect, stats.Effect]]) -> Axes:
    """One labelled mark per variant with both intervals; axes hold all ratios, intervals may go on beyond."""
    pairs = [(one, other) for _, one, other in effects]
    ratios = [ratio for pair in pairs for effect in pair if (ratio := effect.ratio) is not None]
    reach = max(1.25 * max(abs(np.log(ratio)) for ratio in ratios), np.log(1.5))
    low, high = float(np.exp(-reach)), float(np.exp(reach))
    ax.plot((low, high), (low, high), color=figures.GREY, lw=0.7, ls="--", zorder=1)
    ax.axhline(1, color=figures.INK, lw=0.6, zorder=1)
    ax.axvline(1, color=figures.INK, lw=0.6, zorder=1)
    for name, one, other in effects:
        assert one.ratio is not None and other.ratio is not None
        resolved = agreement(one, other) in ("same direction", "opposite directions")
        colour = figures.BLUE if resolved else figures.GREY
        if one.low is not None and one.high is not None:
            figures.interval_bar(ax, one.low, one.high, other.ratio, colour, (low, high))
        if other.low is not None and other.high is not None:
            upright_bar(ax, other.low, other.high, one.ratio, colour, (low, high))
        ax.plot(one.ratio, other.ratio, "o", ms=4, mfc=colour if resolved else "white", mec=colour, zorder=4)
        ax.annotate(name, (one.ratio, other.ratio), xytext=(4, 4), textcoords="offset points", fontsize=5.8)
    figures.log_axis(ax, "x", low, high, times)
    figures.log_axis(ax, "y", low, high, times)
    ax.set_xlabel("A: ratio to baseline, log scale (below 1 is better)")
    ax.set_ylabel("B: ratio to baseline, log scale")
    return ax


def upright_bar(ax: Axes, low: float, high: float, x: float, colour: str, ends: tuple[float, float]) -> Axes:
    """An interval as a vertical line; an arrow where it goes on beyond the axis."""
    ax.plot((x, x), (max(low, ends[0]), min(high, ends[1])), color=colour, lw=1.1, alpha=0.75, zorder=2)
    for beyond, y, mark in ((low < ends[0], ends[0], "v"), (high > ends[1], ends[1], "^")):
        if beyond:
            ax.plot(x, y, mark, color=colour, ms=3.5, clip_on=False, zorder=3)
    return ax


def rest(comparison: Comparison) -> list[Block]:
    """What only one of them has."""
    items: list[Text] = []
    for letter, side in (("A", comparison.a), ("B", comparison.b)):
        names = [name for name in side.variants if name not in comparison.shared]
        if names:
            items.append((Strong(f"Only in {letter}:"), " ", *spaced(names), "."))
    if not items:
        return [Heading("In one of them only"), Paragraph("Nothing: both have the same variants.")]
    return [Heading("In one of them only"), Bullets(tuple(items))]


def spaced(names: list[str]) -> list[str | Code]:
    """Names with commas between."""
    found: list[str | Code] = []
    for name in names:
        found += [", ", Code(name)] if found else [Code(name)]
    return found
