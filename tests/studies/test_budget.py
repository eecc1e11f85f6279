"""What fits a budget: the documented rule, step by step, with costs that are set here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from ablations.designs import available
from ablations.schema import DesignName, Study
from core.errors import InputError
from core.machine import Machine
from studies import catalogue
from studies.durations import duration
from studies.plan import Plan
from studies.planning import make_plan
from studies.runner.tasks import tasks_of
from studies.times.budget import Choice, costing, fitting, parse_time, preference
from tests.studies.test_estimate import finish

WHOLE = catalogue.study("changes_overview")
STUDY = WHOLE.replace(more_designs=("add_one_in", "leave_one_out"))
GRID = catalogue.study("siren_vs_fourier")
HERE = Machine(processor="a processor", cores=2, device="cpu", threads=1, torch="2.15.0")


def everything(study: Study = STUDY, seeds: int = 10) -> Plan:
    return make_plan(study, study.profile("cpu"), designs=available(study), seeds=range(seeds))


def one_each(plan: Plan) -> float:
    """A second a run, one after the other."""
    return float(len(plan.variants) * len(plan.seeds))


def chosen(budget: float, study: Study = STUDY, designs: Sequence[DesignName] | None = None, seeds: int = 10) -> Choice:
    return fitting(study, everything(study, seeds), designs or available(study), budget, one_each)


def test_budgets_and_durations_are_times() -> None:
    texts = {"2h": 7200, "30m": 1800, "90s": 90, "1.5h": 5400, "1d": 86400, "2 H": 7200}
    assert {text: parse_time("--budget", text) for text in texts} == texts
    for text in ("", "2", "h", "-2h", "0h", "2 hours", "1e3s", "nan"):
        with pytest.raises(InputError, match="give a time, as in 90s"):
            parse_time("--budget", text)
    assert [duration(s) for s in (45, 185, 7500)] == ["45 s", "3 min 5 s", "2 h 5 min"]


@pytest.mark.parametrize(
    ("budget", "variants", "seeds", "designs"),
    [
        (2, 2, 1, set()),
        (5, 2, 2, set()),
        (6, 2, 3, set()),
        (35, 2, 10, set()),
        # The ladder shares the baseline with the claim, which compares 'all-ns_loss': 12 variants with 3 seeds.
        (36, 12, 3, {"ladder"}),
        (59, 12, 4, {"ladder"}),
        # add_one_in adds nine variants and does not fit, leave_one_out adds eight.
        (62, 20, 3, {"ladder", "leave_one_out"}),
        (63, 21, 3, {"ladder", "add_one_in"}),
        (1000, 29, 10, {"ladder", "add_one_in", "leave_one_out"}),
    ],
)
def test_claims_first_then_three_seeds_then_designs_then_seeds(
    budget: float, variants: int, seeds: int, designs: set[str]
) -> None:
    choice = chosen(budget)
    assert (len(choice.plan.variants), len(choice.plan.seeds)) == (variants, seeds)
    assert {design for variant in choice.plan.variants for design in variant.designs} == designs
    assert choice.seconds == one_each(choice.plan) <= budget
    assert {"baseline", "all-ns_loss"} <= {variant.name for variant in choice.plan.variants}


def test_a_design_that_does_not_fit_leaves_room_for_a_cheaper_one() -> None:
    def long_ladder(plan: Plan) -> float:
        return sum(10.0 if ".." in variant.name else 1.0 for variant in plan.variants) * len(plan.seeds)

    choice = fitting(STUDY, everything(), ["add_one_in", "ladder"], 40, long_ladder)
    assert {design for variant in choice.plan.variants for design in variant.designs} == {"add_one_in"}
    assert "left out: ladder, with which 3 seeds would take 3 min 45 s" in choice.lines


def test_what_is_left_out_is_said_with_its_reason() -> None:
    lines = chosen(50).lines
    assert lines[0] == "budget 50 s: the claims' variants, ladder with 4 seeds, about 48 s"
    assert "left out: add_one_in, with which 3 seeds would take 1 min 3 s" in lines
    assert "left out: more than 4 seeds, 5 would take 1 min 0 s" in lines
    assert any("pilot" in line for line in chosen(36).lines)
    assert any("anecdote" in line for line in chosen(2).lines)
    assert not any("left out" in line or "pilot" in line for line in chosen(1000).lines)


def test_without_claims_the_first_declared_design_comes_first() -> None:
    assert preference(GRID, available(GRID)) == ["grid", "add_one_in"]
    whole = len(everything(GRID, 1).variants)
    choice = chosen(2 * whole, GRID)
    assert (len(choice.plan.variants), len(choice.plan.seeds)) == (whole, 2)
    with pytest.raises(InputError, match=f"design grid with one seed would take {whole} s"):
        chosen(whole - 1, GRID)


def test_nothing_fits_and_nothing_known_are_one_line() -> None:
    with pytest.raises(InputError, match=re.escape("nothing fits --budget 1 s: the claims with one seed would take 2")):
        chosen(1)
    with pytest.raises(InputError, match="unknown, measure with --calibrate"):
        fitting(STUDY, everything(), available(STUDY), 1000, lambda _: None)


def test_runs_that_exist_cost_nothing_and_workers_share_the_rest(tmp_path: Path) -> None:
    plan = everything(seeds=3)
    tasks = [task.replace(expected_seconds=10.0) for task in tasks_of(plan)]
    for task in tasks:
        if task.variant != "all":
            finish(tmp_path, task, 10.0)
    cost = costing(tasks, tmp_path, machine=HERE, workers=2)
    assert cost(plan) == 20.0
    unknown = costing(tasks_of(plan), tmp_path, machine=HERE, workers=2)
    assert (unknown(plan), unknown(plan.replace(variants=plan.variants[:1]))) == (None, 0)


def jobs(plan: Plan) -> set[tuple[str, int]]:
    return {(variant.name, seed) for variant, seed in plan.jobs()}


def asked(designs: list[DesignName], seeds: int) -> Plan:
    return make_plan(WHOLE, WHOLE.profile("cpu"), designs=designs, seeds=range(seeds))


def test_a_screening_costs_the_runs_that_its_seeds_drew() -> None:
    whole = asked(["ladder", "shapley", "screening"], 10)

    def fits(designs: list[DesignName], budget: float) -> Choice:
        return fitting(WHOLE, whole, designs, budget, lambda plan: float(len(plan.jobs())))

    # Three seeds of the claims' two variants and of 24 others each; what shapley shares with them is asked for once.
    choice = fits(["screening"], 3 * (24 + 2))
    assert (choice.seconds, choice.plan.seeds) == (3 * (24 + 2), (0, 1, 2))
    assert jobs(choice.plan) == jobs(asked(["screening"], 3))
    assert fits(["screening"], 4 * (24 + 2)).plan.seeds == (0, 1, 2, 3)
    assert "left out: screening" in "; ".join(fits(["screening"], 3 * (24 + 2) - 1).lines)
    # With the ladder, the variants that it shares are trained with all seeds.
    assert jobs(fits(["ladder", "screening"], 1000).plan) == jobs(asked(["ladder", "screening"], 10))


def test_a_design_of_unknown_time_is_left_out_and_so_are_seeds_of_unknown_time() -> None:
    whole = asked(["ladder", "screening"], 5)
    timed = {(v.name, seed) for v, seed in whole.jobs() if "ladder" in v.designs or not v.designs}

    def cost(plan: Plan) -> float | None:
        return float(len(jobs(plan))) if jobs(plan) <= timed else None

    choice = fitting(WHOLE, whole, ["ladder", "screening"], 1000, cost)
    assert choice.seconds == 12 * 5
    assert "left out: screening, whose time is unknown, measure with --calibrate" in choice.lines
    timed = {(name, seed) for name, seed in timed if seed < 4}
    choice = fitting(WHOLE, whole, ["ladder"], 1000, cost)
    assert len(choice.plan.seeds) == 4
    assert "left out: more than 4 seeds, 5 take an unknown time, measure with --calibrate" in choice.lines
