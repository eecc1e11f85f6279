"""The sections of a report in the order a reader needs them. Each says in one line what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from ablations.designs import available, ladder, variant_name
from ablations.protocols import PROTOCOLS
from ablations.schema import PILING, Change, DesignName, Study
from core import origin
from core.arithmetic import g_updates, training
from core.config import Config, MeanAbsoluteError
from core.data.listing import LeftOut, said
from core.errors import InputError
from core.metrics.enough import cautions
from core.words import said_lines, visible
from reports import figures, remarks, stats, tables
from reports.abstract import ladder_names, resolved, sentence
from reports.commands import planned_designs, reproduce_commands, train_command, ui_command
from reports.numbers import counted, factor, interval, listed
from reports.page import (
    Block,
    Bullets,
    Code,
    Heading,
    Listing,
    Note,
    Paragraph,
    Piece,
    Quote,
    Strong,
    Table,
    Text,
)
from reports.pictures import between_latents, samples
from reports.protocols import MixedProtocols, mixture
from reports.quality import other_measures
from reports.report import PAGE_INCHES, PILOT, Report, composed, design_title, highlighted, rung_label
from reports.results import STATUSES, Results, load, which_seeds
from reports.seconds import why_left_out
from reports.stats.arms import ROUNDING
from reports.tables import metric_letters, metric_name
from reports.verdicts import (
    ALONE,
    EXCLUDES,
    Axis,
    ChangeEffect,
    ClaimVerdict,
    designs_with,
    end_to_end,
    end_to_end_at_equal,
    excludes_no_change,
    judge_changes,
    one_family,
    seconds_axis,
    work_axis,
)
from studies.mlflow_view.experiment import experiment_name
from studies.plan import PlannedVariant, override, settings_of
from studies.power import outlying
from studies.spreads import HOW, answer, design_words, spreads


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
    parts += [single_changes] if changes else []
    return composed(report, [*parts, spread])


def method(report: Report) -> list[Block]:
    """What else was measured, and how it was found."""
    return composed(report, (further_measures, the_setting, cost, limits, missing, provenance, runs))


def further_measures(report: Report) -> list[Block]:
    """What the metric's features tell besides it."""
    return other_measures(report.results)


def subtitle(results: Results) -> str:
    """The data with its size, the setting and the runs in one line."""
    plan = results.plan
    counts = [f"{results.count(status)} {status}" for status in STATUSES if results.count(status)]
    seeds = ("seed " if len(plan.seeds) == 1 else "seeds ") + ", ".join(str(seed) for seed in plan.seeds)
    instead = [f"protocol {plan.protocol}"] if plan.protocol else []
    instead += [f"data {plan.data_name}"] if any(v.config.data.kind == "images" for v in plan.variants) else []
    instead += [override(path, value) for path, value in plan.overrides.items()]
    but = f", but with {', '.join(instead)}" if instead else ""
    sizes = {variant.config.data.resolution for variant in plan.variants}
    data = ", ".join([plan.data_name, *(f"{size}×{size}" for size in sorted(sizes))])
    return (
        f"{sentence(data)} Setting {plan.setting}: {results.profile.title}{but}. "
        f"{counted(len(plan.variants), 'variant')}, {seeds}; "
        f"{counted(len(results.jobs), 'run')}: {', '.join(counts)}."
    )


# --- findings ---------------------------------------------------------------------------------------------------------


def question(report: Report) -> list[Block]:
    """What the study asks."""
    return [Heading("The question"), Paragraph(report.results.study.question)]


def claims(report: Report) -> list[Block]:
    """Each claim of the deck, and ours beside it."""
    results = report.results
    source = results.study.source
    if not report.claims and source is None:
        return []
    blocks: list[Block] = [
        Heading("The deck's claim, and ours" if len(report.claims) == 1 else "The deck's claims, and ours")
    ]
    if not report.claims and source is not None:
        blocks += [
            Quote(source.words, f"slide “{source.slide}”"),
            Paragraph("This study judges no number of the deck."),
        ]
    for verdict in report.claims:
        blocks += claim_blocks(verdict, results)
    if report.claims and report.n <= PILOT:
        blocks.append(pilot_note(report))
    return blocks


