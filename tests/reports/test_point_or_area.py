"""The report of points and areas: interactions as ratios of ratios, and which combination is best for which use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.page import Table
from reports.report import Report
from reports.results import load
from reports.studies import point_or_area as page
from reports.studies.point_or_area import advice, crossed, interactions
from reports.verdicts import side_of_one
from studies.dense import PATCH
from studies.point_or_area import FOOTPRINT, POINTS, SEEN, STUDY, named
from tests.support import runs as synthetic
from tests.support.pages import page_of
from tests.support.runs import planned, train_all

NAME = "point_or_area"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """A report whose changes multiply every distance by these factors, four seeds."""

    def make(**gains: float) -> Report:
        monkeypatch.setattr(synthetic, "TRUE_FACTORS", {**synthetic.TRUE_FACTORS, **gains})
        plan = planned(tmp_path, NAME, designs=("grid",), seeds=(0, 1, 2, 3))
        train_all(tmp_path, plan)
        return Report.of(load(NAME, tmp_path), tmp_path / "report")

    return make


def values(monkeypatch: pytest.MonkeyPatch, of: dict[tuple[str, ...], Sequence[float]]) -> None:
    """Gives every combination these values, whatever is measured."""
    by_name = {named(*changes): np.array(each) for changes, each in of.items()}

    def values_of(results: object, series: str | None, name: str) -> NDArray[np.float64]:
        return by_name[name]

    monkeypatch.setattr(page, "values_of", values_of)


def test_every_combination_of_the_three_is_trained(made: Callable[..., Report]) -> None:
    results = made().results
    trained = {variant.changes for variant in results.plan.variants}
    assert len(trained) == 8 and {name for each in trained for name in each} == {POINTS, FOOTPRINT, SEEN}
    assert {named(*each) for each in trained} == {variant.name for variant in results.plan.variants}
    shown = {v.name: v.config.data.shown for v in results.plan.variants}  # type: ignore[union-attr]
    assert shown["baseline"] == "areas" and shown[named(POINTS)] == "points"


def test_an_interaction_is_the_ratio_of_two_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = np.array([0.1, 0.2, 0.15, 0.12])
    noise = np.array([1.02, 0.98, 1.01, 0.99])
    values(
        monkeypatch,
        {(): plain, (POINTS,): 0.5 * plain, (FOOTPRINT,): 0.6 * plain, (POINTS, FOOTPRINT): 0.9 * plain * noise},
    )
    found = crossed(None, PATCH, ())  # type: ignore[arg-type]
    assert [each.ratio for each in found.footprint] == pytest.approx([0.6, 1.8], rel=1e-3)
    assert [each.ratio for each in found.points] == pytest.approx([0.5, 1.5], rel=1e-3)
    together = found.together
    assert together.ratio == pytest.approx(3.0, rel=1e-3) and together.n == 4 and side_of_one(together) == "above"
    logs = np.log(noise)
    half = 3.182446 * logs.std(ddof=1) / 2  # Student's t of 3 degrees of freedom.
    assert np.log([together.low, together.high]) == pytest.approx(np.log(3) + logs.mean() + [-half, half], abs=1e-5)


def test_a_diverged_run_leaves_the_interaction_and_stays_in_the_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = np.array([1.0, 1.1, 0.9])
    values(
        monkeypatch,
        {(): ones, (POINTS,): [np.inf, 0.9, 0.8], (FOOTPRINT,): 0.9 * ones, (POINTS, FOOTPRINT): [0.7, 0.8, 0.75]},
    )
    found = crossed(None, None, ())  # type: ignore[arg-type]
    assert found.together.n == 2 and found.points[0].n == 3 and found.points[0].diverged_after == 1


def test_the_page_says_what_to_train_on_for_each_use(made: Callable[..., Report]) -> None:
    report = made(points=1.3, averaged=0.7, windows=0.8)
    best = report.results.title(named(FOOTPRINT, SEEN))
    told = advice(report.results)
    assert [use for use, _ in told] == list(page.USES.values())
    assert all(text.startswith(f"the least distance has {best}") and "of the next" in text for _, text in told)
    (table,) = (block for block in interactions(report) if isinstance(block, Table))
    assert len(table.rows) == 6 and [column.title for column in table.columns][-2:] == ["interaction [95%]", "n"]
    said = page.finding(report)
    assert "not resolved" in said[0] and "n = 4" in said[0]
    whole = page_of(NAME, runs=report.results.runs)
    assert "What to train on for which use" in whole and STUDY.question in whole


def test_what_we_expected_is_never_said_to_be_the_decks(made: Callable[..., Report]) -> None:
    report = made(points=1.3, averaged=0.7, windows=0.8)
    assert {verdict.word for verdict in report.claims} > {"reproduced", "contradicted"}
    said = page_of(NAME, runs=report.results.runs)
    found = said.partition("## What we expected, and what was found")[2].partition("\n## ")[0]
    assert found.count("Expected:") == 3 and "the deck" not in found.lower() and "Magnitude" not in found
    assert "at the last iteration" in found and "over the last quarter" not in found
    assert said.count("**Our expectation, ") == 3
    told = " ".join(page.finding(report))
    assert "as expected: footprint" in told.lower() and "against expectation: points" in told.lower()
