"""Reports of the studies that measure more than one number of a run, and of those without changes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ablations.schema import DesignName
from reports import stats
from reports.claims import judge_claim
from reports.render import render
from reports.report import Report
from reports.results import load
from reports.sections.changes import rankable
from reports.verdicts import judge_changes
from studies import catalogue
from tests.support.pages import assert_links_resolve, page_of
from tests.support.runs import TRUE_FACTORS, planned, train_all


def rendered(runs: Path, study: str) -> tuple[Path, str]:
    train_all(runs, planned(runs, study, designs=("add_one_in",)))
    folder = render(study, runs=runs, formats=("md",))
    text = (folder / "report.md").read_text()
    assert_links_resolve(folder, text)
    assert "nan" not in re.findall(r"\w+", text)
    return folder, text


def words_of(runs: Path, study: str) -> dict[str, str]:
    results = load(study, runs)
    return {claim.name: judge_claim(claim, results).word for claim in results.study.claims}


def test_upsampling_is_judged_within_one_model_and_shown_by_convention(tmp_path: Path) -> None:
    folder, text = rendered(tmp_path, "upsampling")
    assert words_of(tmp_path, "upsampling") == {
        "natural_against_bilinear": "reproduced",
        "natural_against_own": "reproduced",
        "much_better": "inconclusive",
    }
    # How much better is a magnitude, which this scale contradicts on the wrong side of 1 alone; the margin came late.
    assert (
        "it depends on the reading: pixels as areas: inconclusive; pixels as corners: contradicted" in text
        and "its margin was declared after runs with these seeds" in text
    )
    assert "what follows differs. Scale: profile cpu here, lsun128 there; dataset: embedded rooms" in text
    assert "trained at pixel corners, as the deck" in text and "trained at pixel centres" in text
    row = next(line for line in text.splitlines() if "| bilinear | centres |" in line)
    assert re.search(r"\| (1\.9|2\.)\d* \[", row)
    # Opponents: in the table of ways, and beside each other with what their training computes.
    for method in ("Lanczos | corners", "sharpened bicubic | centres", "super-resolution network | centres"):
        assert f"| {method} |" in text
    (of_all, of_costs) = (line for line in text.splitlines() if "its own images |" in line and "equal" in line)
    assert "corners, as trained" in of_all and "| 1.00× |" in of_costs
    assert "### Opponents of a denser grid" in text and "which the column leaves out" not in text
    ratio = re.search(r"Distance over that of a denser grid: Lanczos 0.*, sharpened bicubic 0\.[78]\d \[", text)
    assert ratio is not None and "Trained otherwise: twice the size at equal arithmetic 0" in text
    assert {"upsampling.svg", "upsampled.png", "upsampled_centres.png"} <= {
        f.name for f in (folder / "figures").iterdir()
    }


def test_a_study_of_upsampling_without_opponents_reads_as_it_did(tmp_path: Path) -> None:
    """Older runs have four columns of pictures, and none of the further series."""
    train_all(
        tmp_path,
        planned(
            tmp_path,
            "upsampling",
            designs=("add_one_in",),
            only={"baseline", "baseline+pixel_centres"},
            overrides={"evaluation.upsampling.opponents": []},
        ),
    )
    text = page_of("upsampling", runs=tmp_path)
    assert "trained at pixel corners, as the deck" in text and "| bicubic | corners |" in text
    assert "Lanczos" not in text.partition("## The numbers")[0] and "Opponents of a denser grid" not in text
    assert "bicubic interpolation, and by the INR itself. The first latents" in text


def test_clipping_is_judged_by_paths_and_shown_as_strips_and_an_animation(tmp_path: Path) -> None:
    folder, text = rendered(tmp_path, "weight_clipping")
    words = words_of(tmp_path, "weight_clipping")
    assert words["awful"] == "inconclusive"
    assert "it depends on the reading: a longer path: reproduced; an uneven path: inconclusive" in text
    assert "perceptual path length" in text
    with Image.open(folder / "figures" / "interpolation.gif") as animation:
        assert animation.n_frames == 2 * 32 - 2
        assert animation.size == (8 * 16 * 6, 3 * 16 * 6)


def test_a_claim_of_several_pairs_that_is_not_planned_whole_has_no_table(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, "weight_clipping", designs=("add_one_in",), only=("baseline",)))
    text = page_of("weight_clipping", runs=tmp_path)
    assert text.count("Verdict: **not tested** (“emitted weights clipped at ±2” is not in the plan).") == 2
    assert "One sentence of the deck, every pair" not in text


def test_runs_that_measured_nothing_more_are_said_to_have_not(tmp_path: Path) -> None:
    plan = planned(tmp_path, "weight_clipping", designs=("add_one_in",), seeds=(0,))
    everything = {(variant.name, 0) for variant in plan.variants}
    train_all(tmp_path, plan, diverged=everything)
    text = page_of("weight_clipping", runs=tmp_path)
    assert "No run has measured it yet." in text
    assert "No run of seed 0 has kept interpolations." in text
    assert set(words_of(tmp_path, "weight_clipping").values()) == {"inconclusive"}


def test_a_study_of_one_model_has_one_number_and_its_conditions(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, "lsun_bedroom_64", designs=("add_one_in",)))
    text = page_of("lsun_bedroom_64", runs=tmp_path)
    assert "Verdict: **not comparable** (a number by itself holds under its own conditions alone)." in text
    for condition in (
        "Scale: profile cpu here, lsun64 there",
        "dataset: embedded rooms here, LSUN bedroom there",
        "metric",
    ):
        assert condition in text
    assert "Which changes" not in text and "End to end" not in text
    assert "Where the scatter comes from" in text


def test_a_study_reads_each_claim_at_its_own_iteration(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, "model_size", designs=("add_one_in",)))
    text = page_of("model_size", runs=tmp_path)
    assert "iteration 640 of 800" in text
    assert "Not the deck's, and exploratory in any case: deep INR: residual layers" in text
    assert "(exploratory)" in text


@pytest.fixture(scope="module")
def attributed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every design of changes_overview, where changes multiply and do not interact."""
    runs = tmp_path_factory.mktemp("attributed")
    designs: tuple[DesignName, ...] = ("ladder", "add_one_in", "leave_one_out", "screening", "shapley")
    train_all(runs, planned(runs, designs=designs, seeds=range(stats.LEAST_SEEDS)))
    return runs


