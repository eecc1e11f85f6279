"""Launchers provide the processes that work off an order; each is one module, found by its name here."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol

from core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from studies.runner.queue import Claim


class Shared(Protocol):
    """What workers share: a queue of jobs, or the trials of a search (`studies.runner.queue` has the meanings)."""

    def worker_lock(self, worker: str) -> Path: ...

    def waiting(self, wanted: Collection[str]) -> list[str]: ...

    def running(self, wanted: Collection[str]) -> list[str]: ...

    def held_by(self, worker: str) -> Claim | None: ...

    def completed_by(self, worker: str) -> int: ...

    def release(self, claim: Claim, *, again: bool) -> None: ...

    def release_orphans(self) -> list[str]: ...


class Work(Protocol):
    """An order: `python -m MODULE FILE NAME` is a worker of it, `called` names a claim in a sentence."""

    module: ClassVar[str]

    @property
    def runs(self) -> Path: ...

    @property
    def workers(self) -> int: ...

    @property
    def threads(self) -> int: ...

    @property
    def gpus(self) -> tuple[str, ...]: ...

    @property
    def digests(self) -> list[str]: ...

    def queue(self) -> Shared: ...

    @property
    def hang_seconds(self) -> float: ...

    def called(self, claim: Claim) -> str: ...

    def work(self, name: str, *, stop: Callable[[], bool], each: Callable[[], None]) -> None: ...

    def write(self, name: str) -> Path: ...


class Launcher(Protocol):
    """Works off `order` and returns when all of its jobs have ended, whoever trained them, or after `stop()`.

    It calls `tick` a few times a second from the caller's thread and says notable things by `say`. Raises InputError
    where the jobs cannot be trained here, and `WorkersLost`.
    """

    def run(
        self, order: Work, *, stop: Callable[[], bool], tick: Callable[[], None], say: Callable[[str], None]
    ) -> None: ...


class WorkersLost(RuntimeError):
    """Every worker died again and again; the message is one line that ends with the last one's last words."""


LAUNCHERS: Mapping[str, str] = MappingProxyType({"inline": "Inline", "local": "Local"})
"""Module here, and the class in it. A module is imported when it is asked for."""


def launcher(name: str) -> Launcher:
    """The launcher of that name. Raises InputError with the nearest name."""
    check_launcher(name)
    module = importlib.import_module(f"studies.runner.launchers.{name}")
    made: Launcher = getattr(module, LAUNCHERS[name])()
    return made


def check_launcher(name: str) -> None:
    """Raises InputError where there is no such launcher; imports none."""
    if name not in LAUNCHERS:
        near = difflib.get_close_matches(name, LAUNCHERS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(LAUNCHERS)}"
        raise InputError(f"there is no launcher '{name}': {hint}")
