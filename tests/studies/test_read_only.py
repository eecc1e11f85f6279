"""Looking writes nothing: what only reads works on a colleague's folder, and on a file system that is mounted so."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from core.errors import InputError
from core.files import check_writable
from reports.render import render, render_comparison
from studies import run, ui
from studies.plan import jobs_root
from studies.runner.tasks import is_held, tasks_of
from tests.readonly import read_only
from tests.reports.synthetic import planned, train_all

STUDY = "changes_overview"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's runs, one of them begun and its lock left, as trainers leave it."""
    monkeypatch.chdir(tmp_path)
    plan = planned(tmp_path / "runs", only={"baseline", "all"}, seeds=(0, 1))
    train_all(tmp_path / "runs", plan, unfinished={("all", 1)})
    for task in tasks_of(plan):
        (jobs_root(tmp_path / "runs") / task.digest / "lock").touch()
    return tmp_path / "runs"


@pytest.mark.parametrize(
    "arguments",
    [("--list",), (STUDY, "--dry-run", "--seeds", "2"), (STUDY, "--show-config", "all")],
    ids=lambda arguments: arguments[-2] if len(arguments) > 1 else arguments[0],
)
def test_what_shows_writes_nothing(runs: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with read_only(runs), pytest.raises(SystemExit) as ended:
        run.main([*arguments, "--runs", str(runs)])
    assert ended.value.code == 0, capsys.readouterr().err
    assert not (runs / "queue").exists()


def test_a_report_elsewhere_writes_nothing_into_the_runs(runs: Path, tmp_path: Path) -> None:
    with read_only(runs):
        folder = render(STUDY, runs=runs, out=tmp_path / "elsewhere", formats=("md",))
        render_comparison(str(folder), STUDY, runs=runs, out=tmp_path / "compared", formats=("md",))
    assert (folder / "verdicts.json").exists()
    assert not [file for file in tmp_path.rglob("*lock*") if jobs_root(runs) not in file.parents]


def test_the_page_in_mlflow_is_looked_up_without_writing(runs: Path) -> None:
    with read_only(runs), pytest.raises(InputError, match="MLflow has no run"):
        ui._experiment(STUDY, runs, None)


def test_a_damaged_outcome_is_one_line_and_the_list_goes_on(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = next(jobs_root(runs).glob("*/outcome.json"))
    damaged.write_bytes(b"")
    codes = []
    for arguments in ((STUDY, "--dry-run", "--seeds", "2"), ("--list",)):
        with pytest.raises(SystemExit) as ended:
            run.main([*arguments, "--runs", str(runs)])
        codes.append(ended.value.code)
    (said,) = capsys.readouterr().err.splitlines()
    assert codes == [2, 0] and f"{damaged} is damaged (it is empty): move the folder" in said


def test_asking_for_a_lock_takes_it_from_nobody(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_held(lock) and not lock.exists()
    with FileLock(lock):
        assert is_held(lock)
    with read_only(tmp_path):
        assert not is_held(lock)


def test_what_is_not_ours_to_write_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(tmp_path, tmp_path / "made" / "later")
    monkeypatch.setattr("os.access", lambda *_: False)  # Permissions do not bind root.
    with pytest.raises(InputError, match="umask 002"):
        check_writable(tmp_path / "made" / "later")
    with pytest.raises(SystemExit) as ended:
        run.main([STUDY, "--only", "all", "--seeds", "1", "--runs", str(tmp_path / "runs"), "iterations=20"])
    assert ended.value.code == 2 and not (tmp_path / "runs").exists()
