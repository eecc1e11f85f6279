"""A second critic, which is met at every third iteration and says half as much: it sees how light an image is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core import build
from core import config as cfg
from core.critics import Critic
from core.streams import initialising, stream
from core.views.whole import Whole


class Lightness(nn.Module):
    """A score of the mean of each channel, [B, 3, R, R] -> [B]."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, images: Tensor, minibatches: int = 1) -> Tensor:
        """One score each."""
        scores: Tensor = self.score(images.mean(dim=(2, 3))).squeeze(1)
        return scores


def second(config: cfg.Config, seed: int, device: torch.device) -> Critic:
    """The critic, with all that is its own."""
    with initialising(seed, "lightness"):
        network = Lightness().to(device)
    optimizer = build.build_optimizer(config.optimizers.discriminator, 0.01, network)
    penalty = build.build_penalty(cfg.R1(weight=0.5, interval=2), stream(seed, "mixtures of lightness", device))
    losses = build.build_loss(cfg.NonSaturating())
    return Critic(network, optimizer, losses, penalty, Whole(), weight=0.5, period=3, name="lightness")
