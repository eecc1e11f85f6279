"""What figures and tables promise: colours of verdicts, one kind of mean, counted cost, labels that are whole."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path

import matplotlib.colors as mc
import numpy as np
import pytest
from matplotlib.artist import Artist
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text as Drawn
from matplotlib.textpath import TextPath
from PIL import Image

from core.folder import RunFolder
from reports import charts, figures, fonts, remarks, stats
from reports.abstract import abstract, change_answers, spoken
from reports.layouts import layout_of
from reports.page import Abstract, Link, Table
from reports.report import Report, highlighted
from reports.results import Results, load
from reports.seconds import why_left_out
from reports.sections import which_changes
from reports.sections.changes import forest_groups
from reports.sections.curves import curve_axes
from reports.sections.end_to_end import end_to_end_line
from reports.sections.ladder import ladder_section, ladder_table
from reports.sections.runs import cost_table
from reports.sections.setting import changes_table
from reports.verdicts import one_family
from studies import catalogue
from studies.plan import Plan, jobs_root
from tests.support.runs import planned, train_all

VERDICTS = {"helps", "hurts"}


def rewritten(runs: Path, plan: Plan, name: str, seed: int, *, value: float = 1.0, seconds: float = 1.0) -> None:
    """Multiplies the metric, or the seconds, of a run."""
    variant = plan.variant(name)
    assert variant is not None
    folder = RunFolder(jobs_root(runs), variant.job(seed))
    lines = [json.loads(line) for line in folder.events_file.read_text().splitlines()]
    for line in lines:
        line["seconds"] *= seconds
        if line["kind"] == "evaluated" and line["metric"] == "fd_rooms":
            line["value"] *= value
    folder.events_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    outcome = folder.read("outcome.json")
    folder.write("outcome.json", json.dumps({**outcome, "seconds": outcome["seconds"] * seconds}))


@pytest.fixture(scope="module")
def exploded(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The designs of pairs, with one seed of rung 4 gone astray and one run under a load."""
    runs = tmp_path_factory.mktemp("exploded")
    plan = planned(runs, designs=("ladder", "add_one_in", "leave_one_out"))
    train_all(runs, plan)
    rewritten(runs, plan, "baseline..d1_g1", 1, value=9.0)
    rewritten(runs, plan, "baseline..d1_g1", 0, value=0.5)
    rewritten(runs, plan, "all", 2, seconds=2.5)
    return load("changes_overview", runs)


def colours_of(artist: Artist) -> set[str]:
    """Every colour that anything below an artist is drawn in."""
    found = set()
    for part in artist.findobj():
        for name in ("get_color", "get_markerfacecolor", "get_markeredgecolor", "get_facecolor", "get_edgecolor"):
            if hasattr(part, name):
                value = getattr(part, name)()
                for colour in value if isinstance(value, np.ndarray) and value.ndim == 2 else [value]:
                    if mc.is_color_like(colour):
                        found.add(mc.to_hex(colour))
    return found


# --- colours ----------------------------------------------------------------------------------------------------------


def test_colours_of_verdicts_are_on_nothing_that_is_open() -> None:
    effects = tuple(stats.Effect(3, 0.8, 0.6, 1.1) for _ in charts.DESIGN_MARKS)
    ax = Canvas().subplots()
    charts.forest(ax, [charts.ForestRow("a", effects, ("inconclusive",) * 5)], [str(n) for n in range(5)])
    assert not colours_of(ax) & {figures.BLUE, figures.VERMILLION}
    assert len(set(charts.DESIGN_MARKS)) == 5
    ax = Canvas().subplots()
    words = ("helps", "hurts", "inconclusive", "unstable", "not run")
    charts.forest(ax, [charts.ForestRow("a", (*effects[:4], None), words)], [str(n) for n in range(5)])
    assert {figures.BLUE, figures.VERMILLION} <= colours_of(ax)
    ax = Canvas().subplots()
    charts.ladder(ax, [charts.Rung("a", np.array([1.0, 2.0]), "inconclusive")], "m")
    assert not colours_of(ax) & {figures.BLUE, figures.VERMILLION}


