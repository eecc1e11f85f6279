"""Factorized: the weight is an emitted low-rank product."""

import math

import torch
from torch import Tensor

from core.models.layers.emitted import EmittedLayer


class Factorized(EmittedLayer):
    """W = s_w A B, b = s_b p with A of O x R and B of R x I (`INRFactorizedLinear`; 2nr + n emitted numbers).

    As the public code has it: no 1 / sqrt(R), so entries of W start with a standard deviation of s_w sqrt(R).
    `root_rank` puts the root there.
    """

    def __init__(
        self, inputs: int, outputs: int, *, rank: int, root_rank: bool, weight_std: float, bias_std: float
    ) -> None:
        super().__init__(inputs, outputs, weight_std=weight_std, bias_std=bias_std)
        self.rank = rank
        self.product_scale = 1 / math.sqrt(rank) if root_rank else 1.0
        self.emitted = rank * (inputs + outputs) + outputs

    def factors(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """B [B, I, R], A [B, R, O] with all constants in it, and the bias [B, O]."""
        b_BIR, a_BRO, p_BO = emitted_BE.split([self.inputs * self.rank, self.rank * self.outputs, self.outputs], dim=1)
        a_BRO = (self.gain * self.weight_std * self.product_scale) * a_BRO.view(-1, self.rank, self.outputs)
        return b_BIR.view(-1, self.inputs, self.rank), a_BRO, (self.gain * self.bias_std) * p_BO

    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        b_BIR, a_BRO, bias_BO = self.factors(emitted_BE)
        return b_BIR @ a_BRO, bias_BO

    def structured(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        """The same through R numbers a pixel: y = (x B) A + b."""
        b_BIR, a_BRO, bias_BO = self.factors(emitted_BE)
        return torch.baddbmm(bias_BO.unsqueeze(1), x_BPI @ b_BIR, a_BRO)

    def prefers_structure(self, pixels: int) -> bool:
        # Two thin products must save enough arithmetic to pay for running slower than one square one.
        return 2 * self.rank * (self.inputs + self.outputs) <= self.inputs * self.outputs
