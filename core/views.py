"""Which grid a critic and G meet at an iteration, and what of a real sample lies there."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from core.grids import Grid


class View(Protocol):
    """A choice of grids, with a stream and a state of its own where it draws."""

    def next(self, iteration: int) -> Grid | None:
        """The grid of this iteration, None for the one that the generator is built with."""
        ...

    def of_real(self, real: Tensor, grid: Grid | None) -> Tensor:
        """The part of real samples [B, C, ...] on that grid."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Empty where nothing is drawn."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Whole:
    """The whole sample, at every iteration."""

    def next(self, iteration: int) -> None:
        """See `View`."""

    def of_real(self, real: Tensor, grid: Grid | None) -> Tensor:
        """See `View`."""
        return real

    def state_dict(self) -> dict[str, Any]:
        """See `View`."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `View`."""
