"""Detail by scale, and what it costs: tables and figures of what runs measured at other densities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from ablations.answers import FrontierAnswer
from core.config import Config
from reports import dense, figures, stats
from reports.answers import frontier as drawn
from reports.answers.frame import are_dense, tiles_of
from reports.finding_of_frontier import Mark, above, by_quality, frontier, marks_of, of_frontier, told_apart
from reports.numbers import MOST_WORDS, factor, interval
from reports.page import Figure, Note, Table
from reports.report import PAGE_INCHES, Report
from reports.results import load
from reports.sections import cost_quality
from reports.sections.answer import answer_figure
from reports.sections.cost_quality import cost_against_quality
from reports.sections.scales import detail_by_scale, dots
from tests.support import runs as synthetic
from tests.support.pages import page_of
from tests.support.runs import Place, planned, train_all

NAME = "local_discriminator"
SERIES = "scales/patch_1_4"
ONLY = ("baseline", "baseline+separate", "baseline+quarter", "baseline+longer")
GAINS = {"separate": 0.5, "quarter": 0.6, "longer": 0.95}

Make = Callable[..., Report]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A report of a few variants, whose changes multiply every distance by these factors."""

    def make(
        gains: Mapping[str, float] = GAINS,
        decibels: Callable[[Config], float] = lambda _: 37.0,
        diverged: set[Place] | None = None,
    ) -> Report:
        monkeypatch.setattr(synthetic, "TRUE_FACTORS", {**synthetic.TRUE_FACTORS, **gains})
        monkeypatch.setattr(synthetic, "decibels", decibels)
        plan = planned(tmp_path, NAME, designs=("add_one_in",), seeds=(0, 1, 2), only=ONLY)
        train_all(tmp_path, plan, diverged=diverged or set())
        return Report.of(load(NAME, tmp_path), tmp_path / "report")

    return make


def cells(table: Table) -> dict[str, dict[str, str]]:
    """Its cells by the row's first one and the column's title."""
    heads = [column.title for column in table.columns]

    def said(cell: object) -> str:
        return str(getattr(cell, "text", cell))

    return {said(row[0]): dict(zip(heads, map(said, row), strict=True)) for row in table.rows}


def tables(report: Report) -> dict[str, dict[str, dict[str, str]]]:
    blocks = [*detail_by_scale(report), *cost_against_quality(report)]
    return {block.name: cells(block) for block in blocks if isinstance(block, Table)}


# --- detail -----------------------------------------------------------------------------------------------------------


def test_distances_stand_beside_their_ratio_to_the_base_by_seed(made: Make) -> None:
    report = made()
    results, found = report.results, tables(report)
    base, better = results.variant("baseline"), results.variant("baseline+quarter")
    assert base is not None and better is not None
    for series, head in ((SERIES, "patches 1/4"), ("scales/patch_1_2/places", "patches 1/2, places")):
        effect = stats.paired_effect(results.last_of(base, series), results.last_of(better, series))
        assert effect.ratio == pytest.approx(0.6, rel=0.2) and effect.n == 3
        assert found["scales_ratios"][better.title][head] == interval(effect)
        ends = stats.log_summary(results.last_of(better, series))
        assert found["scales_values"][better.title][head].endswith(f"×/÷ {factor(ends.factor)}")
    heads = list(found["scales_ratios"][base.title])
    assert heads[1:-1] == [dense.head_of(s) for s in dense.series_of(results) if "octave" not in s and "psnr" not in s]
    assert found["scales_ratios"][base.title]["swd"] == "1" and found["scales_ratios"][base.title]["n"] == "3"


def test_power_has_a_sign_and_no_ratio(made: Make) -> None:
    found = tables(made())["scales_octaves"]
    assert list(found["second D"]) == ["variant", "PSNR, dB [95%]", "coherent", "4–8", "8–16", "16–32", "n"]
    assert found["second D"]["8–16"].startswith(("−2.", "−1.9")) and " ± 0.0" in found["second D"]["8–16"]
    assert found["second D"]["16–32"].startswith("+0.")


def test_what_is_another_picture_between_its_pixels_is_said_first(made: Make) -> None:
    def decibels(config: Config) -> float:
        return 24.0 if config.critics and config.critics[0].share < 1 else 30.0 if config.critics else 37.0

    report = made(decibels=decibels)
    failed, undecided = (block for block in detail_by_scale(report) if isinstance(block, Note))
    assert "second D, quarter of the batch (2" in str(failed.text) and "n = 3" in str(failed.text)
    assert "second D (" in str(undecided.text) and "Coherence is open" in str(undecided.text)
    coherent = {name: row["coherent"] for name, row in tables(report)["scales_octaves"].items()}
    assert list(coherent.values()) == ["yes", "open", "failed", "yes"]


