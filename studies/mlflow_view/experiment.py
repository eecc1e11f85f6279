"""A plan's experiment in MLflow, as far as it can be told without loading mlflow: its name, its pages, and what was
written to it last."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from core.files import write_whole
from core.locks import FileLock
from core.reading import Damaged, json_of
from core.words import typed
from studies.mlflow_view.artifacts import Beside
from studies.mlflow_view.attachments import has_report, report_digest
from studies.mlflow_view.fitting import EXPERIMENT_NAME, fitted
from studies.plan import Plan
from studies.stores import (
    DEFAULT_TRACKING,
    DRIVER,
    SQLITE,
    TRACKING_VARIABLE,
    address,
    folder_id,
    known_id,
    sqlite_file,
    tracking_uri,
)

LOCAL_SERVER = "http://127.0.0.1:5000"
"""Where `mlflow ui` answers."""
FIRST_VIEW = "variants"
"""The key of the saved view that the experiment's page opens with."""
REPORT_RUN = ""
"""In the place of a job: the run that has the report."""
MOST_KEPT = 2**26
"""Bytes of what is on record of all views of a folder of runs."""
READ_SECONDS = 2.0
"""For a database file that somebody is writing to."""


def experiment_name(plan: Plan) -> str:
    """The study's name; settings other than the default one are told apart."""
    return fitted(plan.study if plan.setting == "cpu" else f"{plan.study} [{plan.setting}]", EXPERIMENT_NAME)


class Experiment:
    """The experiment that shows one plan, from one folder of runs, in the database or on the server in use."""

    def __init__(self, plan: Plan, runs: Path) -> None:
        self.plan, self.runs = plan, runs
        self.uri = tracking_uri()
        self.name = experiment_name(plan)
        self._record_file = runs / "mlflow-synced.json"

    @property
    def database(self) -> Path | None:
        """The database file of an sqlite view, None for a server."""
        return sqlite_file(self.uri) if self.uri.startswith(SQLITE) else None

    @cached_property
    def whose(self) -> str:
        """The name of the folder of runs, by which its runs are told from those of others; made where there is none."""
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
        if self.database is not None:
            # Files are found from the folder that the database is in.
            there = "" if self.database.parent == Path.cwd() else f"cd {shlex.quote(str(self.database.parent))} && "
            return f"{there}mlflow ui --backend-store-uri {shlex.quote(server_url(self.database))}"
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
        record = self._record()
        try:
            if record.get("report") != report_digest(folder):
                return False
            run_id, files = self._runs_in_file(record).get(REPORT_RUN), self._files(record)
            return (
                run_id is None
                or files is None
                or has_report(folder, files.names(run_id), partial(files.content, run_id))
            )
        except Damaged:
            return False  # Whoever is to show it says why.

    # --- what is shown already ----------------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        """The view's address without what is secret, as seen from the runs: both may be moved together."""
        if self.database is None:
            return address(self.uri)
        return f"sqlite:{os.path.relpath(self.database, self.runs.absolute())}"

    def _record(self) -> dict[str, Any]:
        """What was written to this view's experiment, `{}` where nothing was, or where the database is another one."""
        match self._records():
            case {self._key: {self.name: {"experiment_id": str(), "jobs": dict()} as found}}:
                record: dict[str, Any] = found
            case _:
                return {}
        if self.database is None:
            return record
        shown = self._runs_in_file(record)
        return (
            record if shown.keys() >= record["jobs"].keys() and ("report" not in record or REPORT_RUN in shown) else {}
        )

    def _records(self) -> dict[str, Any]:
        """Everything that is on record. Where that is damaged it is written anew: MLflow is asked what it has."""
        try:
            records = json_of(self._record_file, "remove it", MOST_KEPT)
        except (FileNotFoundError, Damaged):
            return {}
        return records if isinstance(records, dict) else {}

    def _files(self, record: dict[str, Any]) -> Beside | None:
        """The files of the runs, where they are beside a database file."""
        return None if self.database is None else Beside(self.database.parent, str(record["experiment_id"]))

    def _runs_in_file(self, record: dict[str, Any]) -> dict[str, str]:
        """The runs of this view that the database file has, by job, the report's by `REPORT_RUN`: the file may have
        been deleted, or its runs may have been."""
        try:
            whose = known_id(self.runs / "queue")
        except Damaged:
            return {}  # Whoever is to write to the view says why.
        if self.database is None or whose is None or not self.database.is_file():
            return {}
        try:
            uri = f"{self.database.as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=READ_SECONDS)) as connection:
                rows = connection.execute(
                    "select shown.key, shown.value, shown.run_uuid from tags shown "
                    "join tags whose on whose.run_uuid = shown.run_uuid "
                    "join runs on runs.run_uuid = shown.run_uuid "
                    "where shown.key in ('job', 'report') and whose.key = 'runs' "
                    "and whose.value = ? and runs.experiment_id = ? and runs.lifecycle_stage = 'active'",
                    (whose, record["experiment_id"]),
                ).fetchall()
        except sqlite3.Error:
            return {}
        return {str(value) if key == "job" else REPORT_RUN: str(run_id) for key, value, run_id in rows}

    def _keep(self, record: dict[str, Any]) -> None:
        with FileLock(self._record_file.with_suffix(".lock")):
            everything = self._records()
            kept = everything.get(self._key)
            everything[self._key] = {**(kept if isinstance(kept, dict) else {}), self.name: record}
            write_whole(self._record_file, json.dumps(everything, indent=1).encode())


def server_url(database: Path) -> str:
    """The URL with which a server that is started in the folder of this file shows it."""
    return SQLITE + quote(database.name)


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
    """The URL as a browser gets it: who may use a server, by a password or a token, is the browser's to ask."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
