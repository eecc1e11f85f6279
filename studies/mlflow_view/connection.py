"""The way into the database or server that has a view: whether it can be written, its client, where files are."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sqlalchemy import Engine, create_engine, text

from core.errors import InputError
from core.files import make_folder
from studies.mlflow_view.artifacts import FOLDER, Beside, sound_id
from studies.mlflow_view.database import check_file
from studies.runner.outages import Unreachable
from studies.stores import DRIVER, SQLITE, sqlite_url

CONNECT_SECONDS = 10
LOCKED_SECONDS = 20.0
"""For a database file that somebody holds: writers take milliseconds."""
ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
"""Where a new database notes that files are, until a note is put right: the one way to say it to a client."""
RIGHT_EXPERIMENT = "update experiments set artifact_location = :right where experiment_id = :id"
RIGHT_RUN = "update runs set artifact_uri = :right where run_uuid = :id"


def check_writable(uri: str, database: Path | None) -> None:
    """Raises Unreachable where the database cannot be written now: mlflow would try for minutes. And InputError where
    opening a database file would reach another one."""
    if database is not None:
        _check_file_writable(database)
    elif uri.startswith(DRIVER):
        with _engine(uri) as engine:
            engine.connect().close()


def _check_file_writable(database: Path) -> None:
    make_folder(database.parent)
    check_file(database)
    try:
        with closing(sqlite3.connect(database, timeout=LOCKED_SECONDS, isolation_level=None)) as connection:
            connection.execute("begin immediate")
            # A file that can only be read lets a transaction begin.
            connection.execute('create table "may I write" (x)')
            connection.execute("rollback")
    except sqlite3.Error as error:
        why = (
            "another program holds it"
            if "locked" in str(error)
            else "it is not yours to write, no such file, or damaged: moved away, it is made anew from the run folders"
        )
        raise Unreachable(f"{database}: {error} ({why}): --tracking sqlite:///FILE names another one") from None


def connect(uri: str, database: Path | None) -> MlflowClient:
    """MLflow's client; a database that is not there is made, which only one process may do."""
    # What they have to say comes as an error as well, of which a line is shown.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if database is None:
        return MlflowClient(tracking_uri=uri)
    url = sqlite_url(uri)
    with _living_with(url, database):
        return MlflowClient(tracking_uri=url)


@contextmanager
def _living_with(url: str, database: Path) -> Iterator[None]:
    """While this lasts MLflow opens the database of this URL, and makes it where there is none, whatever its path.

    It would paste the path of the working folder into SQL, and makes folders of what is encoded in a URL.
    """
    made = [folder for folder in Path(url.removeprefix(SQLITE)).absolute().parents if not folder.exists()]
    before = os.environ.get(ARTIFACT_ROOT)
    os.environ[ARTIFACT_ROOT] = (database.parent / FOLDER).as_uri()
    try:
        yield
    finally:
        os.environ.pop(ARTIFACT_ROOT)
        if before is not None:
            os.environ[ARTIFACT_ROOT] = before
        with suppress(OSError):
            for folder in made:
                folder.rmdir()


class Served:
    """The files of runs where a server, or a database on one, says."""

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self.client, self.uri = client, uri

    def names(self, run_id: str) -> set[str]:
        """See `Beside`."""
        return set(self._below(run_id, None))

    def _below(self, run_id: str, folder: str | None) -> Iterator[str]:
        for entry in self.client.list_artifacts(run_id, folder):
            if entry.is_dir:
                yield from self._below(run_id, entry.path)
            elif entry.file_size != 0:
                yield entry.path

    def put(self, run_id: str, name: str, content: bytes) -> None:
        """See `Beside`."""
        with TemporaryDirectory() as folder:
            file = Path(folder, Path(name).name)
            file.write_bytes(content)
            self.client.log_artifact(run_id, str(file), name.rpartition("/")[0] or None)

    def remove(self, run_id: str, name: str) -> None:
        """See `Beside`."""
        location = self.client.get_run(run_id).info.artifact_uri
        get_artifact_repository(location, tracking_uri=self.uri).delete_artifacts(name)


def _is_local(location: str) -> bool:
    """Whether files that MLflow notes to be there are in a file system of this machine."""
    return urlsplit(location).scheme in ("", "file")


def check_own(location: str, run_id: str) -> None:
    """Raises InputError where a server says that a run's files are in a folder of this machine that is no run's: files
    would be replaced and removed there."""
    if _is_local(location) and not location.endswith(f"/{sound_id(run_id)}/artifacts"):
        raise InputError(f"MLflow says that the files of run {run_id} are in {location}, which is no folder of a run")


class Places:
    """Where the files of one experiment's runs are, and MLflow's notes of that, which a database file has put right."""

    artifacts: Beside | Served

    def __init__(self, client: MlflowClient, experiment: Experiment, uri: str, database: Path | None) -> None:
        self._uri, self._database = uri, database
        experiment_id, noted = str(experiment.experiment_id), str(experiment.artifact_location)
        if database is not None:
            self.artifacts = beside = Beside(database.parent, experiment_id)
            if (right := beside.note_of_experiment(noted)) != noted:
                self._write(RIGHT_EXPERIMENT, [{"id": experiment.experiment_id, "right": right}])
        elif uri.startswith(DRIVER) and _is_local(noted):
            self.artifacts = Beside(Path.cwd(), experiment_id, movable=False)
        else:
            self.artifacts = Served(client, uri)

    def put_right(self, noted: Mapping[str, str]) -> None:
        """Lets the rows of runs say where their files are: `noted` are ids of runs with what they say."""
        if not isinstance(self.artifacts, Beside):
            for run_id, location in noted.items():
                check_own(location, run_id)
            return
        rights = [{"id": run_id, "right": self.artifacts.note(run_id)} for run_id in noted]
        if wrong := [right for right in rights if noted[right["id"]] != right["right"]]:
            self._write(RIGHT_RUN, wrong)

    def _write(self, statement: str, rows: list[dict[str, Any]]) -> None:
        """Carries out a statement for all of these rows, or for none."""
        with _engine(self._uri, self._database) as engine, engine.begin() as connection:
            connection.execute(text(statement), rows)


@contextmanager
def _engine(uri: str, database: Path | None = None) -> Iterator[Engine]:
    """SQLAlchemy's engine for the database at a URL, or in a file."""
    if database is None:
        engine = create_engine(uri, connect_args={"connect_timeout": CONNECT_SECONDS})
    else:
        engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(database, timeout=LOCKED_SECONDS))
    try:
        yield engine
    finally:
        engine.dispose()
