"""A disk that forgets: what of a folder's files a power cut may leave, at any moment of what is done in this process.

POSIX promises of a file the bytes that it had when it was last synced, and of a folder the names that were in it when
that was. Anything newer may be on the disk, or not, in any order: a file that was renamed may be there under its new
name with none of its bytes.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

Tree = dict[str, bytes]
"""Files by their path below the folder."""

HOOKED = ("fsync", "replace", "rename", "unlink", "remove", "mkdir", "open")


class ForgetfulDisk:
    """Watches `root`, and keeps in `left` every tree that a cut could have left after some operation, each once."""

    def __init__(self, root: Path, seeds: int = 2) -> None:
        self.root, self.left = root, dict[str, Tree]()
        self._seeds = seeds
        self._file_of: dict[int, int] = {}
        self._files = 0
        self._synced: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        """By folder, as it was synced last."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Everything within it is seen."""
        with pytest.MonkeyPatch.context() as patched:
            for name in HOOKED:
                patched.setattr(os, name, self._hooked(name, getattr(os, name)))
            self._cut()
            yield
            self._cut()

    def _hooked(self, name: str, call: Callable[..., T]) -> Callable[..., T]:
        def made(*arguments: Any, **named: Any) -> T:
            if name in ("replace", "rename", "unlink", "remove"):
                self._forget(arguments[-1])
            result = call(*arguments, **named)
            if name == "fsync":
                self._sync(arguments[0])
            if name != "open" or (len(arguments) > 1 and arguments[1] & os.O_CREAT):
                self._cut()
            return result

        return made

    def _id(self, inode: int) -> int:
        if inode not in self._file_of:
            self._files += 1
            self._file_of[inode] = self._files
        return self._file_of[inode]

    def _forget(self, path: Any) -> None:
        """A file that goes: its inode will soon be another one's."""
        with suppress(OSError, TypeError):
            self._file_of.pop(os.lstat(path).st_ino, None)

    def _sync(self, handle: int) -> None:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            self._names[self._id(found.st_ino)] = {e.name: self._id(e.inode()) for e in os.scandir(handle)}
        elif stat.S_ISREG(found.st_mode):
            self._synced[self._id(found.st_ino)] = Path(f"/proc/self/fd/{handle}").read_bytes()

    def now(self) -> list[Tree]:
        """What may be left if the power goes now: the least, all names without what was not synced, and mixtures."""
        chances = [lambda: False, lambda: True, *(self._coin(seed) for seed in range(self._seeds))]
        trees = [self._tree(newer, lambda: False) for newer in chances]
        return [*trees, *(self._tree(lambda: True, newer) for newer in (lambda: True, self._coin(self._seeds)))]

    def _cut(self) -> None:
        for tree in self.now():
            self.left.setdefault(repr(sorted((name, hash(content)) for name, content in tree.items())), tree)

    def _coin(self, seed: int) -> Callable[[], bool]:
        drawn = random.Random(1000 * len(self.left) + seed)
        return lambda: drawn.random() < 0.5

    def _tree(self, newer_name: Callable[[], bool], newer_bytes: Callable[[], bool]) -> Tree:
        tree: Tree = {}

        def visit(folder: Path | None, number: int, above: str) -> None:
            now = {} if folder is None else {e.name: (self._id(e.inode()), e) for e in os.scandir(folder)}
            then = self._names.get(number, {})
            for name in sorted({*now, *then}):
                current = newer_name()
                if (current and name not in now) or (not current and name not in then):
                    continue
                identity = now[name][0] if current else then[name]
                entry = next((entry for other, entry in now.values() if other == identity), None)
                if identity in self._names or (entry is not None and entry.is_dir()):
                    visit(Path(entry.path) if entry is not None else None, identity, f"{above}{name}/")
                elif entry is not None and newer_bytes():
                    tree[f"{above}{name}"] = Path(entry.path).read_bytes()
                else:
                    tree[f"{above}{name}"] = self._synced.get(identity, b"")

        visit(self.root, self._id(self.root.stat().st_ino), "")
        return tree


def put(tree: Tree, folder: Path) -> Path:
    """The tree as files."""
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
