"""The MLflow view of a plan's run folders: written while jobs run, and rebuilt from the folders at any time.

The folders are the truth. A run of MLflow is found again by its tags `job` and `runs`, the folder of runs that it is
from: others may show the same job in the same place. Its tag `events` counts the events it has, so that what was
written stays written once. Only settled events are shown: those before a checkpoint, or of a job
that has ended, which a kill cannot bring about a second time with other times. Whether its files are there is asked of
the place where they are (`studies.artifacts`). Runs come first: what the page opens with is written after them.
"""

from __future__ import annotations

import colorsys
import hashlib
import io
import logging
import math
import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.patch import has, lookup
from ablations.schema import Study
from core.command_line import say_error
from core.events import Built, Checkpointed, Evaluated, Event, Fitted, Losses
from core.files import make_folder
from core.folder import MOST_RECORD, RunFolder
from core.locks import FileLock
from core.metrics.protocol import from_json
from core.reading import Damaged, bytes_of
from core.words import code_span, typed
from studies import fitting
from studies.artifacts import FOLDER, Artifacts, Beside
from studies.experiment import Experiment, artifact_page, report_content, report_digest, report_files, view_page
from studies.plan import VERDICTS, Plan, jobs_root, report_folder
from studies.runner.database import check_file
from studies.runner.environment import forbid_telemetry
from studies.runner.served import Served, check_own, is_local
from studies.runner.stores import Unreachable, first_line
from studies.runner.tasks import Task, tasks_of
from studies.runner.views import (
    IMAGES,
    LEFT_OUT,
    REPORT,
    SAMPLED,
    SHOWN,
    TITLE,
    description,
    report_name,
    sampled,
    saved_views,
)
from studies.stores import DRIVER, SQLITE, sqlite_url

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment as MlflowExperiment
    from mlflow.entities import Metric
    from sqlalchemy import Engine

BATCH = fitting.BATCH
SYNC_SECONDS = 20.0
SYNC_SHARE = 0.02
"""Of one core's time: a sync that took a second is not repeated for fifty."""
MOST_SYNC_SECONDS = 60.0
"""However long a sync took: the first one loads mlflow and makes the database."""
MOST_PAUSE_SECONDS = 300.0
"""Between attempts at a view that cannot be written."""
CONNECT_SECONDS = 10
LOCKED_SECONDS = 20.0
"""For a database file that somebody holds: writers take milliseconds."""

