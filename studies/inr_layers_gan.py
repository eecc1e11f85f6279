"""Does the order of layers by reconstruction predict their order as GANs?

The deck chose by the first and used the second.
"""

from ablations.answers import Elsewhere, VariantsAnswer
from ablations.claims import Source
from ablations.layers import LAYERS, SLIDE, UNIT_INIT
from ablations.schema import Study
from studies import changes_overview
from studies.profiles import CPU, LSUN64, UNIT_EMISSION

FITS = Elsewhere(study="inr_layers", profiles={"lsun64": "deck128"})
"""The same layers, fitted to images."""

STUDY = Study(
    name="inr_layers_gan",
    title="INR layers as GANs",
    question="Does the order of the eight layers by reconstruction error predict their order by generated images?",
    source=Source(slide=SLIDE, quote="Type MAE (50 imgs) #params"),
    report="inr_layers_gan",
    # All changes but the one that is asked about: FactorizedSE is then the variant `all` of changes_overview.
    base=changes_overview.STUDY.folded(
        change.name for change in changes_overview.STUDY.changes if change.name != "factorized_se"
    ),
    base_title="Linear",
    changes=(*LAYERS, UNIT_INIT),
    designs=("grid",),
    more_designs=("add_one_in",),
    answer=VariantsAnswer(
        rows="layer",
        panels="init",
        base_panel="the formulas' init",
        order_of=FITS,
        pictured=("baseline", "baseline+factorized_se"),
    ),
    profiles=(CPU, LSUN64.adjusted(UNIT_EMISSION)),
)
