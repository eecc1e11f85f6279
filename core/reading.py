"""The one way to read a small file, whoever wrote it: UTF-8, whatever the locale, and its name where it is damaged."""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import InputError
from core.words import first_words, visible

if TYPE_CHECKING:
    # Who reads no model, as for help and completion, need not wait for it.
    from pydantic import BaseModel

Model = TypeVar("Model", bound="BaseModel")


class Damaged(InputError):
    """A file that is there and does not hold what it should; the message names it."""

    def __init__(self, file: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{file} is damaged ({reason}): {remedy}")
        self.file = file


MOST_BYTES = 256 * 2**20
"""Of a file that is read whole; no record of a run comes near."""


def bytes_of(file: Path, remedy: str, most: int = MOST_BYTES) -> bytes:
    """What is in a file. Raises FileNotFoundError, and Damaged where it is no file, or too large to be one of ours."""
    # A pipe would be waited for without end.
    with (
        suppress(IsADirectoryError),
        os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream,
    ):
        found = os.fstat(stream.fileno())
        if found.st_size > most:
            raise Damaged(file, f"it has {found.st_size:,} bytes", remedy)
        if stat.S_ISREG(found.st_mode):
            return stream.read()
    raise Damaged(file, "it is no file", remedy)


def text_of(file: Path, remedy: str) -> str:
    """The text of a small file. Raises FileNotFoundError, and Damaged where it is no UTF-8."""
    try:
        return bytes_of(file, remedy).decode()
    except UnicodeDecodeError as error:
        raise Damaged(file, f"byte {error.start} is no UTF-8", remedy) from None


def json_of(file: Path, remedy: str) -> Any:
    """What is in a JSON file. Raises FileNotFoundError, and Damaged where it is not JSON."""
    text = text_of(file, remedy)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Damaged(file, "it is empty" if not text.strip() else first_words(error), remedy) from None


def record_of(file: Path, remedy: str) -> dict[str, Any]:
    """The object in a JSON file. Raises FileNotFoundError, and Damaged where it holds something else."""
    found = json_of(file, remedy)
    if not isinstance(found, dict):
        raise Damaged(file, f"it holds a {type(found).__name__}, no object", remedy)
    return found


def model_of(file: Path, model: type[Model], remedy: str) -> Model:
    """The model in a JSON file. Raises FileNotFoundError, and Damaged where it holds none."""
    text = text_of(file, remedy)
    try:
        return model.model_validate_json(text)
    except ValueError as error:
        raise Damaged(file, "it is empty" if not text.strip() else said_by(error), remedy) from None


def said_by(error: ValueError) -> str:
    """What is wrong with data, in a few words: the first place and its reason."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return first_words(error)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return visible(f"{place}: {first['msg']}" if place else first["msg"])
