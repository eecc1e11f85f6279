"""What a view writes to MLflow: its experiment, a flat run per variant and seed, and one with the report.

What MLflow has of a run is asked of MLflow before the run is written to.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path

from mlflow.entities import Metric, Param, Run, RunTag

from core.events import Evaluated, Event
from core.folder import RESULTS, RunFolder, State
from core.reading import Damaged
from core.values import values_in
from core.words import code_span, typed
from studies.mlflow_view import fitting
from studies.mlflow_view.artifacts import Beside
from studies.mlflow_view.attachments import attached_files, has_report, missing, report_content, report_files
from studies.mlflow_view.connection import Places, Served, connect
from studies.mlflow_view.experiment import REPORT_RUN, Experiment, artifact_page, view_page
from studies.mlflow_view.runs import Labels, counts_of, metrics_of, settled_events
from studies.mlflow_view.views import REPORT, TITLE, description, report_name, saved_views
from studies.plan import jobs_root, report_folder
from studies.runner.tasks import Task

REPORT_PAGES = ("report.pdf", "report.html", "report.md")
"""What the description leads to: the first of them that the report has."""
NOTE_TAG = "study.note"
"""The sha256 of the description that was written last: another one is somebody's own."""
REPORT_NOTE = """The report of the study, as it was rendered last: **Artifacts** has `report.pdf`, the same as
`report.md` with its figures, every number as `results.csv`, and the protocols that they were measured with.

{render} writes it again, {sync} puts it here. Digest of its files: `{digest}`."""
ENDED: Mapping[State, str] = {
    "finished": "FINISHED",
    "diverged": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}
"""MLflow's word for each state; "diverged" is a result, told from "finished" by the tag `status`."""


