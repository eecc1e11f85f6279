"""The files of a view stay with its database: wherever the folder is moved or copied to, whatever the database says of
places, and whatever became of the files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from core.errors import InputError
from reports import render
from studies import catalogue, sync
from studies.mlflow_view.artifacts import Beside
from studies.mlflow_view.connection import check_own
from studies.mlflow_view.database import check_places
from studies.mlflow_view.sync import MlflowView
from studies.plan import Plan, plan_file, record_plan, report_folder
from studies.runner.tasks import tasks_of
from tests.studies.test_tracking import write_folder, write_report

FORMS = ("file://{}", "mlflow-artifacts:/x", "../victim")

pytestmark = pytest.mark.filterwarnings("ignore")  # Those of SQLAlchemy are between it and mlflow.


class Project:
    """A working folder with a plan, its runs, and an empty `mlflow.db`; the process is in it."""

    def __init__(self, folder: Path, plan: Plan, enter: Callable[[Path], None]) -> None:
        self.folder, self.plan, self.enter = folder, plan, enter
        enter(folder)

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def view(self) -> MlflowView:
        """As a command that begins now has it."""
        return MlflowView(catalogue.study("changes_overview"), self.plan, self.runs)

    @property
    def report(self) -> Path:
        return report_folder(self.runs, self.plan.study, self.plan.setting)

    def train(self, number: int) -> None:
        write_folder(self.runs, tasks_of(self.plan)[number])

    def sync(self) -> tuple[int, bool]:
        view = self.view
        return view.sync(), view.show_report(self.report)

    def is_shown(self) -> bool:
        return self.view.in_sync() and self.view.shows_report(self.report)

    def files(self) -> dict[str, str]:
        """Every file of the folder, by what is in it."""
        return {
            file.relative_to(self.folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in self.folder.rglob("*")
            if file.is_file()
        }

    def sql(self, statement: str, *values: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as connection:
            found = connection.execute(statement, values).fetchall()
            connection.commit()
        return found

    def check(self, runs: int) -> None:
        """What anybody sees who serves the database from its folder."""
        view = self.view
        client = view.writer().client
        found = shown_with_report(view)
        assert len(found) == runs + 1
        for run in found:
            assert run.info.artifact_uri == f"mlruns/{run.info.experiment_id}/{run.info.run_id}/artifacts"
            names = {entry.path for entry in client.list_artifacts(run.info.run_id)}
            assert names >= ({"job.json", "images"} if "job" in run.data.tags else {"report.md", "figures"})
            images = client.list_artifacts(run.info.run_id, "images")
            assert all((self.folder / run.info.artifact_uri / image.path).is_file() for image in images)


def shown_with_report(view: MlflowView) -> list[Any]:
    client = view.writer().client
    experiment = client.get_experiment_by_name(view.name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return monkeypatch.chdir


@pytest.fixture
def begun(
    tmp_path: Path, _created_database: Path, small_plan: Callable[..., Plan], enter: Callable[[Path], None]
) -> Project:
    """A project whose first run is there, and not in MLflow yet."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(_created_database, folder / "mlflow.db")
    project = Project(folder, record_plan(folder / "runs", small_plan(seeds=(0, 1), variants=1)), enter)
    project.train(0)
    write_report(project.report, "first", "a.png")
    return project


@pytest.fixture
def project(begun: Project) -> Project:
    """One whose run and report are in MLflow."""
    assert begun.sync() == (1, True) and begun.is_shown()
    return begun


def test_a_moved_folder_has_its_view_and_nothing_comes_back_at_the_old_place(project: Project, tmp_path: Path) -> None:
    before = project.folder
    moved = Project(before.rename(tmp_path / "elsewhere"), project.plan, project.enter)
    assert moved.is_shown() and moved.view.link is not None and moved.sync() == (0, False)
    moved.check(1)
    moved.train(1)
    write_report(moved.report, "second", "b.png")
    assert moved.sync() == (1, True) and moved.is_shown()
    moved.check(2)
    assert not before.exists()


