"""Linear: the hypernetwork emits every weight and bias."""

from torch import Tensor

from core.models.layers.emitted import EmittedLayer


class Linear(EmittedLayer):
    """W = s_w P, b = s_b p (public code `INRLinear`; n^2 + n emitted numbers for n x n)."""

    def __init__(self, inputs: int, outputs: int, *, weight_std: float, bias_std: float) -> None:
        super().__init__(inputs, outputs, weight_std=weight_std, bias_std=bias_std)
        self.emitted = inputs * outputs + outputs

    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        p_BIO, p_BO = emitted_BE.split([self.inputs * self.outputs, self.outputs], dim=1)
        weight_BIO = (self.gain * self.weight_std) * p_BIO.view(-1, self.inputs, self.outputs)
        return weight_BIO, (self.gain * self.bias_std) * p_BO