class Writer:
    """Writes one view; `described` says whether the experiment's page has all that this process knows of."""

    places: Places

    def __init__(self, experiment: Experiment, labels: Labels) -> None:
        self.experiment, self.labels = experiment, labels
        self.client = connect(experiment.uri, experiment.database)
        self.experiment_id = ""
        self.described = False
        self._run_ids: dict[str, str] = {}

    # --- the experiment -----------------------------------------------------------------------------------------------

    def open_experiment(self) -> str:
        """The experiment's id; it is made or restored, and its runs are looked up."""
        name = self.experiment.name
        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            experiment = self.client.get_experiment(self.client.create_experiment(name, tags=self._page_tags))
        elif experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        self.experiment_id, self.described = str(experiment.experiment_id), False
        self.places = Places(self.client, experiment, self.experiment.uri, self.experiment.database)
        self._find_runs()
        return self.experiment_id

    def _find_runs(self) -> None:
        self._run_ids = {}
        noted: dict[str, str] = {}
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], max_results=1000, order_by=["start_time"], page_token=token
            )
            for run in page:
                tags, run_id = run.data.tags, run.info.run_id
                key = REPORT_RUN if "report" in tags else tags.get("job")
                # Jobs in a file that earlier versions made say not whose they are; nobody else trains into it.
                whose = tags.get("runs", self.experiment.whose if self.experiment.database and "job" in tags else None)
                if key is None or whose != self.experiment.whose:
                    continue
                if key in self._run_ids:
                    self.client.delete_run(run_id)  # Made a second time, since the answer to the first was lost.
                    continue
                self._run_ids[key], noted[run_id] = run_id, str(run.info.artifact_uri)
            token = page.token
            if not token:
                break
        self.places.put_right(noted)

    def _new_run(self, name: str, started: int, tags: Mapping[str, str]) -> Run:
        run = self.client.create_run(self.experiment_id, start_time=started, run_name=name, tags=dict(tags))
        self.places.put_right({run.info.run_id: str(run.info.artifact_uri)})
        return run

    def describe(self) -> None:
        """Writes the experiment's description, its saved views and other tags, where they are not there already."""
        study, plan, tasks = self.labels.study, self.labels.plan, self.labels.tasks
        there = dict(self.client.get_experiment(self.experiment_id).tags)
        parameters = [self.labels.parameters(task) for task in tasks]
        views = saved_views(study, plan, tasks, self._metric, parameters)
        pages = {view.name: view_page(self.experiment_id, view.key) for view in views}
        folder = report_folder(self.experiment.runs, plan.study, plan.setting)
        page = next((name for name in REPORT_PAGES if (folder / name).exists()), REPORT_PAGES[0])
        report_run = self._run_ids.get(REPORT_RUN)
        report = artifact_page(self.experiment_id, report_run, page) if report_run else None
        note = description(study, plan, self._metric, pages, report, [view.lacking for view in views])
        wanted = {"mlflow.note.content": note, NOTE_TAG: _sha256(note), **self._page_tags}
        if (now := there.get("mlflow.note.content")) and _sha256(now) != there.get(NOTE_TAG, _sha256(now)):
            # Somebody has written there: the words are theirs now.
            del wanted["mlflow.note.content"], wanted[NOTE_TAG]
        wanted |= {v.tag: v.value(int(time.time() * 1000)) for v in views if not v.is_in(there.get(v.tag, ""))}
        for key, value in wanted.items():
            if there.get(key) != value:
                self.client.set_experiment_tag(self.experiment_id, key, value)
        self.described = True

    @cached_property
    def _page_tags(self) -> dict[str, str]:
        return {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": self._metric,
            "mlflow.experiment.primaryMetric.greaterIsBetter": "False",
        }

    @cached_property
    def _metric(self) -> str:
        """The first metric that a run of the plan has measured, or is to measure."""
        for task in self.labels.tasks:
            try:
                for event in RunFolder(jobs_root(self.experiment.runs), task.digest).each_event(b'"evaluated"'):
                    if isinstance(event, Evaluated):
                        return event.metric
            except Damaged:
                continue
        return self.labels.tasks[0].job.config.evaluation.metric.kind

    # --- one run ------------------------------------------------------------------------------------------------------

    def show(self, task: Task, state: State) -> list[str]:
        """Writes what a run's folder has and MLflow has not; returns why pictures are left out.

        Raises Damaged, with nothing written, for a folder that cannot be read or is of other networks than were shown.
        """
        folder = RunFolder(jobs_root(self.experiment.runs), task.digest)
        tags = {**self.labels.tags(task, folder, state), "runs": self.experiment.whose}
        settled = settled_events(folder, ended=state in RESULTS)
        files = attached_files(folder)
        counts, name = counts_of(settled), self.labels.name(task)
        if task.digest in self._run_ids:
            run = self.client.get_run(self._run_ids[task.digest])
            for key, value in counts.items():
                if run.data.params.get(key, value) != value:
                    why = f"{key} is {value}, and MLflow has {run.data.params[key]}"
                    raise Damaged(folder.events_file, why, f"{folder.remedy}, or delete its run from MLflow")
        else:
            run = self._new_run(name, int((folder.path / "job.json").stat().st_mtime * 1000), tags)
            self._run_ids[task.digest] = run.info.run_id
        run_id, before = run.info.run_id, run.info.run_name or ""
        if before != name and before.endswith(task.seed_words):
            # The study has another title for it now; a name of another form is somebody's own.
            self.client.update_run(run_id, name=name)
        fresh = "events" not in run.data.tags
        values = values_in(settled, task.job.config.evaluation.window)
        self._log(run, settled, values, tags, counts | self.labels.parameters(task) if fresh else counts)
        problems = self._attach(run, folder, state, files, fresh, task.job.config.data.resolution)
        self._set_status(run, folder, state)
        return problems

    def _log(
        self,
        run: Run,
        settled: list[Event],
        values: Mapping[int, float],
        tags: dict[str, str],
        parameters: Mapping[str, str],
    ) -> None:
        """Writes the events that the run has not, and their count with the last batch: before, a repeated write finds
        the same rows. `values` are the run's by iteration."""
        shown = int(run.data.tags.get("events", 0))
        if "reason" in run.data.tags:
            tags.setdefault("reason", "")  # The failure before a retry is no property of the result.
        tags["events"] = str(max(shown, len(settled)))
        started = run.info.start_time
        metrics = [Metric(*row) for event in settled[shown:] for row in metrics_of(event, started, values)]
        # MLflow takes each parameter once.
        new = fitting.parameters({key: value for key, value in parameters.items() if key not in run.data.params})
        whole = len(metrics) - len(metrics) % fitting.BATCH
        for start in range(0, whole, fitting.BATCH):
            self.client.log_batch(run.info.run_id, metrics=metrics[start : start + fitting.BATCH])
        self.client.log_batch(
            run.info.run_id,
            metrics=metrics[whole:],
            params=[Param(key, value) for key, value in new.items()],
            tags=[RunTag(key, value) for key, value in fitting.tags(tags).items()],
        )

    def _attach(
        self, run: Run, folder: RunFolder, state: State, contents: Mapping[str, bytes], fresh: bool, resolution: int
    ) -> list[str]:
        """Writes the files that the run should have and has not; returns why a picture is left out that is none."""
        if state not in RESULTS and not fresh and isinstance(self.places.artifacts, Served):
            return []  # To ask a server every time costs more than it is worth before there is anything to look at.
        run_id, problems = run.info.run_id, []
        files, pictures = missing(folder, state, set() if fresh else self.places.artifacts.names(run_id))
        for file in files:
            if file.name in contents:  # One that is new since is another sync's.
                self.places.artifacts.put(run_id, file.name, contents[file.name])
        for picture in pictures:
            try:
                sizes = picture.contents(resolution)
            except Damaged as error:
                problems.append(str(error))
                continue
            for name, content in zip(picture.names(folder.digest, run.info.start_time), sizes, strict=True):
                self.places.artifacts.put(run_id, name, content)
        if pictures:
            self.client.set_tag(run_id, "mlflow.loggedImages", "True")  # As `log_image` does, which repeats itself.
        return problems

    def _set_status(self, run: Run, folder: RunFolder, state: State) -> None:
        status = ENDED.get(state, "RUNNING")
        if status == run.info.status:
            return
        if status == "RUNNING":
            self.client.update_run(run.info.run_id, status=status)
        else:
            last = max((file.stat().st_mtime for file in folder.path.glob("*.json*")), default=time.time())
            self.client.set_terminated(run.info.run_id, status=status, end_time=int(last * 1000))

    # --- the report ---------------------------------------------------------------------------------------------------

    def attach_report(self, folder: Path, digest: str) -> bool:
        """Lets the report's run have the files of `folder`, whose digest is given; False where it has them."""
        if (run_id := self._run_ids.get(REPORT_RUN)) is None:
            run_id = self._run_ids[REPORT_RUN] = self._new_report_run()
        shown = self.client.get_run(run_id).data.tags.get("report")
        artifacts, names = self.places.artifacts, self.places.artifacts.names(run_id)
        content_of = partial(artifacts.content, run_id) if isinstance(artifacts, Beside) else None
        if shown == digest and has_report(folder, names, content_of):
            return False
        # Until everything is there the run has no report: a kill in between leaves it to the next sync.
        self.client.set_tag(run_id, "report", "")
        self.client.set_tag(run_id, TITLE, REPORT)  # Runs of earlier versions have none.
        files = report_files(folder)
        for name, file in files.items():
            artifacts.put(run_id, name, report_content(file))
        for name in names - files.keys():
            artifacts.remove(run_id, name)
        study, setting = self.labels.plan.asked_as, self.labels.plan.setting
        render = code_span(typed("python", "-m", "reports.render", study, "--setting", setting))
        sync = code_span(typed("python", "-m", "studies.sync", study))
        note = REPORT_NOTE.format(render=render, sync=sync, digest=digest)
        self.client.set_tag(run_id, "mlflow.note.content", note)
        self.client.set_tag(run_id, "report", digest)
        return True

    def _new_report_run(self) -> str:
        now = int(time.time() * 1000)
        # Nothing that could be averaged or drawn: charts pass it over, and grouped it is the last.
        tags = {
            "report": "",
            "runs": self.experiment.whose,
            "variant": REPORT,
            TITLE: REPORT,
            "mlflow.runColor": "#8a8a8a",
        }
        run_id = str(self._new_run(report_name(self.labels.study), now, tags).info.run_id)
        self.client.set_terminated(run_id, end_time=now)
        self.described = False
        return run_id


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