def claim_blocks(verdict: ClaimVerdict, results: Results) -> list[Block]:
    """One claim: the slide's words, both sides' numbers, the verdict and what it rests on."""
    claim = verdict.claim
    blocks: list[Block] = [Quote(claim.source.words, f"slide “{claim.source.slide}”")]
    table: Table | None = None
    if any(results.variant(number.variant) is not None for number in claim.numbers):
        with suppress(MixedProtocols):  # The verdict says so.
            several = len(verdict.parts) > 1
            table = (tables.claim_pairs_table if several else tables.claim_table)(verdict, results)
            blocks.append(table)
    noted = table is not None and bool(table.note)
    told: list[Piece] = ["Verdict: ", Strong(verdict.word), f" ({verdict.why})."]
    if claim.expects == "value":
        told.append(f" What differs: {'; '.join(verdict.differs)}." if verdict.differs and not noted else "")
    else:
        told += [" Magnitude: ", Strong(verdict.magnitude)]
        if noted:
            told.append(", for what the table's note says.")
        elif verdict.differs:
            told.append(f", because what follows differs. {sentence('; '.join(verdict.differs))}")
        elif len(verdict.parts) > 1:
            told.append(".")
        elif verdict.effect is not None and verdict.effect.ratio is not None and claim.ratio is not None:
            ours, theirs = factor(verdict.effect.ratio), factor(claim.ratio)
            told.append(f": ours is {ours}, the deck's {theirs} from one run each, as far as it says.")
        else:
            told.append(".")
    if excludes_no_change(verdict):
        told.append(f" {sentence(EXCLUDES)}")
    if verdict.exploratory:
        told += [" ", Strong("Exploratory"), f": {verdict.exploratory}."]
    if claim.remark:
        told.append(f" {claim.remark}")
    blocks.append(Paragraph(tuple(piece for piece in told if piece)))
    absent = [name for name in claim.variants if results.variant(name) is None]
    if absent:
        wanted = list(dict.fromkeys(d for name in absent for d in designs_with(results.study, name)[:1]))
        blocks += [
            Paragraph("To test it:"),
            Listing(train_command(results, wanted or planned_designs(results), only=absent)),
        ]
    return blocks


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


def few_images(results: Results) -> list[Block]:
    """What must be said of a metric of so few images that it says little; nothing where there are enough."""
    protocol = results.protocol(results.metric)
    config = results.plan.variants[0].config
    if protocol is None or not isinstance(config, Config) or not protocol.samples or not protocol.real_samples:
        return []
    found = cautions(config.evaluation.metric, protocol.samples, protocol.real_samples)
    return [Note((Strong("Few images."), f" {sentence('; '.join(found))}"))] if found else []


def superscript(n: int) -> str:
    """A raised number."""
    return str(n).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


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
    blocks.append(tables.end_to_end_table(at_iterations, at_work, at_seconds, results))
    if at_work is None:
        how = "At equal arithmetic: not available, because a run diverged or was measured too late or never."
    else:
        how = (
            f"{tables.work_text(at_work.reached)} is the most arithmetic of training that every finished run of both "
            f"arms reached; each run's {metric_letters(results)} there is log-linear between its two evaluations "
            "around that point."
        )
        how += tables.left_out(unsteady)
    both = [g_updates(arm.config) for arm in (baseline, everything)]
    if both[0] != both[1]:
        how += f" Equal iterations are not equal updates of G: {both[0]:,} against {both[1]:,} per run."
    images = [arm.config.iterations * arm.config.batch_size for arm in (baseline, everything)]
    if images[0] != images[1]:
        how += f" Equal iterations are not equal images: {images[0]:,} against {images[1]:,} per run."
    return [*blocks, Paragraph(how)]


def by_word(effects: list[ChangeEffect], word: str) -> list[str]:
    """The titles of the changes with this verdict."""
    return [effect.change.title for effect in effects if effect.word == word]


def which_changes(report: Report) -> list[Block]:
    """The answer in a few lines: what each design resolves, and the few changes that carry the gain."""
    items: list[Text] = []
    for design, effects in report.effects.items():
        name = Strong(sentence(design_title(design, report.results.study)))
        tested = [effect for effect in effects if effect.word != "not tested"]
        if not tested:
            items.append((name, " Not run."))
            continue
        told: list[Piece] = [name, " "]
        for word, phrase in (("helps", "help"), ("hurts", "hurt")):
            if found := [remarks.finding(e, report.results, report.effects) for e in effects if e.word == word]:
                told.append(f"{len(found)} {phrase}: {'; '.join(found)}. ")
        unresolved = len(by_word(effects, "inconclusive"))
        told.append(f"{unresolved} of {counted(len(tested), 'tested change')} inconclusive.")
        alone = [e for e in effects if e.word == "inconclusive" and e.why.endswith(ALONE)]
        if alone:
            candidates = "; ".join(remarks.candidate(e, report.results) for e in alone)
            told.append(f" Significant, but not among {len(effects)} comparisons: {candidates}.")
        if design == "ladder" and (rungs := remarks.rungs_words(report.results, ladder_names(report.results.study))):
            told.append(f" {rungs}")
        if lost := by_word(effects, "unstable"):
            told.append(f" Unstable over seeds, so that nothing is said of them: {'; '.join(lost)}.")
        if same := [e.change.title for e in effects if e.before and e.why.startswith("both arms")]:
            told.append(f" Change nothing at this scale: {'; '.join(same)}.")
        if left := len(effects) - len(tested):
            told.append(f" {left} not tested.")
        items.append(tuple(told))
    title = "Which changes are resolved" if len(report.effects) > 1 else "What each change does"
    blocks: list[Block] = [Heading(title), Bullets(tuple(items)), *carriers(report)]
    asked = {d: effects for d, effects in report.effects.items() if d in planned_designs(report.results)}
    drawn = [table(report.results, asked) for table in (tables.effects_table, tables.company_table)]
    blocks += [table for table in drawn if table is not None]
    return [*blocks, *power(report)]


