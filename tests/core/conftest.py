"""Small jobs that exercise every part of the loop in well under a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core import config as cfg
from core import recorder
from core.metrics.protocol import Protocol, of_metric

EMISSION = cfg.Emission(gain=0.3, bias_std=1.0)


def small_config(**nodes: object) -> cfg.Config:
    """The baseline at 8x8 and a handful of iterations, with these nodes replaced."""
    values: dict[str, object] = {
        "data": cfg.Rooms(resolution=8, train=64, held_out=32),
        "inr": cfg.Inr(width=8, depth=3),
        "flip": False,
        "hypernetwork": cfg.Hypernetwork(latent_dim=8, width=16, depth=3, emission=EMISSION),
        "discriminator": cfg.ResNetDiscriminator(width=4, blocks=2),
        "batch_size": 6,
        "iterations": 12,
        "d_per_g": 2,
        "evaluation": cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5),
    }
    return cfg.Config(**{**values, **nodes})  # type: ignore[arg-type]


def a_protocol(series: str = "fd_rooms") -> Protocol:
    """The protocol of 64 generated against 32 real images of 8 x 8."""
    protocol = of_metric(
        cfg.RoomsFrechet(samples=64),
        weights="ab" * 32,
        side=8,
        real_samples=32,
        real_content="cd" * 32,
        latents_seed=8192,
    )
    return protocol.derived(series)


class MeanPixel:
    """A metric that needs no network: the mean pixel of what was generated."""

    key, quantised = "mean_pixel", True
    protocol = a_protocol("mean_pixel")

    def __call__(self, images: Iterator[Tensor]) -> float:
        return torch.cat([batch.double() for batch in images]).mean().item()


def smooth_images() -> Tensor:
    """64 smooth random images, uint8 [64, 3, 8, 8]."""
    coarse = torch.rand(64, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=8, mode="bilinear", align_corners=False)
    return (smooth * 255).to(torch.uint8)


@pytest.fixture(scope="session")
def images() -> Tensor:
    return smooth_images()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums depend on the number of threads; recorded numbers are those of one."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def every_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every iteration, however little time went by."""
    monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(recorder, "CHECKPOINT_COST_FACTOR", 0.0)
