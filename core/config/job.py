"""A job: a config and a seed, with the digest that is its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import TypeAdapter

from core.config.node import Node, canonical
from core.config.tasks import AnyConfig, Config, Reconstruction
from core.numbers import Seed


class Job(Node):
    """The work of one process: a config and a seed. The seed fixes data order, initial weights and latents alike.

    `schema_version` is part of the identity: it is raised whenever the same config would train to other numbers.
    """

    config: AnyConfig
    seed: Seed
    schema_version: Literal[3] = 3

    @property
    def gan(self) -> Config:
        """The config of a GAN. Raises TypeError for another task's."""
        if not isinstance(self.config, Config):
            raise TypeError(f"a job of task '{self.config.task}' is no GAN")
        return self.config

    @property
    def digest(self) -> str:
        """The run's identity, 16 hex digits of the sha256 of config, seed and schema version."""
        written = json.dumps(canonical(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(written.encode()).hexdigest()[:16]


def place_of(location: tuple[int | str, ...]) -> str:
    """Where in a config a validation error is, as people write the path; the task's tag is not part of it."""
    return ".".join(str(part) for part in location if part not in ("gan", "reconstruction")) or "the config"


_any_config: TypeAdapter[Config | Reconstruction] = TypeAdapter(AnyConfig)


def parse(data: Mapping[str, Any]) -> AnyConfig:
    """A config from plain data, a GAN's where no `task` is named.

    Strict: raises `pydantic.ValidationError` for unknown keys and wrong types.
    """
    return _any_config.validate_json(json.dumps({"task": "gan", **data}))
