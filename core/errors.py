"""The one exception that is meant for a person rather than for a programmer."""

from __future__ import annotations


class InputError(ValueError):
    """Wrong input whose message is one line for a person: names the thing and the remedy."""
