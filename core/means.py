"""Means of scalars over a stretch of iterations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

OF_A_CRITIC = ("d_loss", "penalty", "real_score", "fake_score")
"""Scalars of a further critic, behind its name and a slash."""


class Means:
    """Summed on the device, so that nothing waits for them."""

    NAMES = ("d_loss", "g_loss", "penalty", "real_score", "fake_score")

    def __init__(self, device: torch.device, further: Iterable[str] = ()) -> None:
        """`further` are the names of critics besides the first."""
        self.names = (*self.NAMES, *(f"{critic}/{name}" for critic in further for name in OF_A_CRITIC))
        self.sums = torch.zeros(len(self.names), device=device)
        self.counts = [0] * len(self.names)

    def add(self, name: str, value: Tensor) -> None:
        """Counts a scalar in."""
        index = self.names.index(name)
        self.sums[index] += value.detach()
        self.counts[index] += 1

    def take(self) -> dict[str, float]:
        """The means, 0 for what did not occur, and starts anew. Waits for the device."""
        pairs = zip(self.names, self.sums.tolist(), self.counts, strict=True)
        means = {name: total / max(count, 1) for name, total, count in pairs}
        self.sums, self.counts = torch.zeros_like(self.sums), [0] * len(self.names)
        return means

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.counts = state["sums"].to(self.sums.device), list(state["counts"])
