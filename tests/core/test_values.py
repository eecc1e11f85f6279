"""The value of a run: its last evaluation, or the geometric mean of those in its window."""

from __future__ import annotations

import math

import pytest

from core import config as cfg
from core.events import Evaluated, Event, Losses
from core.values import averaged, shares, values_in

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("measured", "window", "values"),
    [
        ({400: 2.0, 200: 4.0}, None, {200: 4.0, 400: 2.0}),
        ({200: 4.0, 400: 3.0, 600: 2.0, 800: 1.0}, 0.25, {200: 4.0, 400: 3.0, 600: 2.0, 800: math.sqrt(2)}),
        ({200: 4.0, 400: 1.0, 600: 2.0, 800: 4.0}, 0.5, {200: 4.0, 400: 2.0, 600: math.sqrt(2), 800: 2.0}),
        ({640: 2.0, 720: 4.0, 800: 8.0, 599: 99.0}, 0.25, {599: 99.0, 640: math.sqrt(198), 720: 0, 800: 4.0}),
        ({700: 3.0, 800: INF}, 0.25, {700: 3.0, 800: INF}),
        ({700: NAN, 800: 2.0}, None, {700: INF, 800: 2.0}),
        ({700: NAN, 800: 2.0}, 0.25, {700: INF, 800: INF}),
        ({700: 0.0, 800: 2.0}, 0.25, {700: 0.0, 800: 0.0}),
        ({700: -0.1, 800: 2.0}, 0.25, {700: -0.1, 800: -0.1}),
        ({}, 0.25, {}),
    ],
)
def test_the_value_is_the_mean_over_the_window(
    measured: dict[int, float], window: float | None, values: dict[int, float]
) -> None:
    found = averaged(measured, window)
    assert list(found) == sorted(values)
    for at, value in values.items():
        if at != 720:
            assert found[at] == pytest.approx(value)


def test_an_evaluation_on_the_edge_of_the_window_is_in_it() -> None:
    """0.7 of 1,000 is a little more than 700 in binary."""
    for end, window, first in ((1000, 0.3, 700), (800, 0.1, 720), (1400, 0.25, 1050)):
        assert averaged({first: 1.0, end: 100.0}, window)[end] == pytest.approx(10.0)
        assert averaged({first - 1: 1.0, end: 100.0}, window)[end] == 100.0


def test_the_series_is_the_jobs_own_and_a_later_line_counts() -> None:
    at = {"images": 1, "seconds": 1.0}

    def measured(metric: str, iteration: int, value: float) -> Event:
        return Evaluated(**at, iteration=iteration, metric=metric, value=value, evaluation_seconds=0.1)

    losses = Losses(**at, iteration=1, d_loss=1.0, g_loss=1.0, penalty=0.0, real_score=0.0, fake_score=0.0)
    events = [
        losses,
        measured("fd", 4, 9.0),
        measured("fd/kid", 4, 5.0),
        measured("fd", 3, 4.0),
        measured("fd", 4, 1.0),
    ]
    assert values_in(events, None) == {3: 4.0, 4: 1.0}
    assert values_in(events, 0.25) == {3: 4.0, 4: 2.0}
    assert values_in([losses], 0.25) == {}


def test_off_is_no_part_of_an_identity_and_on_is_one() -> None:
    plain = cfg.Config()
    off = cfg.Config(evaluation=cfg.Evaluation(window=None))
    on = cfg.Config(evaluation=cfg.Evaluation(window=0.25))
    assert cfg.Job(config=plain, seed=0).digest == cfg.Job(config=off, seed=0).digest
    assert cfg.Job(config=plain, seed=0).digest != cfg.Job(config=on, seed=0).digest
    for wrong in (0.0, 1.0, -0.5):
        with pytest.raises(ValueError, match="window"):
            cfg.Evaluation(window=wrong)


def test_shares_are_where_the_evaluations_of_a_value_lie() -> None:
    assert shares(80, 800, 0.25) == pytest.approx((0.8, 0.9, 1.0))
    assert shares(80, 800, None) == (1.0,)
    assert shares(300, 800, 0.3) == pytest.approx((0.75, 1.0)), "the last iteration is evaluated, whatever the grid"
    values = {at: float(at) for at in (300, 600, 800)}
    assert averaged(values, 0.3)[800] == pytest.approx((600 * 800) ** 0.5)
