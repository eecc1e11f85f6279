"""What was run, whether it was declared before, and how to run it again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ablations import patch
from ablations.beside_deck import node
from ablations.protocols import PROTOCOLS
from ablations.schema import Change
from core import origin
from core.data.listing import LeftOut, left_out_words
from core.metrics.protocol import differences
from reports.abstract import resolved
from reports.commands import reproduce_commands, ui_command
from reports.numbers import counted, interval, listed, sentence
from reports.page import Block, Bullets, Code, Heading, Listing, Note, Paragraph, Piece, Strong, Table, Text
from reports.remarks import g_updates_remark
from reports.report import DESIGN_HEADS, Report, design_title
from reports.results import Results, metric_name, which_seeds
from reports.tables import Rows
from reports.verdicts import judge_design
from studies import numbers
from studies.mlflow_view.experiment import experiment_name
from studies.plan import designs_in, settings_of
from studies.planning import metric_of_images


def registration(report: Report) -> list[Block]:
    """Whether question, scale, changes and claims were declared before the first run."""
    results = report.results
    now = results.declaration
    late = {reason for name in now if (reason := results.exploratory(name)) is not None}
    late |= {f"{name} was taken out after the first run" for name in results.plan.registered if name not in now}
    ours = [change.title for change in results.study.changes if change.source is None]
    pieces: list[Piece] = []
    if late:
        pieces += [Strong("Exploratory"), f", as far as it rests on what follows: {'; '.join(sorted(late))}."]
    else:
        digest = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()[:12]
        pieces += [
            Strong("Planned"),
            ": question, base, scale, changes and claims are those declared before the first run of this setting "
            f"(digest {digest}). They are judged by the rules of the version that wrote this report.",
        ]
    if ours:
        pieces.append(f" Not the deck's, and exploratory in any case: {'; '.join(ours)}.")
    return [Heading("Planned or exploratory"), Paragraph(tuple(pieces)), *pilot(report), *looks(report)]


def pilot(report: Report) -> list[Block]:
    """Seeds that had been seen before the value of a run and the rules were fixed, and what the others say alone;
    nothing where the profile has none."""
    results = report.results
    seen = [seed for seed in results.profile.piloted if seed in results.plan.seeds]
    if not seen or results.plan.setting != results.profile.name:
        return []
    told = f"{which_seeds(seen).capitalize()} {results.profile.pilot}."
    fresh = results.without_seeds(seen)
    if len(fresh.plan.seeds) < 2:
        return [Paragraph((Strong("A pilot."), f" {told} Too few other seeds are there to judge by."))]
    alone = {design: judge_design(design, fresh) for design in designs_in(results.plan) if design in report.effects}
    both = [(e, other) for d, found in alone.items() for e, other in zip(report.effects[d], found, strict=True)]
    changed = [
        f"{e.change.brief} ({DESIGN_HEADS[e.design]}): {other.word}" for e, other in both if e.word != other.word
    ]
    if not both:
        return [Paragraph((Strong("A pilot."), f" {told}"))]
    how = f"other verdicts are {'; '.join(changed)}" if changed else "every verdict is the same"
    return [Paragraph((Strong("A pilot."), f" {told} Without them, on {len(fresh.plan.seeds)} seeds, {how}."))]


def looks(report: Report) -> list[Block]:
    """Which seeds and designs were registered, which were asked for later, and what the registered seeds alone say."""
    results = report.results
    if not results.plan.looks:
        return [Paragraph(sentence(results.unplanned() or ""))]
    lines: list[Text] = []
    for number, look in enumerate(results.plan.looks, start=1):
        parts = [which_seeds(look.seeds)] if look.seeds else []
        parts += [f"{counted(len(look.designs), 'design')} ({', '.join(look.designs)})"] if look.designs else []
        when = f"when {look.begun:,} of {counted(look.runs, 'run')} had begun"
        shared = ", which other studies share" if number == 1 and 0 < look.begun < look.runs else ""
        lines.append(
            (
                Strong(f"Look {number}{', registered' if number == 1 else ''}:"),
                f" {' and '.join(parts)}, {when}{shared}.",
            )
        )
    others = [
        name
        for name in settings_of(results.runs, results.study.name)
        if name != results.plan.setting and "-tuning" not in name
    ]
    if others and not report.published:
        lines.append(
            f"Other settings of this study have plans here ({listed(others)}): who picks one of several settings after "
            "a look tests more than one report says."
        )
    blocks: list[Block] = [Bullets(tuple(lines))]
    if not results.late_seeds:
        return blocks
    alone = Report.of(results.registered_seeds(), report.folder)
    items: list[Text] = []
    for verdict in alone.claims:
        ratio = f", {interval(verdict.effect)}" if verdict.effect is not None and verdict.effect.ratio else ""
        items.append(f"{verdict.claim.name}: {verdict.word}{ratio} ({verdict.why})")
    for design, effects in alone.effects.items():
        tested = [effect for effect in effects if effect.tested]
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
    scalings = scalings_table(results)
    blocks.append(
        scalings if scalings is not None else Paragraph(ALL_OTHERS.replace("All other numbers", "All numbers"))
    )
    if results.study.changes:
        blocks += [Heading("The changes", 2), changes_table(results)]
    blocks += the_images(results)
    blocks.append(Heading("Protocol of the metric", 2))
    if results.plan.protocol is not None:
        named = PROTOCOLS[results.plan.protocol]
        blocks.append(Paragraph((Code(named.name), f": {named.title}. {named.source}")))
    blocks += [Paragraph(sentence(said)) for said in metric_of_images(results.study, results.plan)]
    protocol = protocol_table(results)
    blocks.append(protocol if protocol is not None else Paragraph("No run recorded its protocol (protocol.json)."))
    return blocks


def marked(text: str) -> Text:
    """A declaration's text with what stands between backticks set as code."""
    parts = text.split("`")
    return tuple(Code(part) if index % 2 else part for index, part in enumerate(parts) if part)


