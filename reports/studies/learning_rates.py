"""The report of `learning_rates`: what the searches saw, what their choices do on other seeds, and what that says of G.

A search's own best value is the luckiest of its trials. What is concluded here comes from the choices trained anew, on
seeds that no search saw; the trials tell where good rates lie, and how flat the ground is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike
from scipy.stats import t as student

from ablations import patch
from ablations.search import Search
from core.config import Config
from core.metrics.protocol import Protocol, from_json
from core.reading import Damaged
from core.words import typed
from reports import figures, pictures, sections, stats
from reports.comparability import MixedProtocols, mixture, with_rows
from reports.numbers import MEAN_SPREAD, counted, factor, fixed, interval, listed, mean_spread, short
from reports.page import Block, Bullets, Code, Column, Heading, Listing, Paragraph, Strong, Table, Text
from reports.report import PILOT, Report, composed
from reports.results import Results, metric_letters, metric_name
from reports.rows import led
from reports.verdicts import compare, side_of_one
from studies.sweeps import Importance, Sweep, Trial, read_sweep

ONE, SEPARATE = "best_one_rate", "best_separate"
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
STYLEGAN_MAPPING = 0.01
"""The multiplier of StyleGAN's mapping network (Karras et al. 2019)."""

SHOWN_TRIALS = 6


def sweeps_of(results: Results) -> list[Sweep]:
    """The records of the study's searches, as far as there are any."""
    return [
        sweep
        for search in results.study.searches
        if (sweep := read_sweep(results.runs, results.plan.study, results.plan.setting, search.name)) is not None
    ]


def answers(report: Report) -> list[Text]:
    """The deck's two questions in one sentence."""
    results = report.results
    if not results.plan.searched:
        return ["No search has come to its end here."]
    return [sentence(results, {sweep.search.variant: sweep for sweep in sweeps_of(results)}, noise_of(results))]


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    results = report.results
    sweeps = sweeps_of(results)
    check_alike(results, sweeps)
    parts = (
        sections.question,
        partial(answer, sweeps=sweeps),
        partial(searches, sweeps=sweeps),
        sections.learning_curves,
        pictures.samples,
        pictures.between_latents,
        sections.the_setting,
        partial(what_was_sought, sweeps=sweeps),
        sections.cost,
        partial(cost_of_searches, sweeps=sweeps),
        partial(limits, sweeps=sweeps),
        sections.missing,
        sections.provenance,
        sections.runs,
    )
    return composed(report, parts)


def check_alike(results: Results, sweeps: Sequence[Sweep]) -> None:
    """Raises MixedProtocols where a trial was measured otherwise than what was trained anew."""
    known = dict(results.protocols)
    rows = []
    for sweep in sweeps:
        for trial in sweep.trials:
            recorded: dict[str, Protocol] = {}
            with suppress(Damaged):  # Its value stands in the search's own record.
                recorded = from_json(results.folder(trial.digest).read("protocol.json"))
            if (protocol := recorded.get(sweep.metric)) is not None:
                known[protocol.fingerprint] = protocol
                rows.append((f"trial {trial.number}", trial.digest, sweep.metric, protocol.fingerprint))
    if (reason := mixture(with_rows(results.tidy, rows), results.metric, known)) is not None:
        raise MixedProtocols(reason)


# --- noise and ties ---------------------------------------------------------------------------------------------------


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


def noise_of(results: Results) -> Noise | None:
    """Of the variants that were trained with the study's seeds."""
    return pooled_noise([results.last(variant) for variant in results.plan.variants])


def ties(sweep: Sweep, noise: Noise) -> list[Trial]:
    """The complete trials that one run each cannot tell from the best one, which is among them."""
    complete = sweep.complete
    if not complete:
        return []
    bound = value_of(sweep, complete[0]) * noise.apart
    return [trial for trial in complete if value_of(sweep, trial) <= bound]


