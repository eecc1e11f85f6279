"""Every change as published beside the same at re-tuned learning rates."""

from __future__ import annotations

import pandas as pd

from core.errors import InputError
from reports.commands import planned_designs, train_command
from reports.comparability import MixedProtocols, mixture
from reports.numbers import MEAN_SPREAD
from reports.page import Block, Heading, Listing, Paragraph, Table
from reports.remarks import Effects, verdict_text
from reports.report import DESIGN_HEADS, Report
from reports.results import Results, load, metric_letters, when
from reports.tables import Rows
from reports.verdicts import judge_changes
from studies.plan import PlannedVariant, settings_of


def retuned(report: Report) -> list[Block]:
    """Every change as published beside the same at re-tuned learning rates, where both have been run."""
    pair = published_and_retuned(report.results)
    if pair is None and report.results.plan.retuned is not None:
        return [
            Heading("As published beside re-tuned", 2),
            Paragraph("The study as published has not been run. To run it:"),
            Listing(train_command(report.results, planned_designs(report.results), as_published=True)),
        ]
    if pair is None:
        return []
    published, tuned = pair
    trials = tuned.plan.retuned.trials if tuned.plan.retuned else 0
    return [
        Heading("As published beside re-tuned", 2),
        Paragraph(
            "The deck changed learning rates together with other things, so a change may look bad only for want of its "
            f"own rates. Re-tuned, every variant has the best of the same {trials} pairs of rates of G and D, tried on "
            "a seed that judges nothing: the pairs that the variants themselves have, and others around them. A change "
            "of the rates alone is tuned away by that."
        ),
        *retuned_effects(judge_changes(published), judge_changes(tuned)),
        retuned_rates(published, tuned),
    ]


def published_and_retuned(results: Results) -> tuple[Results, Results] | None:
    """This setting and its counterpart, None where there is none. Raises MixedProtocols where they are not alike."""
    setting, here = results.plan.setting, results.plan.retuned
    names = settings_of(results.runs, results.study.name)
    if here is not None:
        others = [name for name in names if name == setting.removesuffix(f"-retuned{here.trials}")]
    else:
        tuned = [name for name in names if name.startswith(f"{setting}-retuned")]
        others = sorted(tuned, key=lambda name: int(name.rpartition("-retuned")[2]), reverse=True)
    for other in others:
        try:
            counterpart = load(results.study.name, results.runs, other)
        except MixedProtocols:
            raise
        except InputError:  # Planned, and nothing of it trained.
            continue
        both = pd.concat([results.tidy, counterpart.tidy], ignore_index=True)
        if (reason := mixture(both, results.metric, {**counterpart.protocols, **results.protocols})) is not None:
            raise MixedProtocols(f"{setting} and {other}: {reason}")
        return (counterpart, results) if here is not None else (results, counterpart)
    return None


def retuned_effects(as_published: Effects, as_tuned: Effects) -> list[Table]:
    """Effects in both settings for every design that both have; nothing where there is none."""
    designs = [
        d for d in as_published if all(any(e.effect for e in side[d]) for side in (as_published, as_tuned) if d in side)
    ]
    rows = Rows(pair for design in designs for pair in zip(as_published[design], as_tuned[design], strict=True))
    rows.words("design", lambda pair: DESIGN_HEADS[pair[0].design])
    rows.words("change", lambda pair: pair[0].change.title, 1.2)
    rows.numbers("as published [95%]", lambda pair: pair[0].effect)
    rows.words("verdict", lambda pair: verdict_text(pair[0]), 0.7)
    rows.numbers("re-tuned [95%]", lambda pair: pair[1].effect)
    rows.words("verdict", lambda pair: verdict_text(pair[1]), 0.7)
    table = rows.table(
        "Each change as published and re-tuned: ratio with / without it, paired by seed.",
        name="retuned_effects",
        size=7.6,
    )
    return [table] if table.rows else []


def retuned_rates(published: Results, tuned: Results) -> Table:
    """The rates that were chosen, and what came of them."""
    rates = tuned.plan.retuned.rates if tuned.plan.retuned else {}

    def own_rates(variant: PlannedVariant) -> str | None:
        before = published.variant(variant.name)
        own = getattr(getattr(before and before.config, "optimizers", None), "learning_rates", None)
        return own and f"{own.generator:g} / {own.discriminator:g}"

    def chosen(variant: PlannedVariant) -> str:
        return f"{rates[variant.name].generator:g} / {rates[variant.name].discriminator:g}"

    rows = Rows(variant for variant in tuned.plan.listed if variant.name in rates)
    rows.words("variant", lambda variant: variant.title, 1.2)
    rows.numbers("own rates G / D", own_rates)
    rows.numbers("chosen", chosen)
    rows.numbers("as published", lambda variant: published.ends(variant.name), 0.9)
    rows.numbers("re-tuned", lambda variant: tuned.ends(variant.name), 0.9)
    return rows.table(
        f"Chosen rates, and {metric_letters(tuned)} {when(tuned)}, {MEAN_SPREAD}.",
        name="retuned_rates",
        size=7.6,
        alike=lambda variant: variant.name,
    )
