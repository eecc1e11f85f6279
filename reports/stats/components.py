"""Where the spread of a metric comes from: training seeds, or the samples it was measured with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class VarianceComponents:
    """Standard deviations of the log of the metric, between training seeds and between evaluations of one model.

    `seed_df` and `evaluation_df` are the degrees of freedom of the two mean squares. `training_df` is Satterthwaite's,
    of the difference that the training variance is: it is what an interval of `training_sd` may count on, 0 where the
    difference is not above 0, since then the training variance was set to 0.
    """

    training_sd: float
    evaluation_sd: float
    training_df: float
    seed_df: int
    evaluation_df: int

    @property
    def training_cv(self) -> float:
        """Coefficient of variation between seeds of a log-normal metric."""
        return float(np.sqrt(np.expm1(self.training_sd**2)))

    @property
    def evaluation_cv(self) -> float:
        """Coefficient of variation between evaluations of a log-normal metric."""
        return float(np.sqrt(np.expm1(self.evaluation_sd**2)))


def variance_components(tables: Sequence[ArrayLike]) -> VarianceComponents | None:
    """One-way random effects, pooled over variants.

    Each table is [seed, resample] of one variant: positive values of the metric, every evaluation of a seed on other
    samples. Variants may differ in level, in seeds and in resamples; the two variances are taken as theirs in common.
    Estimates equate mean squares with their expectations (ANOVA), so the training variance is what seeds differ by
    beyond evaluation noise, and 0 where that is negative. Seeds with a missing or diverged value are left out. None
    where no variant has two seeds left, or none of them two resamples.
    """
    between = within = weighted = 0.0
    seed_df = evaluation_df = 0
    for table in tables:
        x = np.atleast_2d(np.asarray(table, dtype=float))
        x = np.log(x[(np.isfinite(x) & (x > 0)).all(axis=1)])
        seeds, resamples = x.shape
        if seeds < 2 or resamples < 2:
            continue
        means = x.mean(axis=1)
        between += float(resamples * ((means - means.mean()) ** 2).sum())
        within += float(((x - means[:, None]) ** 2).sum())
        weighted += resamples * (seeds - 1)
        seed_df += seeds - 1
        evaluation_df += seeds * (resamples - 1)
    if seed_df == 0:
        return None
    of_seeds, of_evaluations = between / seed_df, within / evaluation_df
    training = max(0.0, (of_seeds - of_evaluations) * seed_df / weighted)
    spread = of_seeds**2 / seed_df + of_evaluations**2 / evaluation_df
    df = (of_seeds - of_evaluations) ** 2 / spread if training else 0.0
    return VarianceComponents(float(np.sqrt(training)), float(np.sqrt(of_evaluations)), df, seed_df, evaluation_df)
