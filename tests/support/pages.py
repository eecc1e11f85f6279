"""Pages without their files, and what every page has to keep to, in whatever format."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from reports import markdown
from reports.layouts import layout_of
from reports.render import compose
from reports.report import Report
from reports.results import load
from studies.plan import report_folder


def page_of(study: str, *, runs: Path, setting: str | None = None) -> str:
    """The Markdown of a report as `render` would write it. Its figures are drawn, and nothing is saved."""
    results = load(study, runs, setting)
    report = Report.of(results, report_folder(runs, results.plan.study, results.plan.setting))
    layout = layout_of(results.study)
    return markdown.render(compose(report, layout, layout.answers(report), layout.finding(report), with_records=False))


def assert_links_resolve(folder: Path, text: str) -> None:
    """Links of a Markdown page lead to files beside it, to its headings, or to places in it that are there once."""
    anchors = re.findall(r'<a id="([^"]+)"></a>', text)
    assert len(anchors) == len(set(anchors))
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    anchors += [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert not Path(target).is_absolute()
            assert (folder / unquote(target.partition("#")[0])).exists(), target
