"""The figure that answers a study: one for each, its rows in order, what is missing shown, its title what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from ablations.answers import ClaimsAnswer, NumberAnswer, VariantsAnswer
from ablations.schema import DesignName
from reports import abstract, figures, publish
from reports.answers import claims, number, variants
from reports.answers.frame import lines_of
from reports.finding_of_claims import asked, of_claims, pairs_of
from reports.finding_of_variants import Arm, Panel, aligned, of_number, of_variants, panels_of
from reports.layouts import layout_of
from reports.numbers import MOST_WORDS, interval
from reports.page import Figure
from reports.render import compose, render
from reports.report import Report
from reports.results import load
from reports.sections.answer import answer_figure
from studies import catalogue
from tests.reports.recorded import GRIDS
from tests.support import runs as synthetic
from tests.support.pages import page_of
from tests.support.runs import planned, train_all
from tests.support.searches import searched

SEEDS = (0, 1, 2)


def report_of(name: str, runs: Path) -> Report:
    return Report.of(load(name, runs), runs / "report")


def trained(name: str, runs: Path, *, seeds: Sequence[int] = SEEDS, **endings: Any) -> Report:
    """The report of a study's runs, a few variants of it where `only` names them."""
    only = endings.pop("only", None)
    designs: Sequence[DesignName] = ("grid",) if name in GRIDS else ("add_one_in",)
    train_all(runs, planned(runs, name, designs=designs, seeds=seeds, only=only), **endings)
    return report_of(name, runs)


def axes() -> Axes:
    return Canvas(figsize=(4, 3)).add_subplot()


def marks(ax: Axes, mark: str = "o") -> list[tuple[float, float, str]]:
    """Where marks stand and what colour their edges have."""
    return [
        (float(x), float(y), to_hex(line.get_markeredgecolor()))
        for line in ax.lines
        if line.get_marker() == mark
        for x, y in zip(np.atleast_1d(line.get_xdata()), np.atleast_1d(line.get_ydata()), strict=True)
    ]


def written(ax: Axes) -> list[str]:
    return [text.get_text().strip() for text in ax.texts]


# --- every study ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_every_study_opens_with_the_figure_of_its_finding(name: str, tmp_path: Path) -> None:
    study = catalogue.study(name)
    assert study.answer is not None
    if study.searches:
        train_all(tmp_path, searched(tmp_path))
    else:
        designs: Sequence[DesignName] = ("grid",) if name in GRIDS else ("add_one_in",)
        designs = designs if set(designs) & {*study.designs, *study.more_designs} else study.designs
        train_all(tmp_path, planned(tmp_path, name, designs=designs, seeds=SEEDS))
    report = report_of(name, tmp_path)
    layout = layout_of(study)
    told = layout.finding(report)
    answers = layout.answers(report)
    first = compose(report, layout, answers, told, with_records=False).blocks[0]
    assert isinstance(first, Figure) and first.path == "figures/answer.svg"
    assert told and first.alt.startswith(told[0])
    assert all(sentence.endswith(".") and "None" not in sentence and "nan" not in sentence for sentence in told)
    record = abstract.record(report, answers, told)
    assert record["finding"][:-1] == told and record["finding"][-1].startswith("(")
    assert "…" not in str(publish.found(record))
    if record["answer"] != "changes":
        assert publish.found(record) == told[0]
        assert "n = 3" in told[0] or "3 seeds" in told[0] or "no order to compare with" in told[0]


def test_every_sort_of_page_has_it_first_and_the_terminal_gets_its_words(tmp_path: Path) -> None:
    trained("weight_clipping", tmp_path)
    folder = render("weight_clipping", runs=tmp_path, formats=("md", "html"))
    assert (folder / "figures" / "answer.svg").exists()
    page = (folder / "report.md").read_text()
    assert page.index("figures/answer.svg") < page.index("**Run:**") < page.index("## ")
    told = json.loads((folder / "verdicts.json").read_text())["finding"]
    assert told[0].startswith("Whether clipping leaves the distance") or "Clipping at ±2" in told[0]
    assert told[0].replace("[", r"\[").replace("]", r"\]") in page


