"""The trials of searches as pictures and tables: where good values lie, and which parameters mattered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from scipy.stats import t as student

from core.config import Config
from reports import figures, stats
from reports.numbers import counted
from reports.page import Block, Code, Heading, Paragraph, Table
from reports.report import Report
from reports.results import Results, metric_letters, metric_name, when
from reports.tables import Rows
from studies.search_records import Importance, Sweep, Trial

G_RATE, D_RATE = "optimizers.learning_rates.generator", "optimizers.learning_rates.discriminator"
SHARED, MAPPING = "optimizers.multipliers.shared", "optimizers.multipliers.mapping"
HEADS = {
    G_RATE: "rate of G",
    D_RATE: "rate of D",
    "optimizers.generator.beta1": "β₁ of both",
    "optimizers.generator.beta2": "β₂ of both",
    SHARED: "× shared",
    MAPPING: "× trunk",
}

SHOWN_TRIALS = 6


def value_of(sweep: Sweep, trial: Trial) -> float:
    """The metric of a complete trial at the last iteration."""
    value = trial.at(sweep.iterations)
    assert value is not None
    return value


def number(value: float) -> str:
    """A rate or a multiplier: three digits."""
    return f"{value:.3g}"


# --- what one run each can tell ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Noise:
    """How far a run's log(metric) is from that of the same config with another seed: standard deviation, and its
    degrees of freedom."""

    log_sd: float
    freedom: int

    @property
    def apart(self) -> float:
        """The ratio from which on two single runs differ at the 95% level, by Student's t."""
        return float(np.exp(student.ppf(0.975, self.freedom) * np.sqrt(2) * self.log_sd))


def pooled_noise(arms: Sequence[ArrayLike]) -> Noise | None:
    """Over arms of values per seed, those that are finite; None where no arm has two."""
    logs = [np.log(x[np.isfinite(x) & (x > 0)]) for x in (np.asarray(arm, dtype=float) for arm in arms)]
    logs = [arm for arm in logs if arm.size > 1]
    freedom = sum(arm.size - 1 for arm in logs)
    if freedom == 0:
        return None
    squares = sum(float(((arm - arm.mean()) ** 2).sum()) for arm in logs)
    return Noise(float(np.sqrt(squares / freedom)), freedom)


def ties(sweep: Sweep, noise: Noise) -> list[Trial]:
    """The complete trials that one run each cannot tell from the best one, which is among them."""
    complete = sweep.complete
    if not complete:
        return []
    bound = value_of(sweep, complete[0]) * noise.apart
    return [trial for trial in complete if value_of(sweep, trial) <= bound]


def among(trials: Sequence[Trial], path: str) -> tuple[float, float]:
    """The least and the largest value of a parameter."""
    values = [trial.values[path] for trial in trials]
    return min(values), max(values)


# --- as pictures and tables -------------------------------------------------------------------------------------------


