"""Words of the world on their way to people."""

from __future__ import annotations

import ast
import getpass
import io
import os
import pwd
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from core.home import _refuge, _writable, settle
from core.words import (
    ERRORS,
    degrade_streams,
    degraded,
    first_line,
    first_words,
    last_line,
    of_path,
    one_line,
    takes,
    visible,
)

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Küche 台所", "Küche 台所"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\nb\r", "a\\nb\\r"),
        ("user\u202efdp.exe", "user\\u202efdp.exe"),
        ("caf\udce9", "caf\\xe9"),
        ("K\udcc3\udcbcche", "Küche"),
        ("\ud800", "\\ud800"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_what_would_act_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


def test_a_name_is_the_same_in_every_locale() -> None:
    apart = "Küche".encode().decode("ascii", "surrogateescape")
    assert of_path(apart) == of_path("Küche") == "Küche"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError(""), "ValueError"),
        (ValueError("\n\n  \nlast \x1b[31m\nmore"), "ValueError: last \\x1b[31m"),
        (RuntimeError("one\ntwo"), "RuntimeError: one"),
    ],
)
def test_an_errors_first_words_are_never_empty(error: Exception, words: str) -> None:
    assert first_words(error) == words


def test_first_and_last_lines_of_nothing_are_nothing() -> None:
    assert first_line(" \n\n") == last_line("") == ""
    assert (first_line("\n a \n b \n"), last_line("\n a \n b \n")) == ("a", "b")
    assert one_line(" a\n\tb ") == "a b"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8", "koi8-r"])
def test_every_stream_takes_every_sign(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=ERRORS)
    print("“σ” × 2 · 台所 … caf\udce9", file=stream, flush=True)
    assert stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert takes(stream, "plain") and takes(stream, "台所") == (encoding == "utf-8")
    assert degraded("plain ×", stream) in ("plain ×", "plain x")


@pytest.mark.parametrize(
    ("encoding", "there"),
    [("idna", False), ("punycode", False), ("undefined", False), ("ascii", True), ("utf-16", True), ("cp037", True)],
)
def test_an_encoding_that_is_none_for_lines_gives_way_to_utf_8(
    encoding: str, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"error: {'a long name ' * 20}×\n"
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    degrade_streams()
    for stream in (sys.stdout, sys.stderr):
        print(line, file=stream, end="", flush=True)
        written = stream.buffer.getvalue()  # type: ignore[attr-defined]
        assert written.decode(encoding if there else "utf-8") in (line, line.replace("×", "x"))
        assert stream.encoding == (encoding if there else "utf-8")


def test_every_text_file_and_child_has_its_encoding_named() -> None:
    """What is written as UTF-8 is read as that, whatever the locale."""
    unnamed = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for room in ("ablations", "core", "reports", "studies")
        for file in sorted((ROOT / room).rglob("*.py"))
        if re.search(rb"_text\(|open\(|text=|universal_newlines", file.read_bytes())
        for call in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(call, ast.Call) and _reads_by_the_locale(call)
    ]
    assert unnamed == []


def _reads_by_the_locale(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    keys = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in keys:
        return False
    if name in ("read_text", "write_text"):
        return True
    if name in ("run", "Popen", "check_output"):
        return "text" in keys or "universal_newlines" in keys
    if name not in ("open", "fdopen"):
        return False
    modes = [*(v for k, v in keys.items() if k == "mode"), *call.args]
    words = [m.value for m in modes if isinstance(m, ast.Constant) and isinstance(m.value, str)]
    of_a_path = isinstance(call.func, ast.Attribute) and not isinstance(call.func.value, ast.Name)
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id in (
        "os", "lmdb", "Image", "opener", "webbrowser", "self",
    ):  # fmt: skip
        return False
    return not any("b" in word for word in words) and (bool(words) or of_a_path or isinstance(call.func, ast.Name))


def test_a_process_without_home_or_name_has_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> object:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "")
    settle()
    assert Path.home().is_relative_to(tmp_path) and Path.home().stat().st_mode & 0o077 == 0
    assert getpass.getuser().startswith("uid")


def test_a_home_that_cannot_be_written_has_matplotlib_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "no-folder"
    file.touch()
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("HOME", str(file))
    monkeypatch.setenv("MPLCONFIGDIR", "")
    for name in ("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    settle()
    assert Path(os.environ["MPLCONFIGDIR"]).is_relative_to(tmp_path)


def test_a_home_that_one_may_not_look_at_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(path)

    monkeypatch.setattr(Path, "exists", refuse)
    assert _writable(tmp_path / "nowhere" / ".config")


def test_nobody_elses_folder_is_a_refuge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"inr-gan-{os.getuid()}").symlink_to(elsewhere)
    assert Path(_refuge()).resolve() != elsewhere.resolve()


CLOSED = """
import os, sys
os.close(1); os.close(2)
os.execv(sys.executable, [sys.executable, "-m", "core.data", "--help"])
"""


def test_closed_streams_do_not_change_the_code() -> None:
    ended = subprocess.run([sys.executable, "-c", CLOSED], cwd=ROOT, check=False)
    assert ended.returncode == 0
