"""The slide "Bluntly increasing the model size": three networks made larger one at a time, and what rescues depth."""

from ablations.answers import ClaimsAnswer
from ablations.claims import Claim, Measured, Source
from ablations.schema import Change, Edit, Multiply, Put, Study, Translate, edited
from core.config import Heads, LearningRates, ResNetDiscriminator, Rooms, RoomsFrechet, StridedDiscriminator
from core.metrics.identity import extractor_sha256
from studies import changes_overview
from studies.profiles import CPU, LSUN128, R1_ELSEWHERE, UNIT_EMISSION, cpu_evaluation

SLIDE = "Bluntly increasing the model size"
INR = Source(
    slide=SLIDE,
    quote=r"For INR, increasing the size from $256 \times 5 \rightarrow 256 \times 10$ resulted in FID degradation: "
    r"$12 \rightarrow 15$ FID after 40k iters",
)
G = Source(slide=SLIDE, quote=r"resulted in FID degradation: $12 \rightarrow 35$ after 50k iters")
HEADS = Source(slide=SLIDE, quote="7 independent heads of 1024×3")
D = Source(slide=SLIDE, quote="For D, increasing the size from 10M parameters to 30M parameters didn't change FID")
READ_AT_128 = (
    "The slide gives neither data nor size. Read as 128×128: 12 after 40,000 and 50,000 iterations continues the curve "
    "of that model backwards (10.7 after 70,000, 7.2 after 500,000)."
)
RATES = LearningRates(generator=0.0001, discriminator=0.0002)


def deep(name: str, title: str, edit: Edit, reading: str) -> Change:
    """A question of ours about the deep INR alone."""
    short = title.removeprefix("deep INR: ")
    return Change(
        name=name, title=title, short=short, source=None, edits=(edit,), requires=("inr_depth_10",), reading=reading
    )


STUDY = Study(
    name="model_size",
    title="Bluntly increasing the model size",
    question="Does a larger INR, G or D change the FID, and what rescues a deep INR?",
    source=Source(slide=SLIDE, quote="Bluntly increasing the model size does not work"),
    base=edited(changes_overview.EVERYTHING, {"data": Rooms(resolution=128), "iterations": 50_000}),
    base_title="all ten changes",
    changes=(
        Change(
            name="inr_depth_10",
            title="INR twice as deep",
            source=INR,
            edits=(Edit(path="inr.depth", before=5, after=10),),
        ),
        Change(
            name="g_heads",
            title="G wider, with heads",
            source=HEADS,
            edits=(
                Edit(path="hypernetwork.width", before=1024, after=2048),
                Edit(path="hypernetwork.depth", before=5, after=3),
                Edit(path="hypernetwork.heads", before=None, after=Heads(width=1024, depth=3)),
            ),
            reading="One head for every layer of the INR: six here, where the coordinate layer counts as one of the "
            "five; the slide's seven suggest five hidden layers above it.",
        ),
        Change(
            name="d_30m",
            title="D with three times the parameters",
            source=D,
            edits=(Edit(path="discriminator", before=ResNetDiscriminator(), after=ResNetDiscriminator(width=110)),),
            reading="Wider, not deeper: width 110 instead of 64 is 29.9 instead of 10.1 million parameters.",
        ),
        deep(
            "deep_residual",
            "deep INR: residual layers",
            Edit(path="inr.residual", before=False, after=True),
            "Every hidden layer is (x + f(x)) / √2.",
        ),
        deep(
            "deep_slower",
            "deep INR: half the learning rates",
            Edit(
                path="optimizers.learning_rates",
                before=RATES,
                after=LearningRates(generator=0.00005, discriminator=0.0001),
            ),
            "G's and D's alike.",
        ),
        deep(
            "deep_unit_init",
            "deep INR: unit init",
            Edit(path="inr.init", before="deck", after="unit"),
            "Every layer starts with pre-activations of mean square 1, whatever the depth.",
        ),
    ),
    designs=("add_one_in",),
    answer=ClaimsAnswer(pictured=("baseline", "baseline+inr_depth_10", "baseline+g_heads")),
    profiles=(
        CPU.adjusted(
            Multiply(path="penalty.weight", factor=0.0625, only="r1", why=R1_ELSEWHERE),
            Multiply(path="iterations", factor=0.016, why="seconds per run, not days"),
            Put(
                path="evaluation",
                value=cpu_evaluation(RoomsFrechet(extractor=extractor_sha256())),
                why="a proxy over a network that ships with the code; 640 stands for the slide's 40k",
            ),
            Multiply(path="hypernetwork.heads.width", factor=0.25, why="networks in proportion to a 16×16 image"),
            Translate(
                path="hypernetwork.depth",
                pairs=((5, 3), (3, 2)),
                why="networks in proportion to a 16×16 image; the trunk before heads is the shallower one "
                "(G goes from 3 to 2 + 3 layers, the slide's from 5 to 3 + 3)",
            ),
            Translate(
                path="discriminator",
                pairs=(
                    (ResNetDiscriminator(), StridedDiscriminator()),
                    (ResNetDiscriminator(width=110), StridedDiscriminator(width=56, hidden=224)),
                ),
                why="cost: four cheap layers instead of a ResNet; three times the parameters stay three times",
            ),
        ),
        LSUN128.adjusted(
            UNIT_EMISSION, title="the deck's scale: 128×128, 50,000 iterations, one network larger at a time"
        ),
    ),
    claims=(
        Claim(
            name="inr",
            source=INR,
            expects="higher",
            before=Measured(variant="baseline", value=12),
            after=Measured(variant="baseline+inr_depth_10", value=15),
            metric="FID",
            dataset="not named",
            iterations=40_000,
            comparable_profile="lsun128",
            remark=READ_AT_128,
        ),
        Claim(
            name="generator",
            source=G,
            expects="higher",
            before=Measured(variant="baseline", value=12),
            after=Measured(variant="baseline+g_heads", value=35),
            metric="FID",
            dataset="not named",
            iterations=50_000,
            comparable_profile="lsun128",
            remark=READ_AT_128,
        ),
        Claim(
            name="discriminator",
            source=D,
            expects="same",
            before=Measured(variant="baseline"),
            after=Measured(variant="baseline+d_30m"),
            margin=1.25,
            metric="FID",
            dataset="not named",
            iterations=None,
            comparable_profile="lsun128",
            remark="The slide gives no numbers; within a factor of 1.25 counts as no change, the step from 12 to 15 "
            f"that it calls a degradation. {READ_AT_128}",
        ),
    ),
)
