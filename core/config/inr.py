"""The implicit neural representation f(x, y) -> rgb: its coordinates, its basis, its layers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from core.arguments import MOST
from core.config.node import JOINED, Node, PositiveInt


class Coordinates(Node):
    """Where f is evaluated, and who owns the layer that reads the coordinates.

    Pixel i of n sits at low + (high - low) * (i + offset) / n with offset 0 ("corners", as the public code) or 1/2
    ("centres"). `layer` says whether the first layer's weights are generated per image or shared by all images.
    """

    low: float = 0.0
    high: float = 1.0
    sampling: Literal["corners", "centres"] = "corners"
    layer: Literal["generated", "shared"] = "generated"


class Siren(Node):
    """Sine activations everywhere. `scale` is the std of the first layer's pre-activation weights: the deck's
    sqrt(2 / n_in) = 1 for two coordinates, 30 / (n_in sqrt(3)) = 8.66 in the official SIREN (Sitzmann et al. 2020).

    `factor` is the deck's 30: weights of std scale / factor, their product times factor. Of weights that are emitted it
    leaves nothing, forwards or backwards; of a shared layer's it makes steps of Adam `factor` times as large.
    """

    kind: Literal["siren"] = "siren"
    scale: PositiveFloat = 1.0
    factor: PositiveFloat = 30.0


class Fourier(Node):
    """Sines and cosines of the first layer, ReLU above. `scale` is the std of its weights (deck: ~100).

    With `highest` each frequency has a std of its own, in equal steps of the logarithm from `scale` to that: detail of
    every octave between them has frequencies as fine as it. Their power falls as 1 / std, as that of octaves of
    pictures with edges does.
    """

    kind: Literal["fourier"] = "fourier"
    scale: PositiveFloat = 100.0
    highest: Annotated[PositiveFloat | None, JOINED] = None

    @model_validator(mode="after")
    def _highest_is_above(self) -> Fourier:
        if self.highest is not None and self.highest <= self.scale:
            raise ValueError(
                f"inr.basis.highest is {self.highest:g}: it must be above inr.basis.scale, {self.scale:g}, where "
                "frequencies begin"
            )
        return self


Basis = Annotated[Siren | Fourier, Field(discriminator="kind")]


class Linear(Node):
    """Every hidden weight and bias emitted: n^2 + n numbers a layer."""

    kind: Literal["linear"] = "linear"


class SELinear(Node):
    """A shared weight, every entry modulated by the sigmoid of an emitted number: n^2 + n numbers a layer.

    `scale_inside` multiplies what was emitted by the weight's std before the sigmoid, as the public code does.
    """

    kind: Literal["se_linear"] = "se_linear"
    scale_inside: bool = True


class MFiLM(Node):
    """A shared weight, scaled and shifted per output: 3n numbers a layer.

    The deck's "mFiLM" is the default, "-norm" sets `normalise` off, "+scale" sets `scale` on
    (`core.models.layers.mfilm` has the formulas; that of "mFiLM -norm +scale" alone is public).
    """

    kind: Literal["mfilm"] = "mfilm"
    normalise: bool = True
    scale: bool = False

    @model_validator(mode="after")
    def _is_a_row_of_the_slide(self) -> MFiLM:
        if self.normalise and self.scale:
            raise ValueError("mfilm: the slide has no row with both normalise and scale: set normalise to false")
        return self


class Factorized(Node):
    """An emitted rank-r product for a weight: 2nr + n numbers a layer.

    `root_rank` divides the product by sqrt(rank), which the public code of 2020 did not.
    """

    kind: Literal["factorized"] = "factorized"
    rank: PositiveInt = 10
    root_rank: bool = False


class FactorizedSE(Node):
    """A shared weight modulated by the sigmoid of an emitted rank-r product: 2nr + n numbers a layer.

    `root_rank` divides the product by sqrt(rank), which the public code of 2020 did not.
    """

    kind: Literal["factorized_se"] = "factorized_se"
    rank: PositiveInt = 10
    root_rank: bool = False


class AdaIN(Node):
    """A shared layer whose outputs are scaled and shifted per image: 2n numbers a layer."""

    kind: Literal["adain"] = "adain"


class Imported(Node):
    """A layer of somebody's own: `target` names its class as "module:Class", a subclass of `EmittedLayer`, `arguments`
    are what its constructor takes besides sizes and standard deviations. `core.imported.imported` makes one.

    `sha256` is that of the module's file, so that an edited layer is another run; modules that it imports are no part.
    """

    kind: Literal["imported"] = "imported"
    target: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")
    arguments: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


DeckLayer = Annotated[Linear | SELinear | MFiLM | Factorized | FactorizedSE | AdaIN, Field(discriminator="kind")]
"""Those of the slide "Size/quality tradeoff for INR architecture"."""

Layer = Annotated[Linear | SELinear | MFiLM | Factorized | FactorizedSE | AdaIN | Imported, Field(discriminator="kind")]


class Averaged(Node):
    """The mean of f at `points` x `points` points of a pixel, the middles of its equal parts."""

    kind: Literal["averaged"] = "averaged"
    points: int = Field(default=2, ge=2, le=MOST)


class BoxMean(Node):
    """The mean over the pixel of what the coordinate layer's sines and cosines are, a SIREN's first ones included, in
    closed form (`core.models.inr.box_means`): exact in that layer alone, for layers above it bring new harmonics."""

    kind: Literal["box_mean"] = "box_mean"


Footprint = Annotated[Averaged | BoxMean, Field(discriminator="kind")]
"""How f turns a pixel's area into a value. The area is the pixel's own whatever `sampling` says, which is of points."""


class MultiScale(Node):
    """Layers in `blocks` blocks on grids of growing density, the generator published at CVPR 2021 (public code
    `HierarchicalFourierINRs`, where an image of 128 x 128 has two blocks, the first of 64 x 64).

    A cell of a block's grid is `factor` x `factor` cells of the next one's; the last block's are the pixels. A block's
    features are repeated for all cells of the next that lie in its cells, and joined by Fourier features of that grid
    in the next block's first hidden layer. The hidden layers are shared out evenly, the last blocks have the odd ones
    (there 3, and 4 after the one that joins).

    On a denser grid than the trained one the blocks from `denser_from` on are denser, 0 all; those before it keep the
    trained grid (public `upsample_block_idx` 1).
    """

    blocks: int = Field(default=2, ge=2, le=16)
    factor: int = Field(default=2, ge=2, le=1024)
    denser_from: NonNegativeInt = 1

    @model_validator(mode="after")
    def _a_block_gets_denser(self) -> MultiScale:
        if self.denser_from >= self.blocks:
            raise ValueError(
                f"inr.scales.denser_from is {self.denser_from}: blocks count from 0, and of {self.blocks} the last is "
                f"{self.blocks - 1}"
            )
        return self

    @property
    def coarsening(self) -> tuple[int, ...]:
        """The side of each block's cells in pixels."""
        return tuple(self.factor**block for block in reversed(range(self.blocks)))

    def layers(self, depth: int) -> tuple[int, ...]:
        """The hidden layers of each block of an INR of this depth."""
        least, odd = divmod(depth - 1, self.blocks)
        return tuple(least + (block >= self.blocks - odd) for block in range(self.blocks))


