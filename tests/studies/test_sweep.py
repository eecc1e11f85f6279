"""A search trains exactly its budget, whoever dies meanwhile, and what it chose becomes a variant."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from rich.console import Console

from ablations.schema import Study
from ablations.search import Search
from core.config import Config
from core.errors import InputError
from core.folder import RunFolder
from core.locks import is_held
from studies.catalogue import study as declared_study
from studies.plan import Plan, SearchChoice, jobs_root, merged
from studies.planning import make_plan, with_searched
from studies.run_state import mark_failed
from studies.runner.claim import Claim
from studies.runner.deaths import WITHOUT_CHECKPOINT
from studies.runner.launchers import launch
from studies.runner.outages import Unreachable
from studies.runner.resources import Resources
from studies.runner.search_run import _Watch
from studies.runner.searches import SearchGaveUp, check_searches, recorded, searched
from studies.runner.sweep import SearchOrder
from studies.runner.trials import Trials
from studies.search_records import Sweep, Trial, choice_of, key_of, read_sweep
from studies.times.estimate import REFERENCE_TIMES
from tests.support import fake_job

pytestmark = pytest.mark.usefixtures("fake_trainer")

ITERATIONS = 12


def a_study(trials: int = 8, startup: int = 4, seed: int = fake_job.TUNING) -> Study:
    ours = declared_study("learning_rates")
    searches = tuple(
        search.replace(
            # Rates and multipliers alone: what the fake trainer knows.
            parameters=tuple(parameter for parameter in search.parameters if "beta" not in parameter.path),
            trials=trials,
            startup=startup,
            seed=seed,
        )
        for search in ours.searches
    )
    return ours.replace(searches=searches)


def a_plan(study: Study, iterations: int = ITERATIONS) -> Plan:
    overrides = {"iterations": iterations, "evaluation.every": 3}
    return make_plan(study, study.profile("cpu"), designs=["ladder"], seeds=(0, 1), overrides=overrides)


def an_order(
    runs: Path, search: Search, *, workers: int = 1, failures: int = 3, iterations: int = ITERATIONS
) -> SearchOrder:
    plan = a_plan(a_study(), iterations)
    return SearchOrder(
        study=plan.study,
        setting=plan.setting,
        runs=runs,
        search=search,
        base=plan.variants[0].config,
        trials=search.trials,
        failures=failures,
        workers=workers,
        cache=runs / "cache",
    )


def launched(order: SearchOrder, name: str = "inline", stop: Callable[[], bool] = lambda: False) -> Sweep:
    launch(order.replace(launcher=name), stop=stop, tick=lambda: None, say=lambda line: None)
    return order.queue().sweep()


def attempts(order: SearchOrder, digest: str) -> int:
    return len((jobs_root(order.runs) / digest / "trained_by.txt").read_text().splitlines())


def outcome(order: SearchOrder, digest: str) -> str | None:
    found = RunFolder(jobs_root(order.runs), digest).outcome()
    return found.status if found else None


# --- one search -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_workers_never_train_the_same_trial_and_keep_the_budget(tmp_path: Path) -> None:
    # Slow ones, or a worker that starts late finds nothing left.
    order = an_order(tmp_path, a_study(trials=10, seed=fake_job.SLOW).searches[0], workers=2, iterations=4)
    sweep = launched(order, "local")
    assert [trial.number for trial in sweep.trials] == list(range(10)) and len(sweep.ended) == 10
    assert len({trial.digest for trial in sweep.trials}) == 10
    assert all(attempts(order, trial.digest) == 1 for trial in sweep.trials)
    pids = {(jobs_root(tmp_path) / t.digest / "trained_by.txt").read_text() for t in sweep.trials}
    assert len(pids) == 2


def test_states_are_valid_and_agree_with_the_folders(tmp_path: Path) -> None:
    order = an_order(tmp_path, a_study(trials=14, startup=12).searches[0])
    sweep = launched(order)
    counts = Counter(trial.state for trial in sweep.trials)
    assert counts["complete"] and counts["pruned"] and counts["diverged"] and counts.total() == 14
    for trial in sweep.trials:
        ends = {"complete": "finished", "pruned": None, "diverged": "diverged"}
        assert outcome(order, trial.digest) == ends[trial.state]
        last = trial.measured[-1][0] if trial.measured else 0
        if trial.state == "pruned":
            assert ITERATIONS / 2 <= last < ITERATIONS  # Not before half of the training.
            folder = RunFolder(jobs_root(tmp_path), trial.digest)
            assert folder.events_file.exists() and not is_held(folder.lock_file)
        if trial.state == "complete":
            assert last == ITERATIONS
    rates = {trial.state: trial.values["optimizers.learning_rates.generator"] for trial in sweep.trials}
    assert rates["diverged"] > fake_job.DIVERGING_RATE
    # Divergence is the worst value there is, and no missing one.
    values = {trial.number: trial.value for trial in order.queue()._study.trials}
    assert {values[trial.number] for trial in sweep.trials if trial.state == "diverged"} == {math.inf}
    best = sweep.best
    assert best is not None and best.state == "complete"
    assert best.at(ITERATIONS) == min(t.at(ITERATIONS) for t in sweep.trials if t.state == "complete")  # type: ignore[type-var]


def test_the_first_trial_is_the_base_and_the_estimator_comes_near_the_optimum(tmp_path: Path) -> None:
    order = an_order(tmp_path, a_study(trials=22, startup=8).searches[0])
    sweep = launched(order)
    assert sweep.trials[0].values == pytest.approx(sweep.base)
    assert [t.proposal for t in sweep.trials] == ["start"] + 7 * ["hypercube"] + 14 * ["estimator"]

    def away(trial: Trial) -> float:
        return sum(abs(math.log(v / o)) for v, o in zip(trial.values.values(), fake_job.BEST_RATES, strict=True))

    for trial in sweep.trials:
        assert all(low <= trial.values[path] <= high for path, (low, high) in sweep.ranges.items())
    assert median(map(away, sweep.trials[8:])) < 0.8 * median(map(away, sweep.trials[1:8]))


def test_the_same_seed_proposes_the_same_and_another_one_other_trials(tmp_path: Path) -> None:
    search = a_study(trials=5, startup=3).searches[1]
    proposed = [
        [trial.values for trial in launched(an_order(tmp_path / place, search)).trials] for place in ("one", "two")
    ]
    assert proposed[0] == proposed[1]
    other = a_study(trials=5, startup=3, seed=3).searches[1]
    assert [trial.values for trial in launched(an_order(tmp_path, other)).trials][1:] != proposed[0][1:]


def test_a_killed_workers_trial_goes_on_in_its_folder(tmp_path: Path) -> None:
    order = an_order(tmp_path, a_study(trials=2, startup=2, seed=fake_job.KILLS_ITS_WORKER_ONCE).searches[0])
    lines: list[str] = []
    launch(order.replace(launcher="local"), stop=lambda: False, tick=lambda: None, say=lines.append)
    sweep = order.queue().sweep()
    assert [trial.state for trial in sweep.trials] == ["complete", "complete"]
    assert [attempts(order, trial.digest) for trial in sweep.trials] == [2, 2]
    assert len(lines) == 2 and all("SIGKILL" in line and "one_rate trial" in line for line in lines)
    for trial in sweep.trials:
        events = RunFolder(jobs_root(tmp_path), trial.digest).events()
        assert [e.iteration for e in events if e.kind == "losses"] == list(range(1, ITERATIONS + 1))


def test_failed_trials_do_not_count_and_end_the_search_when_they_go_on(tmp_path: Path) -> None:
    order = an_order(tmp_path, a_study(trials=5, seed=fake_job.FAILS).searches[0], failures=2)
    sweep = launched(order)
    assert [trial.state for trial in sweep.trials] == ["failed", "failed"] and not sweep.ended and sweep.best is None


def test_unusable_input_leaves_the_trial_to_the_next_command(tmp_path: Path) -> None:
    order = an_order(tmp_path, a_study(trials=3, seed=fake_job.UNUSABLE).searches[0])
    for name in ("inline", "local"):
        with pytest.raises(InputError, match="no Inception weights here"):
            launched(order, name)
    assert [trial.state for trial in order.queue().sweep().trials] == ["running"]
    assert order.queue().waiting() == ["trial 0", "new", "new"]


# --- claims -----------------------------------------------------------------------------------------------------------


def trials_of(runs: Path, budget: int = 3) -> Trials:
    order = an_order(runs, a_study(trials=budget).searches[0])
    return order.queue()


def test_claims_keep_the_budget_over_restarts(tmp_path: Path) -> None:
    with FileLock(trials_of(tmp_path).worker_lock("a")), FileLock(trials_of(tmp_path).worker_lock("b")):
        claims = [trials_of(tmp_path).claim(worker) for worker in ("a", "b", "b")]
        assert [claim.number for claim in claims if claim] == [0, 1, 2]
        assert len({claim.digest for claim in claims if claim}) == 3
        assert trials_of(tmp_path).claim("a") is None
        assert trials_of(tmp_path).waiting() == []
        assert len(trials_of(tmp_path).running()) == 3
    assert trials_of(tmp_path, budget=5).waiting() == ["trial 0", "trial 1", "trial 2", "new", "new"]


@pytest.mark.parametrize("key", ["job", "worker"])
def test_no_word_of_a_journal_becomes_a_path(key: str, tmp_path: Path) -> None:
    runs = tmp_path / "a" / "runs"
    trials = trials_of(runs)
    claim = trials.claim("nobody")
    assert claim is not None
    trials._storage.set_trial_user_attr(trials._id(claim.number), key, "../../../victim/evil")
    before = sorted(tmp_path.rglob("*"))
    found = trials_of(runs)
    for asked in (lambda: found.claim("w"), found.sweep, found.waiting, found.running):
        with pytest.raises(InputError, match=rf"trial 0 has the {key} '../.*journal: move it away, its search begins"):
            asked()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_trial_without_its_values_is_refused(tmp_path: Path) -> None:
    trials = trials_of(tmp_path)
    trials._study.ask()
    trials._storage.set_trial_user_attr(trials._id(0), "job", "0" * 16)
    with pytest.raises(InputError, match=r"trial 0 has the values '\{\}', which is none of ours"):
        trials.sweep()


def test_a_claim_that_is_begun_again_since_the_lock_was_lost_takes_no_second_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = trials_of(tmp_path)

    def loses_its_lock(body: Callable[[], Claim | None]) -> Claim | None:
        first = body()
        assert body() == first
        return first

    monkeypatch.setattr(trials._store, "exclusively", loses_its_lock)
    with FileLock(trials.worker_lock("w")):
        claim = trials.claim("w")
        assert claim is not None and trials.running() == [claim.digest]


def test_what_ends_is_shown_again_when_trials_are_back_within_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to stop, a command waits for no database: what it raises there must not kill workers."""
    watch = _Watch(an_order(tmp_path, a_study().searches[0]), lambda _: None)
    before, sweep = watch.sweep, watch.trials.sweep

    def gone() -> Sweep:
        raise Unreachable("gone")

    monkeypatch.setattr(watch.trials, "sweep", gone)
    for now in (True, False):
        watch.looked = float("-inf")
        watch.look(now)
    assert watch.sweep is before
    monkeypatch.setattr(watch.trials, "sweep", sweep)
    watch.look(now=True)
    assert watch.sweep is not before


