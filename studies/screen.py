"""Where people read: rich's console, on which nothing that anybody named something is markup or acts; and documents
for programs, on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import IO, Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from core.words import in_json, takes, visible

PLAIN_WIDTH = 160
"""Columns where there is no terminal, and COLUMNS does not say otherwise."""


class Screen(Console):
    """A console whose strings are text alone, and whose text has no sign that would act in place of being shown."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **settings})

    def on_broken_pipe(self) -> None:
        """Says that nobody reads on, as `print` does; rich would end the process as if a run had failed."""
        raise BrokenPipeError

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See rich: everything that is shown passes here, the words of tables, too."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=_shown(segment.text))


def _shown(text: str) -> str:
    return text if text.isprintable() else "\n".join(visible(line) for line in text.split("\n"))


LEAST_WIDTH, MOST_WIDTH = 20, 1000
"""Columns below which nothing can be read, and beyond which nobody has any."""


def _width(terminal: bool) -> int | None:
    """What COLUMNS says where somebody means it, else a width for files, or None, as wide as the terminal is."""
    columns = os.environ.get("COLUMNS")
    if columns is None:
        return None if terminal else PLAIN_WIDTH
    meant = columns.isascii() and columns.isdigit() and int(columns[:9]) >= LEAST_WIDTH
    return min(int(columns[:9]), MOST_WIDTH) if meant else PLAIN_WIDTH


def screen(stream: IO[str] | None = None) -> Screen:
    """The screen on a stream, stdout where none is given; a file gets colours where FORCE_COLOR says so, but nothing
    that moves."""
    stream = stream or sys.stdout
    terminal = stream.isatty()
    return Screen(
        file=stream,
        width=_width(terminal),
        force_interactive=None if terminal else False,
    )


def ruled_table(*, spaced: bool = False) -> Table:
    """An empty table with a ruled head and no frame; `spaced` is for rows that take several lines."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", leading=int(spaced))


JSON_VERSION = 1
"""Of the documents that --json prints: raised when a key goes or changes its meaning, not when one is added."""


def print_json(document: Mapping[str, Any]) -> None:
    """Prints a document and its version."""
    whole = {"version": JSON_VERSION, **document}
    text = in_json(json.dumps(whole, indent=1, ensure_ascii=False))
    # What a stream lacks is not replaced within a document: a quotation mark would end its string.
    print(text if takes(sys.stdout, text) else json.dumps(whole, indent=1))