BEST_FOR_SHARES: tuple[DesignName, ...] = ("shapley", "screening", "leave_one_out", "add_one_in")
"""The designs by how well they say what a change carries: averages over orders first, then over the others."""


def carriers(report: Report, k: int = 3) -> list[Block]:
    """Which `k` changes help most, with a probability, by every design in which as many are resolved.

    Fewer seeds or resolved changes have no ranking that keeps what it says (docs/intervals.md); the ladder never has,
    for its steps are made in different company. A design with a comparison that collapsed has no common spread.
    """
    if not PILING & set(available(report.results.study)):
        return []  # Without a pile of changes there is no gain to share out.
    answers: list[Text] = []
    for design in BEST_FOR_SHARES:
        effects = report.effects.get(design, [])
        measured = rankable(design, effects, report)
        if measured is None or len(effects) <= k or sum(e.word in ("helps", "hurts") for e in effects) < k:
            continue
        best = stats.top_k(measured, k)
        titles = "; ".join(effects[index].change.title for index in best.items)
        others = sorted(((p, i) for i, p in enumerate(best.each) if i not in best.items), reverse=True)[:2]
        rest = ", ".join(f"{effects[i].change.title} {p:.0%}" for p, i in others)
        each = ", ".join(f"{best.each[index]:.0%}" for index in best.items)
        answers.append(
            (
                Strong(f"{tables.DESIGN_HEADS[design].capitalize()}: {titles}."),
                f" These are the {k} most helpful with probability {best.probability:.0%}; each is among the {k} with "
                f"{each}; next are {rest}.",
            )
        )
    if not answers:
        return []
    return [
        Heading(f"The {k} changes that help most, and how sure that is", 2),
        Paragraph(
            f"How often these {k} are the most helpful ones when all effects are drawn many times from what the runs "
            "leave open: shrunk towards each other by how little the changes differ beyond noise, without the errors "
            f"that a design's effects share. Told only from {stats.LEAST_SEEDS} seeds and {k} resolved changes on, "
            "where simulated studies bear it out. The designs that average over the company a change is in come first."
        ),
        Bullets(tuple(answers)),
    ]


def rankable(design: DesignName, effects: list[ChangeEffect], report: Report) -> stats.Measured | None:
    """What a design says of its changes together; None where that is not enough to rank them."""
    results = report.results
    if (
        report.n < stats.LEAST_SEEDS
        or not effects
        or any(e.effect is None or e.effect.ratio is None or e.word == "unstable" for e in effects)
    ):
        return None
    if all(e.estimate is not None for e in effects):
        known = [
            (float(np.log(e.effect.ratio)), e.estimate.se, e.estimate.df)
            for e in effects
            if e.estimate is not None and e.effect is not None and e.effect.ratio is not None
        ]
        if any(se is None or not se or df is None for _, se, df in known):
            return None
        return stats.measured_each(*(np.array(column, dtype=float) for column in zip(*known, strict=True)))
    pairs = [(results.variant(e.before), results.variant(e.after)) for e in effects]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.array(
            [np.log(results.last(after)) - np.log(results.last(before)) for before, after in pairs if before and after]
        )
    logs = logs[:, np.isfinite(logs).all(axis=0)]
    if logs.shape[0] < len(effects) or logs.shape[1] < stats.LEAST_SEEDS:
        return None
    sds = {e.change.name: float(row.std(ddof=1)) for e, row in zip(effects, logs, strict=True)}
    if max(sds.values()) < ROUNDING or outlying(sds, dict.fromkeys(sds, logs.shape[1] - 1)):
        return None
    return stats.measured_by_seeds(logs.T)


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
        *tables.retuned_tables(published, judge_changes(published), tuned, judge_changes(tuned)),
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


