"""The one way to read a small file, whoever wrote it: UTF-8, whatever the locale, and its name where it is damaged."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.command_line import of_system
from core.errors import InputError
from core.words import first_words, visible

if TYPE_CHECKING:
    # Help and completion read no model, and need not wait for it.
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")


class Damaged(InputError):
    """A file that is there and does not hold what it should; the message names it."""

    def __init__(self, file: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{file} is damaged ({reason}): {remedy}")
        self.file = file


class Unreadable(Damaged):
    """A file that the system does not let this process read; the message names what is in the way.

    Readers that go on without a damaged file go on without this one. It is never removed as damaged files are.
    """

    def __init__(self, file: Path, error: OSError) -> None:
        InputError.__init__(self, of_system(error))
        self.file = file


UNREADABLE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.EIO)
"""Errors that are of one file: others, as of too many open ones, are of the whole process."""

MOST_BYTES = 256 * 2**20
"""Of a file that is read from its beginning to its end; no record of a run comes near."""

MOST_JSON = 16 * 2**20
"""Of a document, which takes some thirty times as much memory once it is read: a plan of ten thousand jobs has half."""

MOST_LINE = 2**20
"""Of a line of a file that has a document in each."""


@contextmanager
def opened(file: Path, remedy: str, most: int = MOST_BYTES) -> Iterator[BufferedReader]:
    """A file to be read. Raises FileNotFoundError, Unreadable, and Damaged where it is no file, or too large to be one
    of ours."""
    try:
        # A pipe would be waited for without end.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in UNREADABLE:
            raise Unreadable(file, error) from None
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        os.close(handle)
        why = f"it is larger than {_in_words(most)}" if stat.S_ISREG(status.st_mode) else "it is no file"
        raise Damaged(file, why, remedy)
    with os.fdopen(handle, "rb") as stream:
        yield stream


def _in_words(size: int) -> str:
    return f"{size // 2**20:,} MiB" if size >= 2**20 else f"{size:,} bytes"


def bytes_of(file: Path, remedy: str, most: int = MOST_BYTES) -> bytes:
    """The content of a file. Raises as `opened`."""
    with opened(file, remedy, most) as stream:
        # One that grows meanwhile is read up to there.
        return stream.read(most)


def last_bytes(file: Path, remedy: str, most: int) -> bytes:
    """The last bytes of a file, whatever its size: all of one that has no more. Raises as `opened`."""
    with opened(file, remedy, sys.maxsize) as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - most))
        return stream.read(most)


def last_text(file: Path, most: int = 2**18) -> str:
    """The end of what a process printed, "" where there is no such file. Bytes that are no UTF-8 are replaced."""
    try:
        return last_bytes(file, "remove it", most).decode(errors="replace")
    except FileNotFoundError:
        return ""


def lines_of(file: Path, remedy: str, most: int, *, size: int = MOST_BYTES) -> Iterator[tuple[int, bytes]]:
    """Up to `most` lines of a file of up to `size` bytes, one after the other, with their numbers; the last one may
    lack its end. No more than a line is held. Raises as `opened`, and Damaged where a line is longer than any."""
    with opened(file, remedy, size) as stream:
        for number in count(1):
            if not (line := stream.readline(MOST_LINE + 1)):
                return
            if len(line) > MOST_LINE:
                raise Damaged(file, f"line {number}: it is longer than {_in_words(MOST_LINE)}", remedy)
            if number > most:
                raise Damaged(file, f"it has more than {most:,} lines", remedy)
            yield number, line
            if not line.endswith(b"\n"):
                return  # What a process writes meanwhile would be taken for a line of its own.


def text_of(file: Path, remedy: str, most: int = MOST_JSON) -> str:
    """The text of a small file. Raises FileNotFoundError, and Damaged where it is no UTF-8."""
    try:
        return bytes_of(file, remedy, most).decode()
    except UnicodeDecodeError as error:
        raise Damaged(file, f"byte {error.start} is no UTF-8", remedy) from None


def json_of(file: Path, remedy: str, most: int = MOST_JSON) -> Any:
    """The value in a JSON file. Raises FileNotFoundError, and Damaged where it is not JSON."""
    text = text_of(file, remedy, most)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(file, "it is empty" if not text.strip() else first_words(error), remedy) from None


def record_of(file: Path, remedy: str, most: int = MOST_JSON) -> dict[str, Any]:
    """The object in a JSON file. Raises FileNotFoundError, and Damaged where it holds something else."""
    record = json_of(file, remedy, most)
    if not isinstance(record, dict):
        raise Damaged(file, f"it holds a {type(record).__name__}, no object", remedy)
    return record


def model_of(file: Path, model: type[Model], remedy: str, most: int = MOST_JSON) -> Model:
    """The model in a JSON file. Raises FileNotFoundError, and Damaged where it holds none."""
    text = text_of(file, remedy, most)
    try:
        return model.model_validate_json(text)
    except ValueError as error:
        raise Damaged(file, "it is empty" if not text.strip() else what_is_wrong(error), remedy) from None


def what_is_wrong(error: ValueError) -> str:
    """The first place where data are wrong and the reason, in a few words."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return first_words(error)
    first = error.errors()[0]
    place, reason = ".".join(str(part) for part in first["loc"]), first["msg"].removeprefix("Value error, ")
    return visible(f"{place}: {reason}" if place else reason)
