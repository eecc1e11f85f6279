"""Reports of synthetic runs, rendered once per process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reports.render import render
from tests.reports.pages import page_of
from tests.reports.synthetic import planned, train_all

EVERY_DESIGN = ("ladder", "add_one_in", "leave_one_out")


@pytest.fixture(scope="session")
def ladder_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ladder, three seeds, everything finished."""
    runs = tmp_path_factory.mktemp("ladder")
    train_all(runs, planned(runs))
    return runs


@pytest.fixture(scope="session")
def full_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All designs, three seeds; one run diverged, one failed, one did not end, one ended unmeasured."""
    runs = tmp_path_factory.mktemp("full")
    train_all(
        runs,
        planned(runs, designs=EVERY_DESIGN),
        diverged={("baseline+r1", 1)},
        failed={("all-d1_g1", 2)},
        unfinished={("baseline+ns_loss", 0)},
        unmeasured={("all-inr_size", 1)},
    )
    return runs


@pytest.fixture(scope="session")
def full_report(full_runs: Path) -> Path:
    """The folder of the report of `full_runs`."""
    return render("changes_overview", runs=full_runs)


@pytest.fixture
def page(tmp_path: Path) -> Callable[[], str]:
    """The Markdown page of the runs under tmp_path."""
    return lambda: page_of("changes_overview", runs=tmp_path)