def ladder_section(report: Report) -> list[Block]:
    """The ladder as a figure and a table."""
    results = report.results
    study = results.study
    names = [variant_name(study, subset) for subset in ladder(study)]
    there = [results.variant(name) for name in names]
    blocks: list[Block] = [Heading("The ladder: one more change at a time")]
    if sum(variant is not None for variant in there) < 2:
        return [
            *blocks,
            Paragraph("Not run: fewer than two rungs are in the plan. To run it:"),
            Listing(train_command(results, ["ladder"])),
        ]
    if unstable := remarks.unstable_rungs_words(results, names):
        blocks.append(Paragraph((Strong("Unstable."), f" {unstable} {UNSTABLE_RULE}")))
    if peak := remarks.peak_words(results, names):
        blocks.append(Paragraph(peak))
    rungs = []
    for rung, variant in enumerate(there):
        if variant is None:
            continue
        word = report.effects["ladder"][rung - 1].word if rung else ""
        shown = "" if word == "not tested" else word
        apart = variant.name in results.unstable
        rungs.append(figures.Rung(rung_label(there, rung, report), results.last(variant), shown, apart))
    with figures.style():
        canvas = Canvas(figsize=(figures.WIDTH, 0.75 + 0.27 * len(rungs)), layout="constrained")
        figures.ladder(canvas.subplots(), rungs, metric_name(results))
        drawn = report.figure(
            canvas,
            "ladder.svg",
            f"The ladder at the last iteration, n = {report.n} at most. Dots are seeds, the upright bar their "
            "geometric mean with its 95% Student-t interval on the log scale (an arrow where it goes on). At the "
            "right the geometric mean; blue with “helps”, vermilion with “hurts” where the ratio to the rung before is "
            "significant, else black. The axis ends where the bulk of the seeds does: a seed of an unstable rung "
            "beyond it is named at the edge. Intervals of two rungs may overlap where the paired ratio is resolved, "
            "and the reverse.",
            f"{metric_letters(results)} of each rung of the ladder, one dot per seed; the same numbers are in the "
            "table below.",
            floats=True,
        )
    return [*blocks, drawn, tables.ladder_table(results, report.effects["ladder"])]


def single_changes(report: Report) -> list[Block]:
    """Add one in, leave one out, and all designs in one picture."""
    results = report.results
    blocks: list[Block] = [Heading("Each change by itself")]
    effects = report.effects
    designs = list(effects)
    tested = {design: [e for e in effects[design] if e.word != "not tested"] for design in designs}
    # Designs that nobody asked for share a run or two with those that were.
    drawn = [design for design in designs if tested[design] and design in planned_designs(results)]
    if any(e.effect is not None and e.effect.ratio is not None for design in drawn for e in effects[design]):
        rows = [
            figures.ForestRow(
                change.title,
                tuple(effects[d][i].effect for d in drawn),
                tuple(forest_word(effects[d][i]) for d in drawn),
            )
            for i, change in enumerate(results.study.changes)
        ]
        groups = forest_groups(results.study.changes)
        with figures.style():
            tall = 0.8 + 0.1 * len(drawn) + (len(rows) + len(groups)) * max(0.3, 0.11 * len(drawn))
            canvas = Canvas(figsize=(figures.WIDTH, min(PAGE_INCHES, tall)), layout="constrained")
            titles = [legend_title(d, results.study, grouped=bool(groups)) for d in drawn]
            figures.forest(canvas.subplots(), rows, titles, groups)
            blocks.append(
                report.figure(
                    canvas,
                    "effects.svg",
                    f"Effect of each change on {metric_letters(results)} per design: the ratio with / without the "
                    "change at the last iteration with its 95% interval (an arrow where it goes on). The shape is the "
                    "design; filled, and blue where it helps or vermilion where it hurts, if it is significant after "
                    "Holm's correction over the design, else grey. The designs answer different questions: they agree "
                    f"only where changes do not interact.{remarks.g_updates_note(results)}",
                    "Forest plot of the ratio with its interval for each change in each design; the numbers are in "
                    "the tables.",
                    floats=True,
                )
            )
    # What was not asked for at all is told with the answers above; here once more, with the one command for it.
    absent = [design for design in designs if design != "ladder" and not tested[design]]
    for design in designs:
        if design == "ladder" or design in absent:
            continue
        if tested[design]:
            table = tables.design_table if design in ("add_one_in", "leave_one_out") else tables.estimates_table
            blocks.append(table(results, design, tested[design]))
        if len(tested[design]) < len(effects[design]):
            lacking = f"{len(tested[design])} of {len(effects[design])} changes"
            name = tables.DESIGN_HEADS[design]
            why = "; ".join(dict.fromkeys(e.why for e in effects[design] if e.word == "not tested"))
            blocks += [
                Paragraph(f"{name.capitalize()}: {lacking} tested ({why}). To run the design whole:"),
                Listing(train_command(results, [design])),
            ]
    if absent:
        told = [
            f"{tables.DESIGN_HEADS[design]} ({'; '.join(dict.fromkeys(e.why for e in effects[design]))})"
            for design in absent
        ]
        blocks += [
            Paragraph(f"No change tested: {listed(told)}. To run {'them' if len(absent) > 1 else 'it'} whole:"),
            Listing(train_command(results, absent)),
        ]
    return blocks


