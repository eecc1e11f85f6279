"""What is on record of the runs behind a report, small enough to be sent along: everything but images and weights."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from reports.page import Record
from reports.report import Report
from reports.results import Results


def record_of(results: Results, run: str) -> dict[str, Any]:
    """One run: its config and seed, how and where it ended, what it was measured with, and every measurement."""
    folder = results.folder(run)
    outcome = folder.outcome()
    measured = results.tidy[(results.tidy["run"] == run) & results.tidy["iteration"].notna()]
    columns = ["metric", "iteration", "images", "seconds", "value", "protocol"]
    return {
        "run": run,
        "variant": str(measured["variant"].iloc[0]) if len(measured) else None,
        "job": folder.read("job.json"),
        "outcome": None if outcome is None else outcome.model_dump(mode="json"),
        "provenance": folder.read("provenance.json"),
        "data": folder.read("data.json"),
        "measured": {"columns": columns, "rows": [written(row) for row in measured[columns].itertuples(index=False)]},
    }


def written(row: Iterable[Any]) -> list[Any]:
    """One measurement in JSON, which has no infinity: of a run that diverged the value is "inf"."""
    cells = [cell.item() if isinstance(cell, np.generic) else cell for cell in row]
    return ["inf" if isinstance(cell, float) and np.isinf(cell) else cell for cell in cells]


def as_lines(results: Results) -> str:
    """Every planned run, one a line, in the order of the appendix."""
    runs = (str(run) for run in results.jobs["run"])
    return "".join(json.dumps(record_of(results, run), separators=(",", ":")) + "\n" for run in runs)


def for_page(report: Report) -> tuple[Record, ...]:
    """The runs that a page in one file has inside."""
    found = []
    for run in map(str, report.results.jobs["run"]):
        if (target := report.target(run)) is not None:
            told = record_of(report.results, run)
            rows = [" ".join(str(cell) for cell in row) for row in told.pop("measured")["rows"]]
            text = json.dumps(told, indent=1) + "\n\nmetric iteration images seconds value protocol\n" + "\n".join(rows)
            found.append(Record(run[:8], target, text))
    return tuple(found)
