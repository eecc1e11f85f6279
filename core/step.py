"""One iteration of an INR-GAN: an update of D and, where it is due, one of G. Nothing here waits for the device."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, assert_never

import torch
from torch import Tensor

from core import config as cfg
from core import penalties, precision
from core.build import (
    build_discriminator,
    build_generator,
    build_generator_optimizer,
    build_loss,
    build_optimizer,
)
from core.data.feed import feed
from core.models.ema import ExponentialAverage
from core.models.generator import Generator
from core.pixels import to_unit_range
from core.streams import initialising, stream


class Networks:
    """The networks, their optimisers and random streams: all that changes while a job trains."""

    def __init__(self, config: cfg.Config, seed: int, images: Tensor, device: torch.device) -> None:
        with initialising(seed, "generator"):
            self.generator = build_generator(config).to(device)
        with initialising(seed, "discriminator"):
            self.discriminator = build_discriminator(config).to(device).to(memory_format=torch.channels_last)
        ema = config.ema
        self.average = ExponentialAverage(self.generator, ema.decay, warmup=ema.warmup) if ema else None
        adams, d_rate = config.optimizers, config.optimizers.learning_rates.discriminator
        self.g_optimizer = build_generator_optimizer(adams, self.generator)
        self.d_optimizer = build_optimizer(adams.discriminator, d_rate, self.discriminator)
        self.real = feed(images, seed, config.batch_size, flip=config.flip, device=device)
        self.latents = stream(seed, "latents", device)
        self.mixtures = stream(seed, "mixtures", device)

    @property
    def evaluated(self) -> Generator:
        """The generator that is measured: the average where there is one."""
        return self.average.network if self.average else self.generator  # type: ignore[return-value]

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            name: getattr(self, name).state_dict()
            for name in ("generator", "discriminator", "g_optimizer", "d_optimizer", "real")
        }
        state |= {name: getattr(self, name).get_state() for name in ("latents", "mixtures")}
        if self.average:
            state |= {"average": self.average.network.state_dict(), "average_steps": self.average.steps}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("generator", "discriminator", "g_optimizer", "d_optimizer", "real"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("latents", "mixtures"):
            getattr(self, name).set_state(state[name])
        if self.average:
            self.average.network.load_state_dict(state["average"])
            self.average.steps = state["average_steps"]


class Means:
    """Means of scalars over a stretch of iterations, summed on the device so that nothing waits for them."""

    NAMES = ("d_loss", "g_loss", "penalty", "real_score", "fake_score")

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(len(self.NAMES), device=device)
        self.counts = [0] * len(self.NAMES)

    def add(self, name: str, value: Tensor) -> None:
        index = self.NAMES.index(name)
        self.sums[index] += value.detach()
        self.counts[index] += 1

    def take(self) -> dict[str, float]:
        """The means, 0 for what did not occur, and starts anew. Waits for the device."""
        pairs = zip(self.NAMES, self.sums.tolist(), self.counts, strict=True)
        means = {name: total / max(count, 1) for name, total, count in pairs}
        self.sums, self.counts = torch.zeros_like(self.sums), [0] * len(self.NAMES)
        return means

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.counts = state["sums"].to(self.sums.device), list(state["counts"])


Part = Callable[[str], AbstractContextManager[object]]
"""Entered around each part of an iteration, by its name; tests/benchmarks/step.py times them so."""


class Step:
    """Called with the number of an iteration, from 1 on, it updates `networks` and adds to `means`."""

    def __init__(
        self, config: cfg.Config, networks: Networks, means: Means, part: Part = lambda _: nullcontext()
    ) -> None:
        self.config, self.networks, self.means, self.part = config, networks, means, part
        self.d_loss_of, self.g_loss_of = build_loss(config.loss)
        self.g_params = list(networks.generator.parameters())
        self.d_params = list(networks.discriminator.parameters())
        self.device = self.g_params[0].device

    def __call__(self, iteration: int) -> None:
        updates_g = iteration % self.config.d_per_g == 0
        regularised = is_regularised(self.config.penalty, iteration)
        with precision.products(self.config.precision):
            # Where G's update follows, it reuses the fakes of D's: one pass through G less.
            with self.part("G forward"), torch.set_grad_enabled(updates_g), self.forward():
                fake = self.networks.generator(self.latents())
            self.update_d(fake.detach(), regularised)
            if updates_g:
                self.update_g(fake)

    def update_d(self, fake: Tensor, regularised: bool) -> None:
        nets, penalty = self.networks, self.config.penalty
        with self.part("real images"):
            real = to_unit_range(nets.real.take()).contiguous(memory_format=torch.channels_last)
            real.requires_grad_(regularised and isinstance(penalty, cfg.R1))
        with self.part("D forward"), self.forward():
            real_scores, fake_scores = self.scores(real, fake)
        loss = adversarial = self.d_loss_of(real_scores, fake_scores)
        if regularised:
            with self.part("D penalty"):
                added = self.penalty(real, real_scores, fake)
            loss = adversarial + added
            self.means.add("penalty", added)
        with self.part("D backward"):
            nets.d_optimizer.zero_grad(set_to_none=True)
            # Of all leaves: no gradients of images, which a penalty's own gradient has gone through.
            loss.backward(inputs=self.d_params)
        with self.part("D Adam"):
            nets.d_optimizer.step()
        with self.part("means"):
            self.means.add("d_loss", adversarial)
            self.means.add("real_score", real_scores.mean())
            self.means.add("fake_score", fake_scores.mean())

    def update_g(self, fake: Tensor) -> None:
        """`fake` [B, 3, R, R] leads back to G; D's own gradients are not needed for it."""
        nets = self.networks
        nets.discriminator.requires_grad_(False)
        with self.part("G's D forward"), self.forward():
            scores = nets.discriminator(fake)
        loss = self.g_loss_of(scores)
        with self.part("G backward"):
            gradients = torch.autograd.grad(loss, self.g_params, allow_unused=True)
        nets.discriminator.requires_grad_(True)
        for param, gradient in zip(self.g_params, gradients, strict=True):
            param.grad = gradient
        with self.part("G Adam"):
            nets.g_optimizer.step()
        if nets.average:
            with self.part("EMA"):
                nets.average.update(nets.generator)
        with self.part("means"):
            self.means.add("g_loss", loss)

    def forward(self) -> AbstractContextManager[object]:
        return precision.forward(self.config.precision, self.device)

    def latents(self) -> Tensor:
        shape = (self.config.batch_size, self.config.hypernetwork.latent_dim)
        return torch.randn(shape, generator=self.networks.latents, device=self.device)

    def penalty(self, real: Tensor, real_scores: Tensor, fake: Tensor) -> Tensor:
        match self.config.penalty:
            case cfg.GradientPenalty(weight=weight):
                mix = torch.rand(len(real), generator=self.networks.mixtures, device=self.device)
                return weight * penalties.wgan_gp(self._mixed_scores, real, fake, mix)
            case cfg.R1(weight=weight, interval=interval):
                return weight * interval * penalties.r1(real_scores, real)
            case _:
                assert_never(self.config.penalty)

    def scores(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        discriminator = self.networks.discriminator
        if real.requires_grad:
            # Of one call for both, R1's gradient would go back through the fakes as well.
            return discriminator(real), discriminator(fake)
        both: tuple[Tensor, Tensor] = discriminator(torch.cat([real, fake]), minibatches=2).chunk(2)
        return both

    def _mixed_scores(self, mixed: Tensor) -> Tensor:
        with self.forward():
            scores: Tensor = self.networks.discriminator(mixed)
        return scores


def is_regularised(penalty: cfg.Penalty, iteration: int) -> bool:
    """Whether this iteration's update of D has its penalty."""
    return isinstance(penalty, cfg.GradientPenalty) or iteration % penalty.interval == 0
