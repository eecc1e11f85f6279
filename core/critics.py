"""A critic: one discriminator with all that is its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from core.grids import Grid, Pair
from core.means import Means
from core.penalties import Penalty
from core.views import WHOLE, Sight, View
from core.views.places import PlaceChannels

Part = Callable[[str], AbstractContextManager[object]]
"""Entered around each part of an iteration, by its name; tests/benchmarks/step.py times them so."""

Losses = tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]
"""(loss of D of real and fake scores, loss of G of fake scores)."""


class Critic:
    """A discriminator, its optimiser, losses, penalty and view, and the weight of its part in G's loss.

    It is met at every iteration that `period` divides, by these `images` of the batch, None: all. With `places` it is
    told where what it sees lies. `mixtures` is the stream of its penalty, where that is its own. The scalars of a
    critic with a `name` are called after it.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        losses: Losses,
        penalty: Penalty,
        view: View,
        *,
        images: slice | None = None,
        places: PlaceChannels | None = None,
        mixtures: torch.Generator | None = None,
        weight: float = 1.0,
        period: int = 1,
        name: str = "",
    ) -> None:
        self.network, self.optimizer, self.penalty, self.view = network, optimizer, penalty, view
        self.d_loss_of, self.g_loss_of = losses
        self.images, self.places, self.mixtures = images, places, mixtures
        self.weight, self.period, self.name = weight, period, name
        self.parameters = list(network.parameters())

    def of_batch(self, samples: Tensor) -> Tensor:
        """Of what there is of every image of the batch, [B, ...], that of the images which it meets."""
        return samples if self.images is None else samples[self.images]

    def update(
        self,
        real: Tensor,
        fake: Tensor,
        iteration: int,
        means: Means,
        part: Part,
        forward: Callable[[], AbstractContextManager[object]],
        sight: Sight = WHOLE,
    ) -> None:
        """One step of the discriminator on real and generated samples [B, C, ...], neither with a gradient."""
        # At every so many steps of its own, of which there is one in `period` iterations.
        regularised = iteration // self.period % self.penalty.period == 0
        if regularised and self.penalty.needs_real_gradient:
            real = real.detach().requires_grad_()
        there, of_fakes = self._places(sight.real, real), self._places(sight.generated, fake)

        def scores_of(samples: Tensor) -> Tensor:
            with forward():
                scores: Tensor = self.network(_with(there, samples))
            return scores

        with part("D forward"), forward():
            real_scores, fake_scores = self._scores(real, _with(there, real), _with(of_fakes, fake))
        loss = adversarial = self.d_loss_of(real_scores, fake_scores)
        if regularised:
            with part("D penalty"):
                added = self.penalty(scores_of, real, real_scores, fake)
            loss = adversarial + added
            means.add(self._called("penalty"), added)
        with part("D backward"):
            self.optimizer.zero_grad(set_to_none=True)
            # Without `inputs`, backward would also fill the gradients of the images that the penalty differentiates.
            loss.backward(inputs=self.parameters)
        with part("D Adam"):
            self.optimizer.step()
        with part("means"):
            means.add(self._called("d_loss"), adversarial)
            means.add(self._called("real_score"), real_scores.mean())
            means.add(self._called("fake_score"), fake_scores.mean())

    def g_loss(
        self, fake: Tensor, forward: Callable[[], AbstractContextManager[object]], sight: Sight = WHOLE
    ) -> Tensor:
        """Its part in G's loss, of samples that lead back to G; the discriminator's own gradients are not needed."""
        self.network.requires_grad_(False)
        with forward():
            scores = self.network(_with(self._places(sight.generated, fake), fake))
        self.network.requires_grad_(True)
        loss = self.g_loss_of(scores)
        return loss if self.weight == 1 else self.weight * loss

    def _scores(self, real: Tensor, seen: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if real.requires_grad:
            return self.network(seen), self.network(fake)
        both: tuple[Tensor, Tensor] = self.network(torch.cat([seen, fake]), minibatches=2).chunk(2)
        return both

    def _places(self, grid: Grid | Pair | None, samples: Tensor) -> Tensor | None:
        if self.places is None:
            return None
        channels = self.places.of(grid).to(samples.device)
        return channels.expand(len(samples), -1, -1, -1)

    def _called(self, scalar: str) -> str:
        return f"{self.name}/{scalar}" if self.name else scalar

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.mixtures is not None:
            state["mixtures"] = self.mixtures.get_state()
        return state | ({"view": view} if (view := self.view.state_dict()) else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.mixtures is not None:
            self.mixtures.set_state(state["mixtures"])
        if "view" in state:
            self.view.load_state_dict(state["view"])


def _with(places: Tensor | None, samples: Tensor) -> Tensor:
    # Behind the samples' own channels, which alone a penalty differentiates.
    return samples if places is None else torch.cat([samples, places], dim=1)
