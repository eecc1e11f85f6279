"""What is seen of a picture: a window of it in so many pixels, and the blocks in which f is evaluated there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from core.errors import InputError

BLOCK = 64
"""Points of a side of a block, at most: at width 256 its 4,096 points are 4 MB, which stay near the processor."""

MOST_DENSE = 2**22
"""Points across a whole picture: float32 coordinates tell no more apart everywhere."""


class Window(NamedTuple):
    """A part of a picture, whose left and upper edges are 0 and whose right and lower ones are 1."""

    left: Fraction
    top: Fraction
    right: Fraction
    bottom: Fraction


WHOLE = Window(Fraction(0), Fraction(0), Fraction(1), Fraction(1))


class Piece(NamedTuple):
    """The pixels of a block along one side.

    `edges` are float64 [n + 1]. Those of them that are seen are `inside`, the first of which is pixel `at` of what is
    seen; others are evaluated for the shape alone.
    """

    edges: Tensor
    inside: slice
    at: int

    @property
    def seen(self) -> slice:
        """The pixels of what is seen that are this piece's."""
        return slice(self.at, self.at + self.inside.stop - self.inside.start)


@dataclass(frozen=True)
class Span:
    """`count` equal pixels from `low` to `high` of a side of a picture."""

    low: Fraction
    high: Fraction
    count: int

    @property
    def pixel(self) -> Fraction:
        """The side of a pixel."""
        return (self.high - self.low) / self.count

    def pieces(self, length: int) -> list[Piece]:
        """All pixels in pieces of `length`.

        They are counted from the picture's edge and not from the window's: where the window's edges are those of pixels
        of the whole picture at this density, each pixel lies in the very block of points that it lies in there. Edges
        are exact until they are rounded once, so they are the same numbers, too.
        """
        pixel, first = self.pixel, self.low // self.pixel
        pieces = []
        for start in range(first // length * length, first + self.count, length):
            edges = [float(self.low + (start + i - first) * pixel) for i in range(length + 1)]
            inside = slice(max(0, first - start), min(length, first + self.count - start))
            pieces.append(Piece(torch.tensor(edges, dtype=torch.float64), inside, start + inside.start - first))
        return pieces


@dataclass(frozen=True)
class View:
    """A window in `width` x `height` pixels, each the mean of `points` x `points` values of f.

    Raises InputError where its points are closer than coordinates tell apart.
    """

    window: Window
    width: int
    height: int
    points: int = 1

    def __post_init__(self) -> None:
        for span in (self.columns, self.rows):
            if (dense := self.points / span.pixel) > MOST_DENSE:
                raise InputError(
                    f"the window in so many pixels is {float(dense):,.0f} points across a whole picture, and float32 "
                    f"tells {MOST_DENSE:,} apart: ask for fewer pixels or points, or for a larger window"
                )

    @property
    def columns(self) -> Span:
        """Left to right."""
        return Span(self.window.left, self.window.right, self.width)

    @property
    def rows(self) -> Span:
        """Top to bottom."""
        return Span(self.window.top, self.window.bottom, self.height)

    @property
    def block(self) -> int:
        """Pixels of a side of a block: how many hangs on the points alone, so that products have one shape."""
        return max(1, BLOCK // self.points)

    def blocks(self) -> Iterator[tuple[Piece, list[Piece]]]:
        """Rows of blocks from top to bottom, each a piece of rows with its pieces of columns."""
        across = self.columns.pieces(self.block)
        return ((down, across) for down in self.rows.pieces(self.block))


def sized(size: int | tuple[int, int], window: Window) -> tuple[int, int]:
    """(width, height) in pixels; of one number that of the longer side, with pixels as square as can be."""
    if isinstance(size, tuple):
        return size
    width, height = window.right - window.left, window.bottom - window.top
    longer = max(width, height)
    return max(1, round(size * width / longer)), max(1, round(size * height / longer))
