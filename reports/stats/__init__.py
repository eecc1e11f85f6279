"""Statistics of a few training seeds: pure arrays in, numbers out.

Arrays are aligned by seed. NaN is a missing run and leaves its pair; inf is a diverged run, the worst outcome there is,
and stays. Effects are ratios, taken on the log scale, where a Frechet distance has roughly constant spread and where
helping by a factor and hurting by it are equally far from none.

Intervals are Student's t on the paired log-ratios; those of one design's comparisons borrow from each other what they
know of their variances (`borrowing`). The method was chosen by simulation among five (docs/intervals.md,
`python -m tests.choices.interval`): with three to ten seeds no other covers as often as it says at a lesser width. A
percentile bootstrap of three values can never leave their range and covers three times in four at best. Where the
log-ratios themselves are strongly skewed no method keeps its promise at these n; that page says by how much.
"""

from __future__ import annotations

from reports.stats.arms import (
    Interval,
    LogSummary,
    Rate,
    Summary,
    diverged_as_worst,
    divergence_rate,
    geometric_mean,
    half_width,
    log_summary,
    standard_errors,
    summary,
)
from reports.stats.attribution import ShapleyValue, shapley
from reports.stats.components import VarianceComponents, variance_components
from reports.stats.curves import mean_along, spread_apart, value_at
from reports.stats.effects import (
    Effect,
    UnpairedEffect,
    between_effects,
    borrowing,
    equivalent,
    holm,
    holm_t,
    paired_effect,
    smallest_pairing_ratio,
    unpaired_effect,
)
from reports.stats.factorial import LEAST_VARIANCE, FactorEffect, effects_within, main_effects, over_seeds
from reports.stats.orders import (
    PERMUTED_UP_TO,
    OrderAgreement,
    RankCorrelation,
    order_agreement,
    random_order_p,
    rank_correlation,
    same_order,
    seed_bootstrap_rank_correlation,
)
from reports.stats.ranking import (
    LEAST_SEEDS,
    Measured,
    TopK,
    measured_by_seeds,
    measured_each,
    shrunk_draws,
    top_k,
)
from reports.stats.sequential import interval_level, sequential_p
from reports.stats.sign_flips import EXACT_UP_TO, seeds_for_sign_flip, sign_flip_p, signed_rank_p, smallest_sign_flip_p
from reports.stats.stability import AWAY, SPREAD_TIMES, STEADY, largest_variation, outlying, unstable
