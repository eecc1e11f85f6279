"""Tables from rows of anything and columns that say what of a row stands in them.

A cell is a value, and its type says how it is written: a summary as geometric mean and spread, an effect as its ratio
with its interval, a count whole, a measure with the decimals of its scale, None as a dash, text as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from reports import stats
from reports.numbers import fixed, interval, mean_spread
from reports.page import Column, Link, Strong, Table, Text
from reports.results import Results

Value = Text | int | float | stats.LogSummary | stats.Effect | None
Write = Callable[[float | None], str]
Row = TypeVar("Row")
Key = TypeVar("Key")


WORDS = (("..", "-to-"), ("+", "-with-"), (".", "-dot-"), ("@", "-at-"))


def anchor(variant: str) -> str:
    """The place of a variant's runs: letters, digits, hyphens and underscores. Different names have different ones."""
    written = variant
    for sign, word in WORDS:
        written = written.replace(sign, word)
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", written)
    if plain != written or any(word in variant for _, word in WORDS):
        # Another name may come to the same.
        plain += f"-{hashlib.sha256(variant.encode(errors='backslashreplace')).hexdigest()[:8]}"
    return f"runs-{plain}"


@dataclass(frozen=True)
class Led:
    """A value with its place on the page, an anchor's name, where it has one."""

    value: str | float | stats.LogSummary | None
    place: str | None
    strong: bool = False


Cell = Value | Led


def to_runs(
    results: Results, name: str | None, value: str | float | stats.LogSummary | None, *, strong: bool = False
) -> Led:
    """A number of the variant of that name or alias, as a link to its runs; plain where it is not planned."""
    variant = results.variant(name or "")
    return Led(value, None if variant is None else anchor(variant.name), strong)


def last_values(results: Results, name: str | None, *, strong: bool = False) -> Led:
    """Mean and spread of the last values of the variant of that name or alias, as a link to its runs."""
    return to_runs(results, name, results.ends(name or ""), strong=strong)


@dataclass(frozen=True)
class _Of(Generic[Row]):
    """A column with what it takes from a row, and the scale whose decimals its measures share."""

    column: Column
    of: Callable[[Row], Cell]
    scale: str = ""
    once: bool = False


class Rows(Generic[Row]):
    """Rows of a table. Each call of `words`, `numbers` or `each` adds columns from left to right, and `table` makes it.

    A column without `of` takes its own place in a row that is a tuple of cells.
    """

    def __init__(self, items: Iterable[Row]) -> None:
        self._items = list(items)
        self._columns: list[_Of[Row]] = []

    def words(
        self, title: str, of: Callable[[Row], Cell] | None = None, share: float | None = None, *, once: bool = False
    ) -> None:
        """A column of text; `once` leaves a cell empty that says what the one above it says."""
        self._columns.append(_Of(Column(title, share=share), of or self._place(), once=once))

    def numbers(
        self, title: str, of: Callable[[Row], Cell] | None = None, share: float | None = None, *, scale: str = ""
    ) -> None:
        """A column of numbers, set to the right. Measures of one `scale` have as many decimals as each other."""
        self._columns.append(_Of(Column(title, "right", share), of or self._place(), scale))

    def each(
        self,
        keys: Iterable[Key],
        title: Callable[[Key], str],
        of: Callable[[Row, Key], Cell],
        share: float | None = None,
    ) -> None:
        """A column of numbers for each key."""

        def column_of(key: Key) -> Callable[[Row], Cell]:
            return lambda row: of(row, key)

        for key in keys:
            self.numbers(title(key), column_of(key), share)

    def table(
        self,
        caption: Text,
        *,
        name: str = "",
        size: float = 8.0,
        note: Text = "",
        measures: Iterable[float | None] | None = None,
        alike: Callable[[Row], Hashable] | None = None,
    ) -> Table:
        """The table. `measures` set the decimals where others than its cells are to; with `alike` only rows of one
        answer share them."""
        cells = [[column.of(item) for column in self._columns] for item in self._items]
        kinds = [alike(item) if alike else None for item in self._items]
        scales: dict[Hashable, list[float | None]] = {}
        for kind, row in zip(kinds, cells, strict=True):
            for column, cell in zip(self._columns, row, strict=True):
                scales.setdefault((kind, column.scale), []).extend(_measure(cell))
        if measures is not None:
            scales[None, ""] = list(measures)
        writers = {scale: fixed(values) for scale, values in scales.items()}
        rows = []
        above: list[Cell] = []
        for kind, row in zip(kinds, cells, strict=True):
            texts: list[Text] = []
            for place, (column, cell) in enumerate(zip(self._columns, row, strict=True)):
                repeated = column.once and above[place : place + 1] == [cell]
                texts.append("" if repeated else written(cell, writers[kind, column.scale]))
            rows.append(tuple(texts))
            above = row
        return Table(
            name=name,
            columns=tuple(column.column for column in self._columns),
            rows=tuple(rows),
            caption=caption,
            size=size,
            note=note,
        )

    def _place(self) -> Callable[[Row], Cell]:
        place = len(self._columns)

        def cell(row: Row) -> Cell:
            assert isinstance(row, tuple | list)
            taken: Cell = row[place]
            return taken

        return cell


def _measure(cell: Cell) -> list[float | None]:
    """What of a cell counts towards the decimals of its scale."""
    value = cell.value if isinstance(cell, Led) else cell
    if isinstance(value, stats.LogSummary):
        return [value.mean]
    return [value] if isinstance(value, float) else []


def written(cell: Cell, write: Write) -> Text:
    """A cell as text, measures by `write`."""
    match cell:
        case None:
            return "–"
        case stats.LogSummary():
            return mean_spread(cell, write)
        case stats.Effect():
            return interval(cell)
        case float():
            return write(cell)
        case int():
            return f"{cell:,}"
        case Led(value, place, strong):
            text = written(value, write)
            assert isinstance(text, str)
            if place is None or text == "–":
                return Strong(text) if strong else text
            return Link(text, f"#{place}", strong=strong)
    return cell
