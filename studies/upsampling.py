"""The slide "INR natural upsampling vs bilinear upsampling": train at one resolution, render at twice as much."""

from ablations.schema import Change, Claim, Edit, Measured, Multiply, Put, Source, Study, edited
from core.config import CleanFid, Evaluation, Rooms, RoomsFrechet, Upsampling
from core.metrics.identity import extractor_sha256
from studies.changes_overview import EVERYTHING, QUALITY
from studies.profiles import CPU, CPU_QUALITY, LSUN128

SLIDE = "INR natural upsampling vs bilinear upsampling"
BETTER = Source(slide=SLIDE, quote="22 vs 41.4 after 70k iterations on LSUN bedroom")
WORSE = Source(slide=SLIDE, quote="22 vs 10.7 after 70k iterations on LSUN bedroom")
SOLD = Source(
    slide="Deciding upon the contributions",
    quote="We show that INR interpolates much better than bilinear/nearest/cubic interpolations",
)
CONVENTION = "Both are aligned to the areas of pixels here, so that no shift is part of the comparison."
BETTER_ALONE = f"{CONVENTION} Judged is “better”; whether it is “much better” the ratio says."


def upsampled(name: str, value: float | None = None) -> Measured:
    """One way of making an image twice as large, of the variant that samples pixel corners as the deck did."""
    return Measured(variant="baseline", value=value, series=f"upsampled/{name}")


def claim(name: str, source: Source, before: Measured, after: Measured, expects: str, remark: str) -> Claim:
    """All of the slide's claims are of one model."""
    return Claim.model_validate(
        {
            "name": name,
            "source": source,
            "expects": expects,
            "before": before,
            "after": after,
            "metric": "FID",
            "dataset": "LSUN bedroom",
            "iterations": 70_000,
            "comparable_profile": "lsun128",
            "remark": remark,
        }
    )


STUDY = Study(
    name="upsampling",
    title="Natural upsampling",
    question="Is rendering an INR on a denser grid better than enlarging its image, against true images of that size?",
    source=BETTER,
    base=edited(
        EVERYTHING,
        {
            "data": Rooms(resolution=128),
            "iterations": 70_000,
            "evaluation": Evaluation(quality=QUALITY, upsampling=Upsampling(metric=CleanFid())),
        },
    ),
    base_title="all ten changes, trained at pixel corners",
    changes=(
        Change(
            name="pixel_centres",
            title="trained at pixel centres",
            source=None,
            edits=(Edit(path="inr.coordinates.sampling", before="corners", after="centres"),),
            reading="The deck's grid is arange(0, n) / n, the corners of pixels: twice as dense it lies half a fine "
            "pixel off the images it is compared with. Trained at centres, the denser grid of centres is aligned.",
        ),
    ),
    designs=("add_one_in",),
    profiles=(
        CPU.adjusted(
            Multiply(
                path="penalty.weight", factor=0.0625, only="r1", why="that of the other studies' cpu profile at 16×16"
            ),
            Multiply(path="iterations", factor=0.02, why="a minute per run, not a day"),
            Put(
                path="evaluation",
                value=Evaluation(
                    metric=RoomsFrechet(extractor=extractor_sha256()),
                    every=350,
                    quality=CPU_QUALITY,
                    resamples=2,
                    upsampling=Upsampling(metric=RoomsFrechet(resolution=32, extractor=extractor_sha256(32))),
                ),
                why="a proxy; one network that sees 32×32 for both sizes, as Inception sees 299×299 of all",
            ),
            without=("inr.coordinates.sampling",),
            title="the deck's numbers scaled down to two CPU cores: rooms of 16×16 rendered at 32×32, 1,400 iterations",
        ),
        LSUN128,
    ),
    claims=(
        claim(
            "natural_against_bilinear",
            BETTER,
            upsampled("bilinear_centres", 41.4),
            upsampled("natural_corners", 22),
            "lower",
            "Read as the deck's code did it: natural upsampling on its own grid of corners, bilinear by "
            "areas of pixels.",
        ),
        claim(
            "aligned_against_bilinear",
            BETTER,
            upsampled("bilinear_centres", 41.4),
            upsampled("natural_centres", 22),
            "lower",
            CONVENTION,
        ),
        claim(
            "natural_against_own",
            WORSE,
            upsampled("own", 10.7),
            upsampled("natural_corners", 22),
            "higher",
            "The model's own score is at the resolution it was trained at, through the same feature network.",
        ),
        claim("against_nearest", SOLD, upsampled("nearest"), upsampled("natural_centres"), "lower", BETTER_ALONE),
        claim(
            "against_bicubic", SOLD, upsampled("bicubic_centres"), upsampled("natural_centres"), "lower", BETTER_ALONE
        ),
    ),
)
