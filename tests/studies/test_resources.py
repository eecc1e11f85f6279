"""Where and how jobs are trained: what a command asks for reaches the trainer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import studies.run
from core.folder import RunFolder
from studies import catalogue
from studies.commands import train
from studies.mlflow_view.sync import MlflowView
from studies.plan import Plan, jobs_root, record_plan
from studies.runner import execute
from studies.runner.execute import Ended
from studies.runner.launchers import launch
from studies.runner.order import Order
from studies.runner.resources import Resources, resources_of
from studies.runner.tasks import tasks_of
from tests.support import fake_job


def resources(runs: Path, **options: Any) -> Resources:
    return resources_of(
        "cpu",
        "cpu",
        2,
        gpus=(),
        runs=runs,
        data_path=None,
        launcher="inline",
        **options,
    )


@pytest.mark.parametrize(
    ("asked", "where"), [([], "inline"), (["--evaluation", "inline"], "inline"), (["--evaluation", "beside"], "beside")]
)
def test_the_command_says_where_is_evaluated(
    asked: list[str], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Resources] = []

    def run_plan(
        declared: object, plan: Plan, tasks: object, resources: Resources, console: object, **_: object
    ) -> Ended:
        given.append(resources)
        return Ended(execute.DONE, plan, MlflowView(catalogue.study(plan.study), plan, resources.runs))

    monkeypatch.setattr(train, "run_plan", run_plan)
    arguments = ["changes_overview", "--runs", str(tmp_path), "--only", "baseline", "--no-report", *asked]
    assert studies.run.command.main(arguments, standalone_mode=False) == 0
    assert [resources.evaluation for resources in given] == [where]


@pytest.mark.usefixtures("fake_trainer")
@pytest.mark.parametrize("where", ["inline", "beside"])
def test_an_order_tells_whoever_trains(where: str, small_plan: Callable[..., Plan], tmp_path: Path) -> None:
    plan = small_plan(variants=1)
    tasks = tasks_of(plan)
    record_plan(tmp_path, plan)
    order = Order.of_tasks(plan, resources(tmp_path, evaluation=where), tasks, 1)
    order.queue().enqueue(order.tasks)
    launch(order, stop=lambda: False, tick=lambda: None, say=print)
    provenance = RunFolder(jobs_root(tmp_path), tasks[0].digest).read("provenance.json")
    assert provenance["evaluation"] == where


def test_an_order_of_an_earlier_version_is_read(small_plan: Callable[..., Plan], tmp_path: Path) -> None:
    plan = small_plan(variants=1)
    made = Order.of_tasks(plan, resources(tmp_path, hang_seconds=7.0), tasks_of(plan), 1)
    written = json.loads(made.write("one").read_text())
    assert "launcher" not in written and "cluster" not in written
    read = Order.model_validate_json(json.dumps({**written, "trainer": "core.job"}))
    assert read == made.replace(launcher="local") and read.hang_seconds == 7.0


def test_runs_that_a_command_leaves_without_a_result_are_said(
    small_plan: Callable[..., Plan],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A launcher that believes all has ended, as after another command's workers took the last jobs and died."""
    plan = small_plan(variants=3)
    tasks = tasks_of(plan)
    here = resources(tmp_path)

    def trains_one(*_: object) -> None:
        list(fake_job.run_job(tasks[0].job, runs=jobs_root(tmp_path), cache=here.cache))

    monkeypatch.setattr(execute, "_train", trains_one)
    monkeypatch.setattr(execute, "_show", lambda *_: None)
    study = catalogue.study(plan.study)
    console = Console(width=200)
    ended = execute.run_plan(study, plan, tasks, here, console, retry_failed=False)
    assert ended.code == execute.FAILED
    assert "2 of 3 runs have no result yet: the same command goes on with them" in capsys.readouterr().out
