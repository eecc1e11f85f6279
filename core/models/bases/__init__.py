"""Activations of an INR's layers, one basis a file."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Basis(Protocol):
    """The activations of one kind of INR."""

    scale: float
    """Std of the coordinate layer's weights."""
    factor: float
    """Stored parameters of a shared coordinate layer are divided by it, and its outputs multiplied."""

    def frequencies(self, width: int) -> int:
        """Outputs of the coordinate layer for `width` features."""
        ...

    def spread(self, width: int) -> Tensor | None:
        """The std of each frequency over `scale`, [frequencies]; None where all have that."""
        ...

    def embed(self, pre: Tensor) -> Tensor:
        """Features [..., width] of the coordinate layer's outputs [..., frequencies]."""
        ...

    def activate(self, pre: Tensor) -> Tensor:
        """A hidden layer's activations of its outputs, which may be overwritten."""
        ...