def test_a_dead_workers_trial_is_claimed_as_it_stands_and_before_new_ones(tmp_path: Path) -> None:
    trials = trials_of(tmp_path)
    with FileLock(trials.worker_lock("alive")):
        with FileLock(trials.worker_lock("dead")):
            dead, alive = trials.claim("dead"), trials.claim("alive")
        assert dead and alive and dead.number != alive.number
        before = trials.job(dead)
        again = trials.claim("next")
        assert again == dead and trials.job(again) == before
        held = RunFolder(jobs_root(tmp_path), dead.digest)
        held.path.mkdir(parents=True, exist_ok=True)
        with FileLock(held.lock_file):  # Somebody trains that job after all.
            other = trials.claim("next")
        assert other is not None and other.number == 2


def test_a_trial_that_loses_worker_after_worker_fails(tmp_path: Path) -> None:
    claims = [trials_of(tmp_path).claim(f"lost-{number}") for number in range(WITHOUT_CHECKPOINT)]
    assert len(set(claims)) == 1 and claims[0] is not None
    after = trials_of(tmp_path)
    other = after.claim("next")
    assert other is not None and other.number == 1 and after.failed() == 1
    ended = RunFolder(jobs_root(tmp_path), claims[0].digest).outcome()
    assert ended is not None and ended.status == "failed" and "was lost" in (ended.reason or "")


