"""Gradient penalties on a critic: what its loss has added at some iterations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

Scores = Callable[[Tensor], Tensor]


class Penalty(Protocol):
    """Weighted as it is added."""

    period: int
    """It is added at every iteration that this divides."""
    needs_real_gradient: bool
    """Whether real samples require a gradient, and are scored by a call of their own: of one call for both, the
    gradient would go back through the fakes as well."""

    def __call__(self, scores_of: Scores, real: Tensor, real_scores: Tensor, fake: Tensor) -> Tensor:
        """Of real and generated samples [B, C, ...], of the scores [B] of the real ones, and of a critic."""
        ...


class R1Penalty:
    """`weight` E |grad D(real)|^2, times `period`, for it is added once in so many iterations."""

    needs_real_gradient = True

    def __init__(self, weight: float, period: int) -> None:
        self.weight, self.period = weight, period

    def __call__(self, scores_of: Scores, real: Tensor, real_scores: Tensor, fake: Tensor) -> Tensor:
        """See `Penalty`."""
        return self.weight * self.period * r1(real_scores, real)


class WganGp:
    """`weight` E (|grad D(x)| - 1)^2 at mixtures x of real and generated samples, drawn from `mixtures`."""

    needs_real_gradient = False

    def __init__(self, weight: float, period: int, mixtures: torch.Generator) -> None:
        self.weight, self.period, self.mixtures = weight, period, mixtures

    def __call__(self, scores_of: Scores, real: Tensor, real_scores: Tensor, fake: Tensor) -> Tensor:
        """See `Penalty`."""
        mix = torch.rand(len(real), generator=self.mixtures, device=real.device)
        return self.weight * wgan_gp(scores_of, real, fake, mix)


def squared_gradient_norm(scores: Tensor, samples: Tensor) -> Tensor:
    """|d scores_i / d samples_i|^2, [B], differentiable once more."""
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradient.square().sum(dim=tuple(range(1, gradient.ndim)))


def r1(real_scores: Tensor, real: Tensor) -> Tensor:
    """E |grad D(real)|^2 (Mescheder et al. 2018, eq. 9, without its 1/2). `real` must require grad."""
    return squared_gradient_norm(real_scores, real).mean()


def wgan_gp(scores_of: Scores, real: Tensor, fake: Tensor, mix_B: Tensor) -> Tensor:
    """E (|grad D(x)| - 1)^2 at x = mix * real + (1 - mix) * fake (Gulrajani et al. 2017, eq. 3)."""
    mixed = torch.lerp(fake, real, mix_B.view(-1, *[1] * (real.ndim - 1))).requires_grad_()
    # The square root has no gradient at zero, where a discriminator that ignores its input would be.
    norm = (squared_gradient_norm(scores_of(mixed), mixed) + 1e-12).sqrt()
    return (norm - 1).square().mean()
