"""The sections of a report in the order a reader needs them. Each says in one line what is missing."""

from __future__ import annotations

from ablations.designs import available
from reports.frames import STATUSES
from reports.numbers import counted, numbers_words, sentence
from reports.page import Block
from reports.pictures import between_latents, samples
from reports.quality import other_measures
from reports.report import Report, composed
from reports.results import Results
from reports.sections.changes import single_changes, which_changes
from reports.sections.claims import claims, question
from reports.sections.curves import learning_curves
from reports.sections.end_to_end import end_to_end_line
from reports.sections.fair import fair_arms
from reports.sections.ladder import ladder_section
from reports.sections.limits import few_images, limits, pilot_note, spread
from reports.sections.octaves import detail_by_octave
from reports.sections.path import path
from reports.sections.retuned import retuned
from reports.sections.runs import cost, missing, runs
from reports.sections.scales import detail_by_scale
from reports.sections.setting import marked, provenance, the_setting
from studies.overrides import override


def all_sections(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    return composed(report, (findings, learning_curves, samples, between_latents, method))


def findings(report: Report) -> list[Block]:
    """What a study of changes found, as far as its designs go."""
    designs = available(report.results.study)
    parts = [question, claims]
    changes = report.results.study.changes
    # All of one change is that change, which has its own rows.
    parts += [end_to_end_line] if {"ladder", "leave_one_out"} & set(designs) and len(changes) != 1 else []
    parts += [which_changes] if changes else []
    parts += [retuned]
    parts += [ladder_section] if "ladder" in designs else []
    parts += [path, single_changes, fair_arms] if changes else []
    return composed(report, [*parts, spread])


def method(report: Report) -> list[Block]:
    """What else was measured, and how it was found."""
    return composed(report, (detail_by_scale, detail_by_octave, how))


def how(report: Report) -> list[Block]:
    """The same of a report that has told of detail by scale."""
    return composed(
        report, (lambda page: other_measures(page.results), the_setting, cost, limits, missing, provenance, runs)
    )


def subtitle(results: Results) -> str:
    """The data with its size, the setting and the runs in one line."""
    plan = results.plan
    counts = [f"{results.count(status)} {status}" for status in STATUSES if results.count(status)]
    seeds = f"{'seed' if len(plan.seeds) == 1 else 'seeds'} {numbers_words(plan.seeds)}"
    instead = [f"protocol {plan.protocol}"] if plan.protocol else []
    instead += [f"data {plan.data_name}"] if any(v.config.data.kind == "images" for v in plan.variants) else []
    instead += [override(path, value) for path, value in plan.overrides.items()]
    but = f", but with {', '.join(instead)}" if instead else ""
    sizes = {variant.config.data.resolution for variant in plan.variants}
    drawn = f" and {plan.drawn_words}" if plan.listed and plan.drawn else ""
    data = ", ".join([plan.data_name, *(f"{size}×{size}" for size in sorted(sizes))])
    return (
        f"{sentence(data)} Setting {plan.setting}: {results.profile.title}{but}. "
        f"{counted(len(plan.listed or plan.variants), 'variant')}{drawn}, {seeds}; "
        f"{counted(len(results.jobs), 'run')}: {', '.join(counts)}."
    )
