"""A search: which numbers of a config are sought, in which ranges, by how many runs. Pure data, as a design is.

A search chooses by runs on a seed that no study judges with, so that what it chose can be trained anew and judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, PositiveInt, ValidationError, model_validator

from ablations import patch
from core.config import AnyConfig, Node, parse, place_of
from core.names import Name

TUNING_SEED = 2000
"""No study trains with it: what was chosen on it is judged on others."""


class Parameter(Node):
    """The number at `path`, sought between `low` and `high`, evenly on the log scale where `log` is set.

    `relative` makes the ends factors on what the study has there at the profile's scale. `why` says where they are
    from. The numbers at the paths `also` are always the same as that at `path`.
    """

    path: str
    also: tuple[str, ...] = ()
    title: str
    low: float
    high: float
    log: bool = True
    relative: bool = False
    why: str

    @model_validator(mode="after")
    def _is_a_range(self) -> Parameter:
        if self.low >= self.high:
            raise ValueError(
                f"the range of {self.path}, {self.low:g} to {self.high:g}, holds nothing: low is below high"
            )
        if (self.log or self.relative) and self.low <= 0:
            raise ValueError(f"the range of {self.path} starts at {self.low:g}: a log scale or a factor is above 0")
        return self

    def ends(self, config: AnyConfig) -> tuple[float, float]:
        """The range in the units of the config. Raises KeyError where the config has no such number."""
        here = patch.lookup(config.model_dump(mode="json"), self.path)
        if not isinstance(here, float):
            raise KeyError(f"{self.path} is no decimal number")
        factor = here if self.relative else 1.0
        return float(f"{factor * self.low:.12g}"), float(f"{factor * self.high:.12g}")


class Search(Node):
    """One search over the base of a study, by the metric at the last iteration, lower is better.

    The first of `trials` trains the base as it stands, or what the search `begins_at` chose; the next ones up to
    `startup` are a Latin hypercube, all others what a tree-structured Parzen estimator proposes. A trial that is worse
    than the median of the complete ones is given up, at its evaluations from the share `prune_from` of its iterations
    on.
    """

    name: Name
    title: str
    parameters: tuple[Parameter, ...] = Field(min_length=1)
    begins_at: str | None = None
    trials: PositiveInt = 16
    startup: PositiveInt = 6
    prune_from: float = Field(default=0.5, ge=0, le=1)
    seed: int = TUNING_SEED

    @property
    def variant(self) -> str:
        """What the study calls the config that this search chooses."""
        return f"best_{self.name}"

    @model_validator(mode="after")
    def _parameters_are_apart(self) -> Search:
        for index, parameter in enumerate(self.parameters):
            for other in self.parameters[index + 1 :]:
                if patch.overlap(parameter.path, other.path):
                    raise ValueError(f"search {self.name}: {parameter.path} and {other.path} overlap")
        return self

    def check(self, base: AnyConfig) -> None:
        """Raises ValueError for a parameter that `base` has not, and for an end of a range that its schema refuses."""
        for parameter in self.parameters:
            try:
                ends = parameter.ends(base)
            except KeyError as error:
                raise ValueError(f"search {self.name}: {error.args[0]}") from None
            for end in ends:
                try:
                    self.applied(base, {parameter.path: end})
                except ValidationError as error:
                    first = error.errors()[0]
                    reason = f"{place_of(first['loc'])}: {first['msg']}"
                    raise ValueError(f"search {self.name}: {parameter.path} cannot be {end:g}: {reason}") from None

    def applied(self, base: AnyConfig, values: Mapping[str, Any]) -> AnyConfig:
        """`base` with these values of parameters. Raises ValidationError for what the schema refuses."""
        data = base.model_dump(mode="json")
        also = {parameter.path: parameter.also for parameter in self.parameters}
        for path, value in values.items():
            for place in (path, *also.get(path, ())):
                data = patch.replaced(data, place, value)
        return parse(data)