UNSTABLE_RULE = (
    "The rule, fixed after a first ladder had shown such a variant and before these runs: the logs of a variant's "
    f"seeds spread by more than {stats.SPREAD_TIMES:g} times the "
    f"median of the study's variants, and one seed at least is a factor of {stats.AWAY:g} or more from the variant's "
    "median. The mean ratio of a step into such a variant or out of it says little; its seeds are told instead. "
    "Where the "
    "exact signed-rank test is significant after the correction a verdict stands all the same."
)


def forest_groups(changes: Sequence[Change]) -> tuple[tuple[int, str], ...]:
    """Headers of a forest whose changes stand on different variants: of those on the base, and of those on what they
    require, each with the row it stands above; none where every change stands on the base.

    Changes with one base have to follow each other, else no header could stand for them.
    """
    titles = {change.name: change.title for change in changes}
    bases = [change.requires for change in changes]
    if not any(bases):
        return ()
    starts = [row for row, base in enumerate(bases) if row == 0 or base != bases[row - 1]]
    return tuple(
        (row, f"added to {' and '.join(titles[name] for name in bases[row])}" if bases[row] else "added to the base")
        for row in starts
    )


def legend_title(design: DesignName, study: Study, *, grouped: bool) -> str:
    """A design as a figure's legend has it; where headers say what each change stands on, without the variant."""
    return tables.DESIGN_HEADS[design] if grouped and design == "add_one_in" else design_title(design, study)


def forest_word(effect: ChangeEffect) -> str:
    """The word at the end of a line of the forest."""
    if effect.effect is not None and effect.effect.diverged:
        return "diverged"
    if effect.word == "not tested":
        return "not run" if effect.effect is None else "no pair"
    return effect.word


