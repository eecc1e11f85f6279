"""The slide "Clipping G output": does it leave the FID alone and spoil interpolations?"""

from ablations.answers import ClaimsAnswer
from ablations.claims import Claim, Comparison, Measured, Source
from ablations.schema import Change, Edit, Multiply, Put, Study, edited
from core.config import Evaluation, Interpolation, Rooms, RoomsFrechet
from core.metrics.identity import extractor_sha256
from studies.changes_overview import EVERYTHING, QUALITY
from studies.profiles import CPU, LSUN128, R1_ELSEWHERE, UNIT_EMISSION, cpu_evaluation

SLIDE = "Clipping G output"
CLIP = Source(slide=SLIDE, quote=r"$$w = \text{clip}(G(z), -2, 2)$$")
FID = Source(slide=SLIDE, quote=r"This does not change FID much ($8 \rightarrow 7.6$ after 300k iters on LSUN bedroom)")
AWFUL = Source(slide=SLIDE, quote="but makes interpolations awful")
MEASURES = Interpolation()


READ_AT_128 = (
    "The slide gives no size. Read as 128×128: 8 → 7.6 lies on the curve of that model (10.7 after 70,000 iterations, "
    "7.2 after 500,000), and below the 12.75 of the 64×64 model."
)


def awful(title: str, reading: str, series: str) -> Comparison:
    """The slide's one word, as a number."""
    return Comparison(
        title=title,
        reading=reading,
        before=Measured(variant="baseline", series=series),
        after=Measured(variant="baseline+clip_2", series=series),
    )


LONGER = awful("perceptual path length", "a longer path", "interpolation/ppl")
"""Features change more per step between two latents."""
UNEVEN = awful("largest step", "an uneven path", "interpolation/largest_step")
"""More of a path's change in pixels happens in its largest step."""

STUDY = Study(
    name="weight_clipping",
    title="Clipping G's output",
    question="Does clipping the emitted weights leave the FID as it is, and does it spoil interpolations?",
    source=CLIP,
    report="weight_clipping",
    base=edited(
        EVERYTHING,
        {
            "data": Rooms(resolution=128),
            "iterations": 300_000,
            "evaluation": Evaluation(quality=QUALITY, interpolation=MEASURES),
        },
    ),
    base_title="all ten changes, not clipped",
    changes=(
        Change(
            name="clip_2",
            title="emitted weights clipped at ±2",
            source=CLIP,
            group="clip",
            edits=(Edit(path="hypernetwork.weight_clip", before=None, after=2.0),),
        ),
        Change(
            name="clip_1",
            title="emitted weights clipped at ±1",
            source=None,
            group="clip",
            edits=(Edit(path="hypernetwork.weight_clip", before=None, after=1.0),),
            reading="Not the deck's: a stronger clip, which reaches a third of standard normal numbers, not "
            "a twentieth, at the start.",
        ),
    ),
    designs=("add_one_in",),
    answer=ClaimsAnswer(pictured=("baseline", "baseline+clip_2", "baseline+clip_1")),
    profiles=(
        CPU.adjusted(
            Multiply(path="penalty.weight", factor=0.0625, only="r1", why=R1_ELSEWHERE),
            Put(path="iterations", value=800, why="seconds per run, not days"),
            Put(
                path="evaluation",
                value=cpu_evaluation(RoomsFrechet(extractor=extractor_sha256()), interpolation=MEASURES),
                why="a proxy over a network that ships with the code: Inception's weights need a download",
            ),
        ),
        LSUN128.adjusted(UNIT_EMISSION, title="the deck's scale: 128×128, 300,000 iterations"),
    ),
    claims=(
        Claim(
            name="fid",
            source=FID,
            expects="same",
            before=Measured(variant="baseline", value=8),
            after=Measured(variant="baseline+clip_2", value=7.6),
            margin=1.25,
            metric="FID",
            dataset="LSUN bedroom",
            iterations=300_000,
            comparable_profile="lsun128",
            remark=f"Within a factor of 1.25 counts as not much. {READ_AT_128}",
        ),
        Claim(
            name="awful",
            source=AWFUL,
            expects="higher",
            before=LONGER.before,
            after=LONGER.after,
            title=LONGER.title,
            reading=LONGER.reading,
            also=(UNEVEN,),
            metric="a look at pictures",
            dataset="LSUN bedroom",
            iterations=300_000,
            comparable_profile="lsun128",
            remark="“Awful” is read in two ways: features change more per step between two latents, or more of "
            "a path's change happens in its largest step.",
        ),
    ),
)
