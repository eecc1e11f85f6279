"""Tables from rows and columns: how a cell's type is written, and what cells of a table share."""

from __future__ import annotations

from reports import stats
from reports.page import Code, Column, Link, Strong
from reports.tables import Led, Rows


def test_a_cell_is_written_by_its_type() -> None:
    effect = stats.paired_effect([2.0, 2.1, 1.9], [1.0, 1.0, 1.0])
    cells = (None, Code("a"), 1234, 0.5, stats.log_summary([0.5, 0.5]), effect, Led(0.25, "here", strong=True))
    rows = Rows([cells])
    for _ in cells:
        rows.numbers("")
    assert rows.table("").rows[0] == (
        "–",
        Code("a"),
        "1,234",
        "0.500",
        "0.500 ×/÷ 1.00 (n = 2)",
        "0.50 [0.44, 0.57]",
        Link("0.250", "#here", strong=True),
    )


def test_what_leads_nowhere_is_plain_and_a_dash_never_leads() -> None:
    rows = Rows([(Led("1", None), Led("1", None, strong=True), Led(None, "here"))])
    for _ in range(3):
        rows.words("")
    assert rows.table("").rows == (("1", Strong("1"), "–"),)


def test_measures_of_one_scale_have_as_many_decimals() -> None:
    rows = Rows([(100.0, 0.5), (99.0, 0.25), (1.0, 0.125)])
    rows.numbers("large")
    rows.numbers("small", scale="small")
    assert rows.table("").rows == (("100.0", "0.500"), ("99.0", "0.250"), ("1.0", "0.125"))
    assert rows.table("", measures=[1234.5]).rows[0] == ("100", "0.500")


def test_a_column_for_each_key_and_a_text_that_is_said_once() -> None:
    rows = Rows(["a", "a", "b"])
    rows.words("name", lambda row: row, 1.0, once=True)
    rows.each((1, 2), lambda key: f"× {key}", lambda row, key: row * key)
    table = rows.table("", name="keyed", size=7.0, note="so")
    assert table.columns == (Column("name", share=1.0), Column("× 1", "right"), Column("× 2", "right"))
    assert table.rows == (("a", "a", "aa"), ("", "a", "aa"), ("b", "b", "bb"))
    assert (table.name, table.size, table.note) == ("keyed", 7.0, "so")
