"""The scales at which studies are run: `lsun64`, the deck's numbers and its public code's where it is silent;
`cpu`, those scaled down to two CPU cores. docs/profiles.md has both beside their sources."""

from __future__ import annotations

from functools import partial
from typing import Any

from ablations.schema import Multiply, Profile, Put
from core.config import (
    PUBLIC_RESAMPLING,
    Emission,
    Evaluation,
    Quality,
    Rooms,
    RoomsFrechet,
    StridedDiscriminator,
)
from core.metrics.identity import extractor_sha256

LSUN64 = Profile(
    name="lsun64",
    title="the deck's scale: 64×64, 20,000 iterations, INR 256×5, a D of 10 million parameters",
    resampling=PUBLIC_RESAMPLING,
)

LSUN128 = Profile(name="lsun128", title="the deck's scale: 128×128, INR 256×5", resampling=PUBLIC_RESAMPLING)

R1_ELSEWHERE = "the weight that the other studies' cpu profile has at 16×16"
"""Where a study's base is larger than 64×64, from which that weight was scaled."""

UNIT_EMISSION = Put(
    path="hypernetwork.emission",
    value=Emission(gain=0.3, bias_std=1.0),
    why="this study's question is about emitted numbers of about N(0, 1), as the slide on clipping calls them; the "
    "public "
    "code's start at a std of 0.25 or 0.4",
)
"""For studies at the deck's scale that clip emitted numbers, calibrate layers for them, or vary a layer's scale."""

CPU_QUALITY = Quality(samples=1024, kernel_subsets=20, kernel_subset=250, points=15, smallest=512)
"""What half a second of a run measures besides; most of it goes into making and looking at the images once more."""


CPU_WINDOW = 0.25
CPU_EVERY = 80
"""Of 800 iterations, so that arms of unequal cost are evaluated at equal updates of G (160) and equal images (400)."""


def cpu_evaluation(metric: RoomsFrechet, *, every: int = CPU_EVERY, **measures: Any) -> Evaluation:
    """What a run of the `cpu` profile is measured by: ten times, its value that of the last quarter.

    Where G is not averaged the metric wobbles from evaluation to evaluation, and the mean over a quarter scatters less
    over seeds; where it is averaged nothing is gained or lost (docs/window.md).
    """
    return Evaluation(metric=metric, every=every, window=CPU_WINDOW, quality=CPU_QUALITY, resamples=2, **measures)


CPU_RULE = """\
Init, feature scale and learning rates are the free numbers of this profile. They were chosen on seeds 1000 and 1001,
which no study uses, by one rule for both ends of the ladder, none and all of the ten changes: of what all share, the
candidate with the least regret, that is, with which the end that it serves worse is the least far above its own best
candidate (geometric means over seeds). So were chosen the initial emission of the hypernetwork and D's learning rate
(each end at its best rate of G), and then one factor on the deck's learning rates of G, so that the slide's change of
rates keeps its proportions. {scales} Neither end gets a candidate that the other does not get, and none is judged by
the ratio of the ends. `python -m tests.choices.cpu_profile` repeats the choice; docs/cpu_profile.md has all candidates
with their figures, the ends at their own best rates, and what another rule would have chosen.
"""


SCALES_CHOSEN = (
    "Last, each end's first-layer scale is the best of the same values, SIREN's without any change and Fourier's "
    "with all "
    "ten: among other changes than these, each is tuned less well."
)
SCALES_LEFT = "The first layer's scale is the study's own question; the rates were chosen at other scales."


