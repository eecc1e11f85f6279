"""Linear: the hypernetwork emits every weight and bias."""

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """W = s_w P, b = s_b p (`INRLinear`; n^2 + n emitted numbers for n x n).

    `weight_std` s_w and `bias_std` s_b scale emitted standard normals at run time.
    """

    def __init__(self, inputs: int, outputs: int, *, weight_std: float, bias_std: float) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.weight_std, self.bias_std = weight_std, bias_std
        self.emitted = inputs * outputs + outputs

    def forward(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        p_BIO, p_BO = emitted_BE.split([self.inputs * self.outputs, self.outputs], dim=1)
        weight_BIO = self.weight_std * p_BIO.view(-1, self.inputs, self.outputs)
        return torch.baddbmm(self.bias_std * p_BO.unsqueeze(1), x_BPI, weight_BIO)
