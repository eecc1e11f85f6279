"""What holds for every command of ours: empty values, numbers that nobody means, the words of others on the screen, and
streams of every kind."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table
from rich.text import Text

import studies.run
from core.command_line import UNREAD, code_of, of_system
from core.data.__main__ import main as data
from core.errors import InputError
from core.machine import this_machine
from core.train import main as train
from reports import publish, render
from studies import sync, ui
from studies.runner import sweep as search_worker
from studies.runner import worker
from studies.screen import Screen, screen
from studies.times import costs, measure
from studies.times.budget import parse_time
from tests.choices import cpu_profile, interval, reference_times
from tests.support import runs as synthetic
from tests.support.commands import ROOT, answer, refused

Main = Callable[[Sequence[str]], object]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


OPTIONS = """
--study --profile --design --seeds --only --data --budget --retune --trials --protocol --inception --jobs -j --device
--per-gpu --launcher --launcher-file --hang-minutes --runs --queue --tracking --show-config --evaluation --completion
"""

EMPTY: list[tuple[Main, list[str], str]] = [
    *((studies.run.main, ["changes_overview", "--dry-run", option, ""], option) for option in OPTIONS.split()),
    (studies.run.main, [""], "first"),
    (studies.run.main, ["changes_overview", ""], "changes_overview"),
    (studies.run.main, ["changes_overview", "--only", ",", "--dry-run"], "--only"),
    (studies.run.main, ["changes_overview", "--only=", "--dry-run"], "--only"),
    (sync.main, ["changes_overview", "--setting", ""], "--setting"),
    (sync.main, ["changes_overview", "--tracking", " "], "--tracking"),
    (ui.main, ["changes_overview", "--runs", ""], "--runs"),
    (render.main, ["changes_overview", "--out", ""], "--out"),
    (render.main, ["--compare", "", "a"], "--compare"),
    (publish.main, ["--out", ""], "--out"),
    (reference_times.main, ["--record", ""], "--record"),
    (cpu_profile.main, ["--runs", ""], "--runs"),
    (data, ["prepare", "", "--resolution", "16"], "prepare"),
    (data, ["prepare", "a", "--resolution", "16", "--name", ""], "--name"),
    (data, ["verify", ""], "verify"),
    (train, ["--config", "", "--out", "o"], "--config"),
]


@pytest.mark.parametrize(("main", "arguments", "named"), EMPTY)
def test_a_value_of_an_unset_variable_is_refused_by_name(
    main: Main, arguments: list[str], named: str, tmp_path: Path
) -> None:
    line = refused(*arguments, main=main)
    assert line.startswith("error: ") and named in line and "empty" in line
    assert not any(tmp_path.iterdir())


NUMBERS = ("inf", "nan", "-1", "0", "1e308", "1" + "0" * 30, "٣", " 3", "1_0", "0x3")


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        *((studies.run.main, ["changes_overview", "--dry-run", option]) for option in ("--hang-minutes", "--jobs")),
        *((studies.run.main, ["changes_overview", "--dry-run", option]) for option in ("--retune", "--trials")),
        (studies.run.main, ["changes_overview", "--dry-run", "--per-gpu"]),
        (ui.main, ["--port"]),
        (interval.main, ["--draws"]),
        (cpu_profile.main, ["--jobs"]),
        (data, ["prepare", "a", "--resolution"]),
        (data, ["prepare", "a", "--resolution", "16", "--max-images"]),
        (data, ["prepare", "a", "--resolution", "16", "--workers"]),
        (train, ["--config", "c", "--out", "o", "--threads"]),
    ],
)
def test_a_number_that_nobody_means_is_refused_in_one_line(main: Main, arguments: list[str]) -> None:
    for number in NUMBERS:
        line = refused(*arguments, number, main=main)
        assert arguments[-1] in line and "this is a bug" not in line


@pytest.mark.parametrize("budget", ["٣h", "infh", "nanm", "9" * 400 + "h", "-1h", "1e3h"])
def test_a_budget_is_in_plain_digits(budget: str) -> None:
    with pytest.raises(InputError, match="--budget"):
        parse_time("--budget", budget)


def test_every_command_ends_by_the_one_boundary() -> None:
    """But processes beside, which no person starts."""
    commands = [
        file
        for room in ("ablations", "core", "reports", "studies")
        for file in sorted((ROOT / room).rglob("*.py"))
        if '__name__ == "__main__"' in file.read_text(encoding="utf-8")
    ]
    assert len(commands) > 12
    for file in commands:
        text = file.read_text(encoding="utf-8")
        assert re.search(r"cls=(Sectioned)?Command|code_with\(", text) or file.name in ("side_process.py", "walk.py"), (
            file
        )
    for main in (measure.main, search_worker.main, worker.main):
        assert answer(main=main).code == 2


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    plan = synthetic.planned(tmp_path / "runs", only=("baseline",), seeds=(0,))
    synthetic.train_all(tmp_path / "runs", plan)
    (tmp_path / "f").touch()
    for out in ("f", "/proc/report", "n" * 300):
        line = refused("changes_overview", "--runs", "runs", "--out", out, main=render.main)
        assert line.startswith("error: ") and "choose" in line


@pytest.mark.parametrize("main", [studies.run.main, sync.main, render.main, data, train, ui.main])
def test_what_was_typed_does_nothing_to_the_terminal(main: Main) -> None:
    for typed in (["--\x1b[2J\nno"], ["\x1b]0;x\x07\nb"], ["changes_overview", "--setting", "\x1b[31m\n"]):
        line = refused(*typed, main=main)
        assert "\x1b" not in line and "\x07" not in line


def test_the_screen_shows_markup_and_escapes_as_they_are() -> None:
    file = io.StringIO()
    screen = Screen(file=file, width=100, force_terminal=True, color_system="standard")
    table = Table(box=None)
    table.add_column("[b]head[/b]")
    table.add_row("cell [/] [red]x")
    table.add_row(Text("\x1b[31mtext\x07"))
    screen.print("[red]a[/red] [/] :smile: \x1b[2J\x9b")
    screen.print(table)
    said = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue().replace("\x1b[31mtext", "RED"))
    assert "RED" not in said and "\x1b" not in said and "\x07" not in said and "\x9b" not in said
    assert "[red]a[/red] [/] :smile: \\x1b[2J" in said and "cell [/] [red]x" in said and "[b]head[/b]" in said


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def process(*words: str, stdout: Any = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`python` with these words: streams of every kind are those of a process."""
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


