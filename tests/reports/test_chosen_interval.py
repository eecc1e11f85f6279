"""The interval that effects have keeps its promise, the bootstraps do not, and the record says what the code does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reports import stats
from tests.choices import interval as ci
from tests.choices import looks, moderation, ranking

DRAWS = 1000
MUST = [scenario for scenario in ci.SCENARIOS if scenario.bar]


@pytest.mark.parametrize("n", ci.SEEDS)
@pytest.mark.parametrize("scenario", MUST, ids=lambda scenario: scenario.name)
def test_the_method_that_is_used_covers_92_to_98_percent(scenario: ci.Scenario, n: int) -> None:
    assert 0.92 <= ci.coverage(scenario, n, ci.USED, DRAWS).covered <= 0.98


@pytest.mark.parametrize("method", ["percentile bootstrap", "BCa bootstrap"])
@pytest.mark.parametrize("scenario", MUST[:2], ids=lambda scenario: scenario.name)
def test_bootstraps_of_three_values_do_not(scenario: ci.Scenario, method: str) -> None:
    assert ci.coverage(scenario, 3, method, DRAWS).covered < 0.82


def test_one_noisy_and_very_skewed_arm_is_beyond_it() -> None:
    # What docs/intervals.md admits.
    assert ci.coverage(ci.SCENARIOS[-1], 10, ci.USED, DRAWS).covered < 0.9


def test_the_simulated_method_is_the_one_that_effects_have() -> None:
    logs = np.random.default_rng(0).normal(size=(20, 5))
    low, high = ci.METHODS[ci.USED](logs, np.random.default_rng(0))
    for row, ends in zip(logs, np.exp(np.column_stack([low, high])), strict=True):
        effect = stats.paired_effect(np.ones(5), np.exp(row))
        assert (effect.low, effect.high) == (pytest.approx(ends[0]), pytest.approx(ends[1]))


@pytest.mark.parametrize("noise", [ci.normal, ci.gumbel, ci.exponential, ci.lognormal, ci.collapse])
def test_scenarios_have_a_mean_of_zero(noise: ci.Noise) -> None:
    drawn = noise(np.random.default_rng(1), (4000, 50))
    assert abs(drawn.mean()) < 5 * drawn.std() / np.sqrt(drawn.size)


def test_the_record_chose_what_is_used_and_the_page_says_so() -> None:
    record = json.loads(ci.RECORD.read_text())
    assert record["chosen"] == ci.USED
    rows = [ci.Coverage(r["scenario"], r["n"], r["method"], record["draws"], r["covered"], r["width"] or np.inf,
                        r["must_pass"]) for r in record["coverage"]]  # fmt: skip
    assert len(rows) == len(ci.SCENARIOS) * len(ci.SEEDS) * len(ci.METHODS)
    assert ci.choose(rows) == ci.USED
    # The recorded numbers are of this code: 1,000 draws agree with them within four Monte-Carlo errors.
    for row in rows:
        if row.method == ci.USED:
            scenario = next(s for s in ci.SCENARIOS if s.name == row.scenario)
            again = ci.coverage(scenario, row.n, row.method, DRAWS).covered
            assert abs(again - row.covered) < 4 * np.sqrt(row.covered * (1 - row.covered) / DRAWS)
    assert f"Chosen: **{ci.USED}**" in ci.RECORD.with_suffix(".md").read_text()


def test_the_narrowest_that_passes_is_chosen_if_any_does() -> None:
    wide, low = (ci.Coverage("s", 3, m, 100, c, 2.0, True) for m, c in (("Student t", 0.99), ("BCa bootstrap", 0.7)))
    assert ci.choose([wide, low]) is None
    fine = ci.Coverage("s", 3, "bootstrap t", 100, 0.93, 9.0, True)
    assert ci.choose([wide, low, fine]) == "bootstrap t"
    narrower = ci.Coverage("s", 3, "Johnson t", 100, 0.93, 8.0, True)
    assert ci.choose([wide, fine, narrower]) == "Johnson t"


def test_the_page_is_made_of_its_record() -> None:
    record = json.loads(ci.RECORD.read_text())
    text = ci.RECORD.with_suffix(".md").read_text()
    for name, simulation in ci.SIMULATIONS.items():
        section = "\n".join(simulation.lines(record[name]))
        assert section.startswith("## ")
        assert section in text


def test_the_record_of_looks_is_of_this_code() -> None:
    record = json.loads(ci.RECORD.read_text())["looks"]
    assert looks.simulate() == record
    last = record[-1]
    # One look keeps its promise at every n, looks at all of them do not.
    assert all(0.04 < row["claim"] < 0.06 and row["family"] < 0.055 for row in record)
    assert (last["n"], last["claim_looks"] > 0.15, last["family_looks"] > 0.15) == (10, True, True)


def test_the_record_of_rankings_is_of_this_code() -> None:
    record = json.loads(ci.RECORD.read_text())["ranking"]
    assert [(row["world"], row["n"]) for row in record] == [(w.name, w.n) for w in ranking.WORLDS]
    for row, world in zip(record, ranking.WORLDS, strict=True):
        again = ranking.before(world, studies=500)
        assert abs(again["says"] - row["before"]["says"]) < 0.03
        assert abs(again["is"] - row["before"]["is"]) < 0.09
        if "says" in row["now"]:
            assert abs(row["now"]["says"] - row["now"]["is"]) <= 0.05
            assert abs(row["now"]["quarter_says"] - row["now"]["quarter_is"]) <= 0.05


def test_comparisons_borrow_as_the_simulation_chose() -> None:
    rows = json.loads(ci.RECORD.read_text())["moderation"]
    assert [row["method"] for row in rows] == list(moderation.METHODS)
    (chosen,) = (row for row in rows if row["chosen"])
    assert chosen["method"] == moderation.USED
    assert chosen["outside"] == 0
    cells = {cell.method: cell for cell in moderation.measure(moderation.SCENARIOS[3], "leave one out", 3)}
    for row in rows:
        assert row["widths"]["3"] == pytest.approx(cells[row["method"]].width, abs=0.002)
    assert cells[moderation.USED].admitted
    assert not moderation.measure(moderation.SCENARIOS[7], "ladder", 3, draws=1000)[7].admitted
