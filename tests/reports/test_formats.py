"""One page in every format: what leads where, what stands by itself, and what is removed."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from ablations.designs import DESIGNS, available, variant_name, variant_title
from ablations.schema import Study
from core.errors import InputError
from reports import html, latex, markdown, pdf
from reports.layouts import layout_of
from reports.page import (
    Abstract,
    Anchor,
    Animation,
    Block,
    Bullets,
    Code,
    Column,
    Document,
    Grey,
    Link,
    Note,
    Paragraph,
    Strong,
    Table,
    without_dead_links,
)
from reports.render import FORMATS, formats_of, main, render
from reports.tables import anchor
from studies import catalogue
from tests.support.hostile_pages import Elements
from tests.support.pages import assert_links_resolve
from tests.support.runs import planned, train_all


class Seen(Elements):
    """Every element of a page, and the tags that are left open."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        self.open: list[str] = []
        super().__init__(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, attribute: str) -> list[str]:
        return [str(attributes[attribute]) for _, attributes in self.found if attribute in attributes]


def test_the_html_is_one_file_whose_links_stay_in_it(full_report: Path) -> None:
    text = (full_report / "report.html").read_text()
    seen = Seen(text)
    places, sources = seen.all("id"), seen.all("src")
    assert seen.open == [] and len(places) == len(set(places))
    assert len(sources) == 5 and all(source.startswith("data:image/") for source in sources)
    assert set(seen.all("href")) <= {f"#{place}" for place in places}
    assert "http:" not in text.replace("http://www.w3.org", "") and "https:" not in text
    runs = [place for place in places if place.startswith("run-")]
    assert len(runs) == 87
    job = json.loads((next((full_report.parents[2] / "jobs").glob(f"{runs[0][4:]}*")) / "job.json").read_text())
    assert f'"iterations": {job["config"]["iterations"]}' in text.replace("&quot;", '"')


def test_a_number_leads_to_the_rows_of_its_runs_in_every_format(full_report: Path) -> None:
    place = anchor("baseline..r1")
    (mean,) = re.findall(rf"\[\*\*([\d.]+)\*\*\]\(#{place}\)", (full_report / "report.md").read_text())
    page = (full_report / "report.html").read_text()
    assert f'<a class="inner" href="#{place}"><strong>{mean}</strong></a>' in page
    row = page[page.index(f'<span id="{place}">') :].partition("</tr>")[0]
    assert "<code>baseline..r1</code>" in row and 'href="#run-' in row


def test_names_of_places_differ_where_names_of_variants_do() -> None:
    for study in map(catalogue.study, catalogue.NAMES):
        names = {
            variant_name(study, subset) for design in available(study) for subset in DESIGNS[design](study, range(3))
        }
        places = {anchor(name) for name in names}
        assert len(places) == len(names)
        assert all(re.fullmatch(r"[a-z0-9_-]+", place) for place in places)


