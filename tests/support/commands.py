"""Commands as users give them: in this process, for what they say, and as a process, for how it lives."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import studies.run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """A command's exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def flat(self) -> str:
        """What is on stdout, without its line breaks and columns."""
        return " ".join(self.out.split())


def answer(*arguments: str, main: Callable[[Sequence[str]], object] = studies.run.main) -> Answer:
    """What a command answers, whether it ends the process or not: as wide as files are, and it leaves no variable."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), mock.patch.dict(os.environ):
        os.environ.pop("COLUMNS", None)
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = end.code
    out, err = (stream.buffer.getvalue().decode() for stream in streams)
    return Answer(int(code or 0), out, err)


def refused(*arguments: str, main: Callable[[Sequence[str]], object] = studies.run.main) -> str:
    """The one line with which a command refuses."""
    refusal = answer(*arguments, main=main)
    assert (refusal.code, refusal.out, refusal.err.count("\n")) == (2, "", 1), refusal
    return refusal.err


def begun(cwd: Path, *arguments: str) -> subprocess.Popen[str]:
    """`python -m studies.run` with these arguments in `cwd`; its lines go behind those in `cwd`/said.txt."""
    with (cwd / "said.txt").open("a") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "studies.run", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=said,
            stderr=said,
            text=True,
        )
