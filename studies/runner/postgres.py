"""Optuna's trials in a PostgreSQL database, which may be gone for minutes while it is restarted or moved.

Every call waits for it, training goes on meanwhile; `Database.at_once` spares the wait. Loads
sqlalchemy, which comes with the extra postgres.
"""

from __future__ import annotations

import abc
import functools
import inspect
import logging
import random
import sys
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, PendingRollbackError, SQLAlchemyError

from core.command_line import say_error
from core.errors import InputError
from studies.runner.outages import Unreachable, asked_to_stop, error_line
from studies.stores import QUEUE_VARIABLE, address, folder_id

T = TypeVar("T")

OUTAGE_SECONDS = 1800.0
"""A database that has been gone for longer is not only being restarted."""
FIRST_PAUSE_SECONDS = 0.2
MOST_PAUSE_SECONDS = 15.0
LOOK_SECONDS = 0.2
CONNECT_SECONDS = 10

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

    def _opened(self, url: str) -> PatientStorage:
        try:
            return self._outages.sat_out(lambda: PatientStorage(url, self._outages))()
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
    with engine.connect() as connection:
        # A process that waits for a lock, or works under one, is idle in its transaction.
        connection.execute(text("set local idle_in_transaction_session_timeout = 0"))
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": key})
        yield
        connection.commit()


def check_reachable(url: str) -> None:
    """Raises InputError where the database cannot be reached now."""
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
            gone_since: float | None = None
            pause = FIRST_PAUSE_SECONDS
            while True:
                try:
                    result = call(*arguments, **named)
                except Exception as error:
                    if not is_outage(error):
                        raise
                    unreachable = Unreachable(f"the queue at {self.where} cannot be reached: {_cause(error)}")
                    if getattr(self._thread, "impatient", False) or asked_to_stop():
                        raise unreachable from None
                    if gone_since is None:
                        say_error(f"{unreachable}; trying again, training goes on", bare=True)
                        gone_since = time.monotonic()
                    if time.monotonic() - gone_since > OUTAGE_SECONDS:
                        raise unreachable from None
                else:
                    if gone_since is not None:
                        say_error(f"the queue is back after {time.monotonic() - gone_since:.0f} s", bare=True)
                    return result
                # Many workers come back at once otherwise.
                _rest(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, MOST_PAUSE_SECONDS)

        return made


def is_outage(error: BaseException | None) -> bool:
    """Whether a call failed for want of the database rather than for what it asked."""
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


def _rest(seconds: float) -> None:
    until = time.monotonic() + seconds
    while (seconds_left := until - time.monotonic()) > 0 and not asked_to_stop():
        time.sleep(min(seconds_left, LOOK_SECONDS))


SCHEMA_LOCK = zlib.crc32(b"optuna schema")


class PatientStorage(BaseStorage):  # type: ignore[misc]
    """Optuna's storage in a database, each call of which sits outages out.

    A call whose answer was lost is made again. A claim that was made so is refused the second time, and put back by
    `Queue.release_orphans`; a job that was enqueued twice has its result when it is claimed for the second time.
    """

    def __init__(self, url: str, outages: Outages) -> None:
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
    def call(self: PatientStorage, *arguments: Any, **named: Any) -> Any:
        return self.outages.sat_out(getattr(self.inner, name))(*arguments, **named)

    return call


for _name, _member in vars(BaseStorage).items():
    if inspect.isfunction(_member) and not _name.startswith("_"):
        setattr(PatientStorage, _name, _forwarded(_name))
abc.update_abstractmethods(PatientStorage)
