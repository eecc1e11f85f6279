"""What a critic sees of generated and of real samples at an iteration; one kind of view a file."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from core.data.shown import Real
from core.grids import Grid, Pair


class Sight(NamedTuple):
    """The grids of an iteration, of generated and of real samples; None is the one that the generator is built with."""

    generated: Grid | Pair | None = None
    real: Grid | Pair | None = None


WHOLE = Sight()
"""Of whole samples."""


class View(Protocol):
    """A choice of grids, with a stream and a state of its own where it draws."""

    def next(self, iteration: int) -> Sight:
        """The grids of this iteration."""
        ...

    def of_real(self, real: Real, sight: Sight) -> Tensor:
        """Real samples [B, C, ...] in [-1, 1] on the grid that this sight has for them."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Empty where nothing is drawn."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class FromStream:
    """The state of a view that draws from `random`."""

    random: torch.Generator

    def state_dict(self) -> dict[str, Any]:
        """See `View`."""
        return {"random": self.random.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `View`."""
        self.random.set_state(state["random"])


class Undrawn:
    """The state of a view that draws nothing."""

    def state_dict(self) -> dict[str, Any]:
        """See `View`."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `View`."""
