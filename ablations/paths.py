"""Every path that a config can have and what may stand there, read off the schema: for overrides, and what is said of
the wrong ones."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from core.arguments import MOST
from core.config import Config, Node, Reconstruction, canonical
from core.words import meant, nearest

OFF = ("off", "none", "None", "False", "false", "no")
"""What people write for null."""

BOUNDS = {
    "exclusiveMinimum": "above",
    "minimum": "of at least",
    "exclusiveMaximum": "below",
    "maximum": "of at most",
}
"""The limits of a number in JSON schema, and in words."""


@dataclass(frozen=True)
class PathOf:
    """One place in the schema. `within` says of which unions' members it is, as (path, kind); empty for all configs.

    `annotation` is the type there, its limits included.
    """

    path: str
    annotation: Any
    within: tuple[tuple[str, str], ...]

    @cached_property
    def _choices(self) -> list[dict[str, Any]]:
        """The alternatives that may stand there, as JSON schema."""
        schema = TypeAdapter(self.annotation).json_schema()
        shared = schema.get("$defs", {})
        parts = [each for part in schema.get("anyOf", [schema]) for each in part.get("oneOf", [part])]
        return [shared[part["$ref"].rpartition("/")[2]] if "$ref" in part else part for part in parts]

    @property
    def _nodes(self) -> list[dict[str, Any]]:
        return [choice for choice in self._choices if "properties" in choice]

    @property
    def optional(self) -> bool:
        """Whether null may stand there."""
        return any(choice.get("type") == "null" for choice in self._choices)

    @property
    def members(self) -> list[str]:
        """The kinds of a union, less those that need more than their name, as a layer of one's own does."""
        return _kinds(node for node in self._nodes if "required" not in node)

    @property
    def options(self) -> list[str]:
        """The words of which one has to stand there, as JSON; empty where others may."""
        literal = [value for choice in self._choices for value in choice.get("enum", [choice.get("const")])]
        words = [value if isinstance(value, str) else json.dumps(value) for value in literal if value is not None]
        return words or ["true", "false"] * any(choice.get("type") == "boolean" for choice in self._choices)

    @property
    def words(self) -> list[str]:
        """What may be typed there word for word."""
        return [*(self.members or self.options), *["null"] * self.optional]

    @property
    def takes_value(self) -> bool:
        """Whether one word or number can stand there."""
        return bool(self.words) or not self._nodes

    @property
    def is_open(self) -> bool:
        """Whether an object of any keys stands there, as the arguments of a layer of one's own do."""
        return any(choice.get("additionalProperties") for choice in self._choices)

    @property
    def expects(self) -> str:
        """In words: "a whole number above 0, or null"."""
        off = "" if not self.optional else ", or null for off" if self._nodes else ", or null"
        if words := _kinds(self._nodes) or self.options:
            return _either(words) + off
        if self._nodes:
            return f"a JSON object, {{}} for its defaults{off}"
        choice = self._choices[0]
        names = {"integer": "a whole number", "number": "a number", "array": "a JSON list"}
        name = names.get(choice["type"], "a word")
        # Nobody means more than MOST: that goes without saying.
        limits = [f"{word} {choice[key]}" for key, word in BOUNDS.items() if choice.get(key, MOST) != MOST]
        return f"{name} {' and '.join(limits)}".rstrip() + off

    def whole(self, value: Any) -> Any:
        """`value` with all its defaults, as plain data: of a member's word, or of a node's object; else as it is."""
        given = {"kind": value} if isinstance(value, str) and value in self.members else value
        if not isinstance(given, dict):
            return given
        adapter: TypeAdapter[Any] = TypeAdapter(self.annotation)
        try:
            return adapter.dump_python(adapter.validate_json(json.dumps(given), strict=True), mode="json")
        except ValidationError:
            return given

    def identity(self, value: Any) -> Any:
        """Plain data that may stand here as identities are made of it (`core.config.canonical`); else as it is."""
        if not isinstance(value, dict):
            return value
        try:
            return canonical(TypeAdapter(self.annotation).validate_json(json.dumps(value), strict=True))
        except ValidationError:
            return value

    def refusal(self, value: Any) -> str | None:
        """Why `value` cannot stand there, None where it can."""
        if isinstance(value, str) and self.words and value not in self.words:
            if self.optional and value in OFF:
                return f"write {self.path}=null for off"
            hint = f"{meant(value, self.words)} {self.path} takes {self.expects}".lstrip()
            return f"there is no '{value}': {hint}"
        if isinstance(value, str) and self.members:
            return None
        try:
            TypeAdapter(self.annotation).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"] if part not in (*self.members, "json"))
            if isinstance(value, dict | list) and (where or first["type"] == "value_error"):
                return f"{'.'.join(filter(None, (self.path, where)))}: {first['msg'].removeprefix('Value error, ')}"
            most = f" and of at most {MOST:,}" if isinstance(value, int) and value > MOST else ""
            return f"it takes {self.expects}{most}, not {json.dumps(value)}"
        return None


@cache
def places(root: type[Config] | type[Reconstruction]) -> dict[str, tuple[PathOf, ...]]:
    """All paths of a config of that task, in the schema's order; one that several members of a union have is there for
    each of them."""
    paths: dict[str, list[PathOf]] = {}
    for place in _below(root, "", ()):
        paths.setdefault(place.path, []).append(place)
    return {path: tuple(there) for path, there in paths.items()}


def _below(node: type[Node], prefix: str, within: tuple[tuple[str, str], ...]) -> Iterator[PathOf]:
    for name, field in node.model_fields.items():
        if name in ("kind", "task"):
            continue
        path = f"{prefix}.{name}" if prefix else name
        annotation = _whole(field)
        yield PathOf(path, annotation, within)
        members = _members(annotation)
        for member in members:
            kind = member.model_fields.get("kind")
            of = within if kind is None or len(members) == 1 else (*within, (path, kind.default))
            yield from _below(member, path, of)


def _whole(field: FieldInfo) -> Any:
    """The field's type with its limits and its discriminator, which pydantic keeps beside it."""
    limits = tuple(field.metadata)
    if field.discriminator is not None:
        limits = (*limits, FieldInfo(discriminator=field.discriminator))
    return Annotated[(field.annotation, *limits)] if limits else field.annotation


def _members(annotation: Any) -> list[type[Node]]:
    """The nodes among the alternatives of a type."""
    if isinstance(annotation, type) and issubclass(annotation, Node):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, types.UnionType):
        return [node for part in get_args(annotation) for node in _members(part)]
    return []


def _kinds(nodes: Iterable[dict[str, Any]]) -> list[str]:
    return [node["properties"]["kind"]["const"] for node in nodes if "kind" in node["properties"]]


def _either(words: Sequence[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def suggestion(path: str, known: Sequence[str]) -> str:
    """What was probably meant by a path that no config has, as a question, and the empty string for no idea.

    A last part that stands elsewhere under this name, as in `width`, names the places.
    """
    last = path.rpartition(".")[2]
    known = [name for name in known if not path.startswith(f"{name}.")]
    same = [name for name in known if name.rpartition(".")[2] == last]
    if not same:
        near = nearest(path, known, least=0.75)
        leaf = nearest(last, list(dict.fromkeys(name.rpartition(".")[2] for name in known)), least=0.75)
        same = [near] if near else [name for name in known if name.rpartition(".")[2] == leaf]
    if not same:
        return ""
    same = sorted(same, key=lambda name: -difflib.SequenceMatcher(None, path, name).ratio())[:3]
    return f"did you mean {_either([repr(name) for name in same])}?"
