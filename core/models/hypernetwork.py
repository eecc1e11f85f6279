"""The hypernetwork: a fully connected trunk and one linear map to all parameters of an INR."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from core import config as cfg


class Trunk(nn.Module):
    """z -> h: relu(norm(linear(z))), then h + w relu(norm(linear(h))), a learnable scalar w for each further layer."""

    def __init__(self, inputs: int, width: int, depth: int, config: cfg.Hypernetwork) -> None:
        super().__init__()
        sizes = [inputs, *[width] * depth]
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) if config.norm else nn.Identity() for _ in self.linears)
        self.branch_weights = nn.Parameter(torch.full((depth - 1,), config.residual_weight))

    def forward(self, z_BI: Tensor) -> Tensor:
        h = self.norms[0](self.linears[0](z_BI)).relu()
        for linear, norm, weight in zip(self.linears[1:], self.norms[1:], self.branch_weights, strict=True):
            h = h + weight * norm(linear(h)).relu()
        return h


class Head(nn.Module):
    """Emits `emitted` numbers from the trunk's output by a trunk of its own."""

    def __init__(self, config: cfg.Hypernetwork, heads: cfg.Heads, emitted: int) -> None:
        super().__init__()
        self.trunk = Trunk(config.width, heads.width, heads.depth, config)
        self.output = nn.Linear(heads.width, emitted)

    def forward(self, h_BW: Tensor) -> Tensor:
        emitted_BE: Tensor = self.output(self.trunk(h_BW))
        return emitted_BE


class Hypernetwork(nn.Module):
    """G(z), [B, latent_dim] -> [B, emitted]; last maps are scaled so that `config.emission`, if any, holds at first.

    `sizes` are the numbers emitted for each layer of the INR: heads, where there are some, emit one layer each.
    """

    def __init__(self, config: cfg.Hypernetwork, sizes: Sequence[int]) -> None:
        super().__init__()
        self.latent_dim, self.weight_clip = config.latent_dim, config.weight_clip
        self.trunk = Trunk(config.latent_dim, config.width, config.depth, config)
        self.output: nn.Linear | None = None
        self.heads: nn.ModuleList | None = None
        if config.heads is None:
            self.output = nn.Linear(config.width, sum(sizes))
        else:
            self.heads = nn.ModuleList(Head(config, config.heads, size) for size in sizes if size)
        if config.emission is not None:
            self._set_emission(config.emission)

    @torch.no_grad()
    def _set_emission(self, emission: cfg.Emission) -> None:
        """Measured on 1,024 latents."""
        h = self.trunk(torch.randn(1024, self.latent_dim))
        if self.output is not None:
            scale_emission(self.output, h, emission)
        for head in self.heads or ():
            assert isinstance(head, Head)
            scale_emission(head.output, head.trunk(h), emission)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.reset_running_stats()

    def forward(self, z_BZ: Tensor) -> Tensor:
        h = self.trunk(z_BZ)
        if self.output is not None:
            emitted_BE: Tensor = self.output(h)
        else:
            assert self.heads is not None
            emitted_BE = torch.cat([head(h) for head in self.heads], dim=1)
        if self.weight_clip is not None:
            emitted_BE = emitted_BE.clamp(-self.weight_clip, self.weight_clip)
        return emitted_BE


def scale_emission(output: nn.Linear, h_NW: Tensor, emission: cfg.Emission) -> None:
    """Draws the map's parameters so that its outputs of `h_NW` have the emission's statistics.

    With weights of std s, an output varies over z with std s sqrt(tr Cov(h)).
    """
    spread = h_NW.var(dim=0).sum().sqrt()
    output.weight.normal_().mul_(emission.gain / spread)
    output.bias.normal_().mul_(emission.bias_std).sub_(output.weight @ h_NW.mean(dim=0))
