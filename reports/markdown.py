"""The page as GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from typing import assert_never

from reports.page import (
    Abstract,
    Anchor,
    Animation,
    Block,
    Bullets,
    Code,
    Document,
    Figure,
    Grey,
    Heading,
    Link,
    Listing,
    Note,
    Paragraph,
    Piece,
    Quote,
    Strong,
    Table,
    Text,
    pieces,
)

_SPECIAL = re.compile(r"([\\`*_<>$|~])")
_RULES = {"left": ":--", "right": "--:", "center": ":-:"}


def render(document: Document) -> str:
    """The whole page."""
    parts = [f"# {escaped(document.title)}", inline(document.subtitle)]
    numbers = {"Figure": 0, "Table": 0}
    parts += [block(part, numbers) for part in document.blocks]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Plain text that Markdown leaves as it is."""
    return _SPECIAL.sub(r"\\\1", text).replace("](", r"]\(")


def inline(text: Text) -> str:
    """A text on one line."""
    return "".join(piece(part) for part in pieces(text))


def piece(part: Piece) -> str:
    """One piece of a text."""
    match part:
        case str():
            return escaped(part)
        case Code(text):
            return f"`{text}`"
        case Strong(text):
            return f"**{escaped(text)}**"
        case Grey(text):
            return f"<sub>{escaped(text)}</sub>"
        case Link(text, target, code, strong):
            shown = f"`{text}`" if code else f"**{escaped(text)}**" if strong else escaped(text)
            return f"[{shown}]({target})"
        case Anchor(name):
            return f'<a id="{name}"></a>'
        case _:
            assert_never(part)


def cell(text: Text) -> str:
    """A text within a table, where a bar would end the cell even in code."""
    return "".join(f"`{p.text}`".replace("|", r"\|") if isinstance(p, Code) else piece(p) for p in pieces(text))


def label(alt: str) -> str:
    """What stands for a picture."""
    return escaped(alt).replace("[", r"\[").replace("]", r"\]")


def block(part: Block, numbers: dict[str, int]) -> str:
    """One block, without the empty lines around it. Counts tables and figures in `numbers`, as the PDF does."""
    match part:
        case Abstract(items):
            return "**In short**\n\n" + "\n".join(f"- {inline(item)}" for item in items)
        case Heading(text, level):
            return f"{'#' * (level + 1)} {escaped(text)}"
        case Paragraph(text):
            return inline(text)
        case Note(text):
            return f"> [!NOTE]\n> {inline(text)}"
        case Quote(text, source):
            return f"> “{escaped(text)}”\n>\n> — {escaped(source)}"
        case Bullets(items):
            return "\n".join(f"- {inline(item)}" for item in items)
        case Listing(text):
            return f"```sh\n{text}\n```"
        case Figure(path, caption, alt):
            numbers["Figure"] += 1
            return f"![{label(alt)}]({path})\n\n*Figure {numbers['Figure']}.* {inline(caption)}"
        case Animation(path, caption, alt):
            return f"![{label(alt)}]({path})\n\n*Animation.* {inline(caption)}"
        case Table():
            numbers["Table"] += 1
            head = "| " + " | ".join(escaped(column.title) for column in part.columns) + " |"
            rule = "|" + "|".join(_RULES[column.align] for column in part.columns) + "|"
            rows = ["| " + " | ".join(cell(text) for text in row) + " |" for row in part.rows]
            note = [f"\n{inline(part.note)}"] if part.note else []
            return "\n".join([f"*Table {numbers['Table']}.* {inline(part.caption)}\n", head, rule, *rows, *note])
        case _:
            assert_never(part)
