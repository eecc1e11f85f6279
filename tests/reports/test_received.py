"""Reports of somebody else's folder: its words are words, its pictures PNGs, and nothing is written elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shlex
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure as Canvas
from PIL import Image
from pydantic import ValidationError

from core.config import Config
from core.errors import InputError
from core.events import event_adapter
from core.folder import RunFolder
from core.names import VARIANT, fits
from core.pictures import read_grid
from core.reading import Damaged
from reports import figures, html, kept, latex, markdown, pdf
from reports.commands import reproduce_commands, wrapped
from reports.page import (
    Abstract,
    Anchor,
    Bullets,
    Code,
    Column,
    Document,
    Grey,
    Heading,
    Link,
    Listing,
    Note,
    Paragraph,
    Quote,
    Record,
    Strong,
    Table,
)
from reports.render import main, render, render_comparison
from reports.report import FIGURES
from reports.results import load
from reports.tables import anchor
from studies.mlflow_view.experiment import Experiment
from studies.overrides import overridden, override, parse_override
from studies.plan import jobs_root, plan_file, read_plan, report_folder
from studies.stores import sqlite_file
from tests.support.runs import planned, train_all

HOSTILE = (
    "\x1b[31m<img src=x onerror=alert(1)> [a](javascript:alert(1)) ``` $\\frac$ \"'&lt; http://evil.example\n# no\u202e"
)


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("one") / "runs"
    train_all(runs, planned(runs, only=["baseline"], seeds=[0]))
    return runs


@pytest.fixture
def runs(one_run: Path, tmp_path: Path) -> Path:
    """A folder with one run, to spoil."""
    shutil.copytree(one_run, tmp_path / "runs")
    return tmp_path / "runs"


def rendered(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(arguments))
    return done.exit_code, done.output


def with_plan(runs: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    file = plan_file(runs, "changes_overview", "cpu")
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return file


def first_job(runs: Path) -> RunFolder:
    plan = read_plan(plan_file(runs, "changes_overview", "cpu"))
    return RunFolder(jobs_root(runs), plan.variants[0].job(0))


# --- words ------------------------------------------------------------------------------------------------------------


def page(text: str) -> Document:
    """Every place where a text may be, with this one in it."""
    pieces = (text, Code(text), Strong(text), Grey(text), Link(text, text), Link(text, f"#{text}", code=True))
    (here,) = pieces[:1]
    rows = (((Anchor(text), here, Code(text)), Link(text, "javascript:alert(1)", strong=True)),)
    return Document(
        title=text,
        subtitle=pieces,
        footer=text,
        blocks=(
            Abstract((pieces,)),
            Heading(text),
            Paragraph(text),
            Note(text),
            Quote(text, text),
            Bullets((text, pieces)),
            Listing(text),
            Table((Column(text), Column("b")), rows, text, note=text, name="one"),
        ),
        records=(Record(text, text, text),),
    )


class Seen(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags_of(text: str) -> list[tuple[str, dict[str, str | None]]]:
    seen = Seen()
    seen.feed(text)
    return seen.tags


ATTRIBUTES = {"id", "class", "href", "style", "http-equiv", "content", "name", "charset", "lang"}


def test_words_are_words_in_html(tmp_path: Path) -> None:
    text = html.render(page(HOSTILE + '"><script>alert(1)</script>'), tmp_path)
    found = tags_of(text)
    assert {name for _, attributes in found for name in attributes} <= ATTRIBUTES
    assert [tag for tag, _ in found].count("script") == 1 and "img" not in {tag for tag, _ in found}
    addresses = [attributes["href"] or "" for tag, attributes in found if tag == "a"]
    assert all(re.match(r"#|[^:]*$", address) for address in addresses)
    assert "\x1b" not in text and "\u202e" not in text


def test_the_page_in_one_file_reaches_nothing_and_runs_its_own_script_alone(tmp_path: Path) -> None:
    text = html.render(page("a"), tmp_path)
    (policy,) = [a["content"] for tag, a in tags_of(text) if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "onclick" not in text
    # Before anything that it is about.
    assert text.index("Content-Security-Policy") < min(text.index("<style>"), text.index("<title>"))
    assert "script-src 'none'" in html.render(Document("t", "s", "f"), tmp_path)


def test_words_are_words_in_markdown() -> None:
    text = markdown.render(page(HOSTILE))
    assert "\x1b" not in text and "\u202e" not in text
    fenced = re.sub(r"^(`{3,})sh\n.*?\n\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    plain = re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", fenced, flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<(?!a id=|/a>|sub>|/sub>)", plain)
    assert not re.search(r"(?<!\\)\]\((?![^()\s<>:]*\))", plain)
    assert "javascript:" not in re.sub(r"\]\\\(javascript:alert\(1\)", "", plain)
    assert "http://" not in markdown.escaped(HOSTILE) and "\n# no" not in fenced


@pytest.mark.parametrize("text", ["# x", "- x", "+ x", "1. x", "12) x", "===", "---", "[a]: http://x", "    x", "> x"])
def test_a_paragraph_begins_no_other_block(text: str) -> None:
    (line,) = markdown.block(Paragraph(text), {}).split("\n")
    assert line.startswith("x") if text.strip() == "x" else "\\" in line[: line.index(text.strip()[-1]) + 1]
    assert markdown.block(Bullets((text,)), {}) == f"- {line}"


@pytest.mark.parametrize("text", ["a`b", "``", "`x", " x ", "a``b`c"])
def test_a_name_with_backticks_stays_code(text: str) -> None:
    written = markdown.piece(Code(text))
    fence = re.match("`+", written)
    assert fence is not None and written.endswith(fence[0])
    inside = written[len(fence[0]) : -len(fence[0])]
    assert fence[0] not in re.findall("`+", inside) and inside.strip(" ") == text.strip(" ")
    listing = markdown.block(Listing("x\n````\ny"), {})
    assert listing.startswith("`````sh\n") and listing.endswith("\n`````")


def test_words_are_words_in_latex_and_the_pdf(tmp_path: Path) -> None:
    document = page(HOSTILE)
    (table,) = [block for block in document.blocks if isinstance(block, Table)]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", latex.table(table, "tab:one"))
    source = pdf.source(document)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", source) and 'link("javascript:' not in source
    pdf.write(document, tmp_path / "x.pdf")
    assert (tmp_path / "x.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("title", ["weight $\\frac$", "$x_1$", "\x1b[31mred", "a\u202eb"])
def test_titles_are_words_in_figures(title: str, tmp_path: Path) -> None:
    with figures.style():
        canvas = Canvas()
        text = canvas.subplots().set_title(title)
        figures.save(canvas, tmp_path / "figures" / "x.png")
    assert text.get_parse_math() is False and text.get_text() == title.replace("\x1b", "\\x1b").replace(
        "\u202e", "\\u202e"
    )


def test_different_names_have_different_places() -> None:
    names = ["all", "all-x", "all+x", "all-with-x", "baseline..x", "baseline.x", "baseline-to-x", "a@1", "a-at-1"]
    names += ['all"><img src=x>', "all'><img src=x>", "a b", "a\nb", "a%20b", "ä", "ö"]
    places = [anchor(name) for name in names]
    assert len(set(places)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", place) for place in places)
    assert places[:3] == ["runs-all", "runs-all-x", "runs-all-with-x"]


PUBLISHED = Path(__file__).parents[2] / "reports" / "published"


def test_published_names_are_names_and_have_the_places_that_they_had() -> None:
    seen = set()
    for file in PUBLISHED.glob("*/results.csv"):
        text = (file.parent / "report.md").read_text()
        for variant in kept.read_tidy(file)["variant"].unique():
            if f'<a id="{anchor(variant)}"></a>' in text:
                seen.add(variant)
            assert fits(VARIANT, variant)
    assert len(seen) > 90


def test_words_of_a_plan_reach_the_report_as_words(runs: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["data_name"] = "\x1b]0;x\x07<script>alert(1)</script>\n\n# heading"

    with_plan(runs, change)
    assert rendered("changes_overview", "--runs", str(runs), "--format", "md,html")[0] == 0
    folder = report_folder(runs, "changes_overview", "cpu")
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text()
        assert "\x1b" not in text and "alert(1)" in text and "\n# heading" not in text
    assert "<script>alert(1)" not in (folder / "report.html").read_text()


# --- pictures ---------------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(content, format="png")
    return content.getvalue()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (EPS, "it is no PNG"),
        (b"", "it is no PNG"),
        (b"GIF89a" + bytes(32), "it is no PNG"),
        (png(4096, 4096), "4096 x 4096 pixels are no grid"),
        (png(64, 64)[:-40], "is damaged"),
    ],
)
def test_a_sample_that_is_none_is_not_decoded_and_is_said(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "x.png"
    file.write_bytes(content)
    with pytest.raises(Damaged, match=f"{file}.*{said}"):
        read_grid(file, 16)
    with pytest.raises(Damaged):
        figures.first_tiles(file, 16, 1)


def test_a_report_goes_on_without_a_sample_that_is_none(runs: Path) -> None:
    folder = first_job(runs)
    file = folder.samples / f"{folder.job().config.iterations:06d}.png"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(EPS)
    assert rendered("changes_overview", "--runs", str(runs), "--format", "md")[0] == 0
    text = (report_folder(runs, "changes_overview", "cpu") / "report.md").read_text()
    assert (
        "A picture is left out:" in text
        and "A section is left out:" not in text
        and f"{file.name} is damaged (it is no PNG): remove it" in text
    )


# --- paths ------------------------------------------------------------------------------------------------------------


def test_a_plan_from_elsewhere_touches_nothing_elsewhere(runs: Path, tmp_path: Path) -> None:
    victim = tmp_path / "home" / "thesis"
    (victim / "figures").mkdir(parents=True)
    (victim / "figures" / FIGURES[0]).write_text("mine")
    with_plan(runs, lambda content: content.update(study="../../home", setting="thesis"))
    code, said = rendered("changes_overview", "--runs", str(runs))
    assert code == 2 and said.count("\n") == 1 and "cpu.json is damaged" in said
    assert [file.name for file in victim.rglob("*") if file.is_file()] == [FIGURES[0]]


@pytest.mark.parametrize("linked", ["", "figures", "tables"])
def test_a_report_is_written_through_no_link(linked: str, runs: Path, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", report_folder(runs, "changes_overview", "cpu")
    outside.mkdir()
    (outside / FIGURES[0]).write_text("mine")
    place = folder / linked if linked else folder
    place.parent.mkdir(parents=True)
    place.symlink_to(outside)
    code, said = rendered("changes_overview", "--runs", str(runs))
    assert code == 2 and said.count("\n") == 1 and f"{place} leads out of" in said
    assert [file.name for file in outside.rglob("*")] == [FIGURES[0]]


@pytest.mark.parametrize("linked", ["figures", "tables"])
def test_a_folder_that_was_asked_for_is_written_through_no_link_below_it(
    linked: str, runs: Path, tmp_path: Path
) -> None:
    outside, out = tmp_path / "outside", tmp_path / "real"
    outside.mkdir()
    out.mkdir()
    (out / linked).symlink_to(outside)
    (tmp_path / "out").symlink_to(out)
    with pytest.raises(InputError, match=f"{linked} leads out of"):
        render("changes_overview", runs=runs, out=tmp_path / "out")
    (out / linked).unlink()
    (out / "figures").mkdir()
    victim = outside / "victim"
    victim.write_text("mine")
    for name in (
        "report.md",
        "report.pdf",
        "results.csv",
        "verdicts.json",
        "figures/ladder.svg",
        "figures/samples.png",
    ):
        (out / name).symlink_to(victim)
    assert render("changes_overview", runs=runs, out=tmp_path / "out") == tmp_path / "out"
    assert victim.read_text() == "mine" and not (out / "figures" / "ladder.svg").is_symlink()


# --- a report folder from elsewhere -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "word"),
    [
        ("study", "{trap}"),
        ("study", "../x"),
        ("variant", '=HYPERLINK("http://x")'),
        ("variant", "../../x"),
        ("variant", "baseline<img>"),
        ("metric", "@SUM(1)"),
        ("status", "\x1b[2J"),
        ("protocol", "<b>"),
    ],
)
def test_names_of_a_received_table_are_names(
    column: str, word: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trap.py").write_text("from pathlib import Path\nPath('PWNED').write_text('ran')\n")
    tidy = load("changes_overview", runs).tidy
    tidy.loc[tidy.index if column == "study" else tidy.index[:1], column] = word.format(trap="./trap.py")
    (tmp_path / "theirs").mkdir()
    tidy.to_csv(tmp_path / "theirs" / "results.csv", index=False)
    with pytest.raises(InputError, match=f"as a {column}, which is none"):
        render_comparison("theirs", "changes_overview", runs=runs)
    assert not (tmp_path / "PWNED").exists()


def test_what_a_csv_says_that_is_no_number_begins_as_no_formula(runs: Path) -> None:
    for line in load("changes_overview", runs).tidy.to_csv(index=False).splitlines():
        assert not [cell for cell in line.split(",") if re.match(r"[=@\t\r]|[+-](?![\d.]|inf)", cell)]


# --- commands and overrides -------------------------------------------------------------------------------------------

VALUES = [None, True, False, 0.001, 7, 1e-9, float("inf"), [1, 2], {}, {"kind": "factorized", "rank": 4}]
WORDS = ["unit", "null", "None", "12", "1e3", ".5", "a b", "$(x)", "é", "", "=", "'", '"', "<x>"]


@pytest.mark.parametrize("value", [*VALUES, *WORDS])
def test_an_override_is_taken_back_as_it_is_printed(value: Any) -> None:
    (word,) = shlex.split(shlex.quote(override("a.b", value)))
    assert parse_override(word) == ("a.b", value)


@pytest.mark.parametrize(
    ("typed", "value"), [(".001", 0.001), ("5.", 5.0), ("+3", 3), ("-.5", -0.5), ("1.e-3", 0.001), ("+.5e1", 5.0)]
)
def test_numbers_are_taken_as_people_type_them(typed: str, value: float) -> None:
    path, found = parse_override(f"x={typed}")
    assert (path, found, type(found)) == ("x", value, type(value))
    overridden(Config(), {"optimizers.learning_rates.generator": parse_override("x=.001")[1]})


@pytest.mark.parametrize("typed", ["None", "True", "False"])
def test_pythons_words_are_refused_with_the_right_ones(typed: str) -> None:
    said = {"None": "null", "True": "true", "False": "false"}[typed]
    with pytest.raises(InputError, match=f"write evaluation.quality={said}"):
        parse_override(f"evaluation.quality={typed}")


def test_the_report_says_overrides_as_the_command_takes_them(tmp_path: Path) -> None:
    overrides: dict[str, object] = {"evaluation.quality": None, "optimizers.learning_rates.generator": 1e-05}
    runs = tmp_path / "ru ns"
    plan = planned(runs, overrides=overrides, only=["baseline"], seeds=[0])
    train_all(runs, plan)
    folder = render("changes_overview", runs=runs, setting=plan.setting, formats=("md",))
    text = (folder / "report.md").read_text()
    assert "evaluation.quality=null" in text and "=None" not in text
    block = next(b for b in re.findall(r"```sh\n(.*?)\n```", text, re.DOTALL) if "evaluation.quality" in b)
    words = shlex.split(block.split("\n\n")[0].replace("\\\n", " "))
    assert dict(parse_override(word) for word in words if "=" in word) == overrides


def test_every_word_of_a_printed_command_is_one_word(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["python", "<x; rm -rf ~>", "a b", "'", "$(x)", "=x", ""]
    assert shlex.split(wrapped(words).replace("\\\n", " ")) == words
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///a b;c.db")
    results = load("changes_overview", runs)
    command = Experiment(results.plan, runs).command
    assert command is not None and sqlite_file(shlex.split(command)[-1]) == tmp_path / "a b;c.db"
    # A deck's study is called by its name, whatever file its plan says.
    with_plan(runs, lambda content: content.update(declared_in="evil.py; touch x"))
    assert "evil" not in "".join(reproduce_commands(load("changes_overview", runs)))


@pytest.mark.parametrize("word", ['=HYPERLINK("http://x")', "../../x", "+1", "@SUM(1)", "a\nb", "<b>"])
def test_a_series_in_a_record_has_a_name(word: str) -> None:
    event = {"kind": "evaluated", "iteration": 1, "images": 1, "seconds": 1.0, "value": 1.0, "evaluation_seconds": 0.0}
    assert event_adapter.validate_python({**event, "metric": "fd_rooms/kid"})
    for further in ({"metric": word}, {"metric": "fd_rooms", "protocol": word}):
        with pytest.raises(ValidationError):
            event_adapter.validate_python({**event, **further})


def test_a_matplotlibrc_is_not_asked(tmp_path: Path) -> None:
    def drawn(name: str) -> bytes:
        with figures.style():
            canvas = Canvas()
            canvas.subplots().set_title("a $title$")
            figures.save(canvas, tmp_path / name)
        return (tmp_path / name).read_bytes()

    before = drawn("a.svg")
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30.0}):
        assert drawn("b.svg") == before
