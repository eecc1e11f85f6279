"""Looks at more and more seeds keep the promise of docs/intervals.md, and its record says what the code does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reports.stats import holm
from reports.stats.sequential import LEVEL, levels, sequential_p
from studies.looks import LOOKS, looks_up_to
from tests.choices import interval as ci
from tests.choices import moderation
from tests.choices import sequential as seq

DRAWS = 2000
CHOSEN = next(way for way in seq.WAYS if way.name == seq.USED)
ROWS = json.loads(ci.RECORD.read_text())["sequential"]


def recorded(way: str) -> seq.Summary:
    return seq.Summary(**next(row for row in ROWS if row["way"] == way))


def test_the_record_chose_what_is_used() -> None:
    assert [row["way"] for row in ROWS] == [way.name for way in seq.WAYS]
    assert [row["way"] for row in ROWS if row["chosen"]] == [seq.USED]
    assert CHOSEN.levels(LEVEL) == pytest.approx(np.array(levels()))
    assert recorded(seq.USED).levels == pytest.approx(levels(), rel=0.01)
    assert recorded(seq.USED).families_most <= 0.05
    assert f"Chosen: **{seq.USED}**. The best that splits" in ci.RECORD.with_suffix(".md").read_text()


def test_the_record_chose_by_its_rule() -> None:
    nulls = [seq.Null("worst", "any", row["way"], row["families_most"], 0.05, False) for row in ROWS]
    fields = [field for field in ROWS[0]["worlds"][0] if field != "fixed_runs"]
    spent = [seq.Spent(**{field: world[field] for field in fields}) for row in ROWS for world in row["worlds"]]
    assert seq.choose(nulls, spent) == seq.USED
    # What errs too often is not chosen, however few its runs; nor does a cell that is told count.
    errs = [seq.Null("s", "any", seq.USED, 0.056, 0.05, beyond) for beyond in (False, True)]
    # (Linear has the fewest runs then, and one that splits 1.8% more.)
    assert seq.choose([*nulls, errs[0]], spent) == "Pocock type, split"
    assert seq.choose([*nulls, errs[1]], spent) == seq.USED
    assert seq.choose([seq.Null("s", "any", way.name, 0.2, 0.05, False) for way in seq.WAYS], spent) is None


@pytest.mark.parametrize("structure", moderation.STRUCTURES)
@pytest.mark.parametrize("place", [3, 6])
def test_families_err_in_at_most_5_percent_at_any_look(place: int, structure: str) -> None:
    found = {n.way: n for n in seq.null(moderation.SCENARIOS[place], structure, DRAWS)}
    error = np.sqrt(LEVEL * (1 - LEVEL) / DRAWS)
    for way in seq.WAYS:
        assert found[way.name].families < recorded(way.name).families_most + 4 * error
    assert found[seq.USED].families < LEVEL + 2 * error
    assert found[seq.USED].missed < LEVEL + 2 * error
    # It is not bought by never calling anything.
    assert found[seq.USED].families > 0.02


@pytest.mark.parametrize("cap", seq.CAPS)
@pytest.mark.parametrize("world", seq.WORLDS, ids=lambda world: world.name)
def test_the_record_of_worlds_is_of_this_code(world: seq.World, cap: int) -> None:
    again, told = seq.spend(world, CHOSEN, looks_up_to(cap), designs=400), recorded(seq.USED).of(world.name, cap)
    assert again.runs == pytest.approx(told["runs"], rel=0.04)
    assert again.resolved == pytest.approx(told["resolved"], abs=0.03)
    assert again.negligible == pytest.approx(told["negligible"], abs=0.05)
    assert told["false"] <= LEVEL and told["false_negligible"] <= LEVEL


def test_far_fewer_runs_than_one_look_where_effects_are_as_measured() -> None:
    told = recorded(seq.USED).of("as measured")
    assert told["runs"] < 0.65 * told["fixed_runs"]
    assert seq.share_decided(told) > 0.97
    # What the page says of the way that saves most against one look.
    for world in (world.name for world in seq.WORLDS if world.weighed):
        saved = {row["way"]: recorded(row["way"]).of(world) for row in ROWS}
        least = min(saved, key=lambda way: saved[way]["runs"] / saved[way]["fixed_runs"])
        assert least == "Hwang-Shih-DeCani, gamma -2, integrated"


def test_holm_over_sequential_p_is_what_was_simulated() -> None:
    rng = np.random.default_rng(0)
    shape = (6, len(LOOKS), seq.COMPARISONS)
    p = rng.random(shape) ** rng.choice([1, 4], size=(6, 1, seq.COMPARISONS))
    two, _ = seq.ladders(CHOSEN, LOOKS)
    kept = np.stack([seq.reached(p[:, k], two[k]) for k in range(len(LOOKS))]).max(axis=0)
    simulated = seq.by_holm(kept)
    assert simulated.any() and not simulated.all()
    for design, called in zip(p, simulated, strict=True):
        family = holm([sequential_p(dict(zip(LOOKS, column, strict=True))) for column in design.T])
        assert [x is not None and x <= LEVEL for x in family] == called.tolist()
