"""Which folders have pictures of this program's own: they are recognised by what else is in them, and are no data.

Contact sheets of prepared sets, samples of runs, figures of reports, what MLflow keeps of them, and this program's own
documentation lie where their users put them, which is often beside photographs.
"""

from __future__ import annotations

import re
from collections.abc import Collection

RECORDS = frozenset({"events.jsonl", "protocol.json", "outcome.json", "provenance.json"})
"""Beside job.json they make a run's folder."""

REPORTS = (frozenset({"results.csv", "protocols.json"}), frozenset({"report.md", "verdicts.json"}))
"""Either two make a report's folder."""

FIGURES, DRAWN = "figures", frozenset({"ladder.svg", "curves.svg", "effects.svg"})
"""A report that was interrupted before it was written has this much."""

RUNS = frozenset({"jobs", "plans", "queue"})
"""Side by side they make a folder of runs."""

OF_RUNS = RUNS | {"cache", "reports", "sweeps"}

OF_PROGRAM = frozenset({"ablations", "core", "studies", "reports"})
"""The packages of this program: beside them lie its documentation and tests."""

MLFLOW = "mlruns"

ARTIFACTS, RUN_ID = "artifacts", re.compile(r"[0-9a-f]{32}")

SHEET = re.compile(r"contact_(\d+)\.png")


def is_own(name: str, files: Collection[str], folders: Collection[str]) -> bool:
    """Whether all that is in a folder called `name`, and below it, was made by this program."""
    if name == MLFLOW or "prepared.json" in files:
        return True
    if "job.json" in files and not RECORDS.isdisjoint(files):
        return True
    if any(report.issubset(files) for report in REPORTS) or (name == FIGURES and not DRAWN.isdisjoint(files)):
        return True
    if RUN_ID.fullmatch(name) and ARTIFACTS in folders:
        return True
    # A prepared set that has lost its prepared.json, or is not whole yet.
    return any((sheet := SHEET.fullmatch(file)) and f"{sheet[1]}.npy" in files for file in files)


def own_folders(folders: Collection[str]) -> frozenset[str]:
    """Which of the folders that lie side by side are this program's, whatever is in them."""
    names: frozenset[str] = frozenset()
    if RUNS.issubset(folders):
        names |= OF_RUNS & frozenset(folders)
    if OF_PROGRAM.issubset(folders):
        names |= (OF_PROGRAM | {"docs", "tests"}) & frozenset(folders)
    return names
