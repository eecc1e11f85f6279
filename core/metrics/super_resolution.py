"""A small network for super-resolution: what detail training images have beyond their enlarged coarse ones.

Of the form of ESPCN (Shi et al. 2016): convolutions on the coarse grid whose last channels are the fine pixels of a
coarse one. It adds to bicubic enlargement, and is trained by the mean absolute error on pairs of coarse and fine
training images, never of held-out ones; of photographs the training images are the metric's real set as well. It is
trained on windows, so that its cost does not grow with the images.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.arithmetic import product
from core.config import PAIRS, WINDOW
from core.metrics.enlarging import positions, sampled
from core.metrics.real import Arrays, evenly, kept
from core.pixels import rounded
from core.precision import float32_products
from core.streams import initialising, stream

ITERATIONS, BATCH, LEARNING_RATE = 1_000, 16, 2e-3
"""Of Adam, its rate falling to 0 by half a cosine."""

WIDTHS, KERNELS = (32, 16), (5, 3, 3)
MARGIN = sum(side // 2 for side in KERNELS)
"""How far a fine pixel sees, in coarse ones."""


@dataclass(frozen=True)
class Pairs:
    """Windows of coarse images with `MARGIN` pixels around them, uint8 [N, 3, W + 2 M, W + 2 M], and the same windows
    of fine ones, uint8 [N, 3, f W, f W]. Beyond an image's edge its last pixels are repeated."""

    coarse: Tensor
    fine: Tensor

    @property
    def factor(self) -> int:
        """Fine pixels to a coarse one, of a side."""
        return self.fine.shape[-1] // (self.coarse.shape[-1] - 2 * MARGIN)

    @cached_property
    def content(self) -> str:
        """sha256 over shapes and bytes, 64 hex digits."""
        digest = hashlib.sha256(f"{list(self.coarse.shape)} {list(self.fine.shape)}".encode())
        for images in (self.coarse, self.fine):
            digest.update(images.contiguous().numpy().data)
        return digest.hexdigest()


def pairs_of(coarse: Tensor, fine: Tensor, seed: int) -> Pairs:
    """A window of each of `PAIRS` training images, spread evenly: uint8 [N, 3, R, R], and the same at f times the
    resolution, [N, 3, f R, f R]."""
    side, factor = coarse.shape[-1], fine.shape[-1] // coarse.shape[-1]
    window = min(WINDOW, side)
    places = evenly(len(coarse), PAIRS)
    random = stream(seed, "super resolution windows")
    corners = torch.randint(0, side - window + 1, (len(places), 2), generator=random)
    around = torch.arange(-MARGIN, window + MARGIN)
    inside = torch.arange(factor * window)
    seen, true = [], []
    for place, (row, column) in zip(places.tolist(), corners.tolist(), strict=True):
        rows, columns = ((low + around).clamp(0, side - 1) for low in (row, column))
        seen.append(coarse[place][:, rows[:, None], columns])
        rows, columns = (factor * low + inside for low in (row, column))
        true.append(fine[place][:, rows[:, None], columns])
    return Pairs(torch.stack(seen), torch.stack(true))


