"""The step against the plain one: the same numbers, whatever was done for speed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core import config as cfg
from core.means import Means
from core.step import Networks, Step
from tests.core.conftest import EMISSION, small_config
from tests.core.plain import PlainStep

VARIANTS: dict[str, dict[str, object]] = {
    "baseline": {},
    "all": {
        "inr": cfg.Inr(basis=cfg.Fourier(scale=4.0), layer=cfg.FactorizedSE(rank=3), width=8, depth=3),
        "ema": cfg.Ema(decay=0.9),
        "penalty": cfg.R1(weight=1.0, interval=2),
        "loss": cfg.NonSaturating(),
        "hypernetwork": cfg.Hypernetwork(emission=EMISSION, latent_dim=8, width=16, depth=3, residual_weight=0.1),
        "d_per_g": 1,
        "discriminator": cfg.StridedDiscriminator(width=4, blocks=1, hidden=8),
    },
}


def networks(config: cfg.Config, images: Tensor) -> Networks:
    return Networks(config, 0, images, torch.device("cpu"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_are_the_plain_steps(variant: str, images: Tensor) -> None:
    config = small_config(**VARIANTS[variant])
    ours, others = networks(config, images), networks(config, images)
    means = Means(torch.device("cpu"))
    step, plain = Step(config, ours, means), PlainStep(config, others)
    for iteration in range(1, 13):
        step(iteration)
        found, expected = means.take(), plain(iteration)
        if config.loss == cfg.Wasserstein():
            # The bias of all scores has no gradient but rounding errors, and Adam makes steps of them.
            expected = {name: value for name, value in expected.items() if name in ("d_loss", "penalty")}
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5, abs=1e-6)
    # Images, not parameters: Adam makes steps of the rounding errors of a bias that a batch norm takes out again.
    z = torch.randn(16, config.hypernetwork.latent_dim, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours.evaluated(z), (plain.average or plain.generator)(z), rtol=1e-4, atol=1e-5)
