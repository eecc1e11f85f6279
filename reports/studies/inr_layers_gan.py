"""The report of `inr_layers_gan`: the layers by generated images, and whether reconstruction predicts their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ablations.layers import READINGS, ROWS, Row
from core.errors import InputError
from reports import figures, pictures, sections, stats
from reports import finding as findings
from reports.comparability import MixedProtocols
from reports.layers import INITS, MARKS, errors, named
from reports.numbers import counted, factor, fixed, listed, mean_spread, p_text
from reports.page import Block, Bullets, Heading, Listing, Note, Paragraph, Strong, Text
from reports.report import Report, composed
from reports.results import Results, load, metric_letters, metric_name
from reports.tables import Cell, Rows, to_runs
from reports.verdicts import LEVEL
from studies.inr_layers_gan import FITS

RECONSTRUCTION = FITS.study


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    fits = reconstruction(report)
    parts = (
        sections.question,
        partial(rankings, fits=fits),
        sections.learning_curves,
        pictures.samples,
        pictures.between_latents,
        sections.the_setting,
        sections.cost,
        partial(limits, fits=fits),
        sections.missing,
        sections.provenance,
        sections.runs,
    )
    return composed(report, parts)


def reconstruction(report: Report) -> Results | None:
    """The reconstruction study under the same runs at the scale that goes with this one; None: not run there."""
    try:
        return load(RECONSTRUCTION, report.results.runs, FITS.profile_for(report.results.plan.profile))
    except MixedProtocols:
        raise
    except InputError:
        return None


def fit_of(results: Results, row: Row, init: str) -> Row:
    """The fitted layer that this setting's GANs train for a row: the profile may read it otherwise than the slide."""
    variant = results.variant(named(row, init))
    if variant is None:
        return row
    return next((other for other in (*ROWS, *READINGS) if other.layer == variant.config.inr.layer), row)


def rankings(report: Report, fits: Results | None) -> list[Block]:
    """Both orders side by side, and their correlation."""
    results = report.results
    letters = metric_letters(results)
    write = fixed(results.ends(named(row, init)).mean for row in ROWS for init, _ in INITS)
    rows = Rows(ROWS)
    rows.words("layer", lambda row: row.title, 1.2)
    for init, _ in INITS:
        at = f"{'unit' if init else 'formulas’'} init"
        rows.numbers(f"{letters}, {at}", partial(generated, results, init, write), 1.0)
        rows.numbers(f"MAE, {at}", partial(fitted, results, fits, init, False), 1.0)
        rows.numbers(f"MAE by codes, {at}", partial(fitted, results, fits, init, True), 1.0)
    caption = (
        f"{metric_name(results)} of the GANs, geometric mean ×/÷ geometric standard deviation over at most {report.n} "
        "seeds, beside the mean absolute error, alike, of the same layers fitted to images "
        f"(study {RECONSTRUCTION}): free parameters, and through latent codes.{divided(results)}"
    )
    blocks: list[Block] = [
        Heading("Two orders of the same layers"),
        rows.table(caption, name="rankings", size=7.4),
    ]
    if fits is None:
        return [
            *blocks,
            Paragraph("The reconstruction study has not been run here, so there is nothing to correlate with:"),
            Listing(f"python -m studies.run {RECONSTRUCTION} --profile {FITS.profile_for(results.plan.profile)}"),
        ]
    blocks += [
        Bullets(tuple(correlations(results, fits))),
        Note(
            (
                Strong("What these cover."),
                " The interval resamples the few training seeds there are: how far noise moves the order of these "
                "layers, a range that three seeds draw too narrow. p asks how often layers in random order would "
                "correlate as strongly, every order tried. Neither says what other layers would do.",
            )
        ),
    ]
    with figures.style():
        canvas = Canvas(figsize=(figures.WIDTH, 3.0), layout="constrained")
        panels = canvas.subplots(1, 2, sharey=True)
        drawn = [scatter(ax, results, fits, init) for ax, (init, _) in zip(panels, INITS, strict=True)]
        limits = figures.span([value for values in drawn for value in values], 1.3)
        for ax, (_, words) in zip(panels, INITS, strict=True):
            figures.log_axis(ax, "y", *limits)
            ax.set_title(words)
        panels[0].set_ylabel(f"{metric_name(results)}, log scale")
        figures.shared_legend(canvas, panels)
        blocks.append(
            report.figure(
                canvas,
                "rankings.svg",
                "Each layer's distance as a GAN over its reconstruction error with free parameters: geometric means "
                "over seeds, bars from the least to the largest. If the one predicted the other, the marks would rise "
                "from left to right.",
                "Scatter of GAN distance over reconstruction error for each layer.",
            )
        )
    return blocks


