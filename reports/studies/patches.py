"""The report of discriminators of dense patches: what they gain, what they cost, and what is between the pixels."""

from __future__ import annotations

from ablations.answers import FrontierAnswer
from reports.abstract import change_answers
from reports.finding import sentences
from reports.page import Block, Strong, Text
from reports.pictures import between_latents, samples
from reports.report import Report, composed
from reports.sections import claims, fair_arms, how, learning_curves, question, single_changes, spread, which_changes
from reports.sections.cost_quality import cost_against_quality
from reports.sections.octaves import detail_by_octave
from reports.sections.scales import detail_by_scale


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    parts = (
        question,
        claims,
        cost_against_quality,
        detail_by_scale,
        detail_by_octave,
        which_changes,
        single_changes,
        fair_arms,
        spread,
        learning_curves,
        samples,
        between_latents,
        how,
    )
    return composed(report, parts)


def answers(report: Report) -> list[Text]:
    """What a gain costs where the study asks that, and what each change does."""
    told = sentences(report) if isinstance(report.results.study.answer, FrontierAnswer) else []
    first: list[Text] = [(Strong("Cost against quality:"), f" {' '.join(told)}")] if told else []
    return [*first, *change_answers(report)]