def learning_curves(report: Report) -> list[Block]:
    """The metric against iterations and whatever of images, updates of G and arithmetic is not proportional to them."""
    results = report.results
    blocks: list[Block] = [Heading("Learning curves")]
    colours = highlighted(report)
    variants = results.plan.variants
    frames = {
        v.name: [frame for seed in results.plan.seeds if not (frame := results.curve(v, seed)).empty] for v in variants
    }
    values = [float(v) for found in frames.values() for frame in found for v in frame["value"]]
    if not np.isfinite(values).any():
        return [*blocks, Paragraph("No run has been evaluated yet.")]
    axes = curve_axes(results)
    with figures.style():
        columns = len(axes) if len(axes) < 4 else 2
        rows = -(-len(axes) // columns)
        canvas = Canvas(figsize=(figures.WIDTH, 0.2 + 2.55 * rows), layout="constrained")
        panels = canvas.subplots(rows, columns, sharey=True, squeeze=False)
        # Of grey variants only the mean is drawn: a seed of theirs that went astray is not seen, and takes no room.
        arms = {
            name: tuple((f["iteration"].to_numpy(dtype=float), f["value"].to_numpy(dtype=float)) for f in found)
            for name, found in frames.items()
        }
        means = [figures.mean_curve(runs) for runs in arms.values()]
        seen = [float(v) for mean in means if mean is not None for v in mean[1]]
        seen += [float(v) for name in colours for frame in frames[name] for v in frame["value"]]
        limits = figures.span(seen)
        for ax, (along, label, _) in zip(panels.flat, axes, strict=True):
            drawn = []
            for v in variants:
                runs = tuple((along(v, f), f["value"].to_numpy(dtype=float)) for f in frames[v.name])
                drawn.append(figures.Curve(v.title, runs, colours.get(v.name)))
            figures.curves(ax, drawn, label, limits, names_at_ends=False)
        for ax in panels[:, 0]:
            ax.set_ylabel(f"{metric_name(results)}, log scale", fontsize=6.8)
        figures.shared_legend(canvas, list(panels.flat), columns=3)
        others = sum(means_of is not None and name not in colours for name, means_of in zip(arms, means, strict=True))
        grey = f" The other {counted(others, 'variant')} in grey." if others else ""
        against = listed([words for *_, words in axes])
        same = "" if any(words == "images" for *_, words in axes) else " Images shown are proportional to iterations."
        blocks.append(
            report.figure(
                canvas,
                "curves.svg",
                f"{metric_letters(results)} during training against {against}: geometric means over seeds, thin lines "
                f"single seeds, × the last value of a run that diverged.{grey}{same} {tables.WORK} Seconds are not "
                "drawn: they would be of the machine's load as well.",
                f"{counted(len(axes), 'panel')} of learning curves: against {against}.",
            )
        )
    return blocks


def curve_axes(results: Results) -> list[tuple[Axis, str, str]]:
    """What the metric is drawn along, each with its label and its words: iterations and arithmetic always, images and
    updates of G where they are not proportional to iterations alike in all variants."""
    configs = [variant.config for variant in results.plan.variants]
    found: list[tuple[Axis, str, str]] = [
        (lambda _, curve: curve["iteration"].to_numpy(dtype=float), "iterations (updates of D)", "iterations")
    ]
    if len({config.batch_size for config in configs}) > 1:
        found.append((lambda _, curve: curve["images"].to_numpy(dtype=float), "real images shown", "images"))
    if len({g_updates(config) / config.iterations for config in configs}) > 1:

        def updates(variant: PlannedVariant, curve: pd.DataFrame) -> NDArray[np.float64]:
            return np.array([g_updates(variant.config, int(i)) for i in curve["iteration"]], dtype=float)

        found.append((updates, "updates of G", "updates of G"))
    unit = tables.fixed_unit([training(config) for config in configs])

    def work(variant: PlannedVariant, curve: pd.DataFrame) -> NDArray[np.float64]:
        return work_axis(variant, curve) / unit.size

    found.append((work, f"arithmetic of training, {unit.name}", "arithmetic"))
    return found


# --- how --------------------------------------------------------------------------------------------------------------


def marked(text: str) -> Text:
    """A declaration's text with what stands between backticks set as code."""
    parts = text.split("`")
    return tuple(Code(part) if index % 2 else part for index, part in enumerate(parts) if part)


def registration(report: Report) -> list[Block]:
    """Whether question, scale, changes and claims were declared before the first run."""
    results = report.results
    now = results.declaration
    late = {reason for name in now if (reason := results.exploratory(name)) is not None}
    late |= {f"{name} was taken out after the first run" for name in results.plan.registered if name not in now}
    ours = [change.title for change in results.study.changes if change.source is None]
    told: list[Piece] = []
    if late:
        told += [Strong("Exploratory"), f", as far as it rests on what follows: {'; '.join(sorted(late))}."]
    else:
        digest = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()[:12]
        told += [
            Strong("Planned"),
            ": question, base, scale, changes and claims are those declared before the first run of this setting "
            f"(digest {digest}). They are judged by the rules of the version that wrote this report.",
        ]
    if ours:
        told.append(f" Not the deck's, and exploratory in any case: {'; '.join(ours)}.")
    return [Heading("Planned or exploratory"), Paragraph(tuple(told)), *looks(report)]


def looks(report: Report) -> list[Block]:
    """Which seeds and designs were registered, which were asked for later, and what the registered seeds alone say."""
    results = report.results
    if not results.plan.looks:
        return [Paragraph(sentence(results.unplanned() or ""))]
    told: list[Text] = []
    for number, look in enumerate(results.plan.looks, start=1):
        asked = [which_seeds(look.seeds)] if look.seeds else []
        asked += [f"{counted(len(look.designs), 'design')} ({', '.join(look.designs)})"] if look.designs else []
        when = f"when {look.begun:,} of {counted(look.runs, 'run')} had begun"
        shared = ", which other studies share" if number == 1 and 0 < look.begun < look.runs else ""
        told.append(
            (
                Strong(f"Look {number}{', registered' if number == 1 else ''}:"),
                f" {' and '.join(asked)}, {when}{shared}.",
            )
        )
    others = [
        name
        for name in settings_of(results.runs, results.study.name)
        if name != results.plan.setting and "-tuning" not in name
    ]
    if others and not report.published:
        told.append(
            f"Other settings of this study have plans here ({listed(others)}): who picks one of several settings "
            "after a "
            "look tests more than one report says."
        )
    blocks: list[Block] = [Bullets(tuple(told))]
    if not results.late_seeds:
        return blocks
    alone = Report.of(results.registered_seeds(), report.folder)
    items: list[Text] = []
    for verdict in alone.claims:
        ratio = f", {interval(verdict.effect)}" if verdict.effect is not None and verdict.effect.ratio else ""
        items.append(f"{verdict.claim.name}: {verdict.word}{ratio} ({verdict.why})")
    for design, effects in alone.effects.items():
        tested = [effect for effect in effects if effect.word != "not tested"]
        if tested and design in results.plan.looks[0].designs:
            items.append(f"{design_title(design, results.study)}: {resolved(tested, alone)}")
    return [
        *blocks,
        Paragraph(
            "Verdicts in this report are on all seeds, and exploratory: who adds seeds until something is significant "
            "finds it too often. On the registered seeds alone, as planned:"
        ),
        Bullets(tuple(items)),
    ]


def the_setting(report: Report) -> list[Block]:
    """What was run: scale, changes, protocol."""
    results = report.results
    profile = results.profile
    blocks: list[Block] = [*registration(report), Heading("What was run"), Heading("Scale", 2)]
    words = [f"Profile {profile.name}: {profile.title}."]
    if profile.rule:
        words.append(
            f"How its free numbers were chosen (rows with the reason “by the rule of this profile”): {profile.rule}"
        )
    if profile.caveat:
        words.append(profile.caveat)
    blocks.append(Paragraph(marked(" ".join(words))))
    scalings = tables.scalings_table(results)
    blocks.append(
        scalings if scalings is not None else Paragraph(tables.ALL_OTHERS.replace("All other numbers", "All numbers"))
    )
    if results.study.changes:
        blocks += [Heading("The changes", 2), tables.changes_table(results)]
    blocks += the_images(results)
    blocks.append(Heading("Protocol of the metric", 2))
    if results.plan.protocol is not None:
        named = PROTOCOLS[results.plan.protocol]
        blocks.append(Paragraph((Code(named.name), f": {named.title}. {named.source}")))
    protocol = tables.protocol_table(results)
    blocks.append(protocol if protocol is not None else Paragraph("No run recorded its protocol (protocol.json)."))
    return blocks


SKIPPED_SHOWN = 20
"""Images that were left out of a prepared set, by name in a report."""


def the_images(results: Results) -> list[Block]:
    """What the prepared set says of itself, and who was left out of it; nothing for embedded scenes."""
    sets = {content["fingerprint"]: content for _, content in results.recorded("data.json")}
    blocks: list[Block] = []
    for told in sets.values():
        blocks += [Heading("The images", 2), Paragraph(f"{told['name']}: {told['words']}.")]
        skipped = [(entry["name"], entry["reason"]) for entry in told["skipped"]]
        if skipped:
            total = told["count"] + len(skipped)
            left_out = [(Code(name), f": {reason}") for name, reason in skipped[:SKIPPED_SHOWN]]
            more = len(skipped) - len(left_out)
            blocks.append(
                Paragraph(f"{len(skipped):,} of {total:,} images could not be read and were skipped (--skip-bad):")
            )
            blocks.append(Bullets((*left_out, *([f"and {more:,} more, see prepared.json"] if more else []))))
        if beside := [LeftOut.model_validate(entry, strict=False) for entry in told.get("left_out", ())]:
            blocks.append(Paragraph(f"Beside them lay what is no part of the set; {said(beside)}."))
    return blocks


def cost(report: Report) -> list[Block]:
    """What it took."""
    predicted = tables.predicted_table(report.results)
    return [Heading("Cost"), tables.cost_table(report.results), *([] if predicted is None else [predicted])]


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
            f"n = {n} at most. Student-t intervals are right if log-ratios over seeds are about normal, which "
            "so few values cannot show. Intervals are over training seeds: they hold for other seeds of this "
            "data and these settings only."
        )
    # Grids of alternatives print other comparisons than the designs' verdicts, and say so themselves.
    items += [] if "grid" in results.study.designs else comparisons(report)
    if len(report.claims) > 1:
        items.append(
            f"The study's {len(report.claims)} claims are judged one by one: each is wrongly reproduced, or "
            "contradicted, "
            "at most one time in forty, and nothing is corrected over them."
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
        told = ", ".join(override(path, value) for path, value in plan.overrides.items())
        items.append(f"Overrides on the command line apply to every variant: {told}.")
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
        f"{e.change.title} ({tables.DESIGN_HEADS[e.design]})"
        for effects in report.effects.values()
        for e in effects
        if family.keeps(e) and e.word != "unstable"
    ]
    named = f"{len(kept)} stay significant: {'; '.join(kept)}" if kept else "none stays significant"
    if family.designs < 2:
        return [
            f"Verdicts on the {family.comparisons} changes are corrected together (Holm): if none did anything, the "
            "chance of a single “helps” or “hurts” would be at most 5%."
        ]
    return [
        "Verdicts are corrected within a design (Holm): if no change did anything, the chance of a single “helps” or "
        "“hurts” in it would be at most 5%. "
        f"All {family.comparisons} comparisons of all designs as one family: {named}."
    ]


