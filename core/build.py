"""From config node to module or function: one `match` per axis."""

from collections.abc import Callable
from functools import partial
from typing import assert_never

import torch
from torch import Tensor

from core import config as cfg
from core import losses
from core.models.discriminator import Discriminator
from core.models.generator import Generator
from core.models.inr import LayerFactory
from core.models.layers.factorized_se import FactorizedSE
from core.models.layers.linear import Linear


def build_layer(layer: cfg.Layer) -> LayerFactory:
    """The hidden layer's class with its own settings bound."""
    match layer:
        case cfg.Linear():
            return Linear
        case cfg.FactorizedSE(rank=rank, root_rank=root_rank):
            return partial(FactorizedSE, rank=rank, root_rank=root_rank)
        case _:
            assert_never(layer)


def build_generator(config: cfg.Config) -> Generator:
    """The generator, initialised from torch's global random state."""
    return Generator(config, build_layer(config.inr.layer))


def build_discriminator(config: cfg.Config) -> Discriminator:
    """The discriminator, initialised from torch's global random state."""
    return Discriminator(config.discriminator, config.data.resolution)


def build_loss(loss: cfg.Loss) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """(loss of D of real and fake scores, loss of G of fake scores)."""
    match loss:
        case cfg.Wasserstein():
            return losses.wasserstein_d, losses.wasserstein_g
        case cfg.NonSaturating():
            return losses.non_saturating_d, losses.non_saturating_g
        case _:
            assert_never(loss)


def build_optimizer(adam: cfg.Adam, module: torch.nn.Module) -> torch.optim.Adam:
    """Adam over all parameters of `module`."""
    betas = (adam.beta1, adam.beta2)
    return torch.optim.Adam(module.parameters(), lr=adam.learning_rate, betas=betas, eps=adam.epsilon, fused=True)
