"""The configuration of one training run, a GAN's or a reconstruction's: frozen pydantic models, one tagged union per
axis, no torch.

Everything that changes a run's numbers is here and therefore in its identity (`digest`); what only changes speed or
place (device, threads, folders) is nowhere in this file. Off is `None`. Defaults are the deck's starting point, the
variant `baseline`: where the deck gives a number the field says so, where it does not the value is the one of the
author's first public code (November 2020) and the docstring says "public code". `ablations.sources` has both for every
field, and the few that are neither's.
"""

from core.config.data import *
from core.config.evaluation import *
from core.config.inr import *
from core.config.job import *
from core.config.networks import *
from core.config.node import *
from core.config.objectives import *
from core.config.tasks import *
from core.config.views import *