def test_every_table_is_latex_of_as_many_cells_as_columns(full_report: Path) -> None:
    files = sorted((full_report / "tables").glob("*.tex"))
    assert len(files) == 15
    for file in files:
        text = file.read_text()
        assert text.isascii(), file.name
        for name in ("table", "longtable", "tabular"):
            assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}")
        head, *rows = re.findall(r"^(.*) \\\\$", text, flags=re.MULTILINE)
        cells = len(re.findall(r"(?<!\\)&", head))
        assert rows and {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {cells}
        assert rf"\label{{tab:{file.stem}}}" in text


def test_latex_knows_every_sign_that_studies_and_the_deck_use() -> None:
    for study in map(catalogue.study, catalogue.NAMES):
        words = [study.title, study.question, *(c.title for c in study.changes)]
        words += [study.source.words] if study.source else []
        words += [variant_title(study, s) for design in available(study) for s in DESIGNS[design](study, (0,))]
        words += [c.source.words for c in study.changes if c.source] + [c.reading for c in study.changes if c.reading]
        words += [claim.words for claim in study.claims]
        words += [scaling.why for profile in study.profiles for scaling in profile.scalings]
        assert all(latex.escaped(text).isascii() for text in words)


def test_signs_that_latex_has_no_command_for_stay_and_are_told(tmp_path: Path) -> None:
    assert latex.escaped("Ku\u0308che  Öl\nß 50\u202f° ☃") == r"K\"{u}che \"{O}l \ss{} 50~$^\circ$ ☃"
    table = latex.table(Table((Column("x"),), (("☃",), ("[1]",), ("* 2",)), "caption"), "tab:x")
    assert table.splitlines()[0].endswith("and LuaLaTeX or XeLaTeX for some of its signs.")
    assert "{}[1]" in table and "{}* 2" in table
    assert (
        latex.piece(Code("'a' \"b\""))
        == r"\texttt{\textquotesingle{}a\textquotesingle{} \textquotedbl{}b\textquotedbl{}}"
    )


SIGNS = r"""<b> & "q" 'w' 50% $x$ #1 a_b {c} \d ~ ^ | * `e` [f](g)"""


def every_kind_of_text(folder: Path) -> Document:
    (folder / "a.gif").write_bytes(b"GIF89a")
    there = ("led to ", Link("here", "#place"), Link("bold", "#place", strong=True), Link("run", "file", code=True))
    blocks: tuple[Block, ...] = (
        Abstract((SIGNS, (Strong("x"), Grey("y")))),
        Paragraph(there),
        Note(SIGNS),
        Bullets((Code(SIGNS),)),
        Table((Column(SIGNS),), (((Anchor("place"), SIGNS),),), SIGNS, note=SIGNS, name="one"),
        Animation("a.gif", SIGNS, SIGNS),
    )
    return Document(SIGNS, SIGNS, SIGNS, without_dead_links(blocks))


def test_signs_that_are_special_somewhere_are_plain_everywhere(tmp_path: Path) -> None:
    document = every_kind_of_text(tmp_path)
    pdf.write(document, tmp_path / "report.pdf")
    page = html.render(document, tmp_path)
    assert Seen(page).open == [] and "<b>" not in page
    assert "<b>" not in re.sub(r"(`+).*?(?<!`)\1(?!`)", "", markdown.render(document)).replace(r"\<b\>", "")
    table = next(block for block in document.blocks if isinstance(block, Table))
    assert r"50\% \$x\$ \#1 a\_b \{c\} \textbackslash{}d" in latex.table(table, "tab:one")


def test_links_to_what_was_left_out_are_words() -> None:
    gone = (Link("a", "#gone"), Link("b", "#gone", code=True), Link("c", "#gone", strong=True), Link("d", "file"))
    rows = (((Anchor("there"), Link("e", "#there")),),)
    paragraph, table = without_dead_links((Paragraph(gone), Table((Column("x"),), rows, "caption")))
    assert paragraph == Paragraph(("a", Code("b"), Strong("c"), Link("d", "file")))
    assert isinstance(table, Table) and table.rows == rows


def test_only_the_formats_that_are_asked_for_stay(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, only={"baseline"}, seeds=(0,)))
    folder = tmp_path / "out"
    always = {"figures", "protocols.json", "results.csv", "verdicts.json"}
    for asked, there in (
        ("md,pdf,html,tex", {"report.md", "report.pdf", "report.html", "tables"}),
        ("html,md", {"report.md", "report.html"}),
        ("pdf", {"report.pdf"}),
    ):
        words = ["changes_overview", "--runs", str(tmp_path), "--out", str(folder), "--format", asked]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        assert {file.name for file in folder.iterdir()} == always | there
        assert {Path(line).name for line in done.output.split()} == there


