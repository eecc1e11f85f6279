"""The study command as users give it, as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


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
