"""The implicit neural representation f(x, y) -> rgb, one per image, its parameters emitted by the hypernetwork."""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core import config as cfg
from core.models.layers.emitted import EmittedLayer
from core.models.layers.linear import Linear

BIAS_TO_WEIGHT_STD = 0.2
"""s_b = 0.2 s_w in every layer (public code: `bias_hid_layer_std_scale`, `bias_coords_layer_std_scale`)."""

CALIBRATION_IMAGES, CALIBRATION_PIXELS = 64, 256

LayerFactory = Callable[..., EmittedLayer]
"""Called with (inputs, outputs, weight_std=, bias_std=)."""


def pixel_coordinates(resolution: int, coordinates: cfg.Coordinates) -> Tensor:
    """Coordinates of all pixels, [P, 2] as (x, y) with x = column, row by row."""
    return coordinates_at(torch.arange(resolution, dtype=torch.float64), resolution, coordinates)


def coordinates_at(position_S: Tensor, resolution: int, coordinates: cfg.Coordinates) -> Tensor:
    """Coordinates [S S, 2] of the grid with columns and rows at `position_S`, float64, in units of pixels.

    Position i is pixel i of an image of `resolution` pixels; positions may lie between pixels and outside of them.
    """
    offset = 0.5 if coordinates.sampling == "centres" else 0.0
    steps = (position_S + offset) / resolution
    line = (coordinates.low + (coordinates.high - coordinates.low) * steps).float()
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


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


class Inr(nn.Module):
    """Coordinate layer, `depth - 1` hidden layers, RGB layer, tanh.

    Siren: sin after every layer. Fourier: (sin, cos) of width / 2 frequencies, ReLU after hidden layers. Hidden and RGB
    weights have std sqrt(2 / n_in) (slide "FourierINR vs SIREN"), the coordinate layer's is `basis.scale`.
    """

    def __init__(self, config: cfg.Inr, hidden_layer: LayerFactory) -> None:
        super().__init__()
        self.fourier = isinstance(config.basis, cfg.Fourier)
        self.residual = config.residual
        frequencies = config.width // 2 if self.fourier else config.width
        hidden_std = math.sqrt(2 / config.width)
        hidden = {"weight_std": hidden_std, "bias_std": BIAS_TO_WEIGHT_STD * hidden_std}
        first = {"weight_std": config.basis.scale, "bias_std": BIAS_TO_WEIGHT_STD * config.basis.scale}
        self.coordinate_layer: SharedLinear | Linear
        if config.coordinates.layer == "shared":
            factor = config.basis.factor if isinstance(config.basis, cfg.Siren) else 1.0
            self.coordinate_layer = SharedLinear(2, frequencies, **first, factor=factor)
        else:
            self.coordinate_layer = Linear(2, frequencies, **first)
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

    def embedded(self, emitted_BE: Tensor, coords_P2: Tensor) -> Tensor:
        """The coordinate layer's activations, [B, P, width], of its own emitted numbers."""
        # Never in half precision: at a scale of 100 bfloat16 rounds phases to half a radian.
        with torch.autocast(coords_P2.device.type, enabled=False):
            emitted_BE = emitted_BE.to(coords_P2.dtype)
            if self.sizes[0]:
                x = self.coordinate_layer(coords_P2.expand(len(emitted_BE), -1, -1), emitted_BE)
            else:
                x = self.coordinate_layer(coords_P2, emitted_BE)
        x = SinCos.apply(x) if self.fourier else x.sin()
        return x.expand(len(emitted_BE), -1, -1)

    def activated(self, pre: Tensor, x: Tensor) -> Tensor:
        """A hidden layer's output from its pre-activations, which are overwritten, and its input."""
        activation = pre.relu_() if self.fourier else pre.sin()
        return (x + activation) * math.sqrt(0.5) if self.residual else activation

    def forward(self, emitted_BE: Tensor, coords_P2: Tensor) -> Tensor:
        """RGB in (-1, 1), [B, P, 3], of the images whose parameters are `emitted_BE`."""
        first, *hidden, last = emitted_BE.split(self.sizes, dim=1)
        x = self.embedded(first, coords_P2)
        for layer, numbers in zip(self.hidden_layers, hidden, strict=True):
            x = self.activated(layer(x, numbers), x)
        # 8 bits of a bfloat16 are too few for colours, which D should not have to see.
        return self.rgb_layer(x, last).to(coords_P2.dtype).tanh()

    @torch.no_grad()
    def calibrate(self, coords_P2: Tensor) -> None:
        """Brings every layer's pre-activations to mean square 1, first to last, for emitted standard normals."""
        coords = coords_P2[torch.randperm(len(coords_P2))[:CALIBRATION_PIXELS]]
        first, *hidden, last = torch.randn(CALIBRATION_IMAGES, self.emitted).split(self.sizes, dim=1)
        x = self.embedded(first, coords)
        for layer, numbers in zip(self.hidden_layers, hidden, strict=True):
            cast(EmittedLayer, layer).calibrate(x, numbers)
            x = self.activated(layer(x, numbers), x)
        self.rgb_layer.calibrate(x, last)
