"""Titles of any script and with any sign: no markup, no boxes, and a line that says what no font has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.font_manager
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports import figures, fonts, pdf
from reports.page import Document, Paragraph
from reports.render import render
from studies import catalogue
from studies.plan import Plan, record_plan
from studies.planning import make_plan
from tests.support import runs as synthetic

TITLES = (
    "weight $\\frac$",
    "plain $x_1$ and $x_2$",
    "台所の明るさ",
    "a\x1b[31m red",
    "[red]bed[/] #strong[x] \\textbf{y}",
)

DECLARED = """
from ablations.schema import Change, Study
from studies.changes_overview import STUDY as DECK

TITLES = {titles!r}
CHANGES = tuple(
    Change(**{{**dict(change), "title": title}}) for change, title in zip(DECK.changes, TITLES, strict=False)
)
KEPT = (*CHANGES, *DECK.changes[len(CHANGES) :])
STUDY = Study(**{{**dict(DECK), "name": "mine", "changes": KEPT}})
"""


Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine without fonts of its own, until it is given some."""

    def has(*files: str) -> None:
        monkeypatch.setattr(fonts, "findSystemFonts", lambda: list(files))
        fonts._others.cache_clear()
        fonts.fallback.cache_clear()

    has()
    yield has
    fonts._others.cache_clear()
    fonts.fallback.cache_clear()


def test_titles_are_no_markup_and_no_boxes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], machine: Machine
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(DECLARED.format(titles=TITLES[:3]), encoding="utf-8")
    study = catalogue.study(str(file), tmp_path / "runs")
    plan = make_plan(study, study.profile("cpu"), designs=["add_one_in"], seeds=range(2), declared_in=str(file))
    few = Plan(**{**dict(plan), "variants": plan.variants[:4]})
    synthetic.train_all(tmp_path / "runs", record_plan(tmp_path / "runs", few))
    folder = render(str(file), runs=tmp_path / "runs", out=tmp_path / "out", formats=("md", "pdf"))
    assert json.loads((folder / "verdicts.json").read_bytes()) and (folder / "report.pdf").stat().st_size > 10_000
    page = (folder / "report.md").read_text(encoding="utf-8")
    assert "台所の明るさ" in page and "weight" in page
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "(U+53F0)" in said and "install a font" in said


def drawn(words: str) -> list[str]:
    with fonts.expecting(words), figures.style():
        figure = Figure()
        ax = figure.subplots()
        ax.plot([1, 2], [1, 2], label=words)
        ax.set_yticks([1, 2], [words, words])
        ax.set_title(words)
        ax.annotate(words, (1, 1))
        ax.legend()
        figure.canvas.draw()
        return [artist.get_text() for artist in figure.findobj(Text) if artist.get_text().startswith(words[:1])]


@pytest.mark.parametrize("words", TITLES)
def test_every_text_of_a_figure_is_literal(words: str, machine: Machine) -> None:
    """Under warnings as errors: matplotlib warns of a glyph that it lacks, and raises for a macro that it lacks."""
    shown = "[U+53F0 U+6240 U+306E U+660E U+308B U+3055]" if "台" in words else words.replace("\x1b", "\\x1b")
    with fonts.expecting(words), figures.style():
        assert fonts.shown(words) == shown
    texts = drawn(words)
    assert "台" in words or (set(texts) == {shown} and len(texts) >= 4)


def test_labels_of_sheets_take_every_sign(tmp_path: Path, machine: Machine) -> None:
    with fonts.expecting("") as lacking, figures.style():
        sheet = figures.sample_sheet([("台所 $x_1$ 𓀀 $\\frac$ \x1b", np.zeros((2, 8, 8, 3), np.uint8))])
        figures.save(sheet, tmp_path / "sheet.png")
    assert lacking.signs == {"台", "所", "𓀀"}


def test_a_page_without_fonts_for_its_signs_has_code_points(machine: Machine) -> None:
    files, text = fonts.for_page('#"台所 Größe שלום 😀"')
    assert text == '#"[U+53F0 U+6240] Größe שלום 😀"'
    # What matplotlib is bundled with has the face.
    assert [Path(file).name for file in files] == ["DejaVuSans.ttf"]


def test_a_font_of_this_machine_is_used_where_ours_lack_a_sign(tmp_path: Path, machine: Machine) -> None:
    other = matplotlib.font_manager.findfont("STIXGeneral")
    more = fonts._has(other) - fonts._has(fonts._bundled(fonts.FIGURES))
    sign = min(sign for sign in more if sign > "\u2000")
    machine(other)
    with fonts.expecting(sign) as lacking, figures.style():
        figure = Figure()
        figure.text(0.5, 0.5, sign)
        figures.save(figure, tmp_path / "a.svg")
    assert lacking.line is None
    pdf.write(Document("t", "s", "f", (Paragraph(sign),), ()), tmp_path / "a.pdf")


def test_what_the_bundled_fonts_have_asks_no_other(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: pytest.fail("the fonts of this machine were asked for"))
    with fonts.expecting("Größe λ → ∞ × “σ” ½ ≤"), figures.style():
        pass
    assert fonts.for_page("Größe λ → ∞ × “σ” ½ ≤ שלום शयन") == ((), "Größe λ → ∞ × “σ” ½ ≤ שלום शयन")
