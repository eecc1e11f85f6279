"""Replays `--decide` on the values of a published study, its seeds in 200 other orders: which verdicts of all seeds it
reaches, and with how many of the runs.

    python -m tests.choices.replay --write

Nothing is trained. A replay looks at 3, 5, 8, 12 and all seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import click
import numpy as np
from numpy.typing import NDArray

from ablations.designs import arms
from ablations.schema import DesignName, Study
from core.errors import InputError
from core.files import write_whole
from reports import kept, stats
from reports.decide import HOPE, compared
from reports.stats.stability import outlying
from reports.verdicts import ChangeEffect, judged
from studies import catalogue
from studies.click_life import Command, Count
from studies.looks import PAIRS, looks_up_to
from studies.plan import Decide

Values = Mapping[str, NDArray[np.float64]]
ROOT = Path(__file__).parents[2]
PUBLISHED, DOCS = ROOT / "reports" / "published", ROOT / "docs"
SEED = 20


def values_of(study: str, folder: Path) -> Values:
    """The value of every run by variant, in the order of seeds."""
    tidy = kept.read_tidy(folder / study / kept.TABLE)
    mine = tidy[(tidy["metric"] == kept.metric_of(tidy, study, None)) & tidy["iteration"].notna()]
    ends = mine.sort_values("iteration").groupby(["variant", "seed"]).tail(1)
    whole = {str(name): rows.sort_values("seed") for name, rows in ends.groupby("variant")}
    return {name: rows["averaged"].to_numpy(dtype=float) for name, rows in whole.items()}


@dataclass(frozen=True)
class Pair:
    """A comparison of a design."""

    change: str
    before: str
    after: str


def pairs_of(study: Study, design: DesignName, values: Values, seeds: int) -> list[Pair]:
    """The comparisons of a design whose variants have that many values."""
    found = []
    for change in study.changes:
        before, after = arms(study, change, design)
        if all(len(values.get(name, ())) >= seeds for name in (before, after)) and before != after:
            found.append(Pair(change.name, before, after))
    return found


def effects_at(study: Study, design: DesignName, pairs: Sequence[Pair], values: Values, counts: Mapping[str, int],
               n: int) -> list[ChangeEffect]:  # fmt: skip
    """The effects of the first n seeds, of arms that stopped earlier of all they have."""

    def first(name: str) -> NDArray[np.float64]:
        return values[name][: min(n, counts[name])]

    logs = {name: np.log(first(name)) for pair in pairs for name in (pair.before, pair.after)}
    spreads = {name: float(x.std(ddof=1)) if x.size > 1 else 0.0 for name, x in logs.items()}
    usual = float(np.median(list(spreads.values())))
    apart = {
        name: spreads[name] > stats.SPREAD_TIMES * usual and bool(outlying(np.exp(x)).any()) for name, x in logs.items()
    }
    alone = []
    for pair in pairs:
        both = min(len(first(pair.before)), len(first(pair.after)))
        alone.append(stats.paired_effect(first(pair.before)[:both], first(pair.after)[:both]))
    steady = [not (apart[pair.before] or apart[pair.after]) for pair in pairs]
    borrowed = stats.borrowing(alone, steady)
    return [
        ChangeEffect(study.change(pair.change), design, pair.before, pair.after, effect, "not tested", "",
                     p=None if effect is None else effect.t_p if kept_ else effect.rank_p,
                     unstable="" if kept_ else "apart")
        for pair, effect, kept_ in zip(pairs, borrowed, steady, strict=True)
    ]  # fmt: skip


def fixed_words(study: Study, design: DesignName, pairs: Sequence[Pair], values: Values, n: int) -> list[str]:
    """The verdicts of a number of seeds that was fixed."""
    counts = dict.fromkeys(values, n)
    return [e.word for e in judged(effects_at(study, design, pairs, values, counts, n), study.negligible)]


def replay(
    study: Study, design: DesignName, pairs: Sequence[Pair], values: Values, looks: tuple[int, ...], hope: float = HOPE
) -> tuple[list[str], dict[str, int]]:
    """The verdicts of one replay, and the seeds that each variant has had in the end."""
    counts = {name: looks[0] for pair in pairs for name in (pair.before, pair.after)}
    seen: dict[str, dict[int, ChangeEffect]] = {pair.change: {} for pair in pairs}
    words: list[str] = []
    decide = Decide(looks=looks, margin=study.negligible)
    for at, n in enumerate(looks):
        effects = effects_at(study, design, pairs, values, counts, n)
        for pair, effect in zip(pairs, effects, strict=True):
            if min(counts[pair.before], counts[pair.after]) >= n:
                seen[pair.change][n] = effect
        now = []
        for pair in pairs:
            mine = seen[pair.change]
            last = mine[max(mine)]
            p = stats.sequential_p({n: e.p for n, e in mine.items()}, looks)
            now.append(replace(last, p=p, looks=mine))
        done = judged(now, study.negligible, looks)
        words = [e.word for e in done]
        if at + 1 < len(looks):
            for each in compared(done, decide):
                if not each.decided and each.hope >= hope:
                    for name in (each.before, each.after):
                        counts[name] = max(counts[name], looks[at + 1])
    return words, counts


@dataclass(frozen=True)
class Replayed:
    """What the replays of one design come to. Shares are of the runs with all seeds; of three
    seeds, had their number been fixed, `said` is the mean number of comparisons that help, hurt or are negligible, and
    `astray` that of unstable ones."""

    design: DesignName
    seeds: int
    comparisons: int
    decided: int
    reached: float
    reversed: int
    share: float
    low: float
    high: float
    said: float
    astray: float

    def row(self) -> str:
        return (
            f"{self.design} | {self.said:.1f}, {self.astray:.1f} | "
            f"{self.decided} of {self.comparisons} in {self.seeds} | "
            f"{self.reached:.0%} | {self.reversed} | {self.share:.0%} ({self.low:.0%} to {self.high:.0%})"
        )


def replayed(study: Study, design: DesignName, values: Values, draws: int, hope: float = HOPE) -> Replayed | None:
    """None for a design with fewer than three comparisons or five seeds."""
    seeds = max((len(x) for x in values.values()), default=0)
    pairs = pairs_of(study, design, values, seeds)
    if len(pairs) < 3 or seeds < 5:
        return None
    fixed = fixed_words(study, design, pairs, values, seeds)
    whole = len({arm for pair in pairs for arm in (pair.before, pair.after)}) * seeds
    mine = {arm: values[arm] for pair in pairs for arm in (pair.before, pair.after)}
    decided = [k for k, word in enumerate(fixed) if word != "open"]
    shares, reached, falls = [], [], 0
    three: list[str] = []
    rng = np.random.default_rng(SEED)
    for _ in range(draws):
        order = rng.permutation(seeds)
        shuffled = {name: x[:seeds][order] for name, x in mine.items()}
        three += fixed_words(study, design, pairs, shuffled, 3)
        words, counts = replay(study, design, pairs, shuffled, looks_up_to(seeds), hope)
        reached.append(sum(words[k] == fixed[k] for k in decided) / max(1, len(decided)))
        falls += sum({a, b} == {"helps", "hurts"} for a, b in zip(words, fixed, strict=True))
        shares.append(sum(counts.values()) / whole)
    low, high = np.quantile(shares, [0.25, 0.75])
    return Replayed(
        design,
        seeds,
        len(pairs),
        len(decided),
        median(reached),
        falls,
        median(shares),
        float(low),
        float(high),
        sum(word not in ("open", "unstable") for word in three) / draws,
        three.count("unstable") / draws,
    )


def page(study: str, rows: Sequence[Replayed], others: Mapping[float, Sequence[Replayed]], draws: int) -> str:
    """docs/replay.md."""
    head = (
        "design",
        "three seeds say, are unstable",
        "decided with all seeds",
        "of those a replay reaches",
        "reversed",
        "runs (middle half)",
    )
    words = (
        f"By `python -m tests.choices.replay`: the published values of `{study}`, their seeds in {draws} other orders, "
        "looked at as `--decide` looks, all seeds at the last look. The verdicts of all seeds, had their number been "
        "fixed, are what a replay is to reach: what it leaves open needs more seeds than there are, for several looks "
        "cost some power (docs/intervals.md). Reached verdicts and runs are medians, runs a share of those with all "
        "seeds; reversed is how many of all replays' verdicts said helps for hurts or the other way round. First, what "
        "three seeds of a fixed number say: how many changes on average help, hurt or are negligible, and how many are "
        "unstable, which says something of a variant and little of the change.",
        _table(head, [row.row() for row in rows]),
        f"A comparison that is less than {HOPE:.0%} likely to be decided by the last look gets no more seeds. That "
        "share, and that it counts from the second look on, were chosen after a look at these values. What other "
        f"shares come to, in {others_of(draws)} orders: runs, and of the verdicts those that a replay reaches.",
        _table(
            ("set aside below", *(row.design for row in rows)),
            [
                " | ".join([f"{hope:.0%}" if hope else "never", *(f"{r.share:.0%}, {r.reached:.0%}" for r in found)])
                for hope, found in sorted(others.items())
            ],
        ),
    )
    return "\n\n".join(["# What seeds that are added where they decide would have saved", *words]) + "\n"


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    lines = [" | ".join(head), "|".join([":--"] + ["--:"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {line} |" for line in lines)


def others_of(draws: int) -> int:
    """The orders in which other shares are tried."""
    return max(1, draws // 5)


@click.command(cls=Command, help=__doc__)
@click.option("--study", "name", default="changes_overview", show_default=True)
@click.option("--published", type=click.Path(path_type=Path, file_okay=False), default=PUBLISHED, help="Its reports.")
@click.option("--draws", type=Count(1, 10_000), default=200, show_default=True)
@click.option("--write", is_flag=True, help="Into docs/replay.md.")
def main(name: str, published: Path, draws: int, write: bool) -> None:
    study, values = catalogue.study(name), values_of(name, published)
    if not values:
        raise InputError(f"{published} has no values of {name}")

    def rows(draws: int, hope: float = HOPE) -> list[Replayed]:
        return [row for design in PAIRS if (row := replayed(study, design, values, draws, hope)) is not None]

    others = {hope: rows(others_of(draws), hope) for hope in (0.0, 0.05, HOPE, 0.2, 0.35)}
    text = page(name, rows(draws), others, draws)
    print(text)
    if write:
        write_whole(DOCS / "replay.md", text.encode())


if __name__ == "__main__":
    main()
