"""The implicit neural representation f(point) -> values, f(x, y) -> rgb above all: one per sample, its parameters
emitted by the hypernetwork."""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from core import config as cfg
from core.models.bases import Basis
from core.models.layers.emitted import EmittedLayer
from core.models.layers.linear import Linear

BIAS_TO_WEIGHT_STD = 0.2
"""s_b = 0.2 s_w in every layer (public code: `bias_hid_layer_std_scale`, `bias_coords_layer_std_scale`)."""

CALIBRATION_IMAGES, CALIBRATION_PIXELS = 64, 256

LayerFactory = Callable[..., EmittedLayer]
"""Called with (inputs, outputs, weight_std=, bias_std=)."""


class SharedLinear(nn.Module):
    """A layer that all images share: nothing is emitted for it. Its parameters are stored divided by `factor`."""

    emitted = 0

    def __init__(self, inputs: int, outputs: int, *, weight_std: float, bias_std: float, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor
        self.weight_IO = nn.Parameter(weight_std / factor * torch.randn(inputs, outputs))
        self.bias_O = nn.Parameter(bias_std / factor * torch.randn(outputs))

    def forward(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        return (x_BPI @ self.weight_IO + self.bias_O) * self.factor


class Inr(nn.Module):
    """Coordinate layer, `depth - 1` hidden layers, a layer of `channels` values (RGB), tanh.

    `basis` says what follows the coordinate layer, which sees points of `inputs` numbers, and the hidden layers. Hidden
    and RGB weights have std sqrt(2 / n_in) (slide "FourierINR vs SIREN"), the coordinate layer's is `basis.scale`.
    """

    def __init__(
        self, config: cfg.Inr, basis: Basis, hidden_layer: LayerFactory, inputs: int = 2, channels: int = 3
    ) -> None:
        super().__init__()
        self.basis, self.residual = basis, config.residual
        frequencies = basis.frequencies(config.width)
        hidden_std = math.sqrt(2 / config.width)
        hidden = {"weight_std": hidden_std, "bias_std": BIAS_TO_WEIGHT_STD * hidden_std}
        first = {"weight_std": basis.scale, "bias_std": BIAS_TO_WEIGHT_STD * basis.scale}
        self.coordinate_layer: SharedLinear | Linear
        if config.coordinates.layer == "shared":
            self.coordinate_layer = SharedLinear(inputs, frequencies, **first, factor=basis.factor)
        else:
            self.coordinate_layer = Linear(inputs, frequencies, **first)
        self.hidden_layers = nn.ModuleList(
            hidden_layer(config.width, config.width, **hidden) for _ in range(config.depth - 1)
        )
        self.rgb_layer = Linear(config.width, channels, **hidden)
        self.sizes: list[int] = [
            self.coordinate_layer.emitted,
            *(cast(int, layer.emitted) for layer in self.hidden_layers),
            self.rgb_layer.emitted,
        ]

    @property
    def emitted(self) -> int:
        """Numbers emitted per image."""
        return sum(self.sizes)

    def embedded(self, emitted_BE: Tensor, coords_PI: Tensor) -> Tensor:
        """The coordinate layer's activations, [B, P, width], of its own emitted numbers at points [P, inputs], or
        [B, P, inputs] where each sample has its own."""
        # Never in half precision: at a scale of 100 bfloat16 rounds phases to half a radian.
        with torch.autocast(coords_PI.device.type, enabled=False):
            emitted_BE = emitted_BE.to(coords_PI.dtype)
            if self.sizes[0]:
                x = self.coordinate_layer(coords_PI.expand(len(emitted_BE), -1, -1), emitted_BE)
            else:
                x = self.coordinate_layer(coords_PI, emitted_BE)
        return self.basis.embed(x).expand(len(emitted_BE), -1, -1)

    def activated(self, pre: Tensor, x: Tensor) -> Tensor:
        """A hidden layer's output from its pre-activations, which are overwritten, and its input."""
        activation = self.basis.activate(pre)
        return (x + activation) * math.sqrt(0.5) if self.residual else activation

    def forward(self, emitted_BE: Tensor, coords_PI: Tensor) -> Tensor:
        """Values in (-1, 1), [B, P, channels], of the samples whose parameters are `emitted_BE`."""
        first, *hidden, last = emitted_BE.split(self.sizes, dim=1)
        x = self.embedded(first, coords_PI)
        for layer, numbers in zip(self.hidden_layers, hidden, strict=True):
            x = self.activated(layer(x, numbers), x)
        # 8 bits of a bfloat16 are too few for colours, which D should not have to see.
        return self.rgb_layer(x, last).to(coords_PI.dtype).tanh()

    @torch.no_grad()
    def calibrate(self, coords_PI: Tensor) -> None:
        """Brings every layer's pre-activations to mean square 1, first to last, for emitted standard normals."""
        coords = coords_PI[torch.randperm(len(coords_PI))[:CALIBRATION_PIXELS]]
        first, *hidden, last = torch.randn(CALIBRATION_IMAGES, self.emitted).split(self.sizes, dim=1)
        x = self.embedded(first, coords)
        for layer, numbers in zip(self.hidden_layers, hidden, strict=True):
            cast(EmittedLayer, layer).calibrate(x, numbers)
            x = self.activated(layer(x, numbers), x)
        self.rgb_layer.calibrate(x, last)
