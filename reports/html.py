"""The page as HTML: one file with its style, pictures and runs inside, that fetches nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_never

from core.reading import bytes_of
from reports import page
from reports.page import Block, Document, Piece, Record, Table, Text, pieces, shown
from reports.pdf import typographic

RECORDS = "Records of the runs"
MEDIA = {".svg": "image/svg+xml", ".png": "image/png", ".gif": "image/gif"}

_STYLE = """\
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 60rem; padding: 2rem 1.5rem 4rem; background: #fff; color: #1a1a1a;
  font: 1.02rem/1.55 Charter, "Bitstream Charter", "Iowan Old Style", Georgia, serif; }
h1 { margin: 1rem 0 .2rem; font-size: 2rem; line-height: 1.2; }
h2 { margin: 2.6rem 0 .6rem; font-size: 1.35rem; }
h3 { margin: 1.8rem 0 .4rem; font-size: 1.1rem; }
.subtitle { color: #555; }
.abstract { margin: 1.6rem 0; padding: .2rem 1.2rem; border: solid #999; border-width: 1px 0; }
.note { margin: 1.2rem 0; padding: .7rem 1rem; background: #f4f1e8; border-left: 3px solid #c08a00; }
blockquote { margin: 1.2rem 0; padding: .1rem 1rem; border-left: 3px solid #ccc; }
blockquote footer { color: #666; font-size: .9em; }
nav { font-size: .92rem; color: #555; columns: 2; }
nav a { display: block; }
figure { margin: 1.8rem 0; }
figure img { max-width: 100%; height: auto; display: block; }
figcaption { margin: .5rem 0; font-size: .9rem; line-height: 1.4; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; border: solid #222; border-width: 1.5px 0; font-size: .84rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
th { border-bottom: 1px solid #222; vertical-align: bottom; }
th, td { padding: .2rem .55rem; text-align: left; }
td { vertical-align: top; }
th.right, td.right { text-align: right; }
th.center, td.center { text-align: center; }
tbody tr:hover, tr:target, tr:has(:target) { background: #eef4fa; }
.grey { color: #8a8a8a; }
a { color: #00518c; }
a.inner { color: inherit; text-decoration: underline dotted #9ab; text-underline-offset: 2px; }
code, pre { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .85em; }
pre { padding: .7rem .9rem; background: #f3f3f3; overflow-x: auto; }
details { font-size: .92rem; }
summary { cursor: pointer; }
.foot { margin-top: 3rem; color: #777; font-size: .85rem; }
@media print { body { max-width: none; padding: 0; } nav { display: none; } }
"""


def render(document: Document, folder: Path) -> str:
    """The whole page; pictures are read from `folder`, to which their paths are relative."""
    document = shown(document)
    known = {record.target: f"#run-{record.name}" for record in document.records}
    writer = _Writer(folder, known)
    # What stands up to the abstract comes before the contents.
    ends = (k + 1 for k, part in enumerate(document.blocks) if isinstance(part, page.Abstract))
    first = max(ends, default=0)
    headings = [part for part in document.blocks if isinstance(part, page.Heading) and part.level == 1]
    behaviour = [_SCRIPT] if document.records else []
    named = [*(part.text for part in headings), *([RECORDS] if document.records else [])]
    contents = "".join(f'<a href="#{slug(text)}">{plain(text)}</a>' for text in named)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy(behaviour)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(document.title)}</title>",
        f"<style>\n{_STYLE}</style></head><body>",
        f'<h1>{html.escape(document.title)}</h1>\n<p class="subtitle">{writer.inline(document.subtitle)}</p>',
        *map(writer.block, document.blocks[:first]),
        f"<nav>{contents}</nav>",
        *map(writer.block, document.blocks[first:]),
        *([records(document.records)] if document.records else []),
        f'<p class="foot">{html.escape(document.footer)}</p>\n</body></html>',
    ]
    return "\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text in which nothing is markup, its straight quotes made round."""
    return html.escape(typographic(text), quote=False)


def slug(text: str) -> str:
    """A heading's name in links."""
    return "section-" + re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def records(of_runs: tuple[Record, ...]) -> str:
    """The record of every run, each behind its name."""
    each = [
        f'<details id="run-{html.escape(record.name)}"><summary><code>{html.escape(record.name)}</code></summary>'
        f"<pre>{html.escape(record.text)}</pre></details>"
        for record in of_runs
    ]
    return "\n".join([f'<h2 id="{slug(RECORDS)}">{RECORDS}</h2>', *each, f"<script>{_SCRIPT}</script>"])


_SCRIPT = (
    # A link to a run that is folded up would show nothing of it.
    "function show() { const run = document.getElementById(location.hash.slice(1)); "
    "if (run && run.tagName === 'DETAILS') { run.open = true; run.scrollIntoView(); } } "
    "addEventListener('hashchange', show); show();"
)


def policy(scripts: Sequence[str]) -> str:
    """The rights of the page in a browser: show its own pictures and style, run these scripts, and reach nothing."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes) or "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; "
        "form-action 'none'"
    )


class _Writer:
    """`known` has the targets of links that are other ones here than on the other pages."""

    def __init__(self, folder: Path, known: Mapping[str, str]) -> None:
        self.folder, self.known = folder, known
        self.numbers = {"Figure": 0, "Table": 0}

    def inline(self, text: Text) -> str:
        """A text on one line."""
        return "".join(self.piece(part) for part in pieces(text))

    def piece(self, part: Piece) -> str:
        match part:
            case str():
                return plain(part)
            case page.Code(text):
                return f"<code>{html.escape(text, quote=False)}</code>"
            case page.Strong(text):
                return f"<strong>{plain(text)}</strong>"
            case page.Grey(text):
                return f'<span class="grey">{plain(text)}</span>'
            case page.Link(text, target, code, strong):
                words = self.piece(page.Code(text) if code else page.Strong(text) if strong else text)
                inner = ' class="inner"' if target.startswith("#") else ""
                return f'<a{inner} href="{html.escape(self.known.get(target, target))}">{words}</a>'
            case page.Anchor(name):
                return f'<span id="{html.escape(name)}"></span>'
            case _:
                assert_never(part)

    def picture(self, path: str, alt: str) -> str:
        """An image whose bytes are in the page."""
        file = self.folder / path
        data = base64.b64encode(bytes_of(file, "render the report again")).decode()
        return f'<img alt="{html.escape(alt)}" src="data:{MEDIA[file.suffix]};base64,{data}">'

    def numbered(self, what: str, caption: Text) -> str:
        self.numbers[what] += 1
        return f"<figcaption><strong>{what} {self.numbers[what]}.</strong> {self.inline(caption)}</figcaption>"

    def block(self, part: Block) -> str:
        """One block."""
        match part:
            case page.Abstract(items):
                return f'<div class="abstract"><p><strong>In short</strong></p>{self.listed(items)}</div>'
            case page.Heading(text, level):
                return f'<h{level + 1} id="{slug(text)}">{plain(text)}</h{level + 1}>'
            case page.Paragraph(text):
                return f"<p>{self.inline(text)}</p>"
            case page.Note(text):
                return f'<div class="note">{self.inline(text)}</div>'
            case page.Quote(text, source):
                return f"<blockquote><p>“{plain(text)}”</p><footer>— {plain(source)}</footer></blockquote>"
            case page.Bullets(items):
                return self.listed(items)
            case page.Listing(text):
                return f"<pre><code>{html.escape(text, quote=False)}</code></pre>"
            case page.Figure(path, caption, alt, width):
                picture = self.picture(path, alt)
                return f'<figure style="max-width: {width:g}%">{picture}{self.numbered("Figure", caption)}</figure>'
            case page.Animation(path, caption, alt):
                return f"<figure>{self.picture(path, alt)}<figcaption>{self.inline(caption)}</figcaption></figure>"
            case Table():
                return self.table(part)
            case _:
                assert_never(part)

    def listed(self, items: tuple[Text, ...]) -> str:
        return "<ul>" + "".join(f"<li>{self.inline(item)}</li>" for item in items) + "</ul>"

    def table(self, part: Table) -> str:
        """A table under its caption, in a box that scrolls where it is too wide."""
        kinds = [f' class="{column.align}"' if column.align != "left" else "" for column in part.columns]
        head = "".join(
            f"<th{kind}>{plain(column.title)}</th>" for kind, column in zip(kinds, part.columns, strict=True)
        )
        rows = [
            "<tr>" + "".join(f"<td{k}>{self.inline(text)}</td>" for k, text in zip(kinds, row, strict=True)) + "</tr>"
            for row in part.rows
        ]
        note = f"<figcaption>{self.inline(part.note)}</figcaption>" if part.note else ""
        body = "\n".join(rows)
        return (
            f'<figure>{self.numbered("Table", part.caption)}<div class="scroll"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>\n{body}\n</tbody></table></div>{note}</figure>"
        )