def test_a_claim_cut_off_while_it_was_proposed_does_not_count(tmp_path: Path) -> None:
    trials = trials_of(tmp_path)
    trials._study.ask()  # No values, no worker, no job.
    with FileLock(trials.worker_lock("a")):
        claims = [trials.claim("a") for _ in range(4)]
    assert [claim.number for claim in claims if claim] == [1, 2, 3]
    assert trials.failed() == 1


def test_the_study_searches_around_the_ladders_end() -> None:
    """The last rung's runs are the baseline's, and both have recorded times."""
    ladder, ours = declared_study("changes_overview"), declared_study("learning_rates")
    plans = [make_plan(s, s.profile("cpu"), designs=["ladder"], seeds=[0]) for s in (ladder, ours)]
    everything, baseline = plans[0].variant("all"), plans[1].variant("baseline")
    assert everything is not None and baseline is not None
    assert everything.job(0).digest == baseline.job(0).digest
    recorded_times = json.loads(REFERENCE_TIMES.read_text())
    seconds = [recorded_times[name]["cpu"]["seconds"] for name in ("changes_overview", "learning_rates")]
    assert seconds[0]["all"] == pytest.approx(seconds[1]["baseline"], rel=0.5)


# --- the searches of a study ------------------------------------------------------------------------------------------


