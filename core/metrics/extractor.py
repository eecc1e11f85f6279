"""The rooms feature extractor: a small CNN that was trained to read a room's scene factors off a 16 x 16 image.

Its features take Inception's place in `fd_rooms`. `core.metrics.train_extractor` made the shipped weights; a network
trained on anything else gives other numbers, hence `identity.extractor_sha256` is part of a config.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import safetensors.torch
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from core.data.rooms import FACTOR_NAMES
from core.errors import InputError
from core.metrics.identity import WEIGHTS, extractor_sha256

RESOLUTION = 16
CHANNELS, BOTTLENECK = 80, 64

Layer = Literal["pooled", "bottleneck"]


class FactorNet(nn.Module):
    """Four convolutions, 16 -> 8 -> 4 pixels, a linear map to a bottleneck, a linear head to the factors."""

    def __init__(self, targets: int = len(FACTOR_NAMES)) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, CHANNELS, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(CHANNELS * 16, BOTTLENECK),
        )
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(BOTTLENECK, targets))

    def features(self, images: Tensor, layer: Layer) -> Tensor:
        """uint8 [B, 3, R, R] -> float32 [B, `CHANNELS` or `BOTTLENECK`]. See `at_16` for other resolutions than 16.

        "pooled" is the last convolution, averaged over positions, what pool3 is in Inception.
        """
        features: Tensor = at_16(images) / 127.5 - 1
        if layer == "bottleneck":
            return self.trunk(features)
        # Without the bottleneck's two layers, flattening and the linear map.
        for module in self.trunk[:-2]:
            features = module(features)
        return features.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """uint8 [B, 3, R, R] -> standardised factors, float32 [B, targets], in the order of `FACTOR_NAMES`."""
        factors: Tensor = self.head(self.features(images, "bottleneck"))
        return factors


def at_16(images: Tensor) -> Tensor:
    """uint8 [B, 3, R, R] -> float32 [B, 3, 16, 16] in [0, 255], not rounded again.

    Larger images are averaged over areas (exact boxes where 16 divides R, else boxes rounded out to whole pixels),
    smaller ones enlarged bilinearly.
    """
    images = images.float()
    if images.shape[-1] > RESOLUTION:
        return F.interpolate(images, size=(RESOLUTION, RESOLUTION), mode="area")
    if images.shape[-1] < RESOLUTION:
        return F.interpolate(images, size=(RESOLUTION, RESOLUTION), mode="bilinear", align_corners=False)
    return images


def load_extractor(device: torch.device | str = "cpu") -> FactorNet:
    """The shipped network, in evaluation mode. Raises `InputError` where the file is not the one rooms16.json names."""
    try:
        stored = WEIGHTS.read_bytes()
    except OSError:
        raise InputError(f"{WEIGHTS.name} is missing beside {__name__}: reinstall the package") from None
    if hashlib.sha256(stored).hexdigest() != extractor_sha256():
        raise InputError(f"{WEIGHTS.name} is not the file that rooms16.json describes: reinstall the package")
    net = FactorNet()
    try:
        net.load_state_dict(safetensors.torch.load(stored))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{WEIGHTS.name} does not fit this version's network ({reason}): reinstall") from None
    return net.eval().requires_grad_(False).to(device)