SKIPPED_SHOWN = 20
"""Images that were left out of a prepared set, by name in a report."""


def the_images(results: Results) -> list[Block]:
    """What the prepared set says of itself, and who was left out of it; nothing for embedded scenes."""
    sets = {content["fingerprint"]: content for _, content in results.recorded("data.json")}
    blocks: list[Block] = []
    for prepared in sets.values():
        blocks += [Heading("The images", 2), Paragraph(f"{prepared['name']}: {prepared['words']}.")]
        skipped = [(entry["name"], entry["reason"]) for entry in prepared["skipped"]]
        if skipped:
            total = prepared["count"] + len(skipped)
            left_out = [(Code(name), f": {reason}") for name, reason in skipped[:SKIPPED_SHOWN]]
            more = len(skipped) - len(left_out)
            blocks.append(
                Paragraph(f"{len(skipped):,} of {total:,} images could not be read and were skipped (--skip-bad):")
            )
            blocks.append(Bullets((*left_out, *([f"and {more:,} more, see prepared.json"] if more else []))))
        if beside := [LeftOut.model_validate(entry, strict=False) for entry in prepared.get("left_out", ())]:
            blocks.append(Paragraph(f"Beside them lay what is no part of the set; {left_out_words(beside)}."))
    return blocks


ALL_OTHERS = (
    "All other numbers of the base and of the slides' changes that train or make the metric are the deck's or, where "
    "its slides give none, those of its author's first public code."
)


def scalings_table(results: Results) -> Table | None:
    """What is neither the deck's number here nor the public code's, with the reasons; None where nothing is."""
    rows = Rows(numbers.changed_rows(results.study, results.profile, results.plan))
    rows.words("path", lambda row: (Code(row.path), f" (of {row.only})") if row.only else Code(row.path), 1.4)
    rows.words("the deck", lambda row: row.deck, 1.0)
    rows.words("the public code", lambda row: row.public, 1.1)
    rows.words("here", lambda row: row.here, 1.2)
    rows.words("why", lambda row: row.why, 1.3)
    table = rows.table(
        "Numbers that are here neither the deck's nor, where its slides give none (–), those of its author's "
        "first public code; alike for every variant. Where a change varies a value, its before → after; of a whole "
        f"node, the parts that differ. {ALL_OTHERS}",
        name="scalings",
        size=7.8,
    )
    return table if table.rows else None


def changes_table(results: Results) -> Table:
    """The documented changes: the slide's words, the edits there and here, and how they were read."""
    changes = results.study.changes
    base, *changed = numbers.deck_and_here(results.study, results.profile, results.plan)

    def edits(index: int, side: int) -> Text:
        return edits_in(changes[index], base[side], changed[index][side])

    def called(change: Change) -> str:
        return change.title if change.brief == change.title else f"{change.title} ({change.brief})"

    def slide(change: Change) -> str:
        return f"“{change.source.words}”" if change.source else "(not the deck's)"

    def reading(change: Change) -> str:
        also = g_updates_remark(change, results)
        return " ".join(part for part in (change.reading, also and sentence(also)) if part)

    rows = Rows(range(len(changes)))
    rows.numbers("", lambda index: str(index + 1))
    rows.words("called here (in short)", lambda index: called(changes[index]), 1.15)
    rows.words("the slide", lambda index: slide(changes[index]), 1.0)
    rows.words("edits, before the profile", lambda index: edits(index, 0), 1.4)
    rows.words("edits, here", lambda index: edits(index, 1), 1.4)
    rows.words("reading", lambda index: reading(changes[index]), 2.0)
    return rows.table(changes_caption(results), name="changes", size=7.4)


