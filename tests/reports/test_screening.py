"""A study whose seeds drew variants of their own, from its plan to its report."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from ablations.designs import screening
from ablations.schema import DesignName
from reports import stats
from reports.attribution import main_effects
from reports.commands import reproduce_commands
from reports.render import render
from reports.results import Results, load
from reports.sections.changes import estimates_table
from reports.verdicts import judge_design
from studies.plan import Plan
from studies.runner.tasks import tasks_of
from tests.support.pages import assert_links_resolve, page_of
from tests.support.runs import TRUE_FACTORS, planned, train_all

SCREENING: tuple[DesignName, ...] = ("screening",)


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two seeds."""
    runs = tmp_path_factory.mktemp("screened")
    train_all(runs, planned(runs, designs=SCREENING, seeds=(0, 1)))
    return runs


@pytest.fixture(scope="module")
def three_seeds(two_seeds: Path) -> tuple[Path, Plan, Plan]:
    """The same after a third: the runs, and the plans before and now."""
    before = load("changes_overview", two_seeds).plan
    now = planned(two_seeds, designs=SCREENING, seeds=(0, 1, 2))
    there = {(variant.name, seed) for variant, seed in before.jobs()}
    train_all(two_seeds, now, skip=there)
    return two_seeds, before, now


def test_a_third_seed_keeps_the_runs_of_the_first_two_and_narrows_the_intervals(
    two_seeds: Path, three_seeds: tuple[Path, Plan, Plan]
) -> None:
    runs, before, now = three_seeds
    old, new = ({task.digest for task in tasks_of(plan)} for plan in (before, now))
    assert old < new and len(new - old) == 24 + 2
    results = load("changes_overview", runs)
    assert len(results.jobs) == 3 * 26 and results.count("finished") == 3 * 26
    assert results.seeds_with("screening") == (0, 1, 2)
    found = main_effects(results)
    assert not isinstance(found, str)
    for change, estimate in zip(results.study.changes, found, strict=True):
        assert estimate.effect.ratio == pytest.approx(TRUE_FACTORS[change.name], rel=0.15)
        assert (estimate.effect.n, estimate.df, estimate.diverged) == (3, 2, 0)


def test_variants_that_were_not_planned_with_a_seed_are_neither_missing_nor_counted(
    three_seeds: tuple[Path, Plan, Plan],
) -> None:
    results = load("changes_overview", three_seeds[0])
    assert results.count("not started") == 0
    variant = next(v for v in results.plan.drawn if results.plan.seeds_of(v) == (1,))
    assert np.isnan(results.last(variant)).tolist() == [True, False, True]
    assert results.folder_of(variant, 0) is None
    folder = results.folder_of(variant, 1)
    assert folder is not None and folder.outcome() is not None


def test_the_report_sums_up_what_seeds_drew_and_says_what_the_design_clears(
    three_seeds: tuple[Path, Plan, Plan],
) -> None:
    folder = render("changes_overview", runs=three_seeds[0])
    text = (folder / "report.md").read_text()
    assert_links_resolve(folder, text)
    assert "nan" not in re.findall(r"\w+", text)
    drawn = three_seeds[2].drawn_words
    assert re.fullmatch(r"screening, 7\d variants", drawn)
    assert f"2 variants with 3 seeds each, and {drawn} that its seeds drew, in 72 runs, on" in text
    cost = [line for line in text.splitlines() if line.startswith(f"| {drawn} |")]
    assert len(cost) == 1 and cost[0].split("|")[2].strip() == "72"
    assert "Interactions of two changes are kept out of the effects. Those of three and more are not" in text
    assert "Student's t over 3 seeds" in text
    assert "None: every planned run finished." in text
    # Only the appendix of all runs names them.
    name = three_seeds[2].drawn[0].name
    before, appendix = text.split("## Appendix: all runs")
    assert name not in before and name in appendix


def holed(results: Results, seed: int, missing: int) -> Results:
    """As though the first runs of a seed's screening had not ended."""
    subsets = screening(results.study, seed)[:missing]
    names = {variant.name for variant in results.plan.variants if variant.changes in subsets}
    lost = results.jobs["variant"].isin(names) & (results.jobs["seed"] == seed)
    assert lost.sum() == missing
    return replace(results, jobs=results.jobs.assign(value=results.jobs["value"].where(~lost, np.nan)))


def test_a_seed_with_missing_runs_is_fitted_or_left_out_and_told_of(three_seeds: tuple[Path, Plan, Plan]) -> None:
    whole = load("changes_overview", three_seeds[0])
    one, most = holed(whole, 2, 1), holed(whole, 2, 20)
    for results, seeds, said in (
        (one, 3, "1 run of the 3 seeds missing: least squares on the others"),
        (most, 2, "1 seed left out: too few of the runs ended"),
    ):
        effects = judge_design("screening", results)
        assert {effect.effect.n for effect in effects if effect.effect} == {seeds}
        assert said in estimates_table(results, "screening", effects).caption
    alone = main_effects(most)
    first = main_effects(load_two(whole))
    assert not isinstance(alone, str) and not isinstance(first, str)
    assert [e.effect for e in alone] == [e.effect for e in first]


