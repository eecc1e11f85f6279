"""Stores of Optuna's trials, each with its lock: journal files, or a PostgreSQL database.

Loads optuna, and what a database needs where one is used (`studies.runner.postgres`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol, TypeVar

import optuna
from optuna.pruners import BasePruner
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from core.errors import InputError
from core.files import make_folder
from core.locks import FileLock
from core.names import DIGEST, WORKER, fits
from core.words import visible
from studies.plan import check_queue_folder
from studies.runner.journal import journal_in, lost_with
from studies.stores import queue_url

T = TypeVar("T")

WORD = 80
"""So many signs of a wrong word are shown."""


class Store(Protocol):
    """Trials that any number of processes share."""

    storage: BaseStorage
    place: str
    """Where they are, and what to do with a trial there that is none of ours."""

    def named(self, name: str) -> str:
        """The name of this study in the storage."""
        ...

    def exclusively(self, body: Callable[[], T]) -> T:
        """The result of `body`, which is called alone in this store, and perhaps more than once."""
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
    if url is None:
        return Journal(folder / journal, folder / lock)
    from studies.runner.postgres import Database  # Of the extra postgres.

    return Database(url, folder, journal)


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
    """Raises InputError as work with the study `name` in a journal would. Makes and writes nothing."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        store = Journal(file, file, made=False)
        study_id = store.storage.get_study_id_from_name(name)
    except (FileNotFoundError, KeyError):
        return  # Work with it makes it.
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
            word = visible(str(wrong[1]))[:WORD]
            raise InputError(
                f"trial {trial.number} has the {wrong[0]} '{word}', which is none of ours, in {store.place}"
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
