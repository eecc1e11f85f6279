"""The implicit neural representation f(x, y) -> rgb, one per image, its parameters emitted by the hypernetwork."""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from core import config as cfg
from core.models.layers.linear import Linear

BIAS_TO_WEIGHT_STD = 0.2
"""s_b = 0.2 s_w in every layer (public code: `bias_hid_layer_std_scale`, `bias_coords_layer_std_scale`)."""

LayerFactory = Callable[..., nn.Module]
"""Called with (inputs, outputs, weight_std=, bias_std=)."""


def pixel_coordinates(resolution: int, coordinates: cfg.Coordinates) -> Tensor:
    """Coordinates of all pixels, [P, 2] as (x, y) with x = column, row by row."""
    offset = 0.5 if coordinates.sampling == "centres" else 0.0
    steps = (torch.arange(resolution, dtype=torch.float64) + offset) / resolution
    line = (coordinates.low + (coordinates.high - coordinates.low) * steps).float()
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


class SharedLinear(nn.Module):
    """A layer that all images share: nothing is emitted for it."""

    emitted = 0

    def __init__(self, inputs: int, outputs: int, *, weight_std: float, bias_std: float) -> None:
        super().__init__()
        self.weight_IO = nn.Parameter(weight_std * torch.randn(inputs, outputs))
        self.bias_O = nn.Parameter(bias_std * torch.randn(outputs))

    def forward(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        return x_BPI @ self.weight_IO + self.bias_O


class Inr(nn.Module):
    """Coordinate layer, `depth - 1` hidden layers, RGB layer, tanh.

    Siren: sin after every layer. Fourier: (sin, cos) of width / 2 frequencies, ReLU after hidden layers. Hidden and RGB
    weights have std sqrt(2 / n_in) (slide "FourierINR vs SIREN"), the coordinate layer's is `basis.scale`.
    """

    def __init__(self, config: cfg.Inr, hidden_layer: LayerFactory) -> None:
        super().__init__()
        self.fourier = isinstance(config.basis, cfg.Fourier)
        frequencies = config.width // 2 if self.fourier else config.width
        coordinate_layer = SharedLinear if config.coordinates.layer == "shared" else Linear
        hidden_std = math.sqrt(2 / config.width)
        hidden = {"weight_std": hidden_std, "bias_std": BIAS_TO_WEIGHT_STD * hidden_std}
        self.coordinate_layer = coordinate_layer(
            2, frequencies, weight_std=config.basis.scale, bias_std=BIAS_TO_WEIGHT_STD * config.basis.scale
        )
        self.hidden_layers = nn.ModuleList(
            hidden_layer(config.width, config.width, **hidden) for _ in range(config.depth - 1)
        )
        self.rgb_layer = Linear(config.width, 3, **hidden)
        self.sizes: list[int] = [
            self.coordinate_layer.emitted,
            *(cast(int, layer.emitted) for layer in self.hidden_layers),
            self.rgb_layer.emitted,
        ]

    @property
    def emitted(self) -> int:
        """Numbers emitted per image."""
        return sum(self.sizes)

    def forward(self, emitted_BE: Tensor, coords_P2: Tensor) -> Tensor:
        """RGB in (-1, 1), [B, P, 3], of the images whose parameters are `emitted_BE`."""
        first, *hidden, last = emitted_BE.split(self.sizes, dim=1)
        if self.sizes[0]:
            x = self.coordinate_layer(coords_P2.expand(len(emitted_BE), -1, -1), first)
        else:
            x = self.coordinate_layer(coords_P2, first)
        x = torch.cat([x.sin(), x.cos()], dim=-1) if self.fourier else x.sin()
        x = x.expand(len(emitted_BE), -1, -1)
        for layer, numbers in zip(self.hidden_layers, hidden, strict=True):
            x = layer(x, numbers)
            x = x.relu_() if self.fourier else x.sin()
        return self.rgb_layer(x, last).tanh()
