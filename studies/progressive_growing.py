"""The slide "Advantages compared to traditional GANs": "Progressive growing is easier to incorporate".

Easier, for an INR: nothing is added to G or D when the picture grows, f is asked at more points. What can be measured
is whether growing costs anything, at equal iterations, and what it saves, in arithmetic of training.
"""

from __future__ import annotations

from ablations.answers import ClaimsAnswer
from ablations.claims import Source
from ablations.schema import Change, Multiply, Put, Study, Translate, change, edited
from core.config import Evaluation, Growing, Looks, PooledDiscriminator, Rooms, RoomsFrechet
from core.metrics.identity import extractor_sha256
from studies.changes_overview import EVERYTHING, QUALITY
from studies.dense import CPU_ITERATIONS, CPU_MEMORY, UNTUNED, against, claimed
from studies.profiles import CPU, LSUN128, UNIT_EMISSION, cpu_evaluation

EASIER = Source(slide="Advantages compared to traditional GANs", quote="Progressive growing is easier to incorporate")
POOLED = PooledDiscriminator(width=64, blocks=3)
BASE = edited(
    EVERYTHING,
    {
        "data": Rooms(resolution=128),
        "discriminator": POOLED,
        "iterations": 70_000,
        "evaluation": Evaluation(quality=QUALITY),
    },
)
SAME = 1.15
"""What "no worse" means: the factor within which a change is negligible."""


SIZES = ((32, 64, 128), (64, 128))
SIZES_HERE = ((8, 16, 32), (16, 32))


def grown(name: str, title: str, sizes: tuple[int, ...], until: float, reading: str) -> Change:
    """The picture grows through these sizes over that share of the run."""
    looks = Looks(view=Growing(sizes=sizes, until=until))
    return change(
        BASE, name, title, {"looks": looks}, source=EASIER if name == "half" else None, group="form", reading=reading
    )


COSTS = against("grown over half of the run", "baseline+half", series=None)

STUDY = Study(
    name="progressive_growing",
    title="Progressive growing",
    question="Does a picture that grows while it is trained end as one that was always whole, and what does that save?",
    source=EASIER,
    base=BASE,
    base_title="all ten changes, always at full size",
    changes=(
        grown("half", "grown over half of the run", SIZES[0], 0.5, "A quarter and half of the size, a quarter each."),
        grown("late", "grown over three quarters of the run", SIZES[0], 0.75, "The same sizes, each for longer."),
        grown("once", "half the size for half of the run", SIZES[1], 0.5, "One step."),
    ),
    designs=("add_one_in",),
    report="patches",
    answer=ClaimsAnswer(pictured=("baseline", "baseline+half", "baseline+once")),
    profiles=(
        CPU.adjusted(
            Put(path="data", value=Rooms(resolution=32), why="embedded scenes instead of LSUN: nothing to download"),
            Multiply(path="penalty.weight", factor=0.25, only="r1", why="in proportion to the pixels, (32/64)²"),
            Multiply(path="iterations", factor=CPU_ITERATIONS / 70_000, why="a minute per run, not a day"),
            Put(
                path="ema.decay",
                value=1 - 1 / CPU_MEMORY,
                why=f"a memory of {CPU_MEMORY} steps of G in {CPU_ITERATIONS:,} iterations, as 1,000 in 20,000",
            ),
            Put(path="discriminator", value=PooledDiscriminator(), why="cost: four cheap layers"),
            Translate(
                path="looks.view.sizes",
                pairs=tuple((list(there), list(here)) for there, here in zip(SIZES, SIZES_HERE, strict=True)),
                why="a quarter, half and all of the size, as there",
            ),
            Put(
                path="evaluation",
                value=cpu_evaluation(RoomsFrechet(resolution=32, extractor=extractor_sha256(32)), every=160),
                why="a proxy over a network that ships with the code: Inception's weights need a download",
            ),
            title=f"the deck's numbers scaled down to two CPU cores: rooms of 32×32, {CPU_ITERATIONS:,} iterations",
            rule=UNTUNED,
            piloted=(),
        ),
        LSUN128.adjusted(UNIT_EMISSION, title="the deck's scale: 128×128, 70,000 iterations"),
    ),
    claims=(
        claimed(
            "no_worse",
            expectation=f"A picture that grows ends at most {SAME:g} times as far as one that was always whole",
            expects="no_higher",
            margin=SAME,
            pairs=(COSTS,),
            metric="FID",
            remark="The slide says “easier”: nothing is added to an INR-GAN whose picture grows, which no number "
            "tests. What can be asked is whether it costs anything, at equal iterations and less arithmetic. R1 has "
            "one weight for all sizes. Declared before the first run.",
        ),
    ),
)
