"""The generator's and the discriminator's networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from core.config.node import Node, PositiveInt

GROUP = 4
"""Images of a discriminator's minibatch std: i, i + B / 4, and so on."""


class BatchNorm(Node):
    """Batch normalisation after every linear map of the hypernetwork's trunk."""

    kind: Literal["batch_norm"] = "batch_norm"


class Emission(Node):
    """Initial statistics of the emitted parameters, each in units of the standard normal that INR layers expect.

    At initialisation an emitted parameter is bias_std * N(0, 1), the same for all latents, plus a part with standard
    deviation `gain` over latents, whatever the trunk before it.
    """

    gain: PositiveFloat
    bias_std: NonNegativeFloat


class Heads(Node):
    """Independent networks behind the trunk, one for every layer of the INR: `depth` layers of `width` each, built as
    the trunk is, then a linear map to that layer's parameters (slide "Bluntly increasing the model size").
    """

    width: PositiveInt = 1024
    depth: PositiveInt = 3


class Hypernetwork(Node):
    """G(z): a fully connected trunk, `depth` layers of `width`, then one linear map to all parameters of an INR, or
    `heads`.

    From the second layer on h + w * relu(norm(linear(h))), w learnable and `residual_weight` at the start.
    `weight_clip` clips the emitted parameters to +-weight_clip (slide "Clipping G output"). Without `emission` the last
    maps start as torch's nn.Linear does, biases over the square root of their inputs, which is the public code's way:
    at the deck's sizes about 0.195 and 0.15 in `Emission`'s terms, with BatchNorm and a residual weight of 0 about 0.34
    and 0.23.
    """

    latent_dim: PositiveInt = 512
    width: PositiveInt = 1024
    depth: PositiveInt = 5
    heads: Heads | None = None
    norm: BatchNorm | None = BatchNorm()
    residual_weight: float = 0.0
    weight_clip: PositiveFloat | None = None
    emission: Emission | None = None


class ResNetDiscriminator(Node):
    """A pre-activation ResNet: `blocks` halvings of the image from `width` channels on, doubling them each time.

    Width 64 and four blocks are 10.1 million parameters, the deck's "10M" D (after the public code's "nrgan" D).
    """

    kind: Literal["resnet"] = "resnet"
    width: PositiveInt = 64
    blocks: PositiveInt = 4


class StridedDiscriminator(Node):
    """Few and cheap layers for small images: patch x patch pixels folded into channels, a convolution to `width`
    channels, `blocks` strided ones that halve the image and double the channels, `hidden` units, minibatch std."""

    kind: Literal["strided"] = "strided"
    patch: PositiveInt = 2
    width: PositiveInt = 32
    blocks: PositiveInt = 1
    hidden: PositiveInt = 128


class PooledDiscriminator(Node):
    """As `StridedDiscriminator`, for images of any size that can be halved: its last map is averaged to `pool` x `pool`
    pixels."""

    kind: Literal["pooled"] = "pooled"
    patch: PositiveInt = 2
    width: PositiveInt = 32
    blocks: PositiveInt = 1
    hidden: PositiveInt = 128
    pool: PositiveInt = 4


Discriminator = Annotated[ResNetDiscriminator | StridedDiscriminator | PooledDiscriminator, Field(discriminator="kind")]
