"""The one way to start another Python: it finds the code that this one runs, and nothing in the working folder takes
the place of a module, whatever it is called. (For pools of processes see `core.pools`.)"""

from __future__ import annotations

import os
import shlex
import site
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The folder that our packages lie in: a checkout, or where they were installed."""

SAFE_PATH = "PYTHONSAFEPATH"


def python(module: str, *arguments: str, executable: str = sys.executable) -> list[str]:
    """The command line that runs a module. To be started with `environment()`."""
    # -P: with -m alone the working folder comes first, where a core/ or a queue.py may lie.
    return [executable, "-P", "-m", module, *arguments]


def environment(executable: str = sys.executable) -> dict[str, str]:
    """The environment variables of such a process; its own children inherit them."""
    return {
        **os.environ,
        SAFE_PATH: "1",
        "PYTHONPATH": path_of(os.environ.get("PYTHONPATH", ""), executable),
        # What they print is read back, or kept in a log: its encoding is no terminal's.
        "PYTHONIOENCODING": "utf-8:backslashreplace",
    }


def path_of(others: str, executable: str = sys.executable) -> str:
    """PYTHONPATH with our code in front of `others`, where that Python would not find it by itself."""
    # An empty entry would be the working folder.
    kept = [entry for entry in others.split(os.pathsep) if entry and entry != str(ROOT)]
    return os.pathsep.join(kept if is_found_by(executable) else [str(ROOT), *kept])


def is_found_by(executable: str) -> bool:
    """Whether that Python finds our code where it is installed: in front as well, what is beside it would come before
    Python's own modules."""
    if executable != sys.executable:
        return False
    installed = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        installed.append(site.getusersitepackages())
    return ROOT in {Path(folder).resolve() for folder in installed}


def in_shell(module: str, called: str) -> str:
    """The command that calls a function of one of our modules, for every shell and from every folder."""
    start = f"from {module} import {called}; {called}()"
    if not is_found_by(sys.executable):
        start = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {start}"
    return shlex.join([sys.executable, "-P", "-c", start])
