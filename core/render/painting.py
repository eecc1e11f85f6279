"""Pixels of views, from top to bottom, without ever holding more than a few rows of blocks.

A block is evaluated on one thread, whole, in products of one shape. Which blocks there are hangs on the view alone, so
no pixel depends on how many threads there are or on how many rows are held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.grids import Cells
from core.models.generator import Renderer
from core.render.view import Piece, View

Pixels8 = NDArray[np.uint8]
"""Rows of pixels, uint8 [H, W, 3]."""

AHEAD = 4
"""Blocks that are under way or waiting for their place, for each thread."""

Made = TypeVar("Made")


def painted(
    renderer: Renderer,
    sheet: Iterable[Sequence[Tensor | None]],
    view: View,
    *,
    threads: int,
    done: Callable[[int], object],
) -> Iterator[Pixels8]:
    """The view of a sheet of pictures row by row, uint8 [h, columns W, 3] from top to bottom, h of its own choice.

    `sheet` has the INR's parameters of each picture, [1, E], in rows of one length, None for a place that stays black.
    `done` is called with 1 after each block. Raises FloatingPointError for a pixel that is not finite.
    """

    blocks = list(view.blocks())
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for pictures in sheet:
            calls = (
                partial(_block, renderer, emitted, down, across, view)
                for down, pieces in blocks
                for emitted in pictures
                for across in pieces
            )
            results = _in_order(pool, calls, AHEAD * threads)
            for down, pieces in blocks:
                rows = np.zeros((down.seen.stop - down.seen.start, len(pictures), view.width, 3), np.uint8)
                for place in range(len(pictures)):
                    for across in pieces:
                        rows[:, place, across.seen] = next(results)
                        done(1)
                yield rows.reshape(len(rows), -1, 3)
    finally:
        pool.shutdown(cancel_futures=True)


def blocks_of(view: View) -> int:
    """How often `painted` is done with a block, for one picture."""
    return sum(len(pieces) for _, pieces in view.blocks())


def in_rows(strips: Iterable[Pixels8], height: int) -> Iterator[Pixels8]:
    """The same pixels in rows of `height`; the last may be lower."""
    held: list[Pixels8] = []
    have = 0
    for strip in strips:
        while len(strip):
            part, strip = strip[: height - have], strip[height - have :]
            held.append(part)
            have += len(part)
            if have == height:
                yield np.concatenate(held)
                held, have = [], 0
    if held:
        yield np.concatenate(held)


@torch.inference_mode()
def _block(renderer: Renderer, emitted_1E: Tensor | None, down: Piece, across: Piece, view: View) -> Pixels8 | int:
    """What is seen of a block, uint8 [h, w, 3], or the one number that all of it is."""
    if emitted_1E is None:
        return 0
    coordinates = renderer.pixels.config
    cells = Cells(across.edges, down.edges, coordinates, points=view.points)
    seen = renderer.render(emitted_1E, cells)[:, :, down.inside, across.inside]
    if not seen.isfinite().all():
        raise FloatingPointError("the generator made a pixel that is not finite")
    return renderer.signal.to_stored(seen)[0].permute(1, 2, 0).numpy()


def _in_order(pool: ThreadPoolExecutor, calls: Iterable[Callable[[], Made]], ahead: int) -> Iterator[Made]:
    """What the calls return, in their order; no more than `ahead` are begun before what they return is taken."""
    waiting: deque[Future[Made]] = deque()
    for call in calls:
        waiting.append(pool.submit(call))
        if len(waiting) == ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
