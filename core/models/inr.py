"""The implicit neural representation f(point) -> values, f(x, y) -> rgb above all: one per sample, its parameters
emitted by the hypernetwork."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn

from core import config as cfg
from core.footprint import Footprint
from core.grids import Grid
from core.models.bases import Basis
from core.models.layers.emitted import EmittedLayer
from core.models.layers.linear import Linear
from core.places import Level, Places, Where

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

    def spread(self, spread_O: Tensor) -> SharedLinear:
        """Itself, each output's weights and bias so many times as large at first."""
        with torch.no_grad():
            self.weight_IO.mul_(spread_O)
            self.bias_O.mul_(spread_O)
        return self

    def forward(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        return (x_BPI @ self.weight_IO + self.bias_O) * self.factor

    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        """W [I, O] and b [O], the factor included."""
        return self.weight_IO * self.factor, self.bias_O * self.factor


class SpreadLinear(Linear):
    """A generated coordinate layer each of whose outputs has weights and a bias `spread_O` times as large."""

    spread_O: Tensor

    def __init__(self, inputs: int, spread_O: Tensor, *, weight_std: float, bias_std: float) -> None:
        super().__init__(inputs, len(spread_O), weight_std=weight_std, bias_std=bias_std)
        self.register_buffer("spread_O", spread_O, persistent=False)

    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        """See `EmittedLayer`."""
        weight_BIO, bias_BO = super().weight_and_bias(emitted_BE)
        return weight_BIO * self.spread_O, bias_BO * self.spread_O


CoordinateLayer = SharedLinear | Linear


def box_means(weight_BIF: Tensor, sides_PI: Tensor) -> Tensor:
    """What sin(w u + b) and cos(w u + b) have to be multiplied by to be their means over a box of sides h around u:
    prod_k sinc(w_k h_k / 2) with sinc(a) = sin(a) / a, by integration along each axis.

    Of weights [I, F] or [B, I, F] and sides [P, I] or [B, P, I]: [P, F] or [B, P, F].
    """
    factor = torch.ones((), dtype=sides_PI.dtype, device=sides_PI.device)
    for weight_BF, side_P in zip(weight_BIF.unbind(-2), sides_PI.unbind(-1), strict=True):
        # torch.sinc(a) is sin(pi a) / (pi a).
        factor = factor * torch.sinc(weight_BF.unsqueeze(-2) * (side_P.unsqueeze(-1) / (2 * math.pi)))
    return factor


class Inr(nn.Module):
    """Coordinate layer, `depth - 1` hidden layers, a layer of `channels` values (RGB), tanh.

    `basis` says what follows the coordinate layer, which sees points of `inputs` numbers, and the hidden layers. Hidden
    and RGB weights have std sqrt(2 / n_in) (slide "FourierINR vs SIREN"), the coordinate layer's is `basis.scale`.
    With a `footprint` values are means over the cells of a grid.
    """

    def __init__(
        self,
        config: cfg.Inr,
        basis: Basis,
        hidden_layer: LayerFactory,
        inputs: int = 2,
        channels: int = 3,
        footprint: Footprint | None = None,
    ) -> None:
        super().__init__()
        self.basis, self.residual, self.footprint = basis, config.residual, footprint
        hidden_std = math.sqrt(2 / config.width)
        hidden = {"weight_std": hidden_std, "bias_std": BIAS_TO_WEIGHT_STD * hidden_std}
        self.coordinate_layer = self.reading_coordinates(config, inputs)
        self.hidden_layers = nn.ModuleList(
            hidden_layer(config.width, config.width, **hidden) for _ in range(config.depth - 1)
        )
        self.rgb_layer = Linear(config.width, channels, **hidden)

    def reading_coordinates(self, config: cfg.Inr, inputs: int) -> CoordinateLayer:
        """A layer of frequencies, shared or generated."""
        frequencies, scale = self.basis.frequencies(config.width), self.basis.scale
        first = {"weight_std": scale, "bias_std": BIAS_TO_WEIGHT_STD * scale}
        spread = self.basis.spread(config.width)
        if config.coordinates.layer == "shared":
            layer = SharedLinear(inputs, frequencies, **first, factor=self.basis.factor)
            return layer if spread is None else layer.spread(spread)
        return Linear(inputs, frequencies, **first) if spread is None else SpreadLinear(inputs, spread, **first)

    @property
    def layers(self) -> list[nn.Module]:
        """All of them, in the order in which they are applied and their numbers emitted."""
        return [self.coordinate_layer, *self.hidden_layers, self.rgb_layer]

    @cached_property
    def sizes(self) -> list[int]:
        """Numbers emitted per image for each of the layers."""
        return [cast(int, layer.emitted) for layer in self.layers]

    @property
    def emitted(self) -> int:
        """Numbers emitted per image."""
        return sum(self.sizes)

    def placed(self, grid: Grid) -> tuple[Grid, Where]:
        """The grid that its values are made on for them to be arranged as those of `grid`, and what it reads of it."""
        if self.footprint is None:
            return grid, grid.coordinates()
        cells = self.footprint.seen(grid)
        sides = self.footprint.sides(cells)
        return cells, cells.coordinates() if sides is None else Places([Level(cells.coordinates(), sides)])

    def embedded(
        self,
        emitted_BE: Tensor,
        coords_PI: Tensor,
        sides_PI: Tensor | None = None,
        layer: CoordinateLayer | None = None,
    ) -> Tensor:
        """The coordinate layer's activations, [B, P, width], of its own emitted numbers at points [P, inputs], or
        [B, P, inputs] where each sample has its own; or their means over boxes of these sides around them."""
        layer = layer or self.coordinate_layer
        # Never in half precision: at a scale of 100 bfloat16 rounds phases to half a radian.
        with torch.autocast(coords_PI.device.type, enabled=False):
            emitted_BE = emitted_BE.to(coords_PI.dtype)
            if layer.emitted:
                x = layer(coords_PI.expand(len(emitted_BE), -1, -1), emitted_BE)
            else:
                x = layer(coords_PI, emitted_BE)
            features = self.basis.embed(x)
            if sides_PI is not None:
                faded = box_means(layer.weight_and_bias(emitted_BE)[0], sides_PI)
                # A sine and a cosine of one frequency fade alike.
                features = features * torch.cat([faded] * (features.shape[-1] // faded.shape[-1]), dim=-1)
        return features.expand(len(emitted_BE), -1, -1)

    def activated(self, pre: Tensor, x: Tensor) -> Tensor:
        """A hidden layer's output from its pre-activations, which are overwritten, and its input."""
        activation = self.basis.activate(pre)
        return (x + activation) * math.sqrt(0.5) if self.residual else activation

    def forward(self, emitted_BE: Tensor, where: Where) -> Tensor:
        """Values in (-1, 1), [B, P, channels], of the samples whose parameters are `emitted_BE`."""
        first, *hidden, last = emitted_BE.split(self.sizes, dim=1)
        coords, sides = read(where)
        x = self.embedded(first, coords, sides)
        for layer, numbers in zip(self.hidden_layers, hidden, strict=True):
            x = self.activated(layer(x, numbers), x)
        return self.coloured(x, last, coords.dtype)

    def coloured(self, x: Tensor, emitted_BE: Tensor, dtype: torch.dtype) -> Tensor:
        """Values in (-1, 1) of features [B, P, width], by the last layer."""
        # 8 bits of a bfloat16 are too few for colours, which D should not have to see.
        return self.rgb_layer(x, emitted_BE).to(dtype).tanh()

    @torch.no_grad()
    def calibrate(self, where: Where) -> None:
        """Brings every layer's pre-activations to mean square 1, first to last, for emitted standard normals."""
        coords, sides = read(where[torch.randperm(len(where))[:CALIBRATION_PIXELS]])
        first, *hidden, last = torch.randn(CALIBRATION_IMAGES, self.emitted).split(self.sizes, dim=1)
        x = self.embedded(first, coords, sides)
        for layer, numbers in zip(self.hidden_layers, hidden, strict=True):
            cast(EmittedLayer, layer).calibrate(x, numbers)
            x = self.activated(layer(x, numbers), x)
        self.rgb_layer.calibrate(x, last)


def read(where: Where) -> tuple[Tensor, Tensor | None]:
    """Points, and the sides of the boxes around them where there are some."""
    return (where, None) if isinstance(where, Tensor) else (where.finest.points, where.finest.sides)
