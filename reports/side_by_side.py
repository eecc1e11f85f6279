"""The page that puts two reports side by side: what is compared, values, effects, and what only one of them has."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ablations.beside_deck import leaf
from reports import figures, stats
from reports.compare import MEASURED_BY, RULES, Comparison, Pair, Rule, Side, measured_by
from reports.numbers import MEAN_SPREAD, counted, factor, listed, sentence, times
from reports.page import Block, Bullets, Code, Document, Figure, Heading, Note, Paragraph, Strong, Text
from reports.tables import Rows
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
    one, other = comparison.a, comparison.b
    sides = Rows((("A", one), ("B", other)))
    sides.words("", lambda row: Strong(row[0]))
    sides.words("report", lambda row: Code(row[1].name), 1.6)
    sides.words("metric", lambda row: row[1].metric_title, 1.5)
    sides.words("protocol", lambda row: Code(row[1].fingerprint) if row[1].fingerprint else "not recorded", 1.2)
    sides.words("data", lambda row: row[1].data or "not recorded", 1.0)
    sides.words("iterations", lambda row: listed([f"{i:,}" for i in row[1].iterations]) or "–", 0.9)
    sides.words("seeds", lambda row: ", ".join(map(str, sorted(row[1].runs["seed"].unique()))), 0.9)
    sides.words("runs", lambda row: how_runs_ended(row[1]), 1.2)
    counterparts = counted(len(comparison.shared), "variant")
    blocks: list[Block] = [
        Heading("What is compared"),
        sides.table(f"Provenance. {counterparts} of A with a counterpart in B.", name="compared"),
        Bullets(tuple(rule_items(comparison))),
    ]
    if comparison.apart:
        why = (
            f" {'; '.join(comparison.apart)}. Values of the two stand in tables of their own, and none is divided by "
            "one of the other."
        )
        blocks.append(Note((Strong("Measured differently."), why)))
    elif one.iterations != other.iterations:
        why = " A ratio B / A is then the effect of length and of whatever else differs."
        blocks.append(Note((Strong("The lengths of training differ."), why)))
    return blocks


def how_runs_ended(side: Side) -> str:
    """2 finished, 1 unfinished."""
    counts = side.runs["status"].value_counts()
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def rule_items(comparison: Comparison) -> list[Text]:
    """By which rule variants were matched, and what keeps their configs apart."""
    matched: dict[Rule, list[str]] = {rule: [] for rule in RULES}
    for name, (_, rule) in comparison.matches.items():
        matched[rule].append(name)

    def why(rule: Rule, names: list[str]) -> str:
        match rule:
            case "changes":
                return (
                    f"both are of the study {comparison.a.study}, where a name stands for the same changes on the same "
                    f"base. {settings_words(comparison, names)}"
                )
            case "config":
                return "it is one and the same, whatever the two call it; names decide nothing."
            case "training":
                pairs = [comparison.differences(name, comparison.partner(name)) or {} for name in names]
                paths = listed(list(dict.fromkeys(path for paths in pairs for path in paths)))
                return f"one config but for how it is measured ({paths}), which trains the same model."

    return [
        (Strong(f"By their {rule} ({len(names)}):"), f" {why(rule, names)}") for rule, names in matched.items() if names
    ]


def settings_words(comparison: Comparison, names: list[str]) -> str:
    """In which paths the configs of variants of the same changes differ, said once for all."""
    pairs = [comparison.differences(name, comparison.partner(name)) for name in names]
    known = [paths for paths in pairs if paths is not None]
    if not known:
        return "Whether their configs are equal beyond that is not on record in both."
    paths = list(dict.fromkeys(path for each in known for path in each))
    if not paths:
        return "Their configs are equal." if len(known) == len(pairs) else "Configs on record are equal."
    everywhere = [path for path in paths if all(path in each for each in known)]
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
    """A matched variant: its title, and the name that commands take in A, and in B where that differs."""
    other = comparison.partner(name)
    names: tuple[str | Code, ...] = (Code(name),) if other == name else (Code(name), " in A, ", Code(other), " in B")
    title = comparison.a.title(name)
    return names if title == name else (f"{title} (", *names, ")")


def values(comparison: Comparison) -> list[Block]:
    """Last values of every shared variant: side by side with their ratios, or each side's in a table of its own."""
    ends = {
        "A": {name: stats.log_summary(comparison.a.values(name)) for name in comparison.shared},
        "B": {name: stats.log_summary(comparison.b.values(comparison.partner(name))) for name in comparison.shared},
    }

    def variants(*letters: str) -> Rows[str]:
        rows = Rows(comparison.shared)
        rows.words("variant", lambda name: called(comparison, name), 1.6)
        for letter in letters:
            rows.numbers(letter, ends[letter].__getitem__, 1.2, scale=letter)
        return rows

    last = f"Last values, {MEAN_SPREAD}."
    if comparison.apart:
        tables = [
            variants(letter).table(
                f"{last} {side.metric_title}, protocol {side.fingerprint or 'not recorded'}.",
                name=f"values_{letter.lower()}",
            )
            for letter, side in (("A", comparison.a), ("B", comparison.b))
        ]
        return [Heading("Values"), *tables, order_line(comparison)]
    rows = variants("A", "B")
    rows.numbers("B / A [95%]", lambda name: ratio_words(comparison, name), 1.2)
    rows.words("how", lambda name: pairing_words(comparison, name), 0.9)
    protocol = comparison.a.fingerprint or "not recorded by either"
    caption = (
        f"{last} B / A is the ratio of geometric means: paired by seed, Student's t on the log-ratios, where two seeds "
        "or more ended in both; else Welch's t on the logs. A pair that is one and the same run says nothing about "
        f"noise. The intervals are not adjusted for there being several. Protocol: {protocol}."
    )
    return [Heading("Values"), rows.table(caption, name="values"), order_line(comparison)]


