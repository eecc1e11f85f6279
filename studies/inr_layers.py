"""How well does each of the eight layers of the slide "Size/quality tradeoff for INR architecture" fit images?

No GAN: INRs are fitted to 50 images, as the author's public `StaticINRs` does, at the formulas' own initial sizes and
at corrected ones, with free parameters and through a hypernetwork.
"""

from ablations.answers import VariantsAnswer
from ablations.claims import Claim, Comparison, Measured, Source
from ablations.layers import LAYERS, LINEAR_MAE, OTHER_READINGS, ROWS, SLIDE, UNIT_INIT
from ablations.schema import Change, Edit, Multiply, Profile, Put, Study
from core.config import PUBLIC_RESAMPLING, Emission, ErrorEvaluation, FreeParameters, LatentCodes, Reconstruction, Rooms

DECK128 = Profile(
    name="deck128",
    title="the deck's sizes as far as they can be read: 50 images of 128×128, INR 256×5",
    caveat="The slide gives neither the images nor their size, rates or iterations. 128×128 is a reading: 256×5 on 50 "
    "such images takes about the 10 GB it states.",
    scalings=(
        Put(
            path="emitter.hypernetwork.emission",
            value=Emission(gain=0.3, bias_std=1.0),
            why="unit init is of layers whose emitted numbers have unit variance; the public code's start lower",
        ),
    ),
    resampling=PUBLIC_RESAMPLING,
)

SMALL_HYPERNETWORK = "networks in proportion to a 16×16 image"

CPU = Profile(
    name="cpu",
    title="the deck's sizes scaled down to two CPU cores: 50 embedded rooms of 16×16, INR 32×4, 300 iterations",
    scalings=(
        Put(path="data", value=Rooms(resolution=16), why="cost: 64 times fewer pixels"),
        Multiply(path="inr.width", factor=0.125, why="width is the cost of an INR; r = 10 stays the deck's"),
        Put(path="inr.depth", value=4, why="cost: coordinate layer and three hidden layers"),
        Put(path="inr.coordinates.low", value=-1.0, why="a symmetric range"),
        Put(path="inr.coordinates.sampling", value="centres", why="no half-pixel shift"),
        Put(path="inr.basis.scale", value=4.0, why="16×16 has no fine detail: 25 is the highest frequency it can show"),
        Multiply(path="iterations", factor=0.06, why="seconds per run"),
        Multiply(path="learning_rate", factor=20.0, why="300 iterations instead of 5,000; the same for every layer"),
        Put(path="evaluation", value=ErrorEvaluation(every=100), why="three points of the curve"),
        Put(path="emitter.hypernetwork.latent_dim", value=64, why=SMALL_HYPERNETWORK),
        Put(path="emitter.hypernetwork.width", value=256, why=SMALL_HYPERNETWORK),
        Put(path="emitter.hypernetwork.depth", value=3, why=SMALL_HYPERNETWORK),
        Put(
            path="emitter.hypernetwork.emission",
            value=Emission(gain=0.3, bias_std=1.0),
            why="layers expect standard normal numbers, and 300 iterations are too few to grow small ones",
        ),
    ),
    caveat="Orders of layers compare with the deck's, errors do not: other images, 64 times fewer pixels, an INR eight "
    "times narrower, in which r = 10 is no small rank, and a short fit.",
)

CODES = Change(
    name="latent_codes",
    title="through latent codes",
    source=None,
    group="emitter",
    edits=(
        Edit(path="emitter", before=FreeParameters(), after=LatentCodes()),
        Edit(path="learning_rate", before=5e-4, after=1e-4),
    ),
    reading="Not the deck's: a hypernetwork emits the parameters, as G has to; the slide's numbers are of free ones. "
    "Its rate is a fifth of theirs, the deck's for G: every one of its weights moves the parameters of all images.",
)

ORDER = tuple(
    Comparison(
        title=row.title,
        before=Measured(variant="baseline", value=LINEAR_MAE),
        after=Measured(variant=f"baseline+{row.name}", value=row.mae),
    )
    for row in ROWS
    if row.name != "linear" and row.mae
)
"""Each of the slide's other rows against Linear."""

STUDY = Study(
    name="inr_layers",
    title="INR layers: size against quality",
    question="Which ways of emitting a layer can fit images, and does their order depend on the initial sizes?",
    source=Source(slide=SLIDE, quote="All of them ran in 3.6 iters/sec on 1080 Ti and used 10 GB GPU memory"),
    report="inr_layers",
    base=Reconstruction(),
    base_title="Linear",
    changes=(*LAYERS, *OTHER_READINGS, UNIT_INIT, CODES),
    designs=("grid",),
    more_designs=("add_one_in",),
    answer=VariantsAnswer(
        rows="layer",
        panels="init",
        base_panel="the formulas' init",
        pictured=("baseline", "baseline+mfilm", "baseline+mfilm+unit_init"),
    ),
    profiles=(CPU, DECK128),
    claims=(
        Claim(
            name="order",
            source=Source(slide=SLIDE, quote="Type MAE (50 imgs) #params"),
            expects="order",
            before=ORDER[0].before,
            after=ORDER[0].after,
            title=ORDER[0].title,
            also=ORDER[1:],
            metric="MAE",
            dataset="50 images, not named",
            iterations=None,
            comparable_profile="deck128",
            remark="The slide's table is one sentence: an order of eight layers.",
            late="it was put so after runs with these seeds had been seen",
        ),
    ),
)
