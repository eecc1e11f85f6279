"""The page that puts two reports side by side: what is compared, values, effects, and what only one of them has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ablations.beside_deck import leaf
from reports import figures, stats
from reports.abstract import sentence
from reports.compare import MEASURED_BY, Comparison, Rule, Side, measured_by
from reports.numbers import MEAN_SPREAD, counted, factor, fixed, listed, mean_spread, times
from reports.page import Block, Bullets, Code, Column, Document, Figure, Heading, Note, Paragraph, Strong, Table, Text
from reports.verdicts import side_of_one

FIGURE = "figures/effects.svg"


def compose(comparison: Comparison, folder: Path) -> Document:
    """The page, its figure drawn into `folder`/figures."""
    parts = (
        what_is_compared(comparison),
        values(comparison),
        effects(comparison, folder),
        namesakes(comparison),
        rest(comparison),
    )
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
                Code(side.fingerprint) if side.fingerprint else "not recorded",
                side.data or "not recorded",
                listed([f"{i:,}" for i in side.iterations]) or "–",
                ", ".join(map(str, sorted(side.runs["seed"].unique()))),
                ", ".join(f"{count} {status}" for status, count in sorted(counts.items())),
            )
        )
    blocks: list[Block] = [
        Heading("What is compared"),
        Table(
            name="compared",
            columns=(
                Column(""),
                Column("report", share=1.6),
                Column("metric", share=1.5),
                Column("protocol", share=1.2),
                Column("data", share=1.0),
                Column("iterations", share=0.9),
                Column("seeds", share=0.9),
                Column("runs", share=1.2),
            ),
            rows=tuple(rows),
            caption=f"Provenance. {counted(len(comparison.shared), 'variant')} of A with a counterpart in B.",
        ),
        Bullets(tuple(rule_items(comparison))),
    ]
    one, other = comparison.a, comparison.b
    if comparison.apart:
        blocks.append(
            Note(
                (
                    Strong("Measured differently."),
                    f" {'; '.join(comparison.apart)}. Values of the two stand in tables of their own, and none is "
                    "divided by one of the other.",
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


def rule_items(comparison: Comparison) -> list[Text]:
    """By which rule variants were matched, and what keeps their configs apart."""
    matched: dict[Rule, list[str]] = {}
    for name, (_, rule) in comparison.matches.items():
        matched.setdefault(rule, []).append(name)
    items: list[Text] = []
    if names := matched.get("changes"):
        study = comparison.a.study
        items.append(
            (
                Strong(f"By their changes ({len(names)}):"),
                f" both are of the study {study}, where a name stands for the same changes on the same base. "
                f"{settings_words(comparison, names)}",
            )
        )
    if names := matched.get("config"):
        items.append(
            (
                Strong(f"By their config ({len(names)}):"),
                " it is one and the same, whatever the two call it; names decide nothing.",
            )
        )
    if names := matched.get("training"):
        paths = dict.fromkeys(
            path for name in names for path in comparison.differences(name, comparison.partner(name)) or {}
        )
        items.append(
            (
                Strong(f"By their training ({len(names)}):"),
                f" one config but for how it is measured ({listed(list(paths))}), which trains the same model.",
            )
        )
    return items


def settings_words(comparison: Comparison, names: list[str]) -> str:
    """In which paths the configs of variants of the same changes differ, told once for all."""
    told = [comparison.differences(name, comparison.partner(name)) for name in names]
    known = [found for found in told if found is not None]
    if not known:
        return "Whether their configs are equal beyond that is not on record in both."
    paths = list(dict.fromkeys(path for found in known for path in found))
    if not paths:
        return "Their configs are equal." if len(known) == len(told) else "Configs on record are equal."
    everywhere = [path for path in paths if all(path in found for found in known)]
    some = [path for path in paths if path not in everywhere]
    parts = [f"all configs differ in {few(everywhere)}"] if everywhere else []
    parts += [f"{'some also' if everywhere else 'some configs differ'} in {few(some)}"] if some else []
    return sentence("; ".join(parts))


MOST_PATHS = 12
"""So many paths are told of configs that differ in more."""


def few(paths: list[str]) -> str:
    """The first of many paths, and how many there are besides."""
    more = len(paths) - MOST_PATHS
    return listed(paths) if more <= 0 else f"{', '.join(paths[:MOST_PATHS])} and {more} more"


def called(comparison: Comparison, name: str) -> Text:
    """A matched variant: what it is, and what commands call it in A, and in B where that differs."""
    other = comparison.partner(name)
    names: tuple[str | Code, ...] = (Code(name),) if other == name else (Code(name), " in A, ", Code(other), " in B")
    title = comparison.a.title(name)
    return names if title == name else (f"{title} (", *names, ")")


def values(comparison: Comparison) -> list[Block]:
    """Last values of every shared variant: side by side with their ratios, or each side's in a table of its own."""
    sides = (("A", comparison.a), ("B", comparison.b))
    found = [
        {name: stats.log_summary(comparison.a.values(name)) for name in comparison.shared},
        {name: stats.log_summary(comparison.b.values(comparison.partner(name))) for name in comparison.shared},
    ]
    writes = [fixed([summary.mean for summary in ends.values()]) for ends in found]
    cells = [
        {name: mean_spread(summary, write) for name, summary in ends.items()}
        for ends, write in zip(found, writes, strict=True)
    ]
    last = f"Last values, {MEAN_SPREAD}."
    if comparison.apart:
        apart = [
            Table(
                name=f"values_{letter.lower()}",
                columns=(Column("variant", share=1.6), Column(letter, "right", 1.2)),
                rows=tuple((called(comparison, name), said[name]) for name in comparison.shared),
                caption=f"{last} {side.metric_title}, protocol {side.fingerprint or 'not recorded'}.",
            )
            for (letter, side), said in zip(sides, cells, strict=True)
        ]
        return [Heading("Values"), *apart, order_line(comparison)]
    rows: tuple[tuple[Text, ...], ...] = tuple(
        (
            called(comparison, name),
            *(said[name] for said in cells),
            ratio_words(comparison, name),
            pairing_words(comparison, name),
        )
        for name in comparison.shared
    )
    columns = (
        Column("variant", share=1.6),
        Column("A", "right", 1.2),
        Column("B", "right", 1.2),
        Column("B / A [95%]", "right", 1.2),
        Column("how", share=0.9),
    )
    protocol = comparison.a.fingerprint or "not recorded by either"
    caption = (
        f"{last} B / A is the ratio of geometric means: paired by seed, Student's t on the log-ratios, where two seeds "
        "or more ended in both; else Welch's t on the logs. A pair that is one and the same run says nothing about "
        f"noise. The intervals are not adjusted for there being several. Protocol: {protocol}."
    )
    return [
        Heading("Values"),
        Table(columns=columns, rows=rows, caption=caption, name="values"),
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
    """Each variant's ratio to one that both sides have, as a table and a scatter."""
    found = comparison.effects()
    against = comparison.reference
    blocks: list[Block] = [Heading("Effects within each side")]
    if against is None or not found:
        why = "no variant but this one is in both" if against else "the base of neither is a variant of the other"
        return [*blocks, Paragraph(f"Not available: {why}.")]
    base = comparison.a.title(against)
    if comparison.apart:
        return [*blocks, *effects_apart(comparison, found, base)]
    rows = tuple(
        (
            called(comparison, name),
            with_interval(one),
            str(one.n),
            with_interval(other),
            str(other.n),
            agreement(one, other),
        )
        for name, one, other in found
    )
    blocks.append(
        Table(
            name="effects",
            columns=(
                Column("variant", share=1.6),
                Column("A: ratio [95%]", "right", 1.3),
                Column("n", "right"),
                Column("B: ratio [95%]", "right", 1.3),
                Column("n", "right"),
                Column("together", share=1.0),
            ),
            rows=rows,
            caption=f"Variant over “{base}” of the same side, paired by seed, below 1 is better; Student's t on the "
            "log-ratios. Effects may compare where levels do not: ratios have no unit. That they have one size under "
            "two metrics or scales is an assumption all the same.",
        )
    )
    drawn = [
        (comparison.a.title(name), one, other)
        for name, one, other in found
        if one.ratio is not None and other.ratio is not None
    ]
    if drawn:
        with figures.style():
            canvas = Canvas(figsize=(figures.WIDTH, 4.6), layout="constrained")
            scatter(canvas.subplots(), drawn, base)
            figures.save(canvas, folder / FIGURE)
        blocks.append(
            Figure(
                FIGURE,
                f"Effect in B over effect in A, each against “{base}” of its own side, with 95% intervals (an arrow: "
                "it goes on). On the dashed line they are equal; in the lower left and the upper right quarter their "
                "direction agrees.",
                "Scatter of the effect in B over the effect in A for each variant, logarithmic axes.",
            )
        )
    return blocks


def effects_apart(
    comparison: Comparison, found: list[tuple[str, stats.Effect, stats.Effect]], base: str
) -> list[Block]:
    """The same of sides that are measured differently: ratios in tables of their own, directions in words together."""
    blocks: list[Block] = []
    for index, (letter, side) in enumerate((("A", comparison.a), ("B", comparison.b))):
        of_side = [(name, pair[index]) for name, *pair in found]
        blocks.append(
            Table(
                name=f"effects_{letter.lower()}",
                columns=(
                    Column("variant", share=1.6),
                    Column(f"{letter}: ratio [95%]", "right", 1.3),
                    Column("n", "right"),
                ),
                rows=tuple(
                    (called(comparison, name), with_interval(effect), str(effect.n)) for name, effect in of_side
                ),
                caption=f"{side.metric_title}: variant over “{base}”, paired by seed, below 1 is better; Student's t "
                "on the log-ratios.",
            )
        )
    words = tuple(
        (called(comparison, name), side_of_one(one), side_of_one(other), agreement(one, other))
        for name, one, other in found
    )
    return [
        *blocks,
        Table(
            name="directions",
            columns=(Column("variant", share=1.6), Column("A"), Column("B"), Column("together", share=1.0)),
            rows=words,
            caption="On which side of 1 the whole interval lies in each. Directions may compare where sizes do not.",
        ),
    ]


def agreement(one: stats.Effect, other: stats.Effect) -> str:
    """Whether both resolve a direction, and the same one."""
    directions = [side_of_one(effect) for effect in (one, other)]
    lacking = [letter for letter, direction in zip("AB", directions, strict=True) if direction == "unresolved"]
    if lacking:
        return "not resolved in " + ("both" if len(lacking) == 2 else lacking[0])
    return "same direction" if directions[0] == directions[1] else "opposite directions"


def verdict_colour(one: stats.Effect, other: stats.Effect) -> str:
    """The colour of what helps, or hurts, on both sides; ink where the two sides disagree."""
    words = {{"below": "helps", "above": "hurts"}.get(side_of_one(effect), "") for effect in (one, other)}
    return figures.VERDICT_COLOURS.get(words.pop(), figures.INK) if len(words) == 1 else figures.INK


def scatter(ax: Axes, effects: list[tuple[str, stats.Effect, stats.Effect]], base: str) -> Axes:
    """One mark per variant with both intervals, named at the right; intervals may go on beyond the axes."""
    ratios = [ratio for _, *pair in effects for effect in pair if (ratio := effect.ratio) is not None]
    low, high = figures.span([*ratios, 1.0], 1.25)
    ax.plot((low, high), (low, high), color=figures.GREY, lw=0.7, ls="--", zorder=1)
    ax.axhline(1, color=figures.INK, lw=0.6, zorder=1)
    ax.axvline(1, color=figures.INK, lw=0.6, zorder=1)
    for _, one, other in effects:
        assert one.ratio is not None and other.ratio is not None
        resolved = agreement(one, other) in ("same direction", "opposite directions")
        colour = verdict_colour(one, other) if resolved else figures.GREY
        if one.low is not None and one.high is not None:
            figures.interval_bar(ax, one.low, one.high, other.ratio, colour, (low, high))
        if other.low is not None and other.high is not None:
            upright_bar(ax, other.low, other.high, one.ratio, colour, (low, high))
        ax.plot(one.ratio, other.ratio, "o", ms=4, mfc=colour if resolved else "white", mec=colour, zorder=4)
    heights = [np.log(other.ratio) for _, _, other in effects if other.ratio is not None]
    places = np.exp(stats.spread_apart(heights, 0.04 * np.log(high / low)))
    for (name, one, other), place in zip(effects, places, strict=True):
        ax.annotate(
            name,
            xy=(float(one.ratio or np.nan), float(other.ratio or np.nan)),
            xytext=(1.02, float(place)),
            textcoords=("axes fraction", "data"),
            fontsize=6.3,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": figures.GREY, "lw": 0.4, "ls": ":", "shrinkA": 0, "shrinkB": 2.5},
        )
    figures.log_axis(ax, "x", low, high, times)
    figures.log_axis(ax, "y", low, high, times)
    ax.set_xlabel(f"A: ratio to “{base}”, log scale (below 1 is better)")
    ax.set_ylabel(f"B: ratio to “{base}”, log scale")
    return ax


def upright_bar(ax: Axes, low: float, high: float, x: float, colour: str, ends: tuple[float, float]) -> Axes:
    """An interval as a vertical line; an arrow where it goes on beyond the axis."""
    ax.plot((x, x), (max(low, ends[0]), min(high, ends[1])), color=colour, lw=1.1, alpha=0.75, zorder=2)
    for beyond, y, mark in ((low < ends[0], ends[0], "v"), (high > ends[1], ends[1], "^")):
        if beyond:
            ax.plot(x, y, mark, color=colour, ms=3.5, clip_on=False, zorder=3)
    return ax


def namesakes(comparison: Comparison) -> list[Block]:
    """Variants that share a name and nothing else, with what they are: no ratio, no order."""
    if not comparison.namesakes:
        return []
    rows: list[tuple[Text, ...]] = []
    for name in comparison.namesakes:
        found = comparison.differences(name, name)
        if found is None:
            said = "not known: not both configs are on record"
        else:
            trained = {path: both for path, both in found.items() if not measured_by(path)}
            paths = [f"{path}: {leaf(one)} in A, {leaf(other)} in B" for path, (one, other) in trained.items()]
            paths += [MEASURED_BY] if len(trained) < len(found) else []
            more = len(paths) - MOST_PATHS
            said = "; ".join(paths[:MOST_PATHS]) + (f"; and {more} more" if more > 0 else "")
        rows.append((Code(name), comparison.a.title(name), comparison.b.title(name), said))
    return [
        Heading("Same name, other config"),
        Table(
            name="namesakes",
            columns=(
                Column("name"),
                Column("in A", share=1.0),
                Column("in B", share=1.0),
                Column("where the configs differ", share=2.6),
            ),
            rows=tuple(rows),
            caption="What the two call alike and what is not the same: a name says which changes were made on a "
            "study's own base. Nothing is divided and nothing ordered over these pairs.",
            size=7.8,
        ),
    ]


def rest(comparison: Comparison) -> list[Block]:
    """What only one of them has."""
    items: list[Text] = []
    for letter, side in (("A", comparison.a), ("B", comparison.b)):
        matched = {ours if letter == "A" else theirs for ours, (theirs, _) in comparison.matches.items()}
        names = [name for name in side.variants if name not in {*matched, *comparison.namesakes}]
        if names:
            items.append((Strong(f"Only in {letter}:"), " ", *spaced(side, names), "."))
    if not items:
        return [Heading("In one of them only"), Paragraph("Nothing: every variant of each is above.")]
    return [Heading("In one of them only"), Bullets(tuple(items))]


def spaced(side: Side, names: list[str]) -> list[str | Code]:
    """Names with what they are, and commas between."""
    found: list[str | Code] = []
    for name in names:
        title = side.title(name)
        found += ["; " if found else "", Code(name), "" if title == name else f" ({title})"]
    return [part for part in found if part]
