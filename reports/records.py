"""What is on record of the runs behind a report, small enough to be sent along: everything but images and weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from reports.page import Record
from reports.report import Report
from reports.results import Results

COLUMNS = ["metric", "iteration", "images", "seconds", "value", "protocol"]


def of_runs(results: Results) -> Iterator[dict[str, Any]]:
    """Every planned run in the order of the appendix."""
    measured = {str(run): frame for run, frame in results.tidy[results.tidy["iteration"].notna()].groupby("run")}
    for run, variant in zip(results.jobs["run"], results.jobs["variant"], strict=True):
        rows = measured[str(run)][COLUMNS].itertuples(index=False) if str(run) in measured else ()
        yield record_of(results, str(run), str(variant), rows)


def record_of(results: Results, run: str, variant: str, measured: Iterable[Iterable[Any]]) -> dict[str, Any]:
    """One run: its config and seed, how and where it ended, what it was measured with, and every measurement."""
    folder = results.folder(run)
    found: dict[str, Any] = {"job": {}, "outcome": None, "provenance": {}, "data": {}}
    if run not in results.damaged:
        outcome = folder.outcome()
        found = {
            "job": folder.read("job.json"),
            # What a record's bytes were is of use beside them alone.
            "outcome": None if outcome is None else outcome.model_dump(mode="json", exclude={"recorded"}),
            "provenance": folder.read("provenance.json"),
            "data": folder.read("data.json"),
        }
    told = {"columns": COLUMNS, "rows": [written(row) for row in measured]}
    return {"run": run, "variant": variant, **found, "measured": told}


def written(row: Iterable[Any]) -> list[Any]:
    """One measurement in JSON, which has no infinity: of a run that diverged the value is "inf"."""
    cells = [cell.item() if isinstance(cell, np.generic) else cell for cell in row]
    return ["inf" if isinstance(cell, float) and np.isinf(cell) else cell for cell in cells]


def as_lines(results: Results) -> str:
    """Every planned run, one a line, in the order of the appendix."""
    return "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in of_runs(results))


def for_page(report: Report) -> tuple[Record, ...]:
    """The runs that a page in one file has inside."""
    found = []
    for told in of_runs(report.results):
        if (target := report.target(told["run"])) is not None:
            rows = [" ".join(str(cell) for cell in row) for row in (COLUMNS, *told.pop("measured")["rows"])]
            found.append(Record(told["run"][:8], target, json.dumps(told, indent=1) + "\n\n" + "\n".join(rows)))
    return tuple(found)
