"""Optuna's journals, which a write that was cut off does not spoil."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import reduce
from io import FileIO
from itertools import starmap
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

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
"""Errors that Optuna raises of a line whose operation is impossible."""


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
    """The loss that comes with moving a journal away, as part of a sentence."""
    search = ".search." in journal.name
    return "its search begins anew" if search else "no result is lost, they are in the folders of runs"


# --- what a line may say ----------------------------------------------------------------------------------------------

Value = Annotated[float, Field(ge=-math.inf)]
"""No NaN: nothing can be told from it."""
Values = Annotated[list[Value], Field(min_length=1, max_length=1)]
Attribute = Annotated[dict[str, Any], Field(min_length=1, max_length=1)]
State = Literal[0, 1, 2, 3, 4]
"""Running, complete, pruned, failed, waiting."""


class _Line(BaseModel):
    """One line; Optuna's later versions may say more in it. Whether it makes sense shows when it is replayed."""

    model_config = ConfigDict(strict=True)

    worker_id: str


class _SystemAttributes(BaseModel):
    fixed_params: dict[str, float] = {}


STUDY: dict[str, Any] = {"study_id": Whole}
TRIAL: dict[str, Any] = {"trial_id": Whole}
OPERATIONS: tuple[dict[str, Any], ...] = (
    {"study_name": str, "directions": Annotated[list[Literal[0, 1, 2]], Field(min_length=1)]},
    STUDY,
    {**STUDY, "user_attr": Attribute},
    {**STUDY, "system_attr": Attribute},
    {
        **STUDY,
        "datetime_start": str | None,
        "datetime_complete": (str, ""),
        "state": (State, 0),
        "value": (Value | None, None),
        "values": (Values | None, None),
        "distributions": (dict[str, str], {}),
        "params": (dict[str, Value], {}),
        "user_attrs": (dict[str, Any], {}),
        "system_attrs": (_SystemAttributes, _SystemAttributes()),
        "intermediate_values": (dict[str, Value], {}),
    },
    {**TRIAL, "param_name": str, "param_value_internal": Value, "distribution": str},
    {
        **TRIAL,
        "state": State,
        "values": Values | None,
        "datetime_start": (str, ""),
        "datetime_complete": (str, ""),
    },
    {**TRIAL, "step": Whole, "intermediate_value": Value},
    {**TRIAL, "user_attr": Attribute},
    {**TRIAL, "system_attr": Attribute},
)
"""The fields of each operation of Optuna's journals (`optuna.storages.journal._storage`), by its number: create and
delete a study, set a user's and a system's attribute of it; create a trial, set its parameter, its state, an
intermediate value, a user's and a system's attribute of it. Of a pair the second one is the default."""


def _model(number: int, fields: Mapping[str, Any]) -> type[_Line]:
    definitions: dict[str, Any] = {"op_code": Literal[number]}
    return create_model(f"Operation{number}", __base__=_Line, **definitions, **fields)


_ANY: Any = reduce(or_, starmap(_model, enumerate(OPERATIONS)))
LINE: TypeAdapter[Any] = TypeAdapter(Annotated[_ANY, Field(discriminator="op_code")])


# --- the file ---------------------------------------------------------------------------------------------------------


class MendingBackend(JournalFileBackend):  # type: ignore[misc]
    """Optuna's file of lines, without what a full disk or a kill leaves of a write. `made` where there is none.

    Readers overlook a last line without its end, for it was never acted on, but refuse the whole journal once another
    line stands behind it. So each write removes it first, and the rest of itself where it fails.

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


def _append(stream: FileIO, lines: memoryview) -> None:
    _mend(stream)
    try:
        write_all(stream, lines)
        os.fsync(stream.fileno())
    except BaseException:
        with suppress(OSError):  # Then the next write removes it.
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
