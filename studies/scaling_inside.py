"""The slide "Deciding upon the contributions": "We investigated scaling inside the INR".

The public code's later INR has blocks of layers on grids of growing density, and a denser picture is made by making
some of the grids denser, from a block on (`upsample_block_idx`, there the second). Does it matter from which, and does
an INR of several scales end elsewhere than one whose layers all see every pixel?
"""

from __future__ import annotations

from typing import Any

from ablations.answers import ClaimsAnswer, Dense
from ablations.claims import Source
from ablations.schema import Change, Put, Study, Translate, change
from core.config import MultiScale, ResNetDiscriminator, StridedDiscriminator
from studies.dense import BASE, BASE_TITLE, LSUN128_DENSE, TWICE, against, claimed, cpu_dense
from studies.dense_patches import PATCHES

INSIDE = Source(slide="Deciding upon the contributions", quote="We investigated scaling inside the INR")
SAME = 1.15
"""What "hardly matters" means: the factor within which a change is negligible."""


def scales(
    name: str, title: str, short: str, after: dict[str, Any], reading: str | None = None, *, judged: bool = True
) -> Change:
    """One INR, or one way to train it."""
    source = INSIDE if name == "two" else None
    made = change(BASE, name, title, after, source=source, group="form", reading=reading)
    return made.replace(short=short, judged=judged)


ALIKE = "Trained on whole images it is the same network as the other form: only denser pictures differ."


def inside(blocks: int, denser_from: int) -> dict[str, Any]:
    """Layers in blocks, each on a grid twice as dense as the one before."""
    return {"inr.scales": MultiScale(blocks=blocks, denser_from=denser_from)}


WHOLE = against("two scales over one, own size", "baseline+two", series=None)
BLOCK = against(
    "denser from the second block over from the first, twice the size",
    "baseline+two",
    before="baseline+two_first",
    series=TWICE,
)

STUDY = Study(
    name="scaling_inside",
    title="Scaling inside the INR",
    question="Does an INR of several scales end elsewhere than one of one scale, and does it matter at which of its "
    "blocks a denser grid enters?",
    source=INSIDE,
    base=BASE,
    base_title=BASE_TITLE,
    changes=(
        scales(
            "two",
            "two scales, denser from the second block",
            "two scales",
            inside(2, 1),
            "As the public code of the paper: the first block keeps half of the trained density at any size.",
        ),
        scales(
            "two_first",
            "two scales, denser from the first block",
            "two scales, all denser",
            inside(2, 0),
            ALIKE,
            judged=False,
        ),
        scales("three", "three scales, denser from the third block", "three scales", inside(3, 2)),
        scales(
            "three_second",
            "three scales, denser from the second block",
            "three scales, two denser",
            inside(3, 1),
            ALIKE,
            judged=False,
        ),
        scales(
            "three_first",
            "three scales, denser from the first block",
            "three scales, all denser",
            inside(3, 0),
            ALIKE,
            judged=False,
        ),
        scales(
            "patches",
            "one scale, a second D of dense patches",
            "patches",
            {"critics": (PATCHES,)},
            "Windows of a quarter of the side: the denser grid is trained, not only asked for.",
        ),
        scales(
            "patches_two",
            "two scales, denser from the second block, a second D of dense patches",
            "patches, two scales",
            {"critics": (PATCHES,), **inside(2, 1)},
        ),
        scales(
            "patches_two_first",
            "two scales, denser from the first block, a second D of dense patches",
            "patches, two scales, all denser",
            {"critics": (PATCHES,), **inside(2, 0)},
        ),
    ),
    designs=("add_one_in",),
    report="patches",
    answer=ClaimsAnswer(
        pictured=(Dense(variant="baseline"), Dense(variant="baseline+two"), Dense(variant="baseline+two_first"))
    ),
    profiles=(
        cpu_dense(
            Put(
                path="inr.depth",
                value=4,
                why="a coordinate layer and a hidden layer for each of three scales; one more than in other studies",
            ),
            Translate(
                path="discriminator",
                pairs=((ResNetDiscriminator(), StridedDiscriminator()),),
                why="cost: four cheap layers instead of a ResNet",
            ),
        ),
        LSUN128_DENSE,
    ),
    claims=(
        claimed(
            "whole",
            expectation="Two scales end nearer to real images than one",
            expects="lower",
            pairs=(WHOLE,),
            metric="FID",
            remark="The slide gives neither number nor direction. The paper of 2021 has FIDs of 11.51 and 5.69 at "
            "128×128 for one scale and for two, of other networks than the deck's. Rendering computes less with two, "
            "the hypernetwork more, for the block that joins has another layer: capacities are not matched. Declared "
            "before the first run.",
        ),
        claimed(
            "block",
            expectation="At which block the denser grid enters hardly matters: less than a factor of 1.15",
            expects="same",
            margin=SAME,
            pairs=(
                BLOCK,
                against(
                    "the same after training on dense patches",
                    "baseline+patches_two",
                    before="baseline+patches_two_first",
                    series=TWICE,
                ),
            ),
            remark="The author of the public code, which makes the grid denser after the first block, recalls that the "
            "block hardly mattered: the expectation is his as well. Windows show half of the side, twice the density. "
            "Declared before the first run.",
        ),
    ),
)
