"""What became of every planned run, and what the runs took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.arithmetic import g_updates, training
from core.words import first_line, visible
from reports import stats
from reports.frames import STATUSES
from reports.numbers import WORK, factor, fixed_unit, short
from reports.page import Anchor, Block, Bullets, Code, Heading, Link, Paragraph, Piece, Strong, Table, Text
from reports.report import Report
from reports.results import Results, last_part, metric_letters
from reports.seconds import left_out, why_left_out
from reports.tables import Cell, Rows, anchor, to_runs
from studies.plan import PlannedVariant
from studies.times.costs import Invocation, read_invocations


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
            words = str(row["reason"] or "") if status == "damaged" else shortened(str(row["reason"] or ""))
            reason = f": {words}" if isinstance(row["reason"], str) and words else ""
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

    def share(rate: stats.Rate) -> str:
        return f"{rate.k} of {rate.n} ({rate.k / rate.n:.0%}, Wilson's 95% interval {rate.low:.0%} to {rate.high:.0%})"

    pieces: list[Piece] = [f"Runs that ended and diverged: {share(everything)}."]
    for name, rate in rates.items():
        if rate is not None and rate.k:
            pieces.append(f" {results.title(name)}: {share(rate)}.")
    return [Paragraph(tuple(pieces))]


def shortened(text: str, most: int = 160) -> str:
    """The first line of a reason, cut where it goes on for long."""
    line = visible(first_line(text)).rstrip(".")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def runs(report: Report) -> list[Block]:
    """The appendix."""
    return [Heading("Appendix: all runs", numbered=False), runs_table(report.results, report.target)]


def runs_table(results: Results, target: Callable[[str], str | None]) -> Table:
    """Every planned job, linked to `target` of it; the rows of a variant are what `reports.tables.to_runs` leads to."""
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
    rows.numbers(f"{metric_letters(results)}, {last_part(results)}", lambda row: float(row["value"]))
    rows.numbers("train s", lambda row: short(float(row["seconds"])))
    return rows.table(
        "Every planned run, to which the numbers of a variant lead; the run's name leads to what is on record of it.",
        name="runs",
        size=7.4,
    )


def cost(report: Report) -> list[Block]:
    """What it took."""
    predicted = predicted_table(report.results)
    return [Heading("Cost"), cost_table(report.results), *([] if predicted is None else [predicted])]


@dataclass(frozen=True)
class Arm:
    """A row of the table: a variant, or all that the seeds of a design drew, with their jobs."""

    called: Cell
    variants: Sequence[PlannedVariant]
    jobs: pd.DataFrame

    @property
    def finished(self) -> pd.DataFrame:
        """The jobs that finished."""
        return self.jobs[self.jobs["status"] == "finished"]

    @property
    def images(self) -> dict[str, int]:
        """Real images that training shows, by variant."""
        return {v.name: v.config.iterations * v.config.batch_size for v in self.variants}

    def seconds(self, column: str = "seconds") -> stats.Summary:
        """Wall seconds of finished jobs, of training or of another column."""
        return stats.summary(self.finished[column].to_numpy(dtype=float))

    @property
    def seconds_per_thousand_images(self) -> float | None:
        """Wall seconds of training; None where no job finished."""
        mean = self.seconds().mean
        shown = [self.images[str(name)] for name in self.finished["variant"]]
        return mean / float(np.mean(shown)) * 1000 if mean else None

    def parameters(self, network: str) -> str:
        """How many numbers a network has, or how many are emitted."""
        return from_to(self.jobs[f"{network}_parameters"].dropna())


def arms_of(results: Results) -> list[Arm]:
    """The listed variants one by one, and those that seeds drew together."""

    def arm(called: Cell, variants: Sequence[PlannedVariant]) -> Arm:
        names = [variant.name for variant in variants]
        return Arm(called, variants, results.jobs[results.jobs["variant"].isin(names)])

    drawn = results.plan.drawn
    return [
        *(arm(to_runs(results, variant.name, variant.title), [variant]) for variant in results.plan.listed),
        *([arm(results.plan.drawn_words, drawn)] if drawn else []),
    ]


def cost_table(results: Results) -> Table:
    """Arithmetic, sizes and, where they mean something, seconds per variant."""
    everything = results.plan.variants
    unsteady = why_left_out(results)
    units = fixed_unit([training(variant.config) for variant in everything])
    rows = Rows(arms_of(results))
    rows.words("variant", lambda arm: arm.called, 1.0)
    rows.numbers("n", lambda arm: arm.seconds().n)
    rows.numbers("images", lambda arm: from_to(arm.images.values()))
    if len({g_updates(variant.config) for variant in everything}) > 1:
        rows.numbers("G updates", lambda arm: from_to({g_updates(v.config) for v in arm.variants}))
    rows.numbers(units.name, lambda arm: units.write(float(np.mean([training(v.config) for v in arm.variants]))))
    timed = ""
    if not unsteady:
        rows.numbers("train s", lambda arm: arm.seconds().mean)
        rows.numbers("sd", lambda arm: arm.seconds().sd)
        rows.numbers("s / 1,000 im.", lambda arm: short(arm.seconds_per_thousand_images))
        rows.numbers("eval s", lambda arm: arm.seconds("evaluation_seconds").mean)
        rows.numbers("job s", lambda arm: arm.seconds("job_seconds").mean)
        timed = (
            "; wall seconds of training (arithmetic mean and sd over n finished runs), the same per 1,000 images, "
            "of evaluation, of the whole job"
        )
    rows.numbers("emitted", lambda arm: arm.parameters("emitted"))
    rows.numbers("G", lambda arm: arm.parameters("generator"))
    rows.numbers("D", lambda arm: arm.parameters("discriminator"))
    total = results.jobs["job_seconds"].sum(min_count=1)
    spent = f" All jobs together took {short(total / 3600)} hours of process time." if np.isfinite(total) else ""
    return rows.table(
        f"Cost per run: real images shown; arithmetic of training in {units.words}{timed}"
        f"; parameters emitted per image, of G and of D. {WORK}{left_out(unsteady)}{spent}",
        name="cost",
        size=7.4,
        measures=results.jobs["seconds"],
    )


def from_to(numbers: Iterable[int]) -> str:
    """A whole number, or the least and the largest of several."""
    ends = sorted({int(number) for number in numbers})
    return "–" if not ends else f"{ends[0]:,}" + (f" to {ends[-1]:,}" if len(ends) > 1 else "")


def predicted_table(results: Results) -> Table | None:
    """What the commands that trained were predicted to take and what they took; None where none wrote it down."""
    invocations = read_invocations(results.runs, results.plan.study, results.plan.setting)
    if not invocations:
        return None

    def ended(line: Invocation) -> str:
        continued = f", {line.continued} of them continued" if line.continued else ""
        return f"{line.ended} of {line.planned}{continued}"

    def ratio(line: Invocation) -> float | None:
        whole = line.ended == line.planned and not line.interrupted
        return line.seconds / line.predicted_seconds if whole and line.predicted_seconds else None

    def compared(line: Invocation) -> str:
        if line.interrupted:
            return "interrupted"
        return "not all ended" if line.ended != line.planned else factor(ratio(line))

    def hours(seconds: float | None) -> str:
        return "unknown" if seconds is None else short(seconds / 3600)

    rows = Rows(invocations)
    rows.words("began (UTC)", lambda line: line.began.replace("T", " ").partition("+")[0])
    rows.words("runs ended", ended, 1.0)
    rows.numbers("workers", lambda line: str(line.workers))
    rows.numbers("predicted h", lambda line: hours(line.predicted_seconds))
    rows.numbers("actual h", lambda line: hours(line.seconds))
    rows.numbers("actual / predicted", compared)
    rows.numbers("h of jobs", lambda line: hours(line.job_seconds))
    ratios = [known for line in invocations if (known := ratio(line)) is not None]
    middle = f" Median actual / predicted {factor(float(np.median(ratios)))} (n = {len(ratios)})." if ratios else ""
    machines = dict.fromkeys(line.machine.words for line in invocations)
    return rows.table(
        "Predicted and actual hours of the training commands on record here: wall time, the report not counted; last "
        "the sum over its "
        f"runs, of which as many went on at a time as there are workers.{middle} Machine: {'; '.join(machines)}.",
        name="predicted",
        size=7.4,
    )