def value_of(sweep: Sweep, trial: Trial) -> float:
    """The metric of a complete trial at the last iteration."""
    value = trial.at(sweep.iterations)
    assert value is not None
    return value


def among(trials: Sequence[Trial], path: str) -> tuple[float, float]:
    """The least and the largest value of a parameter."""
    values = [trial.values[path] for trial in trials]
    return min(values), max(values)


def number(value: float) -> str:
    """A rate or a multiplier: three digits."""
    return f"{value:.3g}"


# --- the answer -------------------------------------------------------------------------------------------------------


def answer(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """What the re-trained choices say, with the numbers it rests on."""
    results = report.results
    blocks: list[Block] = [Heading("The answer")]
    if not results.plan.searched:
        plan = results.plan
        command = typed("python", "-m", "studies.run", plan.asked_as, "--profile", plan.profile)
        return [*blocks, Paragraph("No search has come to its end here, so there is none:"), Listing(command)]
    by_name = {sweep.search.variant: sweep for sweep in sweeps}
    noise = noise_of(results)
    items = [
        *which_rate(results, by_name.get(ONE), noise),
        *mapping_network(results, by_name.get(SEPARATE), noise),
        *selection(results, by_name),
    ]
    blocks += [Bullets(tuple(items)), reruns(results, by_name)]
    if report.n <= PILOT:
        blocks.append(sections.pilot_note(report))
    return blocks


def sentence(results: Results, sweeps: dict[str, Sweep], noise: Noise | None) -> str:
    """The deck's two questions answered in one sentence, with what is uncertain about it."""
    first = rate_words(results, sweeps.get(ONE), noise)
    if same_config(results, ONE, SEPARATE):
        return (
            f"{first}; the search over separate rates, which began there, found none that were better on its seed, so "
            "nothing here shows that the trunk needs a rate of its own, as StyleGAN's mapping network has."
        )
    effect = compare(results, ONE, SEPARATE)
    if effect is None or effect.ratio is None:
        return f"{first}; whether parts of G need rates of their own was not compared."
    said = {
        "below": "separate rates within G are better than one, so its parts are not equivalent",
        "above": "the separate rates that were found are worse than one, so nothing speaks for the trunk's own rate",
    }.get(
        side_of_one(effect),
        "no difference between separate rates within G and one rate is resolved, so nothing here shows that the trunk "
        "needs a rate of its own, as StyleGAN's mapping network has, and nothing rules it out: the interval is wide",
    )
    return f"{first}; {said} (separate over one rate {interval(effect)}, n = {effect.n} seeds)."


def rate_words(results: Results, sweep: Sweep | None, noise: Noise | None) -> str:
    """Which rates of G did how well, as the first half of a sentence: never more than one run each can say, and what
    the choice did over the profile's rates on other seeds."""
    if sweep is None or sweep.best is None:
        return "No rate of G was found"
    tied = [] if noise is None else ties(sweep, noise)
    if len(tied) > 1:
        low, high = among(tied, G_RATE)
        worse = sum(t not in tied and low <= t.values[G_RATE] <= high for t in sweep.ended)
        said = (
            f"{len(tied)} of {len(sweep.ended)} trials cannot be told apart by one run each; their rates of G lie "
            f"between {number(low)} and {number(high)}, with other rates of D and betas"
        )
        said += f", and {counted(worse, 'trial')} in that range did worse" if worse else ""
    else:
        said = (
            f"The best of {len(sweep.ended)} trials, one run each, had G's rate at {number(sweep.best.values[G_RATE])}"
        )
    return f"{said}; {against_the_profile(results)}"


def against_the_profile(results: Results) -> str:
    """What the best trial's rates did on other seeds, beside the profile's."""
    if same_config(results, "baseline", ONE):
        return "the best trial's settings are the profile's own"
    effect = compare(results, "baseline", ONE)
    if effect is None or effect.ratio is None:
        return "the best trial's settings were not compared with the profile's on other seeds"
    said = {
        "below": "on other seeds the best trial's settings are better than the profile's",
        "above": "on other seeds the best trial's settings are worse than the profile's",
    }.get(side_of_one(effect), "the best trial's settings are not shown better than the profile's")
    return f"{said} (×{interval(effect)}, n = {effect.n})"


def same_config(results: Results, one: str, other: str) -> bool:
    """Whether two names of variants stand for one config, which has no ratio to itself."""
    variant = results.variant(one)
    return variant is not None and variant == results.variant(other)


def retrained(results: Results, before: str, after: str) -> str:
    """The paired ratio of two re-trained variants and what it says, as the end of a sentence."""
    if same_config(results, before, after):
        return f"“{results.title(after)}” is “{results.title(before)}” itself: there is nothing to compare"
    effect = compare(results, before, after)
    return (
        f"re-trained, “{results.title(after)}” over “{results.title(before)}” is {interval(effect)}: {verdict(effect)}"
    )


def which_rate(results: Results, sweep: Sweep | None, noise: Noise | None) -> list[Text]:
    """The best single rate, the trials like it, and what it brings over the profile's."""
    if sweep is None or sweep.best is None:
        return []
    best = sweep.best
    told = [
        f"{HEADS[path]} {number(value)} ({beside(sweep, path, value)}{edge(sweep, path)})"
        for path, value in best.values.items()
    ]
    text = f" {listed(told)}, the best of {len(sweep.ended)} trials on seed {sweep.search.seed}."
    if noise is not None:
        tied = ties(sweep, noise)
        spans = [f"{HEADS[path]} {' to '.join(map(number, among(tied, path)))}" for path in best.values]
        text += (
            f" {counted(len(tied) - 1, 'other trial')} cannot be told from it by one run each (their ratio is below "
            f"{factor(noise.apart)}); together they span {listed(spans)}."
        )
    text += f" Against the profile's own rates: {retrained(results, 'baseline', ONE)}."
    return [(Strong("Which rate for G?"), text)]


def mapping_network(results: Results, sweep: Sweep | None, noise: Noise | None) -> list[Text]:
    """What a rate of their own brings to parts of G."""
    if sweep is None or sweep.best is None:
        return []
    best = sweep.best
    told = [f"{HEADS[path]} {number(value)}{edge(sweep, path)}" for path, value in best.values.items()]
    text = f" The separate search chose {listed(told)}."
    least = sweep.complete[0]
    if least.number != best.number:
        write = fixed([value_of(sweep, best)])
        text += (
            f" On its own seed none of its trials beat the one rate that it began at ({write(value_of(sweep, best))} "
            f"against {write(value_of(sweep, least))}, one run each)."
        )
    if noise is not None:
        tied = ties(sweep, noise)
        low, high = among(tied, MAPPING)
        there = "inside" if low <= STYLEGAN_MAPPING <= high else "outside"
        text += (
            f" The {counted(len(tied), 'trial')} that one run each cannot tell apart from the best, itself included, "
            f"multiply the trunk's rate by {number(low)} to {number(high)}; StyleGAN's {STYLEGAN_MAPPING:g} for its "
            f"mapping network lies {there} of that."
        )
    text += f" Against one rate: {retrained(results, ONE, SEPARATE)}."
    return [(Strong("Is it equivalent to the mapping network?"), text)]


def beside(sweep: Sweep, path: str, value: float) -> str:
    """A chosen value beside the profile's: as a factor where its range is one of factors."""
    base = sweep.base[path]
    logarithmic = next(p for p in sweep.search.parameters if p.path == path).log
    return (
        f"{factor(value / base)} times the profile's {number(base)}" if logarithmic else f"the profile's {number(base)}"
    )


def edge(sweep: Sweep, path: str) -> str:
    """A warning where the best lies at the end of its range."""
    found = sweep.at_edge(path)
    # Below 0 there is nothing that a search could have missed.
    return (
        ""
        if found is None or sweep.ranges[path][0] == 0
        else f", at the {found} edge of its range: the optimum may lie beyond"
    )


def verdict(effect: stats.Effect | None) -> str:
    """What a paired ratio of two choices says."""
    if effect is None or effect.n == 0:
        return "not compared"
    if effect.diverged:
        return f"{counted(effect.diverged, 'run')} diverged, so there is no ratio"
    return {"below": "better", "above": "worse"}.get(side_of_one(effect), "the difference is not resolved")


def selection(results: Results, sweeps: dict[str, Sweep]) -> list[Text]:
    """How much better the search saw its choice than other seeds do."""
    items = []
    for choice in results.plan.searched:
        sweep, variant = sweeps.get(choice.variant), results.variant(choice.variant)
        if sweep is None or sweep.best is None or variant is None:
            continue
        again = stats.geometric_mean(results.last(variant))
        if again is None:
            continue
        seen = value_of(sweep, sweep.best)
        ratio = stats.Effect(
            again.n,
            again.centre / seen,
            None if again.low is None else again.low / seen,
            None if again.high is None else again.high / seen,
        )
        items.append(f"{results.title(choice.variant)} {interval(ratio)}")
    if not items:
        return []
    return [
        (
            Strong("Selection."),
            f" A search's best value is the luckiest of its trials. Re-trained mean over that value: "
            f"{'; '.join(items)} (geometric means over seeds with Student-t intervals; above 1 the search was too "
            "optimistic).",
        )
    ]


def reruns(results: Results, sweeps: dict[str, Sweep]) -> Table:
    """The variants as re-trained beside what the search saw."""
    names = ["baseline", *(choice.variant for choice in results.plan.searched)]
    paths = list(dict.fromkeys(path for sweep in sweeps.values() for path in sweep.ranges))
    seen = {name: seen_by_search(sweeps, name) for name in names}
    summaries = {name: stats.log_summary(results.last(v)) for name in names if (v := results.variant(name)) is not None}
    write = fixed([summary.mean for summary in summaries.values()])
    rows: list[tuple[Text, ...]] = []
    for name, summary in summaries.items():
        variant = results.variant(name)
        assert variant is not None
        plain = variant.config.model_dump(mode="json")
        rows.append(
            (
                results.title(name),
                *(number(float(patch.lookup(plain, path))) for path in paths),
                write(seen[name]),
                led(results, name, mean_spread(summary, write)),
                "–" if same_config(results, "baseline", name) else interval(compare(results, "baseline", name)),
            )
        )
    letters = metric_letters(results)
    return Table(
        name="retrained",
        columns=(
            Column("variant", share=1.3),
            *(Column(HEADS.get(path, path), "right") for path in paths),
            Column(f"{letters}, seen by the search", "right", 1.0),
            Column(f"{letters}, re-trained", "right", 1.3),
            Column(f"ratio to {results.title('baseline')}", "right", 1.4),
        ),
        rows=tuple(rows),
        caption=f"{metric_name(results)} at the last iteration: of the one trial that the search chose by, and of the "
        f"same config with the study's seeds, {MEAN_SPREAD}; ratios paired by seed to the profile's own rates, "
        "geometric means with 95% Student-t intervals on the log scale.",
        size=7.8,
    )


def seen_by_search(sweeps: dict[str, Sweep], name: str) -> float | None:
    """What the trial of this variant measured: the chosen one, or one with the base's own values."""
    if name in sweeps:
        best = sweeps[name].best
        return None if best is None else value_of(sweeps[name], best)
    for sweep in sweeps.values():
        for trial in sweep.complete:
            if all(math.isclose(value, sweep.base[path]) for path, value in trial.values.items()):
                return value_of(sweep, trial)
    return None


# --- the searches -----------------------------------------------------------------------------------------------------


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
        f"{metric_letters(results)} of the trials over the rate of G, one run each on the search's seed: dots at the "
        "last iteration, hollow squares where a trial was pruned or diverged, at its last measurement. What else a "
        "search varies goes through them as scatter. On top, with other seeds, what was trained anew: geometric means "
        "with 95% Student-t intervals on the log scale, thin dots single seeds.",
        "Scatter of the trials of each search over the rate of G, with the variants that were trained anew.",
    )


