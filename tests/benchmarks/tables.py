"""Tables of benchmarks: printed row by row as they come, and put into a page between marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.files import write_whole

DOCS = Path(__file__).parents[2] / "docs"
END = "<!-- end of the table -->"


class Table:
    """A heading in words, columns, rows: Markdown."""

    def __init__(self, heading: str, columns: Sequence[str]) -> None:
        self.lines: list[str] = []
        self._say(f"{heading}:", "", f"| {' | '.join(columns)} |", f"|{'--:|' * len(columns)}")

    def row(self, *cells: str) -> None:
        """One more, printed at once: the next may take minutes."""
        self._say(f"| {' | '.join(cells)} |")

    def _say(self, *lines: str) -> None:
        self.lines += lines
        print(*lines, sep="\n", flush=True)

    def into(self, page: Path, command: str) -> None:
        """Puts it where the page has had what the command wrote before. Raises ValueError where it has no such mark."""
        text, begin = page.read_text(encoding="utf-8"), f"<!-- {command} -->\n"
        before, mark, rest = text.partition(begin)
        _, end, after = rest.partition(END)
        if not mark or not end:
            raise ValueError(f"{page.name} has no place between '{begin.strip()}' and '{END}'")
        write_whole(page, "\n".join([before + mark.strip(), *self.lines, END + after]).encode())
