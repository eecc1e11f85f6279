"""What so few seeds and images can show, and what these numbers do not say."""

from __future__ import annotations

import numpy as np

from ablations.designs import available
from core.config import Config, MeanAbsoluteError
from core.metrics.enough import cautions
from reports import stats
from reports.numbers import counted, listed, sentence
from reports.page import Block, Bullets, Heading, Note, Paragraph, Strong, Text
from reports.report import DESIGN_HEADS, Report
from reports.results import Results, metric_letters, metric_name
from reports.verdicts import one_family
from studies.overrides import override
from studies.plan import PlannedVariant
from studies.spreads import HOW, MOST_BORROWED, answer, design_words, spreads


def pilot_note(report: Report) -> Note:
    """What so few seeds can and cannot show."""
    n = report.n
    if n == 0:
        return Note((Strong("Nothing to judge yet."), " No run has ended."))
    if n == 1:
        return Note((Strong("One seed."), " Nothing here has an interval or a test: read every number as an anecdote."))
    alone, borrowed = stats.standard_errors(n), stats.standard_errors(n + int(MOST_BORROWED))
    return Note(
        (
            Strong(f"A pilot: n = {n}."),
            f" The exact sign-flip test cannot go below p = 2/2{superscript(n)} = {stats.smallest_sign_flip_p(n):g} "
            "at this n, so it calls nothing significant at .05; Student's t can, if log-ratios are about normal, at "
            f"{alone:.1f} standard errors to each side by itself and at {borrowed:.1f} with what a design's "
            "comparisons tell each other of their scatter. The exact test can reach .05 from "
            f"{stats.seeds_for_sign_flip(0.05)} seeds on.",
        )
    )


def superscript(n: int) -> str:
    """A raised number."""
    return str(n).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def few_images(results: Results) -> list[Block]:
    """What must be said of a metric of so few images that it says little; nothing where there are enough."""
    protocol = results.protocol(results.metric)
    config = results.plan.variants[0].config
    if protocol is None or not isinstance(config, Config) or not protocol.samples or not protocol.real_samples:
        return []
    warnings = cautions(config.evaluation.metric, protocol.samples, protocol.real_samples)
    return [Note((Strong("Few images."), f" {sentence('; '.join(warnings))}"))] if warnings else []


def power(report: Report) -> list[Block]:
    """How large an effect had to be to be seen, and how many seeds smaller ones would ask for, by design."""
    results = report.results

    def values(variant: PlannedVariant) -> dict[int, float]:
        return dict(zip(results.plan.seeds, results.last(variant).tolist(), strict=True))

    designs = [s for s in spreads(results.study, results.plan, values) if s.design is not None]
    if not designs:
        return []
    titles = {change.name: change.title for change in results.study.changes}
    return [
        Paragraph(f"How fine these runs can see ({HOW}). “Open” does not mean “no effect”."),
        Bullets(
            tuple((Strong(f"{design_words(s).capitalize()}."), f" {answer(s, report.n, titles)}") for s in designs)
        ),
    ]


def spread(report: Report) -> list[Block]:
    """Training seeds against evaluation samples: which of the two the numbers scatter by."""
    results = report.results
    keys = sorted(
        key for key in results.tidy["metric"].dropna().unique() if str(key).startswith(f"{results.metric}/resample_")
    )
    if not keys:
        return []
    measured = [
        np.stack([results.worst_where_diverged(variant, key) for key in (results.metric, *keys)], axis=1)
        for variant in results.plan.variants
    ]
    parts = stats.variance_components(measured)
    if parts is None:
        return []
    steady = [x for x, v in zip(measured, results.plan.variants, strict=True) if v.name not in results.unstable]
    without = stats.variance_components(steady) if results.unstable else None
    calm = f"; without the unstable ones by {without.training_cv:.1%}" if without is not None else ""
    return [
        Heading("Where the scatter comes from", 2),
        Paragraph(
            f"The last {metric_letters(results)} of every run was measured on "
            f"{counted(1 + len(keys), 'independent set')} of latents. Between evaluations of one model it scatters by "
            f"{parts.evaluation_cv:.1%} ({parts.evaluation_df} degrees of freedom), between training seeds by "
            f"{parts.training_cv:.1%} beyond that ({parts.seed_df}), both pooled over variants{calm}. "
            + (
                "Training seeds are what the intervals are made of; more samples per evaluation would change little."
                if parts.training_sd > 2 * parts.evaluation_sd
                else "Evaluation is a large part of the scatter: more samples would narrow the intervals."
            )
        ),
    ]


