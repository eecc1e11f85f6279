"""What the deck says beside ours: a claim's numbers in our runs, and what keeps the two apart."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ablations.claims import Claim, Measured
from ablations.protocols import DECK_2020
from core.config import PUBLIC_RESAMPLING, CleanFid, Images, Metric
from core.metrics.identity import STATE_DICT_SHA256
from reports.page import Grey, Text
from reports.results import Results
from studies.overrides import override
from studies.plan import PlannedVariant


def claim_iteration(claim: Claim, number: Measured, results: Results) -> int | None:
    """Where in our runs the claim's iteration lies, by proportion; None for the last one.

    A further measure of a run is taken at its last iteration alone.
    """
    variant = results.variant(number.variant)
    if claim.iterations is None or variant is None or number.series is not None:
        return None
    deck, here = results.study.base.iterations, variant.config.iterations
    at = round(claim.iterations * here / deck)
    return at if at < here else None


def claimed_values(claim: Claim, number: Measured, results: Results) -> np.ndarray | None:
    """One of a claim's numbers per seed in our runs: inf where it diverged, NaN where it is missing; None: not planned.

    All measures that claims name are better the lower they are, so a diverged run is the worst in each.
    """
    variant = results.variant(number.variant)
    if variant is None:
        return None
    if number.series is not None:
        return results.worst_where_diverged(variant, number.series)
    at = claim_iteration(claim, number, results)
    last = results.last(variant)
    # Only of runs that ended: what a failed one measured on its way is no result.
    return last if at is None else np.where(np.isnan(last), np.nan, results.at(variant, at))


METRIC_OF_THE_FIELD = {"clean_fid": "FID", "mae": "MAE"}
"""What claims call the metric that a config names; any other metric is nobody else's."""


def what_differs(claim: Claim, results: Results) -> tuple[str, ...]:
    """What keeps our magnitude from being compared with the claim's."""
    plan = results.plan
    differs = []
    if plan.profile != claim.comparable_profile:
        differs.append(f"scale: profile {plan.profile} here, {claim.comparable_profile} there")
    if dataset_name(plan.data_name) != dataset_name(claim.dataset):
        differs.append(f"dataset: {plan.data_name} here, {claim.dataset} there")
    planned = [(number, variant) for number in claim.numbers if (variant := results.variant(number.variant))]
    here = sorted({claim_iteration(claim, n, results) or variant.config.iterations for n, variant in planned})
    if claim.iterations is not None and here and here != [claim.iterations]:
        differs.append(f"iterations: {', '.join(f'{i:,}' for i in here)} here, {claim.iterations:,} there")
    differs += metric_differs(claim, results)
    if plan.overrides:
        differs.append(f"overrides: {', '.join(override(path, value) for path, value in plan.overrides.items())}")
    if plan.retuned:
        differs.append("learning rates: re-tuned here, as published there")
    return tuple(differs)


def metric_differs(claim: Claim, results: Results) -> list[str]:
    """What keeps our measure from being the claim's: another metric, or for an FID another protocol than `deck-2020`.

    By the configs that were run, and by what the runs say they used, which may be less than was asked for.
    """
    numbers = [(number, variant) for number in claim.numbers if (variant := results.variant(number.variant))]
    metrics = list(dict.fromkeys(metric_of(number, variant) for number, variant in numbers))
    kinds = sorted({metric.kind for metric in metrics})
    if any(METRIC_OF_THE_FIELD.get(kind) != claim.metric for kind in kinds):
        measured = list(dict.fromkeys(number.series for number in claim.numbers if number.series)) or kinds
        return [f"metric: {', '.join(measured)} here, {claim.metric} there"]
    if claim.metric != "FID":
        return []
    deck = DECK_2020.metric
    assert isinstance(deck, CleanFid)
    reasons: list[str] = []
    for metric, series in dict.fromkeys((metric_of(n, variant), n.series or results.metric) for n, variant in numbers):
        assert isinstance(metric, CleanFid)
        protocol = results.protocol(series)
        used = (metric.samples, metric.real) if protocol is None else (protocol.samples, protocol.real_samples)
        if protocol is None and (results.tidy["metric"] == series).any():
            reasons.append(f"what {series} was measured with is not recorded here")
        weights = None if protocol is None else protocol.weights
        if weights and metric.mode == deck.mode and not weights.startswith(STATE_DICT_SHA256[:8]):
            reasons.append(f"weights {weights[:8]} here, {STATE_DICT_SHA256[:8]} there")
        reasons += [f"mode {metric.mode} here, {deck.mode} there"] if metric.mode != deck.mode else []
        reasons += [
            f"{'all' if here is None else f'{here:,}'} {what} images here, {there:,} there"
            for what, here, there in zip(("generated", "real"), used, (deck.samples, deck.real), strict=True)
            if here != there
        ]
        if metric.quantised != deck.quantised:
            reasons.append("generated images rounded to 8 bits here, not rounded there")
        if metric.real_taken != deck.real_taken:
            reasons.append("real images spread over the set here, its first ones there")
    filters = {v.config.data.resampling for _, v in numbers if isinstance(v.config.data, Images)} - {PUBLIC_RESAMPLING}
    reasons += [f"images made smaller by the filter {each} here, {PUBLIC_RESAMPLING} there" for each in sorted(filters)]
    return [f"protocol: {', '.join(dict.fromkeys(reasons))}"] if reasons else []


def metric_of(number: Measured, variant: PlannedVariant) -> Metric:
    """What one of a claim's numbers is measured by."""
    config = variant.config
    if config.evaluation.upsampling and (number.series or "").startswith("upsampled/"):
        return config.evaluation.upsampling.metric
    return config.evaluation.metric


def dataset_name(text: str) -> str:
    """A data set's name as people write it, or as a folder, a file or a database is called after it.

    LSUN's own databases are called "bedroom_train_lmdb": they are "LSUN bedroom". Names are all that the deck's data
    can be compared by, for nobody has its pixels.
    """
    words = re.sub(r"[\s_-]+", " ", re.sub(r"\.(zip|tar|lmdb|npz)$", "", text.strip().casefold())).split()
    if words[-2:] == ["train", "lmdb"]:
        words = ["lsun", *words[:-2]]
    return " ".join(words)


def deck_number(text: str, differs: Sequence[str]) -> Text:
    """A number of the deck's beside ours: grey where anything keeps the two apart. `grey_note` goes with it."""
    return Grey(f"{text} †") if differs and text != "–" else text


def grey_note(differs: Sequence[str]) -> Text:
    """Why the deck's numbers in a table are grey; nothing where they are not."""
    if not differs:
        return ""
    reasons = "; ".join(dict.fromkeys(differs))
    return f"† Grey, because what follows differs. {reasons[:1].upper()}{reasons[1:]}."