def generated(results: Results, init: str, write: Callable[[float | None], str], row: Row) -> Cell:
    """The distance of a layer as a GAN, geometric mean and spread."""
    name = named(row, init)
    return to_runs(results, name, plain(results.ends(name), write))


def fitted(results: Results, fits: Results | None, init: str, codes: bool, row: Row) -> Cell:
    """The reconstruction error of a layer, geometric mean and spread."""
    if fits is None:
        return None
    return plain(fits.ends(named(fit_of(results, row, init), init, codes)), fixed([0.05]))


def plain(summary: stats.LogSummary, write: Callable[[float | None], str]) -> str:
    """Mean and spread without the number of seeds, which the caption gives; in full where a run diverged."""
    if summary.diverged or summary.factor is None:
        return mean_spread(summary, write)
    return f"{write(summary.mean)} ×/÷ {factor(summary.factor)}"


def divided(results: Results) -> str:
    """Which layers are another reading of the slide's row here than the row of that name in the fits."""
    read = [(row.title, fit.title) for row in ROWS if (fit := fit_of(results, row, "")) != row]
    return "".join(
        f" {title} is, as this profile reads it, what {RECONSTRUCTION} calls {other}." for title, other in read
    )


def answers(report: Report) -> list[Text]:
    """Whether the one order predicts the other, for each init and emitter."""
    fits = reconstruction(report)
    if fits is None:
        return ["The layers were not fitted to images under the same runs, so there is no order to compare with."]
    correlated = rank_correlations(report.results, fits)
    items = [
        f"{words} and {how} ρ = {one.rho:.2f}, p = {p_text(one.p)}" for words, how, one in correlated if one is not None
    ]
    if not items:
        return ["Fewer than three layers have two seeds or more of both numbers."]
    corrected = stats.holm([None if one is None else one.p for *_, one in correlated])
    predicted = sum(p is not None and p <= LEVEL for p in corrected)
    return [
        (
            Strong("Order by fitted images against order by generated ones:"),
            f" Spearman's rank correlations are, with {'; '.join(items)}. {predicted} of {len(items)} "
            f"{'is' if predicted == 1 else 'are'} significant at 5% after Holm's correction over them.",
        )
    ]


def finding(report: Report) -> list[str]:
    """Whether the order of the fits predicts that of the GANs, and which layer is best as a GAN."""
    results, best = report.results, findings.sentences(report)
    fits = reconstruction(report)
    if not best:
        return []
    if fits is None:
        return ["The layers were not fitted to images under the same runs: no order to compare with.", *best]
    correlated = [each for each in rank_correlations(results, fits) if each[2] is not None]
    orders = [order for *_, order in correlated if order is not None]
    if not orders:
        return ["Too few layers have both numbers for an order.", *best]
    corrected = stats.holm([order.p for order in orders])
    shown = [p is not None and p <= LEVEL and order.rho > 0 for p, order in zip(corrected, orders, strict=True)]
    first = predicts([words for words, *_ in correlated], orders, shown, report.n)
    each = [f"at {words} by {how} {o.rho:.2f} (p = {p_text(o.p)})" for words, how, o in correlated if o is not None]
    return [first, f"Spearman's ρ {', '.join(each)}, p before Holm's correction over them.", *best]


def predicts(inits: Sequence[str], orders: Sequence[stats.RankCorrelation], shown: Sequence[bool], n: int) -> str:
    """At which init the one order is shown to predict the other; in how many comparisons, where that is no matter of
    the init."""
    by_init = {init: [k for k, other in enumerate(inits) if other == init] for init in inits}
    clear = [init for init, places in by_init.items() if all(shown[k] for k in places)]
    unclear = [init for init, places in by_init.items() if not any(shown[k] for k in places)]
    if clear and unclear and len(clear) + len(unclear) == len(by_init):
        rhos = ", ".join(f"{orders[k].rho:.2f}" for init in clear for k in by_init[init])
        where = f"at {listed(clear)} (ρ {rhos}), not shown at {listed(unclear)}"
        return f"Fitting error predicts GANs' order {where} ({counted(n, 'seed')})."
    least, most = min(order.rho for order in orders), max(order.rho for order in orders)
    span = f"ρ {least:.2f} to {most:.2f} (n = {n})"
    if not any(shown):
        return f"No order by fitting error is shown to predict the order as GANs: {span}."
    where = "" if all(shown) else f" in {sum(shown)} of {len(shown)} comparisons"
    return f"Fitting error predicts the order as GANs{where}: {span}."


