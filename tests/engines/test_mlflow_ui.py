"""What somebody sees who opens MLflow after a study: its pages in a real browser, on runs of the real command."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import browser as pages
from tests.support.commands import ROOT, begun

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: it is in the group dev")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(pages.chromium() is None, reason="no chromium here, and CHROMIUM names none"),
]
SMALL = ("iterations=40", "evaluation.every=20", "data.train=128", "data.held_out=128", "evaluation.quality=null")
SMALL += ("--only", "baseline,all", "--seeds", "2")


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the command has trained two variants with two seeds each, and has written its report."""
    folder = tmp_path_factory.mktemp("studied")
    assert begun(folder, "changes_overview", *SMALL).wait(900) == 0, (folder / "said.txt").read_text()
    return folder


@pytest.fixture(scope="module")
def link(studied: Path) -> Iterator[str]:
    with pages.served(studied, studied / "runs", "changes_overview") as link:
        said = (studied / "said.txt").read_text()
        # The same page, on the port where `mlflow ui` answers.
        assert f"`mlflow ui`, then {re.sub(r':[0-9]+/', ':5000/', link)}\n" in said
        yield link


@pytest.fixture(scope="module")
def browser(link: str) -> Iterator[tuple[object, list[str]]]:
    with pages.browsing() as browsing:
        yield browsing


@pytest.fixture
def page(browser):  # type: ignore[no-untyped-def]
    return browser[0]


def rows(page) -> str:  # type: ignore[no-untyped-def]
    return page.locator("[role=treegrid], [role=grid]").first.inner_text()


def test_the_printed_link_opens_variants_with_their_seeds_averaged(page, link: str) -> None:  # type: ignore[no-untyped-def]
    pages.opened(page, link)
    pages.wait_for_bars(page)
    assert page.get_by_test_id("saved-views-trigger").inner_text() == "Variants, seeds averaged"
    assert page.get_by_test_id("column-selection-dropdown").filter(has_text="Group by").inner_text() == (
        "Group by: title"
    )
    shown = rows(page)
    assert "Group: none of the ten changes" in shown and "Group: all ten changes" in shown and "Group: report" in shown
    # One bar for each variant, none for the report.
    assert page.locator(".barlayer .bars path").count() == 2


def test_grouping_by_hand_averages_the_seeds(page, link: str) -> None:  # type: ignore[no-untyped-def]
    pages.opened(page, pages.plain(link))
    page.get_by_text("none of the ten changes · seed 1").first.wait_for()
    assert "all ten changes · seed 0" in rows(page)
    pages.group_by_title(page)
    assert "Group: all" in rows(page)


def test_parallel_coordinates_show_the_changes(page, link: str) -> None:  # type: ignore[no-untyped-def]
    pages.opened(page, pages.view(link, "changes"))
    page.locator(".parcoords svg text").first.wait_for(state="attached")
    chart = page.locator(".parcoords svg text").all_text_contents()
    assert "change.r1" in chart and "fd_rooms" in chart and "on" in chart and "off" in chart


def test_samples_are_shown_with_a_slider_of_steps(page, link: str) -> None:  # type: ignore[no-untyped-def]
    # Cards that nobody sees are not drawn.
    page.set_viewport_size({"width": pages.WIDTH, "height": 2000})
    pages.opened(page, pages.view(link, "samples"))
    for key in ("samples", "interpolations", "real"):
        pages.wait_for_images(page, key, 2)
    page.set_viewport_size({"width": pages.WIDTH, "height": pages.HEIGHT})
    assert page.get_by_role("slider").count() >= 1


def test_two_runs_compare(page, link: str) -> None:  # type: ignore[no-untyped-def]
    pages.opened(page, pages.plain(link))
    for name in ("none of the ten changes · seed 0", "all ten changes · seed 0"):
        pages.tick(page, name)
    page.get_by_role("button", name="Compare").first.click()
    page.get_by_text("Comparing 2 Runs", exact=False).first.wait_for()
    text = page.inner_text("body")
    assert "none of the ten changes · seed 0" in text and "all ten changes · seed 0" in text and "change.r1" in text


def test_the_description_leads_to_the_report(page, link: str) -> None:  # type: ignore[no-untyped-def]
    pages.opened(page, link)
    pages.wait_for_bars(page)
    pages.unfold_description(page)
    text = page.inner_text("body")
    assert "Which of the ten documented changes carry the gain" in text
    assert "“Implementing some tricks increased FID from ≈ 150 to 58" in text and "Changes overview" in text
    pages.open_report(page, link)
    text = page.inner_text("body")
    assert "Report: Changes overview" in text and "report.md" in text and "results.csv" in text


def test_no_page_asks_anything_outside_of_this_machine(browser, link: str) -> None:  # type: ignore[no-untyped-def]
    page, outside = browser
    pages.opened(page, link)
    pages.wait_for_bars(page)
    assert outside == []


def test_a_second_run_leaves_one_report(studied: Path) -> None:
    again = subprocess.run(
        [sys.executable, "-m", "studies.sync", "changes_overview"],
        cwd=studied,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "was in sync" in again.stdout
