"""The MLflow view of a plan's run folders: written while jobs run, and rebuilt from the folders at any time.

The folders are the truth. A run of MLflow is found again by its tags `job` and `runs`, the folder of runs that it is
from: others may show the same job in the same place. Its tag `events` counts the events it has, so that what was
written stays written once. Only settled events are shown: those before a checkpoint, or of a job
that has ended, which a kill cannot bring about a second time with other times.
"""

from __future__ import annotations

import colorsys
import hashlib
import json
import logging
import math
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from ablations.patch import has, lookup
from ablations.schema import Study
from core.folder import RunFolder
from core.metrics.protocol import from_json
from core.reading import Damaged
from core.words import code_span, one_line, typed
from studies.plan import VERDICTS, Plan, jobs_root, report_folder
from studies.runner.environment import forbid_telemetry
from studies.runner.experiment import Experiment, artifact_page, report_digest, view_page
from studies.runner.stores import DRIVER, first_line
from studies.runner.tasks import Task, state_of, tasks_of
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

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

BATCH = 1000
SYNC_SECONDS = 20.0
SYNC_SHARE = 0.02
"""Of one core's time: a sync that took a second is not repeated for fifty."""
MOST_SYNC_SECONDS = 60.0
"""However long a sync took: the first one loads mlflow and makes the database."""
MOST_PAUSE_SECONDS = 300.0
"""Between attempts at a view that cannot be written."""
CONNECT_SECONDS = 10

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
        self._writer = uuid.uuid4().hex[:8]

    def in_sync(self) -> bool:
        """Whether the view shows everything; answers without loading mlflow."""
        return not self._stale(self._record(), None)

    def sync(self, running: set[str] | None = None, *, distrustful: bool = False) -> int:
        """Writes what the folders have and the view has not; returns the number of runs it touched.

        `running` are the jobs in training; without it their folders' locks are asked. A `distrustful` sync compares
        every run with the view, whatever is on record of it: a database or a server may have been set back.
        """
        if not distrustful and not self._stale(self._record(), running):
            return 0
        with FileLock(self._lock):
            record = {} if distrustful else self._record()
            stale = self._stale(record, running)
            if stale:
                with self._writing(record) as (client, experiment_id):
                    for task, signature in stale:
                        self._show(client, experiment_id, task, signature.partition(" ")[0])
                        record["jobs"][task.digest] = signature
            return len(stale)

    def show_report(self, folder: Path, *, distrustful: bool = False) -> bool:
        """Attaches the report in `folder` to a run of its own, in the place of an earlier one; False where it is there.

        MLflow keeps no files of experiments. The run's tag `report` is the digest of what it has. A folder that was
        left half-way by whatever writes reports is none.
        """
        if not (folder / VERDICTS).exists() or (not distrustful and self.shows_report(folder)):
            return False
        with FileLock(self._lock):
            record = self._record()
            if distrustful:
                record.pop("writer", None)
            digest = report_digest(folder)
            if not distrustful and record.get("report") == digest:
                return False
            with self._writing(record) as (client, experiment_id):
                written = self._attach_report(client, experiment_id, folder, digest)
                record["report"] = digest
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
        stale = []
        for task in self.tasks:
            folder = RunFolder(jobs_root(self.runs), task.digest)
            if not (folder.path / "job.json").exists():
                continue
            state = state_of(folder, running)
            size = folder.events_file.stat().st_size if folder.events_file.exists() else 0
            told = (task.variant, ",".join(task.designs), self._sampled(task), task.title)
            signature = " ".join((state, str(size), *told))
            if shown.get(task.digest) != signature:
                stale.append((task, signature))
        return stale

    # --- writing ------------------------------------------------------------------------------------------------------

    def _connected(self) -> MlflowClient:
        """The client; the first call loads mlflow and creates the database, which only one process may do."""
        if self._client is None and self.uri.startswith(DRIVER):
            _check_reachable(self.uri)
        if self._client is None:
            forbid_telemetry()
            os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
            # Two lines for every run of a server, into the command's own.
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            # A sync that failed looks first what came through; mlflow would make a run twice.
            os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.WARNING)
            self._client = MlflowClient(tracking_uri=self.uri if self.database is None else self._key)
        return self._client

    def _experiment_id(self, client: MlflowClient) -> str:
        """The experiment, made or restored; its runs are looked up anew with every database."""
        found = client.get_experiment_by_name(self.experiment)
        tags = {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": self._metric,
            "mlflow.experiment.primaryMetric.greaterIsBetter": "False",
        }
        if found is None:
            experiment_id = str(client.create_experiment(self.experiment, tags=tags))
        else:
            experiment_id = str(found.experiment_id)
            if found.lifecycle_stage == "deleted":
                client.restore_experiment(experiment_id)
        self._find_runs(client, experiment_id)
        self._describe(client, experiment_id, {} if found is None else dict(found.tags), tags)
        return experiment_id

    def _describe(
        self, client: MlflowClient, experiment_id: str, there: dict[str, str], tags: dict[str, str] | None = None
    ) -> None:
        """Writes the experiment's description, its saved views and other `tags`, where they are not `there` already."""
        views = saved_views(self.study, self.plan, self.tasks, self._metric, [self._parameters(t) for t in self.tasks])
        pages = {view.name: view_page(experiment_id, view.key) for view in views}
        folder = report_folder(self.runs, self.plan.study, self.plan.setting)
        page = next((name for name in REPORT_PAGES if (folder / name).exists()), REPORT_PAGES[0])
        report = artifact_page(experiment_id, self._report.run_id, page) if self._report else None
        note = description(self.study, self.plan, self._metric, pages, report)
        wanted = {"mlflow.note.content": note, NOTE_TAG: _sha256(note), **(tags or {})}
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
            for event in _events(RunFolder(jobs_root(self.runs), task.digest)):
                if event["kind"] == "evaluated":
                    return str(event["metric"])
        return self.tasks[0].job.config.evaluation.metric.kind

    def _find_runs(self, client: MlflowClient, experiment_id: str) -> None:
        self._runs, self._report = {}, None
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
                elif digest is not None:
                    self._report = _Attached(run.info.run_id, run.info.artifact_uri, digest)
                elif job is not None:
                    self._runs[job] = _Shown(
                        run.info.run_id,
                        started=run.info.start_time,
                        events=int(run.data.tags.get("events", 0)),
                        status=run.info.status,
                        name=run.info.run_name or "",
                        described="events" in run.data.tags,
                        reason="reason" in run.data.tags,
                    )
            token = page.token
            if not token:
                return

    def _show(self, client: MlflowClient, experiment_id: str, task: Task, state: str) -> None:
        from mlflow.entities import Metric, Param, RunTag

        folder = RunFolder(jobs_root(self.runs), task.digest)
        tags = self._tags(task, folder, state)
        shown = self._runs.get(task.digest)
        parameters: dict[str, str] = {}
        if shown is None:
            started = int((folder.path / "job.json").stat().st_mtime * 1000)
            run = client.create_run(experiment_id, start_time=started, run_name=task.sentence, tags=tags)
            shown = self._runs[task.digest] = _Shown(
                run.info.run_id, started, 0, run.info.status, task.sentence, fresh=True
            )
        if shown.name != task.sentence and shown.name.endswith(task.sentence.removeprefix(task.title)):
            # The study has another title for it now; a name of another form is somebody's own.
            client.update_run(shown.run_id, name=task.sentence)
            shown.name = task.sentence
        if not shown.described:
            parameters = self._parameters(task)
            self._attach(client, shown.run_id, folder)
        if shown.reason:
            tags.setdefault("reason", "")  # The failure before a retry is no property of the result.
        settled, built = _settled(folder, ended=state in ("finished", "diverged"))
        if built is not None:
            parameters |= {key: str(value) for key, value in built.items() if key.endswith("_parameters")}
        tags["events"] = str(max(shown.events, len(settled)))
        metrics = [metric for event in settled[shown.events :] for metric in _metrics(event, shown.started, Metric)]
        for start in range(0, max(len(metrics), 1), BATCH):
            # The count of events comes with the last batch: before, a repeated write finds the same rows.
            last = start + BATCH >= len(metrics)
            client.log_batch(
                shown.run_id,
                metrics=metrics[start : start + BATCH],
                params=[Param(key, value) for key, value in parameters.items()] if last else (),
                tags=[
                    RunTag(key, value)
                    for key, value in {**tags, "events": str(max(shown.events, len(settled)))}.items()
                ]
                if last
                else (),
            )
        shown.events = max(shown.events, len(settled))
        shown.described, shown.reason = True, "reason" in tags
        if state in ("finished", "diverged"):
            self._attach_samples(client, shown, folder, task.job.config.data.resolution)
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
            tags["reason"] = outcome.reason[:5000]
        return tags

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

    def _attach(self, client: MlflowClient, run_id: str, folder: RunFolder) -> None:
        for name in ("job.json", "protocol.json", "provenance.json"):
            if (folder.path / name).exists():
                client.log_artifact(run_id, str(folder.path / name))

    def _attach_samples(self, client: MlflowClient, shown: _Shown, folder: RunFolder, resolution: int) -> None:
        """The first, a middle and the last grid of samples, and what else is shown beside the last; each once."""
        grids = sorted(file for file in folder.samples.glob("*.png") if file.stem.isdigit())
        if not grids:
            return
        last = int(grids[-1].stem)
        images = [
            ("samples", int(grid.stem), grid)
            for grid in dict.fromkeys((grids[0], grids[len(grids) // 2], grids[-1]))
        ]  # fmt: skip
        images += [
            (key, last, file)
            for key in IMAGES
            if key != "samples" and (file := folder.samples / f"{key}.png").exists()
        ]  # fmt: skip
        there = set() if shown.fresh else {entry.path for entry in client.list_artifacts(shown.run_id, "images")}
        shown.fresh = False
        for key, step, file in images:
            if any(f"{key}{sign}step{sign}{step}{sign}" in path for path in there for sign in "+%"):
                continue
            from core.pictures import read_grid

            try:
                picture = read_grid(file, resolution)
            except Damaged as error:
                _say(str(error))
                continue
            client.log_image(shown.run_id, picture, key=key, step=step, timestamp=shown.started)

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
            self._report = _Attached(run.info.run_id, run.info.artifact_uri, "")
            client.set_terminated(run.info.run_id, end_time=now)
            self._describe(client, experiment_id, dict(client.get_experiment(experiment_id).tags))
        if self._report.digest == digest:
            return False
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        run_id = self._report.run_id
        # Until everything is there the run has no report: a kill in between leaves it to the next sync.
        client.set_tag(run_id, "report", "")
        client.set_tag(run_id, TITLE, REPORT)  # Runs of earlier versions have none.
        self._report.digest = ""
        artifacts = get_artifact_repository(self._report.artifacts, tracking_uri=self.uri)
        for entry in client.list_artifacts(run_id):
            artifacts.delete_artifacts(entry.path)
        client.log_artifacts(run_id, str(folder))
        study, setting = self.plan.asked_as, self.plan.setting
        render = code_span(typed("python", "-m", "reports.render", study, "--setting", setting))
        sync = code_span(typed("python", "-m", "studies.sync", study))
        client.set_tag(run_id, "mlflow.note.content", REPORT_NOTE.format(render=render, sync=sync, digest=digest))
        client.set_tag(run_id, "report", digest)
        self._report.digest = digest
        return True


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class _Attached:
    """The run that has the report, where its artifacts are, and which report it is."""

    run_id: str
    artifacts: str
    digest: str


@dataclass
class _Shown:
    """A run of MLflow as far as this process knows it: made by it (`fresh`), with its parameters (`described`)."""

    run_id: str
    started: int
    events: int
    status: str
    name: str
    fresh: bool = False
    described: bool = False
    reason: bool = False


def _events(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """Complete lines as plain data: tens of thousands need no validation to be copied."""
    if folder.events_file.exists():
        for line in folder.events_file.read_bytes().split(b"\n")[:-1]:
            yield json.loads(line)


def _settled(folder: RunFolder, *, ended: bool) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The events that will never be rewritten, in an order that resuming does not change, and what was built.

    Checkpoints come by the clock and are left out. A failed job may be tried again, so it settles like a running one.
    """
    settled: list[dict[str, Any]] = []
    since: list[dict[str, Any]] = []
    for event in _events(folder):
        if event["kind"] == "checkpointed":
            settled += since
            since = []
        else:
            since.append(event)
    settled += since if ended else []
    return settled, next((event for event in settled if event["kind"] == "built"), None)


KINDS = frozenset({"fd_rooms", "clean_fid"})
"""Metrics of GANs: what is measured on their features as well is called after them (`core.metrics.quality`)."""


def _metrics(event: dict[str, Any], started: int, make: type[Metric]) -> list[Metric]:
    """An event as MLflow's metrics; their time is that of training, so that writing them again is no second row."""
    match event["kind"]:
        case "losses":
            values = {
                "loss/d": event["d_loss"],
                "loss/g": event["g_loss"],
                "loss/penalty": event["penalty"],
                "score/real": event["real_score"],
                "score/fake": event["fake_score"],
            }
        case "fitted":
            values = {"loss/fit": event["loss"]}
        case "evaluated" if "/resample_" in event["metric"]:
            # The same metric on other latents: the report tells scatter from it, a page of charts would lead with it.
            return []
        case "evaluated" if "/" in event["metric"]:
            section, _, name = event["metric"].partition("/")
            # Charts come in the alphabet of their sections, and these must not lead.
            values = {f"quality/{name}" if section in KINDS else event["metric"]: event["value"]}
        case "evaluated":
            values = {event["metric"]: event["value"], "images": event["images"], "seconds": event["seconds"]}
        case _:
            return []
    timestamp = started + int(event["seconds"] * 1000)
    # An infinite value would come back as 1.8e308 and flatten every chart.
    finite = {key: float(value) if math.isfinite(float(value)) else math.nan for key, value in values.items()}
    return [make(key, value, timestamp, event["iteration"]) for key, value in finite.items()]


def _check_reachable(url: str) -> None:
    """Raises where the database does not answer: mlflow would try for most of an hour."""
    from sqlalchemy import create_engine

    engine = create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS})
    try:
        engine.connect().close()
    finally:
        engine.dispose()


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
    print(one_line(line), file=sys.stderr, flush=True)
