"""The slide "Samples on LSUN bedroom 64x64 (FID: 12.75)": one model, one number."""

from ablations.answers import VariantsAnswer
from ablations.claims import Claim, Measured, Source
from ablations.schema import Put, Study, edited
from studies.changes_overview import EVERYTHING
from studies.profiles import CPU, LSUN64

SLIDE = "Samples on LSUN bedroom 64x64 (FID: 12.75)"
SOURCE = Source(slide=SLIDE, quote=SLIDE)

STUDY = Study(
    name="lsun_bedroom_64",
    title="The full recipe at the smaller size",
    question="What does the model with all documented changes reach at 64×64?",
    source=SOURCE,
    # The slide gives no iterations: as many as the deck's other final model had.
    base=edited(EVERYTHING, {"iterations": 500_000}),
    base_title="all ten changes",
    designs=("add_one_in",),
    answer=VariantsAnswer(variants=("baseline",)),
    profiles=(
        CPU.adjusted(Put(path="iterations", value=800, why="seconds per run, not days")),
        LSUN64.adjusted(title="the deck's scale: 64×64, all ten changes, 500,000 iterations"),
    ),
    claims=(
        Claim(
            name="fid",
            source=SOURCE,
            expects="value",
            before=None,
            after=Measured(variant="baseline", value=12.75),
            margin=1.1,
            metric="FID",
            dataset="LSUN bedroom",
            iterations=None,
            comparable_profile="lsun64",
        ),
    ),
)
