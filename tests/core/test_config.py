"""The config refuses what it does not know, and a job's identity follows what changes its numbers."""

import json

import pytest
from pydantic import ValidationError

from core.config import Config, Fourier, Inr, Job, LearningRates, Optimizers, Rooms, parse


def test_defaults_are_the_decks_starting_point() -> None:
    config = Config()
    assert (config.inr.width, config.inr.depth, config.batch_size, config.d_per_g) == (64, 5, 32, 5)
    assert config.optimizers.learning_rates == LearningRates(generator=0.002, discriminator=0.0002)
    assert config.iterations == 20_000 and config.ema is None
    assert config.inr.basis.kind == "siren" and config.inr.layer.kind == "linear"
    assert config.loss.kind == "wasserstein" and config.penalty.kind == "wgan_gp"


@pytest.mark.parametrize(
    ("path", "value"),
    [("batch_size", "32"), ("batch_size", 0), ("colour", 1), ("inr", {"width": 8, "weight": 1}), ("penalty", None)],
)
def test_wrong_types_and_unknown_keys_are_refused(path: str, value: object) -> None:
    data = Config().model_dump(mode="json")
    with pytest.raises(ValidationError):
        parse({**data, path: value})


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Config().inr.width = 3  # type: ignore[misc]


def test_a_config_survives_its_json() -> None:
    config = Config(inr=Inr(basis=Fourier(scale=3.0), width=10))
    assert parse(json.loads(config.model_dump_json())) == config


def test_odd_fourier_width_and_uneven_resolution_are_refused_with_the_reason() -> None:
    with pytest.raises(ValidationError, match="even width"):
        Inr(basis=Fourier(), width=7)
    with pytest.raises(ValidationError, match="divides it by 16"):
        Config(data=Rooms(resolution=24))


def test_identity_follows_config_and_seed_alone() -> None:
    job = Job(config=Config(), seed=0)
    assert job.digest == Job(config=parse(Config().model_dump(mode="json")), seed=0).digest
    assert job.digest != Job(config=Config(), seed=1).digest
    other = Config(optimizers=Optimizers(learning_rates=LearningRates(generator=0.001)))
    assert job.digest != Job(config=other, seed=0).digest
