"""How tables look in a terminal and in a file: a ruled head, no frame, a free line between rows of several lines."""

from __future__ import annotations

from rich import box
from rich.table import Table


def ruled_table(*, spaced: bool = False) -> Table:
    """An empty table; `spaced` is for rows that take several lines."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", leading=int(spaced))
