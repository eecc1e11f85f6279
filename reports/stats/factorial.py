"""Main effects of a two-level screening design that every seed draws anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from reports.stats.arms import ROUNDING, diverged_as_worst, ends_of
from reports.stats.effects import two_sided_p

LEAST_VARIANCE = 0.08
"""The variance of an effect between seeds counts as at least this part of the mean variance of all effects."""


@dataclass(frozen=True)
class FactorEffect:
    """The ratio with / without one factor, averaged on the log scale over the settings of the others and over seeds.

    `se` is that of the log-ratio between `seeds` seeds, with `df` degrees of freedom; `p` is two-sided. All three and
    the interval are None for one seed, and where seeds agree to rounding. `runs` went into the estimates, `diverged` of
    them with a stand-in for infinity, and `missing` ones of the same seeds did not; `left_out` seeds had too few runs
    that ended to tell the factors apart.
    """

    ratio: float
    low: float | None
    high: float | None
    p: float | None
    se: float | None
    df: int | None
    seeds: int
    left_out: int
    runs: int
    missing: int
    diverged: int


def main_effects(
    designs: Sequence[ArrayLike], log_values: Sequence[ArrayLike], level: float = 0.95
) -> list[FactorEffect]:
    """One effect per factor: estimated once in each seed's own design, then Student's t over seeds.

    `designs` has for each seed the [run, factor] of -1 (without) and 1 (with), or of 0 and 1, `log_values` the [run].
    The designs are to be random relabellings of one another (`ablations.designs.screening`). What interactions of
    three and more factors add to an effect is then a draw of its own in every seed, zero on average, and part of the
    scatter that the interval is made of; errors within a seed would know nothing of it.

    Missing runs (NaN) are left out, and so is a seed whose other runs cannot tell the factors apart. Diverged runs
    (inf) count as the worst finite value of all seeds (`diverged_as_worst`). Raises ValueError where no seed is left.
    """
    tables = [np.asarray(design, dtype=float) for design in designs]
    if any(not np.isin(table, (-1, 1)).all() and not np.isin(table, (0, 1)).all() for table in tables):
        raise ValueError("a two-level design holds -1 and 1, or 0 and 1")
    given = [np.asarray(values, dtype=float) for values in log_values]
    values: list[NDArray[np.float64]] = []
    if given:
        filled, _ = diverged_as_worst(np.concatenate(given))
        values = np.split(filled, np.cumsum([each.size for each in given])[:-1])
    estimates, runs, missing, gone = [], 0, 0, 0
    for table, logs, raw in zip(tables, values, given, strict=True):
        there = ~np.isnan(logs)
        if not tells_apart(table[there]):
            continue
        estimates.append(effects_within(table[there], logs[there]))
        runs += int(there.sum())
        missing += int((~there).sum())
        gone += int(np.isposinf(raw).sum())
    if not estimates:
        raise ValueError("no seed has enough runs that ended to tell the changes apart")
    means, errors = over_seeds(np.stack(estimates))
    n = len(estimates)
    effects = []
    for mean, error in zip(means, errors, strict=True):
        spread = bool(error * np.sqrt(n) >= ROUNDING)  # Not where it is NaN, for one seed.
        low, high = ends_of(float(mean), float(student.ppf((1 + level) / 2, n - 1) * error) if spread else None)
        effects.append(
            FactorEffect(
                ratio=float(np.exp(mean)),
                low=low,
                high=high,
                p=two_sided_p(float(mean), float(error), n - 1) if spread else None,
                se=float(error) if spread else None,
                df=n - 1 if n > 1 else None,
                seeds=n,
                left_out=len(tables) - n,
                runs=runs,
                missing=missing,
                diverged=gone,
            )
        )
    return effects


def tells_apart(design: NDArray[np.float64]) -> bool:
    """Whether the runs [run, factor] give an estimate of every factor beside their common level."""
    columns = _columns(design)
    return design.shape[0] > 0 and bool(np.linalg.matrix_rank(columns) == columns.shape[-1])


def effects_within(design: ArrayLike, log_values: ArrayLike) -> NDArray[np.float64]:
    """The effects [..., factor] of one seed's runs, by least squares of the log value [..., run] on [..., run, factor].

    In a whole design that is the mean with less the mean without the factor.
    """
    columns = _columns(np.asarray(design, dtype=float))
    transposed = np.swapaxes(columns, -1, -2)
    right = transposed @ np.asarray(log_values, dtype=float)[..., None]
    fitted: NDArray[np.float64] = np.linalg.solve(transposed @ columns, right)[..., 1:, 0]
    return fitted


def over_seeds(effects: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The means [..., factor] over seeds of effects [..., seed, factor], and their standard errors; NaN for one seed.

    An interaction of three changes shifts an effect by one size with a random sign. Of three seeds one in four has it
    with one sign throughout: the effect's scatter is then small by chance, though not that of the other effects, to
    which the same interaction was dealt otherwise. A variance below `LEAST_VARIANCE` of their mean is therefore raised
    to that, as with the constant that Tusher, Tibshirani and Chu (2001) add to standard errors of few replicates. It
    only ever widens an interval.
    """
    x = np.asarray(effects, dtype=float)
    n = x.shape[-2]
    means = x.mean(axis=-2)
    if n < 2:
        return means, np.full_like(means, np.nan)
    own = x.var(axis=-2, ddof=1)
    variance = np.maximum(own, LEAST_VARIANCE * own.mean(axis=-1, keepdims=True))
    return means, np.sqrt(variance / n)


def _columns(design: NDArray[np.float64]) -> NDArray[np.float64]:
    on = (design > 0).astype(float)
    return np.concatenate([np.ones((*on.shape[:-1], 1)), on], axis=-1)
