"""SELinear: a shared weight, every entry modulated by the sigmoid of an emitted number (squeeze and excitation)."""

import torch
from torch import Tensor, nn

from core.models.layers.emitted import EmittedLayer


class SELinear(EmittedLayer):
    """W = s_w W_sh * 2 sigmoid(s P), b = s_b b_sh * 2 sigmoid(t p) (`INRSELinear`; n^2 + n emitted numbers).

    The public code scales before the sigmoid, s = s_w and t = s_b, which leaves a modulation of 1 +- 0.04 at width 256;
    with `scale_inside` off s = t = 1.
    """

    def __init__(self, inputs: int, outputs: int, *, scale_inside: bool, weight_std: float, bias_std: float) -> None:
        super().__init__(inputs, outputs, weight_std=weight_std, bias_std=bias_std)
        self.emitted = inputs * outputs + outputs
        self.inside = (weight_std, bias_std) if scale_inside else (1.0, 1.0)
        self.weight_IO = nn.Parameter(torch.randn(inputs, outputs))
        self.bias_O = nn.Parameter(torch.randn(outputs))

    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        p_BIO, p_BO = emitted_BE.split([self.inputs * self.outputs, self.outputs], dim=1)
        s, t = self.inside
        gates_BIO = torch.sigmoid(s * p_BIO.view(-1, self.inputs, self.outputs))
        weight_BIO = (2 * self.gain * self.weight_std * self.weight_IO) * gates_BIO
        return weight_BIO, (2 * self.gain * self.bias_std * self.bias_O) * torch.sigmoid(t * p_BO)
