"""The slide "Next steps": a local patch discriminator "would make training 2 times slower. Can we alleviate this?" """

from __future__ import annotations

from ablations.answers import Dense, FrontierAnswer
from ablations.claims import Source
from ablations.schema import Change, Study
from core.config import Critic, Looks
from studies.dense import BASE, BASE_TITLE, LONGER, LSUN128_DENSE, MUCH, PATCH, against, claimed, cpu_dense
from studies.dense_patches import PATCHES, WEIGHT, form
from studies.dense_patches import STUDY as DENSE_PATCHES

SLIDE = "Next steps"
LOCAL = Source(slide=SLIDE, quote="Local patch discriminator: additional D that operates on local upsampled patches")
SLOWER = Source(slide=SLIDE, quote="This would make training 2 times slower. Can we alleviate this?")


def cheaper(
    name: str, title: str, short: str, critic: Critic, looks: Looks | None = None, reading: str | None = None
) -> Change:
    """A second discriminator that costs less."""
    return form(name, title, short, {"critics": (critic,), **({} if looks is None else {"looks": looks})}, reading)


QUARTER = against("a quarter of the batch", "baseline+quarter")
KEPT = against("a quarter of the batch over all of it", "baseline+quarter", before="baseline+separate")
LATE = "the weight of the second discriminator's loss was chosen on two other seeds, after a look at one of these"

STUDY = Study(
    name="local_discriminator",
    title="A local discriminator",
    question="A second discriminator of dense patches makes training twice as slow: which cheaper form keeps what it "
    "gains?",
    source=LOCAL,
    base=BASE,
    base_title=BASE_TITLE,
    changes=(
        *(DENSE_PATCHES.change(name) for name in ("separate", "shared", "shared_placed", "channels")),
        cheaper(
            "quarter",
            "a second D, patches of a quarter of the batch",
            "second D, quarter of the batch",
            PATCHES.replace(share=0.25),
            reading="The last quarter of the latents, each also seen whole.",
        ),
        cheaper(
            "halves",
            "half of the batch whole, the other half dense patches for a second D",
            "second D, half the batch each",
            PATCHES.replace(share=0.5),
            Looks(share=0.5),
        ),
        cheaper("fourth", "a second D at every fourth iteration", "second D, every fourth", PATCHES.replace(period=4)),
        cheaper(
            "fourth_weighted",
            "a second D at every fourth iteration, four times the weight",
            "second D, every fourth, four times",
            PATCHES.replace(period=4, weight=4 * WEIGHT),
            reading="As lazy penalties are weighted.",
        ),
        LONGER,
    ),
    designs=("add_one_in",),
    answer=FrontierAnswer(
        series=PATCH,
        title="distance of patches",
        claim="alleviated",
        pictured=(Dense(variant="baseline"), Dense(variant="baseline+separate"), Dense(variant="baseline+quarter")),
    ),
    report="patches",
    profiles=(cpu_dense(), LSUN128_DENSE),
    claims=(
        claimed(
            "alleviated",
            source=SLOWER,
            expects="lower",
            margin=1 / 0.85,
            pairs=(QUARTER,),
            late=LATE,
            remark="Asked is a distance of patches of at most 0.85 of that without patches, from a second "
            "discriminator that sees a quarter of the batch; what it computes is in the table of costs.",
        ),
        claimed(
            "kept",
            expectation=f"A quarter of the batch keeps what the whole batch gains: at most {MUCH:g} times its distance",
            expects="no_higher",
            margin=MUCH,
            pairs=(KEPT,),
            late=LATE,
        ),
    ),
)
