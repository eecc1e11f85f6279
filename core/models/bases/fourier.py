"""Fourier features (Tancik et al. 2020): sines and cosines of the coordinate layer, ReLU after hidden layers."""

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from core import config as cfg


class SinCos(torch.autograd.Function):
    """[..., F] -> [..., 2F], sines then cosines: each is the other's derivative, so going back computes neither."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        sines, cosines = x.sin(), x.cos()
        ctx.save_for_backward(sines, cosines)
        return torch.cat([sines, cosines], dim=-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        sines, cosines = ctx.saved_tensors
        by_sines, by_cosines = gradient.chunk(2, dim=-1)
        return (by_sines * cosines).addcmul_(by_cosines, sines, value=-1)


class Fourier:
    """See `Basis`."""

    factor = 1.0

    def __init__(self, config: cfg.Fourier) -> None:
        self.scale, self.highest = config.scale, config.highest

    def frequencies(self, width: int) -> int:
        """Half of the features are sines, half cosines."""
        return width // 2

    def spread(self, width: int) -> Tensor | None:
        """See `Basis`."""
        if self.highest is None:
            return None
        return torch.logspace(0, math.log2(self.highest / self.scale), self.frequencies(width), base=2)

    def embed(self, pre: Tensor) -> Tensor:
        """See `Basis`."""
        features = cast(Tensor, SinCos.apply(pre))
        if (spread := self.spread(features.shape[-1])) is None:
            return features
        # As much power an octave as in pictures of edges: else what is seen closely is noise at first.
        return features * spread.rsqrt().repeat(2).to(features)

    def activate(self, pre: Tensor) -> Tensor:
        """See `Basis`."""
        return pre.relu_()
