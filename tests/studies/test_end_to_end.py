"""The main job in small: the real command trains, shows the study in MLflow, reports, and trains nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.folder import RunFolder

ROOT = Path(__file__).parents[2]
SMALL = (
    "iterations=6",
    "evaluation.every=3",
    "evaluation.metric.samples=96",
    "evaluation.quality.smallest=48",
    "evaluation.quality.kernel_subset=32",
    "data.train=128",
    "data.held_out=128",
)


def command(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("studied")
    done = command(
        "studies.run", "changes_overview", *SMALL, "--only", "baseline,all", "--seeds", "2", "--jobs", "1", cwd=folder
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return folder, done.stdout


def test_it_trains_and_says_where_the_report_is(studied: tuple[Path, str]) -> None:
    folder, output = studied
    jobs = list((folder / "runs" / "jobs").iterdir())
    assert len(jobs) == 4
    outcomes = [RunFolder(job.parent, job.name).outcome() for job in jobs]
    assert {outcome.status for outcome in outcomes if outcome} == {"finished"}
    (report,) = (folder / "runs" / "reports" / "changes_overview").iterdir()
    assert str(report / "report.pdf") in output
    assert (report / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_tidy_table_has_every_evaluation_once(studied: tuple[Path, str]) -> None:
    folder, _ = studied
    (report,) = (folder / "runs" / "reports" / "changes_overview").iterdir()
    frame = pd.read_csv(report / "results.csv")
    expected = ["study", "variant", "seed", "iteration", "images", "seconds", "metric", "value", "averaged"]
    assert list(frame.columns) == [*expected, "protocol", "reported", "status", "run"]
    reported = frame[frame["reported"]]
    assert len(set(reported["protocol"])) == 1 and set(reported["metric"]) == {"fd_rooms"}
    # Two evaluations, and at the last one six further measures and two further sets of latents.
    assert len(frame) == 2 * 2 * (2 + 6 + 2)
    assert not frame.duplicated(["variant", "seed", "iteration", "metric"]).any()
    assert set(frame["variant"]) == {"baseline", "all"}


def test_mlflow_shows_the_runs_without_any_flag(studied: tuple[Path, str]) -> None:
    folder, _ = studied
    import sqlite3

    with sqlite3.connect(folder / "mlflow.db") as database:
        jobs = "select run_uuid from tags where key = 'job'"
        statuses = [s for (s,) in database.execute(f"select status from runs where run_uuid in ({jobs})")]
        reports = database.execute("select status, name from runs join tags using (run_uuid) where key = 'report'")
        assert reports.fetchall() == [("FINISHED", "Report: Changes overview")]
        points = database.execute("select count(*) from metrics where key = 'fd_rooms'").fetchone()[0]
    assert statuses == ["FINISHED"] * 4
    assert points == 2 * 2 * 2


def test_a_second_run_trains_nothing_and_a_second_report_is_the_same(studied: tuple[Path, str]) -> None:
    folder, _ = studied
    (report,) = (folder / "runs" / "reports" / "changes_overview").iterdir()
    before = {file: file.read_bytes() for file in report.rglob("*") if file.is_file()}
    marks = {file: file.stat().st_mtime_ns for file in (folder / "runs" / "jobs").rglob("events.jsonl")}
    again = command("studies.run", "changes_overview", *SMALL, "--only", "baseline,all", "--seeds", "2", cwd=folder)
    assert again.returncode == 0
    assert "nothing to train" in again.stdout
    assert {file: file.stat().st_mtime_ns for file in marks} == marks
    assert {file: file.read_bytes() for file in before} == before


def test_a_study_of_fits_from_images_to_report_and_mlflow(tmp_path: Path) -> None:
    """Another task than a GAN, on images of the user's, with two metrics of which the first is reported."""
    images = tmp_path / "images"
    images.mkdir()
    for index in range(8):
        Image.fromarray(np.full((20, 24, 3), 30 * index, dtype=np.uint8)).save(images / f"{index}.png")
    arguments = ("inr_layers", "iterations=6", "evaluation.every=3", "images=4", "data.resolution=8")
    arguments += ("emitter.hypernetwork.width=16", "--data", str(images), "--seeds", "2", "--jobs", "1")
    wanted = ("--only", "baseline,baseline+adain,baseline+adain+latent_codes")
    done = command("studies.run", *arguments, *wanted, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "psnr" not in done.stdout
    (report,) = (tmp_path / "runs" / "reports" / "inr_layers").iterdir()
    frame = pd.read_csv(report / "results.csv")
    assert len(frame) == 3 * 2 * 2 * 2 and set(frame["metric"]) == {"mae", "psnr"}
    import sqlite3

    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        counts = dict(database.execute("select key, count(*) from metrics group by key").fetchall())
    assert counts["mae"] == counts["psnr"] == counts["seconds"] == 3 * 2 * 2
    last = frame[(frame["metric"] == "mae") & (frame["iteration"] == 6)]
    import optuna

    (journal,) = (tmp_path / "runs" / "queue").glob("*.journal")
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    trials = optuna.load_study(study_name=None, storage=optuna.storages.JournalStorage(backend)).trials
    assert sorted(trial.value for trial in trials) == pytest.approx(sorted(last["value"]))


def test_a_metric_without_its_weights_ends_in_one_line_before_training(tmp_path: Path) -> None:
    arguments = ("changes_overview", *SMALL[:2], "evaluation.metric=clean_fid", "--only", "baseline", "--seeds", "1")
    refused = command("studies.run", *arguments, "data.train=64", "data.held_out=64", cwd=tmp_path)
    assert refused.returncode == 2
    errors = [line for line in refused.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "INR_GAN_INCEPTION" in errors[0]
    assert not list((tmp_path / "runs" / "jobs").glob("*/outcome.json"))
