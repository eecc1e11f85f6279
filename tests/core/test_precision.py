"""Precision is what the config says: switched on for training alone, refused where there is none, alike in the end."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ablations.designs import subset_named
from core import config as cfg
from core.errors import InputError
from core.events import Evaluated
from core.job import run_job
from core.means import Means
from core.precision import float32_products, forward
from core.step import Networks, Step
from studies.changes_overview import STUDY
from studies.overrides import overridden
from tests.core.conftest import small_config
from tests.core.test_train import MEMBERS, events_of, numbers


def settings() -> list[str]:
    return [torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision]


def test_products_are_rounded_only_inside() -> None:
    before = settings()
    with pytest.raises(KeyError), float32_products("tf32"):  # noqa: PT012
        assert settings() == ["tf32", "tf32"]
        with float32_products("ieee"):
            assert settings() == ["ieee", "ieee"]
        raise KeyError
    assert settings() == before


def test_an_iteration_of_float32_knows_no_tf32_and_leaves_no_setting(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(precision="float32")
    seen = []
    step = Step(config, Networks(config, 0, images, torch.device("cpu")), Means(torch.device("cpu")))
    (critic,) = step.networks.critics
    monkeypatch.setattr(critic, "d_loss_of", lambda real, fake: seen.append(settings()) or real.mean() - fake.mean())
    before = settings()
    step(1)
    assert seen == [["ieee", "ieee"]] and settings() == before


def test_tf32_is_refused_on_a_cpu_before_anything_is_recorded(tmp_path: Path) -> None:
    job = cfg.Job(config=small_config(precision="tf32"), seed=0)
    with pytest.raises(InputError, match="precision is tf32 and a CPU has no TF32: set float32"):
        next(run_job(job, runs=tmp_path, cache=tmp_path))
    assert not list(tmp_path.iterdir())


def test_bfloat16_reaches_the_products_and_not_the_results(images: Tensor) -> None:
    config = small_config(precision="bfloat16", **MEMBERS["strided discriminator"])
    nets = Networks(config, 0, images, torch.device("cpu"))
    kinds: list[torch.dtype] = []
    for layer in (nets.generator.hypernetwork.output, nets.discriminator.hidden):
        layer.register_forward_hook(lambda _module, _inputs, output: kinds.append(output.dtype))
    with forward(config.precision, torch.device("cpu")):
        rendered = nets.generator(torch.randn(8, config.hypernetwork.latent_dim))
        scores = nets.discriminator(rendered)
    assert kinds == [torch.bfloat16, torch.bfloat16]
    assert rendered.dtype == scores.dtype == torch.float32
    Step(config, nets, Means(torch.device("cpu")))(1)
    assert {p.dtype for net in (nets.generator, nets.discriminator) for p in net.parameters()} == {torch.float32}


@pytest.mark.parametrize("member", ["baseline", "r1", "factorized_se"])
def test_bfloat16_trains_to_other_numbers_that_begin_close(member: str, images: Tensor) -> None:
    """Penalties, which are gradients of gradients, included."""
    exact, coarse = (
        numbers(events_of(small_config(precision=precision, **MEMBERS[member]), images))
        for precision in ("float32", "bfloat16")
    )
    assert exact != coarse and all(map(math.isfinite, coarse))
    assert coarse[:5] == pytest.approx(exact[:5], rel=0.05, abs=0.02)


def distances(precision: str, device: str, folder: Path, seeds: int) -> list[float]:
    """The last `fd_rooms` of the `cpu` profile's variant `all`, half as long, seed by seed."""
    config = STUDY.profile("cpu").scaled(STUDY.folded(subset_named(STUDY, "all")))
    short = {"iterations": 400, "evaluation.every": 400, "evaluation.resamples": 0, "evaluation.quality": None}
    found = []
    for seed in range(seeds):
        job = cfg.Job(config=overridden(config, short | {"precision": precision}), seed=seed)
        events = run_job(job, runs=folder / device, cache=folder, device=device)
        (value,) = [event.value for event in events if isinstance(event, Evaluated)]
        found.append(math.log(value))
    return found


def agree(one: list[float], other: list[float]) -> None:
    """Paired by seed, log-distances differ by less than their scatter over seeds: bfloat16 moves no verdict."""
    differences = [a - b for a, b in zip(one, other, strict=True)]
    assert any(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    assert abs(statistics.mean(differences)) < 3.18 * error  # Student's t, 3 degrees of freedom, 95%
    assert abs(statistics.mean(differences)) < math.log(1.3)


@pytest.mark.slow
def test_bfloat16_and_float32_agree_in_distribution(tmp_path: Path) -> None:
    agree(distances("bfloat16", "cpu", tmp_path, 4), distances("float32", "cpu", tmp_path, 4))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_on_a_gpu_precisions_agree_in_distribution(precision: str, tmp_path: Path) -> None:
    agree(distances(precision, "cuda", tmp_path, 4), distances("float32", "cuda", tmp_path, 4))
