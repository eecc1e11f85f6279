"""Searches as data: ranges that make no sense are refused when they are declared, in one line."""

from __future__ import annotations

from typing import Any

import pytest

from ablations.schema import Change, Edit, Study
from ablations.search import Parameter, Search
from core.config import Adam, Config
from studies.catalogue import study
from studies.profiles import CPU

G_RATE = "optimizers.learning_rates.generator"


def parameter(path: str = G_RATE, low: float = 1e-4, high: float = 1e-2, **rest: Any) -> Parameter:
    return Parameter(path=path, title="rate", low=low, high=high, why="a test", **rest)


def declared(*parameters: Parameter, changes: tuple[Change, ...] = ()) -> Study:
    search = Search(name="s", title="s", parameters=parameters)
    ours = study("learning_rates")
    return Study(**{**dict(ours), "searches": (search,), "changes": changes})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: parameter(low=1e-2, high=1e-4), "low is below high"),
        (lambda: parameter(low=0.0), "a log scale or a factor is above 0"),
        (lambda: parameter(low=-1.0, log=False, relative=True), "a log scale or a factor is above 0"),
        (lambda: declared(parameter("optimizers.learning_rates.genrator")), "did you mean"),
        (lambda: declared(parameter("optimizers.learning_rates")), "optimizers.learning_rates is no decimal number"),
        (lambda: declared(parameter("batch_size", 16, 64)), "batch_size is no decimal number"),
        (lambda: declared(parameter("optimizers.generator.beta1", 0.0, 1.5, log=False)), "beta1 cannot be 1.5"),
        (lambda: declared(parameter(), parameter()), "overlap"),
        (
            lambda: declared(
                parameter("optimizers.generator.beta2", 0.9, 0.99),
                changes=(
                    Change(
                        name="betas",
                        title="betas",
                        source=None,
                        edits=(Edit(path="optimizers.generator", before=Adam(), after=Adam(beta2=0.9)),),
                    ),
                ),
            ),
            "is what a change varies",
        ),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_two_searches_of_one_name_are_refused() -> None:
    search = Search(name="s", title="s", parameters=(parameter(),))
    with pytest.raises(ValueError, match="two searches share a name"):
        Study(**{**dict(study("learning_rates")), "searches": (search, search)})


def test_a_search_begins_at_an_earlier_one() -> None:
    one, separate = study("learning_rates").searches
    assert separate.begins_at == one.name
    with pytest.raises(ValueError, match="which is no search before it"):
        Study(**{**dict(study("learning_rates")), "searches": (separate, one)})


def test_relative_ranges_are_around_what_the_profile_has() -> None:
    ours = study("learning_rates")
    rate = ours.searches[0].parameters[0]
    assert rate.ends(ours.base) == (2.5e-5, 4e-3)
    assert rate.ends(CPU.scaled(ours.base)) == (1e-4, 1.6e-2)
    assert parameter().ends(Config()) == (1e-4, 1e-2)


def test_both_searches_cost_the_same_and_hold_the_numbers_they_are_asked_about() -> None:
    one, separate = study("learning_rates").searches
    assert (one.trials, one.startup, one.seed) == (separate.trials, separate.startup, separate.seed)
    assert separate.parameters[:-2] == one.parameters
    shared, mapping = separate.parameters[-2:]
    betas = [p for p in one.parameters if "beta" in p.path]
    config = one.applied(CPU.scaled(study("learning_rates").base), {p.path: 0.95 * p.high for p in betas})
    assert isinstance(config, Config) and config.optimizers.generator == config.optimizers.discriminator
    assert config.optimizers.generator.beta1 == pytest.approx(0.855)
    assert shared.low < 1 < 10 < shared.high and mapping.low < 0.01 < 1 < mapping.high
