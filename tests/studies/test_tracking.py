"""The MLflow view says what the run folders say, once, whenever and however often it is written."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from filelock import FileLock
from PIL import Image

from core.config import RoomsFrechet
from core.events import event_adapter
from core.files import append
from core.folder import Outcome, RunFolder
from core.metrics.protocol import as_json, of_metric
from core.reading import Damaged
from studies import catalogue, sync
from studies.mlflow_view import fitting, writing
from studies.mlflow_view.attachments import report_digest
from studies.mlflow_view.runs import metrics_of
from studies.mlflow_view.sync import MlflowView
from studies.mlflow_view.views import TAG
from studies.plan import Plan, jobs_root, record_plan, report_folder
from studies.runner.environment import NO_TELEMETRY, share_of_machine
from studies.runner.tasks import Task, tasks_of

ROOT = Path(__file__).parents[2]

PROTOCOL = of_metric(
    RoomsFrechet(), weights="ab" * 32, side=16, real_samples=4096, real_content="cd" * 32, latents_seed=8192
)

pytestmark = pytest.mark.filterwarnings("ignore")  # Those of SQLAlchemy are between it and mlflow.


@pytest.fixture
def runs(tmp_path: Path, mlflow_folder: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def plan(small_plan: Callable[..., Plan], runs: Path) -> Plan:
    return record_plan(runs, small_plan(seeds=(0, 1), variants=2))


def view_of(plan: Plan, runs: Path) -> MlflowView:
    """As another command has it."""
    return MlflowView(catalogue.study("changes_overview"), plan, runs)


@pytest.fixture
def view(plan: Plan, runs: Path) -> MlflowView:
    return view_of(plan, runs)


def write_folder(
    runs: Path, task: Task, *, losses: int = 4, checkpoint_after: int | None = 2, status: str | None = "finished"
) -> RunFolder:
    """A run folder of so many iterations, a checkpoint in between, and an outcome where there is a status."""
    folder = RunFolder(jobs_root(runs), task.digest)
    folder.samples.mkdir(parents=True, exist_ok=True)
    folder.write("job.json", task.job.model_dump_json())
    folder.write("protocol.json", as_json([PROTOCOL]))
    folder.write("provenance.json", json.dumps({"commit": "a" * 40, "torch": "2.15.0", "python": "3.11.2"}))
    events: list[dict[str, Any]] = [{"kind": "built", "iteration": 0, "images": 0, "seconds": 0.0}]
    events[0] |= {"emitted_parameters": 7, "shared_parameters": 8, "generator_parameters": 9}
    for iteration in range(1, losses + 1):
        at = {"iteration": iteration, "images": 4 * iteration, "seconds": iteration / 8}
        events.append({"kind": "losses", **at, "d_loss": 0.5, "g_loss": 0.25, "penalty": 0.1, "real_score": 1.0})
        events[-1]["fake_score"] = -1.0
        if iteration % 2 == 0:
            value = math.inf if status == "diverged" and iteration == losses else 10.0 / iteration
            events.append({"kind": "evaluated", **at, "metric": "fd_rooms", "value": value, "evaluation_seconds": 0.1})
            Image.new("RGB", (16, 16)).save(folder.samples / f"{iteration:06d}.png")
        if iteration == checkpoint_after:
            events.append({"kind": "checkpointed", **at})
    folder.events_file.write_text("".join(json.dumps(event) + "\n" for event in events))
    if status is not None:
        outcome = {"status": status, "iteration": losses, "seconds": 1.0, "evaluation_seconds": 0.0, "job_seconds": 2.0}
        outcome["reason"] = None if status == "finished" else "the reason"
        folder.write("outcome.json", Outcome.model_validate_json(json.dumps(outcome)).model_dump_json())
    return folder


def shown(view: MlflowView) -> dict[str, Any]:
    client = view.writer().client
    experiment = client.get_experiment_by_name(view.name)
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    assert len({run.data.tags["job"] for run in found}) == len(found)
    return {run.data.tags["job"]: run for run in found}


def history(view: MlflowView, run: Any, key: str) -> list[tuple[int, float]]:
    rows = view.writer().client.get_metric_history(run.info.run_id, key)
    return sorted((row.step, row.value) for row in rows)


def test_rebuilds_everything_from_the_folders(view: MlflowView, runs: Path, plan: Plan) -> None:
    tasks = tasks_of(plan)[:3]
    for task, status in zip(tasks, ("finished", "diverged", "failed"), strict=True):
        write_folder(runs, task, status=status)
    assert not view.in_sync() and view.sync() == 3
    finished, diverged, failed = (shown(view)[task.digest] for task in tasks)
    assert (finished.info.run_name, finished.info.status) == ("none of the ten changes · seed 0", "FINISHED")
    assert (
        finished.data.tags.items()
        >= {
            "variant": "baseline",
            "seed": "0",
            "design": "ladder",
            "status": "finished",
            "title": "none of the ten changes",
            "mlflow.source.git.commit": "a" * 40,
            "version.torch": "2.15.0",
            "protocol": PROTOCOL.fingerprint,
        }.items()
    )
    parameters = {"change.r1": "off", "inr_width": "8", "ema": "off", "generator_parameters": "9"}
    assert finished.data.params.items() >= parameters.items()
    assert history(view, finished, "fd_rooms") == [(2, 5.0), (4, 2.5)]
    assert [step for step, _ in history(view, finished, "loss/d")] == [1, 2, 3, 4]
    names = {entry.path for entry in view.writer().client.list_artifacts(finished.info.run_id)}
    assert {"job.json", "protocol.json", "provenance.json", "images"} <= names
    assert diverged.data.tags.items() >= {"status": "diverged", "reason": "the reason"}.items()
    assert diverged.info.status == "FINISHED" and math.isnan(history(view, diverged, "fd_rooms")[-1][1])
    assert (failed.info.status, failed.data.params["change.fourier_inr"]) == ("FAILED", "on")
    assert view.link and "#/experiments/" in view.link and view.command == "mlflow ui"


def _no_outcome(folder: RunFolder) -> None:
    (folder.path / "outcome.json").write_bytes(b"")


def _no_folder(folder: RunFolder) -> None:
    shutil.rmtree(folder.path)
    folder.path.touch()


def _large(folder: RunFolder) -> None:
    os.truncate(folder.path / "job.json", 2**40)


def _line(line: bytes) -> Callable[[RunFolder], None]:
    return lambda folder: append(folder.events_file, line.decode() + "\n")


DAMAGE: dict[str, Callable[[RunFolder], None]] = {
    "outcome.json is damaged (it is empty)": _no_outcome,
    " is a file where a folder is wanted: move it away": _no_folder,
    "job.json is damaged (it is larger than 1 MiB)": _large,
    "line 9: losses.images": _line(b'{"kind":"losses","iteration":1,"seconds":1}'),
    "line 9: evaluated.images": _line(b'{"kind":"evaluated","iteration":1,"seconds":1,"value":1,"metric":"fd_rooms"}'),
    "line 9: evaluated.metric": _line(
        b'{"kind":"evaluated","iteration":1,"seconds":1,"images":1,"value":1,"metric":3,"evaluation_seconds":1}'
    ),
    "line 9: fitted.seconds": _line(b'{"kind":"fitted","iteration":1,"seconds":1e999,"images":1,"loss":1}'),
    "line 9: Input tag": _line(b'{"kind":[],"iteration":1,"seconds":1}'),
    "line 9: Invalid JSON": _line(b'{"kind":"x","v":' + b"[" * 200_000),
}


def test_each_damaged_run_is_named_and_hides_no_other(small_plan: Callable[..., Plan], runs: Path) -> None:
    view = view_of(record_plan(runs, small_plan(seeds=tuple(range(len(DAMAGE) + 1)), variants=1)), runs)
    *damaged, whole = view.tasks
    folders = [write_folder(runs, task) for task in view.tasks]
    for damage, folder in zip(DAMAGE.values(), folders[:-1], strict=True):
        damage(folder)
    view.sync()
    assert shown(view).keys() == {whole.digest}
    for task, words in zip(damaged, DAMAGE, strict=True):
        (line,) = [line for line in view.damaged if task.digest in line]
        assert words in line


def test_networks_that_changed_after_they_were_shown_are_named_and_hide_no_other_run(
    view: MlflowView, runs: Path, plan: Plan
) -> None:
    first, second, _, _ = tasks_of(plan)
    folder = write_folder(runs, first)
    view.sync()
    folder.events_file.write_text(folder.events_file.read_text().replace('_parameters": 9', '_parameters": 10'))
    write_folder(runs, second)
    again = view_of(plan, runs)
    again.sync()
    (said,) = again.damaged
    assert shown(again).keys() == {first.digest, second.digest}
    assert "events.jsonl is damaged (generator_parameters is 10, and MLflow has 9)" in said


def test_a_file_that_is_larger_than_any_is_no_report_and_one_that_is_no_report_s_is_left_alone(
    view: MlflowView, runs: Path, plan: Plan
) -> None:
    write_folder(runs, view.tasks[0])
    folder = write_report(report_folder(runs, plan.study, plan.setting), "text", "a.png")
    (folder / "mine.bin").touch()
    os.truncate(folder / "mine.bin", 2**40)
    assert view.show_report(folder)
    os.truncate(folder / "figures" / "a.png", 2**40)
    assert not view.shows_report(folder)
    with pytest.raises(Damaged, match=r"a\.png is damaged \(it is larger than 64 MiB\)"):
        view.show_report(folder)


def test_writes_each_settled_event_exactly_once(view: MlflowView, runs: Path, plan: Plan) -> None:
    task = tasks_of(plan)[0]
    folder = write_folder(runs, task, checkpoint_after=2, status=None)
    with FileLock(folder.lock_file):
        view.sync()
    run = shown(view)[task.digest]
    assert run.info.status == "RUNNING"
    assert [step for step, _ in history(view, run, "loss/d")] == [1, 2]
    assert view.sync() == 1
    assert shown(view)[task.digest].info.status == "KILLED"
    write_folder(runs, task, losses=6, checkpoint_after=5)  # Resumed: its checkpoints fall elsewhere.
    other = view_of(plan, runs)
    other.sync()
    run = shown(view)[task.digest]
    assert run.info.status == "FINISHED"
    assert [step for step, _ in history(view, run, "loss/d")] == [1, 2, 3, 4, 5, 6]
    assert view.in_sync()
    assert view.sync() == 0
    assert other.sync() == 0


def test_a_lost_record_or_a_crash_in_between_makes_no_duplicates(view: MlflowView, runs: Path, plan: Plan) -> None:
    task = tasks_of(plan)[0]
    write_folder(runs, task)
    view.sync()
    before = shown(view)[task.digest]
    (runs / "mlflow-synced.json").unlink()
    view.writer().client.set_tag(before.info.run_id, "events", "1")  # As if killed before the count was written.
    again = view_of(plan, runs)
    assert again.sync() == 1
    run = shown(view)[task.digest]
    assert run.info.run_id == before.info.run_id
    for key in ("loss/d", "fd_rooms", "images", "seconds"):
        steps = [step for step, _ in history(view, run, key)]
        assert len(steps) == len(set(steps))
    images = view.writer().client.list_artifacts(run.info.run_id, "images")
    assert len(images) == 4  # Two steps, each whole and compressed.


def test_another_title_is_shown_and_a_name_of_somebodys_own_is_kept(view: MlflowView, runs: Path, plan: Plan) -> None:
    first, second, _, _ = tasks_of(plan)
    write_folder(runs, first)
    write_folder(runs, second)
    view.sync()
    view.writer().client.update_run(shown(view)[second.digest].info.run_id, name="the one I like")
    retitled = tuple(variant.replace(title="as published") for variant in plan.variants)
    other = view_of(plan.replace(variants=retitled), runs)
    assert not other.in_sync() and other.sync() == 2
    found = shown(other)
    assert found[first.digest].info.run_name == "as published · seed 0"
    assert found[second.digest].info.run_name == "the one I like"
    assert {run.data.tags["title"] for run in found.values()} == {"as published"}
    assert {run.data.tags["variant"] for run in found.values()} == {"baseline"}


def test_a_deleted_database_or_run_is_noticed_without_mlflow(view: MlflowView, runs: Path, plan: Plan) -> None:
    task = tasks_of(plan)[0]
    write_folder(runs, task)
    view.sync()
    assert view.in_sync()
    view.writer().client.delete_run(shown(view)[task.digest].info.run_id)
    fresh = view_of(plan, runs)
    assert not fresh.in_sync()
    assert fresh.sync() == 1
    assert fresh.in_sync()
    database = fresh.database
    assert database is not None
    database.rename(database.with_suffix(".away"))
    assert not fresh.in_sync()


def test_a_failure_that_was_retried_leaves_no_reason(view: MlflowView, runs: Path, plan: Plan) -> None:
    task = tasks_of(plan)[0]
    write_folder(runs, task, status="failed")
    view.sync()
    write_folder(runs, task, checkpoint_after=3)
    view.sync()
    run = shown(view)[task.digest]
    assert run.info.status == "FINISHED"
    assert not run.data.tags["reason"]
    assert [step for step, _ in history(view, run, "loss/d")] == [1, 2, 3, 4]


def test_the_sync_command(view: MlflowView, runs: Path, plan: Plan) -> None:
    write_folder(runs, tasks_of(plan)[0])
    result = CliRunner().invoke(sync.main, ["changes_overview", "--runs", str(runs)])
    assert result.exit_code == 0
    assert "wrote 1 runs" in result.output
    result = CliRunner().invoke(sync.main, ["changes_overview", "--runs", str(runs), "--setting", "lsun64"])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_further_measures_are_shown_once_and_resamples_are_not() -> None:
    at = {"kind": "evaluated", "iteration": 4, "images": 16, "seconds": 0.5, "value": 2.0, "evaluation_seconds": 0.1}

    def keys(metric: str) -> list[str]:
        event = event_adapter.validate_python({**at, "metric": metric})
        return [key for key, *_ in metrics_of(event, 0, {})]

    assert keys("fd_rooms") == ["fd_rooms", "images", "seconds"]
    assert keys("upsampled/own") == ["upsampled/own"]
    assert keys("fd_rooms/kid") == keys("clean_fid/kid") == ["quality/kid"]
    assert keys("fd_rooms/resample_1") == []


def test_the_metric_is_the_runs_value_and_an_evaluation_of_a_window_stands_beside_it() -> None:
    at = {"kind": "evaluated", "iteration": 8, "images": 16, "seconds": 0.5, "value": 4.0, "evaluation_seconds": 0.1}
    event = event_adapter.validate_python({**at, "metric": "fd_rooms"})
    shown = {key: (value, step) for key, value, _, step in metrics_of(event, 0, {8: 2.0})}
    assert shown["fd_rooms"] == (2.0, 8) and shown["quality/one_evaluation"] == (4.0, 8)
    assert "quality/one_evaluation" not in {key for key, *_ in metrics_of(event, 0, {8: 4.0})}


def write_report(folder: Path, text: str, *figures: str) -> Path:
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(text)
    (folder / "verdicts.json").write_text("{}")
    for name in figures:
        (folder / "figures" / name).write_text(name)
    return folder


def test_the_report_is_one_run_that_is_replaced(view: MlflowView, runs: Path, plan: Plan, tmp_path: Path) -> None:
    write_folder(runs, tasks_of(plan)[0])
    view.sync()
    folder = write_report(tmp_path / "report", "first", "a.png")
    assert view.show_report(folder)
    assert not view.show_report(folder)
    assert not view_of(plan, runs).show_report(folder)
    (folder / "figures" / "a.png").unlink()
    write_report(folder, "second", "b.png")
    assert not view.shows_report(folder)
    other = view_of(plan, runs)
    assert other.show_report(folder)
    client = view.writer().client
    experiment = client.get_experiment_by_name(view.name)
    (run,) = client.search_runs([experiment.experiment_id], "tags.variant = 'report'")
    assert (run.info.run_name, run.info.status) == ("Report: Changes overview", "FINISHED")
    assert run.data.metrics == {} and run.data.tags["report"] == report_digest(folder)
    assert [entry.path for entry in client.list_artifacts(run.info.run_id, "figures")] == ["figures/b.png"]
    assert Path(client.download_artifacts(run.info.run_id, "report.md")).read_text() == "second"
    assert run.info.run_id in experiment.tags["mlflow.note.content"]
    client.delete_run(run.info.run_id)
    again = view_of(plan, runs)
    assert not again.shows_report(folder) and again.show_report(folder)
    assert len(client.search_runs([experiment.experiment_id], "tags.variant = 'report'")) == 1


def test_what_people_wrote_is_theirs(view: MlflowView, runs: Path, plan: Plan, tmp_path: Path) -> None:
    write_folder(runs, tasks_of(plan)[0])
    view.sync()
    client = view.writer().client
    experiment = client.get_experiment_by_name(view.name)
    theirs = client.create_run(experiment.experiment_id, tags={"report": "weekly"}, start_time=1).info.run_id
    client.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", "my own notes")
    assert not view_of(plan, runs).show_report(tmp_path)  # No report is there.
    other = view_of(plan, runs)
    assert other.show_report(write_report(tmp_path / "report", "first", "a.png"))
    other.sync(distrustful=True)
    assert client.get_run(theirs).info.lifecycle_stage == "active" and client.list_artifacts(theirs) == []
    assert client.get_experiment_by_name(view.name).tags["mlflow.note.content"] == "my own notes"


def test_saved_views_are_written_and_left_to_who_saves_over_them(view: MlflowView, runs: Path, plan: Plan) -> None:
    write_folder(runs, tasks_of(plan)[0])
    view.sync()
    client = view.writer().client
    experiment = client.get_experiment_by_name(view.name)
    assert "[report.pdf]" not in experiment.tags["mlflow.note.content"]
    saved = {key: json.loads(value) for key, value in experiment.tags.items() if key.startswith(TAG)}
    assert sorted(key.removeprefix(TAG) for key in saved) == ["changes", "samples", "variants"]
    states = {key.removeprefix(TAG): json.loads(value["state"]) for key, value in saved.items()}
    assert states["variants"]["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "title"}]
    assert states["changes"]["compareRunCharts"][0]["selectedParams"] == ["change.fourier_inr"]
    key = f"{TAG}variants"
    theirs = json.dumps({**saved[key], "updatedAt": saved[key]["updatedAt"] + 1, "name": "Mine"})
    client.set_experiment_tag(experiment.experiment_id, key, theirs)
    client.set_experiment_tag(experiment.experiment_id, f"{TAG}samples", "{}")
    write_folder(runs, tasks_of(plan)[1])
    view_of(plan, runs).sync()
    tags = client.get_experiment(experiment.experiment_id).tags
    assert tags[key] == theirs
    assert json.loads(tags[f"{TAG}samples"])["name"] == "Samples, seed 0"


def large(plan: Plan, variants: int, title: str = "") -> Plan:
    """The plan with so many variants more, none of them begun, and `title` before every title."""
    last = plan.variants[-1]
    more = [last.replace(name=f"{last.name}_{i}", title=f"{last.title} ({i})") for i in range(variants)]
    return plan.replace(variants=tuple(v.replace(title=title + v.title) for v in (*plan.variants, *more)))


@pytest.mark.parametrize("title", ["", "×" * 9000])
def test_a_study_of_any_size_is_shown(plan: Plan, runs: Path, title: str) -> None:
    view = view_of(large(plan, 600, title), runs)
    write_folder(runs, view.tasks[0])
    assert view.sync() == 1 and view.in_sync()
    (run,) = shown(view).values()
    assert run.info.run_name.endswith(" · seed 0") and len(run.info.run_name) <= 250
    assert run.data.tags["title"].startswith(title[:4900] or "none of the ten changes")
    experiment = view.writer().client.get_experiment_by_name(view.name)
    saved = {key: json.loads(value) for key, value in experiment.tags.items() if key.startswith(TAG)}
    assert len(saved) == 3
    folded = json.loads(saved[f"{TAG}variants"]["state"])["groupsExpanded"]
    assert 1 < len(folded) < 603
    said = experiment.tags["mlflow.note.content"]
    assert f"the first {len(folded) - 1} of 602 variants are folded" in said


def test_what_is_too_long_is_made_to_fit_and_told_apart() -> None:
    assert fitting.fitted("short", 10) == "short"
    cut = [fitting.fitted("a" * 300 + end + " · seed 0", 250, end=" · seed 0") for end in "bc"]
    assert cut[0] != cut[1] and all(len(name) == 250 and name.endswith(" · seed 0") for name in cut)
    many = {f"change.{'x' * 300}{i}": "y" * 9000 for i in range(3)}
    for made in (fitting.tags(many), fitting.parameters(many)):
        assert len(made) == 3 and all(len(key) <= 250 and len(value) <= 6000 for key, value in made.items())
    assert fitting.as_many(range(10), lambda shown: "x" * len(shown), 4) == range(4)


def test_descriptions_and_charts_do_not_keep_runs_from_being_shown(
    view: MlflowView, runs: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(runs, tasks_of(plan)[0])

    def broken(*_: object) -> None:
        raise ValueError("too long")

    with monkeypatch.context() as without:
        without.setattr(writing, "saved_views", broken)
        assert view.sync() == 1 and view.sync() == 0
        assert len(shown(view)) == 1 and not view.in_sync()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "not their description and charts: ValueError: too long" in lines[0]
    assert view_of(plan, runs).sync() == 0
    assert view_of(plan, runs).in_sync()


@pytest.mark.parametrize("text", ["[]", "{", "", '{"sqlite:cwd/mlflow.db": []}'])
def test_a_damaged_record_is_made_anew(view: MlflowView, runs: Path, plan: Plan, text: str) -> None:
    write_folder(runs, tasks_of(plan)[0])
    (runs / "mlflow-synced.json").write_text(text)
    assert view.sync() == 1 and view.in_sync()


def test_telemetry_is_off_before_mlflow_is_imported_whatever_the_environment_says() -> None:
    program = (
        "import os; from studies.runner.environment import forbid_telemetry; forbid_telemetry();"
        "import mlflow.telemetry.utils as t; t._IS_IN_CI_ENV_OR_TESTING = False; print(t.is_telemetry_disabled());"
        "os.environ.pop('MLFLOW_DISABLE_TELEMETRY'); print(t.is_telemetry_disabled())"
    )
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT)}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True", "True"]


def test_workers_and_connections_forbid_telemetry(monkeypatch: pytest.MonkeyPatch, view: MlflowView) -> None:
    assert NO_TELEMETRY.items() <= share_of_machine(0, threads=1, gpus=()).items()
    for name in NO_TELEMETRY:
        monkeypatch.setenv(name, "false")
    view.writer()
    assert NO_TELEMETRY.items() <= os.environ.items()
