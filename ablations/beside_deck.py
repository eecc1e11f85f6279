"""Two configs beside each other, the deck's and what is trained here: values by path, and how people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ablations import patch
from ablations.schema import Change

_HEX = re.compile(r"^[0-9a-f]{32,}$")


# --- by path ----------------------------------------------------------------------------------------------------------


def leaves(data: Any, prefix: str = "") -> dict[str, Any]:
    """Plain data as its leaves by dotted path."""
    if not isinstance(data, Mapping):
        return {prefix: data}
    values: dict[str, Any] = {}
    for key, value in data.items():
        values |= leaves(value, f"{prefix}.{key}" if prefix else str(key))
    return values


def by_path(data: Any) -> dict[str, Any]:
    """The values of a config by path, in the order of the schema, as an override writes them, `path=value`: a union's
    member stands at the union's own path."""
    return {path.removesuffix(".kind"): value for path, value in leaves(data).items() if path != "task"}


def differing(deck: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, Any]:
    """The deck's values, by path, where those here are others; None where the deck's config has no such path."""
    return {path: deck.get(path) for path, value in here.items() if path not in deck or deck[path] != value}


def edited(change: Change, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """The paths that a change edits, each with its values in two configs."""
    paths = [edit.path for edit in change.edits]
    return [(path, patch.lookup(before, path), patch.lookup(after, path)) for path in paths]


# --- in words ---------------------------------------------------------------------------------------------------------


def leaf(value: Any) -> str:
    """One value of a config as people write it."""
    if value is None:
        return "off"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(node, value)) or "none"
    if isinstance(value, int | float) and value < 0:
        return f"−{leaf(-value)}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value[:8]}…" if isinstance(value, str) and _HEX.match(value) else str(value)


def node(value: Any) -> str:
    """A node of a config in one phrase: its kind first, its numbers in brackets, but for what is off."""
    if not isinstance(value, Mapping):
        return leaf(value)
    flat = leaves(value)
    kind = str(flat.pop("kind", ""))
    inner = ", ".join(f"{key} {leaf(v)}" for key, v in flat.items() if v is not None and not key.endswith("kind"))
    return f"{kind} ({inner})" if kind and inner else kind or inner


def brief(value: Any) -> str:
    """A value in a list of edits: off, 0.002, siren(scale=1). What is off in a node goes without saying."""
    match value:
        case None:
            return "off"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case list() | tuple():
            return ", ".join(map(brief, value)) or "none"
        case dict():
            known = ((key, part) for key, part in value.items() if key != "kind" and part is not None)
            inside = ", ".join(f"{key}={brief(part)}" for key, part in known)
            if "kind" not in value:
                return inside
            return f"{value['kind']}({inside})" if inside else str(value["kind"])
        case str() if len(value) == 64:
            return f"{value[:8]}…"
    return str(value)


def arrow(before: Any, after: Any) -> str:
    """ "64→256"."""
    return "no difference" if before == after else f"{brief(before)}→{brief(after)}"