def run_searches(
    study: Study, runs: Path, *, trials: int | None = None, stop: Callable[[], bool] = lambda: False
) -> Plan | None:
    resources = Resources(runs=runs, cache=runs / "cache", launcher="inline")
    return searched(
        study, a_plan(study), resources, trials=trials, stop=stop, prepare=lambda: None, console=Console(quiet=True)
    )


def test_what_was_chosen_becomes_variants_with_the_studys_seeds(tmp_path: Path) -> None:
    study = a_study(trials=8)
    plan = run_searches(study, tmp_path)
    assert plan is not None
    assert [variant.name for variant in plan.variants] == ["baseline", "best_one_rate", "best_separate"]
    first, second = (read_sweep(tmp_path, plan.study, plan.setting, name) for name in ("one_rate", "separate"))
    assert first is not None and first.best is not None and second is not None
    own = {"optimizers.multipliers.shared": 1.0, "optimizers.multipliers.mapping": 1.0}
    assert first.trials[0].values == pytest.approx(first.base)
    assert second.trials[0].values == {**first.best.values, **own}  # It begins where the other one ended,
    assert second.trials[0].digest == first.best.digest  # which costs nothing.
    assert second.best is not None and second.best.number != 0  # What it began with is no choice of its own.
    for choice in plan.searched:
        sweep = read_sweep(tmp_path, plan.study, plan.setting, choice.search)
        variant = plan.variant(choice.variant)
        assert (
            sweep is not None and variant is not None and sweep.best is not None and isinstance(variant.config, Config)
        )
        assert choice.values == sweep.best.values and choice.trials == 8
        rates = variant.config.optimizers.learning_rates
        assert rates.generator == choice.values["optimizers.learning_rates.generator"]
        assert sweep.importances
        assert {variant.job(seed).digest for seed in plan.seeds}.isdisjoint(trial.digest for trial in sweep.trials)


def test_a_search_goes_on_after_an_interruption_and_is_not_run_twice(tmp_path: Path) -> None:
    study = a_study(trials=5)
    asked = Counter[str]()

    def stop() -> bool:
        asked["stop"] += 1
        return asked["stop"] > 40

    assert run_searches(study, tmp_path, stop=stop) is None
    between = recorded(study, a_plan(study), tmp_path)["one_rate"]
    assert len(between.trials) > 0 and len(between.ended) < 5
    plan = run_searches(study, tmp_path)
    assert plan is not None
    sweeps = recorded(study, a_plan(study), tmp_path)
    assert [len(sweep.ended) for sweep in sweeps.values()] == [5, 5]
    assert sweeps["one_rate"].trials[: len(between.ended)] == between.trials[: len(between.ended)]
    marks = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.jsonl")}
    assert run_searches(study, tmp_path) == plan
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.jsonl")} == marks
    longer = run_searches(study, tmp_path, trials=7)
    assert longer is not None and [choice.trials for choice in longer.searched] == [7, 7]


