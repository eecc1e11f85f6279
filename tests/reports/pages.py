"""What every page has to keep to, in whatever format."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote


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
