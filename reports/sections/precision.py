"""What so few seeds and images can show, and what they cannot."""

from __future__ import annotations

import numpy as np

from core.config import Config
from core.metrics.enough import cautions
from reports import stats
from reports.numbers import counted, sentence
from reports.page import Block, Bullets, Heading, Note, Paragraph, Strong
from reports.report import Report
from reports.results import Results, metric_letters
from studies.plan import PlannedVariant
from studies.spreads import HOW, answer, design_words, spreads


def pilot_note(report: Report) -> Note:
    """What so few seeds can and cannot show."""
    n = report.n
    if n == 0:
        return Note((Strong("Nothing to judge yet."), " No run has ended."))
    if n == 1:
        return Note((Strong("One seed."), " Nothing here has an interval or a test: read every number as an anecdote."))
    width = stats.standard_errors(n)
    return Note(
        (
            Strong(f"A pilot: n = {n}."),
            f" The exact sign-flip test cannot go below p = 2/2{superscript(n)} = {stats.smallest_sign_flip_p(n):g} "
            f"at this n, so it calls nothing significant at .05; the Student-t interval can, at {width:.1f} standard "
            "errors to each side, if log-ratios are about normal. The exact test can reach .05 from "
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
    found = cautions(config.evaluation.metric, protocol.samples, protocol.real_samples)
    return [Note((Strong("Few images."), f" {sentence('; '.join(found))}"))] if found else []


def power(report: Report) -> list[Block]:
    """How large an effect had to be to be seen, and how many seeds smaller ones would ask for, by design."""
    results = report.results

    def values(variant: PlannedVariant) -> dict[int, float]:
        return dict(zip(results.plan.seeds, results.last(variant).tolist(), strict=True))

    found = [s for s in spreads(results.study, results.plan, values) if s.design is not None]
    if not found:
        return []
    titles = {change.name: change.title for change in results.study.changes}
    return [
        Paragraph(f"How fine these runs can see ({HOW}). A verdict of “inconclusive” is not a verdict of “no effect”."),
        Bullets(tuple((Strong(f"{design_words(s).capitalize()}."), f" {answer(s, report.n, titles)}") for s in found)),
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
        np.stack([results.last(variant), *(results.last_of(variant, str(key)) for key in keys)], axis=1)
        for variant in results.plan.variants
    ]
    found = stats.variance_components(measured)
    if found is None:
        return []
    return [
        Heading("Where the scatter comes from", 2),
        Paragraph(
            f"The last {metric_letters(results)} of every run was measured on "
            f"{counted(1 + len(keys), 'independent set')} of latents. Between evaluations of one model it scatters by "
            f"{found.evaluation_cv:.1%} "
            f"({found.evaluation_df} degrees of freedom), between training seeds by {found.training_cv:.1%} beyond "
            f"that ({found.seed_df}), both pooled over variants. "
            + (
                "Training seeds are what the intervals are made of; more samples per evaluation would change little."
                if found.training_sd > 2 * found.evaluation_sd
                else "Evaluation is a large part of the scatter: more samples would narrow the intervals."
            )
        ),
    ]
