"""Optuna's journals, which a write that was cut off does not spoil."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from core.files import appended, handle_of, named, sync_folder, write_all
from core.locks import FileLock
from core.numbers import Whole
from core.reading import Damaged, what_is_wrong
from core.words import first_words

TAIL_BYTES = 1 << 16

NONSENSE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What Optuna raises of a line that says what cannot be done."""


def journal_in(file: Path, *, made: bool = True) -> JournalStorage:
    """The journal in `file`, made where there is none. It and its calls raise Damaged for a line that is none.

    One that is not to be `made` is not written either unless it is asked to; it raises FileNotFoundError.
    """
    is_new = made and not file.exists()
    backend = MendingBackend(file, made=made)
    if is_new:
        sync_folder(file.parent)
    return MendingStorage(backend)


def lost_with(journal: Path) -> str:
    """What goes with a journal that is moved away, as part of a sentence."""
    search = ".search." in journal.name
    return "its search begins anew" if search else "no result is lost, they are in the folders of runs"


# --- what a line may say ----------------------------------------------------------------------------------------------

Value = Annotated[float, Field(ge=-math.inf)]
"""No NaN: nothing can be told from it."""
Attribute = Annotated[dict[str, Any], Field(min_length=1, max_length=1)]
Values = Annotated[list[Value], Field(min_length=1, max_length=1)]
State = Literal[0, 1, 2, 3, 4]
"""Running, complete, pruned, failed, waiting."""


class _Line(BaseModel):
    """One line; Optuna's later versions may say more in it. What it means is seen when it is replayed."""

    model_config = ConfigDict(strict=True)

    worker_id: str


class _Study(_Line):
    study_id: Whole


class _Trial(_Line):
    trial_id: Whole


class _SystemAttributes(BaseModel):
    fixed_params: dict[str, float] = {}


class _CreateStudy(_Line):
    op_code: Literal[0]
    study_name: str
    directions: list[Literal[0, 1, 2]] = Field(min_length=1)


class _DeleteStudy(_Study):
    op_code: Literal[1]


class _SetStudyUserAttribute(_Study):
    op_code: Literal[2]
    user_attr: Attribute


class _SetStudySystemAttribute(_Study):
    op_code: Literal[3]
    system_attr: Attribute


class _CreateTrial(_Study):
    op_code: Literal[4]
    datetime_start: str | None
    datetime_complete: str = ""
    state: State = 0
    value: Value | None = None
    values: Values | None = None
    distributions: dict[str, str] = {}
    params: dict[str, Value] = {}
    user_attrs: dict[str, Any] = {}
    system_attrs: _SystemAttributes = _SystemAttributes()
    intermediate_values: dict[str, Value] = {}


class _SetParameter(_Trial):
    op_code: Literal[5]
    param_name: str
    param_value_internal: Value
    distribution: str


class _SetState(_Trial):
    op_code: Literal[6]
    state: State
    values: Values | None
    datetime_start: str = ""
    datetime_complete: str = ""


class _SetIntermediateValue(_Trial):
    op_code: Literal[7]
    step: Whole
    intermediate_value: Value


class _SetUserAttribute(_Trial):
    op_code: Literal[8]
    user_attr: Attribute


class _SetSystemAttribute(_Trial):
    op_code: Literal[9]
    system_attr: Attribute


LINE: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        _CreateStudy
        | _DeleteStudy
        | _SetStudyUserAttribute
        | _SetStudySystemAttribute
        | _CreateTrial
        | _SetParameter
        | _SetState
        | _SetIntermediateValue
        | _SetUserAttribute
        | _SetSystemAttribute,
        Field(discriminator="op_code"),
    ]
)
"""The operations of Optuna's journals (`optuna.storages.journal._storage.JournalOperation`)."""


# --- the file ---------------------------------------------------------------------------------------------------------


class MendingBackend(JournalFileBackend):  # type: ignore[misc]
    """Optuna's file of lines, without what a full disk or a kill leaves of a write. `made` where there is none.

    Readers overlook a last line without its end, for it was never acted on, but refuse the whole journal once another
    line stands behind it. So whoever writes removes it first, and what is left of a write of its own that failed.

    Optuna's own lock is a link that locks by being there: a kill leaves it behind, and it leads to an absolute path.
    """

    def __init__(self, file: Path, *, made: bool = True) -> None:
        # Optuna would follow a link, and make what it leads to.
        os.close(handle_of(file, os.O_RDONLY | (os.O_CREAT if made else 0)))
        # Not FILE.lock, where an earlier version may have left its link.
        super().__init__(str(file), lock_obj=FileLock(file.with_name(f"{file.name}.flock")))

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The lines from that number on. Raises Damaged for one that is there whole and is no line of a journal."""
        number = log_number_from
        try:
            for log in super().read_logs(log_number_from):
                LINE.validate_python(log)
                number += 1
                yield log
        except (ValueError, RecursionError) as error:
            self.refuse(number + 1, what_is_wrong(error) if isinstance(error, ValueError) else first_words(error))

    def refuse(self, line: int, reason: str) -> NoReturn:
        """Raises Damaged for the line of this number, from 1."""
        file = Path(self._file_path)
        raise Damaged(file, f"line {line}: {reason}", f"move it away: {lost_with(file)}") from None

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes these behind the last whole line. Raises OSError where that does not work."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock.acquire()
        try:
            with named(Path(self._file_path)), appended(Path(self._file_path)) as stream:
                _append(stream, memoryview(lines.encode()))
        finally:
            self._lock.release()


def _append(stream: FileIO, left: memoryview) -> None:
    _mend(stream)
    try:
        write_all(stream, left)
        os.fsync(stream.fileno())
    except BaseException:
        with suppress(OSError):  # Then it is left to the next who writes.
            _mend(stream)
        raise


def _mend(stream: FileIO) -> None:
    """Cuts off a last line without its end."""
    end = size = stream.seek(0, os.SEEK_END)
    while end:
        begin = max(0, end - TAIL_BYTES)
        stream.seek(begin)
        if (last := stream.read(end - begin).rfind(b"\n")) >= 0:
            end = begin + last + 1
            break
        end = begin
    if end < size:
        stream.truncate(end)


class MendingStorage(JournalStorage):  # type: ignore[misc]
    """Optuna's trials as the lines of a journal say them."""

    _backend: MendingBackend

    def _sync_with_backend(self) -> None:
        """Replays what is new. Raises Damaged for a line of another process that cannot be replayed, now and again."""
        replayed = self._replay_result
        for log in self._backend.read_logs(replayed.log_number_read):
            try:
                replayed.apply_logs([log])
            except NONSENSE as error:
                if log["worker_id"] == replayed.worker_id:
                    # What this process asked for just now, and is told it cannot have.
                    raise
                replayed.log_number_read -= 1
                self._backend.refuse(replayed.log_number_read + 1, first_words(error))
