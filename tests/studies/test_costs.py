"""What commands took: one line each, also of one that was interrupted, none of one that trained nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest

from core.folder import RunFolder
from studies.plan import Plan, jobs_root
from studies.runner.tasks import Task, tasks_of
from studies.times import costs
from studies.times.costs import costs_file, costs_kept, overheads, read_invocations
from studies.times.estimate import predicted
from tests.studies.test_estimate import HERE, finish, planned


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(costs, "time", made)
    return made


def expected(plan: Plan, seconds: float | None = 10.0) -> list[Task]:
    return [task.replace(expected_seconds=seconds) for task in tasks_of(plan)[:3]]


def kept(
    plan: Plan, tasks: list[Task], runs: Path, said: list[str], *, interrupted: bool = False
) -> AbstractContextManager[None]:
    where: dict[str, Any] = {"machine": HERE, "workers": 2}
    expected = predicted(tasks, runs, **where).of_all
    digests = [task.digest for task in tasks]
    return costs_kept(
        plan, digests, runs, **where, predicted=expected, interrupted=lambda: interrupted, say=said.append
    )


def test_a_whole_command_is_compared_with_its_prediction(tmp_path: Path, clock: Clock) -> None:
    plan, said = planned(), list[str]()
    tasks = expected(plan)
    with kept(plan, tasks, tmp_path, said):
        for task, seconds in zip(tasks, (12.0, 11.0, 9.0), strict=True):
            finish(tmp_path, task, seconds)
        clock.now += 26.0
    (line,) = read_invocations(tmp_path, plan.study, plan.setting)
    assert (line.predicted_seconds, line.seconds, line.job_seconds) == (20.0, 26.0, 32.0)
    # Twelve seconds on one worker, eleven and nine on the other.
    assert line.overhead_seconds == 6.0
    assert overheads(tmp_path, HERE, 2) == [6.0]
    assert overheads(tmp_path, HERE, 1) == []
    assert said == ["predicted 20 s, took 26 s"]


def test_an_interrupted_command_and_the_one_that_goes_on_are_two_lines(tmp_path: Path, clock: Clock) -> None:
    plan, said = planned(), list[str]()
    tasks = expected(plan)
    with suppress(KeyboardInterrupt), kept(plan, tasks, tmp_path, said, interrupted=True):
        finish(tmp_path, tasks[0], 12.0)
        RunFolder(jobs_root(tmp_path), tasks[1].digest).write("job.json", tasks[1].job.model_dump_json())
        clock.now += 15.0
        raise KeyboardInterrupt
    with kept(plan, tasks[1:], tmp_path, said):
        finish(tmp_path, tasks[1], 12.0)
        finish(tmp_path, tasks[2], 12.0)
        clock.now += 14.0
    stopped, whole = read_invocations(tmp_path, plan.study, plan.setting)
    assert (stopped.planned, stopped.ended, stopped.interrupted, stopped.overhead_seconds) == (3, 1, True, None)
    assert (whole.planned, whole.ended, whole.continued, whole.interrupted) == (2, 2, 1, False)
    assert whole.overhead_seconds is None, "a continued job's seconds are partly those of the command before"
    assert said == ["predicted 10 s, took 14 s"]


def test_nothing_is_written_where_nothing_was_trained(tmp_path: Path, clock: Clock) -> None:
    plan, said = planned(), list[str]()
    with pytest.raises(ValueError, match="unusable"), kept(plan, expected(plan), tmp_path, said):
        raise ValueError("unusable")
    assert not costs_file(tmp_path, plan.study, plan.setting).exists()
    assert read_invocations(tmp_path, plan.study, plan.setting) == []
    assert said == []


def test_unknown_times_predict_nothing_and_lines_of_another_version_are_left_out(tmp_path: Path, clock: Clock) -> None:
    plan, said = planned(), list[str]()
    tasks = expected(plan, None)
    file = costs_file(tmp_path, plan.study, plan.setting)
    file.parent.mkdir(parents=True)
    file.write_text('{"began": "then"}\n')
    with kept(plan, tasks, tmp_path, said):
        finish(tmp_path, tasks[0], 12.0)
    (line,) = read_invocations(tmp_path, plan.study, plan.setting)
    assert (line.predicted_seconds, line.ended) == (None, 1)
    assert said == []
