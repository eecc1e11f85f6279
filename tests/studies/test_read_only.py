"""Looking writes nothing: what only reads works on a colleague's folder, and on a file system that is mounted so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from core.errors import InputError
from core.files import check_writable
from core.locks import is_held
from reports.render import render, render_comparison
from studies import ui
from studies.plan import jobs_root, journal_file
from studies.runner.queue import Queue
from studies.runner.tasks import tasks_of
from tests.support.commands import answer, refused
from tests.support.readonly import read_only
from tests.support.runs import planned, train_all

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
def test_what_shows_writes_nothing(runs: Path, arguments: tuple[str, ...]) -> None:
    with read_only(runs):
        shown = answer(*arguments, "--runs", str(runs))
    assert shown.code == 0, shown.err
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


def test_a_damaged_outcome_is_one_line_and_the_list_goes_on(runs: Path) -> None:
    damaged = next(jobs_root(runs).glob("*/outcome.json"))
    damaged.write_bytes(b"")
    refusal = refused(STUDY, "--dry-run", "--seeds", "2", "--runs", str(runs))
    assert f"{damaged} is damaged (it is empty): move the folder" in refusal
    shown = answer("--list", "--runs", str(runs))
    assert (shown.code, shown.err) == (0, "")


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
    refused(STUDY, "--only", "all", "--seeds", "1", "--runs", str(tmp_path / "runs"), "iterations=20")
    assert not (tmp_path / "runs").exists()


# --- a dry run refuses what the run would -----------------------------------------------------------------------------


def refused_alike(*arguments: str) -> str:
    """The one line with which a command refuses; its dry run says the same."""
    lines = []
    for looks in ("--dry-run", "--no-report"):
        refusal = answer(*arguments, looks)
        assert (refusal.code, refusal.err.count("\n")) == (2, 1), refusal
        lines.append(refusal.err)
    assert lines[0] == lines[1]
    return lines[0]


def a_file(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"")


def a_folder(place: Path) -> None:
    place.unlink(missing_ok=True)
    place.mkdir(parents=True)


IN_THE_WAY = [
    (f"plans/{STUDY}/cpu.json", a_file, "cpu.json is damaged (it is empty)"),
    ("plans", a_file, "runs/plans is a file where a folder is wanted: move it away"),
    ("plans/.lock", a_folder, ".lock is no file: remove it"),
    ("queue", a_file, "runs/queue is a file where a folder is wanted: move it away"),
    (f"queue/{STUDY}.journal", a_folder, "journal is no file: remove it"),
    (f"queue/{STUDY}.enqueue.lock", a_folder, "lock is no file: remove it"),
    ("cache", a_file, "runs/cache is a file where a folder is wanted: move it away"),
]


@pytest.mark.parametrize(("name", "put", "said"), IN_THE_WAY, ids=[name for name, _, _ in IN_THE_WAY])
def test_what_is_in_the_place_of_something_else_is_refused_by_the_dry_run_as_by_the_run(
    name: str, put: Callable[[Path], None], said: str, runs: Path
) -> None:
    put(runs / name)
    before = sorted(runs.rglob("*"))
    assert said in refused_alike(STUDY, "--only", "baseline,all", "--seeds", "2", "--runs", str(runs))
    assert sorted(runs.rglob("*")) == before


@pytest.mark.parametrize(
    "line", ['{"op_code": 99}', '{"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": "x"}']
)
def test_a_damaged_line_of_the_queue_is_refused_by_the_dry_run_as_by_the_run(line: str, runs: Path) -> None:
    Queue(runs, STUDY, "cpu")
    (journal,) = (runs / "queue").glob("*.journal")
    journal.write_text(f"{journal.read_text()}{line}\n")
    before = files_of(runs)
    said = refused_alike(STUDY, "--only", "baseline,all", "--seeds", "2", "--runs", str(runs))
    assert f"{journal.name} is damaged (line 2: " in said and files_of(runs) == before


def test_a_damaged_line_of_a_search_is_refused_by_the_dry_run_as_by_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    journal = journal_file(tmp_path, "learning_rates", "cpu")
    journal.parent.mkdir()
    journal.write_text('{"op_code": 99}\n')
    said = refused_alike("learning_rates", "--trials", "2", "--runs", str(tmp_path))
    assert f"{journal.name} is damaged (line 1: " in said and "its search begins anew" in said
    assert files_of(tmp_path) == {journal: journal.read_bytes()}


def test_a_queue_is_looked_at_where_nothing_may_be_written(runs: Path) -> None:
    Queue(runs, STUDY, "cpu")
    with read_only(runs):
        shown = answer(STUDY, "--dry-run", "--seeds", "2", "--runs", str(runs))
    assert shown.code == 0, shown.err


def test_blocked_runs_end_a_dry_run_as_they_end_the_run(runs: Path) -> None:
    arguments = (STUDY, "--only", "baseline", "--seeds", "1", "--runs", str(runs), "precision=tf32")
    assert "1 of 1 runs cannot be trained: precision is tf32" in refused_alike(*arguments)
    shown = answer(*arguments, "--dry-run", "--json")
    assert shown.code == 2 and json.loads(shown.out)["totals"]["blocked"] == 1


def files_of(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
