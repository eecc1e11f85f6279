"""The slide's layers in the results of a study: their variants and last values, and what was recorded at the start."""

from __future__ import annotations

import numpy as np

from ablations.layers import Row
from core.events import Built
from reports.results import Results
from studies.plan import PlannedVariant

INITS = (("", "the formulas' init"), ("+unit_init", "unit init"))
MARKS = ("o", "s", "v", "^", "P", "D", "X", "*")


def named(row: Row, init: str = "", codes: bool = False) -> str:
    """The variant with this layer, at this init, of this emitter."""
    own = "" if row.name == "linear" else f"+{row.name}"
    return f"baseline{own}{init}{'+latent_codes' if codes else ''}"


def errors(results: Results, row: Row, init: str = "", codes: bool = False) -> np.ndarray:
    """The last MAE per seed, NaN where it has not been measured."""
    variant = results.variant(named(row, init, codes))
    return results.last(variant) if variant else np.full(len(results.plan.seeds), np.nan)


def mean(results: Results, row: Row, init: str = "", codes: bool = False) -> float | None:
    """The geometric mean of the last MAE, infinite where a run diverged."""
    return results.ends(named(row, init, codes)).mean


def magnitude(value: float) -> str:
    """A size that may span decades."""
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def first_built(results: Results, variant: PlannedVariant | None) -> Built | None:
    """The record of the variant's first run of its networks as built."""
    if variant is None or not results.plan.seeds:
        return None
    run = str(results.job(variant, results.plan.seeds[0])["run"])
    if run in results.damaged:
        return None
    folder = results.folder(run)
    return next((event for event in folder.each_event(b'"built"') if isinstance(event, Built)), None)