def missing(report: Report) -> list[Block]:
    """Runs that did not finish, by name."""
    results = report.results
    jobs = results.jobs
    drawn = {variant.name for variant in results.plan.drawn}
    blocks: list[Block] = [Heading("Failed and missing runs"), *divergence(results)]
    lost = jobs[jobs["status"] != "finished"]
    if lost.empty:
        return [*blocks, Paragraph("None: every planned run finished.")]
    items: list[Text] = []
    for status in STATUSES[1:]:
        rows = lost[lost["status"] == status]
        if rows.empty:
            continue
        if status == "not started":
            # Drawn variants are told of together, by design.
            called = rows["variant"].where(~rows["variant"].isin(drawn), results.plan.drawn_words)
            grouped = rows.groupby(called, sort=False)["seed"].apply(seeds_of_rows)
            named = [f"{results.title(str(variant))} (seed {seeds})" for variant, seeds in grouped.items()]
            items.append((Strong(f"not started ({len(rows)}):"), f" {'; '.join(named)}."))
            continue
        for _, row in rows.iterrows():
            reached = "" if pd.isna(row["iteration"]) else f" at iteration {int(row['iteration']):,}"
            # Of damage the remedy stands last, and may not be cut.
            told = str(row["reason"] or "") if status == "damaged" else first_line(str(row["reason"] or ""))
            reason = f": {told}" if isinstance(row["reason"], str) and told else ""
            tries = f", attempt {int(row['attempts'])}" if not pd.isna(row["attempts"]) and row["attempts"] > 1 else ""
            where = f", seed {row['seed']}{reached}{tries}{reason}."
            items.append((Strong(status), f" {results.title(str(row['variant']))}{where}"))
    return [*blocks, Bullets(tuple(items))]


