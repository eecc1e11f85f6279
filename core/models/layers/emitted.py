"""The base of all layers of an INR: a weight and a bias per image, made from emitted numbers."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn


class EmittedLayer(nn.Module):
    """y = gain (x W + b), where a subclass makes W [B, I, O] and b [B, O] of `emitted` numbers per image.

    `weight_std` s_w and `bias_std` s_b are what a plain layer's weights and biases should have for standard deviations;
    every formula expects emitted numbers of about unit variance. `gain` is 1 but where `calibrate` measured another.
    """

    emitted: int

    def __init__(self, inputs: int, outputs: int, *, weight_std: float, bias_std: float) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.weight_std, self.bias_std = weight_std, bias_std
        self.gain = 1.0

    @abstractmethod
    def weight_and_bias(self, emitted_BE: Tensor) -> tuple[Tensor, Tensor]:
        """W [B, I, O] and b [B, O], the gain included."""

    def materialised(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        """y [B, P, O] by the plain form: one weight per image, then one batched product."""
        weight_BIO, bias_BO = self.weight_and_bias(emitted_BE)
        return torch.baddbmm(bias_BO.unsqueeze(1), x_BPI, weight_BIO)

    def structured(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        """y [B, P, O] without a weight per image, where a formula allows it."""
        raise NotImplementedError(f"{type(self).__name__} has the plain form only")

    def prefers_structure(self, pixels: int) -> bool:
        """Whether the structured form is the cheaper one at this many pixels an image (tests/benchmarks/layers.py)."""
        return False

    def forward(self, x_BPI: Tensor, emitted_BE: Tensor) -> Tensor:
        """y [B, P, O], by the cheaper form."""
        if self.prefers_structure(x_BPI.shape[1]):
            return self.structured(x_BPI, emitted_BE)
        return self.materialised(x_BPI, emitted_BE)

    @torch.no_grad()
    def calibrate(self, x_BPI: Tensor, emitted_BE: Tensor) -> None:
        """Sets `gain` so that y has mean square 1 on these inputs (after Mishkin and Matas 2016, "All you need is a
        good init", algorithm 1)."""
        self.gain /= rms(self(x_BPI, emitted_BE))

    def get_extra_state(self) -> Tensor:
        """The measured constants, so that stored weights go with them."""
        return torch.tensor([self.gain], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """See `get_extra_state`."""
        (self.gain,) = state.tolist()


def rms(x: Tensor) -> float:
    """The root of the mean square of all elements."""
    return x.double().square().mean().sqrt().item()
