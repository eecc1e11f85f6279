"""Where the numbers come from, and how to get them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from core import origin
from reports.commands import reproduce_commands, ui_command
from reports.numbers import counted
from reports.page import Block, Code, Heading, Listing, Note, Paragraph, Table
from reports.report import Report
from reports.rows import Rows
from studies.experiment import experiment_name


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
    versions = sorted({str(content["version"]) for content in recorded if content.get("version")})
    if known and all(known):
        return "To reproduce, from the commit above:"
    if any(known):
        return "To reproduce, from the commit above, which some of the runs did not record:"
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
