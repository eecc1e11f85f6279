"""What CI chooses: the table of `.ci/sets.py` names what there is and covers what the engines touch."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
TESTS = {
    "postgres": ["tests/engines/test_postgres.py"],
    "slurm": ["tests/engines/test_slurm_launcher.py"],
    "ray": ["tests/engines/test_ray_launcher.py"],
    "browser": ["tests/engines/test_hostile_pages.py", "tests/engines/test_mlflow_ui.py"],
}
"""The files that carry each set's mark."""

WORDS = {"postgres": "psycopg|postgresql", "slurm": "sbatch|squeue", "ray": "(import|from) ray", "browser": "mlflow"}
"""Who says these in `studies` has to do with the engine."""


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ci_sets", ROOT / ".ci" / "sets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ci = loaded()
NAMES = [one.name for one in ci.SETS]


def files(*below: str) -> list[str]:
    """Paths in the repository, hidden folders but CI's own left out."""
    found = (path for folder in below for path in (ROOT / folder).rglob("*") if path.is_file())
    return [path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts]


def touched(*changed: str) -> list[str]:
    return [one.name for one in ci.SETS if ci.is_touched(one, changed)]


def test_every_pattern_matches_a_file() -> None:
    here = [*files(".ci", "core", "studies", "reports", "tests"), *(path.name for path in ROOT.iterdir())]
    for one in ci.SETS:
        for pattern in one.covers:
            assert any(ci.is_touched(one._replace(covers=(pattern,)), [path]) for path in here), pattern


def test_every_mark_of_an_engine_is_a_set_whose_tests_are_covered() -> None:
    assert list(TESTS) == NAMES
    for name in NAMES:
        marked = [
            path for path in files("tests") if re.search(rf"pytest\.mark\.{name}\b", (ROOT / path).read_text("latin-1"))
        ]
        assert sorted(marked) == TESTS[name]


@pytest.mark.parametrize("one", ci.SETS, ids=NAMES)
def test_a_set_covers_its_tests_and_what_they_import_of_other_tests(one) -> None:  # type: ignore[no-untyped-def]
    for path in TESTS[one.name]:
        text = (ROOT / path).read_text()
        imported = set()
        for module, names in re.findall(r"^from (tests[\w.]*) import ([\w, ]+)$", text, flags=re.MULTILINE):
            places = [module, *(f"{module}.{name}" for name in names.split(", "))]
            imported |= {place.replace(".", "/") + ".py" for place in places}
        for needed in (path, *(place for place in imported if (ROOT / place).exists())):
            assert ci.is_touched(one, [needed]), needed


@pytest.mark.parametrize("one", ci.SETS, ids=NAMES)
def test_a_set_covers_what_speaks_of_its_engine(one) -> None:  # type: ignore[no-untyped-def]
    speaking = [
        path
        for path in files("studies")
        if path.endswith(".py") and re.search(WORDS[one.name], (ROOT / path).read_text(), flags=re.IGNORECASE)
    ]
    assert speaking
    for path in speaking:
        assert ci.is_touched(one, [path]), path


@pytest.mark.parametrize("one", ci.SETS, ids=NAMES)
def test_the_shortest_test_and_the_targets_are_there(one) -> None:  # type: ignore[no-untyped-def]
    defined = [path for path in TESTS[one.name] if f"def {one.shortest}(" in (ROOT / path).read_text()]
    assert len(defined) == 1
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert {f"{verb}-{one.name}" for verb in ("get", "have", "test")} <= set(targets)


