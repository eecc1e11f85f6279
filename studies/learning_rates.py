"""Which learning rate for G, and is G what StyleGAN calls the mapping network?"""

from __future__ import annotations

from ablations.answers import VariantsAnswer
from ablations.claims import Source
from ablations.schema import Study
from ablations.search import Parameter, Search
from studies import changes_overview
from studies.profiles import CPU, LSUN64

RATES = (
    Parameter(
        path="optimizers.learning_rates.generator",
        title="rate of G",
        low=0.25,
        high=40.0,
        relative=True,
        why="from a quarter of the slide's last rate to twice its first, which is 20 times the last",
    ),
    Parameter(
        path="optimizers.learning_rates.discriminator",
        title="rate of D",
        low=0.1,
        high=10.0,
        relative=True,
        why="a factor of 10 around the slide's: G's rate is no question by itself",
    ),
)
BETAS = (
    Parameter(
        path="optimizers.generator.beta1",
        also=("optimizers.discriminator.beta1",),
        title="beta1 of both",
        low=0.0,
        high=0.9,
        log=False,
        why="the author's first public code has 0, Adam's default is 0.9",
    ),
    Parameter(
        path="optimizers.generator.beta2",
        also=("optimizers.discriminator.beta2",),
        title="beta2 of both",
        low=0.9,
        high=0.999,
        log=False,
        why="the author's first public code has 0.98, Adam's default is 0.999",
    ),
)
MULTIPLIERS = (
    Parameter(
        path="optimizers.multipliers.shared",
        title="multiplier of the INR's shared parameters",
        low=0.1,
        high=30.0,
        why="the author's first public code has 10, which lies well inside",
    ),
    Parameter(
        path="optimizers.multipliers.mapping",
        title="multiplier of the trunk",
        low=0.003,
        high=10.0,
        why="StyleGAN's mapping network has 0.01, which lies well inside",
    ),
)

RETRAINED = ("baseline", "best_one_rate", "best_separate")
"""The base, and what each search chose, on seeds that no search saw."""

STUDY = Study(
    name="learning_rates",
    title="Learning rates",
    question="Which learning rate should G have? And should G's trunk have one of its own, as StyleGAN's mapping "
    "network has?",
    source=Source(
        slide=changes_overview.OVERALL.slide,
        quote="What LR should we use for G? Is it equivalent to the mapping network?",
    ),
    report="learning_rates",
    base=changes_overview.EVERYTHING,
    base_title="all ten changes",
    profiles=(CPU, LSUN64),
    answer=VariantsAnswer(variants=RETRAINED, pictured=RETRAINED),
    searches=(
        Search(name="one_rate", title="one rate for all of G", parameters=(*RATES, *BETAS)),
        # From where the other one ended: what it finds is what multipliers add to the best single rate.
        Search(
            name="separate",
            title="separate rates within G",
            parameters=(*RATES, *BETAS, *MULTIPLIERS),
            begins_at="one_rate",
        ),
    ),
)
