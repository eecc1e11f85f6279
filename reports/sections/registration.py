"""What was declared before the first run, and what was asked for later."""

from __future__ import annotations

import hashlib
import json

from reports.abstract import resolved
from reports.numbers import counted, interval, listed, sentence
from reports.page import Block, Bullets, Heading, Paragraph, Piece, Strong, Text
from reports.report import Report, design_title
from reports.results import which_seeds
from studies.plan import settings_of


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
