"""The parts that every config is made of, and the plain data that their identities are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from core.arguments import MOST

PositiveInt = Annotated[int, Field(gt=0, le=MOST)]
"""A count: two of them multiplied still fit into a column of a table."""


class Node(BaseModel):
    """A frozen part of the config; unknown keys and values of the wrong type are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """This node with other values, validated as any other."""
        return type(self)(**{**dict(self), **changes})


JOINED = "joined"
"""Marks a field that joined after runs had been recorded, `Annotated[bool, JOINED] = True`: its default is what those
runs did, and at its default it is no part of the canonical form, so that their identities stay."""


def canonical(value: Any) -> Any:
    """A node as the plain data that identities are made of: all fields but those `JOINED` that are at their default."""
    match value:
        case Node():
            fields = {name: (field, getattr(value, name)) for name, field in type(value).model_fields.items()}
            return {
                name: canonical(inner)
                for name, (field, inner) in fields.items()
                if JOINED not in field.metadata or inner != field.default
            }
        case Mapping():
            return {key: canonical(inner) for key, inner in value.items()}
        case tuple() | list():
            return [canonical(inner) for inner in value]
    return value
