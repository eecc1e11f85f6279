"""Do the effects of the ten changes at a small scale hold at larger ones?

The deck's own scale is days of a GPU, so that most who ask about a change will ask at a smaller one. Here are the
leave-one-out effects of `changes_overview` at growing scales: four and sixteen times the iterations, twice the
resolution, real images (`--data`), and the deck's scale where there is a GPU. Each scale is a profile, and its runs are
those of `changes_overview` where that has the same.
"""

from ablations.answers import ScalesAnswer
from ablations.schema import Multiply, Profile, Put
from core.config import Rooms, RoomsFrechet, StridedDiscriminator
from core.metrics.identity import extractor_sha256
from studies import changes_overview
from studies.profiles import CPU, CPU_EVERY, LSUN64, cpu_evaluation

MEMORY = 40
"""Steps of G that the averaged generator of the `cpu` profile remembers, of its 800 iterations."""

UNTUNED = (
    "The free numbers are those that were chosen for the profile `cpu` by its rule; none was chosen again for this "
    "scale, and learning rates above all may serve it less well."
)


def longer(times: int) -> Profile:
    """The profile `cpu` with as many times its iterations, and as many evaluations."""
    return CPU.adjusted(
        Multiply(path="iterations", factor=0.04 * times, why=f"{times} times those of the profile cpu"),
        Put(
            path="ema.decay",
            value=1 - 1 / (MEMORY * times),
            why=f"a memory of {MEMORY * times} steps of G in {800 * times:,} iterations, as 1,000 in 20,000",
        ),
        Put(
            path="evaluation",
            value=cpu_evaluation(RoomsFrechet(extractor=extractor_sha256()), every=CPU_EVERY * times),
            why="a proxy over a network that ships with the code: Inception's weights need a download",
        ),
        name=f"cpu_x{times}",
        title=f"the deck's numbers scaled down to two CPU cores: 16×16 embedded rooms, {800 * times:,} iterations",
        rule=UNTUNED,
        piloted=(),
    )


CPU_32 = CPU.adjusted(
    Put(path="data", value=Rooms(resolution=32), why="embedded scenes instead of LSUN: nothing to download"),
    Put(path="discriminator", value=StridedDiscriminator(blocks=2), why="one more halving for twice the resolution"),
    Multiply(path="penalty.weight", factor=0.25, only="r1", why="in proportion to the number of pixels, (32/64)²"),
    Put(
        path="evaluation",
        value=cpu_evaluation(RoomsFrechet(resolution=32, extractor=extractor_sha256(32))),
        why="a proxy over a network that ships with the code: Inception's weights need a download",
    ),
    name="cpu_32",
    title="the deck's numbers scaled down to two CPU cores: 32×32 embedded rooms, 800 iterations",
    rule=UNTUNED,
    piloted=(),
)

STUDY = changes_overview.STUDY.replace(
    name="scale_transfer",
    title="Does the small scale tell the truth?",
    question="Do the effects of the ten changes, each taken out of all, hold at larger scales?",
    source=None,
    report="scale_transfer",
    designs=("leave_one_out",),
    more_designs=(),
    profiles=(CPU, longer(4), longer(16), CPU_32, LSUN64),
    claims=(),
    controls=(),
    answer=ScalesAnswer(pictured=("all",)),
)