@pytest.mark.parametrize("environment", [C_LOCALE, {"PYTHONIOENCODING": "latin-1"}], ids=["ascii", "latin-1"])
def test_a_terminal_without_our_signs_is_told_all_the_same(environment: dict[str, str]) -> None:
    shown = process("-m", "studies.run", "--list", **environment)
    assert (shown.returncode, shown.stderr) == (0, b"") and b"changes_overview" in shown.stdout


def test_a_document_is_whole_whatever_its_stream_lacks() -> None:
    shown = process("-m", "studies.run", "--list", "--json", **C_LOCALE)
    assert (shown.returncode, shown.stderr) == (0, b"") and shown.stdout.isascii()
    assert not json.dumps(json.loads(shown.stdout), ensure_ascii=False).isascii()


def test_a_closed_stdout_is_no_error() -> None:
    program = "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    ended = process("-c", program, "-m", "studies.run", "--list", stdout=None)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = process("-m", "core.data", "--help", stdout=full)
    assert ended.returncode == 2 and ended.stderr.count(b"\n") == 1 and b"free space" in ended.stderr


@pytest.mark.parametrize("words", ["studies.run --list", "studies.run --help", "core.data --help"])
def test_a_command_that_nobody_reads_ends_as_one(words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        ended = process("-m", *words.split(), stdout=gone)
    assert (ended.returncode, ended.stderr) == (141, b"")


@pytest.mark.parametrize("columns", ["0", "5", "-1", "abc", "99999999999"])
def test_columns_that_nobody_means_hide_nothing(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    shown = io.StringIO()
    screen(shown).print("a dry run says which runs are blocked")
    assert "which runs are blocked" in shown.getvalue()


def test_a_reader_that_ends_is_no_failure_of_a_run() -> None:
    def printed() -> None:
        raise BrokenPipeError

    assert code_of(printed) == UNREAD == 141


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "jobs").touch()
    with pytest.raises(NotADirectoryError) as caught:
        (tmp_path / "runs" / "jobs" / "0123" / "outcome.json").open()
    assert of_system(caught.value).startswith(f"{tmp_path}/runs/jobs is a file where a folder is wanted: move it away")


@pytest.mark.parametrize("name", [".", "jobs/0123456789abcdef", "queue", "plans/changes_overview"])
def test_no_report_is_written_among_the_runs(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a place of the runs themselves"):
        render._prepare(tmp_path / name, tmp_path)


def test_times_that_cannot_be_read_stop_nobody(tmp_path: Path) -> None:
    costs.costs_file(tmp_path, "changes_overview", "cpu").mkdir(parents=True)
    os.mkfifo(costs.costs_file(tmp_path, "changes_overview", "other"))
    assert costs.read_invocations(tmp_path, "changes_overview", "cpu") == []
    assert costs.overheads(tmp_path, this_machine("cpu", 1), 2) == []