def test_of_one_seed_the_value_says_whether_it_agrees() -> None:
    assert [dense.Coherence(1, db).word for db in (29.9, 30.0)] == ["fails", "holds"]
    assert dense.Coherence(3, 29.0, 27.0, 31.0).word == "open"
    assert dense.Coherence(3, 29.0, 28.5, 29.5).words == "29.0 dB [28.5, 29.5], n = 3"


def test_every_variant_is_shown_below_real_images(made: Make) -> None:
    report = made()
    (figure,) = (block for block in detail_by_scale(report) if isinstance(block, Figure))
    assert figure.path == "figures/dense.png" and "64×64 pixels" in str(figure.caption)
    variant = report.results.variant("baseline+quarter")
    assert variant is not None
    folder = report.results.folder_of(variant, 0)
    found = dense.tiles(report.results, variant, 0)
    assert folder is not None and found is not None
    kept = figures.first_tiles(folder.samples / "dense.png", 64, 16)
    assert kept is not None and (np.concatenate(found) == kept).all()
    rows = tiles_of(report, report.results.study.answer.pictured)  # type: ignore[union-attr]
    assert [name for name, _ in rows][::3] == ["real images, 64×64", "second D, quarter of the batch"]
    assert are_dense(rows) and (rows[3][1] == found[1][:2]).all()
    (folder.samples / "dense.png").write_bytes(b"no picture")
    blocks = detail_by_scale(report)
    assert "A picture is left out" in str([block for block in blocks if isinstance(block, Note)])
    assert any(isinstance(block, Figure) for block in blocks)


@pytest.mark.parametrize(("rows", "columns", "side"), [(13, 8, 64), (2, 8, 64), (13, 2, 512), (5, 8, 128)])
def test_a_sheet_of_dense_images_fits_the_page_with_whole_dots(rows: int, columns: int, side: int) -> None:
    shown = [("a", np.zeros((columns, side, side, 3), np.uint8))] * rows
    an_inch, scale = dots(rows, columns, side)
    with figures.style():
        sheet = figures.sample_sheet(shown, an_inch, scale)
    wide, tall = sheet.get_figwidth(), sheet.get_figheight()
    assert an_inch >= 140 and scale >= 1 and wide <= figures.WIDTH + 0.01 and tall <= PAGE_INCHES + 0.01
    assert wide >= 0.97 * figures.WIDTH or tall >= 0.97 * PAGE_INCHES


def test_a_study_that_does_not_measure_it_has_no_section(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, "model_size", designs=("add_one_in",), seeds=(0,), only=("baseline",)))
    report = Report.of(load("model_size", tmp_path), tmp_path / "report")
    assert detail_by_scale(report) == cost_against_quality(report) == []


def test_a_study_of_changes_that_measures_it_has_the_section(tmp_path: Path) -> None:
    scales = {"evaluation.scales": {"fine": 64}}
    plan = planned(tmp_path, seeds=(0, 1), only=("baseline", "all"), overrides=scales)
    train_all(tmp_path, plan)
    page = page_of("changes_overview", runs=tmp_path)
    assert page.count("## Detail by scale") == 1 and "Cost against quality" not in page


# --- cost -------------------------------------------------------------------------------------------------------------


def a_mark(name: str, cost: float, ratio: float, decibels: float = 37.0) -> Mark:
    values = np.array([1.0, 1.1, 1.2 * ratio**0.01]) * ratio
    effect = stats.paired_effect([1.0, 1.1, 1.21], values)
    return Mark(name, name, cost, values, effect, effect, dense.Coherence(3, decibels))


MARKS = (
    a_mark("baseline", 1.0, 1.0),
    a_mark("worse for nothing", 1.0, 1.1),
    a_mark("cheap", 1.2, 0.8),
    a_mark("cheap but another picture", 1.2, 0.4, decibels=20.0),
    a_mark("dear", 1.9, 0.6),
    a_mark("dear for no more", 2.0, 0.6),
    a_mark("dearer and worse", 2.0, 0.9),
)


def test_what_nothing_dominates_is_the_frontier() -> None:
    assert [mark.name for mark in frontier(MARKS)] == ["baseline", "cheap", "dear"]
    by_name = {mark.name: mark for mark in MARKS}
    assert [mark.name for mark in above(by_name["dear for no more"], MARKS)] == ["dear"]
    assert [mark.name for mark in above(by_name["dearer and worse"], MARKS)] == ["dear", "dear for no more", "cheap"]
    assert told_apart(by_name["dearer and worse"], by_name["dear"])
    assert not told_apart(by_name["dear for no more"], by_name["dear"])