def seeds_of_rows(seeds: pd.Series) -> str:
    """ "0, 1", or "0 × 24, 1 × 3" where several runs of one seed are told of together."""
    counts = seeds.value_counts(sort=False)
    return ", ".join(str(seed) + (f" × {count}" if count > 1 else "") for seed, count in counts.items())


def divergence(results: Results) -> list[Block]:
    """How often runs diverged, in all and by variant, with Wilson intervals."""
    rates = {v.name: stats.divergence_rate(results.last(v)) for v in results.plan.listed}
    if drawn := results.plan.drawn:
        rates[results.plan.drawn_words] = stats.divergence_rate(np.concatenate([results.last(v) for v in drawn]))
    ended = [rate for rate in rates.values() if rate is not None]
    if not ended:
        return []
    everything = stats.divergence_rate([np.inf] * sum(r.k for r in ended) + [1.0] * sum(r.n - r.k for r in ended))
    assert everything is not None

    def said(rate: stats.Rate) -> str:
        return f"{rate.k} of {rate.n} ({rate.k / rate.n:.0%}, Wilson's 95% interval {rate.low:.0%} to {rate.high:.0%})"

    told: list[Piece] = [f"Runs that ended and diverged: {said(everything)}."]
    for name, rate in rates.items():
        if rate is not None and rate.k:
            told.append(f" {results.title(name)}: {said(rate)}.")
    return [Paragraph(tuple(told))]


def first_line(text: str, most: int = 160) -> str:
    """The first line of a reason, cut where it goes on for long."""
    line = visible(next(said_lines(text), "")).rstrip(".")
    return line if len(line) <= most else f"{line[: most - 1]}…"


def provenance(report: Report) -> list[Block]:
    """Where the numbers come from, and how to get them again."""
    results = report.results
    blocks: list[Block] = [Heading("Provenance")]
    made = tables.record_table(
        results, "provenance.json", "Code, versions and machine of the runs, as they recorded them."
    )
    blocks.append(made if made is not None else Paragraph("No run recorded its provenance (provenance.json)."))
    if any(content.get("dirty") for _, content in results.recorded("provenance.json")):
        blocks.append(
            Note(
                "Some runs were trained from a working tree with uncommitted changes: their commit does not say it all."
            )
        )
    name = experiment_name(results.plan)
    return [
        *blocks,
        Paragraph(from_what([content for _, content in results.recorded("provenance.json")])),
        Listing("\n".join(reproduce_commands(results))),
        Paragraph(("In MLflow the runs and this report are the experiment ", Code(name), ", which opens with:")),
        Listing(ui_command(results)),
    ]


def from_what(recorded: Sequence[Mapping[str, Any]]) -> str:
    """What the commands are to be given with: the code as far as the runs recorded it."""
    known = [bool(content.get("commit")) for content in recorded]
    versions = sorted({str(content["version"]) for content in recorded if content.get("version")})
    if known and all(known):
        return "To reproduce, from the commit above:"
    if any(known):
        return "To reproduce, from the commit above, which some of the runs did not record:"
    if versions:
        return f"The commit is not known. To reproduce, with version {' or '.join(versions)} of {origin.NAME}:"
    return "Neither the commit nor the version of the code is known. To reproduce, as far as it is the same:"


def runs(report: Report) -> list[Block]:
    """The appendix."""
    return [Heading("Appendix: all runs", numbered=False), tables.runs_table(report.results, report.target)]