@pytest.mark.parametrize("name", ["model_size", "siren_vs_fourier", "lsun_bedroom_64", "inr_layers_gan"])
def test_without_a_run_that_ended_there_is_no_figure_and_no_finding(name: str, tmp_path: Path) -> None:
    plan = planned(tmp_path, name, designs=("add_one_in",), seeds=(0,))
    train_all(tmp_path, plan, unfinished={(variant.name, 0) for variant in plan.variants})
    report = report_of(name, tmp_path)
    told = layout_of(report.results.study).finding(report)
    assert told == [] and answer_figure(report, told) == []
    assert "answer.svg" not in page_of(name, runs=tmp_path)


@pytest.mark.parametrize("name", ["model_size", "siren_vs_fourier", "weight_clipping", "upsampling", "inr_layers_gan"])
def test_what_diverged_failed_or_is_missing_is_drawn_all_the_same(name: str, tmp_path: Path) -> None:
    plan = planned(tmp_path, name, designs=("add_one_in",), seeds=(0, 1, 2))
    last = plan.variants[-1].name
    train_all(tmp_path, plan, diverged={(last, 0)}, failed={(last, 1)}, skip={("baseline", 2)})
    report = report_of(name, tmp_path)
    told = layout_of(report.results.study).finding(report)
    (block,) = answer_figure(report, told)
    assert isinstance(block, Figure) and told and block.alt.startswith(told[0])
    assert "A section is left out" not in page_of(name, runs=tmp_path)


def test_a_claim_whose_variant_diverged_has_no_mark_and_says_why(tmp_path: Path) -> None:
    report = trained("model_size", tmp_path, diverged={("baseline+g_heads", 0)})
    (row,) = claims.rows_of(report.claims[1], report)
    assert row.effect is not None and row.effect.diverged == 1 and row.word == "inconclusive"
    with figures.style():
        ax = claims.panel(axes(), [(report.claims[1], [row])])
    assert not marks(ax) and "diverged" in written(ax)
    assert marks(ax, "D")[0][0] == pytest.approx(35 / 12)


def test_a_title_does_not_end_a_line_within_a_number_of_seeds() -> None:
    for count in range(40, 80, 7):
        lines = lines_of(f"{'a ' * count}value (×0.61 [0.27, 1.37], n = 3).")
        assert not any(line.endswith(("n", "n =")) for line in lines)
        assert lines[-1].endswith("n = 3).")


# --- claims -----------------------------------------------------------------------------------------------------------


def test_a_claims_rows_are_its_comparisons_with_the_decks_ratio_and_the_range(tmp_path: Path) -> None:
    report = trained("weight_clipping", tmp_path)
    distance, awful = (claims.rows_of(verdict, report) for verdict in report.claims)
    (row,) = distance
    assert row.label == "FD" and row.deck == pytest.approx(7.6 / 8) and row.range == pytest.approx((0.8, 1.25))
    assert row.effect == report.claims[0].effect and row.word == report.claims[0].word
    assert [row.label for row in awful] == ["perceptual path length, a longer path", "largest step, an uneven path"]
    # Runs of clipped weights have twice the path length, and no other step.
    assert [row.word for row in awful] == ["reproduced", "inconclusive"]
    assert awful[0].range == (1.0, np.inf) and awful[0].deck is None
    assert awful[0].effect is not None and awful[0].effect.ratio == pytest.approx(2, rel=0.1)