def test_the_finding_is_the_cheapest_whose_interval_lies_below_the_declared_factor(made: Make) -> None:
    report = made()
    answer = report.results.study.answer
    assert isinstance(answer, FrontierAnswer)
    told = of_frontier(report, answer)
    mark = next(mark for mark in marks_of(report.results, SERIES) if mark.name == "baseline+quarter")
    assert mark.quality.high is not None and mark.quality.high < 0.85
    assert told[0] == (
        "Cheapest with its distance of patches below ×0.85: second D, quarter of the batch, "
        f"×{interval(mark.quality)} (n = 3)."
    )
    assert len(told[0].split()) <= MOST_WORDS
    assert told[1].startswith("It takes 1.22 times the base's arithmetic of training; its FD is ×0.")
    assert told[2].startswith("It was picked among 3 forms")
    assert told[3] == (
        "Undominated by the means: all ten changes, whole images alone; second D, quarter of the batch; second D."
    )


@pytest.mark.parametrize(
    ("gains", "decibels", "begins"),
    [
        ({**GAINS, "quarter": 0.84}, 37.0, "Cheapest with its distance of patches below ×0.85: second D, ×0."),
        (GAINS, 20.0, "Cheapest with its distance of patches below ×0.85: second D, ×0."),
        (dict.fromkeys(GAINS, 1.0), 37.0, "No interval"),
    ],
    ids=["the interval reaches above", "coherence failed", "none"],
)
def test_nothing_is_told_that_its_interval_does_not_hold(
    gains: dict[str, float], decibels: float, begins: str, made: Make
) -> None:
    report = made(gains, lambda config: decibels if config.critics and config.critics[0].share < 1 else 37.0)
    told = of_frontier(report, report.results.study.answer)  # type: ignore[arg-type]
    assert told[0].startswith(begins) and told[0].endswith("(n = 3).") and len(told[0].split()) <= MOST_WORDS
    assert any(line.startswith("Coherence failed, below 30 dB: second D, quarter") for line in told) == (decibels < 30)


def test_the_table_has_the_cheapest_first_and_seconds_only_where_they_are_steady(
    made: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = made(diverged={("baseline+longer", 1)})
    monkeypatch.setattr(cost_quality, "why_left_out", lambda _: "they measure the machine's load")
    rows = tables(report)["cost_quality"]
    assert [row["arithmetic"] for row in rows.values()] == ["1.00×", "1.22×", "1.87×", "2.00×"]
    assert [row["dominated"] for row in rows.values()] == ["no", "no", "no", "diverged"]
    assert not any("seconds" in row for row in rows.values())
    monkeypatch.setattr(cost_quality, "why_left_out", lambda _: "")
    assert all("seconds" in row for row in tables(report)["cost_quality"].values())
    (figure,) = answer_figure(report, of_frontier(report, report.results.study.answer))  # type: ignore[arg-type]
    assert isinstance(figure, Figure) and "scales/patch_1_4" in str(figure.caption)
    assert "A section is left out" not in page_of(NAME, runs=report.results.runs)


def test_marks_stand_at_their_arithmetic_and_ratio_and_the_frontier_joins_its_own() -> None:
    with figures.style():
        ax = Canvas(figsize=(5, 2)).add_subplot()
        drawn.panel(ax, MARKS, by_quality, (0.9, 2.2), (350.0, 120.0), 0.85)
    spots = {line.get_marker(): line for line in ax.lines if line.get_marker() in ("s", "x")}
    circles = [line for line in ax.lines if line.get_marker() == "o"]
    assert len(circles) == len(MARKS) - 2 and set(spots) == {"s", "x"}
    assert float(np.atleast_1d(spots["x"].get_ydata())[0]) == pytest.approx(MARKS[3].quality.ratio)
    at_one_cost = sorted(float(np.atleast_1d(line.get_xdata())[0]) for line in circles)[-2:]
    assert at_one_cost[0] < 2.0 < at_one_cost[1] < 2.1
    (joined,) = (line for line in ax.lines if len(np.atleast_1d(line.get_xdata())) == 3)
    assert list(joined.get_ydata()) == pytest.approx([m.quality.ratio for m in frontier(MARKS)])  # type: ignore[arg-type]
    said = {text.get_text().replace("\n", " ") for text in ax.texts}
    assert said >= {mark.title for mark in MARKS} | {"×0.85, declared"}


def test_labels_cover_neither_marks_nor_each_other() -> None:
    rng = np.random.default_rng(0)
    room = (350.0, 120.0)
    points = [(float(x), float(y)) for x, y in rng.uniform((20, 15), (330, 105), (10, 2))]
    placed = drawn.place_labels(points, [(60.0, 14.0)] * 10, room, [(0.0, 59.0, 350.0, 61.0)])
    boxes = [label.box for label in placed]
    marks = [(x - 2, y - 2, x + 2, y + 2) for x, y in points]
    for k, box in enumerate(boxes):
        assert min(box) >= 0 and box[2] <= room[0] and box[3] <= room[1]
        assert not any(drawn.overlap(box, other) for other in [*boxes[:k], *marks])
