"""The config refuses what it does not know, and a job's identity follows what changes its numbers."""

import json
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import ValidationError

from core import config as cfg
from core.config import JOINED, Config, Fourier, Inr, Job, LearningRates, Optimizers, Rooms, canonical, parse

PUBLISHED = Path(__file__).parents[2] / "reports" / "published"


def test_defaults_are_the_decks_starting_point() -> None:
    config = Config()
    assert (config.inr.width, config.inr.depth, config.batch_size, config.d_per_g) == (64, 5, 32, 5)
    assert config.optimizers.learning_rates == LearningRates(generator=0.002, discriminator=0.0002)
    assert config.iterations == 20_000 and config.ema is None
    assert config.inr.basis.kind == "siren" and config.inr.layer.kind == "linear"
    assert config.loss.kind == "wasserstein" and config.penalty.kind == "wgan_gp"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("batch_size", "32"),
        ("batch_size", 0),
        ("colour", 1),
        ("inr", {"width": 8, "weight": 1}),
        ("penalty", None),
    ],
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


# --- fields that joined later -----------------------------------------------------------------------------------------


def test_every_published_run_still_has_its_identity() -> None:
    """A run is found again, and its report stays valid, by its digest alone."""
    lines = [line for file in sorted(PUBLISHED.glob("*/runs.jsonl")) for line in file.read_text().splitlines()]
    recorded = [json.loads(line) for line in lines]
    assert len(recorded) > 300
    for run in recorded:
        job = Job.model_validate_json(json.dumps(run["job"]))
        assert job.digest == run["run"]


class Later(Config):
    """The config of a version that knows two things more."""

    noise: Annotated[float | None, JOINED] = None
    late: Annotated[Inr, JOINED] = Inr()


def test_a_field_that_joins_leaves_identities_alone_at_its_default_and_changes_them_off_it() -> None:
    before = Job(config=Config(), seed=0).digest
    assert Job(config=Later(), seed=0).digest == before
    others = [Later(noise=0.1), Later(late=Inr(width=8)), Later(noise=0.1, late=Inr(width=8)), Later(noise=0.2)]
    assert len({before, *(Job(config=other, seed=0).digest for other in others)}) == 5
    assert "noise" not in canonical(Later()) and canonical(Later(noise=0.1))["noise"] == 0.1
    # Wherever it stands: in a list, in a mapping, in a node that is optional.
    assert canonical([Later(), {"a": Later()}]) == [canonical(Config()), {"a": canonical(Config())}]


def test_the_fields_that_have_joined() -> None:
    """Each at its default is what earlier runs did: their records lack it."""
    assert canonical(cfg.Ema()) == {"decay": 0.999}
    assert canonical(cfg.CleanFid()) == {"kind": "clean_fid", "samples": 8192, "real": 8192, "mode": "legacy_pytorch"}
    off = canonical(Config(ema=cfg.Ema(warmup=False)))
    assert off["ema"] == {"decay": 0.999, "warmup": False}
    assert off["evaluation"]["metric"]["quantised"] is False and off["evaluation"]["metric"]["real_taken"] == "first"
    record = canonical(Config(ema=cfg.Ema(), evaluation=cfg.Evaluation(metric=cfg.CleanFid())))
    assert parse(record) == Config(ema=cfg.Ema(), evaluation=cfg.Evaluation(metric=cfg.CleanFid()))


def test_a_node_with_another_value_is_validated_as_any_other() -> None:
    assert Inr(width=8).replace(width=16) == Inr(width=16)
    for wrong in ({"width": "16"}, {"widths": 16}, {"width": -1}):
        with pytest.raises(ValidationError):
            Inr().replace(**wrong)
