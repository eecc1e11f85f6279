"""The report of the learning rates, from synthetic trials and runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.folder import RunFolder
from core.metrics.protocol import as_json
from reports.comparability import MixedProtocols
from reports.render import render
from reports.results import load
from reports.searches import Noise, pooled_noise, ties
from reports.studies.learning_rates import check_alike, not_sought, rate_words
from studies.plan import jobs_root, record_plan
from studies.planning import with_searched
from studies.search_records import Sweep, Trial, choice_of, write_sweep
from tests.support.pages import page_of
from tests.support.runs import protocols_of, train_all
from tests.support.searches import G_RATE, STUDY, a_plan, a_sweep, searched


def test_the_whole_report(tmp_path: Path) -> None:
    train_all(tmp_path, searched(tmp_path))
    text = page_of("learning_rates", runs=tmp_path)
    for phrase in (
        "The best of 12 trials, one run each, had G's rate at 0.00126",
        "on other seeds the best trial's settings are better than the profile's (×",
        "separate over one rate",
        "Re-trained mean over that value: best of 12 trials, one rate for all of G",
        "StyleGAN's 0.01 for its mapping network lies",
        "9 complete, 2 pruned, 1 diverged",
        "Fewer trials than the study declares",
        "python -m studies.run learning_rates --profile cpu --design ladder --seeds 0,1,2 --trials 12",
    ):
        assert phrase in text
    for phrase in ("betas are not sought", "The ladder's order", "at the high edge", "### The changes"):
        assert phrase not in text


def test_what_is_said_of_a_rate_is_never_stronger_than_one_run_each_and_the_interval(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    train_all(runs, searched(runs))
    results, sweep = load("learning_rates", runs), a_sweep(STUDY.searches[0], 12)
    jobs = results.jobs.copy()
    jobs.loc[jobs["variant"] == "baseline", "value"] = [0.1, 0.13, 0.15]
    jobs.loc[jobs["variant"] == "best_one_rate", "value"] = [0.09, 0.08, 0.09]
    open_one = dataclasses.replace(results, jobs=jobs)
    said = rate_words(open_one, sweep, Noise(9.0, 3))
    rates = sorted(trial.values[G_RATE] for trial in sweep.complete)
    ends = f"their rates of G lie between {rates[0]:.3g} and {rates[-1]:.3g}"
    assert said.startswith(f"9 of 12 trials cannot be told apart by one run each; {ends}")
    assert "the best trial's settings are not shown better than the profile's (×0.69 [" in said and said.endswith(
        "], n = 3)"
    )
    for factor, word in ((0.1, "better"), (10.0, "worse")):
        moved = jobs.copy()
        moved.loc[moved["variant"] == "best_one_rate", "value"] = [factor * v for v in (0.1, 0.13, 0.16)]
        assert f"settings are {word} than the profile's" in rate_words(
            dataclasses.replace(results, jobs=moved), sweep, None
        )
    assert not_sought(STUDY.searches) == "" and not_sought(()) == "; Adam's betas are not sought"


def test_trials_of_another_protocol_are_not_set_beside_what_was_trained_anew(tmp_path: Path) -> None:
    plan = searched(tmp_path)
    train_all(tmp_path, plan)
    same = protocols_of(plan.variants[0])
    trial = RunFolder(jobs_root(tmp_path), f"{3:016x}")
    trial.write("protocol.json", as_json(same))
    check_alike(load("learning_rates", tmp_path), [a_sweep(STUDY.searches[0], 12)])
    trial.write("protocol.json", as_json(p.derived(p.series, weights="00" * 32) for p in same))
    with pytest.raises(MixedProtocols, match=r"weights 000000000000… in 1 run \(trial 3\)\. Train 1 run again"):
        render("learning_rates", runs=tmp_path, out=tmp_path / "out")


def test_an_optimum_at_the_edge_is_called_one(tmp_path: Path) -> None:
    train_all(tmp_path, searched(tmp_path, edge=True))
    text = page_of("learning_rates", runs=tmp_path)
    assert "at the high edge of its range: the optimum may lie beyond" in text
    assert "The best lies at the edge of its range for rate of G of one\\_rate (high end)" in text


def test_without_a_search_the_report_says_how_to_get_one(tmp_path: Path) -> None:
    train_all(tmp_path, record_plan(tmp_path, a_plan()))
    text = page_of("learning_rates", runs=tmp_path)
    assert "No search has come to its end here" in text and "cannot be told apart" not in text


def test_diverged_and_missing_reruns_leave_no_conclusion(tmp_path: Path) -> None:
    train_all(tmp_path, searched(tmp_path), diverged={("best_separate", 1)}, skip={("best_one_rate", 0)})
    text = page_of("learning_rates", runs=tmp_path)
    assert "1 run diverged, so there is no ratio" in text and "was not compared" in text
    assert "“best of 12 trials, separate rates within G” over “best of 12 trials, one rate for all of G” is –" in text


def test_a_separate_search_that_finds_nothing_better_is_not_compared_with_itself(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    one, separate = (a_sweep(search, 12) for search in STUDY.searches)
    assert one.best is not None and separate.best is not None
    own = {"optimizers.multipliers.shared": 1.0, "optimizers.multipliers.mapping": 1.0}
    start = Trial(**{**dict(separate.best), "proposal": "start", "values": {**one.best.values, **own}})
    both = Sweep(**{**dict(separate), "trials": (start, *separate.trials[2:])})
    assert both.complete[0] == start and both.best == both.complete[1]
    separate = Sweep(**{**dict(separate), "trials": (start,)})
    for sweep in (one, separate):
        write_sweep(runs, sweep)
    chosen = [choice for sweep in (one, separate) if (choice := choice_of(sweep)) is not None]
    plan = record_plan(runs, with_searched(a_plan(), STUDY, chosen))
    assert [(v.name, v.aliases) for v in plan.variants] == [("baseline", ()), ("best_one_rate", ("best_separate",))]
    train_all(runs, plan)
    said = page_of("learning_rates", runs=runs).replace("\\", "")
    assert "which began there, found none that were better" in said
    assert "“best of 1 trials, separate rates within G” is “best of 12 trials, one rate for all of G” itself" in said


def test_noise_is_pooled_within_arms_and_ties_follow_from_it() -> None:
    noise = pooled_noise([[1.0, np.e], [np.e**5, np.e**6], [np.inf, np.nan], [3.0]])
    assert noise is not None
    assert (noise.log_sd, noise.freedom) == (pytest.approx(np.sqrt(0.5)), 2)
    assert noise.apart == pytest.approx(np.exp(4.302653 * np.sqrt(2) * np.sqrt(0.5)))
    assert pooled_noise([[1.0], [np.inf, 2.0]]) is None
    sweep = a_sweep(STUDY.searches[0], 12)
    assert ties(sweep, Noise(0.0, 3)) == [sweep.best]
    assert ties(sweep, Noise(9.0, 3)) == list(sweep.complete)
