"""How often a design of real runs calls something when nothing does anything, and writes docs/null.md.

    python -m studies.adopt reports/published/changes_overview --runs null
    python -m studies.run changes_overview --design leave_one_out --only all --seeds 60 --no-report --runs null
    python -m tests.choices.null --runs null

Sixty runs of one config are dealt to twelve variants of five seeds: eleven comparisons with the first, as a design has
them, in which every difference is chance. One deal is one design; the same runs are dealt many times.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from reports import stats
from reports.results import load
from reports.stats.sequential import LEVEL
from studies.click_life import Command, Count
from studies.looks import looks_up_to
from tests.choices.records import write

STUDY, VARIANT = "changes_overview", "all"
VARIANTS, SEEDS = 12, 5
RECORD = Path(__file__).parents[2] / "docs" / "null.json"
DEALS = 1000

Values = NDArray[np.float64]


def recorded(runs: Path) -> Values:
    """The values of the runs, in the order of their seeds. Raises InputError for fewer than are needed."""
    results = load(STUDY, runs)
    variant = results.variant(VARIANT)
    values = np.array([]) if variant is None else results.last(variant)
    values = values[np.isfinite(values)]
    if len(values) < VARIANTS * SEEDS:
        raise InputError(f"{runs} has {len(values)} runs of {VARIANT}: {VARIANTS * SEEDS} are needed")
    kept: Values = values[: VARIANTS * SEEDS]
    return kept


def p_values(table: Values) -> list[float | None]:
    """Of a [variants, seeds] table the p of every variant against the first, as verdicts have them."""
    apart = stats.unstable(list(table))
    alone = [stats.paired_effect(table[0], row) for row in table[1:]]
    steady = [not (apart[0] or mark) for mark in apart[1:]]
    effects = stats.borrowing(alone, steady)
    return [
        None if effect is None else effect.t_p if kept else effect.rank_p
        for effect, kept in zip(effects, steady, strict=True)
    ]


def called(p: Sequence[float | None]) -> int:
    """How many of a family are significant after Holm's correction."""
    return sum(each is not None and each <= LEVEL for each in stats.holm(list(p)))


def at_any_look(table: Values) -> int:
    """How many are called where seeds are added at looks, by the sequential p of all of them."""
    looks = looks_up_to(table.shape[1])
    by_look = [p_values(table[:, :n]) for n in looks]
    together = [
        stats.sequential_p({n: p[k] for n, p in zip(looks, by_look, strict=True)}, looks) for k in range(len(table) - 1)
    ]
    return called(together)


def rates(values: Values, deals: int = DEALS) -> dict[str, Any]:
    """The share of deals that call anything: the first is the runs in the order of their seeds, others are drawn."""
    rng = np.random.default_rng(0)
    tables = [values, *(rng.permutation(values) for _ in range(deals - 1))]
    dealt = [table.reshape(VARIANTS, SEEDS) for table in tables]
    fixed, looked = [called(p_values(table)) for table in dealt], [at_any_look(table) for table in dealt]
    return {
        "deals": deals,
        "in order": fixed[0],
        "in order, at any look": looked[0],
        "families": float(np.mean(np.array(fixed) > 0)),
        "families at any look": float(np.mean(np.array(looked) > 0)),
    }


def page(record: dict[str, Any]) -> str:
    """docs/null.md."""
    comparisons, runs = VARIANTS - 1, VARIANTS * SEEDS
    looks = " and ".join(map(str, looks_up_to(SEEDS)))
    paragraphs = (
        "# What real runs of nothing call",
        f"By `python -m tests.choices.null`: {runs} runs of one config (`{VARIANT}` of `{STUDY}`, profile cpu, seeds 0 "
        f"to {runs - 1}), dealt to {VARIANTS} variants of {SEEDS} seeds. Each of the {comparisons} comparisons with "
        "the first is then of equals, and whatever is called helps or hurts by chance alone. Standard deviation of the "
        f"log of the value: {record['log_sd']:.3f}.",
        f"In the order of their seeds, one design: {record['in order']} of {comparisons} called, and "
        f"{record['in order, at any look']} where it is looked at {looks} seeds (`--decide`). The same runs dealt "
        f"{record['deals']:,} times at random: {record['families']:.1%} of designs call anything, "
        f"{record['families at any look']:.1%} at any look; 5% is what is promised. The deals share their runs, so "
        "these are the rates of this sample of values, not of as many samples: those are simulated "
        "(docs/intervals.md).",
    )
    return "\n\n".join(paragraphs) + "\n"


@click.command(cls=Command, help=__doc__)
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), required=True, help="Where these runs are.")
@click.option("--deals", type=Count(1, 10**6), default=DEALS, show_default=True)
def main(runs: Path, deals: int) -> None:
    values = recorded(runs)
    record = {
        **rates(values, deals),
        "log_sd": float(np.log(values).std(ddof=1)),
        "values": [float(f"{value:.6g}") for value in values],
    }
    write(RECORD, record, page)
    print(page(record))


if __name__ == "__main__":
    main()
