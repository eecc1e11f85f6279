"""The convolutional discriminator: a pre-activation ResNet after the public code's "nrgan" D."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core import config as cfg


def conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps the size, He-normal initialised (He et al. 2015)."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def minibatch_std(x: Tensor, group: int = 4) -> Tensor:
    """Std over groups of images, averaged over features: one channel [B, 1, H, W] (Karras et al. 2018, section 3)."""
    group = math.gcd(len(x), group)
    grouped = x.reshape(group, -1, *x.shape[1:])
    # Written out: var() over the first dimension is several times slower on a CPU.
    variance = (grouped - grouped.mean(dim=0)).square().mean(dim=0)
    std = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return std.repeat(group).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])


class DownBlock(nn.Module):
    """(shortcut + branch) / sqrt(2), both halved by average pooling, channels doubled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels, 3)
        self.second = conv(channels, 2 * channels, 3)
        self.shortcut = conv(channels, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch = F.avg_pool2d(self.second(self.first(x.relu()).relu()), 2)
        return (self.shortcut(F.avg_pool2d(x, 2)) + branch) / math.sqrt(2)


class Discriminator(nn.Module):
    """Images [B, 3, R, R] in [-1, 1] -> scores [B].

    The score is linear in the last feature map, positions and all: rooms have a floor and a ceiling.
    """

    def __init__(self, config: cfg.Discriminator, resolution: int) -> None:
        super().__init__()
        self.patch = config.patch
        self.stem = conv(3 * config.patch**2, config.width, 3)
        self.blocks = nn.Sequential(*(DownBlock(config.width * 2**block) for block in range(config.blocks)))
        size = resolution // config.patch // 2**config.blocks
        self.minibatch_std = config.minibatch_std
        self.score = nn.Linear((config.width * 2**config.blocks + config.minibatch_std) * size**2, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = self.blocks(self.stem(F.pixel_unshuffle(images, self.patch)))
        x = x.relu()
        if self.minibatch_std:
            x = torch.cat([x, minibatch_std(x)], dim=1)
        return self.score(x.flatten(1)).squeeze(1)
