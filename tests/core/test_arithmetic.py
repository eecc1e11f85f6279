"""The arithmetic of training counted from configs is what torch counts while it trains."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from core import arithmetic
from core import config as cfg
from core.data.feed import Batch
from core.grids import Cells
from core.means import Means
from core.reconstruct import build_inrs
from core.step import Networks, Step
from tests.benchmarks.counting import Counter

SMALL = cfg.Config(
    data=cfg.Rooms(resolution=16, train=32, held_out=32),
    inr=cfg.Inr(width=8, depth=3),
    hypernetwork=cfg.Hypernetwork(latent_dim=16, width=24, depth=3),
    discriminator=cfg.StridedDiscriminator(width=4, hidden=8),
    batch_size=4,
    d_per_g=2,
    iterations=4,
)


def test_a_config_of_any_depth_is_counted_at_once() -> None:
    deep = cfg.Config(**{**dict(SMALL), "inr": cfg.Inr(width=8, depth=10**12)})
    assert sum(count * size for count, size in arithmetic.sizes_of(deep.inr)) > 10**12
    assert arithmetic.training(deep) > 10**12


def changed(**fields: object) -> cfg.Config:
    return cfg.Config(**{**dict(SMALL), **fields})


def inr(**fields: object) -> cfg.Config:
    return changed(inr=cfg.Inr(**{**dict(SMALL.inr), **fields}))


def looking(**fields: object) -> cfg.Config:
    return changed(fine=cfg.Pool(resolution=64), **fields)


class Flat:
    """Fine images that take no product: real ones are no part of the networks."""

    def seen(self, batch: Batch, grid: Cells, filtered: str) -> Tensor:
        return torch.full((len(batch.indices), 3, grid.height, grid.width), 99, dtype=torch.uint8)


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        changed(d_per_g=1, penalty=cfg.R1(interval=2)),
        changed(penalty=cfg.R1(), loss=cfg.NonSaturating()),
        changed(discriminator=cfg.ResNetDiscriminator(width=4, blocks=2)),
        changed(discriminator=cfg.ResNetDiscriminator(width=4, blocks=2), penalty=cfg.R1(interval=4)),
        changed(hypernetwork=cfg.Hypernetwork(latent_dim=16, width=24, depth=2, heads=cfg.Heads(width=8, depth=2))),
        inr(basis=cfg.Fourier(), coordinates=cfg.Coordinates(layer="shared"), residual=True),
        inr(layer=cfg.SELinear()),
        inr(layer=cfg.MFiLM()),
        inr(layer=cfg.AdaIN()),
        inr(layer=cfg.Factorized(rank=2)),
        inr(layer=cfg.Factorized(rank=3)),
        inr(layer=cfg.FactorizedSE(rank=3)),
        looking(looks=cfg.Looks(view=cfg.Patches(), places=cfg.Places())),
        looking(looks=cfg.Looks(view=cfg.Beside(), places=cfg.Places()), penalty=cfg.R1()),
        looking(
            looks=cfg.Looks(view=cfg.Growing(sizes=(8, 16)), share=0.5),
            discriminator=cfg.PooledDiscriminator(width=4, hidden=8, pool=2),
        ),
        looking(
            inr=cfg.Inr(width=8, depth=3, coordinates=cfg.Coordinates(layer="shared")),
            critics=(
                cfg.Critic(name="patch", share=0.5, penalty=cfg.R1(interval=2)),
                cfg.Critic(name="large", view=cfg.Sizes(sizes=(32,)), period=2),
            ),
            consistency=cfg.Consistency(),
        ),
        inr(footprint=cfg.Averaged(points=3)),
        inr(footprint=cfg.BoxMean()),
        inr(depth=7, scales=cfg.MultiScale(blocks=3), basis=cfg.Fourier()),
        inr(depth=4, scales=cfg.MultiScale(factor=3), layer=cfg.Factorized(rank=2), footprint=cfg.Averaged()),
        changed(
            hypernetwork=cfg.Hypernetwork(latent_dim=16, width=24, depth=2, heads=cfg.Heads(width=8, depth=2)),
            inr=cfg.Inr(width=8, depth=5, scales=cfg.MultiScale(blocks=3), layer=cfg.MFiLM()),
        ),
        inr(scales=cfg.MultiScale(), coordinates=cfg.Coordinates(layer="shared"), layer=cfg.AdaIN(), residual=True),
    ],
)
def test_counts_of_a_gans_training_are_those_of_the_operations_that_ran(config: cfg.Config) -> None:
    images, names = torch.zeros(32, 3, 16, 16, dtype=torch.uint8), [critic.name for critic in config.critics]
    step = Step(config, Networks(config, 0, images, torch.device("cpu"), Flat()), Means(torch.device("cpu"), names))
    with Counter() as counter:
        for iteration in range(1, config.iterations + 1):
            step(iteration)
    assert 2 * arithmetic.training(config) == counter.flops


@pytest.mark.parametrize(
    ("emitter", "layer"),
    [(cfg.FreeParameters(), cfg.Linear()), (cfg.LatentCodes(), cfg.FactorizedSE(rank=2))],
)
def test_counts_of_a_fit_are_those_of_the_operations_that_ran(emitter: cfg.Emitter, layer: cfg.Layer) -> None:
    config = cfg.Reconstruction(
        data=cfg.Rooms(resolution=8), images=2, inr=cfg.Inr(width=8, depth=3, layer=layer), emitter=emitter
    )
    inrs = build_inrs(config)
    with Counter() as counter:
        inrs().sum().backward()
    assert 2 * arithmetic.training(config, 1) == counter.flops


def test_g_is_updated_at_every_so_many_iterations() -> None:
    assert [arithmetic.g_updates(changed(d_per_g=n, iterations=800)) for n in (1, 5)] == [800, 160]
    assert arithmetic.g_updates(cfg.Reconstruction(iterations=70)) == 70
    part = arithmetic.parts(SMALL)
    assert arithmetic.training(SMALL, 3) == 3 * (part.d + part.penalty) + part.g
