"""What Optuna keeps its trials in, and the lock that goes with it: journal files, or a PostgreSQL database.

Loads optuna. A database may be gone for minutes while it is restarted or moved: every call waits for it, training goes
on meanwhile, and `Store.at_once` is for those who cannot wait.
"""

from __future__ import annotations

import abc
import functools
import inspect
import logging
import math
import random
import sys
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from core.command_line import say_error
from core.errors import InputError
from core.files import make_folder
from core.locks import FileLock
from core.names import DIGEST, WORKER, fits
from core.words import visible
from studies.plan import check_queue_folder
from studies.runner.journal import journal_in, lost_with
from studies.runner.stores import Unreachable, asked_to_stop, error_line
from studies.stores import QUEUE_VARIABLE, address, folder_id, queue_url

if TYPE_CHECKING:
    from sqlalchemy import Engine

T = TypeVar("T")

OUTAGE_SECONDS = 1800.0
"""A database that has been gone for longer is not only being restarted."""
FIRST_PAUSE_SECONDS = 0.2
MOST_PAUSE_SECONDS = 15.0
LOOK_SECONDS = 0.2
CONNECT_SECONDS = 10

WORD = 80
"""So many signs of a wrong word are shown."""

ENGINE: dict[str, Any] = {
    # A connection that the server has dropped since is replaced before it is used.
    "pool_pre_ping": True,
    "pool_recycle": 600,
    "pool_size": 1,
    "max_overflow": 4,
    # Claims are decided by row locks, which under stricter isolation end in errors instead of a loser.
    "isolation_level": "READ COMMITTED",
    "connect_args": {
        "application_name": "inr-gan-ablations",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        # A stopped process would keep the rows it has locked from everybody else.
        "options": "-c idle_in_transaction_session_timeout=60000",
    },
}


class Store(Protocol):
    """Trials that any number of processes share."""

    storage: BaseStorage
    place: str
    """Where they are, and what to do with a trial there that is none of ours."""

    def named(self, name: str) -> str:
        """What a study of this name is called in the storage."""
        ...

    def exclusively(self, body: Callable[[], T]) -> T:
        """The result of `body`, which nobody else in this store runs meanwhile; it may be called more than once."""
        ...

    def at_once(self) -> AbstractContextManager[None]:
        """Within it this thread waits for nothing: what is not there raises `Unreachable`."""
        ...


def store_of(folder: Path, journal: str, lock: str) -> Store:
    """The store that INR_GAN_QUEUE names, or else the files `journal` and `lock` in `folder`, the queue's.

    Raises InputError for a URL that cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = queue_url()
    return Journal(folder / journal, folder / lock) if url is None else Database(url, folder, journal)


def queue_folder(runs: Path, study: str) -> tuple[Path, Path]:
    """The folder of all queues and that of the locks of a study's workers, made where they are missing.

    Raises InputError where a link in it leads out of `runs`.
    """
    folder = check_queue_folder(runs)
    workers = folder / f"{study}.workers"
    make_folder(workers)
    return folder, workers


def worker_lock_in(workers: Path, worker: str) -> Path:
    """The file that a worker holds locked for as long as it lives. Raises InputError for what is no worker's name."""
    if not fits(WORKER, worker):
        raise InputError(f"'{visible(worker)[:WORD]}' is no name of a worker: letters, digits, _, . and - alone")
    return workers / f"{worker}.lock"


def study_in(store: Store, name: str, pruner: BasePruner | None = None) -> tuple[optuna.Study, int]:
    """The study of this name, made where there is none, and its id. Raises InputError for one that seeks otherwise."""
    name = store.named(name)
    study = optuna.create_study(
        storage=store.storage, study_name=name, direction="minimize", load_if_exists=True, pruner=pruner
    )
    _check_sought(study.directions, name, store)
    return study, store.storage.get_study_id_from_name(name)


def _check_sought(directions: Sequence[StudyDirection], name: str, store: Store) -> None:
    if list(directions) != [StudyDirection.MINIMIZE]:
        raise InputError(f"'{visible(name)}' does not seek the least of one value, as ours do, in {store.place}")