def cpu(
    generator_factor: float,
    discriminator_factor: float,
    emission: Emission | None,
    siren_scale: float | None,
    fourier_scale: float | None,
) -> Profile:
    """The `cpu` profile with these free choices; `tests.choices.cpu_profile` makes its candidates with it.

    A scale of None leaves the first layer's to the study, which asks about it.
    """
    small = "networks in proportion to small images"
    by_rule = "by the rule of this profile"
    scales = [
        Put(path="inr.basis.scale", value=scale, only=basis, why=why)
        for basis, scale, why in (
            ("siren", siren_scale, by_rule),
            ("fourier", fourier_scale, f"{by_rule}; small images have no fine detail"),
        )
        if scale is not None
    ]
    return Profile(
        name="cpu",
        title="the deck's numbers scaled down to two CPU cores: 16×16 embedded rooms, 800 iterations",
        scalings=(
            Put(path="data", value=Rooms(resolution=16), why="embedded scenes instead of LSUN: nothing to download"),
            Put(path="flip", value=False, why="scenes are drawn, not collected: there are as many as are asked for"),
            Multiply(path="iterations", factor=0.04, why="seconds per run, not a day"),
            Multiply(path="batch_size", factor=0.5, why="cost; the ratio 32 : 64 stays"),
            Multiply(path="inr.width", factor=0.125, why="width is the cost of an INR; the ratio 64 : 256 stays"),
            Multiply(path="inr.depth", factor=0.6, why="cost: coordinate layer and two hidden layers for five"),
            Put(path="inr.coordinates.low", value=-1.0, why="a symmetric range"),
            Put(path="inr.coordinates.sampling", value="centres", why="no half-pixel shift"),
            *scales,
            Put(
                path="inr.layer.root_rank",
                value=True,
                only="factorized_se",
                why="keeps the emitted product at unit variance, as a linear layer's emitted weights are",
            ),
            Put(path="hypernetwork.latent_dim", value=64, why=small),
            Multiply(path="hypernetwork.width", factor=0.25, why=small),
            Put(path="hypernetwork.depth", value=3, why=small),
            *([] if emission is None else [Put(path="hypernetwork.emission", value=emission, why=by_rule)]),
            Put(path="discriminator", value=StridedDiscriminator(), why="cost: four cheap layers instead of a ResNet"),
            Multiply(
                path="penalty.weight",
                factor=0.0625,
                only="r1",
                why="in proportion to the number of pixels, (16/64)², as in StyleGAN2-ADA's rule but for its "
                "division by "
                "the batch: |grad D|² of the same picture is in inverse proportion; WGAN-GP's weight is left",
            ),
            Multiply(
                path="optimizers.learning_rates.generator",
                factor=generator_factor,
                why=f"{by_rule}, for the 800 of 20,000 iterations of changes_overview",
            ),
            Multiply(path="optimizers.learning_rates.discriminator", factor=discriminator_factor, why=by_rule),
            Put(
                path="ema.decay",
                value=0.975,
                why="a memory of 40 steps of G in changes_overview's 800 iterations, as 1,000 in 20,000",
            ),
            Put(
                path="evaluation",
                value=cpu_evaluation(RoomsFrechet(extractor=extractor_sha256())),
                why="a proxy over a network that ships with the code: Inception's weights need a download",
            ),
        ),
        rule=" ".join(CPU_RULE.format(scales=SCALES_CHOSEN if scales else SCALES_LEFT).split()),
        piloted=(0, 1, 2),
        pilot="had been trained and published, their last evaluation read as the value, before the window over the "
        "last quarter, the words negligible and unstable, and how variances are shared were fixed. The simulation that "
        "chose the last of these took its scatter from a trial of leave one out at 20 seeds of this profile, "
        "then with R1 at every fourth step",
        caveat="Directions compare with the deck's, magnitudes do not: other images, another metric, networks and a "
        "training thousands of times smaller.",
    )


chosen = partial(cpu, generator_factor=4.0, discriminator_factor=10.0, emission=Emission(gain=0.3, bias_std=1.0))

CPU = chosen(siren_scale=2.0, fourier_scale=1.0)
CPU_SCALES_FREE = chosen(siren_scale=None, fourier_scale=None)
"""The same for a study that asks about the first layer's scale."""
