"""From INR parameters to samples: one image is one INR, rendered on any grid."""

import torch
from torch import Tensor, nn

from core import config as cfg
from core.grids import Grid, Pair, Pixels
from core.models.hypernetwork import Hypernetwork
from core.models.inr import Inr
from core.places import Where
from core.signals import Signal


class Renderer(nn.Module):
    """INR parameters -> sample, on `grid` unless told otherwise; `signal` is what its values mean."""

    coords_PI: Where

    def __init__(self, inr: Inr, grid: Grid, signal: Signal, *, calibrated: bool = False) -> None:
        super().__init__()
        self.inr, self.grid, self.signal = inr, grid, signal
        self.seen, where = inr.placed(grid)
        if isinstance(where, Tensor):
            self.register_buffer("coords_PI", where, persistent=False)
        else:
            self.coords_PI = where
        if calibrated:
            self.inr.calibrate(self.coords_PI)

    def render(self, emitted_BE: Tensor, grid: Grid | Pair | None = None) -> Tensor:
        """Samples [B, C, ...] in (-1, 1) of emitted parameters; images [B, 3, R, R] on a grid of pixels."""
        if isinstance(grid, Pair):
            return torch.cat([self.render(emitted_BE, part) for part in grid], dim=1)
        there, where = self.seen, self.coords_PI
        if grid is not None:
            there, where = self.inr.placed(grid)
            where = where.to(emitted_BE.device)
        return there.arranged(self.inr(emitted_BE, where))

    @property
    def pixels(self) -> Pixels:
        """The grid of a generator of images. Raises TypeError for another."""
        if not isinstance(self.grid, Pixels):
            raise TypeError(f"a {type(self.grid).__name__} has no pixels")
        return self.grid


class Generator(Renderer):
    """The generator of INR-GAN: z -> INR parameters -> image."""

    def __init__(
        self, inr: Inr, grid: Grid, signal: Signal, hypernetwork: cfg.Hypernetwork, *, calibrated: bool = False
    ) -> None:
        super().__init__(inr, grid, signal, calibrated=calibrated)
        self.hypernetwork = Hypernetwork(hypernetwork, self.inr.sizes)

    def forward(self, z_BZ: Tensor, grid: Grid | None = None) -> Tensor:
        """Samples [B, C, ...] in (-1, 1) of latents [B, latent_dim]."""
        return self.render(self.hypernetwork(z_BZ), grid)
