"""Adam in one fused call per group of parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Adam(torch.optim.Optimizer):
    """Adam (Kingma and Ba 2015, algorithm 1), with the numbers of `torch.optim.Adam(fused=True)`.

    That one asks at every step which tensors belong together and counts the steps of every parameter, for small
    networks as much work as the arithmetic. Here a group has one count, so its parameters get gradients at every step
    or never.
    """

    def __init__(self, parameters: Iterable[Any], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})
        for group in self.param_groups:
            group["step"] = torch.zeros((), device=group["params"][0].device) if group["params"] else torch.zeros(())

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves every parameter that has a gradient."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            states = [self._moments(parameter) for parameter in parameters]
            group["step"] += 1
            beta1, beta2 = group["betas"]
            torch._fused_adam_(
                parameters,
                [parameter.grad for parameter in parameters],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [group["step"]] * len(parameters),
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=0.0,
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def _moments(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from the state of an optimiser of the same groups, wherever its tensors are."""
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            if group["params"]:
                group["step"] = group["step"].to(group["params"][0].device)
