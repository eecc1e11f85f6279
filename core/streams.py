"""Random streams: one per purpose, each derived from the job's seed, so that variants are paired.

Same seed means the same order of images, the same latents and the same initial discriminator, whatever else differs.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


def stream_seed(seed: int, purpose: str) -> int:
    """A 63-bit seed for one purpose."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}".encode()).digest()[:8], "big") >> 1


def stream(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for one purpose."""
    return torch.Generator(device).manual_seed(stream_seed(seed, purpose))


@contextmanager
def initialising(seed: int, purpose: str) -> Iterator[None]:
    """Torch's global random state is this purpose's stream inside, and what it was before outside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(seed, purpose))
        yield


class Shuffled:
    """Endless batches of a fixed set in random order, epoch after epoch; batches may span two epochs."""

    def __init__(self, images: Tensor, generator: torch.Generator) -> None:
        self.images, self.generator = images, generator
        self.order = self._permutation()
        self.position = 0

    def _permutation(self) -> Tensor:
        return torch.randperm(len(self.images), generator=self.generator, device=self.generator.device)

    def take(self, count: int) -> Tensor:
        """The next `count` images, uint8 [count, 3, R, R]."""
        taken: list[Tensor] = []
        while count:
            if self.position == len(self.order):
                self.order, self.position = self._permutation(), 0
            part = self.order[self.position : self.position + count]
            taken.append(self.images[part])
            self.position += len(part)
            count -= len(part)
        return torch.cat(taken)

    def state_dict(self) -> dict[str, Any]:
        return {"order": self.order, "position": self.position, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.order, self.position = state["order"].to(self.generator.device), state["position"]
        self.generator.set_state(state["generator"])