class Inr(Node):
    """`depth` counts the coordinate layer and the hidden layers, all of `width`; the RGB layer comes on top.

    "64x5" is width 64, depth 5 (a reading: the deck may also mean five hidden layers above the coordinate layer).
    `init` "deck" takes the layers' formulas as they stand; "unit" multiplies each by a constant, measured once, with
    which pre-activations and the output start with mean square 1 (the coordinate layer keeps its scale). `residual`
    makes every hidden layer (x + f(x)) / sqrt(2), f with its activation: not the deck's, an answer to its trouble with
    depth. Without a `footprint` f is sampled at points, without `scales` all its layers are on one grid.
    """

    basis: Basis = Siren()
    layer: Layer = Linear()
    init: Literal["deck", "unit"] = "deck"
    width: PositiveInt = 64
    depth: int = Field(default=5, ge=2)
    residual: bool = False
    coordinates: Coordinates = Coordinates()
    footprint: Annotated[Footprint | None, JOINED] = None
    scales: Annotated[MultiScale | None, JOINED] = None

    @model_validator(mode="after")
    def _fourier_halves_the_width(self) -> Inr:
        if isinstance(self.basis, Fourier) and self.width % 2:
            raise ValueError(f"inr.width is {self.width}: a Fourier INR needs an even width, half sines, half cosines")
        return self

    @model_validator(mode="after")
    def _every_block_has_a_layer(self) -> Inr:
        if self.scales is not None and self.depth <= self.scales.blocks:
            raise ValueError(
                f"inr.depth is {self.depth}: with inr.scales.blocks {self.scales.blocks}, a hidden layer each and the "
                f"coordinate layer, it has to be {self.scales.blocks + 1} or more"
            )
        return self
