"""Losses and penalties against closed forms."""

import math

import pytest
import torch

from core import losses, penalties


def test_losses_at_known_scores() -> None:
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 3.0])
    assert losses.wasserstein_d(real, fake).item() == pytest.approx(1 - 1)
    assert losses.wasserstein_g(fake).item() == pytest.approx(-1)
    log = lambda s: math.log(1 / (1 + math.exp(-s)))  # noqa: E731
    assert losses.non_saturating_d(real, fake).item() == pytest.approx(-(log(2) + log(0)) / 2 - (log(1) + log(-3)) / 2)
    assert losses.non_saturating_g(fake).item() == pytest.approx(-(log(-1) + log(3)) / 2)


def test_d_and_g_pull_in_opposite_directions() -> None:
    for d_loss, g_loss in (
        (losses.wasserstein_d, losses.wasserstein_g),
        (losses.non_saturating_d, losses.non_saturating_g),
    ):
        fake = torch.zeros(3, requires_grad=True)
        (for_d,) = torch.autograd.grad(d_loss(torch.zeros(3), fake), fake)
        (for_g,) = torch.autograd.grad(g_loss(fake), fake)
        assert (for_d * for_g < 0).all()


def test_penalties_of_a_linear_discriminator() -> None:
    """D(x) = w . x has gradient w everywhere: R1 is |w|^2, WGAN-GP (|w| - 1)^2."""
    w = torch.randn(3, 4, 4)
    discriminator = lambda x: (x * w).sum(dim=(1, 2, 3))  # noqa: E731
    real, fake = torch.randn(5, 3, 4, 4, requires_grad=True), torch.randn(5, 3, 4, 4)
    norm = w.norm().item()
    assert penalties.r1(discriminator(real), real).item() == pytest.approx(norm**2, rel=1e-5)
    penalty = penalties.wgan_gp(discriminator, real.detach(), fake, torch.rand(5))
    assert penalty.item() == pytest.approx((norm - 1) ** 2, rel=1e-5)


def test_wgan_gp_mixes_real_and_fake() -> None:
    """D(x) = |x|^2 / 2 has gradient x, so the penalty shows where it was taken."""
    seen = []

    def discriminator(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach())
        return x.square().sum(dim=(1, 2, 3)) / 2

    real, fake = torch.ones(2, 1, 1, 1), torch.full((2, 1, 1, 1), 3.0)
    penalty = penalties.wgan_gp(discriminator, real, fake, torch.tensor([1.0, 0.5]))
    assert seen[0].flatten().tolist() == [1.0, 2.0]
    assert penalty.item() == pytest.approx(((1 - 1) ** 2 + (2 - 1) ** 2) / 2)


def test_penalties_can_be_differentiated_for_d() -> None:
    scale = torch.tensor(2.0, requires_grad=True)
    real = torch.randn(3, 1, 2, 2, requires_grad=True)
    penalties.r1(scale * real.sum(dim=(1, 2, 3)), real).backward()
    assert scale.grad is not None and scale.grad.item() == pytest.approx(2 * 2 * 4, rel=1e-5)
