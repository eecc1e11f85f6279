"""Stores that may be out of reach: the error that says so, how it is said in one line, and how long it is sat out.

Where they are, and what may be said of their URLs, is in `studies.stores`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.command_line import of_system
from core.errors import InputError
from core.words import first_words, one_line
from studies.stores import redacted


class Unreachable(RuntimeError):
    """A store that was not to be reached for as long as one was willing to wait; the message is one line."""


def error_line(error: BaseException) -> str:
    """An error in one line without secrets: in a database's own words where it comes from one."""
    if isinstance(error, InputError | Unreachable):
        text = str(error)
    else:
        text = of_system(error) if isinstance(error, OSError) else first_words(_root(error), most=2000)
    return redacted(one_line(text))[:300]


def _root(error: BaseException) -> BaseException:
    """The error of a database's driver, which SQLAlchemy and MLflow wrap in long texts; else the error itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(original := getattr(cause, "orig", None), BaseException):
            return original
        cause = cause.__cause__
    return error


_asked_to_stop: Callable[[], bool] = bool
"""Nothing, at first: `bool()` is False."""


@contextmanager
def waiting_until(stop: Callable[[], bool]) -> Iterator[None]:
    """Within it no call of this process waits for a store, or long for an evaluation, once `stop()`."""
    global _asked_to_stop
    before, _asked_to_stop = _asked_to_stop, stop
    try:
        yield
    finally:
        _asked_to_stop = before


def asked_to_stop() -> bool:
    """Whether a wait should be given up. Unlike a loop's own `stop` this is no beat."""
    return _asked_to_stop()
