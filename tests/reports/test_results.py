"""Run folders as frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.folder import RunFolder
from reports.frames import TIDY_COLUMNS
from reports.results import Results, load
from studies.plan import jobs_root, settings_of
from tests.support.runs import planned, train_all, write_run


@pytest.fixture(scope="module")
def results(full_runs: Path) -> Results:
    return load("changes_overview", full_runs)


def test_one_row_per_evaluation_and_one_for_a_job_without_any(results: Results) -> None:
    tidy = results.tidy
    assert tuple(tidy.columns) == TIDY_COLUMNS
    one = tidy[(tidy["variant"] == "baseline") & (tidy["seed"] == 0)]
    further = ("resample_1", "resample_2", "kid", "precision", "recall", "density", "coverage", "infinity")
    assert set(one["metric"]) == {"fd_rooms", *(f"fd_rooms/{name}" for name in further)}
    one = one[one["metric"] == "fd_rooms"]
    assert list(one["iteration"]) == list(range(80, 801, 80))
    assert list(one["images"]) == [16 * iteration for iteration in one["iteration"]]
    quarter = one[one["iteration"] >= 600]["value"]
    assert one["averaged"].iloc[-1] == pytest.approx(np.exp(np.log(quarter).mean()))
    assert one["averaged"].iloc[0] == one["value"].iloc[0]
    unmeasured = tidy[(tidy["variant"] == "all-inr_size") & (tidy["seed"] == 1)]
    assert len(unmeasured) == 1
    assert unmeasured["status"].iloc[0] == "finished"
    assert unmeasured["value"].isna().all()


def test_a_diverged_run_is_the_worst_outcome_from_there_on(results: Results) -> None:
    variant = results.variant("baseline+r1")
    assert variant is not None
    curve = results.curve(variant, 1)
    assert list(curve["iteration"]) == [80, 160, 240, 320, 400, 450]
    assert np.isinf(curve["value"].iloc[-1])
    assert np.isinf(results.last(variant)[1])
    assert np.isfinite(results.at(variant, 160)).all()
    assert np.isinf(results.at(variant, 640)[1])


def test_failed_and_unfinished_runs_have_no_last_value_but_keep_their_curve(results: Results) -> None:
    for name, seed in (("all-d1_g1", 2), ("baseline+ns_loss", 0)):
        variant = results.variant(name)
        assert variant is not None
        assert np.isnan(results.last(variant)[seed])
        assert len(results.curve(variant, seed)) == 5


def test_a_resumed_job_counts_each_iteration_once(tmp_path: Path) -> None:
    plan = planned(tmp_path, only={"baseline"}, seeds=(0,))
    folder = write_run(tmp_path, plan.variants[0], 0, "finished")
    lines = folder.events_file.read_text().splitlines(keepends=True)
    folder.events_file.write_text("".join(lines[:5] + lines[3:]))
    tidy = load("changes_overview", tmp_path).tidy
    assert list(tidy[tidy["metric"] == "fd_rooms"]["iteration"]) == list(range(80, 801, 80))


def test_nothing_planned_is_said_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has been trained .* yet: .*python -m studies\.run changes_overview"):
        load("changes_overview", tmp_path)


def test_nothing_started_is_said_with_the_command(tmp_path: Path) -> None:
    planned(tmp_path)
    with pytest.raises(InputError, match=r"only planned: .*python -m studies\.run changes_overview"):
        load("changes_overview", tmp_path)


def test_the_setting_is_cpu_or_the_only_one_or_asked_for(tmp_path: Path) -> None:
    first = planned(tmp_path, only={"baseline"}, seeds=(0,), overrides={"iterations": 200})
    train_all(tmp_path, first)
    assert load("changes_overview", tmp_path).plan.setting == first.setting
    second = planned(tmp_path, only={"baseline"}, seeds=(0,), overrides={"iterations": 300})
    assert settings_of(tmp_path, "changes_overview") == sorted([first.setting, second.setting])
    with pytest.raises(InputError, match=f"choose one with --setting: .*{second.setting}"):
        load("changes_overview", tmp_path)
    train_all(tmp_path, planned(tmp_path, only={"baseline"}, seeds=(0,)))
    assert load("changes_overview", tmp_path).plan.setting == "cpu"
    assert load("changes_overview", tmp_path, first.setting).plan.setting == first.setting
    with pytest.raises(InputError, match="has no setting 'gpu'"):
        load("changes_overview", tmp_path, "gpu")


def test_an_empty_folder_is_an_unfinished_run(tmp_path: Path) -> None:
    plan = planned(tmp_path, only={"baseline"}, seeds=(0,))
    RunFolder(jobs_root(tmp_path), plan.variants[0].job(0)).path.mkdir(parents=True)
    assert list(load("changes_overview", tmp_path).jobs["status"]) == ["unfinished"]