def check_journal(file: Path, name: str, values: Collection[str] = ()) -> None:
    """Raises InputError where whoever works with the study `name` in a journal would. Makes and writes nothing."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        store = Journal(file, file, made=False)
        study_id = store.storage.get_study_id_from_name(name)
    except (FileNotFoundError, KeyError):
        return  # Whoever works with it makes it.
    _check_sought(store.storage.get_study_directions(study_id), name, store)
    trials_in(store, study_id, values=values)


def trials_in(store: Store, study_id: int, *states: TrialState, values: Collection[str] = ()) -> list[FrozenTrial]:
    """The study's trials in these states, or all. The one way to read them: what they say becomes paths.

    Raises InputError for one with a job that is no digest or without its `values`, with a worker that has no name, and
    for a complete one without a result.
    """
    trials = store.storage.get_all_trials(study_id, deepcopy=False, states=states or None)
    for trial in trials:
        job, worker = trial.user_attrs.get("job"), trial.user_attrs.get("worker")
        wrong: tuple[str, object] | None = None
        if "job" in trial.user_attrs and not (isinstance(job, str) and fits(DIGEST, job)):
            wrong = ("job", job)
        elif worker not in (None, "") and not (isinstance(worker, str) and fits(WORKER, worker)):
            wrong = ("worker", worker)
        elif job is not None and not all(_is_number(trial.params.get(name)) for name in values):
            wrong = ("values", trial.params)
        elif trial.state == TrialState.COMPLETE and trial.values is None:
            wrong = ("result", None)
        if wrong is not None:
            said = visible(str(wrong[1]))[:WORD]
            raise InputError(
                f"trial {trial.number} has the {wrong[0]} '{said}', which is none of ours, in {store.place}"
            )
    return list(trials)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


class Journal:
    """A file that every claimant appends to."""

    def __init__(self, file: Path, lock: Path, *, made: bool = True) -> None:
        self.storage: BaseStorage = journal_in(file, made=made)
        self.place = f"{file}: move it away, {lost_with(file)}"
        self._lock = FileLock(lock)

    def named(self, name: str) -> str:
        """The name: a journal is of one study, in one folder of runs."""
        return name

    def exclusively(self, body: Callable[[], T]) -> T:
        """See `Store`."""
        with self._lock:
            return body()

    def at_once(self) -> AbstractContextManager[None]:
        """Nothing: files are there."""
        return nullcontext()


class Database:
    """A PostgreSQL database; the folders of runs that share it know nothing of each other."""

    def __init__(self, url: str, folder: Path, part: str) -> None:
        # Both tell at length what this module says in a line.
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
        self._scope = f"{part.removesuffix('.journal')}@{folder_id(folder)}"
        self._outages = Outages(address(url))
        self._key = zlib.crc32(self._scope.encode())
        self._patient = self._opened(url)
        self.storage: BaseStorage = self._patient
        self.place = f"the database {address(url)}: remove it there"

    def _opened(self, url: str) -> _Trials:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return self._outages.sat_out(lambda: _Trials(url, self._outages))()
        except (SQLAlchemyError, RuntimeError) as error:
            if isinstance(error, Unreachable):
                raise
            # No right to make tables, or those of another version of Optuna.
            raise InputError(f"{QUEUE_VARIABLE}: {address(url)} cannot be used: {_cause(error)}") from None

    def named(self, name: str) -> str:
        """The name and whose it is, for many share the database."""
        return f"{self._scope}/{name}"

    def exclusively(self, body: Callable[[], T]) -> T:
        """See `Store`. A lock goes with its connection, so what runs under one does not wait, but begins again."""

        def locked() -> T:
            with self.at_once(), advisory_lock(self._patient.engine, self._key):
                return body()

        return self._outages.sat_out(locked)()

    def at_once(self) -> AbstractContextManager[None]:
        """See `Store`."""
        return self._outages.impatient()


@contextmanager
def advisory_lock(engine: Engine, key: int) -> Iterator[None]:
    """Holds the database's lock of this number, which ends with its transaction or its connection.

    Raises SQLAlchemy's error where the lock was lost meanwhile: others may have had it, too.
    """
    from sqlalchemy import text

    with engine.connect() as connection:
        # Whoever waits for a lock, or works under one, is idle in its transaction.
        connection.execute(text("set local idle_in_transaction_session_timeout = 0"))
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": key})
        yield
        connection.commit()


def check_queue() -> None:
    """Raises InputError where the queue's database cannot be reached now; a queue in files is always there."""
    url = queue_url()
    if url is None:
        return
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(url, **ENGINE)
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        raise InputError(f"{QUEUE_VARIABLE}: {address(url)} cannot be used: {error_line(error)}") from None
    finally:
        engine.dispose()


