"""Reports whose words are scripts, opened in a real browser as a reader would: nothing runs, nobody is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from reports import html
from reports.page import Document
from tests.support import browser as pages
from tests.support.hostile_pages import documents

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: it is in the group dev")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(pages.chromium() is None, reason="no chromium here, and CHROMIUM names none"),
]
PAGES = 50


def test_no_word_of_a_report_is_a_script(tmp_path: Path) -> None:
    opened = 0
    with pages.browsing() as (page, outside):
        file = tmp_path / "report.html"
        asked: list[str] = []
        page.on("dialog", lambda dialog: asked.append(dialog.message))

        @settings(max_examples=PAGES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(documents())
        def shown(document: Document) -> None:
            nonlocal opened
            file.write_text(html.render(document, tmp_path))
            page.goto(file.as_uri())
            for link in page.locator("a, summary, span").all()[:20]:
                link.hover(timeout=1000, force=True, no_wait_after=True) if link.is_visible() else None
            assert page.evaluate("window.pwned") is None
            assert page.evaluate("document.scripts.length") <= 1
            opened += 1

        shown()
    assert opened >= PAGES and not asked
    assert [address for address in outside if not address.startswith("file:")] == []