def test_a_copy_leaves_the_original_as_it_is(project: Project, tmp_path: Path) -> None:
    before = project.files()
    copy = Project(shutil.copytree(project.folder, tmp_path / "copy"), project.plan, project.enter)
    copy.train(1)
    write_report(copy.report, "second", "b.png")
    assert copy.sync() == (1, True)
    copy.view.sync(distrustful=True)
    copy.check(2)
    assert project.files() == before


@pytest.mark.parametrize("gone", ["mlruns", "mlruns/*/*/artifacts/images/real+*"])
def test_files_that_are_gone_come_back(begun: Project, gone: str) -> None:
    folder = begun.runs / "jobs" / tasks_of(begun.plan)[0].digest / "samples"
    shutil.copy(folder / "000002.png", folder / "real.png")
    begun.sync()
    before = {name for name in begun.files() if name.startswith("mlruns")}
    for path in list(begun.folder.glob(gone)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.write_bytes(b"")  # As after a power cut.
    assert not begun.is_shown()
    runs, report = begun.sync()
    assert (runs == 1 or report) and begun.is_shown() and begun.sync() == (0, False)
    assert {name for name in begun.files() if name.startswith("mlruns")} == before
    begun.check(1)


@pytest.mark.parametrize(
    "form", ["{}", "s3://bucket{}", *(pytest.param(form, marks=pytest.mark.slow) for form in FORMS)]
)
def test_what_a_database_says_of_places_is_not_followed(project: Project, tmp_path: Path, form: str) -> None:
    """As it is in a folder of an earlier version that was moved, and in one that somebody has prepared."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "report.md").write_text("mine")
    project.sql("update runs set artifact_uri = ?", form.format(victim))
    project.sql("update experiments set artifact_location = ?", form.format(victim))
    (project.runs / "mlflow-synced.json").unlink()
    project.train(1)
    write_report(project.report, "second", "b.png")
    assert project.sync() == (2, True) and project.is_shown()
    project.check(2)
    assert {file.name: file.read_text() for file in victim.iterdir()} == {"report.md": "mine"}


SERVED = (
    *("{}", "file:../victim", "mlruns/%2e%2e/%2e%2e/victim", "s3://theirs/x", "mlflow-artifacts://theirs/x"),
    *("mlruns/1#/../../../victim", "mlruns/1?/../../../victim", "mlruns/%252e%252e/%252e%252e/victim"),
)


def test_nothing_is_served_but_what_is_beside_the_database(project: Project, tmp_path: Path) -> None:
    database = project.folder / "mlflow.db"
    check_places(database)
    for form in SERVED:
        project.sql("update runs set artifact_uri = ?", form.format(tmp_path / "victim"))
        with pytest.raises(InputError, match=r"studies\.sync STUDY.*mlflow ui"):
            check_places(database)
    (project.runs / "mlflow-synced.json").unlink()
    project.sync()
    check_places(database)
    (project.folder / "mlruns" / "1" / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out of"):
        check_places(database)


ELSEWHERE = (
    "insert into registered_models (name, workspace) values ('m', 'default')",
    "update experiments set artifact_location = '/etc' where experiment_id = 1",
    "insert into trace_info (request_id, experiment_id, timestamp_ms, status, db_payload_generation) "
    "values ('t', 1, 0, 'OK', 0)",
    "insert into logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, "
    "last_updated_timestamp_ms, status, lifecycle_stage) values ('m-1', 1, 'm', '/etc', 0, 0, 2, 'active')",
    "insert into model_versions (workspace, name, version, source) values ('default', 'm', 1, '/etc')",
    "insert into model_versions (workspace, name, version, storage_location) values ('default', 'm', 2, '/etc')",
    "insert into trace_tags (request_id, key, value) values ('t', 'mlflow.artifactLocation', '/etc')",
)


def test_no_row_of_any_table_names_a_place_to_be_served(project: Project) -> None:
    database = project.folder / "mlflow.db"
    for prepared in (ELSEWHERE[0], ELSEWHERE[2]):
        project.sql(prepared)
    check_places(database)
    whole = database.read_bytes()
    for statement in ELSEWHERE[1:2] + ELSEWHERE[3:]:
        project.sql(statement)
        with pytest.raises(InputError, match="says that files are in /etc"):
            check_places(database)
        database.write_bytes(whole)
    project.sql(ELSEWHERE[4].replace("/etc", "models:/m-0123"))  # What is beside a model, or in its run.
    check_places(database)


@pytest.mark.parametrize("statement", ["create view more as select 1", "drop table runs; garbage"])
def test_a_database_that_cannot_be_looked_into_is_not_served(project: Project, statement: str) -> None:
    if "view" in statement:
        project.sql(statement)
    else:
        (project.folder / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(InputError, match="what a server would show of it is not known"):
        check_places(project.folder / "mlflow.db")


@pytest.mark.parametrize("end", ["", "-journal", "-wal", "-shm"])
@pytest.mark.parametrize("make", [Path.symlink_to, lambda file, _: os.mkfifo(file)], ids=["link", "pipe"])
def test_a_database_that_is_a_link_or_has_one_beside_it_is_not_opened(
    project: Project, tmp_path: Path, end: str, make: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim.db"
    with closing(sqlite3.connect(victim)) as connection:
        connection.execute("create table mine (x)")
    before = victim.read_bytes()
    file = project.folder / f"mlflow.db{end}"
    file.unlink(missing_ok=True)
    make(file, victim)
    (project.runs / "mlflow-synced.json").unlink()
    with pytest.raises(InputError, match=rf"mlflow\.db{end} is (a link|no file): remove it"):
        project.sync()
    with pytest.raises(InputError, match=rf"mlflow\.db{end} is"):
        check_places(project.folder / "mlflow.db")
    assert victim.read_bytes() == before


def hot_journal(database: Path, victim: Path) -> None:
    """A journal of an interrupted transaction over several databases, one of them `victim`."""
    content, magic, name = database.read_bytes(), bytes.fromhex("d9d505f920a163d7"), os.fsencode(victim)
    page = struct.unpack(">H", content[16:18])[0]
    header = magic + struct.pack(">IIIII", 0, 12345, len(content) // page, 512, page)
    named = struct.pack(">I", 2**30 // page + 1) + name + struct.pack(">II", len(name), sum(name) & 0xFFFFFFFF) + magic
    database.with_name("mlflow.db-journal").write_bytes(header.ljust(512, b"\0") + named)


def test_a_journal_that_names_a_file_does_not_get_it_deleted(project: Project, tmp_path: Path) -> None:
    victim = tmp_path / "thesis.txt"
    for look in (project.sync, lambda: check_places(project.folder / "mlflow.db")):
        victim.write_text("mine")
        hot_journal(project.folder / "mlflow.db", victim)
        (project.runs / "mlflow-synced.json").unlink(missing_ok=True)
        with pytest.raises(InputError, match="journal is of a transaction over several databases"):
            look()
        assert victim.read_text() == "mine"
    # As SQLite would have it.
    with closing(sqlite3.connect(project.folder / "mlflow.db")) as connection, suppress(sqlite3.Error):
        connection.execute("create table x (y)")
    assert not victim.exists()


def test_the_experiment_of_a_moved_folder_of_an_earlier_version_is_put_right(project: Project) -> None:
    (project.runs / "mlflow-synced.json").unlink()
    project.sql("update experiments set artifact_location = '/proc/nowhere/mlruns/1' where experiment_id = 1")
    project.sync()
    assert project.sql("select artifact_location from experiments where experiment_id = 1") == [("mlruns/1",)]


@pytest.mark.parametrize("link", ["mlruns", "mlruns/1/{}/artifacts"])
def test_links_among_the_files_are_not_followed(project: Project, tmp_path: Path, link: str) -> None:
    victim = tmp_path / "victim"
    place = project.folder / link.format(shown_with_report(project.view)[0].info.run_id)
    shutil.move(place, victim)
    place.symlink_to(victim, target_is_directory=True)
    before = set(victim.rglob("*"))
    project.train(0)
    (project.runs / "mlflow-synced.json").unlink()
    (project.report / "figures" / "a.png").unlink()
    write_report(project.report, "second", "b.png")
    with pytest.raises(InputError, match="leads out of"):
        project.sync()
    assert set(victim.rglob("*")) == before


def test_a_link_in_the_place_of_a_file_is_replaced(project: Project, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (file,) = project.folder.glob("mlruns/*/*/artifacts/job.json")
    file.unlink()
    file.symlink_to(victim)
    assert project.sync() == (1, False)
    assert victim.read_text() == "mine" and not file.is_symlink()


def test_nothing_that_a_plan_names_is_shown_as_something_to_type(project: Project) -> None:
    file = plan_file(project.runs, project.plan.study, project.plan.setting)
    file.write_text(json.dumps(json.loads(file.read_text()) | {"declared_in": "evil.py"}))
    write_report(project.report, "second", "b.png")
    assert CliRunner().invoke(sync.main, ["changes_overview", "--runs", str(project.runs)]).exit_code == 0
    (note,) = project.sql("select value from tags where key = 'mlflow.note.content'")
    assert "python -m studies.sync changes_overview" in note[0]
    assert project.sql("select value from tags where value like '%evil%'") == []
    write_report(project.report, "third", "c.png")
    rendered = CliRunner().invoke(render.main, ["changes_overview", "--runs", str(project.runs), "--format", "md"])
    assert "`python -m studies.sync changes_overview` shows this report there" in rendered.output
    assert rendered.exit_code == 0 and "evil" not in rendered.output


def test_ids_that_would_be_paths_are_refused(tmp_path: Path) -> None:
    for name in ("../../x", "..", "a/b", "", "a" * 100):
        for refused in (lambda name: Beside(tmp_path, "1").names(name), lambda name: Beside(tmp_path, name)):
            with pytest.raises(InputError, match="none of MLflow's"):
                refused(name)


def test_somebodys_own_experiments_in_the_same_database_stay_as_they_are(project: Project, tmp_path: Path) -> None:
    client = project.view.writer().client
    theirs = client.create_experiment("my own", artifact_location=str(tmp_path / "far" / "mlruns" / "2"))
    client.create_run(theirs, tags={"job": "mine"})
    ours = shown_with_report(project.view)[0].info.experiment_id
    beside = client.create_run(ours, tags={"mine": "yes"}).info.run_id
    project.sql("update runs set artifact_uri = '/far/mlruns/1/x/artifacts' where run_uuid = ?", beside)

    def rows(of: Project) -> list[list[tuple[str, ...]]]:
        runs = of.sql("select * from runs where experiment_id = ? or run_uuid = ?", theirs, beside)
        return [runs, of.sql("select * from experiments where experiment_id = ?", theirs)]

    kept = rows(project)
    moved = Project(project.folder.rename(tmp_path / "elsewhere"), project.plan, project.enter)
    (moved.runs / "mlflow-synced.json").unlink()
    moved.sync()
    assert rows(moved) == kept


def test_a_server_that_gives_a_folder_of_this_machine_for_a_runs_is_not_believed() -> None:
    check_own("mlflow-artifacts:/1/abc/artifacts", "abc")
    check_own("/srv/mlruns/1/abc/artifacts", "abc")
    for location in ("/home/ann", "file:///home/ann", "/home/ann/other/artifacts", ""):
        with pytest.raises(InputError, match="no folder of a run"):
            check_own(location, "abc")


@pytest.mark.parametrize("made", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ['c%41b?x=1#y;z 100% it\'s "é" :b\\n %2F'])
def test_any_working_folder_has_a_view(
    begun: Project, tmp_path: Path, name: str, made: bool, enter: Callable[[Path], None]
) -> None:
    project = Project(begun.folder.rename(tmp_path / name), begun.plan, enter)
    if made:
        (project.folder / "mlflow.db").unlink()
    tidy()
    try:
        assert project.sync() == (1, True) and project.is_shown() and project.view.link is not None
        project.check(1)
    finally:
        tidy()
    assert [file.name for file in tmp_path.iterdir() if file.name != "cwd"] == [name]
    assert {file.name for file in project.folder.iterdir()} == {"mlflow.db", "mlflow.db.lock", "mlruns", "runs"}


def tidy() -> None:
    """MLflow keeps what it has open by URL, and one that is relative is of the working folder."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    _tracking_store_registry._get_store_with_resolved_uri.cache_clear()
    SqlAlchemyStore._engine_map.clear()
