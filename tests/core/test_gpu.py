"""On a CUDA device: every member trains, resumes to the same losses, and starts from the same numbers as on a CPU."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from core import config as cfg
from core.evaluation import Evaluation, Inline
from core.events import Checkpointed, Evaluated, Event
from core.folder import RunFolder
from core.job import run_job
from core.loop import train
from core.means import Means
from core.memory import OutOfMemory
from core.step import Networks, Step
from tests.core.conftest import MeanPixel, small_config
from tests.core.test_further import FURTHER
from tests.core.test_train import MEMBERS, events_of, numbers

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_trains(member: str, images: Tensor) -> None:
    found = numbers(events_of(small_config(**MEMBERS[member]), images, device="cuda"))
    assert len(found) == 12 * 5 + 3
    assert all(map(math.isfinite, found))


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
@pytest.mark.parametrize("member", ["baseline", "r1", "factorized_se"])
def test_no_iteration_waits_for_the_device(member: str, precision: str, images: Tensor) -> None:
    """Neither do those that draw a new order of the 64 images."""
    device = torch.device("cuda")
    config = small_config(precision=precision, **MEMBERS[member])
    step = Step(config, Networks(config, 0, images, device), Means(device))
    for iteration in range(1, 9):
        step(iteration)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for iteration in range(9, 25):
            step(iteration)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_resumed_it_goes_on_with_the_same_losses(images: Tensor) -> None:
    config = small_config()
    undisturbed = numbers(events_of(config, images, device="cuda"))
    before: list[Event] = []
    state = None
    evaluator = Inline(Evaluation(config, MeanPixel(), device="cuda"))
    for event in train(cfg.Job(config=config, seed=0), images, evaluator, device="cuda", checkpoint_due=lambda: True):
        if isinstance(event, Checkpointed) and event.iteration == 7:
            state = event.state
            break
        before.append(event)
    after = events_of(config, images, device="cuda", resume=state)
    assert numbers(before + after) == pytest.approx(undisturbed, rel=1e-3, abs=1e-4)


def test_further_measures_are_the_cpus(tmp_path: Path) -> None:
    """Of an untrained generator, so that training does not come between: rates too small to move a weight."""
    rates = cfg.LearningRates(generator=1e-12, discriminator=1e-12)
    optimizers = cfg.Optimizers(learning_rates=rates)
    config = small_config(evaluation=FURTHER, optimizers=optimizers, iterations=1, d_per_g=1)
    found = []
    for device in ("cpu", "cuda"):
        events = run_job(cfg.Job(config=config, seed=0), runs=tmp_path / device, cache=tmp_path, device=device)
        found.append({event.metric: event.value for event in events if isinstance(event, Evaluated)})
    assert found[1] == pytest.approx(found[0], rel=0.02)


def test_out_of_memory_is_a_failure_that_names_the_config_change(tmp_path: Path) -> None:
    config = small_config(batch_size=65_536, discriminator=cfg.ResNetDiscriminator(width=64, blocks=2))
    job = cfg.Job(config=config, seed=0)
    torch.cuda.set_per_process_memory_fraction(0.01)
    try:
        for _ in run_job(job, runs=tmp_path, cache=tmp_path, device="cuda"):
            pass
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    outcome = RunFolder(tmp_path, job).outcome()
    assert outcome is not None and outcome.status == "failed" and outcome.reason is not None
    assert "batch_size=32768 (it is 65536) for all variants" in outcome.reason


def test_out_of_memory_of_a_shared_device_is_no_outcome(tmp_path: Path) -> None:
    config = small_config(batch_size=65_536, discriminator=cfg.ResNetDiscriminator(width=64, blocks=2))
    job = cfg.Job(config=config, seed=0)
    torch.cuda.set_per_process_memory_fraction(0.01)
    try:
        with pytest.raises(OutOfMemory, match="out of GPU memory"):
            list(run_job(job, runs=tmp_path, cache=tmp_path, device="cuda", shared=True))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert RunFolder(tmp_path, job).outcome() is None


@pytest.mark.parametrize("evaluation", ["inline", "beside"])
def test_what_a_job_takes_of_the_device_is_noted(evaluation: Literal["inline", "beside"], tmp_path: Path) -> None:
    """In a process of its own, since free memory at the start is that of a process."""
    file = tmp_path / "job.json"
    job = cfg.Job(config=small_config(), seed=0)
    file.write_text(job.model_dump_json())
    arguments = ["--config", str(file), "--out", str(tmp_path), "--device", "cuda", "--evaluation", evaluation]
    subprocess.run([sys.executable, "-m", "core.train", *arguments], check=True, capture_output=True, cwd=ROOT)
    taken = RunFolder(tmp_path, job).memory()
    assert taken is not None and taken.iteration == job.config.iterations
    assert 0 < taken.reserved <= taken.peak < taken.total
    # A context, and no more than `studies.runner.sharing.CONTEXT`, where nothing else runs.
    assert 2**27 < taken.total - taken.free_at_start < 2**30
    beside = taken.free_at_start - taken.free - taken.reserved
    assert beside > (2**27 if evaluation == "beside" else -(2**24))


@pytest.mark.parametrize("beside_on", [None, "cpu"])
def test_evaluated_beside_the_values_are_those_of_inline(beside_on: str | None, tmp_path: Path) -> None:
    rates = cfg.LearningRates(generator=1e-12, discriminator=1e-12)
    config = small_config(evaluation=FURTHER, optimizers=cfg.Optimizers(learning_rates=rates))
    job = cfg.Job(config=config, seed=0)
    options = {"cache": tmp_path / "cache", "device": "cuda"}
    inline = list(run_job(job, runs=tmp_path / "inline", **options))  # type: ignore[arg-type]
    beside = list(
        run_job(job, runs=tmp_path / "beside", evaluation="beside", evaluation_device=beside_on, **options)  # type: ignore[arg-type]
    )
    assert [event.kind for event in beside] == [event.kind for event in inline]
    values = [[event.value for event in events if isinstance(event, Evaluated)] for events in (beside, inline)]
    assert values[0] == pytest.approx(values[1], rel=0.02 if beside_on else 1e-5)
