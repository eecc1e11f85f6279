"""Edits of plain config data by dotted path, and why an edit is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.words import nearest

Plain = Any
"""Plain JSON data: None, bool, int, float, str, list or dict."""


def lookup(data: Mapping[str, Any], path: str) -> Plain:
    """The value at `path`. Raises KeyError with one line that names the nearest key there is."""
    node: Any = data
    walked: list[str] = []
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node:
            near = nearest(key, list(node)) if isinstance(node, Mapping) else None
            place = ".".join(walked) or "the config"
            hint = f"; did you mean '{'.'.join([*walked, near])}'?" if near else ""
            raise KeyError(f"no '{key}' in {place}{hint}")
        node = node[key]
        walked.append(key)
    return node


def has(data: Mapping[str, Any], path: str) -> bool:
    """Whether this member of every union on the way has `path`."""
    try:
        lookup(data, path)
    except KeyError:
        return False
    return True


def replaced(data: Mapping[str, Any], path: str, value: Plain) -> dict[str, Any]:
    """A copy of `data` with the whole node at `path` replaced, so that no key of an old union member survives."""
    lookup(data, path)
    head, _, rest = path.partition(".")
    return {**data, head: replaced(data[head], rest, value) if rest else value}


def overlap(a: str, b: str) -> bool:
    """Whether one path lies at or below the other."""
    return a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.")
