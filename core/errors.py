"""The one exception that is meant for a person rather than for a programmer."""

from __future__ import annotations

from collections.abc import Sequence

from core.words import meant


class InputError(ValueError):
    """Wrong input whose message is one line for a person: names the thing and the remedy."""


def unknown(kind: str, name: str, names: Sequence[str], otherwise: str | None = None) -> InputError:
    """The error for a name that is not among `names`, with the one that was probably meant.

    Where none is near it says `otherwise`, or which names there are.
    """
    hint = meant(name, names) or otherwise or f"there are {', '.join(names)}"
    return InputError(f"there is no {kind} '{name}': {hint}")
