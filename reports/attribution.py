"""Effects of changes estimated from many variants at once, and which few changes carry the gain.

Each estimate is a ratio with / without the change, below 1 where it helps, on average over what else is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from ablations.designs import DESIGNS, Subset, in_order, permutations, variant_name
from ablations.schema import DesignName
from reports import stats
from reports.results import Results
from reports.stats.arms import ROUNDING
from reports.stats.effects import two_sided_p

NO_RATIO = "a value of 0 or below has no ratio"
"""Why an effect is not known where a run measured exactly 0, or less."""


@dataclass(frozen=True)
class Estimate:
    """`effect` as tables print it, and the two-sided `p` of none. `se` is that of the log, with `df` degrees of
    freedom.

    `diverged` runs went in with the worst value of all. `shapley` and `screened` have what only those designs know.
    """

    effect: stats.Effect
    p: float | None
    se: float | None
    df: float | None
    diverged: int = 0
    shapley: stats.ShapleyValue | None = None
    screened: stats.FactorEffect | None = None

    def negligible_p(self, margin: float) -> float | None:
        """See `stats.Effect.negligible_p`; None where the error is not known, or is rounding."""
        if self.se is None or not self.df or self.se < ROUNDING:
            return None
        return replace(self.effect, error=self.se, df=self.df).negligible_p(margin)


def values_of(results: Results, design: DesignName) -> dict[Subset, np.ndarray] | str:
    """The last values per seed of every variant of a design by its changes, a diverged run with the worst of all. For
    designs that are the same in every seed.

    An estimate from many runs cannot hold an infinity (`stats.diverged_as_worst`). A phrase where variants are missing.
    """
    study = results.study
    named = {subset: results.variant(variant_name(study, subset)) for subset in DESIGNS[design](study, ())}
    planned = {subset: variant for subset, variant in named.items() if variant is not None}
    if len(planned) < len(named):
        return not_run(len(named) - len(planned), len(named))
    if any((results.last(variant) <= 0).any() for variant in planned.values()):
        return NO_RATIO
    try:
        logs, _ = stats.diverged_as_worst(np.log(np.array([results.last(variant) for variant in planned.values()])))
    except ValueError as error:
        return str(error)
    return dict(zip(planned, np.exp(logs), strict=True))


def not_run(missing: int, variants: int) -> str:
    """Why a design has no estimates that is not planned whole."""
    few = variants - missing <= variants // 2
    return "not run" if few else f"{missing} of {variants} variants not run"


def diverged_in(results: Results, design: DesignName) -> int:
    """How many of a design's runs diverged."""
    study = results.study
    planned = (results.variant(variant_name(study, subset)) for subset in DESIGNS[design](study, ()))
    distinct = {variant.name: variant for variant in planned if variant is not None}
    return sum(int(np.isinf(results.last(variant)).sum()) for variant in distinct.values())


def main_effects(results: Results) -> Sequence[Estimate] | str:
    """Each change's main effect in the screening design, one estimate for each seed's own runs; a phrase where there
    is none. Seeds with which the design is not planned whole don't count."""
    study = results.study
    seeds = results.seeds_with("screening")
    if not seeds:
        missing = [(len(results.missing_from("screening", seed)), seed) for seed in results.plan.seeds]
        least, seed = min(missing, default=(1, 0))
        return not_run(least, len(DESIGNS["screening"](study, [seed])))
    names = [change.name for change in study.changes]
    tables, logs = [], []
    for seed in seeds:
        subsets = list(DESIGNS["screening"](study, [seed]))
        place = results.plan.seeds.index(seed)
        variants = [results.variant(variant_name(study, subset)) for subset in subsets]
        tables.append([[1 if name in subset else -1 for name in names] for subset in subsets])
        values = np.array([results.last(variant)[place] for variant in variants if variant is not None])
        if (values <= 0).any():
            return NO_RATIO
        logs.append(np.log(values))
    try:
        effects = stats.main_effects(tables, logs)
    except ValueError as error:
        return str(error)
    return [
        Estimate(
            stats.Effect(n=e.seeds, ratio=e.ratio, low=e.low, high=e.high), e.p, e.se, e.df, e.diverged, screened=e
        )
        for e in effects
    ]


def shapley_values(results: Results) -> Sequence[Estimate] | str:
    """Each change's Shapley value by sampled orders; a phrase where the design was not run."""
    values = values_of(results, "shapley")
    if isinstance(values, str):
        return values
    study = results.study
    names = [change.name for change in study.changes]
    orders = permutations(study)
    marginals = np.empty((len(orders), len(results.plan.seeds), len(names)))
    for row, order in enumerate(orders):
        for step, name in enumerate(order):
            before, after = (values[in_order(study, set(order[:end]))] for end in (step, step + 1))
            marginals[row, :, names.index(name)] = np.log(after) - np.log(before)
    whole = ~np.isnan(marginals).any(axis=(0, 2))
    if not whole.any():
        return "no seed ended in every variant"
    gone = diverged_in(results, "shapley")
    estimates = []
    for e in stats.shapley(marginals[:, whole]):
        effect = stats.Effect(n=int(whole.sum()), ratio=e.ratio, low=e.low, high=e.high)
        se = p = None
        if e.high is not None and e.df:
            se = float(np.log(e.high / e.ratio) / student.ppf(0.975, e.df))
            p = two_sided_p(float(np.log(e.ratio)), se, e.df)
        estimates.append(Estimate(effect, p, se, e.df, gone, e))
    return estimates
