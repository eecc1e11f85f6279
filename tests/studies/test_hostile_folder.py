"""A folder of runs that somebody else wrote, or that was damaged, is data: whatever is in it, commands end in one line
or do what was asked, write nothing outside, and wait for nothing."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from reports.render import main as render
from studies.run import main as run
from tests.support.hostile_pages import assert_harmless, assert_shown
from tests.support.hostile_words import NASTY, changes
from tests.support.runs import planned, train_all

PATIENCE_SECONDS = 60

CASES = int(os.environ.get("HOSTILE_CASES", "2000"))
"""Of the slow test, some seconds each."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder of sound runs, and one beside it that is nobody's to touch."""
    folder = tmp_path_factory.mktemp("whole")
    runs = folder / "runs"
    train_all(runs, planned(runs, only={"baseline", "all"}, seeds=(0, 1)))
    ended(render, "changes_overview", "--runs", str(runs), "--format", "md,html")
    (folder / "outside" / "thesis").mkdir(parents=True)
    (folder / "outside" / "precious.txt").write_text("nobody's to touch\n")
    (folder / "outside" / "thesis" / "report.md").write_text("nor this\n")
    return folder


Command = Callable[[list[str]], object]


def ended(command: Command, *arguments: str) -> tuple[int, str, str]:
    """The exit code of a command and what it said on either stream, in this process."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), within(PATIENCE_SECONDS):
        try:
            command(list(arguments))
        except SystemExit as end:
            code = end.code
    return int(str(code or 0)), out.getvalue(), err.getvalue()


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fails where something waits, as for the other end of a pipe."""

    def late(_: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"still waiting after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def contents(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder."""
    return {
        str(file.relative_to(folder)): str(file.readlink()) if file.is_symlink() else file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_symlink() or file.is_file()
    }


def changed(whole: Path, folder: Path, data: DataObject) -> Path:
    """A copy of the folder in `folder`, with one to three of its files not as they were; the folder of its runs."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)
    runs = folder / "runs"
    files = sorted(file.relative_to(runs) for file in runs.rglob("*") if file.is_file() and "figures" not in file.parts)
    for name in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=3, unique=True), label="files"):
        data.draw(changes((runs / name).read_bytes()), label=str(name))(runs / name)
    if data.draw(st.integers(0, 3), label="renamed") == 0:
        name = data.draw(st.sampled_from(sorted(file for file in runs.rglob("*") if file != runs)), label="what")
        to = data.draw(st.sampled_from([text for text in NASTY if text.strip("./ ") and not set(text) & set("/\0")]))
        with contextlib.suppress(OSError, UnicodeEncodeError):
            name.rename(name.with_name(to))
    return runs


def assert_told(code: int, out: str, err: str) -> None:
    """What a command may end with: nothing wrong, or one line that says what."""
    assert code in (0, 1, 2), err
    assert "Traceback" not in out + err, err
    assert "this is a bug" not in err, err
    assert_shown(out + err)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == (code == 2), err


LOOKS = (
    ("--list",),
    ("--list", "--json"),
    ("changes_overview", "--dry-run", "--only", "baseline,all", "--seeds", "2"),
    ("changes_overview", "--show-config", "all"),
)


@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_looking_at_a_changed_folder(whole: Path, tmp_path_factory: pytest.TempPathFactory, data: DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "looked"
    runs = changed(whole, folder, data)
    before = contents(folder)
    assert_told(*ended(run, *data.draw(st.sampled_from(LOOKS), label="command"), "--runs", str(runs)))
    assert contents(folder) == before


@pytest.mark.slow
@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_report_of_a_changed_folder(whole: Path, tmp_path_factory: pytest.TempPathFactory, data: DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "rendered"
    runs = changed(whole, folder, data)
    before = contents(folder)
    code, out, err = ended(render, "changes_overview", "--runs", str(runs), "--format", "md,html")
    assert_told(code, out, err)
    after = contents(folder)
    written = {name for name in after.keys() | before.keys() if after.get(name) != before.get(name)}
    assert all(name.startswith("runs/reports") for name in written), written
    if code == 0:
        page = runs / "reports" / "changes_overview" / "cpu" / "report.html"
        assert_harmless(page.read_text())
