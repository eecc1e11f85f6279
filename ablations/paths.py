"""Every path that a config can have and what may stand there, read off the schema: for overrides, and what is said of
the wrong ones."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from core.arguments import MOST
from core.config import Config, Node, Reconstruction, canonical

OFF = ("off", "none", "None", "False", "false", "no")
"""What people write for null."""


@dataclass(frozen=True)
class PathOf:
    """One place in the schema. `within` says of which unions' members it is, as (path, kind); empty for all configs.

    `annotation` is the type there, its limits included; `members` are the kinds of a union.
    """

    path: str
    annotation: Any
    within: tuple[tuple[str, str], ...]
    members: tuple[str, ...]
    options: tuple[str, ...]
    optional: bool
    expects: str

    @property
    def words(self) -> tuple[str, ...]:
        """What may be typed there word for word."""
        return (*(self.members or self.options), *(("null",) if self.optional else ()))

    @property
    def takes_value(self) -> bool:
        """Whether one word or number can stand there."""
        return bool(self.words) or not _nodes(self.annotation)

    @property
    def is_open(self) -> bool:
        """Whether an object of any keys stands there, as the arguments of a layer of one's own do."""
        return get_origin(self.annotation) is dict or any(get_origin(part) is dict for part in _parts(self.annotation))

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
            near = difflib.get_close_matches(value, self.words, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            return f"there is no '{value}': {hint}{self.path} takes {self.expects}"
        if isinstance(value, str) and self.members:
            return None
        try:
            TypeAdapter(self.annotation).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"] if part not in (*self.members, "json"))
            if isinstance(value, dict) and where:
                return f"{self.path}.{where}: {first['msg']}"
            most = f" and of at most {MOST:,}" if isinstance(value, int) and value > MOST else ""
            return f"it takes {self.expects}{most}, not {json.dumps(value)}"
        return None


@cache
def places(root: type[Config] | type[Reconstruction]) -> dict[str, tuple[PathOf, ...]]:
    """All paths of a config of that task, in the schema's order; one that several members of a union have is there for
    each of them."""
    found: dict[str, list[PathOf]] = {}
    for place in _below(root, "", ()):
        found.setdefault(place.path, []).append(place)
    return {path: tuple(there) for path, there in found.items()}


def _needs_more(node: type[Node]) -> bool:
    return any(field.is_required() for field in node.model_fields.values())


def _below(node: type[Node], prefix: str, within: tuple[tuple[str, str], ...]) -> Iterator[PathOf]:
    for name, field in node.model_fields.items():
        if name in ("kind", "task"):
            continue
        path = f"{prefix}.{name}" if prefix else name
        annotation = _whole(field)
        nodes = _nodes(annotation)
        # A member that needs more than its name, as a layer of one's own does, is no word that could be typed.
        kinds = tuple(kind for each in nodes if (kind := _kind(each)) is not None and not _needs_more(each))
        yield PathOf(
            path=path,
            annotation=annotation,
            within=within,
            members=kinds,
            options=_options(annotation),
            optional=type(None) in _parts(annotation),
            expects=_expects(annotation),
        )
        for each in nodes:
            kind = _kind(each)
            yield from _below(each, path, within if kind is None or len(nodes) == 1 else (*within, (path, kind)))


def _whole(field: FieldInfo) -> Any:
    """The field's type with its limits and its discriminator, which pydantic keeps beside it."""
    limits = tuple(field.metadata)
    if field.discriminator is not None:
        limits = (*limits, FieldInfo(discriminator=field.discriminator))
    return Annotated[(field.annotation, *limits)] if limits else field.annotation


def _parts(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a type: of `int | None` both, of anything else itself."""
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(part for each in get_args(annotation) for part in _parts(each))
    return (annotation,)


def _nodes(annotation: Any) -> tuple[type[Node], ...]:
    return tuple(part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, Node))


def _kind(node: type[Node]) -> str | None:
    field = node.model_fields.get("kind")
    return None if field is None else str(get_args(field.annotation)[0])


def _options(annotation: Any) -> tuple[str, ...]:
    literal = tuple(
        json.dumps(value) if not isinstance(value, str) else value
        for part in _parts(annotation)
        if get_origin(part) is Literal
        for value in get_args(part)
    )
    return literal or (("true", "false") if bool in _parts(annotation) else ())


def _limits(annotation: Any) -> list[Any]:
    """The limits at any depth of a type, as pydantic's `PositiveInt | None` has them inside."""
    if get_origin(annotation) is Annotated:
        inner, *limits = get_args(annotation)
        flat = [
            limit
            for each in limits
            for limit in (each if isinstance(each, annotated_types.GroupedMetadata) else [each])
        ]
        return [*_limits(inner), *flat]
    if get_origin(annotation) in (Union, types.UnionType):
        return [limit for each in get_args(annotation) for limit in _limits(each)]
    return []


def _expects(annotation: Any) -> str:
    """In words: "a whole number above 0, or null for off"."""
    parts = _parts(annotation)
    nodes = _nodes(annotation)
    off = "" if type(None) not in parts else ", or null for off" if nodes else ", or null"
    kinds = [kind for node in nodes if (kind := _kind(node)) is not None]
    if kinds:
        return _either(kinds) + off
    if nodes:
        return f"a JSON object, {{}} for its defaults{off}"
    if options := _options(annotation):
        return _either(options) + off
    name = "a whole number" if int in parts else "a number" if float in parts else "a word"
    bounds = []
    for limit in _limits(annotation):
        match limit:
            case annotated_types.Gt(gt):
                bounds.append(f"above {gt}")
            case annotated_types.Ge(ge):
                bounds.append(f"of at least {ge}")
            case annotated_types.Lt(lt):
                bounds.append(f"below {lt}")
            case annotated_types.Le(le) if le != MOST:  # Nobody means more: that goes without saying.
                bounds.append(f"of at most {le}")
            case _:
                pass
    return " ".join([name, " and ".join(bounds)]).rstrip() + off


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
        near = difflib.get_close_matches(path, known, n=1, cutoff=0.75)
        leaves = list(dict.fromkeys(name.rpartition(".")[2] for name in known))
        leaf = difflib.get_close_matches(last, leaves, n=1, cutoff=0.75)
        same = near or [name for name in known if leaf and name.rpartition(".")[2] == leaf[0]]
    if not same:
        return ""
    same = sorted(same, key=lambda name: -difflib.SequenceMatcher(None, path, name).ratio())[:3]
    return f"did you mean {_either([repr(name) for name in same])}?"
