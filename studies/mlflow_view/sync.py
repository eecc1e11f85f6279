"""The MLflow view of a plan's run folders: written while jobs run, and rebuilt from the folders at any time.

The folders are the truth. A run of MLflow is found again by its tags `job` and `runs`, the folder of runs that it is
from: others may show the same job in the same place. Its tag `events` counts the events it has, so that what was
written stays written once. Only settled events are shown, which a kill cannot bring about a second time with other
times. Whether its files are there is asked of the place where they are (`studies.mlflow_view.artifacts`). Runs come
first: what the page opens with is written after them.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.schema import Study
from core.command_line import say_error
from core.folder import RunFolder, State
from core.locks import FileLock
from core.reading import Damaged
from studies.mlflow_view.attachments import missing, report_digest
from studies.mlflow_view.experiment import Experiment
from studies.mlflow_view.runs import Labels
from studies.plan import VERDICTS, Plan, jobs_root
from studies.runner.environment import forbid_telemetry
from studies.runner.outages import error_line
from studies.runner.tasks import Task, tasks_of

if TYPE_CHECKING:
    from studies.mlflow_view.writing import Writer

SYNC_SECONDS = 20.0
SYNC_SHARE = 0.02
"""Of one core's time: a sync that took a second is not repeated for fifty."""
MOST_SYNC_SECONDS = 60.0
"""However long a sync took: the first one loads mlflow and makes the database."""
MOST_PAUSE_SECONDS = 300.0
"""Between attempts at a view that cannot be written."""


