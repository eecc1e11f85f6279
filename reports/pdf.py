"""The page as PDF, by way of typst source; its bundled fonts, so that every machine sets the same pages, and others for
letters that they lack alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, assert_never

import typst

from core.files import write_whole
from reports import fonts, page
from reports.page import Block, Document, Piece, Table, Text, pieces, shown

UNBROKEN_ROWS = 12
"""Tables of no more rows than this stay on one page."""

_PREAMBLE = """\
#set page(
  paper: "a4",
  margin: (x: 18mm, top: 18mm, bottom: 20mm),
  footer: context [
    #set text(size: 8pt, fill: luma(40%))
    #footer-text #h(1fr) #counter(page).display("1 / 1", both: true)
  ],
)
#set text(font: "Libertinus Serif", size: 10pt, lang: "en", region: "gb")
#set par(justify: true, leading: 0.62em, spacing: 0.95em)
#show raw: set text(font: "DejaVu Sans Mono", size: 1em)
#let ink = rgb("#12324f")
#show link: set text(fill: rgb("#00518c"))
#set heading(numbering: "1.1")
#show heading: set block(above: 1.7em, below: 0.8em, sticky: true)
#show heading.where(level: 1): set text(size: 13pt)
#show heading.where(level: 2): set text(size: 11pt)
#show figure: set block(above: 1.5em, below: 1.5em)
#show figure.where(kind: table): set block(breakable: true)
#show figure.where(kind: table): set figure.caption(position: top)
#show figure.caption: it => block(width: 100%, sticky: it.position == top)[
  #set text(size: 8.8pt)
  #set par(justify: false, leading: 0.55em)
  #set align(left)
  #strong[#it.supplement #context it.counter.display(it.numbering).] #it.body
]
#set table(stroke: none, inset: (x: 2.6pt, y: 2.5pt))
#show table: set par(justify: false, leading: 0.5em)
#show table.cell.where(y: 0): strong
#show table: set text(hyphenate: false)
"""


def write(document: Document, file: Path) -> None:
    """Sets the page as `file`. Paths in it are relative to the file's folder."""
    files, text = fonts.for_page(source(document))
    content: Any = text.encode(errors="backslashreplace")
    with TemporaryDirectory() as folder:
        for number, font in enumerate(files):
            (Path(folder) / f"{number}{Path(font).suffix}").symlink_to(Path(font).absolute())
        made = typst.compile(
            content,
            root=str(file.parent.resolve()),
            font_paths=[folder] if files else [],
            ignore_system_fonts=True,
        )
    assert made is not None
    write_whole(file, made)


def source(document: Document) -> str:
    """The whole page as typst source."""
    document = shown(document)
    head = [
        f"#set document(title: {quoted(document.title)}, date: none)",
        f"#let footer-text = {quoted(document.footer)}",
        _PREAMBLE,
        f"#align(center)[#text(size: 19pt, weight: 700)[{plain(document.title)}]",
        f"#v(-0.3em)\n#text(size: 9.2pt, fill: luma(30%))[{inline(document.subtitle)}]]",
    ]
    return "\n\n".join([*head, *(block(part) for part in document.blocks)]) + "\n"


