"""A folder that may only be read, also for root, whom permissions do not bind: every try to write there is refused."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_refused: list[Path] = []
_installed = False

CHANGING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.utime"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _refused or (event != "open" and event not in CHANGING):
        return
    if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
        return
    for name in arguments[:2]:
        if isinstance(name, (str, os.PathLike)):
            path = Path(os.path.abspath(name))  # noqa: PTH100  resolving would ask for links, and raise events
            if any(path.is_relative_to(root) for root in _refused):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Within it this process can write nothing into `folder`."""
    global _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    _refused.append(folder.absolute())
    try:
        yield
    finally:
        _refused.pop()
