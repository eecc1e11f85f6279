"""Which of the ten documented changes carry the gain of the slide "Changes overview"?

The deck adds ten changes, reports one number before and one after, and says "I didn't test each change individually".
"""

from ablations.deck import CHANGES, said
from ablations.schema import Claim, Multiply, Profile, Put, Study
from core.config import Config, Coordinates, Emission, Evaluation, Rooms, RoomsFrechet
from core.metrics.identity import extractor_sha256

LSUN64 = Profile(
    name="lsun64",
    title="the deck's own numbers: 64×64, 20,000 iterations, INR 256×5, D of 10 million parameters",
)

CPU = Profile(
    name="cpu",
    title="the deck's numbers scaled down to two CPU cores: 16×16 rooms, 500 iterations",
    scalings=(
        Put(path="data", value=Rooms(resolution=16), why="embedded scenes, no download"),
        Multiply(path="iterations", factor=1 / 40, why="minutes, not days"),
        Multiply(path="batch_size", factor=1 / 2, why="small images need fewer per step"),
        Multiply(path="inr.width", factor=1 / 8, why="width is most of the cost"),
        Put(path="inr.depth", value=3, why="16×16 needs fewer layers"),
        Put(
            path="inr.coordinates",
            value=Coordinates(low=-1.0, high=1.0, sampling="centres", layer="shared"),
            why="rule",
        ),
        Put(path="inr.basis.scale", value=4.0, only="fourier", why="rule"),
        Put(path="hypernetwork.latent_dim", value=64, why="small G"),
        Put(path="hypernetwork.width", value=256, why="small G"),
        Put(path="hypernetwork.depth", value=3, why="small G"),
        Put(path="hypernetwork.emission", value=Emission(gain=0.3, bias_std=1.0), why="rule"),
        Put(path="discriminator.width", value=32, why="small D"),
        Put(path="discriminator.blocks", value=2, why="small D"),
        Put(path="discriminator.patch", value=2, why="small D"),
        Multiply(path="penalty.weight", factor=1 / 16, only="r1", why="R1 grows with the number of pixels: (16 / 64)^2"),
        Multiply(path="optimizers.generator.learning_rate", factor=5.0, why="rule"),
        Multiply(path="optimizers.discriminator.learning_rate", factor=5.0, why="rule"),
        Put(path="ema.decay", value=0.99, why="a memory of 100 of 500 steps"),
        Put(
            path="evaluation",
            value=Evaluation(metric=RoomsFrechet(extractor=extractor_sha256()), every=100),
            why="no Inception weights without a download",
        ),
    ),
    rule="",
    caveat="Directions compare with the deck, magnitudes do not.",
)

STUDY = Study(
    name="changes_overview",
    title="Changes overview",
    question="Which of the ten documented changes carry the gain, and does their sum reproduce the deck's?",
    source=said(r"Implementing some tricks increased FID from ≈ 150 to 58 at 20k iterations on LSUN conference room"),
    base=Config(),
    changes=CHANGES,
    designs=("ladder",),
    profiles=(CPU, LSUN64),
    claims=(
        Claim(
            name="overall",
            source=said(r"Implementing some tricks increased FID from ≈ 150 to 58 at 20k iterations on LSUN conference room"),
            before_variant="baseline",
            after_variant="all-ns_loss",
            before=150,
            after=58,
            metric="FID",
            dataset="LSUN conference room",
            iterations=20_000,
            comparable_profile="lsun64",
            remark="The NS loss is left out: its line says 'results are in progress'.",
        ),
    ),
)
