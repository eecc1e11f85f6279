"""The slide "Advantages compared to traditional GANs": dense patches beside whole images; why did the author's draft of
them not work?

The public code of November 2020 has that draft, switched off (`concat_patches`), and its author says that it did not
work. Here are its form, its defects one by one, and other forms of the same idea, at one recipe.
"""

from __future__ import annotations

from typing import Any

from ablations.answers import ClaimsAnswer, Dense
from ablations.claims import Source
from ablations.schema import Change, Study, Translate, change
from core.config import (
    Beside,
    Consistency,
    Critic,
    Draft,
    Looks,
    Patches,
    Places,
    ResNetDiscriminator,
    StridedDiscriminator,
)
from studies.dense import BASE, BASE_TITLE, LONGER, LSUN128_DENSE, MUCH, TWICE, against, claimed, cpu_dense

SLIDE = "Advantages compared to traditional GANs"
DENSE = Source(
    slide=SLIDE,
    quote="Additionally, compute random dense patches and make the discriminator to distinguish between real/fake "
    "dense patches",
)
DRAFT = Draft(ends=True, resampling="bilinear", workers=4)
"""As far as it is of this loss: points from edge to edge, real crops by a bilinear filter, four data workers that draw
the same crops."""

WEIGHT = 0.5
"""Of the second discriminator's part in G's loss, chosen of 1, 1/2 and 1/4 on two seeds that no study uses
(docs/patch_weight.md) after a look at one seed of this study with weight 1."""

PATCHES = Critic(name="patch", weight=WEIGHT)
"""A second discriminator of windows of a quarter of the picture's side, each as many pixels as the whole picture."""


def form(name: str, title: str, short: str, after: dict[str, Any], reading: str | None = None) -> Change:
    """One form of the slide's loss on top of the base; one that the deck does not name is a question of ours."""
    source = DENSE if name == "separate" else None
    return change(BASE, name, title, after, source=source, group="form", reading=reading).replace(short=short)


def drafted(name: str, title: str, short: str, reading: str | None = None, **mended: Any) -> Change:
    """The author's draft, but for what is mended of it."""
    patches = Patches(draft=DRAFT.replace(**mended))
    return form(name, title, short, {"looks": Looks(view=Beside(patches=patches))}, reading)


PAID = 1.1
"""What whole images may pay for detail."""

EQUAL_ITERATIONS = against("patches of a quarter, equal iterations", "baseline+separate")
UNPAID = against("whole images, equal iterations", "baseline+separate", series=None)

STUDY = Study(
    name="dense_patches",
    title="Dense patches",
    question="Does a loss on dense patches add detail without spoiling the whole image, and why did the author's draft "
    "of it not work?",
    source=DENSE,
    base=BASE,
    base_title=BASE_TITLE,
    changes=(
        form(
            "separate",
            "a second D of dense patches",
            "second D",
            {"critics": (PATCHES,)},
            "Windows of a quarter of the side, uniform over the picture, from another D with as many parameters, the "
            f"same latents, one update of G for both, to which the second D's loss adds with the weight {WEIGHT:g}: "
            "chosen of 1, 1/2 and 1/4 on seeds that no study uses (docs/patch_weight.md).",
        ),
        form(
            "alike",
            "a second D of dense patches, both losses alike",
            "second D, losses alike",
            {"critics": (PATCHES.replace(weight=1.0),)},
        ),
        form(
            "matched",
            "a second D of dense patches, each D with half the parameters",
            "second D, each half as large",
            {"critics": (PATCHES,), "discriminator": ResNetDiscriminator(width=45)},
            "Two Ds have twice the parameters: is it them?",
        ),
        form(
            "consistent",
            "a second D of dense patches, patches that agree with the image",
            "second D, patches that agree",
            {"critics": (PATCHES,), "consistency": Consistency()},
        ),
        form(
            "shared",
            "one D: half of the batch whole, half dense patches",
            "one D, half patches",
            {"looks": Looks(view=Patches(whole=0.5))},
        ),
        form(
            "shared_placed",
            "one D: half whole, half patches, told where",
            "one D, half patches, told where",
            {"looks": Looks(view=Patches(whole=0.5), places=Places(scale=0.25))},
        ),
        form(
            "channels",
            "image and dense patch as channels of one D",
            "channels of one D",
            {"looks": Looks(view=Beside())},
        ),
        drafted(
            "draft",
            "the author's draft: channels of one D, its three defects",
            "the draft",
            reading="The draft's windows were half of the side; here all forms have a quarter.",
        ),
        drafted("draft_ends", "the draft, patches' points as those of images", "the draft, same points", ends=False),
        drafted(
            "draft_filter",
            "the draft, real patches by the filter of real images",
            "the draft, same filter",
            "Where windows are whole stored pixels, as in the profile lsun128, both filters are one.",
            resampling="box",
        ),
        drafted("draft_workers", "the draft, real patches not repeated", "the draft, no repeats", workers=None),
        LONGER,
    ),
    designs=("add_one_in",),
    answer=ClaimsAnswer(
        pictured=(Dense(variant="baseline"), Dense(variant="baseline+separate"), Dense(variant="baseline+channels"))
    ),
    report="patches",
    profiles=(
        cpu_dense(
            Translate(
                path="discriminator",
                pairs=(
                    (ResNetDiscriminator(), StridedDiscriminator()),
                    (ResNetDiscriminator(width=45), StridedDiscriminator(width=24, hidden=80)),
                ),
                why="cost: four cheap layers instead of a ResNet; half the parameters stay half",
            )
        ),
        LSUN128_DENSE,
    ),
    claims=(
        claimed(
            "detail",
            source=DENSE,
            expects="lower",
            margin=MUCH,
            pairs=(
                EQUAL_ITERATIONS,
                against("patches of a quarter, equal arithmetic", "baseline+separate", before="baseline+longer"),
            ),
            late="the weight of the second discriminator's loss was chosen by this distance on two other seeds, after "
            "a look at one of these",
            remark="The slide gives no number. “Detail” asks for a distance of patches below 1/1.25 of that without "
            "patches, at equal iterations and at about equal arithmetic.",
        ),
        claimed(
            "whole",
            expectation=f"Whole images do not pay for it: at most {PAID:g} times as far",
            expects="no_higher",
            margin=PAID,
            pairs=(
                UNPAID,
                against("patches of half of the side, equal iterations", "baseline+separate", series=TWICE),
            ),
            metric="FID",
            late="the weight of the second discriminator's loss was chosen on two other seeds, after a look at one of "
            "these",
        ),
    ),
)
