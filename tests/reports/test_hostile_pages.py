"""Whatever the words of a page are, every format shows them as words."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from markdown_it import MarkdownIt

from reports import html, latex, markdown, pdf
from reports.page import Document, Table
from tests.support.hostile_pages import assert_harmless, assert_leads_nowhere_else, assert_shown, documents

STRUCTURE = re.compile(r'<a id="[\w%.-]*">|</a>|<sub>|</sub>')
"""The HTML that our Markdown is allowed."""


@settings(max_examples=150, deadline=None, derandomize=True)
@given(documents())
def test_every_format_shows_words_as_words(document: Document) -> None:
    assert_harmless(html.render(document, Path()))
    assert_markdown(markdown.render(document))
    assert_shown(pdf.source(document))
    for block in document.blocks:
        if isinstance(block, Table):
            assert_shown(latex.table(block, "tab:hostile"))


def assert_markdown(text: str) -> None:
    """Of what a reader of Markdown takes for mark-up there is none but ours."""
    assert_shown(text)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for token in (inner for outer in tokens for inner in (outer, *(outer.children or ()))):
        assert token.type != "html_block" or not STRUCTURE.sub("", token.content).strip(), token.content
        assert token.type != "html_inline" or STRUCTURE.fullmatch(token.content), token.content
        if token.type in ("link_open", "image"):
            assert_leads_nowhere_else(str(token.attrGet("href") or token.attrGet("src")))
