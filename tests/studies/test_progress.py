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

from core.folder import RunFolder
from studies.durations import span
from studies.plan import Plan, jobs_root
from studies.runner import progress as progresses
from studies.runner.progress import EventTail, StudyProgress
from studies.runner.tasks import Task, longest_first, tasks_of


def line(iteration: int, kind: str = "losses", **others: Any) -> str:
    losses = {"d_loss": 0, "g_loss": 0, "penalty": 0, "real_score": 0, "fake_score": 0} if kind == "losses" else {}
    at = {"iteration": iteration, "images": 4 * iteration, "seconds": iteration / 4}
    return json.dumps({"kind": kind, **at, **losses, **others}) + "\n"


def append(folder: RunFolder, text: str) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.events_file.open("a") as stream:
        stream.write(text)


def end(folder: RunFolder, status: str, reason: str | None = None, **others: Any) -> None:
    fields = {"status": status, "iteration": 1, "seconds": 1.0, "evaluation_seconds": 0.0, "job_seconds": 40.0}
    folder.write("outcome.json", json.dumps({**fields, **others, "reason": reason}))


def screen(**size: Any) -> Console:
    return Console(file=io.StringIO(), **{"_environ": {"TERM": "xterm"}, **size})


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


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


def progress(tasks: list[Task], runs: Path, running: list[Task], console: Console) -> StudyProgress:
    digests = [task.digest for task in running]
    return StudyProgress(tasks, runs=runs, workers=2, running=lambda: digests, console=console)


def test_plain_lines_say_what_starts_and_how_it_ends(
    tmp_path: Path, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [RunFolder(jobs_root(tmp_path), task.digest) for task in tasks]
    console = screen(width=120)
    with progress(tasks, tmp_path, tasks[:3], console) as shown:
        shown.look(now=True)
        append(folders[0], line(10, "evaluated", metric="fd_rooms", value=123.4, evaluation_seconds=1.0))
        end(folders[0], "finished")
        end(folders[1], "diverged", "a weight stopped being finite", resumed=True)
        folders[2].path.mkdir(parents=True)
        folders[2].log_file.write_text("Traceback\n  somewhere\nRuntimeError: boom\n")
        end(folders[2], "failed", "RuntimeError: boom", attempts=2)
        monkeypatch.setattr(progresses, "SUMMARY_SECONDS", 0.0)
        shown.look(now=True)
    text = text_of(console)
    assert text.count("start ") == 3
    assert "finished  baseline · seed 0: fd_rooms 123.4 (40 s, 1/40)" in text
    assert "diverged  baseline · seed 1: a weight stopped being finite" in text
    assert "FAILED    baseline · seed 2: RuntimeError: boom" in text
    assert "    RuntimeError: boom" in text
    assert "2/40 done, 1 diverged, 1 failed, 2 resumed or retried, 0 running" in text
    assert "\x1b" not in text


def lines_of(tasks: list[Task], runs: Path, *, width: int, height: int, running: int = 40) -> list[str]:
    """What the live table shows of so many running jobs on a terminal of that size."""
    for task in tasks[:running]:
        evaluated = line(6, "evaluated", metric="fd_rooms", value=123.4, evaluation_seconds=1.0)
        append(RunFolder(jobs_root(runs), task.digest), line(2) + line(6) + evaluated)
    shown = progress(tasks, runs, tasks[:running], screen(force_terminal=True, width=width, height=height))
    shown.look(now=True)
    plain = screen(width=width, height=height, color_system=None)
    plain.print(shown._view())
    return text_of(plain).splitlines()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
@pytest.mark.parametrize("height", [10, 24, 50])
def test_forty_jobs_fit_any_terminal(width: int, height: int, tmp_path: Path, tasks: list[Task]) -> None:
    lines = lines_of(tasks, tmp_path, width=width, height=height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    jobs = [line for line in lines if " 6/10 " in line]
    # The heading names the one metric, which leaves the columns to the variants' names.
    assert lines[0].split() == ["variant", "seed", "iteration", "it/s", "fd_rooms", "left"]
    assert all(line.split()[-5:] == ["6/10", "4.0", "123.4", "2", "s"] for line in jobs)
    left_out = 40 - len(jobs)
    assert (f"and {left_out} more running" in lines) == bool(left_out)
    assert bool(left_out) == (height < 50)
    assert "0/40 done" in lines[len(jobs) + 1 + bool(left_out)]


def test_a_low_terminal_still_shows_some_jobs_and_a_few_jobs_show_all(tmp_path: Path, tasks: list[Task]) -> None:
    assert sum(" 6/10 " in line for line in lines_of(tasks, tmp_path, width=80, height=4)) == progresses.LEAST_SHOWN - 1
    lines = lines_of(tasks, tmp_path / "few", width=80, height=24, running=2)
    assert not any("more running" in line for line in lines)
    assert [line.split()[0] for line in lines[1:3]] == ["baseline", "baseline"]


def test_many_starts_are_one_line_in_a_file_and_none_above_a_live_table(tmp_path: Path, tasks: list[Task]) -> None:
    in_file, terminal = screen(width=120), screen(force_terminal=True, width=120, height=50)
    progress(tasks, tmp_path, tasks, in_file).look(now=True)
    (said,) = text_of(in_file).splitlines()
    assert "start     40 runs: baseline 0,1,2,3; baseline+fourier_inr 0,1,2,3; " in said
    assert said.endswith("and 6 variants more")
    with progress(tasks, tmp_path, tasks, terminal) as shown:
        shown.look(now=True)
    assert "start " not in text_of(terminal)


@pytest.mark.parametrize(
    ("environment", "coloured", "moving"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": "xterm"}, True, True),
    ],
)
def test_terminals_and_people_that_want_less_get_it(
    environment: dict[str, str], coloured: bool, moving: bool, tmp_path: Path, tasks: list[Task]
) -> None:
    terminal = {"TERM": "xterm-256color", **environment}
    console = screen(force_terminal=True, width=100, height=30, _environ=terminal)
    with progress(tasks, tmp_path, tasks[1:2], console) as shown:
        end(RunFolder(jobs_root(tmp_path), tasks[0].digest), "failed", "boom")
        shown.look(now=True)
    text = text_of(console)
    assert ("\x1b[1;31mFAILED" in text) == coloured
    assert ("\x1b[?25l" in text) == moving, "a live table hides the cursor"
    assert ("start     baseline" in text) == (not moving)


def test_an_outcome_from_before_is_no_news(tmp_path: Path, tasks: list[Task]) -> None:
    folder = RunFolder(jobs_root(tmp_path), tasks[0].digest)
    end(folder, "failed", "earlier")
    console = screen(width=120)
    shown = progress(tasks[:1], tmp_path, [], console)
    shown.look(now=True)
    assert "FAILED" not in text_of(console)
    time.sleep(0.01)
    end(folder, "finished")
    shown.look(now=True)
    assert "finished" in text_of(console)


def test_spans() -> None:
    assert [span(seconds) for seconds in (40, 420, 9000, 400_000)] == ["40 s", "7 min", "2.5 h", "4.6 days"]


def test_longest_and_unknown_jobs_come_first(tasks: list[Task]) -> None:
    timed = [task.replace(expected_seconds=s) for task, s in zip(tasks, (1.0, None, 3.0), strict=False)]
    assert [task.expected_seconds for task in longest_first(timed)] == [None, 3.0, 1.0]
