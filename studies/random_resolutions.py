"""The slide "Advantages compared to traditional GANs": does a "random resolutions" loss train for high resolution?

Two readings: whole images at a size that is drawn for every iteration, and windows whose scale is drawn. The public
code of November 2020 has a draft of the second, switched off (`progressive_transform`), with defects of its own.
"""

from __future__ import annotations

from ablations.answers import ClaimsAnswer
from ablations.claims import Source
from ablations.schema import Change, Put, Study, Translate, change, edited
from core.config import (
    BetaScale,
    Draft,
    Looks,
    Patches,
    Places,
    PooledDiscriminator,
    Scenes,
    Sizes,
    UniformScale,
    View,
)
from studies.dense import BASE as DENSE
from studies.dense import BASE_TITLE, LONGER, LSUN128_DENSE, MUCH, against, claimed, cpu_dense

RANDOM = Source(
    slide="Advantages compared to traditional GANs",
    quote="We can use “random resolutions” loss to train a high-resolution GAN",
)
SIZES, SIZES_HERE = Sizes(sizes=(128, 192, 256)), Sizes(sizes=(16, 24, 32))
UNIFORM, BETA = UniformScale(low=0.25), BetaScale(low=0.25)
BASE = edited(DENSE, {"discriminator": PooledDiscriminator(width=64, blocks=3)})
"""As those of dense patches, but for a D that takes images of any size: it averages over positions."""


def seen(name: str, title: str, view: View, reading: str | None = None, *, told: bool = False) -> Change:
    """The discriminator sees this instead of whole images; `told` where, and how densely."""
    looks = Looks(view=view, places=Places(scale=0.25) if told else None)
    own = name in ("sizes", "uniform")
    return change(BASE, name, title, {"looks": looks}, source=RANDOM if own else None, group="form", reading=reading)


WINDOWS = against("windows of a random scale", "baseline+uniform")

STUDY = Study(
    name="random_resolutions",
    title="Random resolutions",
    question="Does a discriminator that sees random resolutions make G better at high resolution, and at what price "
    "for the whole image?",
    source=RANDOM,
    base=BASE,
    base_title=BASE_TITLE,
    changes=(
        seen(
            "sizes",
            "whole images of a random size",
            SIZES,
            "One of three sizes an iteration, each as likely; R1 has one weight for all of them. Twice the arithmetic.",
        ),
        seen("uniform", "windows of a random scale", Patches(scale=UNIFORM), "Sides uniform in a quarter to all."),
        seen("uniform_told", "windows of a random scale, D told where", Patches(scale=UNIFORM), told=True),
        seen("beta", "windows, whole images first", Patches(scale=BETA), "As EpiGRAF draws them."),
        seen("beta_told", "windows, whole images first, D told where", Patches(scale=BETA), told=True),
        seen(
            "anchored",
            "half of the batch whole, half windows of a random scale",
            Patches(scale=UNIFORM, whole=0.5),
            told=True,
        ),
        seen("half", "windows of a random scale, half to all", Patches(scale=UniformScale(low=0.5))),
        seen(
            "draft",
            "the author's draft: real sides by area, G's windows beyond the image",
            Patches(scale=UniformScale(low=0.5), draft=Draft(area=True, beyond=True)),
            "Its sides are uniform in half to all, as those of the form without its defects above.",
        ),
        seen(
            "draft_area",
            "the draft, real sides as G's",
            Patches(scale=UniformScale(low=0.5), draft=Draft(beyond=True)),
        ),
        seen(
            "draft_beyond",
            "the draft, G's windows within the image",
            Patches(scale=UniformScale(low=0.5), draft=Draft(area=True)),
        ),
        LONGER,
    ),
    designs=("add_one_in",),
    report="patches",
    answer=ClaimsAnswer(pictured=("baseline", "baseline+sizes", "baseline+beta")),
    profiles=(
        cpu_dense(
            Put(path="fine", value=Scenes(), why="windows of any scale, without the blur of cut pixels"),
            Put(
                path="discriminator",
                value=PooledDiscriminator(),
                why="cost: four cheap layers; at 16×16 pixels nothing is averaged, and it is the other studies' D",
            ),
            Translate(
                path="looks.view.sizes",
                pairs=((list(SIZES.sizes), list(SIZES_HERE.sizes)),),
                why="once, one and a half and twice the whole image, as there",
            ),
        ),
        LSUN128_DENSE,
    ),
    claims=(
        claimed(
            "high_resolution",
            source=RANDOM,
            expects="lower",
            margin=MUCH,
            pairs=(
                WINDOWS.replace(reading="windows"),
                against("whole images of a random size", "baseline+sizes").replace(reading="sizes"),
                against("the same, whole images for twice as long", "baseline+sizes", before="baseline+longer").replace(
                    reading="sizes"
                ),
            ),
            remark="The slide gives no number. Asked is a distance of windows of a quarter of the side, at four times "
            "the resolution of whole images, below 1/1.25 of that without; declared before the first run.",
        ),
    ),
)