def test_colours_of_anything_else_are_no_verdicts(exploded: Results, tmp_path: Path) -> None:
    verdicts = set(figures.VERDICT_COLOURS.values())
    assert set(figures.VERDICT_COLOURS) == VERDICTS
    assert not verdicts & set(figures.palette(10)) and not verdicts & set(figures.CATEGORIES)
    assert not verdicts & set(highlighted(Report.of(exploded, tmp_path)).values())
    for colour in figures.CATEGORIES:
        for verdict in verdicts:
            assert np.abs(np.subtract(mc.to_rgb(colour), mc.to_rgb(verdict))).sum() > 0.4, (colour, verdict)
    # `figures` draws verdicts; the page of two reports beside each other has its own.
    for file in Path(figures.__file__).parent.rglob("*.py"):
        if file.name not in ("figures.py", "side_by_side.py"):
            assert not re.search(r"figures\.(BLUE|VERMILLION)", file.read_text()), file.name


# --- instability ------------------------------------------------------------------------------------------------------


def test_an_unstable_rung_and_the_way_out_of_it_are_nobodys_gain(exploded: Results, tmp_path: Path) -> None:
    assert exploded.unstable == {"baseline..d1_g1"}
    report = Report.of(exploded, tmp_path)
    words = {e.change.name: e.word for e in report.effects["ladder"]}
    assert [name for name, word in words.items() if word == "unstable"] == ["d1_g1", "batch_size"]
    assert not [e for d in ("add_one_in", "leave_one_out") for e in report.effects[d] if e.word == "unstable"]
    (answer,) = (spoken(a) for a in change_answers(report) if spoken(a).startswith("Ladder"))
    assert "2 are unstable: D1:G1 and batch ×2; rungs 4 and 5 cannot be read as single steps" in answer
    section = ladder_section(report)
    assert any("Rung 4 (" in str(block) and "is unstable over seeds" in str(block) for block in section)
    (table,) = (block for block in section if isinstance(block, Table))
    verdict = [column.title for column in table.columns].index("verdict")
    assert [str(row[verdict]).split(":")[0] for row in table.rows[4:6]] == ["unstable", "unstable"]
    bullets = " ".join(spoken(item) for block in which_changes(report) for item in getattr(block, "items", ()))
    assert "Ladder: SIREN" not in bullets and "2 unstable over seeds: " in bullets


def test_a_study_without_such_a_rung_says_nothing_of_it(ladder_runs: Path, tmp_path: Path) -> None:
    report = Report.of(load("changes_overview", ladder_runs), tmp_path)
    assert not any("nstable" in spoken(answer) for answer in change_answers(report))
    assert not any("nstable." in str(block) for block in ladder_section(report)[:-2])


def test_an_outlying_seed_is_named_at_the_edge_of_the_axis() -> None:
    quiet = charts.Rung("a", np.array([0.4, 0.5, 0.45]))
    ax = Canvas().subplots()
    charts.ladder(ax, [quiet, charts.Rung("b", np.array([0.545, 1.53, 11.52]), "unstable", unstable=True)], "m")
    assert ax.get_xlim()[1] < 3
    assert "one seed: 11.5 →" in [text.get_text() for text in ax.findobj(Drawn)]
    assert all(11.52 not in line.get_xdata() for line in ax.lines)
    ax = Canvas().subplots()
    charts.ladder(ax, [quiet, charts.Rung("b", np.array([0.545, 1.53, 11.52]))], "m")
    assert ax.get_xlim()[1] > 11.52


def test_an_unstable_effect_does_not_stretch_the_forest() -> None:
    wild, tame = stats.Effect(3, 0.02, 0.001, 50.0), stats.Effect(3, 0.9, 0.8, 1.1)
    limits = []
    for word in ("unstable", "open"):
        ax = Canvas().subplots()
        charts.forest(ax, [charts.ForestRow("a", (wild,), (word,)), charts.ForestRow("b", (tame,), ("open",))], "x")
        limits.append(ax.get_xlim()[1])
    assert limits[0] < 2 < limits[1]


# --- one kind of mean -------------------------------------------------------------------------------------------------