def ratio_words(comparison: Comparison, variant: str) -> str:
    """B / A with its interval; what keeps it from having one."""
    if comparison.paired(variant) and comparison.same_runs(variant) == len(comparison.pairs[variant]):
        return "the same runs"
    return with_interval(comparison.ratio(variant))


def with_interval(effect: stats.Effect | stats.UnpairedEffect) -> str:
    """A ratio with the ends of its interval, and diverged runs in words."""
    if effect.ratio is not None:
        ends = f" [{factor(effect.low)}, {factor(effect.high)}]" if effect.low is not None else ""
        return f"{factor(effect.ratio)}{ends}"
    lost = effect.diverged_before, effect.diverged_after
    if not any(lost):
        return "–"
    totals = (effect.n, effect.n) if isinstance(effect, stats.Effect) else (effect.n_before, effect.n_after)
    return "diverged: " + ", ".join(f"{k} of {n}" for k, n in zip(lost, totals, strict=True))


def pairing_words(comparison: Comparison, variant: str) -> str:
    """How the two were set against each other."""
    ratio = comparison.ratio(variant)
    if isinstance(ratio, stats.UnpairedEffect):
        return f"unpaired, n = {ratio.n_before} and {ratio.n_after}"
    same = comparison.same_runs(variant)
    return f"paired, n = {ratio.n}" + (f" ({same} the same run)" if 0 < same < ratio.n else "")


def order_line(comparison: Comparison) -> Block:
    """Whether the two rank the variants alike."""
    order = comparison.order()
    if order is None:
        return Paragraph("Order of the variants: fewer than three have two seeds or more, all ended, in both.")
    left_out = len(comparison.shared) - order.items
    lost = f"; {counted(left_out, 'variant')} left out, with a diverged or missing run" if left_out else ""
    p = f"p = {order.p:.3f}" if order.p >= 0.0005 else "p < 0.001"
    return Paragraph(
        (
            Strong("Order of the variants:"),
            f" Spearman's ρ = {order.rho:.2f} [{order.low:.2f}, {order.high:.2f}], {p} over "
            f"{order.items} variants{lost}. The interval resamples the seeds there are and is too narrow where they "
            "are three; p asks how often variants in random order would agree as strongly.",
        )
    )


