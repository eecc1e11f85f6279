"""Tables from rows of anything and columns that say what of a row stands in them.

A cell is a value, and its type says how it is written: a summary as geometric mean and spread, an effect as its ratio
with its interval, a count whole, a measure with the decimals of its scale, None as a dash, text as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from reports import stats
from reports.links import anchor
from reports.numbers import fixed, interval, mean_spread
from reports.page import Column, Link, Strong, Table, Text
from reports.results import Results

Value = Text | int | float | stats.LogSummary | stats.Effect | None
Write = Callable[[float | None], str]
Row = TypeVar("Row")
Key = TypeVar("Key")


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
    ) -> Table:
        """The table. `measures` set the decimals where others than its cells are to."""
        cells = [[column.of(item) for column in self._columns] for item in self._items]
        scales: dict[str, list[float | None]] = {column.scale: [] for column in self._columns}
        for row in cells:
            for column, cell in zip(self._columns, row, strict=True):
                scales[column.scale] += _measure(cell)
        if measures is not None:
            scales[""] = list(measures)
        writers = {scale: fixed(found) for scale, found in scales.items()}
        return Table(
            name=name,
            columns=tuple(column.column for column in self._columns),
            rows=tuple(self._written(row, above, writers) for row, above in zip(cells, [[], *cells], strict=False)),
            caption=caption,
            size=size,
            note=note,
        )

    def _place(self) -> Callable[[Row], Cell]:
        place = len(self._columns)

        def cell(row: Row) -> Cell:
            assert isinstance(row, tuple)
            taken: Cell = row[place]
            return taken

        return cell

    def _written(self, row: list[Cell], above: list[Cell], writers: Mapping[str, Write]) -> tuple[Text, ...]:
        return tuple(
            "" if column.once and above and above[place] == cell else written(cell, writers[column.scale])
            for place, (column, cell) in enumerate(zip(self._columns, row, strict=True))
        )


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