def last_measured(trial: Trial) -> float | None:
    """A trial's last finite measurement."""
    found = [value for _, value in sorted(trial.measured) if np.isfinite(value)]
    return found[-1] if found else None


def trials_panel(ax: Axes, results: Results, sweep: Sweep, limits: tuple[float, float]) -> Axes:
    """The ended trials of one search over the rate of G, and the variants that were trained anew on top."""
    complete = [(trial, value_of(sweep, trial)) for trial in sweep.complete]
    ended = [
        (t, last) for t in sweep.trials if t.state in ("pruned", "diverged") and (last := last_measured(t)) is not None
    ]
    for found, mark, fill, name in ((complete, "o", figures.PALE, "trial"), (ended, "s", "none", "given up or lost")):
        if found:
            rates = [trial.values[G_RATE] for trial, _ in found]
            line = Line2D(
                rates,
                [value for _, value in found],
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
    told = [
        f"{sweep.search.name}, {counted(trials, 'trial')} at iteration {iteration:,}"
        for sweep in sweeps
        for iteration, trials in dict.fromkeys((found.iteration, found.trials) for found in sweep.importances)
    ]
    return report.figure(
        canvas,
        "importance.svg",
        f"Which parameter mattered: its share of the parts of the variance of log {metric_letters(report.results)} "
        "that single parameters explain (fANOVA, Hutter et al. 2014), over the whole ranges: "
        f"means over resampled trials, bars their 2.5% to 97.5% quantiles. Trials: {'; '.join(told)}. At the earlier "
        "iteration no trial is missing; at the last one those that were pruned are, and they are the worse ones. What "
        "interactions explain is left out.",
        "Importance of each parameter of each search.",
    )


def importance_panel(ax: Axes, sweep: Sweep) -> Axes:
    """One row per parameter, one mark per iteration."""
    paths = list(sweep.ranges)
    moments = list(dict.fromkeys(found.iteration for found in sweep.importances))
    looks = tuple(zip(("o", "s"), figures.palette(2), strict=True))
    by_place: dict[tuple[str, int], Importance] = {(found.path, found.iteration): found for found in sweep.importances}
    for row, path in enumerate(paths):
        for place, moment in enumerate(moments):
            found = by_place[path, moment]
            mark, colour = looks[place % 2]
            y = row + (place - (len(moments) - 1) / 2) * 0.28
            ax.plot((found.low, found.high), (y, y), color=colour, lw=1.1, zorder=2)
            label = f"iteration {moment:,}" if row == 0 else None
            ax.plot(found.share, y, mark, ms=4.5, color=colour, zorder=3, label=label)
    ax.set_yticks(range(len(paths)), [HEADS.get(path, path) for path in paths])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(paths) - 0.5, -0.5)
    ax.set_xlim(0, 1)
    ax.set_xlabel("share")
    ax.set_title(sweep.search.title)
    return ax


