"""A page as data: what `reports.markdown`, `reports.pdf`, `reports.html` and `reports.latex` write out.

Text is a string or a tuple of pieces; a piece is a string, `Code`, `Strong`, `Grey`, `Link` or `Anchor`. Strings are
plain: the writers escape whatever is special to their format, and write what `shown` makes of a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from core.words import visible


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
    """`text` that leads to `target`, a path relative to the page's folder and quoted as those of addresses are, or
    `#name`, an `Anchor` of the page.

    `code` sets it in typewriter face, `strong` in bold.
    """

    text: str
    target: str
    code: bool = False
    strong: bool = False


@dataclass(frozen=True)
class Anchor:
    """A place of the page that links lead to. Letters, digits and hyphens; no two of a page have one name."""

    name: str


Piece = str | Code | Strong | Grey | Link | Anchor
Text = Piece | tuple[Piece, ...]


def pieces(text: Text) -> tuple[Piece, ...]:
    """A text as its pieces."""
    return text if isinstance(text, tuple) else (text,)


@dataclass(frozen=True)
class Abstract:
    """What the page says, in a few lines before its first section."""

    items: tuple[Text, ...]


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is a section, the page's title is the document's. What is not `numbered` is an appendix."""

    text: str
    level: Literal[1, 2] = 1
    numbered: bool = True


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
    pages of its own. A table with a `name` is also written for LaTeX, as a file of that name."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Text, ...], ...]
    caption: Text
    size: float = 8.0
    landscape: bool = False
    note: Text = ""
    name: str = ""

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


@dataclass(frozen=True)
class Animation:
    """A moving picture at `path`. Paper shows none: the PDF says where it is."""

    path: str
    caption: Text
    alt: str


Block = Abstract | Heading | Paragraph | Note | Quote | Bullets | Listing | Table | Figure | Animation


def without_dead_links(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks with links to anchors that none of them has turned into their words: a section may be left out."""
    anchors: set[str] = set()

    def noted(part: Any) -> Any:
        if isinstance(part, Anchor):
            anchors.add(f"#{part.name}")
        return part

    def alive(part: Any) -> Any:
        if not isinstance(part, Link) or not part.target.startswith("#") or part.target in anchors:
            return part
        return Code(part.text) if part.code else Strong(part.text) if part.strong else part.text

    _changed(tuple(blocks), noted)
    kept: tuple[Block, ...] = _changed(tuple(blocks), alive)
    return kept


def _changed(part: Any, change: Callable[[Any], Any]) -> Any:
    """A part of a page with all that is in it changed, the innermost first."""
    if isinstance(part, tuple):
        return tuple(_changed(each, change) for each in part)
    if is_dataclass(part) and not isinstance(part, type):
        part = replace(part, **{each.name: _changed(getattr(part, each.name), change) for each in fields(part)})
    return change(part)


@dataclass(frozen=True)
class Record:
    """What is on record of one run, as text. Links to `target` lead to it in a page that is one file."""

    name: str
    target: str
    text: str


@dataclass(frozen=True)
class Document:
    """A titled page; `footer` stands at the foot of every page of the PDF."""

    title: str
    subtitle: Text
    footer: str
    blocks: tuple[Block, ...] = field(default=())
    records: tuple[Record, ...] = field(default=())


Page = TypeVar("Page", Document, Abstract, Heading, Paragraph, Note, Quote, Bullets, Listing, Table, Figure, Animation)

VERBATIM = (Listing, Record)
"""What has lines of its own; everywhere else a line break could begin something that is no text."""


def shown(page: Page) -> Page:
    """A page, or a block, as every writer takes it: signs that would act instead of being shown are written out, and
    no link leads to another scheme than files.

    Words of a page are anybody's: a received folder's titles, names and reasons.
    """
    made: Page = _shown(page)
    return made


def _shown(part: Any) -> Any:
    match part:
        case str():
            return visible(part)
        case tuple():
            return tuple(_shown(each) for each in part)
    if not is_dataclass(part) or isinstance(part, type):
        return part
    changed = {each.name: _shown(getattr(part, each.name)) for each in fields(part)}
    if isinstance(part, VERBATIM):
        changed["text"] = "\n".join(visible(line) for line in part.text.split("\n"))
    if isinstance(part, Link | Record):
        changed["target"] = target(part.target)
    if isinstance(part, Anchor):
        changed["name"] = _IN_ANCHORS.sub("-", part.name)
    return replace(part, **changed)


_IN_ANCHORS = re.compile(r"[^A-Za-z0-9_-]")


def target(text: str) -> str:
    """Where a link leads: an anchor of the page, or a path in which nothing ends the link or begins a scheme."""
    if text.startswith("#"):
        return f"#{_IN_ANCHORS.sub('-', text[1:])}"
    path, mark, place = text.partition("#")
    # What is quoted already stays: the sign of quoting is left alone.
    quoted = quote(re.sub("^/+", "/", path), safe="/%._-~+,@=&", errors="surrogatepass")
    return quoted + mark + _IN_ANCHORS.sub("-", place)
