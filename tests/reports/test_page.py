"""The document model in its two formats, and how numbers are written."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image

from ablations.beside_deck import node
from reports import charts, figures, markdown, pdf
from reports.numbers import factor, fixed, interval, mean_spread, short
from reports.page import Bullets, Code, Column, Document, Heading, Link, Listing, Note, Paragraph, Quote, Strong, Table
from reports.stats import Effect, log_summary, paired_effect

NASTY = r"a_b *c* `d` #e $f$ <g> [h](i) | \ @j ~k~ 'l' \"m\""


def nasty_document() -> Document:
    table = Table((Column("x|y", share=1.0), Column("n", "right")), (((Code("a.b_c"), NASTY), "1"),), NASTY)
    blocks = (
        Heading(NASTY),
        Paragraph((NASTY, Strong(NASTY), Code("p.q"), Link("run", "../x", code=True))),
        Note(NASTY),
        Quote(NASTY, NASTY),
        Bullets((NASTY,)),
        Listing("python -m x \\\n    --y"),
        table,
        Table((Column("only"),), (), "an empty table", landscape=True),
    )
    return Document(NASTY, NASTY, NASTY, blocks)


def test_no_text_is_taken_for_markup(tmp_path: Path) -> None:
    pdf.write(nasty_document(), tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    text = markdown.render(nasty_document())
    assert r"a\_b \*c\* \`d\` #e \$f\$ \<g\> [h]\(i) \|" in text
    assert "[`run`](../x)" in text


def test_bars_never_end_a_table_cell() -> None:
    row = next(line for line in markdown.render(nasty_document()).splitlines() if line.startswith("| `a.b_c`"))
    assert len([bar for bar in row.replace(r"\|", "") if bar == "|"]) == 3


def test_a_row_must_fit_its_columns() -> None:
    with pytest.raises(ValueError, match="2 cells under 1 columns"):
        Table((Column("x"),), (("a", "b"),), "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (21.34, "21.3"),
        (5.333, "5.33"),
        (0.04567, "0.0457"),
        (1234.5, "1,234"),
        (0.0, "0"),
        (math.inf, "∞"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_short(value: float | None, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.25, "0.25"), (0.012, "0.012"), (12.34, "12.3"), (123.4, "123"), (math.inf, "∞")]
)
def test_factor(value: float, text: str) -> None:
    assert factor(value) == text


def test_a_column_keeps_its_decimals() -> None:
    write = fixed([21.3, 5.25, None, math.inf])
    assert [write(21.3), write(5.25), write(math.inf), write(None)] == ["21.3", "5.2", "∞", "–"]


def test_numbers_carry_their_n_and_spread() -> None:
    assert mean_spread(log_summary([2.0, 8.0])) == "4.00 ×/÷ 2.67 (n = 2)"
    assert mean_spread(log_summary([2.0])) == "2.00 (n = 1)"
    assert mean_spread(log_summary([2.0, 4.0, math.inf])) == "∞ (diverged in 1 of 3, median 4.00)"
    assert interval(paired_effect([8.0], [4.0])) == "0.50"
    assert interval(Effect(3, ratio=0.5, low=0.25, high=1.0)) == "0.50 [0.25, 1.00]"
    assert interval(None) == "–"


def test_config_nodes_are_phrases() -> None:
    assert node({"kind": "siren", "scale": 1.0}) == "siren (scale 1)"
    assert node(None) == "off"
    assert node({"kind": "b", "x": {"y": 1, "h": "ab" * 32}}) == "b (x.y 1, x.h abababab…)"
    assert node({"x": -1.0}) == "x −1"


def test_log_ticks_are_few_and_round() -> None:
    for low, high in ((4, 30), (0.5, 2), (0.001, 1000), (18, 23)):
        ticks = figures.log_ticks(low, high)
        assert 1 <= len(ticks) <= 8
        assert all(low <= tick <= high for tick in ticks)


def test_drawing_functions_return_their_ax() -> None:
    ax = Canvas().subplots()
    assert (
        charts.ladder(ax, [charts.Rung("one", np.array([1.0, np.inf])), charts.Rung("two", np.array([np.nan]))], "m")
        is ax
    )
    ax = Canvas().subplots()
    rows = [charts.ForestRow("one", (Effect(2, 0.9, 0.001, 500.0), None), ("inconclusive", "not run"))]
    assert charts.forest(ax, rows, ["a", "b"]) is ax
    ax = Canvas().subplots()
    lines = [charts.Curve("a", ((np.array([1.0, 2.0]), np.array([3.0, np.inf])),), "#000000"), charts.Curve("b", ())]
    assert charts.curves(ax, lines, "x", (1.0, 10.0)) is ax


def test_tiles_are_cut_row_by_row_and_enlarged_by_whole_pixels(tmp_path: Path) -> None:
    grid = np.random.default_rng(0).integers(0, 256, (8, 16, 3), dtype=np.uint8)
    Image.fromarray(grid).save(tmp_path / "grid.png")
    tiles = figures.first_tiles(tmp_path / "grid.png", 4, 5)
    assert tiles is not None
    assert tiles.shape == (5, 4, 4, 3)
    assert (tiles[4] == grid[4:8, :4]).all()
    assert figures.first_tiles(tmp_path / "grid.png", 5, 4) is None
    assert figures.first_tiles(tmp_path / "none.png", 4, 4) is None
    with figures.style():
        figures.save(figures.sample_sheet([("a", tiles)]), tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    scale = sheet.shape[0] // 4
    left = sheet.shape[1] - 5 * (4 * scale + 4) + 4
    assert (sheet[::scale, left : left + 4 * scale : scale] == tiles[0]).all()
