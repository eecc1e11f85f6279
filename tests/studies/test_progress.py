"""What people see: lines when there is no terminal, a short live table when there is one."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.folder import Outcome, RunFolder
from studies.plan import Plan, jobs_root
from studies.runner import progress as progresses
from studies.runner.estimate import makespan
from studies.runner.progress import EventTail, StudyProgress, span
from studies.runner.tasks import Task, longest_first, tasks_of


def line(iteration: int, kind: str = "losses", **others: Any) -> str:
    return json.dumps({"kind": kind, "iteration": iteration, "seconds": iteration / 4, **others}) + "\n"


def append(folder: RunFolder, text: str) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.events_file.open("a") as stream:
        stream.write(text)


def end(folder: RunFolder, status: str, reason: str | None = None, **others: Any) -> None:
    fields = {
        "status": status,
        "iteration": 1,
        "seconds": 1.0,
        "evaluation_seconds": 0.0,
        "job_seconds": 40.0,
        **others,
    }
    folder.write(
        "outcome.json", Outcome.model_validate_json(json.dumps({**fields, "reason": reason})).model_dump_json()
    )


def test_a_tail_reads_what_was_added_and_starts_over_after_a_cut(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    tail = EventTail(file)
    tail.follow()
    file.write_text(line(4) + line(8)[:-10])
    tail.follow()
    assert tail.iteration == 4
    assert tail.speed is None
    file.write_text(line(4) + line(8) + line(8, "evaluated", metric="fd_rooms", value=5.5, evaluation_seconds=2.0))
    tail.follow()
    assert (tail.iteration, tail.value, tail.speed) == (8, 5.5, 4.0)
    assert tail.left(20, every=10) == 3.0 + 2 * 2.0
    aside = tmp_path / "aside"
    aside.write_text(line(4))
    aside.replace(file)
    tail.follow()
    assert tail.iteration == 4


@pytest.fixture
def tasks(small_plan: Callable[..., Plan]) -> list[Task]:
    return tasks_of(small_plan(seeds=(0, 1, 2, 3)))[:40]


def progress(tasks: list[Task], runs: Path, running: list[str], *, terminal: bool) -> tuple[StudyProgress, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120, height=50)
    return StudyProgress(tasks, runs=runs, workers=2, running=lambda: running, console=console), output


def test_plain_lines_say_what_starts_and_how_it_ends(
    tmp_path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [RunFolder(jobs_root(tmp_path), task.digest) for task in tasks]
    running = [task.digest for task in tasks[:3]]
    shown, output = progress(tasks, tmp_path, running, terminal=False)
    with shown:
        shown.look(now=True)
        append(folders[0], line(10, "evaluated", metric="fd_rooms", value=123.4, evaluation_seconds=1.0))
        end(folders[0], "finished")
        end(folders[1], "diverged", "a weight stopped being finite", resumed=True)
        folders[2].path.mkdir(parents=True)
        folders[2].log_file.write_text("Traceback\n  somewhere\nRuntimeError: boom\n")
        end(folders[2], "failed", "RuntimeError: boom", attempts=2)
        monkeypatch.setattr(progresses, "SUMMARY_SECONDS", 0.0)
        shown.look(now=True)
    text = output.getvalue()
    assert text.count("start ") == 3
    assert "finished  baseline · seed 0: fd_rooms 123.4 (40 s, 1/40)" in text
    assert "diverged  baseline · seed 1: a weight stopped being finite" in text
    assert "FAILED    baseline · seed 2: RuntimeError: boom" in text
    assert "    RuntimeError: boom" in text
    assert "2/40 done, 1 diverged, 1 failed, 2 resumed or retried, 0 running" in text
    assert "\x1b" not in text


def test_a_terminal_shows_running_jobs_only(tmp_path: Path, tasks: list[Task]) -> None:
    running = [task.digest for task in tasks[:15]]
    for task in tasks[:15]:
        append(RunFolder(jobs_root(tmp_path), task.digest), line(2) + line(6))
    shown, output = progress(tasks, tmp_path, running, terminal=True)
    with shown:
        shown.look(now=True)
        text = output.getvalue()
    assert text.count("6/10") == progresses.SHOWN_JOBS
    assert "3 more running; 0/40 done" in text


def test_an_outcome_from_before_is_no_news(tmp_path: Path, tasks: list[Task]) -> None:
    folder = RunFolder(jobs_root(tmp_path), tasks[0].digest)
    end(folder, "failed", "earlier")
    shown, output = progress(tasks[:1], tmp_path, [], terminal=False)
    shown.look(now=True)
    assert "FAILED" not in output.getvalue()
    time.sleep(0.01)
    end(folder, "finished")
    shown.look(now=True)
    assert "finished" in output.getvalue()


def test_spans_and_makespans() -> None:
    assert [span(seconds) for seconds in (40, 420, 9000, 400_000)] == ["40 s", "7 min", "2.5 h", "4.6 days"]
    assert makespan([3, 2, 2, 1], 2) == 4
    assert makespan([], 2) == 0


def test_longest_and_unknown_jobs_come_first(tasks: list[Task]) -> None:
    timed = [Task(**{**dict(task), "expected_seconds": s}) for task, s in zip(tasks, (1.0, None, 3.0), strict=False)]
    assert [task.expected_seconds for task in longest_first(timed)] == [None, 3.0, 1.0]