def rank_correlations(results: Results, fits: Results) -> list[tuple[str, str, stats.RankCorrelation | None]]:
    """For each init and emitter, in words, how the two orders agree; None where too few layers have both numbers."""
    agreements = []
    for init, words in INITS:
        ours = np.stack([errors(results, row, init) for row in ROWS])
        for codes, how in ((False, "free parameters"), (True, "latent codes")):
            theirs = np.stack([errors(fits, fit_of(results, row, init), init, codes) for row in ROWS])
            agreements.append((words, how, stats.seed_bootstrap_rank_correlation(theirs, ours)))
    return agreements


def correlations(results: Results, fits: Results) -> list[Text]:
    """One line for each init and emitter."""
    items: list[Text] = []
    for words, how, order in rank_correlations(results, fits):
        label = Strong(f"{words.capitalize()}, {how}:")
        if order is None:
            items.append((label, " fewer than three layers have two seeds or more of both numbers."))
            continue
        left_out = len(ROWS) - order.items
        lost = f" ({left_out} of {len(ROWS)} left out: a run diverged or is missing)" if left_out else ""
        items.append(
            (
                label,
                f" Spearman's ρ = {order.rho:.2f} [{order.low:.2f}, {order.high:.2f}], p = {order.p:.3f} over "
                f"{order.items} layers{lost}: {word(order)}.",
            )
        )
    return items


def word(order: stats.RankCorrelation) -> str:
    """Whether a correlation speaks for prediction."""
    if order.p >= LEVEL:
        return "layers in random order would do as well often enough"
    return f"the two orders are {'associated' if order.rho > 0 else 'opposed'}, before a correction over these lines"


def scatter(ax: Axes, results: Results, fits: Results, init: str) -> list[float]:
    """One mark per layer: reconstruction error across, GAN distance up. Returns the distances."""
    across: list[float] = []
    up: list[float] = []
    for row, mark, colour in zip(ROWS, MARKS, figures.palette(len(ROWS)), strict=True):
        x, y = errors(fits, fit_of(results, row, init), init), errors(results, row, init)
        x, y = x[np.isfinite(x)], y[np.isfinite(y)]
        if not x.size or not y.size:
            continue
        centre = np.exp(np.log(x).mean()), np.exp(np.log(y).mean())
        ax.plot((x.min(), x.max()), (centre[1],) * 2, color=colour, lw=1.0)
        ax.plot((centre[0],) * 2, (y.min(), y.max()), color=colour, lw=1.0)
        ax.plot(*centre, mark, color=colour, ms=6, label=row.title)
        across += list(x)
        up += list(y)
    figures.log_axis(ax, "x", *figures.span(across, 1.3))
    ax.set_xlabel("MAE of fitted images, log scale")
    return up


def limits(report: Report, fits: Results | None) -> list[Block]:
    """The limits of these numbers."""
    diverged = sorted({str(v) for v in report.results.jobs[report.results.jobs["status"] == "diverged"]["variant"]})
    results = report.results
    extra: list[Text] = [
        "Every layer trains with the learning rates that were chosen for the ladder's ends, which are Linear and "
        "FactorizedSE.",
    ]
    if fits is not None:
        extra.append(
            f"The fits are those of setting {fits.plan.setting} ({fits.profile.title}): another depth, first-layer "
            "scale, rate and number of iterations than the GANs', each listed in its own report."
        )
    for row in ROWS:
        if (other := fit_of(results, row, "")) is not row:
            extra.append(
                f"{row.title} trains here as “{other.title}” ({other.reading}), by this profile's scalings; it stands "
                "beside the fit of that reading. Other rows are as the slide's."
            )
    if diverged:
        extra.append(f"Diverged runs count as the worst outcome and leave their layer out of ρ: {listed(diverged)}.")
    return [*sections.limits(report), Bullets(tuple(extra))]
