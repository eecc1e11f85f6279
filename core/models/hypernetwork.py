"""The hypernetwork: a fully connected trunk and one linear map to all parameters of an INR."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from core import config as cfg


class Trunk(nn.Module):
    """z -> h: relu(norm(linear(z))), then h + w relu(norm(linear(h))), a learnable scalar w for each further layer."""

    def __init__(self, config: cfg.Hypernetwork) -> None:
        super().__init__()
        sizes = [config.latent_dim, *[config.width] * config.depth]
        self.linears = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(config.width) if config.norm else nn.Identity() for _ in self.linears)
        self.branch_weights = nn.Parameter(torch.full((config.depth - 1,), config.residual_weight))

    def forward(self, z_BZ: Tensor) -> Tensor:
        h = self.norms[0](self.linears[0](z_BZ)).relu()
        for linear, norm, weight in zip(self.linears[1:], self.norms[1:], self.branch_weights, strict=True):
            h = h + weight * norm(linear(h)).relu()
        return h


class Hypernetwork(nn.Module):
    """G(z), [B, latent_dim] -> [B, emitted]; the last map is scaled so that `config.emission` holds at first."""

    def __init__(self, config: cfg.Hypernetwork, emitted: int) -> None:
        super().__init__()
        self.latent_dim, self.weight_clip = config.latent_dim, config.weight_clip
        self.trunk = Trunk(config)
        self.output = nn.Linear(config.width, emitted)
        self._set_emission(config.emission)

    @torch.no_grad()
    def _set_emission(self, emission: cfg.Emission) -> None:
        """Measured on 1,024 latents: with weights of std s, an output varies over z with std s sqrt(tr Cov(h))."""
        h = self.trunk(torch.randn(1024, self.latent_dim))
        for module in self.trunk.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.reset_running_stats()
        spread = h.var(dim=0).sum().sqrt()
        self.output.weight.normal_().mul_(emission.gain / spread)
        self.output.bias.normal_().mul_(emission.bias_std).sub_(self.output.weight @ h.mean(dim=0))

    def forward(self, z_BZ: Tensor) -> Tensor:
        emitted_BE: Tensor = self.output(self.trunk(z_BZ))
        if self.weight_clip is not None:
            emitted_BE = emitted_BE.clamp(-self.weight_clip, self.weight_clip)
        return emitted_BE
