"""How much each parameter of a search mattered: fANOVA over its trials, by optuna, with what resampling says of it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.trial import create_trial

from studies.search_records import Importance, Sweep, Trial

FEWEST = 8
"""Below so many trials nothing is said."""

DRAWS = 25
"""Resamples of the trials for an interval, each with a forest of its own."""

TREES = 8
"""Of each forest: what is reported is the mean of all of them."""


def importances(sweep: Sweep) -> tuple[Importance, ...]:
    """Shares of every parameter, at the last iteration that all trials reached and at the very last one.

    At the former no trial is missing; at the latter those given up are, and they are the worse ones. A diverged trial
    has the worst value there was.
    """
    moments = dict.fromkeys(moment for moment in (sweep.common_iteration, sweep.iterations) if moment is not None)
    return tuple(importance for moment in moments for importance in at(sweep, moment))


def at(sweep: Sweep, iteration: int) -> list[Importance]:
    """Shares by the metric at one iteration; none where too few trials measured it or all are alike."""
    there = [trial for trial in sweep.ended if trial.state == "diverged" or trial.at(iteration) is not None]
    finite = [value for trial in there if (value := trial.at(iteration)) is not None and trial.state != "diverged"]
    if len(there) < FEWEST or not finite or min(finite) <= 0:
        return []
    worst = max(finite)
    logs = np.log([worst if trial.state == "diverged" else trial.at(iteration) or worst for trial in there])
    if np.ptp(logs) == 0:
        return []
    draws = np.random.default_rng(0).integers(len(there), size=(DRAWS, len(there)))
    resampled = [shares(sweep, [there[i] for i in draw], logs[draw]) for draw in draws if np.ptp(logs[draw]) > 0]
    shown = []
    for path in sweep.ranges:
        drawn = [share[path] for share in resampled]
        low, high = (float(end) for end in np.quantile(drawn, [0.025, 0.975]))
        share = float(np.mean(drawn))
        shown.append(Importance(path=path, iteration=iteration, trials=len(there), share=share, low=low, high=high))
    return shown


def shares(sweep: Sweep, trials: Sequence[Trial], logs: NDArray[np.float64]) -> dict[str, float]:
    """fANOVA's shares by path; they sum to 1."""
    scales = {parameter.path: parameter.log for parameter in sweep.search.parameters}
    ranges = {path: FloatDistribution(*ends, log=scales[path]) for path, ends in sweep.ranges.items()}
    study = optuna.create_study()
    study.add_trials(
        [
            create_trial(params=trial.values, distributions=ranges, value=float(value))
            for trial, value in zip(trials, logs, strict=True)
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        of_path = optuna.importance.get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(n_trees=TREES, seed=0)
        )
    return {path: share if math.isfinite(share := float(of_path[path])) else 0.0 for path in ranges}