def trials_table(results: Results, sweep: Sweep) -> Table:
    """The best trials of a search."""
    moments = sorted({iteration for trial in sweep.trials for iteration, _ in trial.measured})
    shown = sweep.complete[:SHOWN_TRIALS]
    write = fixed([value for trial in shown for _, value in trial.measured])
    rows: list[tuple[Text, ...]] = [
        (
            str(trial.number),
            trial.proposal,
            *(number(trial.values[path]) for path in sweep.ranges),
            *(write(trial.at(moment)) for moment in moments),
            Code(trial.digest[:8]),
        )
        for trial in shown
    ]
    return Table(
        name=f"trials_{sweep.search.name}",
        columns=(
            Column("trial", "right"),
            Column("proposed by", share=1.0),
            *(Column(HEADS.get(path, path), "right") for path in sweep.ranges),
            *(Column(f"{moment:,}", "right") for moment in moments),
            Column("run"),
        ),
        rows=tuple(rows),
        caption=f"The best {len(rows)} of {len(sweep.ended)} ended trials of the search “{sweep.search.title}”: "
        f"{metric_letters(results)} of the one run of each, by iteration. All trials, the pruned ones too, are in "
        f"sweeps/{sweep.study}/{sweep.setting}/{sweep.search.name}.json.",
        size=7.4,
    )


