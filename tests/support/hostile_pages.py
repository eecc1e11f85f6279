"""Pages made of hostile words, and what a page must not have whatever its words are."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from reports.html import _SCRIPT
from reports.page import (
    Abstract,
    Anchor,
    Block,
    Bullets,
    Code,
    Column,
    Document,
    Grey,
    Heading,
    Link,
    Listing,
    Note,
    Paragraph,
    Quote,
    Record,
    Strong,
    Table,
    Text,
)
from reports.tables import anchor
from tests.support.hostile_words import words


def texts() -> SearchStrategy[Text]:
    """Text in every kind of piece; links and anchors as variants of hostile names get them."""
    word = words()
    piece = st.one_of(
        word,
        st.builds(Code, word),
        st.builds(Strong, word),
        st.builds(Grey, word),
        st.builds(Link, word, word.map(lambda name: f"#{anchor(name)}"), st.booleans()),
        st.builds(Link, word, word, st.booleans()),
        st.builds(Anchor, word.map(anchor)),
    )
    return st.lists(piece, min_size=1, max_size=3).map(tuple)


def blocks() -> SearchStrategy[Block]:
    """Every kind of block but pictures."""
    word, text = words(), texts()
    return st.one_of(
        st.builds(Abstract, st.lists(text, max_size=2).map(tuple)),
        st.builds(Heading, word, st.sampled_from((1, 2))),
        st.builds(Paragraph, text),
        st.builds(Note, text),
        st.builds(Quote, word, word),
        st.builds(Bullets, st.lists(text, max_size=2).map(tuple)),
        st.builds(Listing, word),
        tables(),
    )


@composite
def tables(draw: DrawFn) -> Table:
    """A table of two columns."""
    row = st.tuples(texts(), texts())
    rows = tuple(draw(st.lists(row, max_size=2)))
    columns = (Column(draw(words())), Column(draw(words()), "right"))
    return Table(columns, rows, caption=draw(texts()), note=draw(texts()), name="hostile")


def documents() -> SearchStrategy[Document]:
    """A page of some of them."""
    word = words()
    records = st.lists(st.builds(Record, word, word, word), max_size=2).map(tuple)
    return st.builds(Document, word, texts(), word, st.lists(blocks(), max_size=3).map(tuple), records)


class Elements(HTMLParser):
    """Every element of a page, as a browser would read it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)


ALLOWED = re.compile(
    "html|head|meta|title|style|body|h[1-4]|p|a|nav|div|span|ul|li|strong|em|code|pre|blockquote|footer|figure|figcaption"
    "|table|thead|tbody|tr|th|td|img|details|summary|br|sub|small|section"
)
"""Elements: none of them runs or frames anything."""
ATTRIBUTES = re.compile("lang|charset|name|content|http-equiv|class|id|href|alt|src|style|colspan|rowspan|open")


OWN_SCRIPT = f"<script>{_SCRIPT}</script>"


def assert_harmless(page: str) -> None:
    """Nothing in the HTML runs but the page's own script, and nothing is asked from anywhere."""
    found = Elements(page).found
    assert page.count(OWN_SCRIPT) == [tag for tag, _ in found].count("script") <= 1
    for tag, attributes in found:
        if (tag, attributes) == ("script", {}):
            continue
        assert ALLOWED.fullmatch(tag), tag
        assert all(ATTRIBUTES.fullmatch(name) for name in attributes), attributes
        if "src" in attributes:
            assert str(attributes["src"]).startswith("data:image/"), attributes
        if "href" in attributes:
            assert_leads_nowhere_else(str(attributes["href"]))
    assert_shown(page)


def assert_leads_nowhere_else(target: str) -> None:
    """A link leads to a place of the page, or to a file below its folder or near it: it has no scheme."""
    assert not re.match(r"\s*[a-z][a-z0-9+.-]*:", target, re.IGNORECASE) and not target.startswith("//"), target


def assert_shown(text: str) -> None:
    """No sign of it acts on a terminal or a reader."""
    acting = [sign for sign in text if sign != "\n" and unicodedata.category(sign) in ("Cc", "Cs")]
    acting += [sign for sign in text if sign in "\u202a\u202b\u202d\u202e"]
    assert not acting, acting
