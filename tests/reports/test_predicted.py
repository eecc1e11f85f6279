"""Predicted against actual hours in the report's cost section."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.machine import Machine
from reports.results import load
from reports.sections.runs import predicted_table
from studies.times.costs import Invocation, add_invocation
from tests.support.runs import planned, train_all

HERE = Machine(processor="a processor", cores=2, device="cpu", threads=1, torch="2.15.0")


def invocation(**fields: object) -> Invocation:
    values: dict[str, object] = {
        "began": "2026-01-01T10:20:30+00:00",
        "machine": HERE,
        "workers": 2,
        "planned": 6,
        "ended": 6,
        "continued": 0,
        "predicted_seconds": 3600.0,
        "seconds": 4500.0,
        "job_seconds": 8000.0,
        "overhead_seconds": 5.0,
        "interrupted": False,
    }
    return Invocation(**{**values, **fields})  # type: ignore[arg-type]


def test_each_command_that_trained_has_a_row(tmp_path: Path, page: Callable[..., str]) -> None:
    plan = planned(tmp_path, only=("baseline", "all", "all-ns_loss"))
    train_all(tmp_path, plan)
    assert predicted_table(load("changes_overview", tmp_path)) is None
    add_invocation(tmp_path, plan.study, plan.setting, invocation())
    add_invocation(tmp_path, plan.study, plan.setting, invocation(ended=2, interrupted=True))
    add_invocation(tmp_path, plan.study, plan.setting, invocation(predicted_seconds=None, continued=1))
    table = predicted_table(load("changes_overview", tmp_path))
    assert table is not None
    assert [row[1:] for row in table.rows] == [
        ("6 of 6", "2", "1.00", "1.25", "1.25", "2.22"),
        ("2 of 6", "2", "1.00", "1.25", "interrupted", "2.22"),
        ("6 of 6, 1 of them continued", "2", "unknown", "1.25", "–", "2.22"),
    ]
    assert "Median actual / predicted 1.25 (n = 1)" in table.caption
    text = page()
    assert "2026-01-01 10:20:30" in text and "a processor, 2 cores, 1 thread a job" in text
