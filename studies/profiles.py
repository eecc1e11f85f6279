"""The scales at which studies are run: `lsun64`, the deck's own numbers, and `cpu`, those numbers on two CPU cores."""

from __future__ import annotations

from ablations.schema import Multiply as Times
from ablations.schema import Profile, Put
from core.config import Coordinates, Emission, Evaluation, Rooms, RoomsFrechet
from core.metrics.identity import extractor_sha256

LSUN64 = Profile(
    name="lsun64",
    title="the deck's own numbers: 64×64, 20,000 iterations, INR 256×5, a D of 10 million parameters",
)

CPU_RULE = """\
Init, feature scale and learning rates of this profile are the only free numbers, and the deck's rates cannot serve as
they are: 600 iterations instead of 20,000 are too few for them. They were chosen on seeds 1000 and 1001, which no
study uses, by one rule for both ends of the ladder, `baseline` and `all`. First one factor on all of the deck's
learning rates and one initial emission of the hypernetwork, common to all variants: the pair with the least geometric
mean, over both ends and both seeds, of the distance at the last iteration. Then each end's first-layer scale, from
the same four values, by the same figure. Neither end gets a candidate that the other does not, and no candidate is
judged by the ratio of the two. `python -m studies.choose_cpu_profile` repeats the choice; docs/cpu_profile.md has all
candidates with their figures.
"""


def cpu(learning_rate_factor: float, emission: Emission, siren_scale: float, fourier_scale: float) -> Profile:
    """The `cpu` profile with these four free choices; `studies.choose_cpu_profile` makes candidates with it."""
    why_width = "width decides the cost of an INR; the ratio 64 : 256 stays"
    why_small = "networks in proportion to a 16×16 image"
    return Profile(
        name="cpu",
        title="the deck's numbers scaled down to two CPU cores: 16×16 embedded rooms, 600 iterations",
        scalings=(
            Put(path="data", value=Rooms(resolution=16), why="embedded scenes instead of LSUN: nothing to download"),
            Times(path="iterations", factor=0.03, why="seconds per run, not a day"),
            Times(path="batch_size", factor=0.5, why="cost; the ratio 32 : 64 stays"),
            Times(path="inr.width", factor=0.125, why=why_width),
            Put(path="inr.depth", value=3, why="cost: coordinate layer and two hidden layers"),
            Put(
                path="inr.coordinates",
                value=Coordinates(low=-1.0, high=1.0, sampling="centres", layer="shared"),
                why="a generated coordinate layer learns nothing in 600 iterations, in either end of the ladder",
            ),
            Put(path="inr.basis.scale", value=siren_scale, only="siren", why="by the rule below"),
            Put(
                path="inr.basis.scale",
                value=fourier_scale,
                only="fourier",
                why="by the rule below; 16×16 has no finer detail",
            ),
            Put(
                path="inr.layer.root_rank",
                value=True,
                only="factorized_se",
                why="keeps the emitted product at unit variance, as a linear layer's emitted weights are",
            ),
            Put(path="hypernetwork.latent_dim", value=64, why=why_small),
            Put(path="hypernetwork.width", value=256, why=why_small),
            Put(path="hypernetwork.depth", value=3, why=why_small),
            Put(path="hypernetwork.emission", value=emission, why="by the rule below"),
            Put(path="discriminator.patch", value=4, why="cost: 4×4 pixels folded into channels first"),
            Put(path="discriminator.width", value=32, why=why_small),
            Put(path="discriminator.blocks", value=1, why=why_small),
            Put(
                path="discriminator.minibatch_std", value=True, why="diversity of small batches, for all variants alike"
            ),
            Times(
                path="penalty.weight",
                factor=0.0625,
                only="r1",
                why="|grad D|² grows with the number of pixels: (16/64)²",
            ),
            Times(path="optimizers.generator.learning_rate", factor=learning_rate_factor, why="by the rule below"),
            Times(path="optimizers.discriminator.learning_rate", factor=learning_rate_factor, why="by the rule below"),
            Put(path="ema.decay", value=0.99, why="a memory of 100 of 600 iterations instead of 1,000 of 20,000"),
            Put(
                path="evaluation",
                value=Evaluation(metric=RoomsFrechet(extractor=extractor_sha256()), every=100),
                why="a proxy over a network that ships with the code: Inception's weights need a download",
            ),
        ),
        rule=" ".join(CPU_RULE.split()),
        caveat="Directions compare with the deck's, magnitudes do not: other images, another metric, networks and a "
        "training thousands of times smaller.",
    )


CPU = cpu(10.0, Emission(gain=1.0, bias_std=0.0), siren_scale=1.0, fourier_scale=4.0)
