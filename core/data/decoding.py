"""Decodes a source's images in order, in processes of their own where there are enough: threads would wait for one
another, since most of a small image's time is spent in Python."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.config import Node, Resampling
from core.data.images import decoded
from core.data.images import opened as opened_image
from core.data.sources import DAMAGE, Source, opened, reason_of
from core.errors import InputError
from core.pools import pool

ALONE = 5.0
"""Seconds in which other processes would hardly have started."""

TRIED = 256
"""Images by which that is told."""

TOGETHER = 64
"""Images that a process is given at a time; fewer of larger ones."""

PIXELS_TOGETHER = 8 * 2**20
"""Bytes of pixels that a process may give back at a time, beyond one image: dozens of such answers wait at once."""


class Skipped(Node):
    """An image that cannot be read, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Decoded:
    """sha256 of the encoded image, its pixels uint8 [3, R, R] at each resolution, and its own (width, height)."""

    sha256: bytes
    pixels: list[NDArray[np.uint8]]
    size: tuple[int, int]


def _decode(
    source: Source, names: Sequence[str], resolutions: Sequence[int], resampling: Resampling
) -> list[Decoded | Skipped]:
    images: list[Decoded | Skipped] = []
    with warnings.catch_warnings():
        # Odd metadata and large photographs are not the user's concern here; damage raises.
        warnings.simplefilter("ignore")
        for name in names:
            try:
                content = source.read(name)
                pixels, size = decoded(content, resolutions, resampling)
                images.append(Decoded(hashlib.sha256(content).digest(), pixels, size))
            except DAMAGE as error:
                images.append(Skipped(name=name, reason=reason_of(error)))
    return images


def sizes(path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """The name of every image at `path` with its (width, height), as its header says; those without one are left out.

    Which side is which an EXIF orientation may turn.
    """
    with opened(path) as source, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in source.names:
            with suppress(*DAMAGE), opened_image(source.read(name)) as image:
                yield name, image.size


@contextmanager
def decoding(
    path: Path,
    source: Source,
    names: Sequence[str],
    resolutions: Sequence[int],
    resampling: Resampling,
    workers: int,
) -> Iterator[Iterator[Decoded | Skipped]]:
    """The images of these names in order. The pixels do not depend on `workers`.

    Raises `InputError` where a process was killed, which may be for memory.
    """
    together = max(1, min(TOGETHER, PIXELS_TOGETHER // sum(3 * side**2 for side in resolutions)))
    tried = TRIED // TOGETHER * together
    started = time.perf_counter()
    first = _decode(source, names[:tried], resolutions, resampling)
    expected = (time.perf_counter() - started) / tried * len(names)
    chunks = [names[i : i + together] for i in range(tried, len(names), together)]
    if workers < 2 or expected < ALONE:
        alone = (image for chunk in chunks for image in _decode(source, chunk, resolutions, resampling))
        yield chain(first, alone)
        return
    with pool(workers, _open_here, (path, tuple(resolutions), resampling)) as processes:
        try:
            yield chain(first, _in_order(processes, chunks, 4 * workers))
        except BrokenProcessPool:
            raise InputError(
                f"a process that decodes {path} was killed, for memory perhaps: run the same again with fewer --workers"
            ) from None


def _in_order(processes: Executor, chunks: Sequence[Sequence[str]], ahead: int) -> Iterator[Decoded | Skipped]:
    pending: deque[Future[list[Decoded | Skipped]]] = deque()
    for chunk in chunks:
        pending.append(processes.submit(_decode_here, chunk))
        if len(pending) > ahead:
            yield from pending.popleft().result()
    while pending:
        yield from pending.popleft().result()


# --- in a decoding process --------------------------------------------------------------------------------------------

_here: list[tuple[Source, tuple[int, ...], Resampling]] = []
_open_until_the_end = ExitStack()


def _open_here(path: Path, resolutions: tuple[int, ...], resampling: Resampling) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _here.append((_open_until_the_end.enter_context(opened(path, listed=False)), resolutions, resampling))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _decode_here(names: Sequence[str]) -> list[Decoded | Skipped]:
    source, resolutions, resampling = _here[0]
    return _decode(source, names, resolutions, resampling)
