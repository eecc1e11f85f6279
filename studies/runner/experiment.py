"""A plan's experiment in MLflow, as far as it can be told without loading mlflow: its name, its pages, and what was
written to it last."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from filelock import FileLock

from core.files import write_whole
from core.words import typed
from studies.plan import Plan
from studies.runner.stores import DEFAULT_TRACKING, DRIVER, TRACKING_VARIABLE, address, folder_id, tracking_uri
from studies.runner.views import FIRST_VIEW

LOCAL_SERVER = "http://127.0.0.1:5000"
"""Where `mlflow ui` answers."""


def experiment_name(plan: Plan) -> str:
    """The study's name; settings other than the default one are told apart."""
    return plan.study if plan.setting == "cpu" else f"{plan.study} [{plan.setting}]"


class Experiment:
    """The experiment that shows one plan, from one folder of runs, in the database or on the server in use."""

    def __init__(self, plan: Plan, runs: Path) -> None:
        self.plan, self.runs = plan, runs
        self.uri = tracking_uri()
        self.experiment = experiment_name(plan)
        self._record_file = runs / "mlflow-synced.json"

    @property
    def database(self) -> Path | None:
        """The database file of an sqlite view, None for a server."""
        if not self.uri.startswith("sqlite:///"):
            return None
        return Path(self.uri.removeprefix("sqlite:///").partition("?")[0]).absolute()

    @cached_property
    def _whose(self) -> str:
        return folder_id(self.runs / "queue")

    @property
    def link(self) -> str | None:
        """The page that compares the variants, once there is an experiment; it needs a server that answers there."""
        return self.link_at(without_user(self.uri) if self.uri.startswith("http") else LOCAL_SERVER)

    def link_at(self, server: str) -> str | None:
        """That page on this server."""
        experiment_id = self._record().get("experiment_id")
        return None if experiment_id is None else f"{server.rstrip('/')}/{view_page(experiment_id, FIRST_VIEW)}"

    @property
    def command(self) -> str | None:
        """What to type to see the page, None where a server runs anyway."""
        if self.uri.startswith("http"):
            return None
        if self.uri == DEFAULT_TRACKING:
            return "mlflow ui"
        if address(self.uri) == self.uri:
            return typed("mlflow", "ui", "--backend-store-uri", self.uri)
        # Everybody can read the arguments of a process, and a shell puts the password there.
        return f'MLFLOW_BACKEND_STORE_URI="{DRIVER}://${{{TRACKING_VARIABLE}#*://}}" mlflow ui'

    @property
    def how(self) -> str | None:
        """How to come to the page, for a line of text; None while there is none."""
        if (link := self.link) is None:
            return None
        return f"`{self.command}`, then {link}" if self.command else link

    def shows_report(self, folder: Path) -> bool:
        """Whether the experiment has the report that is in `folder`, as it is there."""
        return self._record().get("report") == report_digest(folder)

    # --- what is shown already ----------------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        """The view's address, wherever the process stands, without a password."""
        if self.database is None:
            return address(self.uri)
        _, mark, options = self.uri.partition("?")
        return f"sqlite:///{self.database}{mark}{options}"

    def _record(self) -> dict[str, Any]:
        """What was written to this view's experiment, `{}` where nothing was, or where the database is another one."""
        try:
            record: dict[str, Any] = json.loads(self._record_file.read_text())[self._key][self.experiment]
        except (FileNotFoundError, ValueError, KeyError):
            return {}
        return record if self.database is None or self._database_has(self.database, record) else {}

    def _database_has(self, database: Path, record: dict[str, Any]) -> bool:
        """Whether the runs on record are in the database: it may have been deleted, or its runs may have been."""
        if not database.exists():
            return False
        try:
            connection = sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=5)
            try:
                jobs, reports = (
                    connection.execute(
                        "select count(distinct shown.value) from tags shown "
                        "join tags whose on whose.run_uuid = shown.run_uuid "
                        "join runs on runs.run_uuid = shown.run_uuid "
                        "where shown.key = ? and whose.key = 'runs' "
                        "and whose.value = ? and runs.experiment_id = ? and runs.lifecycle_stage = 'active'",
                        (key, self._whose, record["experiment_id"]),
                    ).fetchone()[0]
                    for key in ("job", "report")
                )
            finally:
                connection.close()
        except sqlite3.Error:
            return False
        return int(jobs) >= len(record["jobs"]) and int(reports) >= ("report" in record)

    def _keep(self, record: dict[str, Any]) -> None:
        with FileLock(self._record_file.with_suffix(".lock")):
            try:
                everything = json.loads(self._record_file.read_text())
            except (FileNotFoundError, ValueError):
                everything = {}
            everything.setdefault(self._key, {})[self.experiment] = record
            write_whole(self._record_file, json.dumps(everything, indent=1).encode())


def report_files(folder: Path) -> list[Path]:
    """All files of a report's folder, in order."""
    return sorted(file for file in folder.rglob("*") if file.is_file())


def report_digest(folder: Path) -> str:
    """16 hex digits of the sha256 of a report's files and their names: equal input renders equal bytes."""
    digest = hashlib.sha256()
    for file in report_files(folder):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def view_page(experiment_id: str, view: str) -> str:
    """A saved view of an experiment, as the part of the address behind the server's.

    Without `workflowType` a browser that is there for the first time shows its pages for language models.
    """
    query = f"viewStateShareKey={view}&compareRunsMode=CHART&workflowType=machine_learning"
    return f"#/experiments/{quote(str(experiment_id), safe='')}/runs?{query}"


def artifact_page(experiment_id: str, run_id: str, file: str) -> str:
    """A file of a run, as the part of the address behind the server's."""
    ids = (quote(str(each), safe="") for each in (experiment_id, run_id))
    return "#/experiments/{}/runs/{}/artifacts/{}?workflowType=machine_learning".format(*ids, quote(file))


def without_user(url: str) -> str:
    """The URL as a browser gets it: who may use a server is the browser's to ask."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
