"""A page as data: what `reports.markdown` and `reports.pdf` both write out.

Text is a string or a tuple of pieces; a piece is a string, `Code`, `Strong`, `Grey` or `Link`. Strings are plain: the
writers escape whatever is special to their format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Code:
    """A name of a program: typewriter face."""

    text: str


@dataclass(frozen=True)
class Strong:
    """Bold text."""

    text: str


@dataclass(frozen=True)
class Grey:
    """Text that does not count beside its neighbours; a note says why. Markdown, without colours, sets it small."""

    text: str


@dataclass(frozen=True)
class Link:
    """`text` that leads to `target`, a path relative to the page's folder. `code` sets it in typewriter face."""

    text: str
    target: str
    code: bool = False


Piece = str | Code | Strong | Grey | Link
Text = Piece | tuple[Piece, ...]


def pieces(text: Text) -> tuple[Piece, ...]:
    """A text as its pieces."""
    return text if isinstance(text, tuple) else (text,)


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is a section, the page's title is the document's."""

    text: str
    level: Literal[1, 2] = 1


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: Text


@dataclass(frozen=True)
class Note:
    """A remark that must not be overlooked."""

    text: Text


@dataclass(frozen=True)
class Quote:
    """Words of a source."""

    text: str
    source: str


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Listing:
    """Commands, verbatim."""

    text: str


@dataclass(frozen=True)
class Column:
    """A table's column. `share` is its part of the width that columns without one, as wide as their text, leave."""

    title: str
    align: Literal["left", "right", "center"] = "left"
    share: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows under columns, and a note at their foot. `size` is the type size in the PDF in points, `landscape` gives it
    pages of its own."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Text, ...], ...]
    caption: Text
    size: float = 8.0
    landscape: bool = False
    note: Text = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells under {len(self.columns)} columns: {row}")


@dataclass(frozen=True)
class Figure:
    """A picture at `path`, relative to the page's folder; `alt` says what it shows. `width` is percent, in the PDF.

    A figure that `floats` may stand at the top or the foot of a page, the text around it going on.
    """

    path: str
    caption: Text
    alt: str
    width: float = 100.0
    floats: bool = False


Block = Heading | Paragraph | Note | Quote | Bullets | Listing | Table | Figure


@dataclass(frozen=True)
class Document:
    """A titled page; `footer` stands at the foot of every page of the PDF."""

    title: str
    subtitle: Text
    footer: str
    blocks: tuple[Block, ...] = field(default=())
