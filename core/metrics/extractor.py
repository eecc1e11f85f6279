"""The rooms feature extractors: small CNNs that were trained to read a room's scene factors off its image.

One sees 16 x 16 pixels, one 32 x 32. Their features take Inception's place in `fd_rooms`. The shipped weights were made
by `tests.choices.extractor`; a network trained on anything else gives other numbers, hence
`identity.extractor_sha256` is part of a config.
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
from core.metrics.identity import extractor_sha256, extractor_weights
from core.words import first_words

CHANNELS, BOTTLENECK = 80, 64

CPU_BATCH = 64
"""Images that a CPU takes at once."""

Layer = Literal["pooled", "bottleneck"]


class FactorNet(nn.Module):
    """Four convolutions, 16 -> 8 -> 4 pixels, a linear map to a bottleneck, a linear head to the factors.

    Of 32 pixels a further convolution comes first and halves them.
    """

    def __init__(self, resolution: int = 16, targets: int = len(FACTOR_NAMES)) -> None:
        super().__init__()
        if resolution not in (16, 32):
            raise ValueError(f"there is a rooms extractor for 16 and for 32 pixels, not for {resolution}")
        self.resolution = resolution
        halving = [nn.Conv2d(3, 32, 4, stride=2, padding=1), nn.ReLU()] if resolution == 32 else []
        self.trunk = nn.Sequential(
            *halving,
            nn.Conv2d(32 if halving else 3, 32, 3, padding=1),
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
        """[B, 3, R, R] in 0..255, uint8 or float -> float32 [B, `CHANNELS` or `BOTTLENECK`]. `resized` to what it sees.

        "pooled" is the last convolution, averaged over positions, what pool3 is in Inception.
        """
        scaled = resized(images, self.resolution) / 127.5 - 1
        if scaled.is_cpu:
            # What the layers hand on then stays in the cache: less time, and the same bits.
            return torch.cat([self._features(part, layer) for part in scaled.split(CPU_BATCH)])
        return self._features(scaled, layer)

    def _features(self, features: Tensor, layer: Layer) -> Tensor:
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


def resized(images: Tensor, resolution: int) -> Tensor:
    """[B, 3, R, R] in 0..255, uint8 or float -> float32 [B, 3, resolution, resolution], not rounded again.

    Larger images are averaged over areas (exact boxes where `resolution` divides R, else boxes rounded out to whole
    pixels), smaller ones enlarged bilinearly.
    """
    images = images.float()
    if images.shape[-1] > resolution:
        return F.interpolate(images, size=(resolution, resolution), mode="area")
    if images.shape[-1] < resolution:
        return F.interpolate(images, size=(resolution, resolution), mode="bilinear", align_corners=False)
    return images


def load_extractor(resolution: int = 16, device: torch.device | str = "cpu") -> FactorNet:
    """The shipped network, in evaluation mode. Raises `InputError` where the file is not the one its record names."""
    weights = extractor_weights(resolution)
    try:
        stored = weights.read_bytes()
    except OSError:
        raise InputError(f"{weights.name} is missing beside {__name__}: reinstall the package") from None
    if hashlib.sha256(stored).hexdigest() != extractor_sha256(resolution):
        raise InputError(f"{weights.name} is not the file that its record describes: reinstall the package")
    net = FactorNet(resolution)
    try:
        net.load_state_dict(safetensors.torch.load(stored))
    except (SafetensorError, RuntimeError) as error:
        raise InputError(
            f"{weights.name} does not fit this version's network ({first_words(error)}): reinstall"
        ) from None
    return net.eval().requires_grad_(False).to(device)
