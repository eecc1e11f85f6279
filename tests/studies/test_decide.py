"""`--decide`: seeds are added look by look to what is open, and to nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from core.command_line import DONE
from core.errors import InputError
from reports.decide import HOPE, comparisons
from reports.results import load
from reports.verdicts import judge_design
from studies.catalogue import study as declared
from studies.commands import decide
from studies.commands.request import Request
from studies.looks import LOOKS, looks_up_to
from studies.mlflow_view.sync import MlflowView
from studies.plan import Plan, plan_file, read_plan, record_plan
from studies.planning import make_plan
from studies.rounds import Wish, decide_of, parse_decide
from studies.runner.execute import Ended
from tests.support.commands import answer
from tests.support.runs import train_all

STUDY = declared("changes_overview")
Trained = list[dict[str, int]]
Rounds = Callable[..., tuple[Trained, str]]


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("2h", Wish(7200.0, None)),
        ("until=1.15", Wish(None, 1.15)),
        ("90s, until = 1.2", Wish(90.0, 1.2)),
        ("until=1.2,30m", Wish(1800.0, 1.2)),
    ],
)
def test_a_time_or_a_factor_or_both(text: str, wish: Wish) -> None:
    assert parse_decide(text) == wish


@pytest.mark.parametrize("text", ["", "soon", "until=1", "until=0.8", "2h,3h", "until=1.1,until=1.2", "0s", "until=x"])
def test_what_is_neither_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match="--decide"):
        parse_decide(text)


def test_looks_are_declared_with_the_most_seeds_last() -> None:
    assert decide_of(Wish(None, None), STUDY, 30).looks == LOOKS
    assert decide_of(Wish(None, 1.3), STUDY, 10).margin == 1.3
    assert decide_of(Wish(None, None), STUDY, 10).looks == looks_up_to(10) == (3, 5, 8, 10)
    with pytest.raises(InputError, match="give --seeds 3 or more"):
        decide_of(Wish(None, None), STUDY, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "1h"], "leave out --budget, or --decide"),
        (["--retune", "8"], "leave out --retune, or --decide"),
        (["--only", "all"], "leave out --only, or --decide"),
        (["--design", "screening"], "and screening of changes_overview does not"),
        (["--seeds", "4,5"], "--decide takes seeds in order"),
        (["--seeds", "2"], "looks first at 3 seeds"),
    ],
)
def test_what_does_not_go_with_it_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    given = answer("changes_overview", "--decide", "2h", "--runs", str(tmp_path), *words)
    assert given.code == 2 and said in given.err and given.err.count("\n") == 1


# --- rounds -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """The command with runs of known effects in the place of training: the seeds of each variant after every round, and
    what it said."""

    def run(wish: str = "until=1.15", most: int = 12) -> tuple[Trained, str]:
        trained: Trained = []

        def at_once(request: Request, plan: Plan, console: object) -> Ended:
            whole = record_plan(tmp_path, plan)
            train_all(tmp_path, whole)
            trained.append({variant.name: len(whole.seeds_of(variant)) for variant in whole.variants})
            return Ended(DONE, whole, MlflowView(STUDY, whole, tmp_path))

        monkeypatch.setattr(decide, "trained", at_once)
        words = ["--design", "leave_one_out", "--seeds", str(most), "--decide", wish, "--no-report"]
        said = answer("changes_overview", *words, "--runs", str(tmp_path))
        assert (said.code, said.err) == (DONE, "")
        return trained, said.flat

    return run


def test_only_what_is_open_gets_more_seeds(rounds: Rounds, tmp_path: Path) -> None:
    trained, said = rounds()
    assert set(trained[0].values()) == {3}, "the first look is of all"
    found = {each.change: each for each in comparisons("changes_overview", tmp_path, "cpu")}
    # Nearly halves the distance, with a scatter of a tenth: five seeds are enough, and it gets no more.
    assert found["d1_g1"].word == "helps" and trained[-1]["all-d1_g1"] == found["d1_g1"].seeds == 5
    assert {n for last in trained for n in last.values()} <= {3, 5, 8, 12}
    still = [each for each in found.values() if not each.decided]
    assert all(each.seeds == 12 or each.set_aside for each in still), "what is open has all that it may still need"
    aside = [each for each in still if each.set_aside]
    assert aside and all(3 < each.seeds < 12 and each.hope < HOPE for each in aside)
    assert f"set aside, less than 10% likely to be decided by 12 seeds: {aside[0].name}" in said
    assert trained[-1]["all"] == max(each.seeds for each in found.values())
    assert "looks at 3, 5, 8, 12 seeds; a change is negligible within a factor of 1.15" in said
    assert ("all is decided" in said) != ("12 seeds are the most" in said)
    assert rounds()[0] == [trained[-1]], "again, there is nothing to add"


def test_looks_are_registered_and_their_verdicts_are_no_interim_ones(rounds: Rounds, tmp_path: Path) -> None:
    rounds()
    plan = read_plan(plan_file(tmp_path, "changes_overview", "cpu"))
    assert plan.looks[0].seeds == tuple(range(12)) and len(plan.looks) == 1
    results = load("changes_overview", tmp_path)
    effects = judge_design("leave_one_out", results)
    assert not any(e.exploratory for e in effects)
    for e in effects:
        assert e.effect is not None and e.looks
        last = max(e.looks)
        assert e.effect.n == last
        plain = e.looks[last].effect
        assert plain is not None and plain.low == e.effect.low
        # The interval of a look is wider than one of 95% that nobody looks at twice.
        assert e.effect.low is not None and e.effect.low < (e.effect.at(0.95).low or 0.0)


def test_no_time_left_ends_it_and_more_time_goes_on(rounds: Rounds) -> None:
    trained, said = rounds("1s")
    assert len(trained) == 1 and "the time is spent" in said
    assert len(rounds("100d")[0]) > 1


def test_a_dry_run_says_what_the_next_round_trains(rounds: Rounds, tmp_path: Path) -> None:
    words = ["changes_overview", "--design", "leave_one_out", "--decide", "until=1.15", "--seeds", "12", "--dry-run"]
    words += ["--runs", str(tmp_path)]
    before = answer(*words).flat
    assert "looks at 3, 5, 8, 12 seeds" in before and "36 runs: 36 new" in before
    rounds("1s")
    document = json.loads(answer(*words, "--json").out)
    told = document["decide"]
    assert told["looks"] == [3, 5, 8, 12] and told["factor"] == 1.15
    assert {each["next_look"] for each in told["open"]} == {5}
    assert document["totals"]["cached"] == 36 and document["totals"]["new"] > 0


def test_a_setting_with_fixed_seeds_has_no_looks_afterwards(tmp_path: Path) -> None:
    fixed = make_plan(STUDY, STUDY.profile("cpu"), designs=["leave_one_out"], seeds=range(3))
    looks = fixed.replace(decide=decide_of(Wish(None, None), STUDY, 12))
    assert record_plan(tmp_path, looks).decide == looks.decide, "nothing has been trained yet"
    assert record_plan(tmp_path, fixed).decide == looks.decide
    train_all(tmp_path, fixed)
    other = fixed.replace(decide=decide_of(Wish(None, None), STUDY, 20))
    with pytest.raises(InputError, match="looks are declared before the first run"):
        record_plan(tmp_path, other)
    alone = tmp_path / "alone"
    record_plan(alone, fixed)
    train_all(alone, fixed)
    with pytest.raises(InputError, match="registered with a fixed number of seeds"):
        record_plan(alone, looks)
