"""Adversarial losses of D and G as functions of scores [B]."""

from torch import Tensor
from torch.nn.functional import softplus


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    """E D(fake) - E D(real) (Arjovsky et al. 2017, alg. 1)."""
    return fake.mean() - real.mean()


def wasserstein_g(fake: Tensor) -> Tensor:
    """-E D(fake) (Arjovsky et al. 2017, alg. 1)."""
    return -fake.mean()


def non_saturating_d(real: Tensor, fake: Tensor) -> Tensor:
    """-E log sigmoid(D(real)) - E log(1 - sigmoid(D(fake))) (Goodfellow et al. 2014, eq. 1)."""
    return softplus(-real).mean() + softplus(fake).mean()


def non_saturating_g(fake: Tensor) -> Tensor:
    """-E log sigmoid(D(fake)) (Goodfellow et al. 2014, section 3)."""
    return softplus(-fake).mean()
