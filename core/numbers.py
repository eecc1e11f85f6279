"""Numbers in files that may be anybody's: what each kind of them can be, said once, so that whatever is read can be
counted with, drawn, and put into the column of a table."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, Field

from core.arguments import MOST, MOST_SEED

MOST_VALUE = 1e30
"""No measurement that means anything is larger, and figures have room around it."""

MOST_SECONDS = 1e10
"""Three hundred years."""

Whole = Annotated[int, Field(ge=-(2**62), le=2**62)]
"""An integer that fits into a column of a table."""

Count = Annotated[int, Field(ge=0, le=MOST)]
"""Of iterations, attempts and the like: two of them multiplied are still a `Whole`."""

Seed = Annotated[int, Field(ge=0, lt=MOST_SEED)]

Seconds = Annotated[float, Field(ge=0, le=MOST_SECONDS, allow_inf_nan=False)]


def measured(value: float) -> float:
    """A measurement as it is recorded: infinite where it is too large to mean anything."""
    return math.copysign(math.inf, value) if abs(value) > MOST_VALUE else value


def _checked(value: float) -> float:
    if MOST_VALUE < abs(value) < math.inf:
        raise ValueError(f"no measurement is larger than {MOST_VALUE:g}")
    return value


Value = Annotated[float, AfterValidator(_checked)]
"""A measurement, `inf` or NaN where it was not finite."""

Size = Annotated[float, AfterValidator(measured)]
"""A number of which nothing but its rough size is told; infinite above the largest `Value`."""
