"""What every command asks of its arguments, whoever parses them: that something stands where a value should, and that
a number is one that can be meant."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from core.errors import InputError
from core.words import visible

MOST = 10**9
"""No count that anybody means is larger."""

MOST_SEED = 2**31
"""A seed is below this, which every library takes."""

MOST_WORKERS = 10_000
"""Of processes or threads: no machine has cores for more."""

NOTHING = " \t\r\n,"
"""A value of these alone is a list of nothing."""


def check_given(arguments: Sequence[str]) -> None:
    """Raises InputError where an argument is empty, as a shell makes one of a variable that is not set.

    Taken as it is, an empty list would mean everything, and an empty path this folder.
    """
    before = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name.startswith("-") and not value.strip(NOTHING):
            place = name
        elif not argument.strip(NOTHING):
            place = before
        else:
            before = argument
            continue
        where = f"what stands behind {visible(place)} is" if place else "the first argument is"
        empty = value if equals else argument
        raise InputError(f"{where} empty ('{empty}'): give a value, or leave it out (is a variable unset?)")


def whole_number(text: str, least: int | None = None, most: int = MOST) -> int:
    """A whole number in plain digits. Raises ValueError, which says what would be one."""
    if re.fullmatch(r"-?[0-9]{1,30}", text) is None or not (-MOST if least is None else least) <= int(text) <= most:
        raise ValueError(f"'{visible(text)}' is no whole number{_from_to(least, most)}")
    return int(text)


def amount(text: str, above: float, most: float) -> float:
    """A finite number in plain digits. Raises ValueError, which says what would be one."""
    plain = re.fullmatch(r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", text)
    if plain is None or not math.isfinite(float(text)) or not above < float(text) <= most:
        raise ValueError(f"'{visible(text)}' is no number above {above:g} and up to {most:,.0f}")
    return float(text)


def _from_to(least: int | None, most: int) -> str:
    return f" up to {most:,}" if least is None else f" from {least:,} to {most:,}"
