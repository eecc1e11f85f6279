"""`python -m studies.profile_table`: docs/profiles.md, every number beside the deck's and the public code's."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ablations.sources import MECHANISMS
from core.arguments import Parser, code_with, given_to
from core.files import write_whole
from studies import catalogue
from studies.numbers import Row, all_rows, changed_rows

PAGE = Path(__file__).parent.parent / "docs" / "profiles.md"

HEAD = """\
# Profiles: the deck's numbers, the public code's, and ours

Written by `python -m studies.profile_table`; a test holds it to the configs. **The deck** is what a slide says, “–”
where none says anything. **The public code** is what its author's first public code has
([`archive/original-implementation`](https://github.com/universome/inr-gan/tree/master/archive/original-implementation),
November 2020): what a profile of the deck's scale trains wherever the deck is silent. Where it trains neither, **why**
says so. `a → b` is before and after the changes of the study that the table is of. `ablations/sources.py` has both
columns, with the slide of each of the deck's numbers; every report has the rows in which its own setting differs from
both, overrides and given data included.
"""

WHOLE = (
    ("changes_overview", "lsun64", "every number"),
    ("inr_layers", "deck128", "every number of a fit of images"),
)
CHANGED = (
    ("lsun_bedroom_128", "lsun128", "what is neither the deck's nor the public code's"),
    ("lsun_bedroom_64", "lsun64", "what is neither the deck's nor the public code's"),
    ("changes_overview", "cpu", "what is neither the deck's nor the public code's"),
    ("inr_layers", "cpu", "what is neither the deck's nor the public code's, in a fit of images"),
)


def table(rows: Iterable[Row]) -> str:
    """Rows as a Markdown table."""
    lines = ["| path | the deck | the public code | here | why |", "|:--|:--|:--|:--|:--|"]
    for row in rows:
        path = f"`{row.path}`" + (f" (of {row.only})" if row.only else "")
        cells = (text.replace("|", "\\|") for text in (row.deck, row.public, row.here, row.why))
        lines.append(f"| {' | '.join((path, *cells))} |".replace("|  |", "| |"))
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, profile, what in (*WHOLE, *CHANGED):
        study = catalogue.study(name)
        rows = all_rows if (name, profile, what) in WHOLE else changed_rows
        parts.append(f"## `{profile}` of `{name}`: {what}\n\n{table(rows(study, study.profile(profile)))}\n")
    mechanisms = "\n".join(f"- {each}" for each in MECHANISMS)
    parts.append(
        "## What is no number\n\nMechanisms that are not the public code's at any scale, or that it does not show:\n\n"
        f"{mechanisms}\n\nWhat a number is measured with: [protocols](protocols.md). What is done to photographs: "
        "[data](data.md).\n"
    )
    return "\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the page."""
    return code_with(_run, arguments)


def _run(arguments: Sequence[str]) -> None:
    given_to(Parser(prog="python -m studies.profile_table", description=main.__doc__), arguments)
    write_whole(PAGE, page().encode())
    print(PAGE)


if __name__ == "__main__":
    sys.exit(main())
