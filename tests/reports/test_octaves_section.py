"""Detail by octave: the figure of distances over zooms, the tables beside it, and what a step of windows costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from core.arithmetic import training
from reports import dense
from reports.page import Figure, Note, Table
from reports.report import Report
from reports.results import load
from reports.sections.cost_quality import cost_against_quality
from reports.sections.octaves import detail_by_octave, floor_of, means_of, zooms_of
from reports.studies.extreme_resolution import answers
from studies.catalogue import study
from studies.plan import jobs_root
from tests.support import runs as synthetic
from tests.support.runs import planned, train_all

NAME = "extreme_resolution"
ZOOMS = (1, 4, 16, 64, 256)

Make = Callable[..., Report]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(name: str = NAME, **runs: object) -> Report:
        gains = {**synthetic.TRUE_FACTORS, "octaves_spread": 0.5, "r4096": 0.9}
        monkeypatch.setattr(synthetic, "TRUE_FACTORS", gains)
        plan = planned(tmp_path, name, designs=("add_one_in",), seeds=(0, 1, 2))
        train_all(tmp_path, plan, **runs)  # type: ignore[arg-type]
        return Report.of(load(name, tmp_path), tmp_path / "report")

    return make


def tables(report: Report) -> dict[str, dict[str, dict[str, str]]]:
    found = {}
    for block in [*detail_by_octave(report), *cost_against_quality(report)]:
        if isinstance(block, Table):
            heads = [column.title for column in block.columns]
            cells = [[str(getattr(cell, "text", cell)) for cell in row] for row in block.rows]
            found[block.name] = {row[0]: dict(zip(heads, row, strict=True)) for row in cells}
    return found


def test_distances_stand_by_zoom_with_their_floor(made: Make) -> None:
    report = made()
    results = report.results
    assert zooms_of(results) == ZOOMS
    every = results.variant("baseline+octaves_spread")
    assert every is not None
    found = tables(report)["octaves_values"][every.title]
    assert [head for head in found if head.replace(",", "").isdecimal()] == ["16", "64", "256", "1,024", "4,096"]
    (mean,) = means_of(results, every, (256,))
    assert found["4,096"].startswith(f"{mean.centre:.3g}"[:4]) and "×/÷" in found["4,096"]
    assert mean.low is not None and mean.low < mean.centre < (mean.high or 0)
    assert floor_of(results, results.plan.listed, ZOOMS)[256] == pytest.approx(0.005, rel=0.1)
    cost, told = answers(report)[:2]
    assert "same for windows of pictures of 64, 256, 1,024 and 4,096 pixels a side, 1.8" in str(cost[1])
    assert "“four Ds, spread frequencies”" in str(told[1])


def test_the_octaves_of_power_follow_on_each_other(made: Make) -> None:
    row = tables(made())["octaves_power"]["all ten changes, whole images alone"]
    assert list(row)[1:] == ["4", "8", "16", "32", "64", "128", "256", "512", "1,024", "2,048"]
    assert row["4"].startswith("−0.5") and row["2,048"].startswith("−1.5")


def test_figures_are_of_all_variants_and_pictures_of_those_that_are_named(made: Make, tmp_path: Path) -> None:
    report = made()
    drawn = {block.path: block for block in detail_by_octave(report) if isinstance(block, Figure)}
    assert set(drawn) == {"figures/octaves.svg", "figures/octaves.png"}
    for name, write in report.drawings.items():
        write(tmp_path / name)
    with Image.open(tmp_path / "octaves.png") as sheet:
        assert sheet.height > 20 * 16
    assert (tmp_path / "octaves.svg").stat().st_size > 10_000


def test_a_damaged_picture_is_left_out_and_said(made: Make, tmp_path: Path) -> None:
    report = made()
    base = report.results.variant("baseline")
    assert base is not None
    (jobs_root(tmp_path) / base.job(0).digest / "samples" / "octaves.png").write_bytes(b"no picture")
    blocks = detail_by_octave(report)
    assert any(isinstance(block, Note) for block in blocks)
    assert any(isinstance(block, Figure) and block.path == "figures/octaves.png" for block in blocks)


def test_diverged_runs_have_no_distance_and_are_counted(made: Make) -> None:
    report = made(diverged={("baseline+spread", 1)})
    spread = report.results.variant("baseline+spread")
    assert spread is not None
    assert tables(report)["octaves_values"][spread.title]["n"] == "1 of 3 diverged"


def test_what_it_costs_stands_beside_the_finest_zoom(made: Make) -> None:
    found = tables(made())["cost_quality"]
    assert "patches 1/256 [95%]" in next(iter(found.values()))
    assert dense.head_of("octaves/patch_1_256") == "patches 1/256"


def test_a_study_without_them_has_no_such_section(made: Make) -> None:
    assert detail_by_octave(made("dense_patches")) == []


def test_a_step_costs_the_same_at_any_resolution() -> None:
    """By counted arithmetic; `tests.benchmarks.windows` times it."""
    declared = study(NAME)
    profile = declared.profile("cpu")
    work = {
        name: training(profile.scaled(declared.folded((name,))))
        for name in ("r64", "r256", "r1024", "r4096", "octaves")
    }
    assert len({work[name] for name in ("r64", "r256", "r1024", "r4096")}) == 1
    # Four discriminators of a quarter of the batch each.
    assert work["octaves"] == pytest.approx(work["r64"], rel=1e-6)
    base = training(profile.scaled(declared.base))
    assert 1.5 < work["r4096"] / base < 2.1
