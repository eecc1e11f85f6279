"""The value of a run: what its evaluations of one metric come to. Whoever reads a run reads it here.

Without a window it is the last evaluation. With one, `core.config.Evaluation.window`, it is the geometric mean of all
evaluations in that share of the iterations at its end: another quantity than the last evaluation, declared before the
run, which scatters less where the generator wobbles from evaluation to evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from core.events import Evaluated, Event

ROUNDING = 1e-9
"""Relative: what an iteration on the edge of a window may be off by."""


def averaged(measured: Mapping[int, float], window: float | None) -> dict[int, float]:
    """The value of the run as if it had ended at each of its evaluations, by iteration, in order.

    `measured` are evaluations by iteration. At iteration t the value is of those from (1 - window) t to t, both ends
    included. It is infinite where one of them is not finite, and the least where one is 0 or below, which has no
    logarithm.
    """
    ordered = [(at, value if math.isfinite(value) else math.inf) for at, value in sorted(measured.items())]
    if window is None:
        return dict(ordered)
    return {end: _mean([value for at, value in ordered if begins(end, window) <= at <= end]) for end, _ in ordered}


def begins(end: int, window: float) -> float:
    """Where the window of a run that ends at iteration `end` begins; evaluations from there on are in it."""
    return end * (1 - window) * (1 - ROUNDING)


def shares(every: int, iterations: int, window: float | None) -> tuple[float, ...]:
    """Where the evaluations lie that a run's value is of, as shares of its iterations, in order."""
    grid = sorted({*range(every, iterations + 1, every), iterations})
    first = iterations if window is None else begins(iterations, window)
    return tuple(at / iterations for at in grid if at >= first)


def _mean(values: list[float]) -> float:
    if len(values) == 1 or math.inf in values:
        return max(values)
    least = min(values)
    return least if least <= 0 else math.exp(math.fsum(map(math.log, values)) / len(values))


def values_in(events: Iterable[Event], window: float | None) -> dict[int, float]:
    """The values of the job's own metric, the first that its events measure, by iteration, as `averaged` has them.

    A job that was killed and resumed may have measured an iteration twice: its weights went on from the later line.
    """
    measured = [event for event in events if isinstance(event, Evaluated)]
    mine = {event.iteration: event.value for event in measured if event.metric == measured[0].metric}
    return averaged(mine, window)
