"""What became of every planned run: those that were lost, how often runs diverged, and all of them in a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from core.words import said_lines, visible
from reports import stats
from reports.frames import STATUSES
from reports.numbers import short
from reports.page import Anchor, Block, Bullets, Code, Heading, Link, Paragraph, Piece, Strong, Table, Text
from reports.report import Report
from reports.results import Results, metric_letters
from reports.rows import Rows, anchor


def missing(report: Report) -> list[Block]:
    """Runs that did not finish, by name."""
    results = report.results
    jobs = results.jobs
    drawn = {variant.name for variant in results.plan.drawn}
    blocks: list[Block] = [Heading("Failed and missing runs"), *divergence(results)]
    lost = jobs[jobs["status"] != "finished"]
    if lost.empty:
        return [*blocks, Paragraph("None: every planned run finished.")]
    items: list[Text] = []
    for status in STATUSES[1:]:
        rows = lost[lost["status"] == status]
        if rows.empty:
            continue
        if status == "not started":
            # Drawn variants are told of together, by design.
            called = rows["variant"].where(~rows["variant"].isin(drawn), results.plan.drawn_words)
            grouped = rows.groupby(called, sort=False)["seed"].apply(seeds_of_rows)
            named = [f"{results.title(str(variant))} (seed {seeds})" for variant, seeds in grouped.items()]
            items.append((Strong(f"not started ({len(rows)}):"), f" {'; '.join(named)}."))
            continue
        for _, row in rows.iterrows():
            reached = "" if pd.isna(row["iteration"]) else f" at iteration {int(row['iteration']):,}"
            # Of damage the remedy stands last, and may not be cut.
            told = str(row["reason"] or "") if status == "damaged" else first_line(str(row["reason"] or ""))
            reason = f": {told}" if isinstance(row["reason"], str) and told else ""
            tries = f", attempt {int(row['attempts'])}" if not pd.isna(row["attempts"]) and row["attempts"] > 1 else ""
            where = f", seed {row['seed']}{reached}{tries}{reason}."
            items.append((Strong(status), f" {results.title(str(row['variant']))}{where}"))
    return [*blocks, Bullets(tuple(items))]


def seeds_of_rows(seeds: pd.Series) -> str:
    """ "0, 1", or "0 × 24, 1 × 3" where several runs of one seed are told of together."""
    counts = seeds.value_counts(sort=False)
    return ", ".join(str(seed) + (f" × {count}" if count > 1 else "") for seed, count in counts.items())


def divergence(results: Results) -> list[Block]:
    """How often runs diverged, in all and by variant, with Wilson intervals."""
    rates = {v.name: stats.divergence_rate(results.last(v)) for v in results.plan.listed}
    if drawn := results.plan.drawn:
        rates[results.plan.drawn_words] = stats.divergence_rate(np.concatenate([results.last(v) for v in drawn]))
    ended = [rate for rate in rates.values() if rate is not None]
    if not ended:
        return []
    everything = stats.divergence_rate([np.inf] * sum(r.k for r in ended) + [1.0] * sum(r.n - r.k for r in ended))
    assert everything is not None

    def said(rate: stats.Rate) -> str:
        return f"{rate.k} of {rate.n} ({rate.k / rate.n:.0%}, Wilson's 95% interval {rate.low:.0%} to {rate.high:.0%})"

    told: list[Piece] = [f"Runs that ended and diverged: {said(everything)}."]
    for name, rate in rates.items():
        if rate is not None and rate.k:
            told.append(f" {results.title(name)}: {said(rate)}.")
    return [Paragraph(tuple(told))]


def first_line(text: str, most: int = 160) -> str:
    """The first line of a reason, cut where it goes on for long."""
    line = visible(next(said_lines(text), "")).rstrip(".")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def runs(report: Report) -> list[Block]:
    """The appendix."""
    return [Heading("Appendix: all runs", numbered=False), runs_table(report.results, report.target)]


def runs_table(results: Results, target: Callable[[str], str | None]) -> Table:
    """Every planned job, linked to `target` of it; the rows of a variant are what `reports.rows.to_runs` leads to."""
    firsts = set(results.jobs.drop_duplicates("variant").index)

    def name(row: pd.Series) -> Text:
        variant = str(row["variant"])
        return (*([Anchor(anchor(variant))] if row.name in firsts else []), Code(variant))

    def run(row: pd.Series) -> Text:
        digest = str(row["run"])
        there = target(digest)
        return Code(digest[:8]) if there is None else Link(digest[:8], there, code=True)

    rows = Rows(row for _, row in results.jobs.iterrows())
    rows.words("name in commands", name)
    rows.words("variant", lambda row: results.title(str(row["variant"])), 1.0)
    rows.numbers("seed", lambda row: str(row["seed"]))
    rows.words("run", run)
    rows.words("status", lambda row: str(row["status"]))
    rows.numbers("iteration", lambda row: None if pd.isna(row["iteration"]) else int(row["iteration"]))
    rows.numbers(f"last {metric_letters(results)}", lambda row: float(row["value"]))
    rows.numbers("train s", lambda row: short(float(row["seconds"])))
    return rows.table(
        "Every planned run, to which the numbers of a variant lead; the run's name leads to what is on record of it.",
        name="runs",
        size=7.4,
    )
