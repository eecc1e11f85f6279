"""The page as GitHub-flavoured Markdown."""

from __future__ import annotations

import html
import re
from typing import assert_never

from core.words import code_span
from reports import page
from reports.page import Block, Document, Piece, Text, pieces, shown, target

_SPECIAL = re.compile(r"([\\`*_<>$|~]|&(?=#?\w+;)|(?<=\w):(?=//)|(?<=www)\.)")
"""Of the longer ones: an entity, and what becomes a link by itself."""

_OPENING = re.compile(r"^(\d{1,9}(?=[.)](\s|$))|(?=#{1,6}(\s|$)|[+-](\s|$)|[=-]+\s*$|\[.*\]:))")
"""The beginnings of other blocks than a paragraph: an item, a heading, the definition of a link."""
_RULES = {"left": ":--", "right": "--:", "center": ":-:"}


def render(document: Document) -> str:
    """The whole page."""
    document = shown(document)
    parts = [f"# {headed(document.title)}", opened(document.subtitle)]
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
        case page.Code(text):
            return code_span(text)
        case page.Strong(text):
            return f"**{escaped(text)}**"
        case page.Grey(text):
            return f"<sub>{escaped(text)}</sub>"
        case page.Link(text, target, code, strong):
            words = code_span(text) if code else f"**{bracketed(text)}**" if strong else bracketed(text)
            return f"[{words}]({target})"
        case page.Anchor(name):
            return f'<a id="{html.escape(name)}"></a>'
        case _:
            assert_never(part)


def cell(text: Text) -> str:
    """A text within a table, where a bar would end the cell even in code."""
    coded = (isinstance(p, page.Code) or (isinstance(p, page.Link) and p.code) for p in pieces(text))
    written = (piece(p) for p in pieces(text))
    return "".join(p.replace("|", r"\|") if is_code else p for p, is_code in zip(written, coded, strict=True))


def bracketed(text: str) -> str:
    """Text within brackets, where one that has no partner would end it."""
    depth = 0
    for sign in text:
        depth += {"[": 1, "]": -1}.get(sign, 0)
        if depth < 0:
            break
    return escaped(text) if depth == 0 else label(text)


def opened(text: Text) -> str:
    """A text on a line of its own, which stays text whatever it begins with."""
    return _OPENING.sub(r"\1\\", inline(text).lstrip(" "), count=1)


def headed(text: str) -> str:
    """A heading's text, whose last number signs would be taken for its end."""
    return re.sub(r"(#+\s*)$", r"\\\1", escaped(text))


def label(alt: str) -> str:
    """The words in a picture's place."""
    return escaped(alt).replace("[", r"\[").replace("]", r"\]")


def block(part: Block, numbers: dict[str, int]) -> str:
    """One block, without the empty lines around it. Counts tables and figures in `numbers`, as the PDF does."""
    match part:
        case page.Abstract(items):
            return "**In short**\n\n" + "\n".join(f"- {opened(item)}" for item in items)
        case page.Heading(text, level):
            return f"{'#' * (level + 1)} {headed(text)}"
        case page.Paragraph(text):
            return opened(text)
        case page.Note(text):
            return f"> [!NOTE]\n> {opened(text)}"
        case page.Quote(text, source):
            return f"> “{escaped(text)}”\n>\n> — {escaped(source)}"
        case page.Bullets(items):
            return "\n".join(f"- {opened(item)}" for item in items)
        case page.Listing(text):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"{fence}sh\n{text}\n{fence}"
        case page.Figure(path, caption, alt):
            numbers["Figure"] += 1
            return f"![{label(alt)}]({target(path)})\n\n*Figure {numbers['Figure']}.* {inline(caption)}"
        case page.Animation(path, caption, alt):
            return f"![{label(alt)}]({target(path)})\n\n*Animation.* {inline(caption)}"
        case page.Table():
            numbers["Table"] += 1
            head = "| " + " | ".join(escaped(column.title) for column in part.columns) + " |"
            rule = "|" + "|".join(_RULES[column.align] for column in part.columns) + "|"
            rows = ["| " + " | ".join(cell(text) for text in row) + " |" for row in part.rows]
            note = [f"\n{opened(part.note)}"] if part.note else []
            return "\n".join([f"*Table {numbers['Table']}.* {inline(part.caption)}\n", head, rule, *rows, *note])
        case _:
            assert_never(part)
