"""What was run: scale, changes, images, and the protocol of the metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations import patch
from ablations.protocols import PROTOCOLS
from ablations.schema import Change
from core.data.listing import LeftOut, said
from core.metrics.protocol import differences
from reports.numbers import counted, sentence
from reports.page import Block, Bullets, Code, Heading, Paragraph, Piece, Table, Text
from reports.remarks import g_updates_remark
from reports.report import Report
from reports.results import Results, metric_name
from reports.rows import Rows
from reports.sections.registration import registration
from studies import numbers
from studies.numbers import node


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
    told: list[Piece] = []
    for edit in change.edits:
        old, new = patch.lookup(before, edit.path), patch.lookup(after, edit.path)
        told += [
            "; " if told else "",
            Code(edit.path),
            f" {node(old)} → {node(new)}" if old != new else ": no difference here",
        ]
    return tuple(told)


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
        said = "; ".join(f"{field_name(name)}: {value}" for name, value in others.items())
        fields.append((Code(str(series)), (Code(protocol.fingerprint), f" {said}" if said else "")))
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