def changes_caption(results: Results) -> str:
    """What the table of changes lists."""
    changes, source = results.study.changes, results.study.source
    if source is None:
        quoted = " Quoted words are the deck's." if any(change.source for change in changes) else ""
        return f"The {counted(len(changes), 'change')} of this study.{quoted}"
    slide = source.slide
    if all(change.source is not None and change.source.slide == slide for change in changes):
        return f"The {len(changes)} documented changes of the slide “{slide}”, in its order."
    return f"The {len(changes)} changes of this study. Quoted words are the slide's “{slide}” or another's."


def edits_in(change: Change, before: Mapping[str, Any], after: Mapping[str, Any]) -> Text:
    """The edits of a change between two configs."""
    pieces: list[Piece] = []
    for edit in change.edits:
        old, new = patch.lookup(before, edit.path), patch.lookup(after, edit.path)
        pieces += [
            "; " if pieces else "",
            Code(edit.path),
            f" {node(old)} → {node(new)}" if old != new else ": no difference here",
        ]
    return tuple(pieces)


SAID = {
    "weights": "sha256 of the extractor's weights",
    "samples": "generated images",
    "real_samples": "real images",
    "real_content": "sha256 of the real images",
}
"""Fields of a protocol whose names do not say it all."""


def field_name(name: str) -> str:
    """A field of a protocol in words."""
    return SAID.get(name, name.replace("_", " "))


def protocol_table(results: Results) -> Table | None:
    """What the reported metric was measured with, and of every further series what differs; None: not recorded."""
    reported = results.protocol(results.metric)
    if reported is None:
        return None
    fields: list[tuple[Text, Text]] = [("fingerprint", Code(reported.fingerprint))]
    fields += [(field_name(name), value) for name, value in reported.fields().items()]
    for series in dict.fromkeys(results.tidy["metric"].dropna()):
        protocol = results.protocol(str(series))
        if series == results.metric or protocol is None:
            continue
        others = {name: there for name, (_, there) in differences(reported, protocol).items() if name != "series"}
        text = "; ".join(f"{field_name(name)}: {value}" for name, value in others.items())
        fields.append((Code(str(series)), (Code(protocol.fingerprint), f" {text}" if text else "")))
    rows = Rows(fields)
    rows.words("what", share=1.0)
    rows.words("value", share=4.0)
    protocol_name = f", {results.plan.protocol}," if results.plan.protocol else ""
    return rows.table(
        f"The protocol{protocol_name} of {metric_name(results)}, as every run recorded it, and below what "
        "differs from it in other measures. Numbers of different fingerprints stand in no table together.",
        name="protocol",
        size=8.2,
    )


def provenance(report: Report) -> list[Block]:
    """Where the numbers come from, and how to get them again."""
    results = report.results
    recorded = [content for _, content in results.recorded("provenance.json")]
    blocks: list[Block] = [
        Heading("Provenance"),
        record_table(recorded) if recorded else Paragraph("No run recorded its provenance (provenance.json)."),
    ]
    if any(content.get("dirty") for content in recorded):
        blocks.append(
            Note(
                "Some runs were trained from a working tree with uncommitted changes: their commit does not say it all."
            )
        )
    name = experiment_name(results.plan)
    return [
        *blocks,
        Paragraph(from_what(recorded)),
        Listing("\n".join(reproduce_commands(results))),
        Paragraph(("In MLflow the runs and this report are the experiment ", Code(name), ", which opens with:")),
        Listing(ui_command(results)),
    ]


def from_what(recorded: Sequence[Mapping[str, Any]]) -> str:
    """What the commands are to be given with: the code as far as the runs recorded it."""
    known = [bool(content.get("commit")) for content in recorded]
    commits = {content["commit"] for content in recorded if content.get("commit")}
    above = "from the commit above" if len(commits) < 2 else "a run from the commit that its record names"
    versions = sorted({str(content["version"]) for content in recorded if content.get("version")})
    if known and all(known):
        return f"To reproduce, {above}:"
    if any(known):
        return f"To reproduce, {above}, which some of the runs did not record:"
    if versions:
        return f"The commit is not known. To reproduce, with version {' or '.join(versions)} of {origin.NAME}:"
    return "Neither the commit nor the version of the code is known. To reproduce, as far as it is the same:"


def recorded_value(value: Any) -> str:
    """One value of a record; None is what the run could not find out."""
    if value is None:
        return "not known"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def record_table(recorded: Sequence[Mapping[str, Any]]) -> Table:
    """Every key of the runs' records with its value, or its values and how many runs have each."""

    def value(key: str) -> str:
        counts = Counter(recorded_value(content.get(key)) for content in recorded)
        if len(counts) == 1:
            return next(iter(counts))
        return "; ".join(f"{found} ({counted(n, 'run')})" for found, n in counts.most_common())

    rows = Rows(dict.fromkeys(key for content in recorded for key in content))
    rows.words("what", lambda key: key.replace("_", " "), 1.0)
    rows.words("value", value, 4.0)
    return rows.table(
        f"Code, versions and machine of the runs, as they recorded them. From {counted(len(recorded), 'run')}; "
        "differing values with the number of runs that have them.",
        name="provenance",
        size=8.2,
    )
