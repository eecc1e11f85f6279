"""One bad run is one row: the report names the file that cannot be read, and has all the others."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.command_line import of_system
from core.errors import InputError
from core.files import check_folder, make_folder, write_whole
from core.folder import Outcome, Recorded, RunFolder
from core.reading import Damaged
from reports import figures, pdf
from reports.render import main, render
from reports.results import load
from studies.plan import jobs_root
from tests.support.runs import planned, train_all

STUDY = "changes_overview"


def trained(runs: Path) -> tuple[RunFolder, int]:
    """A study of two variants and two seeds: one of its runs, and how many there are."""
    plan = planned(runs, only={"baseline", "all"}, seeds=(0, 1))
    train_all(runs, plan)
    return RunFolder(jobs_root(runs), plan.variants[0].job(0)), len(plan.jobs())


def garbled(file: Path) -> None:
    lines = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([*lines[:2], b'{"kind": "losses", "iter', *lines[3:]]))


def replaced(pattern: str, text: str) -> Callable[[Path], object]:
    return lambda file: file.write_text(re.sub(pattern, text, file.read_text()))


def sparse(size: int) -> Callable[[Path], object]:
    return lambda file: os.truncate(file, size)


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("outcome.json", lambda file: file.write_bytes(b""), "it is empty"),
    ("outcome.json", lambda file: file.write_bytes(b'{"status":"finished"}'), "iteration"),
    ("events.jsonl", garbled, "line 3"),
    ("events.jsonl", lambda file: file.write_bytes(file.read_bytes() + b"\xff\xfe\n"), "line"),
    ("protocol.json", lambda file: file.write_bytes(file.read_bytes()[:40]), "JSONDecodeError"),
    ("provenance.json", lambda file: file.write_bytes(b"[]"), "no object"),
    ("job.json", lambda file: file.write_bytes(b"\xff\xfe"), "UTF-8"),
    ("provenance.json", lambda file: file.write_bytes(b'{"commit": ["a"]}'), "commit"),
    ("data.json", lambda file: file.write_bytes(b'{"fingerprint": "x"}'), "name: Field required"),
    ("outcome.json", lambda file: (file.unlink(), file.mkdir()), "it is no file"),
    ("outcome.json", replaced(r'"iteration": *\d+', f'"iteration": {2**62}'), "iteration"),
    ("events.jsonl", replaced(r'"value":[^,]*', '"value":1e308'), "no measurement is larger than 1e+30"),
    ("events.jsonl", replaced(r'"seconds":[^,]*', '"seconds":Infinity'), "seconds: Input should be a finite number"),
    ("events.jsonl", lambda file: file.write_text(file.read_text() + "[" * 200_000 + "\n"), "recursion"),
    ("events.jsonl", lambda file: file.write_text(file.read_text() + " " * 2**21), "longer than 1 MiB"),
    ("events.jsonl", sparse(2**40), "larger than 256 MiB"),
    ("provenance.json", sparse(2**30), "larger than 1 MiB"),
    ("job.json", sparse(2**40), "larger than 1 MiB"),
    ("job.json", replaced(r'"seed": *\d+', '"seed": 77'), "of another job"),
]


@pytest.mark.parametrize(("name", "damage", "said"), DAMAGES)
def test_a_damaged_file_is_named_and_hides_no_other_run(
    tmp_path: Path, name: str, damage: Callable[[Path], object], said: str
) -> None:
    folder, count = trained(tmp_path)
    damage(folder.path / name)
    results = load(STUDY, tmp_path)
    assert (results.count("damaged"), results.count("finished")) == (1, count - 1)
    reason = results.damaged[folder.digest]
    assert str(folder.path / name) in reason and said in reason and "move the folder" in reason
    assert "\n" not in reason


def test_a_report_of_damaged_runs_is_rendered_and_says_so(tmp_path: Path) -> None:
    folder, _ = trained(tmp_path)
    garbled(folder.events_file)
    text = (render(STUDY, runs=tmp_path, formats=("md", "html")) / "report.md").read_text(encoding="utf-8")
    assert "1 damaged" in text and "events.jsonl is damaged (line 3" in text and "move the folder" in text


def test_a_run_that_may_not_be_read_is_named_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, count = trained(tmp_path)
    opened = os.open

    def not_yours(file: str | Path, *arguments: Any, **named: Any) -> int:
        if Path(file) == folder.events_file:  # Permissions do not bind root.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        return opened(file, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", not_yours)
        text = (render(STUDY, runs=tmp_path, formats=("md",)) / "report.md").read_text(encoding="utf-8")
    assert "1 damaged" in text and f"{count - 1} finished" in text
    assert "events.jsonl: Permission denied: " in text and "have its owner allow it" in text
    shutil.rmtree(folder.path)
    folder.path.touch()
    results = load(STUDY, tmp_path)
    assert (results.count("damaged"), results.count("finished")) == (1, count - 1)
    assert results.damaged[folder.digest].startswith(f"{folder.path} is a file where a folder is wanted: move it away")


def test_a_report_needs_no_queue_and_says_where_no_folder_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tmp_path)
    (tmp_path / "queue" / "id").mkdir(parents=True)
    (tmp_path / "mlflow-synced.json").write_text("{}")
    arguments = [STUDY, "--runs", str(tmp_path), "--format", "md"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0, capsys.readouterr().err
    shutil.rmtree(tmp_path / "plans")
    (tmp_path / "plans").touch()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert f"{tmp_path}/plans is a file where a folder is wanted: move it away" in capsys.readouterr().err


def test_a_folder_in_the_place_of_a_file_is_named_by_the_name_that_people_know(tmp_path: Path) -> None:
    (tmp_path / "report.md").mkdir()
    with pytest.raises(InputError, match=f"^{tmp_path}/report.md is a folder where a file is wanted: move it away$"):
        write_whole(tmp_path / "report.md", b"text")
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(tmp_path / "none" / "report.md", b"text")
    assert caught.value.filename == str(tmp_path / "none" / "report.md")
    assert [file.name for file in tmp_path.iterdir()] == ["report.md"]


@pytest.mark.parametrize("name", ["queue", "queue/logs"])
def test_a_file_in_the_place_of_a_folder_is_said_in_the_same_words_by_whoever_finds_it(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "queue").touch()
    for find in (make_folder, check_folder, lambda place: (place / "file").open()):
        with pytest.raises(NotADirectoryError) as caught:
            find(tmp_path / name)
        assert of_system(caught.value).startswith(f"{tmp_path}/queue is a file where a folder is wanted: move it away")


def test_a_last_line_without_its_end_is_no_damage(tmp_path: Path) -> None:
    folder, count = trained(tmp_path)
    with folder.events_file.open("ab") as stream:
        stream.write(b'{"kind":"losses","iter')
    assert load(STUDY, tmp_path).count("finished") == count


def test_a_result_whose_record_was_lost_is_unfinished_not_a_finished_row_without_values(tmp_path: Path) -> None:
    folder, count = trained(tmp_path)
    outcome, content = folder.outcome(), folder.events_file.read_bytes()
    assert outcome is not None
    recorded = Recorded.of(content)
    folder.write("outcome.json", Outcome(**{**dict(outcome), "recorded": recorded}).model_dump_json())
    assert load(STUDY, tmp_path).count("finished") == count
    folder.events_file.write_bytes(content[:3000])
    results = load(STUDY, tmp_path)
    assert (results.count("unfinished"), results.count("finished")) == (1, count - 1)


def test_on_a_full_disk_there_is_no_report_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(tmp_path)
    folder = render(STUDY, runs=tmp_path, formats=("md",))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pdf.typst, "compile", full)
    with pytest.raises(OSError, match="No space"):
        render(STUDY, runs=tmp_path, formats=("md", "pdf"))
    assert not list(folder.glob("report.*")) and not (folder / "verdicts.json").exists()


def test_errors_of_a_full_disk_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_whole(tmp_path / "ladder.svg", b"drawn")
    assert caught.value.filename == str(tmp_path / "ladder.svg") and not list(tmp_path.iterdir())


def test_readers_of_a_run_folder_raise_one_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "0123456789abcdef")
    folder.write("job.json", "{")
    folder.write("memory.json", "[]")
    folder.events_file.write_bytes(b"\xff\n")
    for read in (folder.job, folder.events, lambda: list(folder.each_event(b"\xff")), lambda: folder.read("job.json")):
        with pytest.raises(Damaged, match="move the folder"):
            read()
    assert folder.memory() is None and folder.outcome() is None and folder.read("data.json") == {}


def test_a_record_is_read_by_lines_and_only_as_many_as_a_job_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path, "0123456789abcdef")
    folder.write("events.jsonl", "\n" * 2**24)
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="line 1: "):
            folder.events()
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    line = '{"kind":"checkpointed","iteration":3,"images":12,"seconds":0.5}\n'
    folder.write("events.jsonl", 5 * line + line[:20])
    last = folder.last_event()
    assert len(folder.events()) == 5 and last is not None and last.iteration == 3
    monkeypatch.setattr("core.folder.MOST_EVENTS", 4)
    with pytest.raises(Damaged, match="more than 4 lines"):
        folder.events()
    folder.write("events.jsonl", line + "[]\n")
    assert folder.last_event() is None


def test_a_folder_that_was_copied_under_another_name_is_no_result(tmp_path: Path) -> None:
    folder, count = trained(tmp_path)
    other = RunFolder(jobs_root(tmp_path), planned(tmp_path, only={"baseline", "all"}, seeds=(0, 1)).variants[1].job(1))
    shutil.rmtree(other.path)
    shutil.copytree(folder.path, other.path)
    for read in (other.job, other.outcome):
        with pytest.raises(Damaged, match=r"job\.json is damaged \(it is of another job"):
            read()
    results = load(STUDY, tmp_path)
    assert (list(results.damaged), results.count("finished")) == ([other.digest], count - 1)


@pytest.mark.parametrize("left", [0, 20, 60])
def test_a_damaged_picture_is_told(tmp_path: Path, left: int) -> None:
    file = tmp_path / "000800.png"
    Image.new("RGB", (32, 32)).save(file)
    assert figures.first_tiles(file, 16, 4) is not None
    file.write_bytes(file.read_bytes()[:left])
    for read in (lambda: figures.first_tiles(file, 16, 4), lambda: figures.rows_of_tiles(file, 16)):
        with pytest.raises(Damaged, match=file.name):
            read()
