"""Whole reports: the same bytes twice, links that resolve, and an honest line for whatever is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from core.config import Images
from reports.frames import TIDY_COLUMNS
from reports.page import Bullets, Code, Paragraph
from reports.render import main, render
from reports.results import load
from reports.sections.setting import from_what, the_images
from studies.plan import Plan
from tests.reports import recorded
from tests.support.pages import assert_links_resolve
from tests.support.runs import planned, train_all

Page = Callable[..., str]


def test_the_whole_report_is_what_it_was_and_says_what_became_of_its_runs(full_report: Path) -> None:
    assert recorded.sums(full_report) == json.loads(recorded.RECORD.read_text())["full"]
    text = (full_report / "report.md").read_text()
    for words in (
        "Verdict: **reproduced**",
        "Magnitude: **not comparable**",
        "A pilot: n = 3",
        "a proxy, not an FID",
        "diverged in 1 of 3 with",
        "**failed** all − D1:G1, seed 2 at iteration 450, attempt 2: RuntimeError: out of memory.",
        "0123456789abcdef0123456789abcdef01234567",
        "--design ladder,add_one_in,leave_one_out",
    ):
        assert words in text, words
    assert "nan" not in re.findall(r"\w+", text)
    assert "None" not in re.findall(r"\w+", text.replace("None: every", ""))


@pytest.mark.parametrize("name", sorted(recorded.REPORTS.keys() - {"full"}))
def test_reports_of_other_studies_are_what_they_were(name: str, tmp_path: Path) -> None:
    assert recorded.sums(recorded.REPORTS[name](tmp_path)) == json.loads(recorded.RECORD.read_text())[name]


def test_results_csv_is_tidy(full_report: Path) -> None:
    read = pd.read_csv(full_report / "results.csv")
    assert tuple(read.columns) == TIDY_COLUMNS
    assert np.isinf(read["value"]).sum() == 1
    assert set(read["status"]) == {"finished", "diverged", "failed", "unfinished"}
    assert len(read.groupby(["variant", "seed"])) == 87


def test_every_link_resolves(full_report: Path) -> None:
    text = (full_report / "report.md").read_text()
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert sum(not target.startswith("#") for target in targets) == 88 + 4
    assert_links_resolve(full_report, text)


def test_stale_figures_of_ours_go_and_other_files_stay(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, only={"baseline"}, seeds=(0,)), unmeasured={("baseline", 0)})
    folder = tmp_path / "reports" / "changes_overview" / "cpu" / "figures"
    folder.mkdir(parents=True)
    for name in ("ladder.svg", "mine.svg"):
        (folder / name).write_text("old")
    render("changes_overview", runs=tmp_path, formats=("md",))
    assert sorted(file.name for file in folder.iterdir()) == ["mine.svg", "samples.png"]


# --- what is missing is said ------------------------------------------------------------------------------------------


def test_ladder_alone_by_the_command_and_elsewhere(ladder_runs: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["changes_overview", "--runs", str(ladder_runs), "--out", str(tmp_path)])
    assert done.exit_code == 0
    assert done.output.split() == [str(tmp_path / n) for n in ("report.md", "report.pdf", "report.html", "tables")]
    text = (tmp_path / "report.md").read_text()
    assert "Verdict: **reproduced**" in text
    assert "**Leave one out: on all others.**" in text
    assert "Add one in: 1 of 10 changes tested (not run)." in text
    assert "None: every planned run finished." in text


def every(plan: Plan, seeds: Sequence[int]) -> set[tuple[str, int]]:
    return {(variant.name, seed) for variant in plan.variants for seed in seeds}


TWO_RUNGS = ("baseline", "baseline+fourier_inr")
MISSING: dict[str, tuple[dict[str, Any], Callable[[Plan], dict[str, Any]], list[str]]] = {
    "one variant and one seed": (
        {"only": ("baseline",), "seeds": (7,)},
        lambda _: {},
        [
            "**not tested** (“all − NS loss” is not in the plan)",
            "One seed.",
            "fewer than two rungs are in the plan",
            "Not run: the plan lacks “all ten changes”.",
            "--only baseline --seeds 7,",
        ],
    ),
    "two rungs and one seed": (
        {"only": TWO_RUNGS, "seeds": (0,)},
        lambda _: {},
        ["effects.svg", "1 open: Fourier features, not SIREN"],
    ),
    "failed and unfinished": (
        {"designs": ("ladder", "leave_one_out"), "seeds": (0, 1)},
        lambda plan: {"failed": every(plan, [0]), "unfinished": every(plan, [1]), "unmeasured": every(plan, [0])},
        [
            "No seed has ended in one of the two arms.",
            "No run has ended.",
            "no run of “none of the ten changes” has ended with a value",
        ],
    ),
    "diverged": (
        {"seeds": (0, 1)},
        lambda plan: {"diverged": every(plan, [0, 1])},
        ["∞ (diverged in 2 of 2)", "At equal arithmetic: not available"],
    ),
    "not started": (
        {"seeds": (0, 1)},
        lambda _: {"skip": {("all", 0), ("all", 1), ("baseline", 1)}},
        ["**not started (3):** none of the ten changes (seed 1); all ten changes (seed 0, 1)."],
    ),
}


@pytest.mark.parametrize(("asked", "endings", "said"), MISSING.values(), ids=MISSING)
def test_what_is_missing_is_said(
    asked: dict[str, Any], endings: Callable[[Plan], dict[str, Any]], said: list[str], tmp_path: Path, page: Page
) -> None:
    plan = planned(tmp_path, **asked)
    train_all(tmp_path, plan, **endings(plan))
    text = page()
    assert [words for words in said if words not in text] == []


def test_other_images_and_overrides_are_named(tmp_path: Path, page: Page) -> None:
    plan = planned(
        tmp_path,
        only={"baseline", "all"},
        seeds=(0, 1, 2, 3),
        overrides={"iterations": 400, "evaluation.every": 200},
        data=Images(resolution=16, count=500, fingerprint="cd" * 32),
        data_name="indoor64",
    )
    train_all(tmp_path, plan)
    text = page()
    assert "Overrides on the command line apply to every variant: iterations=400, evaluation.every=200." in text
    assert "The data is indoor64; the deck's claims are of LSUN conference room." in text
    assert "the data given: indoor64" in text
    assert "iterations=400" in text
    assert "A pilot" not in text


# --- the command, and what it may import ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"), [(["changes_overview"], "has been trained"), (["chages"], "no study 'chages'")]
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, [*words, "--runs", str(tmp_path)])
    assert done.exit_code == 2
    assert done.output.startswith("error: ")
    assert said in done.output
    assert done.output.count("\n") == 1


def test_reports_load_neither_torch_nor_mlflow_nor_optuna() -> None:
    look = (
        "import sys, reports.render, studies.catalogue as c; c.study('changes_overview'); "
        "print([name for name in ('torch', 'mlflow', 'optuna') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_images_that_were_skipped_are_listed(tmp_path: Path) -> None:
    plan = planned(tmp_path, only=["baseline", "all-ns_loss"])
    train_all(tmp_path, plan)
    results = load("changes_overview", tmp_path)
    assert the_images(results) == []
    told = {"name": "My photographs", "words": "97 images of photographs.zip (zip)", "fingerprint": "ab", "count": 97}
    skipped = [{"name": f"{i}.png", "reason": "not an image"} for i in range(23)]
    for run in results.jobs["run"]:
        results.folder(str(run)).write("data.json", json.dumps(told | {"skipped": skipped}))
    _, said, count, listed = the_images(results)
    assert said == Paragraph("My photographs: 97 images of photographs.zip (zip).")
    assert isinstance(count, Paragraph) and "23 of 120 images could not be read and were skipped" in str(count.text)
    assert isinstance(listed, Bullets) and len(listed.items) == 21
    assert listed.items[0] == (Code("0.png"), ": not an image")
    assert listed.items[-1] == "and 3 more, see prepared.json"
    render("changes_overview", runs=tmp_path, out=tmp_path / "report", formats=("md",))
    assert "`0.png`: not an image" in (tmp_path / "report" / "report.md").read_text()
    beside = [{"what": "files ending in .heic", "count": 4, "first": ["a.heic", "b.heic", "c.heic"]}]
    for run in results.jobs["run"]:
        results.folder(str(run)).write("data.json", json.dumps(told | {"skipped": [], "left_out": beside}))
    *_, last = the_images(load("changes_overview", tmp_path))
    assert isinstance(last, Paragraph)
    assert "left out: 4 files ending in .heic (a.heic, b.heic, c.heic, …)" in str(last.text)


def test_the_page_names_the_code_only_as_far_as_the_runs_recorded_it() -> None:
    known, unknown = {"commit": "a" * 40, "version": "0.1.0"}, {"commit": None, "version": "0.1.0"}
    assert from_what([known, known]) == "To reproduce, from the commit above:"
    assert (
        from_what([known, known | {"commit": "b" * 40}]) == "To reproduce, a run from the commit that its record names:"
    )
    assert "some of the runs did not record" in from_what([known, unknown])
    assert from_what([unknown]).endswith("with version 0.1.0 of inr-gan-ablations:")
    for provenance in ([], [{"commit": None}], [{}]):
        assert "commit above" not in from_what(provenance) and "Neither" in from_what(provenance)


def test_a_distance_of_few_images_carries_its_caution(tmp_path: Path) -> None:
    plan = planned(tmp_path, only=["baseline", "all-ns_loss"])
    places = {(variant.name, seed): {"real_samples": 2} for variant in plan.variants for seed in plan.seeds}
    train_all(tmp_path, plan, otherwise=places)
    render("changes_overview", runs=tmp_path, out=tmp_path / "report", formats=["md"])
    text = (tmp_path / "report" / "report.md").read_text()
    assert "**Few images.** 2 real images are too few for the metric's 80 features: their covariance has rank 1" in text
    train_all(tmp_path, plan)
    render("changes_overview", runs=tmp_path, out=tmp_path / "report", formats=["md"])
    assert "Few images" not in (tmp_path / "report" / "report.md").read_text()
