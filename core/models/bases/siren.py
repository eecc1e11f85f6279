"""SIREN (Sitzmann et al. 2020): sines after every layer."""

from torch import Tensor

from core import config as cfg


class Siren:
    """See `Basis`."""

    def __init__(self, config: cfg.Siren) -> None:
        self.scale, self.factor = config.scale, config.factor

    def frequencies(self, width: int) -> int:
        """See `Basis`."""
        return width

    def spread(self, width: int) -> None:
        """See `Basis`."""

    def embed(self, pre: Tensor) -> Tensor:
        """See `Basis`."""
        return pre.sin()

    def activate(self, pre: Tensor) -> Tensor:
        """See `Basis`."""
        return pre.sin()