def test_tables_and_figures_of_one_quantity_print_the_same_number(exploded: Results, tmp_path: Path) -> None:
    report = Report.of(exploded, tmp_path)
    table = ladder_table(exploded, report.effects["ladder"])
    last = [column.title for column in table.columns].index("800")
    rungs = [v for name in remarks.ladder_names(exploded.study) if (v := exploded.variant(name)) is not None]
    ax = Canvas().subplots()
    charts.ladder(ax, [charts.Rung(v.name, exploded.last(v)) for v in rungs], "m")
    drawn = [text.get_text().split()[0] for text in ax.texts]
    printed = [str(cell.text) for row in table.rows if isinstance(cell := row[last], Link)]
    assert len(printed) == len(drawn) == 11
    for one, other, variant in zip(printed, drawn, rungs, strict=True):
        assert float(one) == pytest.approx(float(other), rel=0.006)
        assert float(other) == pytest.approx(np.exp(np.log(exploded.last(variant)).mean()), rel=0.01)
    variant = rungs[4]
    curves = [exploded.curve(variant, seed) for seed in exploded.plan.seeds]
    mean = charts.mean_curve([(c["iteration"].to_numpy(float), c["value"].to_numpy(float)) for c in curves])
    assert mean is not None and mean[1][-1] == pytest.approx(float(drawn[4]), rel=0.006)


def test_no_page_has_an_arithmetic_mean_of_the_metric(full_report: Path) -> None:
    text = (full_report / "report.md").read_text()
    shares = text.split("## Other measures")[1].split("\n## ")[0]
    assert " ± " not in text.replace(shares, "") and "×/÷" in text
    assert "arithmetic mean ± sd" in shares
    assert "geometric mean ×/÷ geometric standard deviation over seeds (n)" in text


# --- cost -------------------------------------------------------------------------------------------------------------


def test_seconds_under_a_load_are_left_out_and_it_is_said_why(exploded: Results, tmp_path: Path) -> None:
    assert "runs of one variant" in why_left_out(exploded)
    # Steady within each variant, under another load for one of two that do the same work.
    jobs = exploded.jobs.copy()
    jobs["seconds"] = 20.0
    assert why_left_out(dataclasses.replace(exploded, jobs=jobs)) == ""
    jobs.loc[jobs["variant"] == "baseline..generator_ema", "seconds"] = 31.0
    assert "variants of equal arithmetic differ by up to 55%" in why_left_out(dataclasses.replace(exploded, jobs=jobs))
    report = Report.of(exploded, tmp_path)
    for table in (cost_table(exploded), ladder_table(exploded, report.effects["ladder"])):
        heads = [column.title for column in table.columns]
        assert not [head for head in heads if re.search(r"\bs\b|s/", head)], heads
        assert "Seconds are left out: runs of one variant" in str(table.caption)
        assert "GMAC" in heads and "G updates" in heads
        assert all(len(row) == len(heads) for row in table.rows)
    (table,) = (block for block in end_to_end_line(report) if isinstance(block, Table))
    assert [str(row[0]).split(" (")[0] for row in table.rows] == ["equal iterations", "equal arithmetic of training"]


def test_seconds_of_a_calm_machine_are_shown(ladder_runs: Path, tmp_path: Path) -> None:
    results = load("changes_overview", ladder_runs)
    assert "train s" in [column.title for column in cost_table(results).columns]
    (table,) = (b for b in end_to_end_line(Report.of(results, tmp_path)) if isinstance(b, Table))
    assert str(table.rows[-1][0]).startswith("equal training seconds")


def test_one_seed_says_nothing_of_the_load(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, seeds=(0,)))
    results = load("changes_overview", tmp_path)
    assert "single finished run" in why_left_out(results)


def test_curves_are_drawn_along_counted_cost(exploded: Results, ladder_runs: Path, tmp_path: Path) -> None:
    assert [words for *_, words in curve_axes(exploded)] == ["iterations", "images", "updates of G", "arithmetic"]
    plan = planned(tmp_path, "model_size", designs=("add_one_in",), seeds=(0,))
    train_all(tmp_path, plan)
    assert [words for *_, words in curve_axes(load("model_size", tmp_path))] == ["iterations", "arithmetic"]


# --- one sentence -----------------------------------------------------------------------------------------------------


