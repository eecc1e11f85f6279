"""One iteration of an INR-GAN: an update of every critic and, where it is due, one of G. Nothing here waits for the
device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from core import build, precision
from core import config as cfg
from core.critics import Critic, Part
from core.data.feed import feed
from core.data.fine import FineImages
from core.data.shown import Real
from core.grids import Cells
from core.means import Means
from core.models.ema import ExponentialAverage
from core.models.generator import Generator
from core.streams import initialising, stream
from core.views import Sight


class Networks:
    """The networks, their optimisers and random streams: all that changes while a job trains."""

    def __init__(
        self, config: cfg.Config, seed: int, images: Tensor, device: torch.device, fine: FineImages | None = None
    ) -> None:
        """`images` are uint8 [N, 3, R, R], `fine` the same in more detail."""
        with initialising(seed, "generator"):
            self.generator = build.build_generator(config).to(device)
        with initialising(seed, "discriminator"):
            discriminator = build.build_discriminator(config).to(device)
        ema = config.ema
        self.average = ExponentialAverage(self.generator, ema.decay, warmup=ema.warmup) if ema else None
        self.g_optimizer = build.build_generator_optimizer(config.optimizers, self.generator)
        self.real = feed(images, seed, config.batch_size, flip=config.flip, device=device)
        self.fine = fine
        self.latents = stream(seed, "latents", device)
        self.mixtures = stream(seed, "mixtures", device)
        self.critics = build.build_critics(config, discriminator, self.mixtures, seed)

    @property
    def discriminator(self) -> torch.nn.Module:
        """That of the first critic."""
        return self.critics[0].network

    @property
    def d_optimizer(self) -> torch.optim.Optimizer:
        """That of the first critic."""
        return self.critics[0].optimizer

    @property
    def evaluated(self) -> Generator:
        """The generator that is measured: the average where there is one."""
        return self.average.network if self.average else self.generator  # type: ignore[return-value]

    def state_dict(self) -> dict[str, Any]:
        """Checkpoints of versions with one critic have its parts by these names."""
        state: dict[str, Any] = {
            name: getattr(self, name).state_dict()
            for name in ("generator", "discriminator", "g_optimizer", "d_optimizer", "real")
        }
        state |= {name: getattr(self, name).get_state() for name in ("latents", "mixtures")}
        first, *further = self.critics
        if view := first.view.state_dict():
            state["view"] = view
        if further:
            state["critics"] = {critic.name: critic.state_dict() for critic in further}
        if self.average:
            state |= {"average": self.average.network.state_dict(), "average_steps": self.average.steps}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("generator", "discriminator", "g_optimizer", "d_optimizer", "real"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("latents", "mixtures"):
            getattr(self, name).set_state(state[name])
        first, *further = self.critics
        if "view" in state:
            first.view.load_state_dict(state["view"])
        for critic in further:
            critic.load_state_dict(state["critics"][critic.name])
        if self.average:
            self.average.network.load_state_dict(state["average"])
            self.average.steps = state["average_steps"]


class Step:
    """Called with the number of an iteration, from 1 on, it updates `networks` and adds to `means`."""

    def __init__(
        self, config: cfg.Config, networks: Networks, means: Means, part: Part = lambda _: nullcontext()
    ) -> None:
        self.config, self.networks, self.means, self.part = config, networks, means, part
        self.g_params = list(networks.generator.parameters())
        self.device = self.g_params[0].device

    def __call__(self, iteration: int) -> None:
        due = [critic for critic in self.networks.critics if iteration % critic.period == 0]
        updates_g = iteration % self.config.d_per_g == 0
        sights = [critic.view.next(iteration) for critic in due]
        generator = self.networks.generator
        with precision.products(self.config.precision):
            # Where G's update follows, it reuses the fakes of D's: one pass through G less.
            with self.part("G forward"), torch.set_grad_enabled(updates_g), self.forward():
                emitted = generator.hypernetwork(self.latents())
                fakes = [
                    generator.render(critic.of_batch(emitted), sight.generated)
                    for critic, sight in zip(due, sights, strict=True)
                ]
            with self.part("real images"):
                real = Real(self.networks.real.take(), generator.signal, self.networks.fine)
            for critic, sight, fake in zip(due, sights, fakes, strict=True):
                with self.part("real images"):
                    met = real if critic.images is None else real.part(critic.images)
                    shown = critic.view.of_real(met, sight)
                critic.update(shown, fake.detach(), iteration, self.means, self.part, self.forward, sight)
            if updates_g:
                self.update_g(due, sights, fakes, emitted)

    def update_g(self, critics: list[Critic], sights: list[Sight], fakes: list[Tensor], emitted: Tensor) -> None:
        """One step of G on what these critics say of `fakes` [B, C, ...], which lead back to G, as `emitted` does."""
        nets = self.networks
        with self.part("G's D forward"):
            losses = [
                critic.g_loss(fake, self.forward, sight)
                for critic, sight, fake in zip(critics, sights, fakes, strict=True)
            ]
            if self.config.consistency:
                losses += self._inconsistency(self.config.consistency, critics, sights, fakes, emitted)
            loss = losses[0] if len(losses) == 1 else torch.stack(losses).sum()
        with self.part("G backward"):
            gradients = torch.autograd.grad(loss, self.g_params, allow_unused=True)
        for param, gradient in zip(self.g_params, gradients, strict=True):
            param.grad = gradient
        with self.part("G Adam"):
            nets.g_optimizer.step()
        if nets.average:
            with self.part("EMA"):
                nets.average.update(nets.generator)
        with self.part("means"):
            self.means.add("g_loss", loss)

    def _inconsistency(
        self,
        config: cfg.Consistency,
        critics: list[Critic],
        sights: list[Sight],
        fakes: list[Tensor],
        emitted: Tensor,
    ) -> Iterator[Tensor]:
        """How far what further critics see lies from the same in larger pixels."""
        for critic, sight, fake in zip(critics, sights, fakes, strict=True):
            if critic.name and isinstance(sight.generated, Cells):
                with torch.no_grad(), self.forward():
                    grid = sight.generated.merged(config.block)
                    coarse = self.networks.generator.render(critic.of_batch(emitted), grid)
                yield config.weight * (avg_pool2d(fake, config.block) - coarse).abs().mean()

    def forward(self) -> AbstractContextManager[object]:
        return precision.forward(self.config.precision, self.device)

    def latents(self) -> Tensor:
        shape = (self.config.batch_size, self.config.hypernetwork.latent_dim)
        return torch.randn(shape, generator=self.networks.latents, device=self.device)
