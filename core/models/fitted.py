"""INRs that are fitted to given images, one per image and all at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core import config as cfg
from core.grids import Grid
from core.models.generator import Generator, Renderer
from core.models.inr import Inr
from core.signals import Signal


class FreeInrs(Renderer):
    """The INR parameters of `images` images are parameters themselves: [N, E], standard normal at first."""

    def __init__(self, inr: Inr, grid: Grid, signal: Signal, images: int, *, calibrated: bool = False) -> None:
        super().__init__(inr, grid, signal, calibrated=calibrated)
        self.emitted_NE = nn.Parameter(torch.randn(images, self.inr.emitted))

    def parameters_of_all(self) -> Tensor:
        """INR parameters of all images, [N, E]."""
        return self.emitted_NE

    def forward(self) -> Tensor:
        """All images, [N, 3, R, R] in (-1, 1)."""
        return self.render(self.parameters_of_all())


class CodedInrs(Generator):
    """The same through one latent code per image, [N, Z], and a hypernetwork."""

    def __init__(
        self,
        inr: Inr,
        grid: Grid,
        signal: Signal,
        hypernetwork: cfg.Hypernetwork,
        images: int,
        *,
        calibrated: bool = False,
    ) -> None:
        super().__init__(inr, grid, signal, hypernetwork, calibrated=calibrated)
        self.codes_NZ = nn.Parameter(torch.randn(images, hypernetwork.latent_dim))

    def parameters_of_all(self) -> Tensor:
        """INR parameters of all images, [N, E]."""
        emitted_NE: Tensor = self.hypernetwork(self.codes_NZ)
        return emitted_NE

    def forward(self) -> Tensor:  # type: ignore[override]
        """All images, [N, 3, R, R] in (-1, 1)."""
        return self.render(self.parameters_of_all())
