"""Other processes of ours work in every folder, whatever modules lie there."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.data import walk
from core.data.sources import fingerprint
from core.errors import InputError
from core.processes import ROOT, environment, in_shell, is_found_by, path_of, python
from studies import completion
from tests.support.pictures import encoded, lsun, picture

OURS = ("ablations", "core", "reports", "studies")
FILES = {f"{name}.png": encoded(picture(name)) for name in range(3)}
COMMON = ("queue", "random", "typing", "numpy", "torch", "lmdb", "click", "signal", "multiprocessing", "sitecustomize")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: it has modules and packages of common names, which end whoever imports them."""
    here = tmp_path / "here"
    for name in OURS:
        (here / name).mkdir(parents=True)
        (here / name / "__init__.py").write_text("raise SystemExit('the wrong module')\n")
    for name in COMMON:
        (here / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    monkeypatch.chdir(here)
    return here


def said(*command: str, **variables: str) -> str:
    ended = subprocess.run(command, env={**environment(), **variables}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_python_of_ours_finds_our_modules_and_pythons_own(hostile: Path) -> None:
    looks = f"import json, sys; import {', '.join((*OURS, 'queue', 'random'))}; import core.config"
    shown = f"{looks}; print(json.dumps([sys.path, core.__file__, queue.__file__]))"
    (hostile.parent / "mine").mkdir()
    (hostile.parent / "mine" / "shown.py").write_text(shown)
    # An empty entry is the working folder to Python.
    path = os.pathsep.join(["", str(hostile.parent / "mine"), ""])
    where = path_of(path)
    told = json.loads(said(*python("shown"), PYTHONPATH=where))
    assert str(hostile) not in told[0] and "" not in told[0]
    assert told[1] == str(ROOT / "core" / "__init__.py") and str(hostile) not in told[2]


def test_what_is_installed_is_not_put_in_front_of_pythons_own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.processes.site.getsitepackages", lambda: [str(ROOT)])
    assert is_found_by(sys.executable) and path_of("/a::/b") == "/a:/b"
    assert not is_found_by("/opt/python") and path_of("", "/opt/python") == str(ROOT)


@pytest.mark.parametrize("module", ["studies.run", "core.words", "reports.page"])
def test_a_command_that_python_is_told_by_its_module_leaves_the_working_folder(module: str, hostile: Path) -> None:
    for name in OURS:
        (hostile / name / "__init__.py").unlink()
        (hostile / name).rmdir()
    (hostile / "typing.py").unlink()  # Python itself looks for it before it looks for the command.
    (hostile / "re.py").write_text("raise SystemExit('the wrong module')\n")
    said(sys.executable, "-m", module, "--help", PYTHONSAFEPATH="", PYTHONPATH=str(ROOT))


def test_a_module_in_the_folder_of_our_code_stays_to_be_found() -> None:
    look = "core.data"
    program = (
        f"import runpy, sys; sys.orig_argv = ['python', '-m', {look!r}]; sys.argv = ['-m']; sys.path[0] = {str(ROOT)!r}"
        "; import core; print(sys.path[0])"
    )
    assert said(sys.executable, "-c", program, PYTHONSAFEPATH="").strip() == str(ROOT)


def test_the_line_that_shells_complete_by_works_everywhere(hostile: Path) -> None:
    line = in_shell("studies.run", "main")
    assert line in completion.script("bash")
    asked = {completion.VARIABLE: "bash_complete", "COMP_WORDS": "inr-gan-study weight_", "COMP_CWORD": "1"}
    assert "plain,weight_clipping" in said(*shlex.split(line), **asked, PYTHONPATH="", PYTHONSAFEPATH="")


# --- the one that looks through an LMDB -------------------------------------------------------------------------------


def test_an_lmdb_is_looked_through_whatever_lies_in_the_working_folder(hostile: Path) -> None:
    assert fingerprint(lsun(hostile.parent / "set", FILES))[1] == len(FILES)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import sys; sys.exit('no room here')", "no room here"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("import os, signal; print('begun', flush=True); os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("import os; os.abort()", "signal 6"),
        ("print('begun'); raise MemoryError", "MemoryError"),
        (None, "No such file"),
    ],
)
def test_one_that_cannot_look_says_nothing_of_the_lmdb(
    program: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["/nowhere/python"] if program is None else [sys.executable, "-S", "-c", program]
    monkeypatch.setattr(walk, "python", lambda *_: command)
    with pytest.raises(InputError) as refused:
        fingerprint(lsun(tmp_path / "set", FILES))
    assert told in str(refused.value) and "damaged" not in str(refused.value)
    assert "says nothing of the LMDB" in str(refused.value) and "\n" not in str(refused.value)


def test_a_damaged_page_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lsun(tmp_path / "set", FILES)
    program = "import os; print('begun', flush=True); os.abort()"
    monkeypatch.setattr(walk, "python", lambda *_: [sys.executable, "-S", "-c", program])
    with pytest.raises(InputError, match=r"is a damaged LMDB .* copy or download it again"):
        fingerprint(path)


# --- that there is no other way ---------------------------------------------------------------------------------------


def test_every_python_is_started_in_the_one_way() -> None:
    """What this machine's Python is called is for those to know who hand it to the one function that starts it."""
    known = {"core/processes.py", "studies/runner/environment.py"} | {
        f"studies/runner/{name}.py" for name in ("clusters", "launchers/ray")
    }
    for file in (file for room in OURS for file in (ROOT / room).rglob("*.py")):
        text, where = file.read_text(), file.relative_to(ROOT).as_posix()
        assert "sys.executable" not in text or where in known, where
        assert "get_context" not in text and "multiprocessing.P" not in text, where