# --- a database that is gone ------------------------------------------------------------------------------------------


class Outages:
    """Sits out the times in which the database at `where` is gone, in every thread of this process."""

    def __init__(self, where: str) -> None:
        self.where = where
        self._thread = threading.local()

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """Within it calls raise `Unreachable` at the first failure."""
        before, self._thread.impatient = getattr(self._thread, "impatient", False), True
        try:
            yield
        finally:
            self._thread.impatient = before

    def sat_out(self, call: Callable[..., T]) -> Callable[..., T]:
        """The call, made again, ever more seldom, while the database is gone.

        Raises `Unreachable` after half an hour, and once this process is asked to stop.
        """

        @functools.wraps(call)
        def made(*arguments: Any, **named: Any) -> T:
            gone_since, pause = None, FIRST_PAUSE_SECONDS
            while True:
                try:
                    result = call(*arguments, **named)
                except Exception as error:
                    if not is_outage(error):
                        raise
                    lost = Unreachable(f"the queue at {self.where} cannot be reached: {_cause(error)}")
                    if getattr(self._thread, "impatient", False) or asked_to_stop():
                        raise lost from None
                    gone_since = gone_since or _said(f"{lost}; trying again, training goes on")
                    if time.monotonic() - gone_since > OUTAGE_SECONDS:
                        raise lost from None
                else:
                    if gone_since is not None:
                        _said(f"the queue is back after {time.monotonic() - gone_since:.0f} s")
                    return result
                # Many workers come back at once otherwise.
                _rest(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, MOST_PAUSE_SECONDS)

        return made


def is_outage(error: BaseException | None) -> bool:
    """Whether a call failed for want of the database rather than for what it asked."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError

    # A transaction that could not even be rolled back, and what the driver raises where SQLAlchemy is not on the way.
    outages: tuple[type[BaseException], ...] = (Unreachable, OperationalError, InterfaceError, PendingRollbackError)
    if (driver := sys.modules.get("psycopg")) is not None:
        outages = (*outages, driver.OperationalError, driver.InterfaceError)
    while error is not None:
        if isinstance(error, outages):
            return True
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        error = error.__cause__
    return False


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return error_line(error)


def _said(line: str) -> float:
    say_error(line, bare=True)
    return time.monotonic()


def _rest(seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0 and not asked_to_stop():
        time.sleep(min(left, LOOK_SECONDS))


SCHEMA_LOCK = zlib.crc32(b"optuna schema")


class _Trials(BaseStorage):  # type: ignore[misc]
    """Optuna's storage in a database, each call of which sits outages out.

    A call whose answer was lost is made again. A claim that was made so is refused the second time, and put back by
    `Queue.release_orphans`; a job that was enqueued twice has its result when it is claimed for the second time.
    """

    def __init__(self, url: str, outages: Outages) -> None:
        from sqlalchemy import create_engine

        engine = create_engine(url, **ENGINE)
        try:
            # Tables that two processes create at once fail in both.
            with advisory_lock(engine, SCHEMA_LOCK):
                # Optuna takes braces for a template.
                self.inner = RDBStorage(url.replace("{", "%7B").replace("}", "%7D"), engine_kwargs=dict(ENGINE))
        finally:
            engine.dispose()
        self.engine: Engine = self.inner.engine
        weakref.finalize(self, self.engine.dispose)
        self.outages = outages


def _forwarded(name: str) -> Callable[..., Any]:
    def call(self: _Trials, *arguments: Any, **named: Any) -> Any:
        return self.outages.sat_out(getattr(self.inner, name))(*arguments, **named)

    return call


for _name, _member in vars(BaseStorage).items():
    if inspect.isfunction(_member) and not _name.startswith("_"):
        setattr(_Trials, _name, _forwarded(_name))
abc.update_abstractmethods(_Trials)
