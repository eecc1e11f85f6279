"""The best of tried rates is chosen among values that were measured alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InputError
from core.metrics.protocol import as_json
from studies import catalogue
from studies.plan import Plan
from studies.planning import make_plan
from studies.runner import retune
from studies.runner.retune import retuned_plan, tuning_plan
from tests.support.runs import protocols_of, write_run

STUDY = catalogue.study("changes_overview")


def tried(runs: Path) -> tuple[Plan, Plan]:
    """A plan of one variant, and that of its two tries, which have been run."""
    whole = make_plan(STUDY, STUDY.profile("cpu"), designs=["ladder"], seeds=[0])
    plan = whole.replace(variants=whole.variants[:1])
    tuning = tuning_plan(STUDY, plan, 2)
    for variant in tuning.variants:
        write_run(runs, variant, retune.SEED, "finished")
    return plan, tuning


def test_tries_of_another_protocol_are_not_compared(tmp_path: Path) -> None:
    plan, tuning = tried(tmp_path)
    tuned = retuned_plan(STUDY, plan, 2, tmp_path)
    assert tuned.retuned is not None and list(tuned.retuned.rates) == ["baseline"]
    second = tuning.variants[1]
    folder = retune.folder_of(second.config, tmp_path)
    folder.write("protocol.json", as_json(p.derived(p.series, real_samples=300) for p in protocols_of(second)))
    with pytest.raises(InputError, match=r"rates tried of baseline .* real_samples is 4,096 in .* and 300 in"):
        retuned_plan(STUDY, plan, 2, tmp_path)


def test_a_try_that_failed_or_was_not_made_measures_nothing(tmp_path: Path) -> None:
    plan, tuning = tried(tmp_path)
    folder = retune.folder_of(tuning.variants[1].config, tmp_path)
    for name in ("outcome.json", "protocol.json"):
        (folder.path / name).unlink()
    tuned = retuned_plan(STUDY, plan, 2, tmp_path)
    assert tuned.variants[0].config == plan.variants[0].config


def test_every_arm_is_tried_at_the_same_rates_those_of_all_arms_among_them(tmp_path: Path) -> None:
    plan = make_plan(STUDY, STUDY.profile("cpu"), designs=["add_one_in"], seeds=[0])
    rates = {variant.name: retune.rates_of(variant.config) for variant in plan.variants}
    pairs = retune.pairs_of(STUDY, plan, 6)
    assert pairs[:2] == [rates["baseline"], rates["baseline+learning_rates"]] and len(set(pairs)) == 6
    tuning = tuning_plan(STUDY, plan, 6)
    tried_at: dict[str, set[object]] = {}
    for variant in tuning.variants:
        for name in (variant.name, *variant.aliases):
            tried_at.setdefault(name.partition("@")[0], set()).add(retune.rates_of(variant.config))
    assert set(tried_at) == set(rates)
    assert all(found == set(pairs) for found in tried_at.values())
    leave_one_out = make_plan(STUDY, STUDY.profile("cpu"), designs=["leave_one_out"], seeds=[0])
    assert retune.pairs_of(STUDY, leave_one_out, 6) == pairs, "whatever is planned"


def test_a_change_of_rates_alone_is_tuned_away(tmp_path: Path) -> None:
    plan = make_plan(STUDY, STUDY.profile("cpu"), designs=["add_one_in"], seeds=[0])
    tuning = tuning_plan(STUDY, plan, 3)
    assert len({variant.job(0).digest for variant in tuning.variants}) == len(tuning.variants)
    for variant in tuning.variants:
        write_run(tmp_path, variant, retune.SEED, "finished")
    tuned = retuned_plan(STUDY, plan, 3, tmp_path)
    assert tuned.variant("baseline") == tuned.variant("baseline+learning_rates")


def test_fewer_trials_than_pairs_of_the_studys_own_are_refused() -> None:
    plan = make_plan(STUDY, STUDY.profile("cpu"), designs=["add_one_in"], seeds=[0])
    with pytest.raises(InputError, match="have 2 pairs of learning rates: try 2 or more"):
        retune.pairs_of(STUDY, plan, 1)


def test_every_variant_that_a_seed_drew_is_tuned_once_and_trained_with_that_seed(tmp_path: Path) -> None:
    whole = make_plan(STUDY, STUDY.profile("cpu"), designs=["screening"], seeds=[0, 1])
    plan = whole.replace(variants=whole.drawn[:3])
    tuning = tuning_plan(STUDY, plan, 2)
    assert [seed for _, seed in tuning.jobs()] == [retune.SEED] * 6
    for variant, seed in tuning.jobs():
        write_run(tmp_path, variant, seed, "finished")
    tuned = retuned_plan(STUDY, plan, 2, tmp_path)
    assert [tuned.seeds_of(variant) for variant in tuned.variants] == [plan.seeds_of(v) for v in plan.variants]