def quoted(text: str) -> str:
    """A typst string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def plain(text: str) -> str:
    """Text in which nothing is markup, its straight quotes made round."""
    return f"#{quoted(typographic(text))};"


def typographic(text: str) -> str:
    """'word' and its apostrophes with the signs a printer uses."""
    text = re.sub(r"(?<!\w)'([^']*?)'(?!\w)", r"‘\1’", text)
    return text.replace("'", "’")


def inline(text: Text, breaks: bool = False) -> str:
    """A text; `breaks` allows line breaks within names, as narrow table cells need."""
    return "".join(piece(part, breaks) for part in pieces(text))


def code(text: str, breaks: bool) -> str:
    """Typewriter text. A zero-width space after a dot or an underscore is where a long name may break."""
    shown = text.replace(".", ".\u200b").replace("_", "_\u200b") if breaks else text
    # The strut gives a line of small type the height of its neighbours in the other cells of the row.
    strut = "#box(width: 0pt, height: 0.66em);" if breaks else ""
    return f"{strut}#text(size: 0.84em, raw({quoted(shown)}));"


def piece(part: Piece, breaks: bool) -> str:
    """One piece of a text."""
    match part:
        case str():
            return plain(part)
        case page.Code(text):
            return code(text, breaks)
        case page.Strong(text):
            return f"#strong[{plain(text)}];"
        case page.Grey(text):
            return f"#text(fill: luma(58%))[{plain(text)}];"
        case page.Link(text, target, is_code, strong):
            words = code(text, breaks) if is_code else f"#strong[{plain(text)}];" if strong else plain(text)
            if target.startswith("#"):
                # Numbers that lead to their runs would turn whole tables blue.
                return f"#link(label({quoted(target[1:])}))[#text(fill: ink)[{words}]];"
            return f"#link({quoted(target)})[{words}];"
        case page.Anchor(name):
            return f"#metadata(none)#label({quoted(name)});"
        case _:
            assert_never(part)


def block(part: Block) -> str:
    """One block."""
    match part:
        case page.Abstract(items):
            return (
                "#block(width: 100%, inset: (x: 14pt, y: 8pt), stroke: (y: 0.5pt + luma(60%)))"
                f"[#text(size: 9.2pt)[#strong[In short] #list(spacing: 0.7em, {listed(items)})]]"
            )
        case page.Heading(text, level, numbered):
            return f"#heading(level: {level}{'' if numbered else ', numbering: none'})[{plain(text)}]"
        case page.Paragraph(text):
            return inline(text)
        case page.Note(text):
            return (
                '#block(width: 100%, inset: (left: 8pt, y: 5pt, right: 5pt), fill: rgb("#f4f1e8"), '
                f'stroke: (left: 2pt + rgb("#c08a00")))[{inline(text)}]'
            )
        case page.Quote(text, said_by):
            return (
                "#block(width: 100%, inset: (left: 10pt, y: 2pt), stroke: (left: 1.5pt + luma(75%)))"
                f"[{plain(f'“{text}”')}\\ #text(size: 8.8pt, fill: luma(35%))[{plain(f'— {said_by}')}]]"
            )
        case page.Bullets(items):
            return f"#list(spacing: 0.75em, {listed(items)})"
        case page.Listing(text):
            return (
                "#block(width: 100%, inset: 6pt, fill: luma(95%), radius: 2pt)"
                f'[#text(size: 7.8pt, raw({quoted(text)}, lang: "sh"))]'
            )
        case page.Figure(path, caption, alt, width, floats):
            where = "placement: auto, " if floats else ""
            return (
                f"#figure(image({quoted(path)}, width: {width:g}%, alt: {quoted(alt)}), kind: image, {where}"
                f"caption: [{inline(caption)}])"
            )
        case page.Animation(path, caption, _):
            return f"{inline(caption)} #link({quoted(path)})[{code(path, False)}]"
        case Table():
            made = table(part)
            return f"#page(flipped: true)[{made}]" if part.landscape else made
        case _:
            assert_never(part)


def listed(items: Iterable[Text]) -> str:
    """Arguments of a list."""
    return ", ".join(f"[{inline(item)}]" for item in items)


def table(part: Table) -> str:
    """A table with rules above and below its head and at its foot; the head is repeated on every page."""
    widths = ", ".join("auto" if column.share is None else f"{column.share:g}fr" for column in part.columns)
    aligns = ", ".join(f"{column.align} + top" for column in part.columns)
    head = ", ".join(f"[{plain(column.title)}]" for column in part.columns)
    rows = [", ".join(f"[{inline(text, breaks=True)}]" for text in row) + "," for row in part.rows]
    lines = [
        f"#figure(kind: table, caption: [{inline(part.caption)}])[",
        f"#set text(size: {part.size:g}pt)",
        f"#table(columns: ({widths},), align: ({aligns},),",
        f"table.hline(stroke: 0.7pt), table.header({head}, table.hline(stroke: 0.4pt)),",
        *rows,
        "table.hline(stroke: 0.7pt))",
        # Within the figure, so that no page break parts a table from what its grey numbers mean.
        f"#block(above: 5pt, width: 100%, align(left)[{inline(part.note)}])]" if part.note else "]",
    ]
    made = "\n".join(lines)
    return f"#block(breakable: false)[{made}]" if len(part.rows) <= UNBROKEN_ROWS else made
