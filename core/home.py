"""A home for processes that have none, as of a user id that a container made up: libraries ask for it when they are
imported, and fail or complain where there is none."""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path


def settle() -> None:
    """Gives this process and its children HOME and USER where the system knows neither, and matplotlib a place for its
    cache where it could not write."""
    home = os.environ.get("HOME", "")
    if not Path(home).is_absolute():
        home = _known("pw_dir") or _refuge()
        if home:
            os.environ["HOME"] = home
    if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")) and not _known("pw_name"):
        os.environ["USER"] = f"uid{os.getuid()}"
    folders = (
        Path(os.environ.get(variable) or Path(home) / default)
        for variable, default in (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
    )
    if "MPLCONFIGDIR" not in os.environ and not all(map(_writable, folders)) and (refuge := _refuge()):
        os.environ["MPLCONFIGDIR"] = str(Path(refuge) / "matplotlib")


def _known(field: str) -> str:
    """A field of the system's entry for this user, "" where it knows no such user."""
    with suppress(KeyError):
        return str(getattr(pwd.getpwuid(os.getuid()), field))
    return ""


def _writable(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that is there, may be written into."""
    # Not `exists`, which raises where one may not look.
    there = next((each for each in (folder, *folder.parents) if os.access(each, os.F_OK)), None)
    return there is not None and there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _refuge() -> str:
    """A folder of this user alone among the temporary ones, "" where there is no place for it."""
    import tempfile

    with suppress(OSError):
        folder = Path(tempfile.gettempdir()) / f"inr-gan-{os.getuid()}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
        # Somebody else may have been there first, under a name that can be guessed.
        return str(folder) if mine else tempfile.mkdtemp(prefix="inr-gan-")
    return ""
