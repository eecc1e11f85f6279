"""What loads what: commands that only look, and modules that must come without the libraries that take seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from studies.catalogue import NAMES
from tests.contracts.test_examples import FILES

ROOT = Path(__file__).parents[2]
SLOW = (
    *("pydantic", "rich", "urllib.request", "sqlite3", "studies.runner.execute", "core.metrics.identity"),
    *("numpy", "scipy", "PIL", "torch", "mlflow", "optuna", "pandas", "matplotlib", "statsmodels", "low_rank"),
)
COMPLETING = {"_INR_GAN_STUDY_COMPLETE": "bash_complete", "COMP_WORDS": "inr-gan-study cha", "COMP_CWORD": "1"}
LOOKING = {"pydantic", "rich", "core.metrics.identity"}
OF_DATA = LOOKING | {"numpy", "scipy", "PIL"}
OF_REPORTS = OF_DATA | {"pandas", "matplotlib", "statsmodels", "urllib.request", "sqlite3"}

ROWS: list[tuple[str | list[str], dict[str, str], set[str]]] = [
    (["--help"], {}, set()),
    (["--completion", "zsh"], {}, set()),
    ([], COMPLETING, set()),
    ("ablations.protocols", {}, {"pydantic"}),
    (["--list"], {}, LOOKING),
    (["changes_overview", "--show-config"], {}, LOOKING),
    *(([name, "--dry-run", "--design", "all"], {}, LOOKING) for name in NAMES if name != "changes_overview"),
    (["changes_overview", "--dry-run", "--only", "all-r1", "--seeds", "5", "iterations=200"], {}, LOOKING),
    (["mine/low_rank_layer.py", "--dry-run"], {}, LOOKING),
    # The library of designs loads both.
    (["changes_overview", "--dry-run", "--design", "all"], {}, LOOKING | {"numpy", "scipy"}),
    ("core.metrics.protocol", {}, OF_DATA),
    ("core.arithmetic", {}, OF_DATA),
    ("core.data.sources", {}, OF_DATA),
    ("core.data.prepare", {}, OF_DATA),
    ("core.data.rooms", {}, OF_DATA),
    *((f"core.{name}", {}, OF_DATA) for name in ("data.making", "folder", "imported", "machine", "needs")),
    ("reports.render", {}, OF_REPORTS),
]
"""Commands of `studies.run` and modules, in the order in which one process comes to them, and all it may have loaded
by then."""

PROGRAM = f"""
import contextlib, importlib, io, json, os, sys
loaded = []
for what, environment, _ in json.load(sys.stdin):
    os.environ.update(environment)
    if isinstance(what, str):
        importlib.import_module(what)
    else:
        from studies.run import main
        with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")) as shown:
            try:
                main(what)
            except SystemExit as end:
                assert not end.code and shown.buffer.getvalue(), what
    for name in environment:
        del os.environ[name]
    loaded.append([name for name in {SLOW!r} if name in sys.modules])
print(json.dumps(loaded))
"""


def test_what_looks_loads_nothing_slow(tmp_path: Path) -> None:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    rows = [(what, environment, sorted(most)) for what, environment, most in ROWS]
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(rows),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    loaded = json.loads(ended.stdout)
    assert len(loaded) == len(ROWS)
    assert [
        (what, too_much) for (what, _, most), all_ in zip(ROWS, loaded, strict=True) if (too_much := {*all_} - most)
    ] == []
    assert {*loaded[-1]} >= {"pandas", "numpy", "rich"}, "the process sees what is loaded"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