def test_more_updates_of_g_are_told_wherever_the_effect_is(exploded: Results, tmp_path: Path) -> None:
    report = Report.of(exploded, tmp_path)
    said = "with it G also has 5 times as many updates: 800, not 160"
    first = spoken(change_answers(report)[0])
    assert "helps: D1:G1 0." in first
    assert "At equal cost (95%, not corrected): D1:G1 holds at equal arithmetic ×" in first
    assert "is not resolved at equal updates of G ×" in first
    bullets = [spoken(item) for block in which_changes(report) for item in getattr(block, "items", ())]
    assert any("equal updates of G ×" in bullet for bullet in bullets if " help" in bullet and TITLE in bullet)
    rows = {str(row[1]): str(row[-1]) for row in changes_table(exploded).rows}
    assert [said.capitalize().replace("g also", "G also") in reading for reading in rows.values()].count(True) == 1
    changes = {change.name: remarks.g_updates_remark(change, exploded) for change in exploded.study.changes}
    assert [name for name, remark in changes.items() if remark] == ["d1_g1"]


def test_a_finding_says_whether_it_holds_over_all_designs(exploded: Results, tmp_path: Path) -> None:
    report = Report.of(exploded, tmp_path)
    family = one_family(report.effects)
    assert (family.comparisons, family.designs) == (28, 3)
    found = [e for effects in report.effects.values() for e in effects if e.word in VERDICTS]
    assert found
    whole = "when all 28 comparisons of all designs are one family"
    for effect in found:
        keeps = "it stays" if family.keeps(effect) else "it does not stay"
        assert remarks.family_words([effect], report.effects) == f"{keeps} so {whole}"
    lost = [effect.change.brief for effect in found if not family.keeps(effect)]
    words = remarks.family_words(found, report.effects)
    assert words.endswith(whole) and all(name in words for name in lost) == (0 < len(lost) < len(found) or not lost)
    assert remarks.family_words(found, {"add_one_in": report.effects["add_one_in"]}) == ""


def lines_of(study: str, results: Results, folder: Path) -> list[str]:
    report = Report.of(results, folder)
    head = abstract(report, layout_of(results.study).answers(report))
    assert isinstance(head, Abstract)
    return [spoken(line) for line in head.items]


def test_a_claim_of_no_change_hides_neither_its_interval_nor_the_change(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, "weight_clipping", designs=("add_one_in",)))

    def line(*clipped: float) -> str:
        results = load("weight_clipping", tmp_path)
        for name, values in (
            ("baseline", (1.0, 1.1, 1.2)),
            ("baseline+clip_2", clipped),
            ("baseline+clip_1", (1.0, 1.2, 1.1)),
        ):
            results.jobs.loc[results.jobs["variant"] == name, "value"] = list(values)
        (found,) = (x for x in lines_of("weight_clipping", results, tmp_path) if "does not change FID" in x)
        return found

    change = "as one of this study's 2 changes the same comparison is"
    before = line(0.93, 1.01, 1.05)
    assert before.startswith("Reproduced:") and "The interval excludes “no change at all”; " in before
    assert f"{change} open: helps before the correction." in before
    assert f"{change} helps" in line(0.91, 0.99, 1.06)
    assert "excludes" not in line(0.93, 1.15, 1.12) and change not in line(0.93, 1.15, 1.12)


# --- labels -----------------------------------------------------------------------------------------------------------

TITLE = catalogue.study("changes_overview").change("d1_g1").title
TITLES = sorted(
    {f"{10}  + {change.title}" for study in catalogue.everything()[0] for change in study.changes}
    | {"only G 1024×5 → 2048×3 and heads of 1024×3, INR 256×5 → 256×10, 256×10 at half the learning rates", "W" * 90}
)


@pytest.mark.parametrize("resolution", [16, 64])
def test_labels_of_sheets_are_whole(resolution: int, tmp_path: Path) -> None:
    tiles = np.zeros((12, resolution, resolution, 3), dtype=np.uint8)
    with figures.style():
        sheet = figures.sample_sheet([(title, tiles) for title in TITLES])
        figures.save(sheet, tmp_path / "sheet.png")
        width = int(figures.LABEL_INCHES * sheet.dpi)
        pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
        boxes = [text.get_window_extent() for text in sheet.texts]
    assert (pixels[:, :2] == 255).all()
    assert (pixels[:, width - 4 : width] == 255).all() and (pixels[:, :width] < 255).any()
    # From top to bottom no label reaches into the next one's row.
    assert all(above.y0 >= below.y1 - 1 for above, below in itertools.pairwise(boxes))