def test_a_claims_panel_has_every_ratio_at_its_place_in_the_colour_of_its_verdict(tmp_path: Path) -> None:
    report = trained("weight_clipping", tmp_path)
    groups = [(verdict, claims.rows_of(verdict, report)) for verdict in report.claims]
    with figures.style():
        ax = claims.panel(axes(), groups)
    rows = [row for _, of_claim in groups for row in of_claim]
    drawn = marks(ax)
    assert [x for x, *_ in drawn] == pytest.approx([row.effect.ratio for row in rows if row.effect is not None])
    assert [y for _, y, _ in drawn] == sorted(y for _, y, _ in drawn)
    colours = [claims.WORD_COLOURS.get(row.word, figures.GREY) for row in rows]
    assert [colour for *_, colour in drawn] == [to_hex(colour) for colour in colours]
    assert marks(ax, "D")[0][0] == pytest.approx(7.6 / 8)
    shaded = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [(p.get_x(), p.get_x() + p.get_width()) for p in shaded[:1]] == [pytest.approx((0.8, 1.25))]
    assert [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()] == [row.label for row in rows]
    assert [words for words in written(ax) if words.startswith("×")] and "reproduced" not in written(ax)[0]


def test_a_claims_finding_names_what_has_which_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for change, true in (("inr_depth_10", 2.0), ("g_heads", 0.3), ("d_30m", 1.0)):
        monkeypatch.setitem(synthetic.TRUE_FACTORS, change, true)
    report = trained("model_size", tmp_path)
    words = {verdict.claim.name: verdict.word for verdict in report.claims}
    assert words["inr"] == "reproduced" and words["generator"] == "contradicted"
    first, named, ratios = of_claims(report, ClaimsAnswer())
    assert "1 is contradicted" in first and len(first.split()) <= MOST_WORDS and "n = 3" in first
    assert "s the deck says: INR twice as deep" in named and "against the deck: G wider, with heads" in named
    for verdict in report.claims:
        for _, effect, _ in pairs_of(verdict, report.results):
            assert f"×{interval(effect)}" in ratios
    only = ClaimsAnswer(claims=("generator",))
    assert [verdict.claim.name for verdict in asked(report, only)] == ["generator"]
    assert of_claims(report, only)[0] == "Against the deck: G wider, with heads (n = 3)."


def test_a_denser_grid_is_told_by_its_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = trained("upsampling", tmp_path)
    told = layout_of(report.results.study).finding(report)
    assert report.claims[0].word == "reproduced"
    assert told[0].startswith("A denser grid beats bilinear enlarging in all 3 readings: ×0.")
    assert told[1].endswith("that it is much better is inconclusive.")
    monkeypatch.setattr(synthetic, "UPSAMPLED", {**synthetic.UPSAMPLED, "bilinear_centres": 1.0})
    train_all(tmp_path, report.results.plan)
    again = report_of("upsampling", tmp_path)
    assert again.claims[0].word == "inconclusive"
    assert layout_of(again.results.study).finding(again)[0].startswith("Whether a denser grid beats bilinear")


# --- variants ---------------------------------------------------------------------------------------------------------


def an_arm(name: str, *values: float, planned: bool = True, unstable: bool = False) -> Arm:
    return Arm(name, name, np.array(values), planned, unstable)


ARMS = (
    an_arm("gone", np.inf, 0.1, 0.1),
    an_arm("baseline", 0.4, 0.4, 0.4),
    an_arm("wild", 0.1, 0.1, 9.0, unstable=True),
    an_arm("best", 0.1, 0.2, 0.1),
    an_arm("none", np.nan, np.nan, np.nan),
    an_arm("second", 0.2, 0.3, 0.2),
)


def test_rows_are_in_order_of_their_means_and_what_did_not_end_well_comes_last() -> None:
    (panel,) = aligned([Panel("", ARMS, "baseline")], most=10)
    assert [arm.name for arm in panel.arms] == ["best", "second", "baseline", "wild", "gone", "none"]
    (few,) = aligned([Panel("", ARMS, "baseline")], most=1)
    assert [arm.name for arm in few.arms] == ["best", "baseline"]


