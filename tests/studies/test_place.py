"""Where and how jobs are trained: what a command asks for reaches the trainer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import studies.run
from core.folder import RunFolder
from studies.plan import Plan, jobs_root, record_plan
from studies.runner.launchers import launcher
from studies.runner.place import Place, place_of
from studies.runner.tasks import tasks_of


def place(runs: Path, **options: Any) -> Place:
    return place_of(
        "cpu",
        "cpu",
        2,
        gpus=(),
        runs=runs,
        data_path=None,
        launcher="inline",
        trainer="tests.studies.fake_job",
        **options,
    )


@pytest.mark.parametrize(
    ("asked", "where"), [([], "inline"), (["--evaluation", "inline"], "inline"), (["--evaluation", "beside"], "beside")]
)
def test_the_command_says_where_is_evaluated(
    asked: list[str], where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[Place] = []

    def run_plan(declared: object, plan: Plan, tasks: object, place: Place, console: object, **_: object) -> int:
        places.append(place)
        return 0

    monkeypatch.setattr(studies.run, "run_plan", run_plan)
    arguments = ["changes_overview", "--runs", str(tmp_path), "--only", "baseline", *asked]
    assert studies.run.command.main(arguments, standalone_mode=False) == 0
    assert [place.evaluation for place in places] == [where]


@pytest.mark.parametrize("where", ["inline", "beside"])
def test_an_order_tells_whoever_trains(where: str, small_plan: Callable[..., Plan], tmp_path: Path) -> None:
    plan = small_plan(variants=1)
    tasks = tasks_of(plan)
    record_plan(tmp_path, plan)
    order = place(tmp_path, evaluation=where).order(plan, tasks, 1)
    order.queue().enqueue(order.tasks)
    launcher("inline").run(order, stop=lambda: False, tick=lambda: None, say=print)
    provenance = RunFolder(jobs_root(tmp_path), tasks[0].digest).read("provenance.json")
    assert provenance["evaluation"] == where