def effects(comparison: Comparison, folder: Path) -> list[Block]:
    """Each variant's ratio to one that both sides have, as a table and a scatter."""
    pairs = comparison.effects()
    against = comparison.reference
    blocks: list[Block] = [Heading("Effects within each side")]
    if against is None or not pairs:
        why = "no variant but this one is in both" if against else "the base of neither is a variant of the other"
        return [*blocks, Paragraph(f"Not available: {why}.")]
    base = comparison.a.title(against)

    in_a: Callable[[Pair], stats.Effect] = itemgetter(1)
    in_b: Callable[[Pair], stats.Effect] = itemgetter(2)

    def variants(**sides: Callable[[Pair], stats.Effect]) -> Rows[Pair]:
        rows = Rows(pairs)
        rows.words("variant", lambda pair: called(comparison, pair[0]), 1.6)
        for letter, of in sides.items():
            add_effects(rows, letter, of)
        return rows

    if comparison.apart:
        for letter, side, of in (("A", comparison.a, in_a), ("B", comparison.b, in_b)):
            caption = (
                f"{side.metric_title}: variant over “{base}”, paired by seed, below 1 is better; Student's t on the "
                "log-ratios."
            )
            blocks.append(variants(**{letter: of}).table(caption, name=f"effects_{letter.lower()}"))
        rows = variants()
        rows.words("A", lambda pair: side_of_one(in_a(pair)))
        rows.words("B", lambda pair: side_of_one(in_b(pair)))
        rows.words("together", lambda pair: agreement(*pair[1:]), 1.0)
        caption = "On which side of 1 the whole interval lies in each. Directions may compare where sizes do not."
        return [*blocks, rows.table(caption, name="directions")]
    rows = variants(A=in_a, B=in_b)
    rows.words("together", lambda pair: agreement(*pair[1:]), 1.0)
    caption = (
        f"Variant over “{base}” of the same side, paired by seed, below 1 is better; Student's t on the log-ratios. "
        "Effects may compare where levels do not: ratios have no unit. That they have one size under two metrics or "
        "scales is an assumption all the same."
    )
    blocks.append(rows.table(caption, name="effects"))
    drawn = [
        (comparison.a.title(name), one, other)
        for name, one, other in pairs
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


def add_effects(rows: Rows[Pair], letter: str, of: Callable[[Pair], stats.Effect]) -> None:
    """The columns of one side: ratios with their intervals, and the seeds that they are over."""
    rows.numbers(f"{letter}: ratio [95%]", lambda pair: with_interval(of(pair)), 1.3)
    rows.numbers("n", lambda pair: of(pair).n)


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


def scatter(ax: Axes, effects: list[Pair], base: str) -> Axes:
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
    rows = Rows(comparison.namesakes)
    rows.words("name", Code)
    rows.words("in A", comparison.a.title, 1.0)
    rows.words("in B", comparison.b.title, 1.0)
    rows.words("where the configs differ", lambda name: where_configs_differ(comparison, name), 2.6)
    caption = (
        "What the two call alike and what is not the same: a name says which changes were made on a study's own base. "
        "Nothing is divided and nothing ordered over these pairs."
    )
    return [Heading("Same name, other config"), rows.table(caption, name="namesakes", size=7.8)]


def where_configs_differ(comparison: Comparison, name: str) -> str:
    """The paths of what is trained with both values, and whether the two are measured differently."""
    differences = comparison.differences(name, name)
    if differences is None:
        return "not known: not both configs are on record"
    trained = {path: both for path, both in differences.items() if not measured_by(path)}
    paths = [f"{path}: {leaf(one)} in A, {leaf(other)} in B" for path, (one, other) in trained.items()]
    paths += [MEASURED_BY] if len(trained) < len(differences) else []
    more = len(paths) - MOST_PATHS
    return "; ".join(paths[:MOST_PATHS]) + (f"; and {more} more" if more > 0 else "")


def rest(comparison: Comparison) -> list[Block]:
    """The variants that only one of them has."""
    partners = {theirs for theirs, _ in comparison.matches.values()}
    items = []
    for letter, side, matched in (("A", comparison.a, set(comparison.shared)), ("B", comparison.b, partners)):
        names = [name for name in side.variants if name not in {*matched, *comparison.namesakes}]
        if names:
            items.append((Strong(f"Only in {letter}:"), " ", *named(side, names), "."))
    block = Bullets(tuple(items)) if items else Paragraph("Nothing: every variant of each is above.")
    return [Heading("In one of them only"), block]


def named(side: Side, names: list[str]) -> list[str | Code]:
    """Variants by name and title, with semicolons between."""
    words: list[str | Code] = []
    for name in names:
        title = side.title(name)
        words += ["; " if words else "", Code(name), "" if title == name else f" ({title})"]
    return [part for part in words if part]
