"""What it took: arithmetic, sizes and seconds of each variant, and predicted hours beside actual ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.arithmetic import g_updates, training
from reports import stats
from reports.numbers import WORK, factor, fixed_unit, short
from reports.page import Block, Heading, Table
from reports.report import Report
from reports.results import Results
from reports.rows import Cell, Rows, to_runs
from reports.seconds import left_out, why_left_out
from studies.costs import Invocation, read_invocations
from studies.plan import PlannedVariant


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
    ratios = [found for line in invocations if (found := ratio(line)) is not None]
    middle = f" Median actual / predicted {factor(float(np.median(ratios)))} (n = {len(ratios)})." if ratios else ""
    machines = dict.fromkeys(line.machine.words for line in invocations)
    return rows.table(
        "Predicted and actual hours of each training command: wall time, the report not counted; last the "
        "sum over its runs, of which as many went on at a time as there are workers."
        f"{middle} Machine: {'; '.join(machines)}.",
        name="predicted",
        size=7.4,
    )
