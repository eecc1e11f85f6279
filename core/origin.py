"""Which version and which commit of this package runs: its own, whatever repository it lies in."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from core.processes import ROOT

NAME = "inr-gan-ablations"

SAFE = (
    "--no-optional-locks",
    "--no-pager",
    # Somebody else's clone may be read; nothing in its configuration is to be run.
    *("-c", "safe.directory=*"),
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    # What a partial clone lacks git would fetch, by programs that its configuration names.
    *("-c", "protocol.allow=never"),
    *("-c", "fetch.bundleURI="),
)

NO_FETCH = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
"""The first is of later versions of git. The second is not overruled by a `protocol.file.allow` in a repository."""


@cache
def version() -> str | None:
    """This package's version: a checkout's own, else that of the installation; None where neither says it."""
    try:
        project = tomllib.loads((ROOT / "pyproject.toml").read_bytes().decode())["project"]
        if project["name"] == NAME:
            return str(project["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        installed = distribution(NAME)
    except PackageNotFoundError:
        return None
    return installed.version if _is_ours(installed) else None


def _is_ours(installed: Distribution) -> bool:
    """Whether the code that runs is the one that was installed so: the name may be that of another copy."""
    return Path(str(installed.locate_file("core"))).resolve() == ROOT / "core"


def commit() -> tuple[str | None, bool | None]:
    """The commit that is checked out and whether the code was changed since; None where this is no checkout of its own.

    A repository somewhere above an installed package, or the one that a program was started for, is not asked.
    """
    if not (ROOT / ".git").exists() or _git("ls-files", "--error-unmatch", "--", "core/origin.py") is None:
        return None, None
    # Filters are programs that git would put a changed file through. One of `SAFE` matches too: no answer is a failure.
    names = _git("config", "--null", "--name-only", "--get-regexp", r"^(filter|protocol)\.")
    if names is None:
        return _git("rev-parse", "HEAD"), None
    filters = [name for name in names.split("\0") if name.startswith("filter.")]
    status = _git("status", "--porcelain", "-z", "--ignore-submodules=all", emptied=filters)
    return _git("rev-parse", "HEAD"), None if status is None else any(map(_counts, status.split("\0")))


def _counts(entry: str) -> bool:
    """Whether an entry of git's status may change what runs: a file that git does not know and Python does not import,
    such as a database or notes, does not."""
    if not entry.startswith("?? "):
        return bool(entry)
    return entry.endswith((".py", ".so", "/")) and not entry.endswith("__pycache__/")


def _git(*arguments: str, emptied: Sequence[str] = ()) -> str | None:
    """Git's answer about our checkout, some of its settings emptied; None where it gives none."""
    # GIT_DIR and the like, as in a hook, are those of another repository.
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own |= NO_FETCH | {
        "GIT_CEILING_DIRECTORIES": str(ROOT.parent),
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
    # Not by -c: the name of a setting may have an equals sign in it.
    own["GIT_CONFIG_COUNT"] = str(len(emptied))
    for number, name in enumerate(emptied):
        own |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": ""}
    command = ["git", "-C", str(ROOT), *SAFE, *arguments]
    try:
        done = subprocess.run(command, env=own, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    # Names may be any bytes, and are given back to git as they were.
    return os.fsdecode(done.stdout).strip()
