"""Main effects of a two-level screening design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from statsmodels.regression.linear_model import OLS

from reports.stats.arms import diverged_as_worst


@dataclass(frozen=True)
class FactorEffect:
    """The ratio with / without one factor, averaged on the log scale over the settings of the others.

    `se` is that of the log-ratio with `df` degrees of freedom; `p` is two-sided. All three and the interval are None
    where no degree of freedom is left. `runs` went into the fit, `diverged` of them with a stand-in for infinity.
    """

    ratio: float
    low: float | None
    high: float | None
    p: float | None
    se: float | None
    df: int
    runs: int
    diverged: int


def main_effects(design: ArrayLike, log_values: ArrayLike, seeds: ArrayLike, level: float = 0.95) -> list[FactorEffect]:
    """One effect per factor, by least squares of the log value on all factors and one level per seed.

    `design` is [run, factor] of -1 (without) and 1 (with), or of 0 and 1; `log_values` and `seeds` are [run]. A seed's
    level takes out what its runs share. A design that is orthogonal and folded over gives each main effect clear of
    every interaction of two factors; such interactions then stay in the residual and widen the intervals. Any other
    design shares interactions out among the effects as its aliases say.

    Missing runs (NaN) are left out. Diverged runs (inf) count as the worst finite value of the whole design
    (`diverged_as_worst`). Raises ValueError where the runs that are left cannot tell the factors apart.
    """
    factors, blocks = np.asarray(design, dtype=float), np.asarray(seeds)
    values, _ = diverged_as_worst(log_values)
    gone = np.isposinf(np.asarray(log_values, dtype=float))
    there = ~np.isnan(values)
    if not np.isin(factors, (-1, 1)).all() and not np.isin(factors, (0, 1)).all():
        raise ValueError("a two-level design holds -1 and 1, or 0 and 1")
    factors, values, blocks = factors[there], values[there], blocks[there]
    on = (factors > 0).astype(float)
    columns = np.column_stack([on, blocks[:, None] == np.unique(blocks)[None]])
    rank = np.linalg.matrix_rank(columns) if values.size else 0
    if rank < columns.shape[1]:
        raise ValueError(
            f"{values.size} runs that ended cannot tell {on.shape[1]} factors and {columns.shape[1] - on.shape[1]} "
            "seeds apart"
        )
    fit = OLS(values, columns).fit()
    df = int(fit.df_resid)
    found = []
    ends = fit.conf_int(alpha=1 - level) if df else None
    for factor in range(on.shape[1]):
        found.append(
            FactorEffect(
                ratio=float(np.exp(fit.params[factor])),
                low=None if ends is None else float(np.exp(ends[factor, 0])),
                high=None if ends is None else float(np.exp(ends[factor, 1])),
                p=float(fit.pvalues[factor]) if df else None,
                se=float(fit.bse[factor]) if df else None,
                df=df,
                runs=int(values.size),
                diverged=int(gone.sum()),
            )
        )
    return found