class Network(nn.Module):
    """Coarse images with `MARGIN` pixels around them, in [-1, 1], [B, 3, H + 2 M, W + 2 M] -> detail [B, 3, f H, f W].

    At first there is none.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        channels = (3, *WIDTHS, 3 * factor**2)
        convolutions = [
            nn.Conv2d(inputs, outputs, side)
            for inputs, outputs, side in zip(channels[:-1], channels[1:], KERNELS, strict=True)
        ]
        nn.init.zeros_(convolutions[-1].weight)
        assert convolutions[-1].bias is not None
        nn.init.zeros_(convolutions[-1].bias)
        first, second, last = convolutions
        self.layers = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last, nn.PixelShuffle(factor))

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        detail: Tensor = self.layers(images)
        return detail


def bicubic(padded: Tensor, factor: int) -> Tensor:
    """Images with `MARGIN` pixels around them in 0..255, double, enlarged without these; not rounded."""
    side = padded.shape[-1] - 2 * MARGIN
    return sampled(padded, positions(side, factor, "centres") + MARGIN, "bicubic")


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums inside are those of one thread, however many there are outside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def trained(pairs: Pairs, seed: int) -> Network:
    """The network of these pairs, on the CPU: the same for the same pairs and seed, on one machine."""
    with one_thread():
        batches = pairs.coarse.split(256)
        enlarged = torch.cat([bicubic(batch.double(), pairs.factor).float() for batch in batches])
        detail = pairs.fine.float().sub_(enlarged).div_(127.5)
        with initialising(seed, "super resolution"):
            network = Network(pairs.factor)
        random = stream(seed, "super resolution batches")
        adam = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
        for iteration in range(ITERATIONS):
            adam.param_groups[0]["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * iteration / ITERATIONS)) / 2
            drawn = torch.randint(0, len(detail), (BATCH,), generator=random)
            found = network(in_unit_range(pairs.coarse[drawn].float()))
            loss = (found - detail[drawn]).abs().mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return network.eval()


def in_unit_range(images: Tensor) -> Tensor:
    """0..255 -> [-1, 1]."""
    return images / 127.5 - 1


def training_macs(factor: int, window: int = WINDOW) -> int:
    """Multiply-accumulates of the training on windows of so many pixels, by the rules of `core.arithmetic`."""
    channels, side, macs = (3, *WIDTHS, 3 * factor**2), window + 2 * MARGIN, 0
    for place, kernel in enumerate(KERNELS):
        side -= kernel - 1
        layer = side**2 * kernel**2 * channels[place] * channels[place + 1]
        macs += product(layer, from_data=place == 0).both
    return macs * BATCH * ITERATIONS


def weights(factor: int) -> int:
    """How many numbers are trained."""
    return sum(each.numel() for each in Network(factor).parameters())


@dataclass(frozen=True)
class SuperResolver:
    """A trained network, and what it was trained on."""

    network: Network
    pairs: Pairs
    seed: int

    def __call__(self, images: Tensor) -> Tensor:
        """[B, 3, R, R] in 0..255 -> [B, 3, f R, f R], as `core.metrics.enlarging.interpolated` does at centres."""
        padded = F.pad(images.double(), (MARGIN,) * 4, mode="replicate")
        fine = bicubic(padded, self.pairs.factor) + 127.5 * self._detail(in_unit_range(padded).float())
        return rounded(fine) if images.dtype == torch.uint8 else fine.clamp_(0, 255).to(images.dtype)

    @torch.inference_mode()
    @float32_products("ieee")
    def _detail(self, padded: Tensor) -> Tensor:
        detail: Tensor = self.network(padded)
        return detail

    @property
    def details(self) -> dict[str, str]:
        """What a protocol says of it."""
        factor, window = self.pairs.factor, self.pairs.coarse.shape[-1] - 2 * MARGIN
        return {
            "network": "convolutions of "
            + ", ".join(f"{side} x {side}" for side in KERNELS)
            + f" to {', '.join(map(str, WIDTHS))} and {3 * factor**2} channels, pixel shuffle, added to bicubic",
            "numbers trained": f"{weights(factor):,}",
            "trained on": f"{len(self.pairs.coarse):,} windows of {window} x {window} pixels of training images and "
            f"the same of {factor * window} x {factor * window}, sha256 {self.pairs.content[:12]}",
            "trained by": f"mean absolute error, {ITERATIONS:,} iterations of {BATCH}, Adam at {LEARNING_RATE:g} to 0 "
            f"by a cosine, seed {self.seed}",
            "arithmetic of its training": f"{training_macs(factor, window) / 1e12:.3g} T multiply-accumulates",
        }


def super_resolver(
    coarse: Tensor, fine: Tensor, *, seed: int, cache: Path | None, device: torch.device | str
) -> SuperResolver:
    """The network of training images at two resolutions (`pairs_of`), trained once and kept under `cache` with the
    statistics of real sets, None: not on disk. Raises InputError for a cache folder that cannot be used."""
    pairs = pairs_of(coarse, fine, seed)
    network = Network(pairs.factor)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}

    def made() -> Arrays:
        return {name: value.numpy() for name, value in trained(pairs, seed).state_dict().items()}

    recipe = f"{WINDOW} {ITERATIONS} {BATCH} {LEARNING_RATE} {WIDTHS} {KERNELS} {seed}"
    found = kept(f"super resolution | {recipe} | {pairs.content}", shapes, made, cache)
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in found.items()})
    return SuperResolver(network.eval().requires_grad_(False).to(device), pairs, seed)