def limits(report: Report) -> list[Block]:
    """What these numbers do not say, from the facts of the plan."""
    results, plan = report.results, report.results.plan
    items: list[Text] = []
    if results.metric != "clean_fid":
        items.append(
            f"{metric_letters(results)} is {metric_name(results)}: no value here may stand beside a published FID, "
            "and an order of variants by it may differ from the order by FID."
        )
    if results.profile.scalings:
        items.append(
            f"The scale is the profile's ({results.profile.title}). A change that carries nothing here may carry "
            "much at the deck's scale, and the reverse; directions are evidence, magnitudes are not."
        )
    n = report.n
    if n < 6:
        items.append(
            f"n = {n} at most. intervals are right if log-ratios over seeds are about normal, which "
            "so few values cannot show. Intervals are over training seeds: they hold for other seeds of this "
            "data and these settings only."
        )
    # Grids of alternatives print other comparisons than the designs' verdicts, and say so themselves.
    items += [] if "grid" in results.study.designs else comparisons(report)
    if len(report.claims) > 1:
        items.append(
            f"The study's {len(report.claims)} claims are judged one by one: each is wrongly reproduced, or "
            "contradicted, at most one time in forty, and nothing is corrected over them."
        )
    items += [
        "Pairing by seed shares the data order and the latents of the metric; how far it shares the course of "
        "training is not known. Where it shares nothing the intervals are valid and wider than unpaired ones.",
        *(
            ()
            if "ladder" not in available(results.study) or not results.study.changes
            else (
                f"The ladder's order is the {'slide' if results.study.source else 'study'}'s. A rung's effect is its "
                "effect on the rungs below it; in another order it may differ, which is why add one in and leave one "
                "out stand beside it.",
            )
        ),
    ]
    if results.study.changes and plan.retuned is None:
        items.append(
            "Hyperparameters that no change names were not tuned per variant: a change may look worse for want of its "
            "own learning rate."
            + (
                " They were chosen for none and for all of the changes: leave one out, which compares what was tuned "
                "with what was not, favours the changes, and add one in disfavours them."
                if results.profile.rule and {"leave_one_out", "add_one_in"} <= set(available(results.study))
                else ""
            )
        )
    elif plan.retuned is not None:
        items.append(
            "Learning rates were tuned for each variant with one seed and few trials: the best is partly luck."
        )
    batches = sorted({variant.config.batch_size for variant in plan.variants})
    if len(batches) > 1:
        items.append(
            f"Equal iterations are not equal work: batch sizes {listed([str(b) for b in batches])} show different "
            "numbers of images, and D-to-G ratios and sizes of networks cost different arithmetic. The curves show "
            "each of them."
        )
    metrics = [variant.config.evaluation.metric for variant in plan.variants]
    counts = sorted({metric.samples for metric in metrics if not isinstance(metric, MeanAbsoluteError)})
    if counts:
        items.append(
            f"The metric is biased upwards with {listed([f'{c:,}' for c in counts])} samples, by an amount that "
            "depends on the model; ratios of good variants are pulled towards 1."
        )
    kinds = {variant.config.data.kind for variant in plan.variants}
    if "images" in kinds:
        datasets = sorted({claim.dataset for claim in results.study.claims})
        theirs = f"; the deck's claims are of {listed(datasets)}" if datasets else ""
        items.append(f"The data is {plan.data_name}{theirs}.")
    elif "rooms" in kinds:
        items.append(
            "The data is the embedded procedural rooms: far less varied than LSUN, and without camera noise or clutter."
        )
    if plan.overrides:
        overrides = ", ".join(override(path, value) for path, value in plan.overrides.items())
        items.append(f"Overrides on the command line apply to every variant: {overrides}.")
    lost = results.count("diverged")
    if lost:
        items.append(
            f"Diverged runs ({lost}) count as the worst outcome (∞) and leave no mean and no interval: nothing was "
            "averaged over the survivors."
        )
    return [Heading("Threats to validity"), Bullets(tuple(items))]


def comparisons(report: Report) -> list[Text]:
    """The multiple comparisons: the family of each design, and all designs as one family."""
    family = one_family(report.effects)
    if family.comparisons < 2:
        return []
    kept = [
        f"{e.change.title} ({DESIGN_HEADS[e.design]})"
        for effects in report.effects.values()
        for e in effects
        if family.keeps(e) and e.word != "unstable"
    ]
    named = f"{len(kept)} stay significant: {'; '.join(kept)}" if kept else "none stays significant"
    astray = sum(family.keeps(e) and e.word == "unstable" for effects in report.effects.values() for e in effects)
    named += f"; so would {astray} by ranks that have an unstable variant" if astray else ""
    if family.designs < 2:
        return [
            f"Verdicts on the {family.comparisons} changes are corrected together (Holm): if none did anything, the "
            "chance of a single “helps” or “hurts” would be at most 5%."
        ]
    return [
        "Verdicts are corrected within a design (Holm): if no change did anything, the chance of a single “helps” or "
        "“hurts” in it would be at most 5%. "
        f"All {family.comparisons} comparisons of all designs as one family: {named}.",
        "The comparisons of add one in share the variant without any change, those of leave one out the one with all: "
        "their errors are correlated, and so many findings are not as many independent ones.",
    ]
