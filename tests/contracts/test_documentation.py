"""What the pages say can be followed: links lead somewhere, commands are there, numbers are those of the runs."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports import publish, stats
from reports.numbers import interval
from tests.contracts.test_examples import FILES
from tests.support.pages import assert_links_resolve

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PUBLISHED = ROOT / "reports" / "published"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(PUBLISHED.rglob("*.md"))]
WRITTEN = [page for page in PAGES if PUBLISHED not in page.parents]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"\]\(https?://[^)]+\)", "]", page.read_text())
    assert_links_resolve(page.parent, re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_commands_name_modules_and_targets_that_there_are(page: Path) -> None:
    text = page.read_text()
    for module in set(re.findall(r"python -m ((?:core|studies|reports|tests)[\w.]*\w)", text)):
        assert importlib.util.find_spec(module) is not None, module
    targets = re.findall(r"^([a-z_-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for target in set(re.findall(r"(?:`|^)make ([a-z_-]+)", text, flags=re.MULTILINE)):
        assert target in targets, target


@pytest.mark.parametrize("page", WRITTEN, ids=named)
def test_tests_that_hold_a_promise_are_there(page: Path) -> None:
    for test in set(re.findall(r"`(tests/[\w./]+)`", page.read_text())):
        assert (ROOT / test).exists(), test


def test_the_readmes_table_is_that_of_the_published_reports() -> None:
    begins, ends = "<!-- python -m reports.publish --table -->\n", "<!-- end of the table -->"
    assert README.partition(begins)[2].partition(ends)[0] == publish.table(PUBLISHED, "reports/published/", short=True)
    assert (PUBLISHED / "README.md").read_text() == publish.page(PUBLISHED)


def test_the_readmes_findings_are_those_of_the_published_report() -> None:
    begins, ends = "<!-- python -m reports.publish --findings changes_overview -->\n", "<!-- end of the findings -->"
    told = README.partition(begins)[2].partition(ends)[0]
    assert told == publish.findings(PUBLISHED, "changes_overview") and told.count("\n- ") >= 2
    figure = "reports/published/changes_overview/figures/answer.svg"
    assert README.index(figure) < README.index(begins) < README.index("make changes_overview")


def test_the_readmes_table_tells_findings_in_a_few_words() -> None:
    for record in publish.records(PUBLISHED):
        assert len(str(publish.found(record)).split()) <= publish.MOST_WORDS


def test_the_readmes_example_is_one_that_is_run() -> None:
    shown = dict(re.findall(r"```python\n# (\S+)\n(.*?)```", README, flags=re.DOTALL))
    assert shown and all(FILES[path] == text for path, text in shown.items())


@pytest.mark.parametrize("folder", sorted(PUBLISHED.glob("*/")), ids=lambda folder: folder.name)
def test_published_numbers_are_those_on_record_of_the_runs(folder: Path) -> None:
    tidy = pd.read_csv(folder / "results.csv", keep_default_na=False, na_values=[""])
    runs = [json.loads(line) for line in (folder / "runs.jsonl").read_text().splitlines()]
    told = json.loads((folder / "verdicts.json").read_text())
    # A design that draws variants by seed has more runs, each of them on record as well.
    assert len(runs) == sum(told["runs"].values()) >= told["variants"] * told["seeds"]
    assert set(tidy["run"]) == {run["run"] for run in runs}
    for run in runs:
        metric, iteration, _, _, value, *_ = run["measured"]["rows"][-1]
        assert run["outcome"]["status"] in ("finished", "diverged")
        mine = tidy[(tidy["run"] == run["run"]) & (tidy["metric"] == metric) & (tidy["iteration"] == iteration)]
        assert mine["value"].iloc[0] == float(value)


def test_the_readmes_headline_follows_from_what_is_published() -> None:
    tidy = pd.read_csv(PUBLISHED / "changes_overview" / "results.csv")
    ours = tidy[(tidy["metric"] == "fd_rooms") & tidy["variant"].isin(["baseline", "all"])]
    last = ours[ours["iteration"] == ours["iteration"].max()]
    by_seed = last.pivot_table(index="seed", columns="variant", values="averaged")
    found = stats.paired_effect(np.asarray(by_seed["baseline"]), np.asarray(by_seed["all"]))
    said = f"All ten changes together cut the distance to real images to {interval(found)} of that with none"
    assert said in " ".join(README.split()) and f"n = {found.n}," in README


def test_every_word_lives_where_the_page_says() -> None:
    page = (ROOT / "docs" / "words.md").read_text()
    places = re.findall(r"`([\w./<>]+)`", page.split("|:--|", 1)[1])
    named = [place for place in places if re.match(r"(core|ablations|studies|reports)[./]", place)]
    assert len(named) > 30
    for place in named:
        if "/" in place:
            assert (ROOT / place).exists(), place
            continue
        module, _, name = place.rpartition(".")
        assert importlib.util.find_spec(module) and hasattr(importlib.import_module(module), name), place
