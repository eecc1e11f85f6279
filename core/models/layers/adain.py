"""AdaIN: a shared layer whose outputs are scaled and shifted per image."""

import torch
from torch import Tensor, nn

from core.models.layers.emitted import EmittedLayer


class AdaIN(EmittedLayer):
    """y = (s_w x W_sh + s_b b_sh) * 2 sigmoid(p_s) + p_b (`INRSharedLinear`, `INRAdaIN`; 2n emitted numbers).

    Despite the name nothing is normalised (Huang and Belongie 2017 do): it is FiLM with a bounded scale.
    """

    def __init__(self, inputs: int, outputs: int, *, weight_std: float, bias_std: float) -> None:
        super().__init__(inputs, outputs, weight_std=weight_std, bias_std=bias_std)
        self.emitted = 2 * outputs
        self.weight_IO = nn.Parameter(torch.randn(inputs, outputs))
        self.bias_O = nn.Parameter(torch.randn(outputs))

    def modulation(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        """The scale of x W_sh and the bias, [B, O] each, the gain included."""
        s_BO, p_BO = emitted_BE.split(self.outputs, dim=1)
        scale_BO = (2 * self.gain) * torch.sigmoid(s_BO)
        return self.weight_std * scale_BO, (self.bias_std * self.bias_O) * scale_BO + self.gain * p_BO

    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        scale_BO, bias_BO = self.modulation(emitted_BE)
        return self.weight_IO * scale_BO.unsqueeze(1), bias_BO

    def structured(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        """The same without a weight per image: one shared product, its outputs scaled and shifted."""
        scale_BO, bias_BO = self.modulation(emitted_BE)
        return torch.addcmul(bias_BO.unsqueeze(1), x_BPI @ self.weight_IO, scale_BO.unsqueeze(1))

    def prefers_structure(self, pixels: int) -> bool:
        # Modulating activations costs P x O an image, modulating weights I x O, in fewer passes.
        return 4 * pixels <= self.inputs