def test_a_change_chooses_the_sets_that_it_touches() -> None:
    assert touched() == touched("README.md", "core/losses.py", "studies/model_size.py") == []
    assert touched("studies/runner/launchers/slurm.py") == ["slurm"]
    assert touched("README.md", "studies/runner/launchers/ray.py") == ["ray"]
    assert touched("studies/ui.py") == ["browser"]
    assert touched("studies/runner/launchers/local.py") == ["postgres"]
    assert touched("studies/runner/launchers/__init__.py") == ["slurm", "ray"]
    assert (
        touched("studies/runner/optuna_stores.py") == touched("requirements-extras.lock") == touched(".ci/run") == NAMES
    )
    # The same name elsewhere is another file, and a star stays in its folder.
    assert touched("docs/studies/ui.py", "tests/engines/more/pages.py") == []


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def commit(root: Path, name: str) -> None:
    (root / name).write_text(name)
    git(root, "add", name)
    git(root, "commit", "-m", name)


def test_the_change_begins_where_the_branch_left_main_and_has_what_is_not_committed(tmp_path: Path) -> None:
    assert ci.changed_paths(tmp_path) == ("unknown", None)
    git(tmp_path, "init")
    commit(tmp_path, "one")
    assert ci.changed_paths(tmp_path) == ("unknown", None)
    commit(tmp_path, "two")
    assert ci.changed_paths(tmp_path)[1] == ["two"]
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    assert ci.changed_paths(tmp_path)[1] == ["two"]
    commit(tmp_path, "three")
    commit(tmp_path, "grün")
    git(tmp_path, "mv", "one", "moved")
    (tmp_path / "new").touch()
    assert ci.changed_paths(tmp_path)[1] == sorted(["three", "grün", "one", "moved", "new"])


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Has shell lines in the place of a set's tests; returns a runner that tells the result and how often they ran."""

    def result(lines: str, *, lacks: str | None = None, seconds: float = 60, time_left: float = 60):  # type: ignore[no-untyped-def]
        count = tmp_path / "tries"
        count.write_text("")
        monkeypatch.setattr(ci, "missing", lambda *_: lacks)
        monkeypatch.setattr(ci, "command", lambda *_: ["bash", "-c", f"echo >>{count}; {lines}"])
        one = ci.SETS[0]._replace(seconds=seconds)
        made = ci.run(one, True, time.monotonic() + time_left)
        assert len(made.tries) == count.read_text().count("\n")
        return made

    return result


def test_a_set_that_fails_is_tried_a_second_time(played, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    fails = played("exit 1")
    assert fails.failed and len(fails.tries) == 2
    fails_once = played(f"[ $(wc -l <{tmp_path}/tries) = 2 ]")
    assert not fails_once.failed and fails_once.outcome == "passed at the second try: the first failed"
    passes = played("exit 0")
    assert passes.outcome == "passed" and len(passes.tries) == 1
    assert "3 s + 4 s  failed" in ci.table([fails._replace(tries=(3.1, 4.2)), passes])


def test_a_set_that_hangs_is_ended_and_has_failed(played, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    hangs = played(f"sleep 600 & echo $! >{tmp_path}/pid; trap 'kill $!; exit 1' INT; wait", seconds=0.5)
    assert hangs.outcome == "failed: it did not end in time" and len(hangs.tries) == 2
    stat = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    until = time.monotonic() + 60
    # A dead process whose parent has not noticed yet does not count.
    while stat.exists() and ") Z " not in stat.read_text():
        assert time.monotonic() < until
        time.sleep(0.1)
    late = played("exit 0", time_left=-1)
    assert late.failed and late.tries == ()


def test_a_set_whose_engine_cannot_be_had_is_skipped_with_the_reason(played) -> None:  # type: ignore[no-untyped-def]
    skipped = played("exit 1", lacks="root is needed to start a SLURM")
    assert not skipped.failed and skipped.tries == ()
    assert "skipped: root is needed to start a SLURM" in ci.table([skipped])


def test_nothing_is_got_unless_asked_for_and_the_reason_is_the_last_line_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = ci.SETS[0]._replace(name="nowhere")
    monkeypatch.delenv("ENGINES", raising=False)
    assert ci.missing(nowhere, 60) == "make have-nowhere failed"
    monkeypatch.setenv("ENGINES", "touched")
    assert ci.missing(nowhere, 60) == "make get-nowhere failed"