def load_two(results: Results) -> Results:
    """The first two seeds alone."""
    return replace(results, plan=Plan(**{**dict(results.plan), "seeds": (0, 1)}))


def test_a_screening_that_is_not_planned_whole_says_so(tmp_path: Path) -> None:
    plan = planned(tmp_path, designs=(*SCREENING, "ladder"), seeds=(0,))
    kept = {variant.name for variant in plan.variants if "ladder" in variant.designs} | {
        variant.name for variant in plan.drawn[:20]
    }
    few = planned(tmp_path / "few", designs=(*SCREENING, "ladder"), seeds=(0,), only=kept)
    train_all(tmp_path / "few", few)
    assert main_effects(load("changes_overview", tmp_path / "few")) == "4 of 24 variants not run"
    none = planned(tmp_path / "none", seeds=(0,))
    train_all(tmp_path / "none", none)
    assert main_effects(load("changes_overview", tmp_path / "none")) == "not run"


def test_a_screening_of_fewer_seeds_than_the_ladder_is_estimated_and_reproduced_with_these(tmp_path: Path) -> None:
    planned(tmp_path, designs=SCREENING, seeds=(0, 1))
    plan = planned(tmp_path, designs=("ladder",), seeds=(0, 1, 2))
    train_all(tmp_path, plan)
    results = load("changes_overview", tmp_path)
    assert (results.seeds_with("ladder"), results.seeds_with("screening")) == ((0, 1, 2), (0, 1))
    found = main_effects(results)
    assert not isinstance(found, str) and {e.effect.n for e in found} == {2}
    commands = reproduce_commands(results)
    assert ["--only" in command for command in commands] == [False, False, True, False]
    assert "--design ladder --seeds 0,1,2" in commands[0] and "--design screening --seeds 0,1" in commands[1]
    assert "--only all-ns_loss --seeds 0,1,2" in commands[2], "the claim's, which is in neither design"


def test_one_seed_has_effects_and_no_verdict(tmp_path: Path) -> None:
    train_all(tmp_path, planned(tmp_path, designs=SCREENING, seeds=(5,)))
    effects = judge_design("screening", load("changes_overview", tmp_path))
    assert {(e.word, e.why) for e in effects} == {("open", "one seed: no interval")}
    assert all(isinstance(e.effect, stats.Effect) and e.effect.ratio is not None for e in effects)


def test_diverged_runs_count_as_the_worst_and_the_caption_counts_them(tmp_path: Path) -> None:
    plan = planned(tmp_path, designs=SCREENING, seeds=(0, 1))
    gone = [(variant.name, seed) for variant, seed in plan.jobs() if variant in plan.drawn][:3]
    train_all(tmp_path, plan, diverged=gone, failed=[(v.name, s) for v, s in plan.jobs() if v in plan.drawn][3:4])
    results = load("changes_overview", tmp_path)
    effects = judge_design("screening", results)
    assert {e.estimate.diverged for e in effects if e.estimate} == {3}
    caption = estimates_table(results, "screening", effects).caption
    assert "3 diverged runs stand in with the worst value" in caption and "1 run of the 2 seeds missing" in caption
    text = page_of("changes_overview", runs=tmp_path)
    assert f" {plan.drawn_words}: 3 of " in text


def test_what_three_changes_do_together_is_no_verdict_on_a_fourth(three_seeds: tuple[Path, Plan, Plan]) -> None:
    """From runs to verdicts: four changes interact in threes, six do nothing."""
    results = load("changes_overview", three_seeds[0])
    names = [change.name for change in results.study.changes]
    changes = {variant.name: variant.changes for variant in results.plan.variants}
    on = np.array([[1.0 if n in changes[str(v)] else -1.0 for n in names] for v in results.jobs["variant"]])
    rng = np.random.default_rng(0)
    told, tested = [], 0
    for _ in range(12):
        logs = rng.normal(0, 0.1, len(on))
        for each in combinations(range(4), 3):
            logs += 0.4 * rng.choice([-1, 1]) * on[:, list(each)].prod(axis=1)
        effects = judge_design("screening", replace(results, jobs=results.jobs.assign(value=np.exp(logs))))
        tested += sum(effect.effect is not None and effect.effect.low is not None for effect in effects[4:])
        told.append(any(effect.word in ("helps", "hurts") for effect in effects[4:]))
    assert tested == 12 * 6
    # At most one family in twenty, so that four of twelve have a chance of 1 in 400.
    assert sum(told) < 4
