"""How much MLflow takes: what is longer is made to fit, here and nowhere else.

The lengths are the least of what MLflow 3.17 checks, what its tables hold in PostgreSQL, and what servers of earlier
versions take.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

EXPERIMENT_NAME = 250
RUN_NAME = 250
KEY = 250
"""Of a tag, a parameter, or a metric."""
TAG = 5000
PARAMETER = 6000
EXPERIMENT_TAG = 20_000
BATCH = 800
"""Metrics a call: with them, in a thousand, go the parameters and tags of the last one, up to a hundred of each."""


def fitted(text: str, most: int, *, end: str = "", sign: str = "…") -> str:
    """The text, with the part before its `end` cut short where it is too long.

    What is left of two texts differs where they do: a part of the digest stands behind the `sign` of the cut.
    """
    if len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:8]
    rest = f"{sign}{digest}{end[max(0, len(end) - most // 4) :]}"
    return text[: most - len(rest)] + rest


def _key(text: str) -> str:
    # MLflow takes letters, digits and few signs.
    return fitted(text, KEY, sign="-")


def tags(values: Mapping[str, str]) -> dict[str, str]:
    """Tags of a run as MLflow takes them."""
    return {_key(key): fitted(value, TAG) for key, value in values.items()}


def parameters(values: Mapping[str, str]) -> dict[str, str]:
    """Parameters of a run as MLflow takes them."""
    return {_key(key): fitted(value, PARAMETER) for key, value in values.items()}


def as_many(items: Sequence[T], made: Callable[[Sequence[T]], str], most: int) -> Sequence[T]:
    """As many of the first items as the text that is `made` of them has room for; it grows with them."""
    fits, too_many = 0, len(items) + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if len(made(items[:middle])) <= most:
            fits = middle
        else:
            too_many = middle
    return items[:fits]