def test_a_panel_shows_every_seed_and_says_what_became_of_the_others() -> None:
    (panel,) = aligned([Panel("", ARMS, "baseline")], most=10)
    with figures.style():
        ax = variants.draw_panel(axes(), panel, (0.05, 0.5), "{:.2f}".format, named=True, width=130)
    seeds = [(round(y), x) for x, y, _ in marks(ax)]
    assert sorted(x for row, x in seeds if row == 0) == [0.1, 0.1, 0.2]
    assert sorted(x for row, x in seeds if row == 3) == [0.1, 0.1]
    said = written(ax)
    assert {"diverged", "unstable", "no run has ended", "∞ 1/3", "one seed: 9.00 →"} <= set(said)
    (base,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert base.get_xdata()[0] == pytest.approx(0.4)  # type: ignore[index]
    assert [label.get_text() for label in ax.get_yticklabels()] == [arm.title for arm in panel.arms]
    grey = {y for _, y, colour in marks(ax) if colour == to_hex(figures.GREY)}
    assert grey == {3, 4}


def test_layers_have_the_same_rows_at_each_init(tmp_path: Path) -> None:
    report = trained("inr_layers", tmp_path)
    answer = report.results.study.answer
    assert isinstance(answer, VariantsAnswer)
    first, unit = panels_of(report.results, answer)
    assert (first.heading, unit.heading) == ("the formulas' init", "unit init")
    assert [arm.title for arm in first.arms] == [arm.title for arm in unit.arms] and len(first.arms) == 11
    means = [arm.summary.mean for arm in first.arms]
    assert means == sorted(mean for mean in means if mean is not None)
    assert first.arms[-1].title == "mFiLM" and first.arms[0].title == "Linear"
    assert {arm.name for arm in unit.arms} >= {"baseline+unit_init", "baseline+mfilm+unit_init"}


def test_layers_that_fail_are_those_whose_interval_says_so(tmp_path: Path) -> None:
    report = trained("inr_layers", tmp_path)
    told = layout_of(report.results.study).finding(report)
    assert told[0] == "At the formulas' init mFiLM is worse than a constant colour, at unit init none (n = 3)."
    assert told[1].startswith("At the formulas' init Linear is best, the next, ")
    few = trained("inr_layers", tmp_path / "few", only={"baseline", "baseline+mfilm", "baseline+unit_init"})
    assert layout_of(few.results.study).finding(few)[0].endswith("at unit init none of 1 (n = 3).")
    one = trained("inr_layers", tmp_path / "one", only={"baseline", "baseline+mfilm"}, seeds=(0,))
    assert layout_of(one.results.study).finding(one)[0].startswith("At the formulas' init none of 2 is worse")
    assert "(2 open)" in layout_of(one.results.study).finding(one)[0]


def test_layers_as_gans_stand_in_the_order_of_their_fits(tmp_path: Path) -> None:
    trained("inr_layers", tmp_path)
    report = trained("inr_layers_gan", tmp_path)
    answer = report.results.study.answer
    assert isinstance(answer, VariantsAnswer)
    fits = load("inr_layers", tmp_path)
    for panel, suffix in zip(panels_of(report.results, answer), ("", "+unit_init"), strict=True):
        there = [arm.elsewhere for arm in panel.arms]
        assert there == sorted(value for value in there if value is not None) and len(there) == 8
        by_title = {arm.title: arm.elsewhere for arm in panel.arms}
        # The profile reads FactorizedSE as the fits' other reading of it.
        assert by_title["FactorizedSE"] == fits.ends(f"baseline+factorized_se_root{suffix}").mean
        assert by_title["Linear"] == fits.ends(f"baseline{suffix}").mean
    told = layout_of(report.results.study).finding(report)
    assert told[0].startswith(("No order by fitting error is shown", "Fitting error predicts"))


def test_layers_without_fits_stand_by_their_own_values(tmp_path: Path) -> None:
    report = trained("inr_layers_gan", tmp_path)
    answer = report.results.study.answer
    assert isinstance(answer, VariantsAnswer)
    first = panels_of(report.results, answer)[0]
    assert [arm.rank for arm in first.arms] == sorted(arm.rank for arm in first.arms)
    assert all(arm.elsewhere is None for arm in first.arms)
    assert layout_of(report.results.study).finding(report)[0].startswith("The layers were not fitted to images")


FEW = ("baseline", "baseline+fourier_1", "baseline+fourier_2")
BESTS = (
    ({"fourier_1": 0.4}, "Best of 3: Fourier, σ = 1, ×0.", "of SIREN, the deck's init (n = 3)."),
    ({"fourier_1": 0.97}, "Best of 3, not resolved: ", "(n = 3)."),
    ({}, "Best of 3: SIREN, the deck's init; then Fourier, σ = ", "of it (n = 3)."),
)


@pytest.mark.parametrize(("factors", "begins", "ends"), BESTS, ids=["better", "open", "the base"])
def test_the_best_is_told_against_the_base_and_never_more_than_the_interval_says(
    factors: dict[str, float], begins: str, ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for change, true in ({"fourier_2": 1.6} | factors).items():
        monkeypatch.setitem(synthetic.TRUE_FACTORS, change, true)
    if not factors:
        monkeypatch.setitem(synthetic.TRUE_FACTORS, "fourier_1", 1.5)
    report = trained("siren_vs_fourier", tmp_path, only=FEW)
    first, *more = of_variants(report, VariantsAnswer(variants=FEW))
    assert first.startswith(begins) and first.endswith(ends)
    assert len(first.split()) <= MOST_WORDS
    best_is_base = "; then" in first
    assert any("picked as the best" in line for line in more) != best_is_base


def test_one_variant_is_its_samples_and_what_became_of_the_decks_number(tmp_path: Path) -> None:
    report = trained("lsun_bedroom_64", tmp_path)
    told = layout_of(report.results.study).finding(report)
    assert told == [f"All ten changes: FD {told[0].split('FD ')[1]}"]
    assert told[0].endswith("(n = 3); the deck's FID 12.75 does not compare.")
    (block,) = answer_figure(report, told)
    assert isinstance(block, Figure) and "by seed" in str(block.caption)
    gone = trained("lsun_bedroom_64", tmp_path / "gone", diverged={("baseline", 1)})
    assert layout_of(gone.results.study).finding(gone) == ["All ten changes diverged in 1 of 3 seeds."]


# --- a number ---------------------------------------------------------------------------------------------------------


def test_lines_go_through_their_variants_by_the_number_that_each_has(tmp_path: Path) -> None:
    report = trained("siren_vs_fourier", tmp_path, diverged={("baseline+fourier_30", 0)})
    results, answer = report.results, report.results.study.answer
    assert isinstance(answer, NumberAnswer)
    lines = {line.title: number.points_of(results, answer, line, None) for line in answer.lines}
    assert [x for x, _ in lines["SIREN"]] == sorted(x for x, _ in lines["SIREN"]) and len(lines["SIREN"]) == 6
    for x, arm in (point for points in lines.values() for point in points):
        variant = results.variant(arm.name)
        assert variant is not None and variant.config.inr.basis.scale == x
    shared = number.points_of(results, answer, answer.lines[1], "shared_coordinates")
    assert {arm.name for _, arm in shared} >= {"baseline+fourier_1+shared_coordinates"}
    with figures.style():
        ax = number.panel(axes(), lines, ((0.5, 200), (1.0, 100.0)))
    assert [line.get_label() for line in ax.lines if not str(line.get_label()).startswith("_")] == list(lines)
    crosses = marks(ax, "x")
    assert [x for x, *_ in crosses] == [30.0]
    assert any("1 of 12 variants diverged" in line for line in of_number(report, answer))


def test_siren_against_fourier_is_told_by_the_interval_of_the_best_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = {"baseline", "baseline+fourier_1"}
    for true, begins in (
        (0.5, "The best Fourier layer beats the best SIREN: ×0."),
        (2.0, "The best SIREN beats the best Fourier layer, which has ×"),
        (1.0, "The best Fourier layer over the best SIREN is not resolved: ×"),
    ):
        monkeypatch.setitem(synthetic.TRUE_FACTORS, "fourier_1", true)
        report = trained("siren_vs_fourier", tmp_path / f"{true}", only=only)
        told = layout_of(report.results.study).finding(report)
        assert told[0].startswith(begins) and "n = 3" in told[0] and len(told[0].split()) <= MOST_WORDS
