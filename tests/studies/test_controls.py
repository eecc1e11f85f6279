"""Control arms: variants that are trained for longer, and what a comparison is at equal cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ablations.controls import Control
from core.arithmetic import g_updates, training
from core.config import Config
from core.errors import InputError
from reports.fair import COSTS, alike, at_equal, differs_in, fair_remark, read_earlier
from reports.render import render
from reports.results import load
from reports.verdicts import judge_design
from studies.catalogue import study as declared
from studies.plan import record_plan
from studies.planning import make_plan
from tests.support.commands import answer
from tests.support.runs import train_all

STUDY = declared("changes_overview")
CPU = STUDY.profile("cpu")


def test_a_control_is_its_variant_for_longer_with_its_seeds() -> None:
    plan = make_plan(STUDY, CPU, designs=["leave_one_out"], seeds=range(2), controls=True)
    control, of = plan.variant("all_d5_g1_five_times"), plan.variant("all-d1_g1")
    assert control is not None and of is not None
    assert isinstance(control.config, Config) and isinstance(of.config, Config)
    assert control.config.iterations == 5 * of.config.iterations
    assert control.config.evaluation.every == 5 * of.config.evaluation.every
    assert control.config.replace(iterations=of.config.iterations, evaluation=of.config.evaluation) == of.config
    against = plan.variant("all")
    assert against is not None and g_updates(control.config) == g_updates(against.config)
    assert plan.variant("none_five_times") is None, "its other arm is of a design that was not asked for"
    assert plan.seeds_of(control) == (0, 1) and control.designs == {}
    without = make_plan(STUDY, CPU, designs=["leave_one_out"], seeds=range(2))
    assert [v for v in plan.variants if not v.name.startswith("all_")] == list(without.variants)


def test_a_study_without_controls_says_so(tmp_path: Path) -> None:
    said = answer("model_size", "--controls", "--dry-run", "--runs", str(tmp_path))
    assert said.code == 2 and "--controls: model_size has no control arms" in said.err


@pytest.mark.parametrize("wrong", [{"change": "unknown"}, {"name": "all"}, {"name": "none_five_times"}])
def test_a_control_of_nothing_is_refused(wrong: dict[str, str]) -> None:
    fields = {**dict(STUDY.controls[0]), **wrong}
    with pytest.raises(ValueError, match="control"):
        STUDY.replace(controls=(*STUDY.controls[1:], Control(**fields)))


def test_what_two_arms_differ_in() -> None:
    plan = make_plan(STUDY, CPU, designs=["leave_one_out"], seeds=[0])

    def between(name: str) -> list[str]:
        one, other = plan.variant(name), plan.variant("all")
        assert one is not None and other is not None
        return list(differs_in(one.config, other.config))

    assert between("all-d1_g1") == ["updates of G", "arithmetic"]
    assert between("all-batch_size") == ["real images", "arithmetic"]
    assert between("all-learning_rates") == []
    assert set(COSTS) == {"updates of G", "real images", "arithmetic"}


def test_a_finding_says_whether_it_holds_at_equal_cost(tmp_path: Path) -> None:
    plan = make_plan(STUDY, CPU, designs=["leave_one_out"], seeds=range(4), controls=True)
    train_all(tmp_path, record_plan(tmp_path, plan))
    results = load("changes_overview", tmp_path)
    found = {e.change.name: e for e in judge_design("leave_one_out", results)}
    at = {(each.cost, bool(each.control)): each for each in at_equal(found["d1_g1"], results)}
    assert set(at) == {("updates of G", False), ("arithmetic", False), ("updates of G", True)}
    # D1:G1 has G's 160 updates of D5:G1's end at its own iteration 160.
    early = at["updates of G", False]
    without, with_it = results.variant("all-d1_g1"), results.variant("all")
    assert without is not None and with_it is not None and early.read_at == 160
    # Its value there is of 80, 90 and 100% of those updates, as the other's is of its own, not of the one at 160 alone.
    curves = [results.curve(with_it, seed).set_index("iteration")["evaluated"] for seed in range(4)]
    logs = [np.interp([128, 144, 160], c.index.to_numpy(float), np.log(c.to_numpy(float))).mean() for c in curves]
    ratio = np.exp(logs) / results.last(without)
    assert early.effect.ratio == pytest.approx(float(np.exp(np.log(ratio).mean())))
    assert not np.allclose(np.exp(logs), results.at(with_it, 160))
    longer = results.variant("all_d5_g1_five_times")
    assert longer is not None
    ratio = results.last(with_it) / results.last(longer)
    assert at["updates of G", True].effect.ratio == pytest.approx(float(np.exp(np.log(ratio).mean())))
    remark = fair_remark(found["d1_g1"], results)
    assert "equal updates of G" in remark and "arithmetic" in remark
    # Equal images and equal arithmetic of two batch sizes are one reading.
    batch = at_equal(found["batch_size"], results)
    assert [[each.cost for each in together] for together in alike(batch)] == [
        ["real images", "arithmetic"],
        ["real images"],
    ]
    # Equal arithmetic is read between two evaluations.
    work = read_earlier("arithmetic", without, with_it, results)
    assert work is not None
    spent = training(without.config) / training(with_it.config)
    assert work.read_at == pytest.approx(800 * spent, abs=1) and 0 < spent < 1
    page = (render("changes_overview", runs=tmp_path, formats=("md",)) / "report.md").read_text()
    assert "Changes that alter how much is computed" in page
    assert "“all − D1:G1, five times the iterations”" in page
    assert "--controls" in page, "the commands that train all of it again"


def test_a_plan_that_cannot_have_them_is_one_line() -> None:
    with pytest.raises(InputError, match="no control arms"):
        make_plan(declared("model_size"), declared("model_size").profile("cpu"), designs=[], seeds=[0], controls=True)
