"""The exponential moving average of a generator."""

import copy

import torch
from torch import nn


class ExponentialAverage:
    """A copy of `network` whose parameters follow it; buffers, as BatchNorm's running statistics, are the network's.

    With `warmup` the decay after step t is min(decay, (1 + t) / (10 + t)), so that the average does not start at noise.
    """

    def __init__(self, network: nn.Module, decay: float, *, warmup: bool) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay, self.warmup = decay, warmup
        self.steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards the parameters of `network`."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warmup else self.decay
        self.steps += 1
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
