"""The slide "Model samples for LSUN bedroom 128x128": FID 7.2 after 500,000 iterations."""

from ablations.answers import VariantsAnswer
from ablations.claims import Claim, Measured, Source
from ablations.schema import Multiply, Put, Study, edited
from core.config import Rooms, RoomsFrechet, StridedDiscriminator
from core.metrics.identity import extractor_sha256
from studies.changes_overview import EVERYTHING
from studies.profiles import CPU, LSUN128, cpu_evaluation

SOURCE = Source(
    slide="Model samples for LSUN bedroom 128x128",
    quote="Model samples for LSUN bedroom 128x128 after 500k iterations. FID is 7.2",
)

STUDY = Study(
    name="lsun_bedroom_128",
    title="The full recipe at the larger size",
    question="What does the model with all documented changes reach at 128×128?",
    source=SOURCE,
    base=edited(EVERYTHING, {"data": Rooms(resolution=128), "iterations": 500_000}),
    base_title="all ten changes",
    designs=("add_one_in",),
    answer=VariantsAnswer(variants=("baseline",)),
    profiles=(
        CPU.adjusted(
            Put(path="data", value=Rooms(resolution=32), why="embedded scenes instead of LSUN: nothing to download"),
            Multiply(
                path="penalty.weight",
                factor=0.0625,
                only="r1",
                why="in proportion to the number of pixels, as |grad D|² is in inverse proportion: (32/128)²",
            ),
            Put(path="iterations", value=800, why="a minute or two per run, not a week"),
            Put(path="discriminator", value=StridedDiscriminator(blocks=2), why="cheap layers instead of a ResNet"),
            Put(
                path="evaluation",
                value=cpu_evaluation(RoomsFrechet(resolution=32, extractor=extractor_sha256(32))),
                why="a proxy over a network that ships with the code and sees 32×32",
            ),
            title="the deck's numbers scaled down to two CPU cores: 32×32 embedded rooms, 800 iterations",
        ),
        LSUN128,
    ),
    claims=(
        Claim(
            name="fid",
            source=SOURCE,
            expects="value",
            before=None,
            after=Measured(variant="baseline", value=7.2),
            margin=1.1,
            metric="FID",
            dataset="LSUN bedroom",
            iterations=500_000,
            comparable_profile="lsun128",
        ),
    ),
)
