"""Losses, penalties, optimisers, the average of weights and the precision of arithmetic."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from core.config.node import JOINED, Node, PositiveInt


class Wasserstein(Node):
    """D maximises D(real) - D(fake), G maximises D(fake) (Arjovsky et al. 2017)."""

    kind: Literal["wasserstein"] = "wasserstein"


class NonSaturating(Node):
    """Logistic loss for D, -log D(G(z)) for G (Goodfellow et al. 2014)."""

    kind: Literal["non_saturating"] = "non_saturating"


Loss = Annotated[Wasserstein | NonSaturating, Field(discriminator="kind")]


class GradientPenalty(Node):
    """WGAN-GP: weight * E(|grad D| - 1)^2 at random mixtures of real and fake (Gulrajani et al. 2017, eq. 3)."""

    kind: Literal["wgan_gp"] = "wgan_gp"
    weight: NonNegativeFloat = 10.0
    interval: ClassVar[int] = 1


class R1(Node):
    """weight * E|grad D|^2 at real images, no factor 1/2 (Mescheder et al. 2018, eq. 9; weight and form: public code).

    `interval` k applies k times the penalty at every k-th step of D.
    """

    kind: Literal["r1"] = "r1"
    weight: NonNegativeFloat = 10.0
    interval: PositiveInt = 1


Penalty = Annotated[GradientPenalty | R1, Field(discriminator="kind")]


class LearningRates(Node):
    """Of G and of D, as the deck writes them: 0.002/0.0002 at first."""

    generator: PositiveFloat = 0.002
    discriminator: PositiveFloat = 0.0002


class Adam(Node):
    """Betas and epsilon of one network's Adam (Kingma and Ba 2015); the defaults are the public code's."""

    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.98, ge=0, lt=1)
    epsilon: PositiveFloat = 1e-8


class Multipliers(Node):
    """Factors on G's learning rate: of the parameters that the INR shares between images, and of the hypernetwork's
    trunk, which has the place of StyleGAN's mapping network (trained there at 0.01 times the rate).

    What emits, the hypernetwork's last linear map or its heads, has G's rate as it stands. `shared` is idle in an INR
    that shares nothing.
    """

    shared: PositiveFloat = 1.0
    mapping: PositiveFloat = 1.0


class Optimizers(Node):
    """One Adam per network; `multipliers` are within G's."""

    learning_rates: LearningRates = LearningRates()
    multipliers: Multipliers = Multipliers()
    generator: Adam = Adam()
    discriminator: Adam = Adam()


class Ema(Node):
    """Exponential moving average of the generator, per step of G; the deck gives no decay, 0.999 is the public code's.

    With `warmup`, which is ours, the decay after step t is min(decay, (1 + t) / (10 + t)); the public code has none.
    """

    decay: float = Field(default=0.999, ge=0, lt=1)
    warmup: Annotated[bool, JOINED] = True


Precision = Literal["float32", "tf32", "bfloat16"]
"""Of the products (matrix products, convolutions) in training; weights, optimisers, averages and evaluations are
float32 in any case. "tf32" rounds their factors to 10 bits of mantissa, on a GPU that can; "bfloat16" to 7, which
activations keep, forwards and backwards (`torch.autocast`)."""
