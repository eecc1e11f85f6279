"""Checks of the view's database file before it is opened: it may have come in a folder from somebody else.

SQLite acts on what lies beside a database as soon as it is opened to be written to. MLflow's server shows what is in
the places that rows name.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from urllib.parse import unquote, urlsplit

from core.errors import InputError
from core.files import check_inside, check_tree
from studies.mlflow_view.artifacts import FOLDER

BESIDE = ("-journal", "-wal", "-shm")
"""The ends of the names of files that SQLite keeps beside a database."""
JOURNAL_ENDS_WITH = bytes.fromhex("d9d505f920a163d7")
"""The last bytes of a journal that names another one, of a transaction over several databases: SQLite deletes what it
names. https://sqlite.org/fileformat.html, 3; `readSuperJournal` in its pager.c."""
PROXIED = "mlartifacts"
"""Where MLflow's server keeps what it is sent."""

PLACES = ("artifact_uri", "artifact_location", "storage_location", "trace_archival_location")
"""Columns of any table that say where files are."""
FURTHER = (
    ("model_versions", "select distinct source from model_versions"),
    ("trace_tags", "select distinct value from trace_tags where key = 'mlflow.artifactLocation'"),
)
INNER = re.compile(r"(models|runs):/[\w-]+(/[\w-]+)*", re.ASCII)
"""A model's place that is one of another row."""


def check_file(database: Path) -> None:
    """Raises InputError where opening a database file would reach another file: it, or what SQLite keeps beside it, is
    a link or a pipe, or a journal beside it names a file, which SQLite would delete."""
    for file in (database, *(database.with_name(database.name + end) for end in BESIDE)):
        with suppress(FileNotFoundError, NotADirectoryError):
            kind = file.lstat().st_mode
            if not S_ISREG(kind):
                what = "a link" if S_ISLNK(kind) else "no file"
                raise InputError(f"{file} is {what}: remove it, or name a database file: --tracking sqlite:///FILE")
    journal = database.with_name(database.name + BESIDE[0])
    with suppress(FileNotFoundError, NotADirectoryError), journal.open("rb") as stream:
        stream.seek(max(0, journal.stat().st_size - len(JOURNAL_ENDS_WITH)))
        if stream.read() == JOURNAL_ENDS_WITH:
            raise InputError(
                f"{journal} is of a transaction over several databases, which nothing here makes, and SQLite would "
                "delete a file that it names: move it away"
            )


def check_places(database: Path) -> None:
    """Raises InputError where a server of this database file would show files from elsewhere than `mlruns` beside it,
    and where that cannot be told."""
    check_file(database)
    root = database.parent
    for folder in (FOLDER, PROXIED):
        check_tree(root, root / folder)
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            elsewhere = next((place for place in _places(connection) if not _is_beside(place, root)), None)
    except sqlite3.Error as error:
        raise InputError(
            f"{database} cannot be read ({error}), so what a server would show of it is not known: "
            "`python -m studies.sync STUDY` looks into it; moved away, it is made anew from the run folders"
        ) from None
    if elsewhere is not None:
        raise InputError(
            f"{database} says that files are in {elsewhere}, and whoever asks the server would be shown "
            f"what is there: `python -m studies.sync STUDY` puts a study's own runs right, and `mlflow ui` in {root} "
            "shows the file as it is"
        )


def _places(connection: sqlite3.Connection) -> Iterator[str]:
    """Every place that the database names, but those of experiments that MLflow itself has chosen: in them runs would
    be made, and there are none."""
    tables = [str(name) for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
    for table in tables:
        quoted = table.replace('"', '""')
        columns = [row[1] for row in connection.execute(f'pragma table_info("{quoted}")')]
        for column in set(columns).intersection(PLACES):
            key = "experiment_id" if table == "experiments" else "0"
            for row, place in connection.execute(f'select distinct {key}, {column} from "{quoted}"'):
                if place and not (table == "experiments" and str(place).endswith(f"/{FOLDER}/{row}")):
                    yield str(place)
    for table, statement in FURTHER:
        if table in tables:
            yield from (str(place) for (place,) in connection.execute(statement) if place)
    if (views := connection.execute("select name from sqlite_master where type = 'view'").fetchone()) is not None:
        raise sqlite3.DatabaseError(f"it has a view {views[0]!r}, which no database of MLflow's has")


def _is_beside(place: str, root: Path) -> bool:
    """Whether MLflow finds what it notes to be at `place` in `mlruns` in that folder, or in a place of another row."""
    if INNER.fullmatch(place):
        return True
    # MLflow reads places in several ways: what they would not agree on is elsewhere.
    if re.search(r"[?#\\]", place) or ".." in unquote(unquote(place)).split("/"):
        return False
    parts = urlsplit(place)
    if parts.scheme == "mlflow-artifacts":
        return not parts.netloc
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return False
    try:
        check_inside(root / FOLDER, root / unquote(parts.path))
    except InputError:
        return False
    return True