def test_every_design_gives_every_change_its_effect(attributed: Path) -> None:
    effects = judge_changes(load("changes_overview", attributed))
    assert list(effects) == ["ladder", "add_one_in", "leave_one_out", "screening", "shapley"]
    widths = {}
    for design, judged in effects.items():
        for found in judged:
            assert found.effect is not None and found.effect.ratio is not None and found.effect.low is not None
            # 20 of these 50 intervals of 95% could miss by chance once or twice: four standard errors do not.
            assert found.effect.ratio == pytest.approx(TRUE_FACTORS[found.change.name], rel=0.35)
        widths[design] = np.median([np.log(e.effect.high / e.effect.low) for e in judged])  # type: ignore[union-attr,operator]
    # Effects of all runs together are narrower than those of single pairs, with as few degrees of freedom.
    assert widths["screening"] < 0.7 * min(widths[d] for d in ("ladder", "add_one_in", "leave_one_out"))
    screened = {e.change.name: e.word for e in effects["screening"]}
    for name in ("d1_g1", "learning_rates", "inr_size"):
        assert screened[name] == "helps"


def test_the_report_says_which_three_help_most_with_a_probability(attributed: Path) -> None:
    text = page_of("changes_overview", runs=attributed)
    assert "### The 3 changes that help most, and how sure that is" in text
    assert not any("with probability" in line for line in text.splitlines() if line.startswith("- **Ladder"))
    best = next(line for line in text.splitlines() if line.startswith("- **Screening: ") and "with probability" in line)
    for title in ("G updated at every D step", "G's learning rate ÷20", "INR 4× wider"):
        assert title in best.split("**")[1]
    assert re.search(r"with probability \d+%", best)
    assert "synergy" in text and "Shapley values: the mean step of each change over 4 random orders" in text


def test_nothing_is_ranked_where_too_little_is_resolved(full_report: Path) -> None:
    # Three seeds, of three designs.
    text = (full_report / "report.md").read_text()
    assert "help most" not in text and "most helpful" not in text and "carry the gain?" not in text


def test_a_design_is_ranked_by_whole_seeds_unless_one_comparison_collapsed(attributed: Path, tmp_path: Path) -> None:
    results = load("changes_overview", attributed)
    report = Report.of(results, tmp_path)
    for design in ("leave_one_out", "add_one_in"):
        effects = report.effects[design]
        found = rankable(design, effects, report)
        assert found is not None and found.df == 4 * 9
        assert np.exp(found.centres) == pytest.approx([e.effect.ratio for e in effects])  # type: ignore[union-attr]
    jobs = results.jobs.copy()
    jobs.loc[(jobs["variant"] == "all-r1") & (jobs["seed"] < 2), "value"] *= 50
    collapsed = Report.of(dataclasses.replace(results, jobs=jobs), tmp_path)
    assert rankable("leave_one_out", collapsed.effects["leave_one_out"], collapsed) is None
    jobs.loc[(jobs["variant"] == "all-r1") & (jobs["seed"] == 0), "value"] = np.inf
    diverged = Report.of(dataclasses.replace(results, jobs=jobs), tmp_path)
    assert rankable("leave_one_out", diverged.effects["leave_one_out"], diverged) is None


@pytest.mark.slow
def test_re_tuned_effects_stand_beside_those_as_published(tmp_path: Path) -> None:
    from studies.plan import record_plan
    from studies.runner.retune import retuned_plan, tuning_plan

    study = catalogue.study("changes_overview")
    plan = planned(tmp_path, seeds=(0, 1), only=("baseline", "baseline+fourier_inr", "all", "all-ns_loss"))
    train_all(tmp_path, plan)
    train_all(tmp_path, record_plan(tmp_path, tuning_plan(study, plan, 2)))
    tuned = record_plan(tmp_path, retuned_plan(study, plan, 2, tmp_path))
    assert tuned.setting == "cpu-retuned2" and tuned.retuned is not None
    train_all(tmp_path, tuned)
    for setting in ("cpu", "cpu-retuned2"):
        text = page_of("changes_overview", runs=tmp_path, setting=setting)
        assert "### As published beside re-tuned" in text
        assert "the best of the same 2 pairs of rates" in text
    assert "--seeds 0,1 --retune 2" in text.replace("\\\n", "").replace("    ", " ")
