"""The studies there are, by name. A study file declares `STUDY`; its name here is the module's."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

from core.errors import InputError

if TYPE_CHECKING:
    from ablations.schema import Study

NAMES: tuple[str, ...] = (
    "lsun_bedroom_64",
    "siren_vs_fourier",
    "inr_layers",
    "inr_layers_gan",
    "changes_overview",
    "learning_rates",
    "lsun_bedroom_128",
    "model_size",
    "upsampling",
    "weight_clipping",
)
"""In the deck's order."""


def study(name: str) -> Study:
    """The study of that name. Raises InputError with the nearest name."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "--list shows the studies"
        raise InputError(f"there is no study '{name}': {hint}")
    declared: Study = importlib.import_module(f"studies.{name}").STUDY
    assert declared.name == name
    return declared