@pytest.mark.parametrize(("text", "said"), [("docx", "there are md, pdf, html, tex"), (",", "name some of")])
def test_a_format_that_there_is_not_is_one_line(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        formats_of(text)
    assert formats_of("pdf, md") == ("md", "pdf") and formats_of(",".join(FORMATS)) == tuple(FORMATS)


def test_files_of_the_users_stay_and_half_a_report_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_all(tmp_path, planned(tmp_path, only={"baseline"}, seeds=(0,)))
    paper = tmp_path / "paper"
    (paper / "tables").mkdir(parents=True)
    mine = [paper / "report.md", paper / "tables" / "mine.tex"]
    for file in mine:
        file.write_text("mine")
    render("changes_overview", runs=tmp_path, out=paper, formats=("pdf",))
    render("changes_overview", runs=tmp_path, out=paper, formats=("tex",))
    assert mine[1].read_text() == "mine" and not (paper / "report.pdf").exists()
    assert len(list((paper / "tables").iterdir())) > 1
    render("changes_overview", runs=tmp_path, out=paper, formats=("html",))
    assert [file.name for file in (paper / "tables").iterdir()] == ["mine.tex"]
    monkeypatch.setattr(html, "render", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        render("changes_overview", runs=tmp_path, out=paper)
    assert not (paper / "verdicts.json").exists()


def test_links_to_runs_hold_where_folders_have_spaces(tmp_path: Path) -> None:
    runs = tmp_path / "my runs (old)"
    train_all(runs, planned(runs, only={"baseline"}, seeds=(0,)))
    folder = render("changes_overview", runs=runs, out=tmp_path / "out", formats=("md",))
    text = (folder / "report.md").read_text()
    assert "my%20runs%20%28old%29/jobs/" in text
    assert_links_resolve(folder, text)


def test_what_is_published_needs_no_run_folders(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, only={"baseline", "all"}, seeds=(0, 1)), diverged={("all", 1)})
    folder = render("changes_overview", runs=tmp_path, out=tmp_path / "out", published=True)
    lines = (folder / "runs.jsonl").read_text().splitlines()
    text = (folder / "report.md").read_text()
    led = re.findall(r"(?:\| |</a>)`(\S+)` \| [^|]+ \| (\d) \| \[`([0-9a-f]{8})`\]\(runs\.jsonl#L(\d+)\)", text)
    assert len(led) == len(lines) == 4
    for variant, seed, run, line in led:
        told = json.loads(lines[int(line) - 1])
        assert told["run"].startswith(run) and told["job"]["seed"] == int(seed)
        assert (folder.parent / "jobs" / told["run"] / "job.json").exists()
        assert told["variant"] == variant
    assert {json.loads(line)["outcome"]["status"] for line in lines} == {"finished", "diverged"}
    assert "../" not in text and "../" not in (folder / "report.html").read_text()


def test_the_abstract_and_the_record_say_the_verdicts_of_the_report(full_report: Path) -> None:
    told = json.loads((full_report / "verdicts.json").read_text())
    (claim,) = told["claims"]
    assert (claim["verdict"], claim["magnitude"]) == ("reproduced", "not comparable")
    text = (full_report / "report.md").read_text()
    short = text.partition("**In short**")[2].partition("\n## ")[0]
    assert f"**Reproduced:** “{claim['quote']}”. Ours: {claim['ours']}; the deck's: {claim['deck']}." in short
    helped = {c["change"] for c in told["changes"] if c["design"] == "ladder" and c["verdict"] == "helps"}
    study = catalogue.study("changes_overview")
    titles = [change.brief for change in study.changes if change.name in helped]
    (line,) = [line for line in short.splitlines() if line.startswith("- **Ladder")]
    assert titles and all(markdown.escaped(title) in line for title in titles)
    assert f"{len(titles)} help" in line.lower()


def test_every_study_has_a_layout_with_an_answer() -> None:
    assert {
        layout_of(catalogue.study(name)).answers.__module__.removeprefix("reports.") for name in catalogue.NAMES
    } == {
        "abstract",
        "studies.extreme_resolution",
        "studies.inr_layers",
        "studies.inr_layers_gan",
        "studies.learning_rates",
        "studies.patches",
        "studies.point_or_area",
        "studies.scale_transfer",
        "studies.siren_vs_fourier",
        "studies.upsampling",
    }


OWN_REPORT = """
from reports.page import Heading, Paragraph
from reports.sections import all_sections

def body(report):
    return [Heading("My section"), Paragraph("Mine."), *all_sections(report)]
"""


def test_a_study_brings_its_own_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = catalogue.study("changes_overview")
    monkeypatch.syspath_prepend(tmp_path)
    own = Study(**{**dict(study), "report": "of_its_own.page"})
    with pytest.raises(InputError, match=r"'changes_overview' names the report 'of_its_own\.page', which cannot be"):
        layout_of(own)
    (tmp_path / "of_its_own").mkdir()
    (tmp_path / "of_its_own" / "page.py").write_text("")
    with pytest.raises(InputError, match=r"which has no function body\(report\)"):
        layout_of(own)
    monkeypatch.delitem(sys.modules, "of_its_own.page")
    importlib.invalidate_caches()
    (tmp_path / "of_its_own" / "page.py").write_text(OWN_REPORT)
    assert layout_of(own).body.__module__ == "of_its_own.page"
    with pytest.raises(ValidationError, match="report"):
        Study(**{**dict(study), "report": "../evil"})
