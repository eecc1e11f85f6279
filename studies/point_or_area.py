"""The slide "INR natural upsampling vs bilinear upsampling": is a denser grid worse because f learned means over areas?

A real image's pixel is a mean over its area, f(x, y) is a value at a point. An f that is trained on pixels as points
learns the means themselves, and a denser grid shows them: blurred. Seen at several densities it is asked for several
means at one place, which no function of x and y alone has. Two ways out: real images of points, or an f that knows the
pixel's footprint and averages over it. Four combinations, on whole images and on windows of a random scale.

Expected before the first run, of the distance of windows of a quarter of the side: footprint and points each lower it
(an error-free f that learned means over 1/16 of the side reads 0.063, true points 0.007, true means 0.004:
docs/scales.md), together they do not add up, for an f of footprints has no points to learn from. That is an interaction
above 1.
"""

from __future__ import annotations

from typing import Any

from ablations.answers import ClaimsAnswer, Dense
from ablations.claims import Claim, Comparison, Source
from ablations.schema import Put, Study, Translate, change
from core.config import (
    Averaged,
    Looks,
    Patches,
    Places,
    ResNetDiscriminator,
    Scenes,
    StridedDiscriminator,
    UniformScale,
)
from studies.dense import BASE, LSUN128_DENSE, MUCH, against, claimed, cpu_dense

WORSE = Source(
    slide="INR natural upsampling vs bilinear upsampling", quote="22 vs 10.7 after 70k iterations on LSUN bedroom"
)
WHOLE, WINDOWS = "whole images", "windows of a random scale"
POINTS, FOOTPRINT, SEEN = "points", "averaged", "windows"
"""The three questions, each with two answers, by the name of the change."""


def named(*changes: str) -> str:
    """The variant with these changes, in the study's order."""
    return "+".join(("baseline", *(name for name in (POINTS, FOOTPRINT, SEEN) if name in changes)))


def both(title: str, before: tuple[str, ...], after: tuple[str, ...]) -> tuple[Comparison, Comparison]:
    """Two combinations, trained on whole images and on windows."""
    first, second = (
        against(title, named(*after, *seen), before=named(*before, *seen)).replace(reading=words)
        for words, seen in ((WHOLE, ()), (WINDOWS, (SEEN,)))
    )
    return first, second


def expected(name: str, words: str, expects: str, pairs: tuple[Comparison, Comparison], **fields: Any) -> Claim:
    """What we expect of one pair of combinations, by windows of a quarter of the side."""
    return claimed(name, expects, pairs, expectation=words, remark="Declared before the first run.", **fields)


STUDY = Study(
    name="point_or_area",
    title="Point or area",
    question="Is a denser grid worse because f learned means over areas: do images of points, or an f that averages "
    "over each pixel's footprint, mend it?",
    source=WORSE,
    base=BASE,
    base_title="images of areas",
    changes=(
        change(
            BASE,
            POINTS,
            "images of points",
            {"data.shown": "points"},
            group="images",
            reading="D is shown the scene's value in the middle of every pixel; all distances stay to means over "
            "areas.",
        ).replace(short="images of points"),
        change(
            BASE,
            FOOTPRINT,
            "f averages over the pixel's footprint",
            {"inr.footprint": Averaged(points=2)},
            group="footprint",
            reading="The mean of 2×2 points of every pixel, whatever its size. The coordinate layer's means in closed "
            "form are left out: at a first-layer scale of 1 they are within 0.2% of its points.",
        ).replace(short="footprint"),
        change(
            BASE,
            SEEN,
            "half whole images, half windows of a random scale",
            {"looks": Looks(view=Patches(scale=UniformScale(low=0.25), whole=0.5), places=Places(scale=0.25))},
            group="seen",
            reading="Sides uniform in a quarter to all, from one D that is told where. Windows alone made G worse in a "
            "first trial, so that half of the groups see whole images.",
        ).replace(short="windows"),
    ),
    designs=("grid",),
    report="point_or_area",
    answer=ClaimsAnswer(
        claims=("footprint", "points", "either"),
        pictured=(Dense(variant=named()), Dense(variant=named(FOOTPRINT)), Dense(variant=named(POINTS))),
    ),
    profiles=(
        cpu_dense(
            Put(path="data.resolution", value=16, why="small images; the data are rooms there, too: they have points"),
            Put(path="fine", value=Scenes(), why="windows of any scale, as means or as points"),
            Translate(
                path="discriminator",
                pairs=((ResNetDiscriminator(), StridedDiscriminator()),),
                why="cost: four cheap layers instead of a ResNet",
            ),
            without=("data",),
        ),
        LSUN128_DENSE.replace(
            title="the deck's networks on rooms of 128×128, detail of 512×512, 70,000 iterations; photographs have no "
            "points"
        ),
    ),
    claims=(
        expected(
            "footprint",
            "An f that averages over each pixel's footprint holds more between its pixels",
            "lower",
            both("footprint", (), (FOOTPRINT,)),
        ),
        expected(
            "points",
            "An f that is trained on images of points holds more between its pixels",
            "lower",
            both("points", (), (POINTS,)),
        ),
        expected(
            "either",
            f"Either way out does as well: within a factor of {MUCH:g}",
            "same",
            both("points over footprint", (FOOTPRINT,), (POINTS,)),
            margin=MUCH,
        ),
    ),
)