# --- how --------------------------------------------------------------------------------------------------------------


def what_was_sought(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """The ranges, with where they come from."""
    study = report.results.study
    by_name = {sweep.search.name: sweep for sweep in sweeps}
    rows: list[tuple[Text, ...]] = []
    for search in study.searches:
        sweep = by_name.get(search.name)
        for parameter in search.parameters:
            ends = sweep.ranges[parameter.path] if sweep else (parameter.low, parameter.high)
            scale = "log" if parameter.log else "linear"
            rows.append(
                (
                    search.name,
                    Code(parameter.path),
                    f"{number(ends[0])} to {number(ends[1])}",
                    scale,
                    number(sweep.base[parameter.path]) if sweep else "–",
                    parameter.why,
                )
            )
    return [
        Heading("What was sought", 2),
        Table(
            name="searched",
            columns=(
                Column("search"),
                Column("path", share=1.6),
                Column("range", share=1.0),
                Column("scale"),
                Column("the profile's", "right"),
                Column("why", share=1.6),
            ),
            rows=tuple(rows),
            caption="Parameters of the searches. Everything else is that of all ten changes at this scale, the "
            f"variant of that title of changes_overview{not_sought(study.searches)}.",
            size=7.6,
        ),
    ]


def not_sought(searches: Sequence[Search]) -> str:
    """That Adam's betas are as they are there, where no search varies them."""
    varied = any("beta" in parameter.path for search in searches for parameter in search.parameters)
    return "" if varied else "; Adam's betas are not sought"


def cost_of_searches(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """What trials took."""
    if not sweeps:
        return []
    told = [f"{sweep.search.name} {short(sum(trial.seconds for trial in sweep.trials) / 60)}" for sweep in sweeps]
    return [Paragraph(f"Minutes of training in trials, beside these runs: {'; '.join(told)}.")]


def limits(report: Report, sweeps: Sequence[Sweep]) -> list[Block]:
    """What these numbers do not say."""
    items: list[Text] = [
        "A search chooses by one run of each config on one seed, so its choice is one of the good ones, not the "
        "optimum; another seed or budget chooses another.",
        "The separate search begins at what the other one chose and seeks more parameters with as many trials: where "
        "it does not win, more trials might; where it wins, it had the trials of both. The two choices are compared as "
        "found, not the best there are.",
        "Good rates depend on the length of training, the batch and the networks: those of this scale are not the "
        "deck's. What may carry over is whether parts of G want different rates.",
        "Pruning favours what learns fast: a rate that is behind at half of the training is given up.",
    ]
    edges = [
        f"{HEADS[path]} of {sweep.search.name} ({found} end)"
        for sweep in sweeps
        for path in sweep.ranges
        if (found := sweep.at_edge(path)) is not None
    ]
    if edges:
        items.append(f"The best lies at the edge of its range for {listed(edges)}: the optimum may lie outside.")
    short_of = [sweep for sweep in sweeps if len(sweep.ended) < sweep.search.trials]
    if short_of:
        told = [f"{sweep.search.name} has {len(sweep.ended)} of {sweep.search.trials}" for sweep in short_of]
        items.append(f"Fewer trials than the study declares: {listed(told)}.")
    return [*sections.limits(report), Bullets(tuple(items))]
