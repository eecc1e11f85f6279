"""Gradient penalties on the discriminator, not yet weighted."""

from collections.abc import Callable

import torch
from torch import Tensor

Scores = Callable[[Tensor], Tensor]


def squared_gradient_norm(scores: Tensor, images: Tensor) -> Tensor:
    """|d scores_i / d images_i|^2, [B], differentiable once more."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3))


def r1(real_scores: Tensor, real: Tensor) -> Tensor:
    """E |grad D(real)|^2 (Mescheder et al. 2018, eq. 9, without its 1/2). `real` must require grad."""
    return squared_gradient_norm(real_scores, real).mean()


def wgan_gp(discriminator: Scores, real: Tensor, fake: Tensor, mix_B: Tensor) -> Tensor:
    """E (|grad D(x)| - 1)^2 at x = mix * real + (1 - mix) * fake (Gulrajani et al. 2017, eq. 3)."""
    mixed = torch.lerp(fake, real, mix_B.view(-1, 1, 1, 1)).requires_grad_()
    # The square root has no gradient at zero, where a discriminator that ignores its input would be.
    norm = (squared_gradient_norm(discriminator(mixed), mixed) + 1e-12).sqrt()
    return (norm - 1).square().mean()
