"""The base over all changes at equal iterations, arithmetic and, where those mean something, seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.arithmetic import g_updates, training
from reports import stats
from reports.fair import shares_of
from reports.numbers import MEAN_SPREAD, WORK, factor, listed, short, work_text
from reports.page import Block, Heading, Paragraph, Table
from reports.report import Report
from reports.results import Results, metric_letters
from reports.seconds import left_out, why_left_out
from reports.tables import Rows, to_runs
from studies.plan import PlannedVariant


def end_to_end_line(report: Report) -> list[Block]:
    """The base over all changes, at equal iterations and at equal cost."""
    results = report.results
    baseline, everything = results.variant("baseline"), results.variant("all")
    blocks: list[Block] = [Heading("End to end: all changes against none", 2)]
    if baseline is None or everything is None:
        absent = [f"“{results.title(name)}”" for name in ("baseline", "all") if results.variant(name) is None]
        return [*blocks, Paragraph(f"Not run: the plan lacks {listed(absent)}.")]
    at_iterations = end_to_end(results.last(baseline), results.last(everything))
    if not at_iterations.before.n or not at_iterations.after.n:
        return [*blocks, Paragraph("No seed has ended in one of the two arms.")]
    at_work = end_to_end_at_equal(work_axis, results, "baseline", "all")
    unsteady = why_left_out(results)
    at_seconds = None if unsteady else end_to_end_at_equal(seconds_axis, results, "baseline", "all")
    blocks.append(end_to_end_table(at_iterations, at_work, at_seconds, results))
    if at_work is None:
        how = "At equal arithmetic: not available, because a run diverged or was measured too late or never."
    else:
        how = (
            f"{work_text(at_work.reached)} is the most arithmetic of training that every finished run of both "
            f"arms reached; each run's {metric_letters(results)} there is log-linear between its two evaluations "
            "around that point."
        )
        how += left_out(unsteady)
    both = [g_updates(arm.config) for arm in (baseline, everything)]
    if both[0] != both[1]:
        how += f" Equal iterations are not equal updates of G: {both[0]:,} against {both[1]:,} per run."
    images = [arm.config.iterations * arm.config.batch_size for arm in (baseline, everything)]
    if images[0] != images[1]:
        how += f" Equal iterations are not equal images: {images[0]:,} against {images[1]:,} per run."
    return [*blocks, Paragraph(how)]


def end_to_end_table(
    at_iterations: EndToEnd, at_work: EndToEnd | None, at_seconds: EndToEnd | None, results: Results
) -> Table:
    """One row for each of the axes along which both are read equally far."""
    base, everything = results.title("baseline"), results.title("all")
    iterations = listed([f"{i:,}" for i in results.iterations])
    ends = [(f"equal iterations ({iterations})", at_iterations)]
    if at_work is not None:
        ends.append((f"equal arithmetic of training ({work_text(at_work.reached)})", at_work))
    if at_seconds is not None:
        ends.append((f"equal training seconds ({short(at_seconds.reached)} s)", at_seconds))
    rows = Rows(ends)
    rows.words("compared at", share=1.5)
    rows.numbers(base, lambda row: to_runs(results, "baseline", row[1].before), 1.3)
    rows.numbers(everything, lambda row: to_runs(results, "all", row[1].after), 1.3)
    rows.numbers("ratio [95%]", lambda row: row[1].paired or factor(row[1].ratio), 1.1)
    rows.numbers("least of all pairings", lambda row: None if row[1].least is None else f"{factor(row[1].least)}×", 0.9)
    return rows.table(
        f"End to end: {metric_letters(results)} of “{base}” over “{everything}”, above 1× when the changes "
        f"help: {MEAN_SPREAD}; the ratio of the geometric means with its interval by seed, and the least ratio of any "
        "seed of the one to any of the other, which is an extreme and no bound."
        + (f" {WORK}" if at_work is not None else ""),
        name="end_to_end",
        size=8.5,
        measures=[at_iterations.before.mean, at_iterations.after.mean],
    )


@dataclass(frozen=True)
class EndToEnd:
    """The base over all changes, above 1 when the changes help.

    `least` is the smallest ratio over every pairing of seeds; None where a diverged or missing run leaves none.
    `paired` is the ratio by seed, with its interval. `reached` is where along another axis both were read, None at
    equal iterations.
    """

    before: stats.LogSummary
    after: stats.LogSummary
    least: float | None
    paired: stats.Effect | None = None
    reached: float | None = None

    @property
    def ratio(self) -> float | None:
        """The ratio of the geometric means; None where a diverged or missing run leaves none."""
        before, after = self.before.mean, self.after.mean
        return before / after if before and after and np.isfinite([before, after]).all() else None


Axis = Callable[[PlannedVariant, pd.DataFrame], np.ndarray]
"""What a curve of a variant is read along, one number for each of its evaluations."""


def seconds_axis(_: PlannedVariant, curve: pd.DataFrame) -> np.ndarray:
    """Seconds of training, evaluation not counted."""
    return curve["seconds"].to_numpy(dtype=float)


def work_axis(variant: PlannedVariant, curve: pd.DataFrame) -> np.ndarray:
    """Multiply-accumulates of training, counted from the config."""
    return np.array([training(variant.config, int(iteration)) for iteration in curve["iteration"]], dtype=float)


def end_to_end(before: Sequence[float] | np.ndarray, after: Sequence[float] | np.ndarray) -> EndToEnd:
    """The comparison at equal iterations from the two arms' values."""
    paired = stats.paired_effect(after, before) if len(before) == len(after) else None
    least = stats.smallest_pairing_ratio(before, after)
    return EndToEnd(stats.log_summary(before), stats.log_summary(after), least, paired)


def end_to_end_at_equal(axis: Axis, results: Results, before: str, after: str) -> EndToEnd | None:
    """The comparison where each arm is read as far along `axis` as every finished run of both reached.

    None where a run diverged or that point lies before a run's first evaluation.
    """
    one, other = results.variant(before), results.variant(after)
    if one is None or other is None or one == other:
        return None
    curves: list[dict[int, tuple[np.ndarray, np.ndarray]]] = []
    places = shares_of(one.config)
    for arm in (one, other):
        states = {seed: results.job(arm, seed)["status"] for seed in results.plan.seeds_of(arm)}
        measured = {seed: results.curve(arm, seed) for seed, state in states.items() if state == "finished"}
        if not measured or "diverged" in states.values() or any(curve.empty for curve in measured.values()):
            return None
        curves.append(
            {s: (axis(arm, curve), curve["evaluated"].to_numpy(dtype=float)) for s, curve in measured.items()}
        )
    reached = min(float(along[-1]) for arm in curves for along, _ in arm.values())
    read = [
        [stats.mean_along(along, values, [share * reached for share in places]) for along, values in arm.values()]
        for arm in curves
    ]
    known = [[value for value in arm if value is not None] for arm in read]
    if known != read:
        return None
    compared = end_to_end(*known)
    return replace(compared, reached=reached, paired=compared.paired if list(curves[0]) == list(curves[1]) else None)