class MlflowView(Experiment):
    """One MLflow experiment that shows one plan."""

    def __init__(self, study: Study, plan: Plan, runs: Path) -> None:
        super().__init__(plan, runs)
        self.study = study
        self.tasks = tasks_of(plan)
        self.labels = Labels(study, plan, self.tasks)
        self._writer: Writer | None = None
        self._undescribed_for: str | None = None
        self._process = uuid.uuid4().hex[:8]
        self.damaged: list[str] = []
        """Of the last sync: why runs are left out."""

    def in_sync(self, running: set[str] | None = None) -> bool:
        """Whether the view shows everything; answers without loading mlflow. `running` as in `sync`."""
        record = self._record()
        return not self._stale(record, running) and "described" in record

    def sync(self, running: set[str] | None = None, *, distrustful: bool = False) -> int:
        """Writes what the folders have and the view has not; returns the number of runs it touched.

        `running` are the jobs in training; without it their folders' locks are asked. A `distrustful` sync compares
        every run with the view, whatever is on record of it: a database or a server may have been set back.
        """
        if not distrustful and self.in_sync(running):
            return 0
        with FileLock(self._lock):
            record = {} if distrustful else self._record()
            stale = self._stale(record, running)
            if stale or (record and "described" not in record):
                with self._writing(record) as writer:
                    for task, state, signature in stale:
                        try:
                            self.damaged += writer.show(task, state)
                            record["jobs"][task.digest] = signature
                        except Damaged as error:
                            self.damaged.append(str(error))
                    self._describe(writer, record)
        return len(stale)

    def show_report(self, folder: Path, *, distrustful: bool = False) -> bool:
        """Attaches the report in `folder` to a run of its own, in the place of an earlier one; False where it is there.

        MLflow keeps no files of experiments. The run's tag `report` is the digest of what it has. A folder that was
        left half-way by whatever writes reports is none. Raises Damaged for a file of it that is larger than any.
        """
        if not (folder / VERDICTS).exists() or (not distrustful and self.shows_report(folder)):
            return False
        with FileLock(self._lock):
            record = self._record()
            if distrustful:
                record.pop("writer", None)
            digest = report_digest(folder)
            if not distrustful and self.shows_report(folder):
                return False
            with self._writing(record) as writer:
                written = writer.attach_report(folder, digest)
                record["report"] = digest
                if written:
                    self._describe(writer, record)
            return written

    @property
    def _lock(self) -> Path:
        return self.database.with_name(f"{self.database.name}.lock") if self.database else self.runs / "mlflow.lock"

    def _stale(self, record: dict[str, Any], running: set[str] | None) -> list[tuple[Task, State, str]]:
        """Jobs that are begun and not shown as they stand, each with its state and the signature of how it stands."""
        shown = record.get("jobs", {})
        files, run_ids = (self._files(record), self._runs_in_file(record)) if shown else (None, {})
        stale = []
        self.damaged = []
        for task in self.tasks:
            folder = RunFolder(jobs_root(self.runs), task.digest)
            try:
                state = folder.state(running)
            except Damaged as error:
                self.damaged.append(str(error))
                continue
            if not (folder.path / "job.json").exists():
                continue
            size = folder.events_file.stat().st_size if folder.events_file.exists() else 0
            labels = (task.variant, ",".join(task.designs), self.labels.sampled(task), task.title)
            signature = " ".join((state, str(size), *labels))
            run_id = run_ids.get(task.digest)
            if shown.get(task.digest) != signature or (
                files is not None and run_id is not None and any(missing(folder, state, files.names(run_id)))
            ):
                stale.append((task, state, signature))
        return stale

    def writer(self) -> Writer:
        """What writes to MLflow; the first call loads mlflow and makes a database that is not there. Raises
        Unreachable where it cannot be written now."""
        forbid_telemetry()
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        # Two lines for every run of a server, into the command's own.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        # A sync that failed looks first what came through; mlflow would make a run twice.
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        # Seconds: whoever asks whether all is shown does not load mlflow.
        from studies.mlflow_view import connection, writing

        if self._writer is None or self.database is not None:
            connection.check_writable(self.uri, self.database)
        if self._writer is None:
            self._writer = writing.Writer(self, self.labels)
        return self._writer

    @contextmanager
    def _writing(self, record: dict[str, Any]) -> Iterator[Writer]:
        """What writes; `record` is made to fit the experiment, and kept in the end."""
        writer = self.writer()
        if record.get("writer") != self._process or "experiment_id" not in record:
            # Another process wrote last, or none has: which runs there are may be out of date here.
            experiment_id = writer.open_experiment()
            if record.get("experiment_id") != experiment_id:
                record.clear()
            record.update({"experiment_id": experiment_id, "writer": self._process, "jobs": record.get("jobs", {})})
        try:
            yield writer
        except BaseException:
            # What was answered to the last call is lost: the runs are looked up before anything more is written.
            record["writer"] = None
            raise
        finally:
            self._keep(record)

    def _describe(self, writer: Writer, record: dict[str, Any]) -> None:
        """Describes the experiment and saves its views. What keeps that from being done is said in a line, once: the
        runs are there without, and the next sync tries again."""
        if writer.described and "described" in record:
            return
        try:
            writer.describe()
        except Exception as error:
            record.pop("described", None)
            if (line := error_line(error)) != self._undescribed_for:
                _say(f"MLflow has the runs of {self.name}, but not their description and charts: {line}")
            self._undescribed_for = line
        else:
            record["described"] = True


class BackgroundSync:
    """Keeps a view in sync from a thread while jobs run, seldom enough to cost next to nothing.

    A view that cannot be written is tried again, ever more seldom, and never ends the training.
    """

    def __init__(self, view: MlflowView, running: Callable[[], set[str]]) -> None:
        self._view, self._running = view, running
        self._ended = threading.Event()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._follow, name="mlflow", daemon=True)

    def __enter__(self) -> BackgroundSync:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        pause = SYNC_SECONDS
        while not self._ended.wait(pause):
            began = time.thread_time()
            try:
                self._view.sync(self._running())
            except Exception as error:
                if self.error is None:
                    _say(f"MLflow view not written, the jobs go on and it is tried again: {error_line(error)}")
                self.error = error
                pause = min(2 * pause, MOST_PAUSE_SECONDS)
                continue
            if self.error is not None:
                _say("MLflow view written again")
            self.error = None
            pause = min(MOST_SYNC_SECONDS, max(SYNC_SECONDS, (time.thread_time() - began) / SYNC_SHARE))


def _say(line: str) -> None:
    say_error(line, bare=True)