@pytest.mark.parametrize("name", ["momentum of the generator's optimizer " * 5, "W" * 600, "研究" * 60])
def test_a_long_name_leaves_room_for_the_figure_and_for_the_other_names(name: str) -> None:
    names = [name, *(change.title for change in catalogue.study("changes_overview").changes)]
    with figures.style():
        canvas = Canvas(figsize=(figures.WIDTH, 4.0), layout="constrained")
        ax = canvas.subplots()
        charts.forest(ax, [charts.ForestRow(name, (None,), ("not run",)) for name in names], ["ladder"])
        ax.plot([], [], label=name)
        figures.shared_legend(canvas, [ax])
        canvas.draw_without_rendering()
        ticks = [tick.get_window_extent() for tick in ax.get_yticklabels()]
        assert ax.get_window_extent().width > canvas.bbox.width / 2
    assert len(ticks) == len(names) and min(box.x0 for box in ticks) >= 0


def test_a_line_is_as_wide_as_its_drawn_outlines() -> None:
    with figures.style():
        prop = FontProperties(family=[fonts.FIGURES])
        for text in ("none of the ten changes", "×0.49 [0.44, 0.55] – “Jÿ”", "all − R1, ≥ 5 %", "W" * 40):
            drawn = TextPath((0, 0), fonts.shown(text), size=7.5, prop=prop).get_extents().width
            assert figures.text_points(text, 7.5) == pytest.approx(drawn, abs=1e-6)
        assert figures.text_points(" ", 7.5) == figures.text_points("", 7.5) == 0


def test_lines_of_signs_are_as_wide_as_their_outlines() -> None:
    with figures.style():
        for text in ("momentum of the generator's optimizer " * 4, "W" * 150, "Fourier features, not SIREN; " * 6):
            outlines = figures.text_points(text[: figures.LONG_LINE], 7.5) / figures.LONG_LINE
            assert figures.text_points(text, 7.5) / len(text) == pytest.approx(outlines, rel=0.05)


def test_changes_on_another_base_have_a_header(tmp_path: Path) -> None:
    study = catalogue.study("model_size")
    assert forest_groups(study.changes) == ((0, "added to the base"), (3, "added to INR twice as deep"))
    assert forest_groups(catalogue.study("changes_overview").changes) == ()
    ax = Canvas().subplots()
    rows = [charts.ForestRow(c.title, (stats.Effect(3, 0.9, 0.8, 1.1),), ("inconclusive",)) for c in study.changes]
    charts.forest(ax, rows, ["add one in"], forest_groups(study.changes))
    headers = [text.get_position()[1] for text in ax.texts]
    ticks = list(ax.get_yticks())
    assert headers == [0.0, 4.0] and ticks == [1.0, 2.0, 3.0, 5.0, 6.0, 7.0]


def test_a_step_down_from_a_rung_worse_than_the_first_is_told_as_a_recovery(ladder_runs: Path, tmp_path: Path) -> None:
    results = load("changes_overview", ladder_runs)
    jobs = results.jobs.copy()
    values = {"baseline..r1": [0.45, 0.5, 0.52], "baseline..d1_g1": [0.42, 0.86, 1.42], "baseline": [0.36, 0.37, 0.38]}
    for name, arm in values.items():
        jobs.loc[jobs["variant"] == name, "value"] = arm
    rest = ~jobs["variant"].isin(values)
    jobs.loc[rest, "value"] = jobs.loc[rest, "value"].clip(upper=0.3)
    report = Report.of(dataclasses.replace(results, jobs=jobs), tmp_path)
    said = "Rung 4 (0.42, 0.86, 1.42) lies above rung 0 (0.37; ×2.16 ["
    assert any(said in str(block) for block in ladder_section(report))
    assert any(said in spoken(item) for block in which_changes(report) for item in getattr(block, "items", ()))
    assert not any("Rung 4" in str(block) for block in ladder_section(Report.of(results, tmp_path)))
