"""The one way to start another Python of ours: it finds the code that this one runs, and nothing in the working folder
takes the place of a module."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that our packages lie in: a checkout, or where they were installed."""


def python(module: str, *arguments: str, executable: str = sys.executable) -> list[str]:
    """The command line that runs one of our modules. To be started with `environment()`."""
    # -P: with -m alone the working folder comes first, where a core/ or a queue.py may lie.
    return [executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """What such a process gets as environment variables; its own children inherit them."""
    return {
        **os.environ,
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": path_of(os.environ.get("PYTHONPATH", "")),
        # What they print is read back, or kept in a log: its encoding is no terminal's.
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }


def path_of(others: str) -> str:
    """PYTHONPATH with our code in front of `others`, where Python would not find it by itself."""
    found_anyway = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    own = [] if ROOT in found_anyway else [str(ROOT)]
    # An empty entry would be the working folder.
    return os.pathsep.join([*own, *(entry for entry in others.split(os.pathsep) if entry and entry != str(ROOT))])
