"""The two tasks: a GAN that is trained, a few images that are fitted."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveFloat, model_validator

from core.config.data import Data, Rooms
from core.config.evaluation import CleanFid, ErrorEvaluation, Evaluation
from core.config.inr import Fourier, Inr
from core.config.networks import Discriminator, Hypernetwork, ResNetDiscriminator, StridedDiscriminator
from core.config.node import Node, PositiveInt
from core.config.objectives import Adam, Ema, GradientPenalty, Loss, Optimizers, Penalty, Precision, Wasserstein


class Config(Node):
    """One INR-GAN and how it is trained and measured.

    An iteration is one update of D; G is updated at every `d_per_g`-th iteration (a reading: the author's later code
    counts so). `images` shown after t iterations are t * batch_size. With `flip`, as in the public code
    for every LSUN set, half of the real images that D sees are mirrored left to right; generated images and the
    metric's real set are not.
    """

    task: Literal["gan"] = "gan"
    data: Data = Rooms()
    flip: bool = True
    inr: Inr = Inr()
    hypernetwork: Hypernetwork = Hypernetwork()
    discriminator: Discriminator = ResNetDiscriminator()
    loss: Loss = Wasserstein()
    penalty: Penalty = GradientPenalty()
    optimizers: Optimizers = Optimizers()
    ema: Ema | None = None
    d_per_g: PositiveInt = 5
    batch_size: PositiveInt = 32
    precision: Precision = "float32"
    iterations: PositiveInt = 20_000
    evaluation: Evaluation = Evaluation()

    @property
    def period(self) -> int:
        """After so many iterations the loop does the same again: updates of G and lazy penalties have come round."""
        return math.lcm(self.d_per_g, self.penalty.interval)

    @property
    def smaller(self) -> str:
        """The field that takes less memory at half its value, as people write it."""
        return f"batch_size={max(1, self.batch_size // 2)} (it is {self.batch_size})"

    @model_validator(mode="after")
    def _image_survives_the_discriminator(self) -> Config:
        halvings, resolution = self.discriminator.blocks, self.data.resolution
        patch = self.discriminator.patch if isinstance(self.discriminator, StridedDiscriminator) else 1
        # Of more blocks the power alone would fill the memory.
        if halvings > resolution.bit_length():
            raise ValueError(f"discriminator.blocks is too large: data.resolution cannot be halved {halvings} times")
        if resolution % (shrink := patch * 2**halvings):
            raise ValueError(
                f"data.resolution is {resolution}: the discriminator divides it by {shrink}, which must come out even"
            )
        return self

    @model_validator(mode="after")
    def _fine_pixels_divide_coarse_ones(self) -> Config:
        scales, resolution = self.evaluation.scales, self.data.resolution
        if scales and (scales.fine % resolution or scales.fine == resolution):
            raise ValueError(
                f"evaluation.scales.fine is {scales.fine}: it must be a multiple of data.resolution, {resolution}, "
                "and larger"
            )
        return self


class FreeParameters(Node):
    """One vector of INR parameters per image, standard normal at first, optimised itself (public `StaticINRs`)."""

    kind: Literal["free"] = "free"


class LatentCodes(Node):
    """One latent code per image, standard normal at first, and a hypernetwork; both are optimised."""

    kind: Literal["latent_codes"] = "latent_codes"
    hypernetwork: Hypernetwork = Hypernetwork(norm=None, residual_weight=0.1)


Emitter = Annotated[FreeParameters | LatentCodes, Field(discriminator="kind")]


class Reconstruction(Node):
    """INRs fitted to a few images, the public code's `StaticINRsTrainer`: the experiment behind the deck's "MAE (50
    imgs)".

    `images` of the training set, drawn by the seed, are fitted together by full-batch Adam on the mean absolute error;
    what a layer shares is trained jointly. The deck gives the 50 images; 128 x 128 pixels follow from its 3.6
    iterations a second and 10 GB (a reading), rates and iterations are nowhere.
    """

    task: Literal["reconstruction"] = "reconstruction"
    data: Data = Rooms(resolution=128)
    images: PositiveInt = 50
    inr: Inr = Inr(basis=Fourier(), width=256)
    emitter: Emitter = FreeParameters()
    learning_rate: PositiveFloat = 5e-4
    optimizer: Adam = Adam(beta1=0.9, beta2=0.999)
    precision: Precision = "float32"
    iterations: PositiveInt = 5_000
    evaluation: ErrorEvaluation = ErrorEvaluation()

    d_per_g: ClassVar[int] = 1
    """Every iteration updates what renders."""
    period: ClassVar[int] = 1

    @property
    def batch_size(self) -> int:
        """Images an iteration sees: all of them."""
        return self.images

    @property
    def smaller(self) -> str:
        """As that of `Config`."""
        return f"images={max(1, self.images // 2)} (it is {self.images})"


AnyConfig = Annotated[Config | Reconstruction, Field(discriminator="task")]


def asks_inception(config: AnyConfig) -> bool:
    """Whether anything that the config measures is measured by Inception."""
    return any(isinstance(metric, CleanFid) for metric in config.evaluation.metrics)
