"""Which of the ten documented changes carry the gain of the slide "Changes overview"?

The deck adds ten changes, reports one number before and one after, and says "I didn't test each change individually".
"""

from ablations.answers import ChangesAnswer
from ablations.claims import Claim, Measured
from ablations.controls import Control
from ablations.deck import CHANGES, said
from ablations.schema import Study
from core.config import AnyConfig, Config, Evaluation, Quality
from studies.profiles import CPU, LSUN64

OVERALL = said(r"Implementing some tricks increased FID from ≈ 150 to 58 at 20k iterations on LSUN conference room")

QUALITY = Quality(samples=8192, smallest=2048)
"""Measured besides the deck's FID, of the 8,192 images that it is computed from."""

STUDY = Study(
    name="changes_overview",
    title="Changes overview",
    question="Which of the ten documented changes carry the gain, and does their sum reproduce the deck's?",
    source=OVERALL,
    base=Config(evaluation=Evaluation(quality=QUALITY)),
    base_title="none of the ten changes",
    changes=CHANGES,
    designs=("ladder",),
    more_designs=("add_one_in", "leave_one_out", "screening", "shapley"),
    profiles=(CPU, LSUN64),
    answer=ChangesAnswer(designs=("leave_one_out", "add_one_in", "ladder")),
    controls=(
        Control(
            name="all_d5_g1_five_times",
            title="all − D1:G1, five times the iterations",
            change="d1_g1",
            of="all-d1_g1",
            against="all",
            equal="updates of G",
            times=5,
        ),
        Control(
            name="none_five_times",
            title="none of the ten changes, five times the iterations",
            change="d1_g1",
            of="baseline",
            against="baseline+d1_g1",
            equal="updates of G",
            times=5,
        ),
        Control(
            name="all_small_batch_twice",
            title="all − batch ×2, twice the iterations",
            change="batch_size",
            of="all-batch_size",
            against="all",
            equal="real images",
            times=2,
        ),
    ),
    claims=(
        Claim(
            name="overall",
            source=OVERALL,
            expects="lower",
            before=Measured(variant="baseline", value=150),
            after=Measured(variant="all-ns_loss", value=58),
            metric="FID",
            dataset="LSUN conference room",
            iterations=20_000,
            comparable_profile="lsun64",
            remark="The NS loss is left out: its line says 'results are in progress'.",
        ),
    ),
)

EVERYTHING: AnyConfig = STUDY.folded(change.name for change in STUDY.changes)
"""All ten changes, in the deck's numbers: where its later slides begin."""
