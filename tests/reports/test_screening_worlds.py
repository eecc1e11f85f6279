"""Screening keeps its promise whatever three changes do together; one design for all seeds would not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reports import stats
from tests.choices import screening as sw
from tests.choices.interval import RECORD

STUDIES = 2000
MONTE_CARLO = 3 * np.sqrt(0.05 * 0.95 / STUDIES)
"""Three standard errors of a share of 5%, 1.5%: what these shares of independent studies scatter by. The ten intervals
of one study hang together, so their share scatters no less than a tenth of them would, and no more than this."""


@pytest.mark.parametrize("n", sw.SEEDS)
@pytest.mark.parametrize("world", sw.WORLDS)
def test_intervals_cover_and_changes_without_effect_get_no_verdict(world: str, n: int) -> None:
    found = sw.simulated(sw.WORLDS[world], n, STUDIES)
    assert 0.93 <= found.covered <= 0.97 + MONTE_CARLO
    assert found.false is None or found.false <= 0.05 + MONTE_CARLO


def test_one_design_for_all_seeds_would_not_and_more_seeds_make_it_worse() -> None:
    threes = sw.WORLDS["four changes do something, in threes sd .2"]
    few, many = (sw.simulated(threes, n, 400, one_design=True) for n in (3, 10))
    assert many.covered < few.covered < 0.8
    assert few.false is not None and many.false is not None and 0.5 < few.false < many.false
    # Where nothing interacts it was right.
    assert 0.93 <= sw.simulated(sw.WORLDS["changes multiply"], 3, 400, one_design=True).covered <= 0.97


def test_worlds_are_what_their_names_say() -> None:
    rng = np.random.default_rng(0)
    assert sw.combination_of(sw.LEVELS).tolist() == list(range(1024))
    for name, world in sw.WORLDS.items():
        logs = world(rng, 3)
        without_alone = logs - sw.contrasts(logs) @ sw.LEVELS.T / 2
        interacts = np.abs(without_alone - without_alone.mean(axis=1, keepdims=True)).max() > 1e-9
        assert interacts == (name != "changes multiply")
        idle = (np.abs(sw.contrasts(logs)) < 1e-9).all(axis=0).sum()
        assert idle == (6 if name.startswith("four changes") else 0)


def test_the_simulated_studies_are_judged_as_the_real_ones() -> None:
    rng = np.random.default_rng(1)
    runs = sw.relabellings()[:3]
    logs = rng.normal(size=runs.shape[:2])
    means, errors = stats.over_seeds(stats.effects_within(runs, logs))
    found = stats.main_effects(list(runs), list(logs))
    np.testing.assert_allclose([(np.log(f.ratio), f.se) for f in found], np.column_stack([means, errors]))
    p_values = rng.uniform(size=10) ** 4
    np.testing.assert_allclose(sw.holm(p_values), np.array(stats.holm(list(p_values)), dtype=float))
    design = np.asarray(sw.fold(sw.pbdesign(10)), dtype=float)
    again = np.broadcast_to(design, (1, 3, 24, 10))
    effects, error, df = sw.least_squares(again, logs[None])
    from statsmodels.regression.linear_model import OLS

    columns = np.column_stack([(np.tile(design, (3, 1)) > 0).astype(float), np.repeat(np.eye(3), 24, axis=0)])
    fit = OLS(logs.ravel(), columns).fit()
    np.testing.assert_allclose(effects[0], fit.params[:10])
    np.testing.assert_allclose(error[0], fit.bse[:10])
    assert df == fit.df_resid


def test_the_page_tells_every_world_and_the_record_is_of_this_code() -> None:
    record = json.loads(RECORD.read_text())["screening"]
    assert [(row["world"], row["seeds"]) for row in record] == [(w, n) for w in sw.WORLDS for n in sw.SEEDS]
    assert sw.simulate(50) == sw.simulate(50)
    table = [line for line in sw.lines(record) if line.startswith("|")]
    assert len(table) == 2 + len(record) and {line.count("|") for line in table} == {9}
    assert "\n".join(table) in RECORD.with_suffix(".md").read_text()
