"""MLflow's pages in a browser, as a user walks through them. The pages never come to rest: every step waits for what
it needs to see."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 1400, 900
PATIENCE = 120_000
"""Milliseconds; a busy machine takes seconds for what a free one shows at once."""


def chromium() -> str | None:
    """The browser to drive: what CHROMIUM names, or Debian's."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@contextmanager
def served(folder: Path, runs: Path, study: str) -> Iterator[str]:
    """`python -m studies.ui` in `folder`; the link that it prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "studies.ui", study, "--runs", str(runs), "--port", str(port)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield next(line.strip() for line in process.stdout if "#/experiments/" in line)
    finally:
        process.terminate()
        process.wait()
        process.stdout and process.stdout.close()


@contextmanager
def browsing() -> Iterator[tuple[Page, list[str]]]:
    """A page of a browser that was never used before, and the addresses outside of this machine that it asks."""
    from playwright.sync_api import sync_playwright

    outside: list[str] = []

    def note(url: str) -> None:
        if not re.match(r"(https?://127\.0\.0\.1[:/]|data:|blob:|about:)", url):
            outside.append(url)

    with sync_playwright() as playwright:
        # Root, in a container, has no sandbox.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: note(request.url))
        # MLflow opens its assistant over the page on the first visit.
        page.add_init_script("localStorage.setItem('mlflow.assistant.panelOpen_v1', 'false')")
        page.add_init_script("localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')")
        try:
            yield page, outside
        finally:
            browser.close()


def opened(page: Page, link: str) -> None:
    """Opens an address anew: one that differs behind its # alone would not load the page."""
    page.goto("about:blank")
    page.goto(link, wait_until="commit")


def view(link: str, key: str) -> str:
    """The link to another view of the same experiment."""
    return re.sub(r"viewStateShareKey=\w+", f"viewStateShareKey={key}", link)


def plain(link: str) -> str:
    """The experiment as it opens without a view."""
    return re.sub(r"viewStateShareKey=\w+&", "", link)


def group_by_title(page: Page) -> None:
    """Groups runs by the tag `title`, through the menu."""
    page.get_by_test_id("column-selection-dropdown").filter(has_text="Group by").click()
    page.get_by_role("menuitemcheckbox", name="title", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_text("Group: none of the ten changes", exact=False).first.wait_for()


def tick(page: Page, name: str) -> None:
    """Selects the run of this name: its box is in another part of the table than its name."""
    page.get_by_text(name).first.wait_for()
    row = page.get_by_role("row").filter(has_text=name).first.get_attribute("row-id")
    page.locator(f"[role=row][row-id='{row}'] input[type=checkbox]").first.click()


def unfold_description(page: Page) -> None:
    """Shows more of the description than its first line."""
    page.get_by_test_id("experiment-metadata-editor-edit-button").locator("xpath=following::button[1]").click()
    page.get_by_role("link", name="report.pdf").wait_for()


def open_report(page: Page, link: str) -> None:
    """Opens the report by the link in the description, and waits for its first page."""
    target = page.get_by_role("link", name="report.pdf").get_attribute("href")
    opened(page, f"{link.partition('/#')[0]}/{target}")
    page.locator("canvas").first.wait_for()


def wait_for_images(page: Page, key: str, count: int) -> None:
    """Scrolls to the chart of these images, and waits until so many are loaded and have pixels."""
    page.get_by_text(key, exact=True).first.scroll_into_view_if_needed()
    page.wait_for_function(
        "([key, count]) => [...document.images].filter(image => image.complete && image.naturalWidth > 16"
        " && decodeURIComponent(image.src).includes(`images/${key}`)).length >= count",
        arg=[key, count],
    )


def wait_for_bars(page: Page) -> None:
    """Until the charts of all variants are drawn: bars, and lines."""
    page.locator(".barlayer .bars path").first.wait_for(state="attached")
    page.locator(".scatterlayer .js-line").first.wait_for(state="attached")
