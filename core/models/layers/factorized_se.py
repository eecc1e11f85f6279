"""FactorizedSE: a shared weight, modulated by the sigmoid of an emitted low-rank product."""

import math

import torch
from torch import Tensor, nn

from core.models.layers.emitted import EmittedLayer


class FactorizedSE(EmittedLayer):
    """W = W_sh * 2 sigmoid(A B), b = s_b p (`INRFactorizedSELinear`; 2nr + n emitted numbers for n x n).

    A is O x R and B is R x I. W_sh ~ N(0, s_w^2) is an ordinary parameter. The sigmoid of a low-rank matrix is not
    low-rank, so W is materialised per image. The public code of 2020 has no 1 / sqrt(R) in front of A B; `root_rank`
    puts it there, which keeps the sigmoid from saturating when A and B have unit variance.
    """

    def __init__(
        self, inputs: int, outputs: int, *, rank: int, root_rank: bool, weight_std: float, bias_std: float
    ) -> None:
        super().__init__(inputs, outputs, weight_std=weight_std, bias_std=bias_std)
        self.rank = rank
        self.product_scale = 1 / math.sqrt(rank) if root_rank else 1.0
        self.emitted = rank * (inputs + outputs) + outputs
        self.weight_IO = nn.Parameter(weight_std * torch.randn(inputs, outputs))

    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        b_BIR, a_BRO, p_BO = emitted_BE.split([self.inputs * self.rank, self.rank * self.outputs, self.outputs], dim=1)
        product_BIO = b_BIR.view(-1, self.inputs, self.rank) @ a_BRO.view(-1, self.rank, self.outputs)
        weight_BIO = (2 * self.gain * self.weight_IO) * torch.sigmoid(self.product_scale * product_BIO)
        return weight_BIO, (self.gain * self.bias_std) * p_BO
