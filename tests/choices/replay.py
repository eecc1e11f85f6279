"""Replays `--decide` on the values of a published study, its seeds in 200 other orders: which verdicts of all seeds it
reaches, and with how many of the runs.

    python -m tests.choices.replay [--study changes_overview] [--draws 200]

Prints a table; nothing is trained. A replay looks at 3, 5, 8, 12 and all seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import numpy as np
from numpy.typing import NDArray

from ablations.designs import arms
from ablations.schema import DesignName, Study
from core.errors import InputError
from reports import kept, stats
from reports.stats.stability import outlying
from reports.verdicts import ChangeEffect, judged
from studies import catalogue
from studies.click_life import Command, Count
from studies.looks import PAIRS, looks_up_to

Values = Mapping[str, NDArray[np.float64]]
PUBLISHED = Path(__file__).parents[2] / "reports" / "published"
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
    study: Study, design: DesignName, pairs: Sequence[Pair], values: Values, looks: tuple[int, ...]
) -> tuple[list[str], dict[str, int]]:
    """The verdicts of one replay, and the seeds that each variant has had in the end."""
    counts = {name: looks[0] for pair in pairs for name in (pair.before, pair.after)}
    seen: dict[str, dict[int, ChangeEffect]] = {pair.change: {} for pair in pairs}
    words: list[str] = []
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
            now.append(ChangeEffect(last.change, design, last.before, last.after, last.effect, "not tested", "",
                                    p=p, unstable=last.unstable, looks=mine))  # fmt: skip
        done = judged(now, study.negligible, looks)
        words = [e.word for e in done]
        if at + 1 < len(looks):
            for pair, e in zip(pairs, done, strict=True):
                if not e.decided:
                    for name in (pair.before, pair.after):
                        counts[name] = max(counts[name], looks[at + 1])
    return words, counts


@click.command(cls=Command)
@click.option("--study", "name", default="changes_overview", show_default=True)
@click.option("--published", type=click.Path(path_type=Path, file_okay=False), default=PUBLISHED, help="Its reports.")
@click.option("--draws", type=Count(1, 10_000), default=200, show_default=True)
def main(name: str, published: Path, draws: int) -> None:
    """Tells what seeds that are added where they decide would have saved in a published study."""
    study, values = catalogue.study(name), values_of(name, published)
    rng = np.random.default_rng(SEED)
    print("design            seeds  fixed n decides  replays reach  of its runs  median  quarter to three quarters")
    for design in PAIRS:
        seeds = max((len(x) for x in values.values()), default=0)
        pairs = pairs_of(study, design, values, seeds)
        if len(pairs) < 3 or seeds < 5:
            continue
        fixed = fixed_words(study, design, pairs, values, seeds)
        shares, reached, falls = [], [], 0
        whole = len({arm for pair in pairs for arm in (pair.before, pair.after)}) * seeds
        for _ in range(draws):
            order = rng.permutation(seeds)
            words, counts = replay(study, design, pairs, {k: v[order] for k, v in values.items()
                                                          if len(v) == seeds}, looks_up_to(seeds))  # fmt: skip
            decided = [k for k, word in enumerate(fixed) if word != "open"]
            reached.append(sum(words[k] == fixed[k] for k in decided) / max(1, len(decided)))
            falls += sum({a, b} == {"helps", "hurts"} for a, b in zip(words, fixed, strict=True))
            shares.append(sum(counts.values()) / whole)
        low, high = np.quantile(shares, [0.25, 0.75])
        decides = sum(word != "open" for word in fixed)
        print(
            f"{design:16} {seeds:6} {decides:10} of {len(pairs):<3} {median(reached):12.0%} {falls:6} reversed "
            f"{median(shares):8.0%}  {low:.0%} to {high:.0%}"
        )
    if not values:
        raise InputError(f"{published} has no values of {name}")


if __name__ == "__main__":
    main()
