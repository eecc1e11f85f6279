"""Images as .npy files of the shape that is expected: a file that says another one, or has other bytes, is not read."""

from __future__ import annotations

import io
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

HEADER = 128
"""Bytes of such a file before its pixels."""


class Unfit(Exception):
    """A file that is not the array that is expected; the message says why."""


def header_of(shape: tuple[int, ...]) -> bytes:
    """The header of uint8 of this shape, as `np.save` writes it."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    if header.tell() != HEADER:
        raise AssertionError(f"a .npy header of {header.tell()} bytes")
    return header.getvalue()


def read(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """uint8 of this shape, in memory. Raises `Unfit`, and OSError where it cannot be read."""
    with _pixels(file, shape) as stream:
        array = np.empty(shape, np.uint8)
        if stream.readinto(array.reshape(-1).data) != array.size:  # type: ignore[attr-defined]
            raise Unfit("it ends early")
        return array


def mapped(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """uint8 of this shape, memory-mapped. Raises as `read`."""
    with _pixels(file, shape) as stream:
        # Read-only: a mapping that may be written counts as memory, of which there may be less.
        return np.memmap(stream, np.uint8, "r", HEADER, shape)


@contextmanager
def _pixels(file: Path, shape: tuple[int, ...]) -> Iterator[BinaryIO]:
    """The file, open where its pixels begin."""
    expected = HEADER + math.prod(shape)
    # A pipe would be waited for without end.
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:  # noqa: PTH123
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Unfit("it is no file")
        if status.st_size != expected:
            raise Unfit(f"it has {status.st_size:,} of {expected:,} bytes")
        if stream.read(HEADER) != header_of(shape):
            raise Unfit("it does not begin as an array of these images")
        yield stream
