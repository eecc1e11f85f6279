"""A config that asks for more memory than there is ends in one line before it takes any; no other is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ablations.designs import available
from core import config as cfg
from core.errors import InputError
from core.job import run_job
from core.metrics.enough import cautions, check_counts
from core.needs import LEAST, check_memory, needed_bytes
from studies import catalogue
from studies.planning import make_plan
from tests.core.conftest import small_config

THERE = 16 * 2**30

WHOLE = cfg.Config(
    inr=cfg.Inr(layer=cfg.FactorizedSE()),
    hypernetwork=cfg.Hypernetwork(heads=cfg.Heads()),
    penalty=cfg.R1(),
    evaluation=cfg.Evaluation(
        metric=cfg.CleanFid(),
        quality=cfg.Quality(),
        resamples=1,
        upsampling=cfg.Upsampling(opponents=("lanczos", "sharpened", "sr_cnn")),
        interpolation=cfg.Interpolation(),
        scales=cfg.Scales(fine=128),
        octaves=cfg.Octaves(),
    ),
)
CONFIGS: dict[str, cfg.AnyConfig] = {
    "all that there is": WHOLE,
    "the baseline": cfg.Config(evaluation=cfg.Evaluation(metric=cfg.RoomsFrechet(), quality=cfg.Quality(smallest=500))),
    "a small D": small_config(discriminator=cfg.StridedDiscriminator()),
    "images": cfg.Config(data=cfg.Images(count=10_000, fingerprint="a" * 64)),
    "free parameters": cfg.Reconstruction(),
    "latent codes": cfg.Reconstruction(emitter=cfg.LatentCodes()),
}


def integers(data: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from integers(value, f"{above}{name}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            yield above + name


def changed(config: cfg.AnyConfig, path: str, factor: int) -> cfg.AnyConfig:
    data = config.model_dump(mode="json")
    *nodes, name = path.split(".")
    node = data
    for key in nodes:
        node = node[key]
    node[name] = max(node[name], 1) * factor
    return cfg.parse(data)


def refusal(name: str, path: str, factor: int) -> str | None:
    """What a dry run says of the config; any other error than these two is no answer."""
    try:
        config = changed(CONFIGS[name], path, factor)
        check_counts(config, 8192, 8192)
        check_memory(config, on_cpu=True, there=THERE)
    except ValidationError as error:
        return str(error.errors()[0]["msg"])
    except InputError as error:
        return str(error)
    return None


CASES = [(name, path) for name, config in CONFIGS.items() for path in integers(config.model_dump(mode="json"))]


@pytest.mark.parametrize("factor", [10**3, 10**9, 10**18, 10**400], ids=lambda n: f"1e{len(str(n)) - 1}")
def test_any_number_is_refused_in_a_line_or_passes(factor: int) -> None:
    passed = []
    for name, path in CASES:
        said = refusal(name, path, factor)
        if said is None:
            passed.append(path.rsplit(".", 1)[-1])
        else:
            assert "\n" not in said and len(said) < 1200, said
    if factor > 10**8:
        # Only counts of what happens one after the other, and numbers that nothing is made as large as.
        assert set(passed) <= {
            *("seed", "renderer", "interval", "d_per_g", "iterations", "every", "latents_seed", "kernel_subsets"),
            *("real", "samples", "neighbours"),
        }, set(passed)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("data.train", "data.train is 819,200,000: the rooms alone would take 10,"),
        ("inr.depth", "inr.depth is 500,000: the "),
        ("hypernetwork.width", "hypernetwork.width is 102,400,000: the hypernetwork's trunk alone would take "),
        ("batch_size", "batch_size is 3,200,000: a batch of images alone"),
        ("evaluation.metric.samples", "evaluation.metric.samples is 204,800,000: "),
    ],
)
def test_the_line_names_the_field_its_value_what_it_takes_and_what_there_is(path: str, says: str) -> None:
    config = changed(CONFIGS["the baseline"], path, 10**5)
    with pytest.raises(InputError) as caught:
        check_memory(config, on_cpu=True, there=THERE)
    assert str(caught.value).startswith(says), str(caught.value)
    assert str(caught.value).endswith(" GB, and there are 17.2 GB: lower it")


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_no_published_config_is_refused_anywhere(name: str) -> None:
    study = catalogue.study(name)
    designs = [design for design in available(study) if design in ("ladder", "grid", "add_one_in")]
    for profile in study.profiles:
        plan = make_plan(study, profile, designs=designs or study.designs, seeds=[0])
        assert max(needed_bytes(variant.config) for variant in plan.variants) < LEAST


def test_a_job_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    job = cfg.Job(config=small_config(data=cfg.Rooms(resolution=8, train=10**9, held_out=32)), seed=0)
    with pytest.raises(InputError, match=r"^data\.train is 1,000,000,000: the rooms alone would take 2"):
        next(run_job(job, runs=tmp_path / "jobs", cache=tmp_path / "cache"))
    assert not list(tmp_path.iterdir())


def test_a_gpus_memory_is_not_the_hosts() -> None:
    config = changed(CONFIGS["the baseline"], "hypernetwork.width", 4)
    assert needed_bytes(config, on_cpu=False) < needed_bytes(config) / 3


def test_halvings_beyond_any_image_are_refused_without_being_counted_out() -> None:
    with pytest.raises(ValidationError, match=r"discriminator.blocks is too large: data.resolution cannot be halved"):
        changed(CONFIGS["the baseline"], "discriminator.blocks", 10**8)


def test_a_distance_of_few_images_carries_a_caution() -> None:
    metric = cfg.RoomsFrechet()
    two, samples = cautions(metric, 60, 2)
    assert two.startswith("2 real images are too few for the metric's 80 features: their covariance has rank 1 at most")
    assert samples.startswith("60 samples are too few")
    assert [line.split(" are ")[0] for line in cautions(metric, 2048, 300)] == ["300 real images"]
    assert not cautions(metric, 2048, 4096)
    assert [line.split(" are ")[0] for line in cautions(cfg.CleanFid(), 8192, 2048)] == ["2,048 real images"]
