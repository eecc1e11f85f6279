"""The convolutional discriminators. Both take images [B, C, R, R] in [-1, 1], C = 3 unless told otherwise, to scores
[B].

`minibatches` says of how many minibatches of one size the images are, one after the other: what is said of a minibatch
is said of each.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core import config as cfg
from core.config import GROUP

LEAK = 0.2


def he_normal(layer: nn.Conv2d | nn.Linear, leak: float = 0.0) -> nn.Conv2d | nn.Linear:
    """The layer with He-normal weights and no bias at first (He et al. 2015)."""
    nn.init.kaiming_normal_(layer.weight, a=leak, nonlinearity="leaky_relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
    """A convolution that keeps the size."""
    return he_normal(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))


class DownBlock(nn.Module):
    """(shortcut + branch) / sqrt(2), both halved by average pooling, channels doubled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels, 3)
        self.second = conv(channels, 2 * channels, 3)
        self.shortcut = conv(channels, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch = F.avg_pool2d(self.second(self.first(x.relu()).relu_()), 2)
        return (self.shortcut(F.avg_pool2d(x, 2)) + branch) / math.sqrt(2)


class ResNetDiscriminator(nn.Module):
    """A pre-activation ResNet after the public code's "nrgan" D.

    The score is linear in the last feature map, positions and all: rooms have a floor and a ceiling.
    """

    def __init__(self, config: cfg.ResNetDiscriminator, resolution: int, channels: int = 3) -> None:
        super().__init__()
        self.stem = conv(channels, config.width, 3)
        self.blocks = nn.Sequential(*(DownBlock(config.width * 2**block) for block in range(config.blocks)))
        size = resolution // 2**config.blocks
        self.score = nn.Linear(config.width * 2**config.blocks * size**2, 1)

    def forward(self, images: Tensor, minibatches: int = 1) -> Tensor:
        x = self.blocks(self.stem(images))
        return self.score(x.relu_().flatten(1)).squeeze(1).to(images.dtype)


def minibatch_std(x_BC: Tensor, group: int = GROUP) -> Tensor:
    """Std over groups of images, averaged over features, [B, 1] (Karras et al. 2018, section 3).

    Groups are of four images, or of the largest smaller number that divides four and B.
    """
    group = math.gcd(len(x_BC), group)
    grouped = x_BC.view(group, -1, x_BC.shape[1])
    # Written out: var() over the first dimension is several times slower on a CPU.
    variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)
    return (variance + 1e-8).sqrt().mean(dim=1).repeat(group).unsqueeze(1)


class StridedDiscriminator(nn.Module):
    """Leaky convolutions and one hidden layer, which also sees how much the minibatch varies.

    With `pool` the last map is averaged to pool x pool pixels: images may then be of other sizes than `resolution`.
    """

    def __init__(
        self,
        config: cfg.StridedDiscriminator | cfg.PooledDiscriminator,
        resolution: int,
        channels: int = 3,
        pool: int | None = None,
    ) -> None:
        super().__init__()
        self.patch, self.pool = config.patch, pool
        self.stem = he_normal(nn.Conv2d(channels * config.patch**2, config.width, 3, padding=1), LEAK)
        widths = [config.width * 2**block for block in range(config.blocks + 1)]
        self.halvings = nn.ModuleList(
            he_normal(nn.Conv2d(i, o, 4, stride=2, padding=1), LEAK) for i, o in pairwise(widths)
        )
        size = pool or resolution // config.patch // 2**config.blocks
        self.hidden = he_normal(nn.Linear(widths[-1] * size**2, config.hidden), LEAK)
        self.score = nn.Linear(config.hidden + 1, 1)

    def forward(self, images: Tensor, minibatches: int = 1) -> Tensor:
        x = F.leaky_relu_(self.stem(F.pixel_unshuffle(images, self.patch)), LEAK)
        for halve in self.halvings:
            x = F.leaky_relu_(halve(x), LEAK)
        if self.pool:
            x = F.adaptive_avg_pool2d(x, self.pool)
        # Channels last, as the convolutions leave them: flattened any other way, both directions copy.
        h = F.leaky_relu_(self.hidden(x.permute(0, 2, 3, 1).flatten(1)), LEAK)
        spread = torch.cat([minibatch_std(minibatch) for minibatch in h.to(images.dtype).chunk(minibatches)])
        return self.score(torch.cat([h, spread], dim=1)).squeeze(1).to(images.dtype)
