"""mFiLM: a shared weight whose rows are scaled and shifted by emitted numbers (after Cong et al. 2020, GAN memory)."""

import torch
from torch import Tensor, nn

from core.models.layers.emitted import EmittedLayer, rms

SHIFT_SHARE = 0.2
"""Calibrated, the shift starts at this part of the modulated weight's output, as biases do."""


class MFiLM(EmittedLayer):
    """W = g * W_0 + h for every output, b = b_sh + c; g, h, c emitted, one number per output each (3n for n x n).

    The deck's three rows:
    - `normalise`, not `scale`, "mFiLM": W_0 is W_sh with every output's weights brought to mean 0 and variance 1, and
      g, h, c are the emitted numbers as they are. GAN memory's formula, a reading: no public code has this row.
    - neither, "mFiLM -norm": W_0 = s_w W_sh; h and the biases in units of s_w and s_b. A reading as well.
    - `scale`, "mFiLM -norm +scale": g = 1 + p / 10, h = s_w p / 10, c = s_b p / 10 (`INRmFiLM`); never normalised.

    W_sh and b_sh are stored as standard normals and multiplied by s_w and s_b.
    """

    def __init__(
        self, inputs: int, outputs: int, *, normalise: bool, scale: bool, weight_std: float, bias_std: float
    ) -> None:
        super().__init__(inputs, outputs, weight_std=weight_std, bias_std=bias_std)
        self.emitted = 3 * outputs
        self.normalise = normalise
        self.constant, self.spread = (1.0, 0.1) if scale else (0.0, 1.0)
        # GAN memory's formula knows neither s_w nor s_b.
        self.shared_std, self.shared_bias_std = (1.0, 1.0) if normalise else (weight_std, bias_std)
        self.shift_std = self.spread * self.shared_std
        self.weight_IO = nn.Parameter(torch.randn(inputs, outputs))
        self.bias_O = nn.Parameter(torch.randn(outputs))

    def shared_weight(self) -> Tensor:
        """W_0, [I, O]."""
        if not self.normalise:
            return self.shared_std * self.weight_IO
        centred = self.weight_IO - self.weight_IO.mean(dim=0)
        return centred / (centred.square().mean(dim=0) + 1e-12).sqrt()

    def modulation(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """g, h and the bias, each [B, O], the gain included."""
        g_BO, h_BO, c_BO = emitted_BE.split(self.outputs, dim=1)
        return (
            self.gain * self.constant + (self.gain * self.spread) * g_BO,
            (self.gain * self.shift_std) * h_BO,
            (self.gain * self.shared_bias_std) * (self.bias_O + self.spread * c_BO),
        )

    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        g_BO, h_BO, bias_BO = self.modulation(emitted_BE)
        return self.shared_weight() * g_BO.unsqueeze(1) + h_BO.unsqueeze(1), bias_BO

    def structured(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        """The same without a weight per image: y = g * (x W_0) + h * sum(x) + b."""
        g_BO, h_BO, bias_BO = (part.unsqueeze(1) for part in self.modulation(emitted_BE))
        return (x_BPI @ self.shared_weight()) * g_BO + x_BPI.sum(dim=2, keepdim=True) * h_BO + bias_BO

    def prefers_structure(self, pixels: int) -> bool:
        # Modulating activations costs P x O an image, modulating weights I x O, in fewer passes.
        return 4 * pixels <= self.inputs

    @torch.no_grad()
    def calibrate(self, x_BPI: Tensor, emitted_BE: Tensor) -> None:
        """First the shift: summed over positive inputs it grows with the width, and drowns what varies over pixels."""
        g_BO, h_BO, _ = (part.unsqueeze(1) for part in self.modulation(emitted_BE))
        weighted = rms((x_BPI @ self.shared_weight()) * g_BO)
        self.shift_std *= SHIFT_SHARE * weighted / rms(x_BPI.sum(dim=2, keepdim=True) * h_BO)
        super().calibrate(x_BPI, emitted_BE)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self.gain, self.shift_std], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        self.gain, self.shift_std = state.tolist()