def searches(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """Trials as pictures and as a table, and what mattered."""
    blocks: list[Block] = [Heading("The searches")]
    there = [sweep for sweep in sweeps if any(trial.measured for trial in sweep.trials)]
    if not there:
        return [*blocks, Paragraph("No trial has been measured yet.")]
    counts = [f"{sweep.search.name}: {how_they_ended(sweep)}" for sweep in there]
    blocks.append(
        Paragraph(
            f"{'; '.join(counts)}. Each trial is one run on seed {there[0].search.seed}, by which no variant is "
            "judged. The first is the profile's own rates, or for the separate search what the other one chose; then "
            "come a Latin hypercube and proposals of a multivariate "
            "tree-structured Parzen estimator (optuna). A pruned trial was worse than the median of the complete ones "
            "at an evaluation of the second half; a diverged one counts as the worst."
        )
    )
    with figures.style():
        blocks.append(landscape(report, there))
        if any(sweep.importances for sweep in there):
            blocks.append(what_mattered(report, there))
    if not any(sweep.importances for sweep in there):
        blocks.append(Paragraph("Too few trials to say which parameter mattered."))
    return [*blocks, *(trials_table(report.results, sweep) for sweep in there)]


def how_they_ended(sweep: Sweep) -> str:
    """12 complete, 4 pruned."""
    counts = {
        state: sum(trial.state == state for trial in sweep.trials)
        for state in ("complete", "pruned", "diverged", "failed", "running")
    }
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def landscape(report: Report, sweeps: Sequence[Sweep]) -> Block:
    """The trials of each search over the rate of G, what was trained anew on top."""
    results = report.results
    canvas = Canvas(figsize=(figures.WIDTH, 3.1), layout="constrained")
    panels = canvas.subplots(1, len(sweeps), sharey=True, squeeze=False).ravel()
    values = [value for sweep in sweeps for trial in sweep.trials if (value := last_measured(trial)) is not None]
    values += [float(v) for variant in results.plan.variants for v in results.last(variant)]
    limits = figures.span(values, 1.2)
    for ax, sweep in zip(panels, sweeps, strict=True):
        trials_panel(ax, results, sweep, limits)
    panels[0].set_ylabel(f"{metric_name(results)}, log scale", fontsize=6.8)
    figures.shared_legend(canvas, list(panels), columns=4)
    return report.figure(
        canvas,
        "sweep.svg",
        f"{metric_letters(results)} of the trials over the rate of G, one run each on the search's seed: dots "
        f"{when(results)}, hollow squares where a trial was pruned or diverged, at its last measurement. What else a "
        "search varies goes through them as scatter. On top, with other seeds, what was trained anew: geometric means "
        "with 95% Student-t intervals on the log scale, thin dots single seeds.",
        "Scatter of the trials of each search over the rate of G, with the variants that were trained anew.",
    )


def last_measured(trial: Trial) -> float | None:
    """A trial's last finite measurement."""
    finite = [value for _, value in sorted(trial.measured) if np.isfinite(value)]
    return finite[-1] if finite else None


def trials_panel(ax: Axes, results: Results, sweep: Sweep, limits: tuple[float, float]) -> Axes:
    """The ended trials of one search over the rate of G, and the variants that were trained anew on top."""
    complete = [(trial, value_of(sweep, trial)) for trial in sweep.complete]
    ended = [
        (t, last) for t in sweep.trials if t.state in ("pruned", "diverged") and (last := last_measured(t)) is not None
    ]
    for trials, mark, fill, name in ((complete, "o", figures.PALE, "trial"), (ended, "s", "none", "given up or lost")):
        if trials:
            rates = [trial.values[G_RATE] for trial, _ in trials]
            line = Line2D(
                rates,
                [value for _, value in trials],
                ls="none",
                marker=mark,
                ms=4,
                mfc=fill,
                mec=figures.GREY,
                mew=0.6,
                label=name,
                zorder=2,
            )
            ax.add_line(line)
    names = ["baseline", *(choice.variant for choice in results.plan.searched)]
    shown = dict.fromkeys(v.name for name in names if (v := results.variant(name)) is not None)
    for name, mark, colour in zip(shown, ("D", "^", "v"), (figures.INK, *figures.palette(2)), strict=False):
        variant = results.variant(name)
        assert variant is not None and isinstance(variant.config, Config)
        rate, seeds = variant.config.optimizers.learning_rates.generator, results.last(variant)
        finite = seeds[np.isfinite(seeds)]
        ax.plot(np.full(finite.size, rate), finite, ".", ms=2.5, color=colour, zorder=4)
        if (mean := stats.geometric_mean(seeds)) is not None:
            if mean.low is not None and mean.high is not None:
                ax.plot((rate, rate), (max(mean.low, limits[0]), min(mean.high, limits[1])), color=colour, lw=1.2)
            ax.plot(rate, mean.centre, mark, ms=5.5, color=colour, label=f"{name}, trained anew", ls="none", zorder=5)
    low, high = sweep.ranges.get(G_RATE, figures.span([trial.values[G_RATE] for trial in sweep.trials]))
    figures.log_axis(ax, "x", low / 1.2, high * 1.2, tick_text)
    figures.log_axis(ax, "y", *limits)
    ax.set_xlabel(HEADS[G_RATE])
    ax.set_title(f"search: {sweep.search.title}")
    return ax


def tick_text(value: float) -> str:
    """A rate on an axis: 0.02, but 2e-4, for which there is room."""
    return f"{value:g}" if value >= 1e-3 else f"{value:.0e}".replace("e-0", "e-")


def what_mattered(report: Report, sweeps: Sequence[Sweep]) -> Block:
    """Importances with their spread over resampled trials."""
    canvas = Canvas(
        figsize=(figures.WIDTH, 0.9 + 0.32 * max(len(sweep.ranges) for sweep in sweeps)), layout="constrained"
    )
    axes = np.atleast_1d(canvas.subplots(1, len(sweeps), sharex=True)).ravel()
    for ax, sweep in zip(axes, sweeps, strict=True):
        importance_panel(ax, sweep)
    figures.shared_legend(canvas, list(axes))
    counts = [
        f"{sweep.search.name}, {counted(trials, 'trial')} at iteration {iteration:,}"
        for sweep in sweeps
        for iteration, trials in dict.fromkeys(
            (importance.iteration, importance.trials) for importance in sweep.importances
        )
    ]
    return report.figure(
        canvas,
        "importance.svg",
        f"Which parameter mattered: its share of the parts of the variance of log {metric_letters(report.results)} "
        "that single parameters explain (fANOVA, Hutter et al. 2014), over the whole ranges: "
        f"means over resampled trials, bars their 2.5% to 97.5% quantiles. Trials: {'; '.join(counts)}. At the earlier "
        "iteration no trial is missing; at the last one those that were pruned are, and they are the worse ones. What "
        "interactions explain is left out.",
        "Importance of each parameter of each search.",
    )


def importance_panel(ax: Axes, sweep: Sweep) -> Axes:
    """One row per parameter, one mark per iteration."""
    paths = list(sweep.ranges)
    moments = list(dict.fromkeys(importance.iteration for importance in sweep.importances))
    looks = tuple(zip(("o", "s"), figures.palette(2), strict=True))
    by_place: dict[tuple[str, int], Importance] = {
        (importance.path, importance.iteration): importance for importance in sweep.importances
    }
    for row, path in enumerate(paths):
        for place, moment in enumerate(moments):
            importance = by_place[path, moment]
            mark, colour = looks[place % 2]
            y = row + (place - (len(moments) - 1) / 2) * 0.28
            ax.plot((importance.low, importance.high), (y, y), color=colour, lw=1.1, zorder=2)
            label = f"iteration {moment:,}" if row == 0 else None
            ax.plot(importance.share, y, mark, ms=4.5, color=colour, zorder=3, label=label)
    ax.set_yticks(range(len(paths)), [HEADS.get(path, path) for path in paths])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(paths) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    ax.set_xlabel("share")
    ax.set_title(sweep.search.title)
    return ax


def trials_table(results: Results, sweep: Sweep) -> Table:
    """The best trials of a search."""
    best = sweep.complete[:SHOWN_TRIALS]
    rows = Rows(best)
    rows.numbers("trial", lambda trial: str(trial.number))
    rows.words("proposed by", lambda trial: trial.proposal, 1.0)
    rows.each(sweep.ranges, lambda path: HEADS.get(path, path), lambda trial, path: number(trial.values[path]))
    moments = sorted({iteration for trial in sweep.trials for iteration, _ in trial.measured})
    rows.each(moments, lambda moment: f"{moment:,}", lambda trial, moment: trial.at(moment))
    rows.words("run", lambda trial: Code(trial.digest[:8]))
    caption = (
        f"The best {len(best)} of {len(sweep.ended)} ended trials of the search “{sweep.search.title}”: "
        f"{metric_letters(results)} of the one run of each, by iteration. All trials, the pruned ones too, are in "
        f"sweeps/{sweep.study}/{sweep.setting}/{sweep.search.name}.json."
    )
    measures = [value for trial in best for _, value in trial.measured]
    return rows.table(caption, name=f"trials_{sweep.search.name}", size=7.4, measures=measures)
