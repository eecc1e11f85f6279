"""The exponential moving average of a generator."""

import copy

import torch
from torch import nn


class ExponentialAverage:
    """A copy of `network` whose parameters follow it; buffers stay those of the start.

    Warmed up: after step t the decay is min(decay, (1 + t) / (10 + t)), so that the average does not start at noise.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Moves the average towards the parameters of `network`."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), 1 - decay)
