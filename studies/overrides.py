"""Overrides: `path=value` as typed, checked against the schema and a study, and put into configs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from ablations import patch
from ablations.paths import PathOf, places, suggestion
from ablations.schema import Study
from core.config import AnyConfig, Config, Reconstruction, parse, place_of
from core.errors import InputError


def parse_override(text: str) -> tuple[str, Any]:
    """`path=value`, the value read as JSON where it is JSON and as a word elsewhere. Raises InputError."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise InputError(f"'{text}' is no override: write path=value, as in iterations=200")
    if (meant := WRITTEN_OTHERWISE.get(value)) is not None:
        raise InputError(f"{text}: write {path}={meant}")
    try:
        return path, json.loads(value)
    except (ValueError, RecursionError):
        # JSON knows neither .5 nor 5. nor +5.
        return path, _number(value) if NUMBER.fullmatch(value) else value


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


WRITTEN_OTHERWISE = {"None": "null", "True": "true", "False": "false"}
"""Python's words, and JSON's for them."""

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def override(path: str, value: Any) -> str:
    """An override as `parse_override` takes it back, whatever its value is."""
    return f"{path}={as_typed(value)}"


def as_typed(value: Any) -> str:
    """A value as an override writes it: a word that stays one, or JSON."""
    if isinstance(value, str):
        with suppress(InputError):
            if parse_override(f"x={value}") == ("x", value):
                return value
    return json.dumps(value, ensure_ascii=False)


def overridden(config: AnyConfig, overrides: Mapping[str, Any]) -> AnyConfig:
    """`config` with the overrides it has a place for. A word at a union's path selects that member with its defaults.

    A node is put in before what is inside it, whichever was named first. Raises InputError for a value that the schema
    refuses.
    """
    data, _ = _applied(config.model_dump(mode="json"), overrides)
    try:
        return parse(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{place_of(first['loc'])}: " if len(first["loc"]) > 1 else ""
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"override of {', '.join(overrides)} refused: {where}{message}") from None


def _applied(data: dict[str, Any], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Plain data with the overrides it has a place for, and the paths of these."""
    taken: list[str] = []
    if not overrides:
        return data, taken
    known = places(Reconstruction if data["task"] == "reconstruction" else Config)
    for path, value in sorted(overrides.items(), key=lambda item: item[0].count(".")):
        if not patch.has(data, path):
            continue
        fits = next((place for place in known.get(path, ()) if place.refusal(value) is None), None)
        data = patch.replaced(data, path, value if fits is None else fits.whole(value))
        taken.append(path)
    return data, taken


def check_overrides(study: Study, configs: Iterable[AnyConfig], overrides: Mapping[str, Any]) -> None:
    """Raises InputError for a path or a value that the schema has not, for a path that no variant has, and for one that
    would overwrite what a change varies or a search seeks."""
    if not overrides:
        return
    known = places(type(study.base))
    sought = [(parameter.path, search.name) for search in study.searches for parameter in search.parameters]
    for path, value in overrides.items():
        for where, search in sought:
            if patch.overlap(path, where):
                raise InputError(f"{where} is what the search '{search}' seeks: it can't be overridden for all")
        for change in study.changes:
            for edit in change.edits:
                if path in (edit.path, f"{edit.path}.kind") or edit.path.startswith(f"{path}."):
                    raise InputError(
                        f"{path} is what the change '{change.name}' varies: it can't be overridden for all"
                    )
        _check_against_schema(path, value, known)
    plain = [config.model_dump(mode="json") for config in configs]
    taken: set[str] = set()
    for data in plain:
        taken.update(_applied(data, overrides)[1])
    for path in overrides:
        if path not in taken:
            raise InputError(f"override {path}: no variant has it, {_why_missing(path, known, plain)}")


def _check_against_schema(path: str, value: Any, known: Mapping[str, Sequence[PathOf]]) -> None:
    if path.endswith(".kind") and path.removesuffix(".kind") in known:
        path = path.removesuffix(".kind")
    if path not in known:
        above = next((part for part in _parents(path) if part in known), None)
        if above is not None and any(place.is_open for place in known[above]):
            return
        if (hint := suggestion(path, list(known))) == "" and above is not None:
            inside = [
                name for name in known if name.startswith(f"{above}.") and name.count(".") == above.count(".") + 1
            ]
            hint = f"{above} has {', '.join(inside)}" if inside else f"{above} takes {known[above][0].expects}"
        raise InputError(f"override {path}: no config has this path, {hint or '--show-config lists them all'}")
    refusals = [place.refusal(value) for place in known[path]]
    if None not in refusals:
        raise InputError(f"override {path}: {refusals[0]}")


def _parents(path: str) -> list[str]:
    """The paths around one, the nearest first."""
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1)]


def _why_missing(path: str, known: Mapping[str, Sequence[PathOf]], plain: Sequence[Mapping[str, Any]]) -> str:
    """Which part of the config would have to be there for this path, and how to bring it about."""
    off = next(
        (p for p in reversed(_parents(path)) if any(patch.has(d, p) and patch.lookup(d, p) is None for d in plain)),
        None,
    )
    if off is not None:
        return f"for {off} is off: {off}={{}} switches it on"
    if path not in known:
        above = next(part for part in _parents(path) if part in known)
        return f"{above} has no such key"
    needed = dict(pair for place in known[path] for pair in place.within[-1:])
    kinds = [f"{where}={kind}" for place in known[path] for where, kind in place.within[-1:]]
    return f"it is of {' or '.join(dict.fromkeys(kinds))}" if needed else "it is of another member of a union"
