"""Reports of synthetic runs, rendered once per process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reports.render import render
from tests.reports import recorded
from tests.support.pages import page_of
from tests.support.runs import planned, train_all


@pytest.fixture(scope="session")
def ladder_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ladder, three seeds, everything finished."""
    runs = tmp_path_factory.mktemp("ladder")
    train_all(runs, planned(runs))
    return runs


@pytest.fixture(scope="session")
def full_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `recorded.full_runs`."""
    runs = tmp_path_factory.mktemp("full")
    recorded.full_runs(runs)
    return runs


@pytest.fixture(scope="session")
def full_report(full_runs: Path) -> Path:
    """The folder of the report of `full_runs`."""
    return render("changes_overview", runs=full_runs)


@pytest.fixture
def page(tmp_path: Path) -> Callable[[], str]:
    """The Markdown page of the runs under tmp_path."""
    return lambda: page_of("changes_overview", runs=tmp_path)
