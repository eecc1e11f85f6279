"""Whole reports: the same bytes twice, links that resolve, and an honest line for whatever is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
from tests.reports import recorded
from tests.reports.pages import assert_links_resolve
from tests.reports.synthetic import planned, train_all

Page = Callable[..., str]
CHANGES_FIGURES = ("ladder.svg", "effects.svg", "curves.svg", "samples.png")
CHANGES_TABLES = (
    "add_one_in",
    "changes",
    "claim_overall",
    "company",
    "cost",
    "effects",
    "end_to_end",
    "ladder",
    "leave_one_out",
    "other_measures",
    "protocol",
    "provenance",
    "runs",
    "scalings",
)


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_the_whole_report_is_there(full_report: Path) -> None:
    assert set(files(full_report)) == {
        "report.md",
        "report.pdf",
        "report.html",
        "results.csv",
        "protocols.json",
        "verdicts.json",
        *(f"tables/{name}.tex" for name in CHANGES_TABLES),
        *(f"figures/{name}" for name in CHANGES_FIGURES),
    }
    text = (full_report / "report.md").read_text()
    headings = re.findall(r"^## (.*)$", text, flags=re.MULTILINE)
    assert headings == [
        "The question",
        "The deck's claim, and ours",
        "Which changes are resolved",
        "The ladder: one more change at a time",
        "Each change by itself",
        "Learning curves",
        "Samples",
        "Other measures",
        "Planned or exploratory",
        "What was run",
        "Cost",
        "Threats to validity",
        "Failed and missing runs",
        "Provenance",
        "Appendix: all runs",
    ]
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


def test_the_report_is_what_it_was(full_report: Path) -> None:
    assert recorded.sums(full_report) == json.loads(recorded.RECORD.read_text())["full"]


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
    assert sum(not target.startswith("#") for target in targets) == 87 + len(CHANGES_FIGURES)
    assert_links_resolve(full_report, text)


def test_stale_figures_of_ours_go_and_other_files_stay(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, only={"baseline"}, seeds=(0,)), unmeasured={("baseline", 0)})
    folder = tmp_path / "reports" / "changes_overview" / "cpu" / "figures"
    folder.mkdir(parents=True)
    for name in ("ladder.svg", "mine.svg"):
        (folder / name).write_text("old")
    render("changes_overview", runs=tmp_path)
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


def test_one_variant_and_one_seed(tmp_path: Path, page: Page) -> None:
    train_all(tmp_path, planned(tmp_path, only={"baseline"}, seeds=(7,)))
    text = page()
    assert "**not tested** (“all − NS loss” is not in the plan)" in text
    assert "One seed." in text
    assert "fewer than two rungs are in the plan" in text
    assert "Not run: the plan lacks “all ten changes”." in text
    assert "--only baseline --seeds 7," in text


def test_two_rungs_and_one_seed(tmp_path: Path, page: Page) -> None:
    train_all(tmp_path, planned(tmp_path, only={"baseline", "baseline+fourier_inr"}, seeds=(0,)))
    text = page()
    assert "effects.svg" in text
    assert "1 of 1 tested change inconclusive" in text


def test_only_failed_and_unfinished_runs(tmp_path: Path, page: Page) -> None:
    plan = planned(tmp_path, designs=("ladder", "leave_one_out"), seeds=(0, 1))
    every = {(variant.name, 0) for variant in plan.variants}
    train_all(tmp_path, plan, failed=every, unfinished={(name, 1) for name, _ in every}, unmeasured=every)
    text = page()
    assert "No seed has ended in one of the two arms." in text
    assert "No run has ended." in text
    assert "no run of “none of the ten changes” has ended with a value" in text


def test_every_run_diverged(tmp_path: Path, page: Page) -> None:
    plan = planned(tmp_path, seeds=(0, 1))
    train_all(tmp_path, plan, diverged={(v.name, s) for v in plan.variants for s in plan.seeds})
    text = page()
    assert "∞ (diverged in 2 of 2)" in text
    assert "At equal arithmetic: not available" in text


def test_runs_that_nobody_started_are_named(tmp_path: Path, page: Page) -> None:
    train_all(tmp_path, planned(tmp_path, seeds=(0, 1)), skip={("all", 0), ("all", 1), ("baseline", 1)})
    text = page()
    assert "**not started (3):** none of the ten changes (seed 1); all ten changes (seed 0, 1)." in text


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
    assert "Overrides on the command line apply to every variant: iterations=400." in text
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
    render("changes_overview", runs=tmp_path, out=tmp_path / "report")
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
