"""Fitting: the error falls, the same seed fits the same images, an interrupted job ends as an undisturbed one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core import config as cfg
from core.diagnose import at_start, macs
from core.evaluation import Evaluation, Inline
from core.events import Built, Checkpointed, Diverged, Evaluated, Event, Finished
from core.folder import RunFolder
from core.job import run_job
from core.loop import train
from core.memory import PeakMemory
from core.reconstruct import build_inrs, drawn, psnr, reconstruct
from core.streams import stream
from tests.core.conftest import EMISSION, MeanPixel, small_config

GRID = cfg.Coordinates(low=-1.0, high=1.0, sampling="centres")
CODES = cfg.LatentCodes(hypernetwork=cfg.Hypernetwork(emission=EMISSION, latent_dim=4, width=16, depth=2, norm=None))


def small(**nodes: object) -> cfg.Reconstruction:
    values: dict[str, object] = {
        "data": cfg.Rooms(resolution=8, train=64, held_out=32),
        "images": 5,
        "inr": cfg.Inr(basis=cfg.Fourier(scale=4.0), width=16, depth=3, coordinates=GRID),
        "learning_rate": 1e-2,
        "iterations": 30,
        "evaluation": cfg.ErrorEvaluation(every=10),
    }
    return cfg.Reconstruction(**{**values, **nodes})  # type: ignore[arg-type]


def events_of(config: cfg.Reconstruction, images: Tensor, seed: int = 0, **options: object) -> list[Event]:
    return list(reconstruct(cfg.Job(config=config, seed=seed), images, **options))  # type: ignore[arg-type]


def errors(events: list[Event], metric: str = "mae") -> list[float]:
    return [event.value for event in events if isinstance(event, Evaluated) and event.metric == metric]


@pytest.mark.parametrize("emitter", [cfg.FreeParameters(), CODES], ids=["free", "codes"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_error_falls(images: Tensor, emitter: cfg.Emitter, precision: str) -> None:
    events = events_of(small(emitter=emitter, precision=precision), images)
    found = errors(events)
    assert len(found) == 3 and found[-1] < 0.8 * found[0]
    assert errors(events, "psnr")[-1] > errors(events, "psnr")[0]
    assert isinstance(events[-1], Finished)


def test_seeds_draw_images_and_layers_do_not(images: Tensor) -> None:
    one, other = small(), small(inr=cfg.Inr(layer=cfg.AdaIN(), width=16, depth=3))
    assert torch.equal(drawn(images, one, 0), drawn(images, other, 0))
    assert not torch.equal(drawn(images, one, 0), drawn(images, one, 1))
    assert errors(events_of(one, images)) == errors(events_of(one, images)) != errors(events_of(one, images, seed=1))


@pytest.mark.parametrize("stop_at", [1, 10, 29])
@pytest.mark.parametrize("emitter", [cfg.FreeParameters(), CODES], ids=["free", "codes"])
def test_resumed_after_any_iteration_is_bit_identical(
    images: Tensor, emitter: cfg.Emitter, stop_at: int, tmp_path: Path
) -> None:
    config = small(emitter=emitter, inr=small().inr.replace(init="unit"))
    undisturbed = events_of(config, images)
    state = None
    before: list[Event] = []
    calls = iter(range(1, 100))
    for event in reconstruct(cfg.Job(config=config, seed=0), images, checkpoint_due=lambda: next(calls) == stop_at):
        before.append(event)
        if isinstance(event, Checkpointed):
            torch.save(event.state, tmp_path / "state.pt")
            state = torch.load(tmp_path / "state.pt", weights_only=True)
            break
    after = events_of(config, images, resume=state)
    assert errors([*before, *after]) == errors(undisturbed)
    one, other = after[-1], undisturbed[-1]
    assert isinstance(one, Finished) and isinstance(other, Finished)
    assert all(torch.equal(one.generator[name], other.generator[name]) for name in other.generator)


def test_an_infinite_loss_ends_the_job(images: Tensor) -> None:
    events = events_of(small(learning_rate=1e30), images)
    assert isinstance(events[-1], Diverged)


def test_psnr_is_the_mean_over_images_on_a_range_of_two() -> None:
    targets = torch.zeros(2, 3, 4, 4)
    shown = torch.stack([torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.02)])
    assert psnr(shown, targets) == pytest.approx((20 + 40) / 2)


def test_tasks_are_not_mixed_up(images: Tensor) -> None:
    with pytest.raises(TypeError, match="task 'reconstruction' is no GAN"):
        next(train(cfg.Job(config=small(), seed=0), images, Inline(Evaluation(small_config(), MeanPixel()))))
    with pytest.raises(TypeError, match="not a reconstruction"):
        next(reconstruct(cfg.Job(config=cfg.Config(), seed=0), images))
    with pytest.raises(ValueError, match="65 images are to be fitted and the data has 64"):
        next(reconstruct(cfg.Job(config=small(images=65), seed=0), images))


def test_what_is_recorded_before_the_first_iteration(images: Tensor) -> None:
    config = small(inr=small().inr.replace(init="unit"))
    built = events_of(config, images)[0]
    assert isinstance(built, Built)
    assert built.layer_parameters == 16 * 16 + 16
    # 64 pixels: 2 -> 8, 16 -> 16 twice, 16 -> 3
    assert built.macs == 64 * (2 * 8 + 2 * 16 * 16 + 16 * 3)
    assert len(built.initial) == 4
    assert all(0.6 < layer.pre_activation < 1.6 for layer in built.initial[1:])
    assert all(layer.emitted_gradient and layer.own_gradient is None for layer in built.initial)


def test_gradients_at_the_start_against_finite_differences() -> None:
    """Of the RGB layer's bias: rgb = tanh(y), so the gradient by a bias number is s_b noise sech^2(y)."""
    torch.manual_seed(0)
    inrs = build_inrs(small(images=2)).double()
    emitted = torch.randn(2, inrs.inr.emitted, dtype=torch.float64)
    last = at_start(inrs, emitted)[-1].emitted_gradient
    noise = torch.randn(2, 64, 3, generator=stream(0, "diagnosis"))
    coords = inrs.coords_PI[torch.randperm(64, generator=stream(0, "diagnosed pixels"))]

    def probe(vector: Tensor) -> float:
        return float((inrs.inr(vector, coords) * noise).sum() / (2 * np.sqrt(64 * 3)))

    start = inrs.inr.emitted - inrs.inr.sizes[-1]
    differences = []
    for image in range(2):
        for index in range(start, inrs.inr.emitted):
            moved = emitted.clone()
            moved[image, index] += 1e-6
            differences.append((probe(moved) - probe(emitted)) / 1e-6)
    assert last == pytest.approx(np.sqrt(np.mean(np.square(differences))), rel=1e-3)
    assert macs(inrs, emitted) > 0


def test_a_job_folder_of_a_fit(tmp_path: Path) -> None:
    job = cfg.Job(config=small(), seed=3)
    list(run_job(job, runs=tmp_path / "jobs", cache=tmp_path / "cache"))
    folder = RunFolder(tmp_path / "jobs", job)
    outcome = folder.outcome()
    assert outcome is not None and outcome.status == "finished" and (outcome.peak_memory or 0) >= 0
    recorded = {name: fields["fingerprint"] for name, fields in folder.read("protocol.json").items()}
    assert list(recorded) == ["mae", "psnr"]
    assert all(e.protocol == recorded[e.metric] for e in folder.events() if isinstance(e, Evaluated))
    assert folder.job() == job
    assert json.loads((folder.path / "job.json").read_text())["config"]["task"] == "reconstruction"
    assert {file.name for file in folder.samples.iterdir()} == {"000010.png", "000020.png", "000030.png", "real.png"}


def test_peak_memory_sees_what_was_freed_again() -> None:
    memory = PeakMemory("cpu")
    held = torch.ones(32, 1024, 1024)
    del held
    peak = memory.peak()
    assert peak is None or peak > 100 * 2**20