PARAMETERS = {
    "resolution": "data.resolution",
    "inr": "inr.basis.kind",
    "inr_layer": "inr.layer.kind",
    "inr_layer_class": "inr.layer.target",
    "inr_init": "inr.init",
    "emitter": "emitter.kind",
    "first_layer_scale": "inr.basis.scale",
    "coordinate_layer": "inr.coordinates.layer",
    "inr_width": "inr.width",
    "inr_depth": "inr.depth",
    "g_width": "hypernetwork.width",
    "g_norm": "hypernetwork.norm.kind",
    "residual_weight": "hypernetwork.residual_weight",
    "loss": "loss.kind",
    "penalty": "penalty.kind",
    "penalty_weight": "penalty.weight",
    "lr_g": "optimizers.learning_rates.generator",
    "lr_d": "optimizers.learning_rates.discriminator",
    "ema": "ema.decay",
    "d_per_g": "d_per_g",
    "batch_size": "batch_size",
    "iterations": "iterations",
}
ATTACHED = ("job.json", "protocol.json", "provenance.json")
SAMPLED_STATES = ("finished", "diverged")
"""Those in which a run's samples are shown: others are still to come."""
SMALL_IMAGE = 256
"""The larger side of the pictures in MLflow's lists, as its `log_image` makes them."""
REPORT_PAGES = ("report.pdf", "report.html", "report.md")
"""What the description leads to: the first of them that the report has."""
NOTE_TAG = "study.note"
"""The sha256 of the description that was written last: another one is somebody's own."""
REPORT_NOTE = """The report of the study, as it was rendered last: **Artifacts** has `report.pdf`, the same as
`report.md` with its figures, every number as `results.csv`, and the protocols that they were measured with.

{render} writes it again, {sync} puts it here. Digest of its files: `{digest}`."""
ENDED = {"finished": "FINISHED", "diverged": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's word for each state; "diverged" is a result, told from "finished" by the tag `status`."""


class MlflowView(Experiment):
    """One MLflow experiment that shows one plan: a flat run per variant and seed, and one with the report."""

    def __init__(self, study: Study, plan: Plan, runs: Path) -> None:
        super().__init__(plan, runs)
        self.study = study
        self.tasks = tasks_of(plan)
        self._client: MlflowClient | None = None
        self._runs: dict[str, _Shown] = {}
        self._report: _Attached | None = None
        self._artifacts: Artifacts | None = None
        self._adorned = False
        self._unadorned_for: str | None = None
        self._writer = uuid.uuid4().hex[:8]
        self.damaged: list[str] = []
        """Of the last sync: why runs are left out."""

    def in_sync(self) -> bool:
        """Whether the view shows everything; answers without loading mlflow."""
        record = self._record()
        return not self._stale(record, None) and "described" in record

    def sync(self, running: set[str] | None = None, *, distrustful: bool = False) -> int:
        """Writes what the folders have and the view has not; returns the number of runs it touched.

        `running` are the jobs in training; without it their folders' locks are asked. A `distrustful` sync compares
        every run with the view, whatever is on record of it: a database or a server may have been set back.
        """
        record = self._record()
        if not distrustful and "described" in record and not self._stale(record, running):
            return 0
        with FileLock(self._lock):
            record = {} if distrustful else self._record()
            stale = self._stale(record, running)
            if stale or (record and "described" not in record):
                with self._writing(record) as (client, experiment_id):
                    for task, signature in stale:
                        try:
                            self._show(client, experiment_id, task, signature.partition(" ")[0])
                            record["jobs"][task.digest] = signature
                        except Damaged as error:
                            self.damaged.append(str(error))
                    self._adorn(client, experiment_id, record)
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
            with self._writing(record) as (client, experiment_id):
                written = self._attach_report(client, experiment_id, folder, digest)
                record["report"] = digest
                if written:
                    self._adorn(client, experiment_id, record)
            return written

    @property
    def _lock(self) -> Path:
        return self.database.with_name(f"{self.database.name}.lock") if self.database else self.runs / "mlflow.lock"

    @contextmanager
    def _writing(self, record: dict[str, Any]) -> Iterator[tuple[MlflowClient, str]]:
        """The client and the experiment's id; `record` is made to fit them, and kept in the end."""
        client = self._connected()
        if record.get("writer") != self._writer or "experiment_id" not in record:
            # Somebody else wrote last, or nobody has: what this process knows of the runs may be out of date.
            experiment_id = self._experiment_id(client)
            if record.get("experiment_id") != experiment_id:
                record.clear()
            record.update({"experiment_id": experiment_id, "writer": self._writer, "jobs": record.get("jobs", {})})
        try:
            yield client, str(record["experiment_id"])
        except BaseException:
            # What was answered to the last call is lost: the runs are looked up before anything more is written.
            record["writer"] = None
            raise
        finally:
            self._keep(record)

    # --- what is shown already ----------------------------------------------------------------------------------------

    def _stale(self, record: dict[str, Any], running: set[str] | None) -> list[tuple[Task, str]]:
        """Jobs that are begun and not shown as they stand, each with the signature of how it stands."""
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
            told = (task.variant, ",".join(task.designs), self._sampled(task), task.title)
            signature = " ".join((state, str(size), *told))
            run_id = run_ids.get(task.digest)
            if shown.get(task.digest) != signature or (
                files is not None and run_id is not None and _missing(folder, state, files.names(run_id))
            ):
                stale.append((task, signature))
        return stale

    # --- writing ------------------------------------------------------------------------------------------------------

    def _connected(self) -> MlflowClient:
        """The client; the first call loads mlflow and creates the database, which only one process may do.

        Raises Unreachable where the database cannot be written now: mlflow would try for minutes.
        """
        if self.database is not None:
            _check_writable(self.database)
        elif self._client is None and self.uri.startswith(DRIVER):
            with _engine(self.uri) as engine:
                engine.connect().close()
        if self._client is None:
            forbid_telemetry()
            os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
            # Two lines for every run of a server, into the command's own.
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            # A sync that failed looks first what came through; mlflow would make a run twice.
            os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
            from mlflow import MlflowClient

            # What they have to say comes as an error as well, of which a line is shown.
            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
            if self.database is None:
                self._client = MlflowClient(tracking_uri=self.uri)
            else:
                with _living_with(url := sqlite_url(self.uri), self.database):
                    self._client = MlflowClient(tracking_uri=url)
        return self._client

    def _experiment_id(self, client: MlflowClient) -> str:
        """The experiment, made or restored; its runs are looked up anew with every database."""
        found = client.get_experiment_by_name(self.experiment)
        if found is None:
            found = client.get_experiment(client.create_experiment(self.experiment, tags=self._page_tags))
        elif found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        experiment_id = str(found.experiment_id)
        self._adorned = False
        self._artifacts = self._artifacts_of(client, found)
        self._find_runs(client, experiment_id)
        return experiment_id

    @cached_property
    def _page_tags(self) -> dict[str, str]:
        return {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": self._metric,
            "mlflow.experiment.primaryMetric.greaterIsBetter": "False",
        }

    def _artifacts_of(self, client: MlflowClient, experiment: MlflowExperiment) -> Artifacts:
        """Where the files of the experiment's runs are; the note of that in a database file is put right."""
        experiment_id, noted = str(experiment.experiment_id), str(experiment.artifact_location)
        if self.database is not None:
            beside = Beside(self.database.parent, experiment_id)
            if (right := beside.note_of_experiment(noted)) != noted:
                with _engine(self.uri, self.database) as engine:
                    _write(engine, RIGHT_EXPERIMENT, [{"id": experiment.experiment_id, "right": right}])
            return beside
        if self.uri.startswith(DRIVER) and is_local(noted):
            return Beside(Path.cwd(), experiment_id, movable=False)
        return Served(client, self.uri)

    def _put_right(self, noted: Mapping[str, str]) -> None:
        """Lets the rows of this view's runs say where their files are: `noted` are ids of runs with what they say."""
        if isinstance(self._artifacts, Beside):
            rights = [{"id": run_id, "right": self._artifacts.note(run_id)} for run_id in noted]
            if wrong := [right for right in rights if noted[right["id"]] != right["right"]]:
                with _engine(self.uri, self.database) as engine:
                    _write(engine, RIGHT_RUN, wrong)
        else:
            for run_id, location in noted.items():
                check_own(location, run_id)

    def _adorn(self, client: MlflowClient, experiment_id: str, record: dict[str, Any]) -> None:
        """Describes the experiment and saves its views. What keeps that from being done is said in a line, once: the
        runs are there without, and the next sync tries again."""
        if self._adorned and "described" in record:
            return
        try:
            self._describe(client, experiment_id, dict(client.get_experiment(experiment_id).tags))
        except Exception as error:
            record.pop("described", None)
            if (said := first_line(error)) != self._unadorned_for:
                _say(f"MLflow has the runs of {self.experiment}, but not their description and charts: {said}")
            self._unadorned_for = said
        else:
            record["described"] = self._adorned = True

    def _describe(self, client: MlflowClient, experiment_id: str, there: dict[str, str]) -> None:
        """Writes the experiment's description, its saved views and other tags, where they are not `there` already."""
        views = saved_views(self.study, self.plan, self.tasks, self._metric, [self._parameters(t) for t in self.tasks])
        pages = {view.name: view_page(experiment_id, view.key) for view in views}
        folder = report_folder(self.runs, self.plan.study, self.plan.setting)
        page = next((name for name in REPORT_PAGES if (folder / name).exists()), REPORT_PAGES[0])
        report = artifact_page(experiment_id, self._report.run_id, page) if self._report else None
        note = description(self.study, self.plan, self._metric, pages, report, [view.lacking for view in views])
        wanted = {"mlflow.note.content": note, NOTE_TAG: _sha256(note), **self._page_tags}
        if (now := there.get("mlflow.note.content")) and _sha256(now) != there.get(NOTE_TAG, _sha256(now)):
            # Somebody has written there: the words are theirs now.
            del wanted["mlflow.note.content"], wanted[NOTE_TAG]
        for key, value in wanted.items():
            if there.get(key) != value:
                client.set_experiment_tag(experiment_id, key, value)
        for view in views:
            if not view.is_in(there.get(view.tag, "")):
                client.set_experiment_tag(experiment_id, view.tag, view.value(int(time.time() * 1000)))

    @cached_property
    def _metric(self) -> str:
        for task in self.tasks:
            with suppress(Damaged):
                for event in RunFolder(jobs_root(self.runs), task.digest).each_event(b'"evaluated"'):
                    if isinstance(event, Evaluated):
                        return event.metric
        return self.tasks[0].job.config.evaluation.metric.kind

    def _find_runs(self, client: MlflowClient, experiment_id: str) -> None:
        self._runs, self._report = {}, None
        noted: dict[str, str] = {}
        token = None
        while True:
            page = client.search_runs([experiment_id], max_results=1000, order_by=["start_time"], page_token=token)
            for run in page:
                tags = run.data.tags
                # Jobs in a file that earlier versions made say not whose they are; nobody else trains into it.
                if tags.get("runs", self._whose if self.database and "job" in tags else None) != self._whose:
                    continue
                digest = run.data.tags.get("report")
                if (job := run.data.tags.get("job")) in self._runs or (digest is not None and self._report):
                    client.delete_run(run.info.run_id)  # Made a second time, since the answer to the first was lost.
                    continue
                if digest is None and job is None:
                    continue
                noted[run.info.run_id] = str(run.info.artifact_uri)
                if digest is not None:
                    self._report = _Attached(run.info.run_id, digest)
                else:
                    self._runs[job] = _Shown(
                        run.info.run_id,
                        started=run.info.start_time,
                        events=int(run.data.tags.get("events", 0)),
                        status=run.info.status,
                        name=run.info.run_name or "",
                        parameters=dict(run.data.params),
                        described="events" in run.data.tags,
                        reason="reason" in run.data.tags,
                    )
            token = page.token
            if not token:
                break
        self._put_right(noted)

    def _show(self, client: MlflowClient, experiment_id: str, task: Task, state: str) -> None:
        from mlflow.entities import Metric, Param, RunTag

        folder = RunFolder(jobs_root(self.runs), task.digest)
        tags = self._tags(task, folder, state)
        seed = task.sentence.removeprefix(task.title)
        name = fitting.fitted(task.sentence, fitting.RUN_NAME, end=seed)
        # Read before anything is written: a damaged run is not shown by half.
        settled, built = _settled(folder, ended=state in ("finished", "diverged"))
        files = _attached(folder)
        shown = self._runs.get(task.digest)
        parameters = {} if built is None else _counted(built)
        if shown is not None:
            for key, value in parameters.items():
                if shown.parameters.get(key, value) != value:
                    why = f"{key} is {value}, and MLflow has {shown.parameters[key]}"
                    raise Damaged(folder.events_file, why, f"{folder.remedy}, or delete its run from MLflow")
        if shown is None:
            started = int((folder.path / "job.json").stat().st_mtime * 1000)
            run = client.create_run(experiment_id, start_time=started, run_name=name, tags=tags)
            shown = self._runs[task.digest] = _Shown(run.info.run_id, started, 0, run.info.status, name, {}, fresh=True)
            self._put_right({run.info.run_id: str(run.info.artifact_uri)})
        if shown.name != name and shown.name.endswith(seed):
            # The study has another title for it now; a name of another form is somebody's own.
            client.update_run(shown.run_id, name=name)
            shown.name = name
        if not shown.described:
            parameters |= self._parameters(task)
        # MLflow takes each once.
        parameters = {key: value for key, value in parameters.items() if key not in shown.parameters}
        if shown.reason:
            tags.setdefault("reason", "")  # The failure before a retry is no property of the result.
        tags["events"] = str(max(shown.events, len(settled)))
        metrics = [metric for event in settled[shown.events :] for metric in _metrics(event, shown.started, Metric)]
        for start in range(0, max(len(metrics), 1), BATCH):
            # The count of events comes with the last batch: before, a repeated write finds the same rows.
            last = start + BATCH >= len(metrics)
            client.log_batch(
                shown.run_id,
                metrics=metrics[start : start + BATCH],
                params=[Param(key, value) for key, value in fitting.parameters(parameters).items()] if last else (),
                tags=[RunTag(key, value) for key, value in fitting.tags(tags).items()] if last else (),
            )
        shown.events = max(shown.events, len(settled))
        shown.described, shown.reason = True, "reason" in tags
        shown.parameters |= parameters
        self._attach(client, shown, folder, files, state, task.job.config.data.resolution)
        self._set_status(client, shown, folder, state)

    def _set_status(self, client: MlflowClient, shown: _Shown, folder: RunFolder, state: str) -> None:
        status = ENDED.get(state, "RUNNING")
        if status == shown.status:
            return
        if status == "RUNNING":
            client.update_run(shown.run_id, status=status)
        else:
            last = max((file.stat().st_mtime for file in folder.path.glob("*.json*")), default=time.time())
            client.set_terminated(shown.run_id, status=status, end_time=int(last * 1000))
        shown.status = status

    def _tags(self, task: Task, folder: RunFolder, state: str) -> dict[str, str]:
        provenance, outcome = folder.read("provenance.json"), folder.outcome()
        tags = {
            "job": task.digest,
            "runs": self._whose,
            TITLE: task.title,
            "variant": task.variant,
            "seed": str(task.seed),
            "design": ", ".join(task.designs),
            "profile": self.plan.profile,
            "setting": self.plan.setting,
            "data": self.plan.data_name,
            "status": state,
            SAMPLED: self._sampled(task),
            "mlflow.runColor": self._color(task.variant),
        }
        if fingerprint := getattr(task.job.config.data, "fingerprint", None):
            tags["data.fingerprint"] = str(fingerprint)
        if recorded := from_json(folder.read("protocol.json")):
            tags["protocol"] = next(iter(recorded.values())).fingerprint
        if provenance.get("commit"):
            tags["mlflow.source.git.commit"] = str(provenance["commit"])
        for key in ("python", "torch", "numpy", "device"):
            if provenance.get(key):
                tags[f"version.{key}" if key != "device" else key] = str(provenance[key])
        if outcome is not None and outcome.reason:
            tags["reason"] = outcome.reason
        return fitting.tags(tags)

    def _sampled(self, task: Task) -> str:
        return SHOWN if task.digest in self._in_samples_view else LEFT_OUT

    @cached_property
    def _in_samples_view(self) -> frozenset[str]:
        return frozenset(task.digest for task in sampled(self.study, self.plan, self.tasks))

    def _color(self, variant: str) -> str:
        """One colour for all seeds of a variant, hues a golden angle apart."""
        index = next(i for i, planned in enumerate(self.plan.variants) if planned.name == variant)
        red, green, blue = colorsys.hls_to_rgb(index * 0.381966 % 1, 0.45, 0.6)
        return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"

    def _parameters(self, task: Task) -> dict[str, str]:
        config = task.job.config.model_dump(mode="json")
        on = set(task.changes)
        parameters = {f"change.{change.name}": "on" if change.name in on else "off" for change in self.study.changes}
        parameters["seed"] = str(task.seed)
        for name, path in self._parameter_paths.items():
            parameters[name] = str(lookup(config, path)) if has(config, path) else "off"
        return parameters

    @cached_property
    def _parameter_paths(self) -> dict[str, str]:
        """Those of `PARAMETERS` that some variant of the study could have: others would only be noise."""
        subsets = [(), *((change.name,) for change in self.study.changes)]
        configs = [self.study.folded(subset).model_dump(mode="json") for subset in subsets]
        return {name: path for name, path in PARAMETERS.items() if any(has(config, path) for config in configs)}

    def _attach(
        self,
        client: MlflowClient,
        shown: _Shown,
        folder: RunFolder,
        attached: Mapping[str, bytes],
        state: str,
        resolution: int,
    ) -> None:
        """Writes the files that the run should have and has not; a picture that is none is left out, and told."""
        assert self._artifacts is not None
        if state not in SAMPLED_STATES and not shown.fresh and isinstance(self._artifacts, Served):
            return  # To ask a server every time costs more than it is worth before there is anything to look at.
        there = set() if shown.fresh else self._artifacts.names(shown.run_id)
        files, images = missing if (missing := _missing(folder, state, there)) else ([], [])
        for file in files:
            if file.name in attached:  # One that is new since is another sync's.
                self._artifacts.put(shown.run_id, file.name, attached[file.name])
        for image in images:
            try:
                encoded = image.encoded(resolution)
            except Damaged as error:
                self.damaged.append(str(error))
                continue
            for ending, content in encoded.items():
                name = f"{image.prefix('+')}timestamp+{shown.started}+{image.uuid(folder.digest)}{ending}"
                self._artifacts.put(shown.run_id, name, content)
        if images:
            client.set_tag(shown.run_id, "mlflow.loggedImages", "True")  # As `log_image` does, which repeats itself.
        shown.fresh = False

    def _attach_report(self, client: MlflowClient, experiment_id: str, folder: Path, digest: str) -> bool:
        if self._report is None:
            now = int(time.time() * 1000)
            run = client.create_run(
                experiment_id,
                start_time=now,
                run_name=report_name(self.study),
                # Nothing that could be averaged or drawn: charts pass it over, and grouped it is the last.
                tags={
                    "report": "",
                    "runs": self._whose,
                    "variant": REPORT,
                    TITLE: REPORT,
                    "mlflow.runColor": "#8a8a8a",
                },
            )
            self._report = _Attached(run.info.run_id, "")
            self._put_right({run.info.run_id: str(run.info.artifact_uri)})
            client.set_terminated(run.info.run_id, end_time=now)
            self._adorned = False
        assert self._artifacts is not None
        run_id, artifacts = self._report.run_id, self._artifacts
        files = {file.relative_to(folder).as_posix(): file for file in report_files(folder)}
        there = artifacts.names(run_id)
        if self._report.digest == digest and all(_is_there(artifacts, run_id, there, *file) for file in files.items()):
            return False
        # Until everything is there the run has no report: a kill in between leaves it to the next sync.
        client.set_tag(run_id, "report", "")
        client.set_tag(run_id, TITLE, REPORT)  # Runs of earlier versions have none.
        self._report.digest = ""
        for name, file in files.items():
            artifacts.put(run_id, name, report_content(file))
        for name in there - files.keys():
            artifacts.remove(run_id, name)
        study, setting = self.plan.asked_as, self.plan.setting
        render = code_span(typed("python", "-m", "reports.render", study, "--setting", setting))
        sync = code_span(typed("python", "-m", "studies.sync", study))
        client.set_tag(run_id, "mlflow.note.content", REPORT_NOTE.format(render=render, sync=sync, digest=digest))
        client.set_tag(run_id, "report", digest)
        self._report.digest = digest
        return True


def _is_there(artifacts: Artifacts, run_id: str, there: set[str], name: str, file: Path) -> bool:
    """Whether a run has a file; what a server has under its name is taken for it."""
    if isinstance(artifacts, Beside):
        return name in there and artifacts.content(run_id, name) == report_content(file)
    return name in there or file.stat().st_size == 0


@dataclass(frozen=True)
class _Image:
    """A picture as MLflow's page shows it, with a slider over the steps of its key."""

    key: str
    step: int
    file: Path

    def prefix(self, sign: str) -> str:
        """What its names begin with; earlier versions of MLflow had another sign."""
        return f"images/{self.key}{sign}step{sign}{self.step}{sign}"

    def uuid(self, digest: str) -> uuid.UUID:
        """MLflow wants one in the name; the same every time, so that nothing is there twice."""
        return uuid.uuid5(uuid.NAMESPACE_OID, f"{digest}/{self.key}/{self.step}")

    def is_in(self, names: set[str]) -> bool:
        """Whether it is there, whole and small."""
        endings = {name[-4:] for name in names if name.startswith((self.prefix("+"), self.prefix("%")))}
        return endings >= {".png", "webp"}

    def encoded(self, resolution: int) -> dict[str, bytes]:
        """The picture and the small one of MLflow's lists, by the ends of their names. Raises Damaged."""
        from core.pictures import read_grid

        whole = read_grid(self.file, resolution)
        scale = SMALL_IMAGE / max(whole.size)
        small = whole.resize((max(1, int(whole.width * scale)), max(1, int(whole.height * scale))))
        found = {}
        for ending, image, kind in ((".png", whole, "PNG"), ("+compressed.webp", small, "WEBP")):
            image.save(stream := io.BytesIO(), kind)
            found[ending] = stream.getvalue()
        return found


def _images(folder: RunFolder) -> list[_Image]:
    """The first, a middle and the last grid of samples, and what else is shown beside the last."""
    grids = sorted(file for file in folder.samples.glob("*.png") if file.stem.isdigit())
    if not grids:
        return []
    shown = dict.fromkeys((grids[0], grids[len(grids) // 2], grids[-1]))
    beside = [(key, file) for key in IMAGES if key != "samples" and (file := folder.samples / f"{key}.png").exists()]
    last = int(grids[-1].stem)
    return [*(_Image("samples", int(grid.stem), grid) for grid in shown), *(_Image(key, last, f) for key, f in beside)]


def _missing(folder: RunFolder, state: str, there: set[str]) -> tuple[list[Path], list[_Image]] | None:
    """The files and pictures of a run folder that are not among those that are `there`; None where all are."""
    files = [
        file for name in ATTACHED if name not in there and (file := folder.path / name).exists() and file.stat().st_size
    ]
    images = [image for image in _images(folder) if not image.is_in(there)] if state in SAMPLED_STATES else []
    return (files, images) if files or images else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class _Attached:
    """The run that has the report, and which report it is."""

    run_id: str
    digest: str


@dataclass
class _Shown:
    """A run of MLflow as far as this process knows it: made by it (`fresh`), with its parameters (`described`)."""

    run_id: str
    started: int
    events: int
    status: str
    name: str
    parameters: dict[str, str]
    fresh: bool = False
    described: bool = False
    reason: bool = False


def _attached(folder: RunFolder) -> dict[str, bytes]:
    """The files of a run folder that go with its run, by name. Raises Damaged."""
    with suppress(FileNotFoundError):
        folder.job()
    found = {}
    for name in ATTACHED:
        with suppress(FileNotFoundError):
            found[name] = bytes_of(folder.path / name, folder.remedy, MOST_RECORD)
    return found


def _settled(folder: RunFolder, *, ended: bool) -> tuple[list[Event], Built | None]:
    """The events that will never be rewritten, in an order that resuming does not change, and what was built.

    Checkpoints come by the clock and are left out. A failed job may be tried again, so it settles like a running one.
    Raises Damaged.
    """
    settled: list[Event] = []
    since: list[Event] = []
    for event in folder.each_event():
        if isinstance(event, Checkpointed):
            settled += since
            since = []
        else:
            since.append(event)
    settled += since if ended else []
    return settled, next((event for event in settled if isinstance(event, Built)), None)


def _counted(built: Built) -> dict[str, str]:
    """The counts of parameters that are on record: earlier versions recorded fewer."""
    return {name: str(getattr(built, name)) for name in sorted(built.model_fields_set) if name.endswith("_parameters")}


KINDS = frozenset({"fd_rooms", "clean_fid"})
"""Metrics of GANs: what is measured on their features as well is called after them (`core.metrics.quality`)."""


def _metrics(event: Event, started: int, make: type[Metric]) -> list[Metric]:
    """An event as MLflow's metrics; their time is that of training, so that writing them again is no second row."""
    match event:
        case Losses():
            values = {
                "loss/d": event.d_loss,
                "loss/g": event.g_loss,
                "loss/penalty": event.penalty,
                "score/real": event.real_score,
                "score/fake": event.fake_score,
            }
        case Fitted():
            values = {"loss/fit": event.loss}
        case Evaluated(metric=metric) if "/resample_" in metric:
            # The same metric on other latents: the report tells scatter from it, a page of charts would lead with it.
            return []
        case Evaluated(metric=metric) if "/" in metric:
            section, _, name = metric.partition("/")
            # Charts come in the alphabet of their sections, and these must not lead.
            values = {f"quality/{name}" if section in KINDS else metric: event.value}
        case Evaluated():
            values = {event.metric: event.value, "images": event.images, "seconds": event.seconds}
        case _:
            return []
    timestamp = started + int(event.seconds * 1000)
    # An infinite value would come back as 1.8e308 and flatten every chart.
    finite = {key: float(value) if math.isfinite(float(value)) else math.nan for key, value in values.items()}
    return [make(key, value, timestamp, event.iteration) for key, value in finite.items()]


ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
"""Where a new database notes that files are, until a note is put right: the one way to say it to a client."""
RIGHT_EXPERIMENT = "update experiments set artifact_location = :right where experiment_id = :id"
RIGHT_RUN = "update runs set artifact_uri = :right where run_uuid = :id"


@contextmanager
def _engine(uri: str, database: Path | None = None) -> Iterator[Engine]:
    """SQLAlchemy's engine for the database at a URL, or in a file."""
    from sqlalchemy import create_engine

    if database is None:
        engine = create_engine(uri, connect_args={"connect_timeout": CONNECT_SECONDS})
    else:
        engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(database, timeout=LOCKED_SECONDS))
    try:
        yield engine
    finally:
        engine.dispose()


def _write(engine: Engine, statement: str, rows: list[dict[str, Any]]) -> None:
    """Carries out a statement for all of these rows, or for none."""
    from sqlalchemy import text

    with engine.begin() as connection:
        connection.execute(text(statement), rows)


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


def _check_writable(database: Path) -> None:
    """Raises Unreachable where nobody could write to this SQLite file, after some patience with who is writing, and
    InputError where that would reach another file."""
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


class BackgroundSync:
    """Keeps a view in sync from a thread while jobs run, seldom enough to cost next to nothing.

    A view that cannot be written is tried again, ever more seldom, and never ends the training.
    """

    def __init__(self, view: MlflowView, running: Callable[[], set[str]]) -> None:
        self._view, self._running = view, running
        self._ended, self._ask = False, threading.Event()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._follow, name="mlflow", daemon=True)

    def __enter__(self) -> BackgroundSync:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._ask.set()
        self._thread.join()

    def _follow(self) -> None:
        pause = SYNC_SECONDS
        while not self._ask.wait(pause) and not self._ended:
            began = time.thread_time()
            try:
                self._view.sync(self._running())
            except Exception as error:
                if self.error is None:
                    _say(f"MLflow view not written, the jobs go on and it is tried again: {first_line(error)}")
                self.error = error
                pause = min(2 * pause, MOST_PAUSE_SECONDS)
                continue
            if self.error is not None:
                _say("MLflow view written again")
            self.error = None
            pause = min(MOST_SYNC_SECONDS, max(SYNC_SECONDS, (time.thread_time() - began) / SYNC_SHARE))


def _say(line: str) -> None:
    say_error(line, bare=True)