def lose_half(record: Path) -> bytes:
    """What a power cut or a copy does to a file; returns what it was."""
    whole = record.read_bytes()
    record.write_bytes(whole[: len(whole) // 2])
    return whole


def test_a_trial_whose_record_no_longer_fits_its_outcome_is_trained_again(tmp_path: Path) -> None:
    study = a_study(trials=5)
    plan = run_searches(study, tmp_path)
    before = recorded(study, a_plan(study), tmp_path)["one_rate"]
    assert plan is not None and before.best is not None
    lost = [before.best, next(trial for trial in before.complete if trial.number != before.best.number)]
    records = [RunFolder(jobs_root(tmp_path), trial.digest).events_file for trial in lost]
    whole = [lose_half(record) for record in records]
    between = recorded(study, a_plan(study), tmp_path)["one_rate"]
    assert [trial.state for trial in between.trials].count("running") == 2 and len(between.ended) == 3
    assert between.best not in lost
    assert run_searches(study, tmp_path) == plan
    after = recorded(study, a_plan(study), tmp_path)["one_rate"]
    assert [(t.number, t.state, t.values, t.measured) for t in after.trials] == [
        (t.number, t.state, t.values, t.measured) for t in before.trials
    ]
    assert [len(record.read_bytes().splitlines()) for record in records] == [len(w.splitlines()) for w in whole]
    order = an_order(tmp_path, study.searches[0])
    assert [attempts(order, trial.digest) for trial in before.trials if trial not in lost] == [1, 1, 1]
    assert [attempts(order, trial.digest) for trial in lost] == [2, 2]
    # Once more, and its worker is lost meanwhile.
    lose_half(records[1])
    trials = order.queue()
    trials.take_back_lost()
    with FileLock(trials.worker_lock("a")):
        claim = trials.claim("a")
        assert claim is not None and (claim.number, claim.digest) == (lost[1].number, lost[1].digest)
        assert trials.held_by("a") == claim and trials.running() == [claim.digest] and not trials.hopeless(claim)
    assert trials.waiting()[0] == f"trial {claim.number}" and trials.claim("b") == claim
    trials.release(claim, again=True)
    assert trials.held_by("b") is None and trials.waiting()[0] == f"trial {claim.number}"
    assert run_searches(study, tmp_path) == plan


def test_a_trial_that_fails_when_it_is_trained_again_has_failed(tmp_path: Path) -> None:
    order = an_order(tmp_path, a_study(trials=3).searches[0])
    first = launched(order).trials[0]
    folder = RunFolder(jobs_root(tmp_path), first.digest)
    lose_half(folder.events_file)
    trials = order.queue()
    trials.take_back_lost()
    claim = trials.claim("w")
    assert claim is not None and claim.digest == first.digest
    mark_failed(folder, "no room")
    trials.settle(claim)
    assert trials.failed() == 1 and trials.ended() == 2 and trials.waiting() == ["new"]
    assert trials.sweep().trials[0].state == "failed"


def test_a_trial_whose_folder_is_gone_stands_in_the_searchs_own_record(tmp_path: Path) -> None:
    study = a_study(trials=3)
    plan = run_searches(study, tmp_path)
    shutil.rmtree(jobs_root(tmp_path))
    assert run_searches(study, tmp_path) == plan


@pytest.mark.parametrize("worker", ["../../evil", {"a": 1}])
def test_no_word_of_a_study_becomes_a_path(worker: object, tmp_path: Path) -> None:
    order = an_order(tmp_path / "a" / "runs", a_study(trials=2).searches[0])
    launched(order)
    first = order.queue().sweep().trials[0]
    lose_half(RunFolder(jobs_root(order.runs), first.digest).events_file)
    trials = order.queue()
    trials._storage.set_study_user_attr(trials._study_id, "again 0", worker)
    before = sorted(tmp_path.rglob("*"))
    for asked in (lambda: trials.claim("w"), trials.waiting, trials.running):
        with pytest.raises(InputError, match="is no name of a worker"):
            asked()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_search_without_a_result_says_how_its_trials_ended(tmp_path: Path) -> None:
    with pytest.raises(SearchGaveUp, match="no trial came to a result, 3 diverged"):
        run_searches(a_study(trials=3, seed=fake_job.DIVERGES), tmp_path)
    with pytest.raises(SearchGaveUp, match="gave up: 3 failed"):
        run_searches(a_study(trials=3, seed=fake_job.FAILS), tmp_path)


def test_a_search_of_another_base_or_other_ranges_begins_anew() -> None:
    search = a_study().searches[0]
    base = a_plan(a_study()).variants[0].config
    key = key_of(search, base)
    wider = search.replace(parameters=declared_study("learning_rates").searches[1].parameters)
    assert key == key_of(search.replace(trials=99, title="other words"), base)
    assert len({key, key_of(wider, base), key_of(search, a_plan(a_study(), 99).variants[0].config)}) == 3


def test_what_cannot_be_asked_of_searches_is_one_line() -> None:
    study = a_study()
    plan = a_plan(study)
    other = declared_study("changes_overview")
    with pytest.raises(InputError, match="changes_overview searches nothing"):
        check_searches(other, plan, "local", 3)
    with pytest.raises(InputError, match="2000 is the seed that searches choose by"):
        check_searches(study, plan.replace(seeds=(0, 2000)), "local", None)
    with pytest.raises(InputError, match="searches run with inline or local"):
        check_searches(study, plan, "cluster", None)
    overrides = {"optimizers.learning_rates.generator": 0.1}
    with pytest.raises(InputError, match="is what the search 'one_rate' seeks"):
        make_plan(study, study.profile("cpu"), designs=["ladder"], seeds=[0], overrides=overrides)


def test_a_choice_that_is_the_base_is_a_further_name_and_a_new_choice_replaces_the_old() -> None:
    study = a_study()
    plan = a_plan(study)
    own = {"optimizers.learning_rates.generator": 0.0004, "optimizers.learning_rates.discriminator": 0.002}
    choice = SearchChoice(search="one_rate", variant="best_one_rate", trials=3, trial=0, values=own)
    same = with_searched(plan, study, [choice])
    assert [(v.name, v.aliases) for v in same.variants] == [("baseline", ("best_one_rate",))]
    found = choice.replace(values={**own, "optimizers.learning_rates.generator": 0.001})
    both = merged(same, with_searched(plan, study, [found]))
    assert [(v.name, v.aliases) for v in both.variants] == [("baseline", ()), ("best_one_rate", ())]
    assert both.searched == (found,)
    assert merged(both, plan).searched == (found,)


def test_importance_finds_the_parameter_that_matters(tmp_path: Path) -> None:
    from studies.runner.importance import importances

    empty = an_order(tmp_path, a_study().searches[1]).queue().sweep()
    rng = np.random.default_rng(0)
    trials = []
    for number in range(16):
        shares = rng.random(4)
        values = {
            path: low * (high / low) ** share
            for (path, (low, high)), share in zip(empty.ranges.items(), shares, strict=True)
        }
        distance = float(np.exp(3 * shares[3] + 0.1 * shares[0]))
        state: Any = "pruned" if number > 12 else "diverged" if shares[3] > 0.95 else "complete"
        measured = ((6, 2 * distance), (ITERATIONS, distance))[: 1 if state == "pruned" else 2]
        trials.append(
            Trial(number=number, state=state, proposal="hypercube", values=values, digest="0" * 16, measured=measured)
        )
    sweep = empty.replace(trials=tuple(trials))
    assert sweep.common_iteration == 6
    found = importances(sweep)
    assert [(one.iteration, one.trials) for one in found] == 4 * [(6, 16)] + 4 * [(ITERATIONS, 13)]
    for moment in (6, ITERATIONS):
        mine = {one.path: one for one in found if one.iteration == moment}
        assert sum(one.share for one in mine.values()) == pytest.approx(1)
        assert all(0 <= one.low <= one.share <= one.high <= 1 for one in mine.values())
        most = mine.pop("optimizers.multipliers.mapping")
        assert most.share > 1.5 * max(one.share for one in mine.values())
    assert importances(sweep.replace(trials=sweep.trials[:5])) == ()
    assert choice_of(empty) is None
