"""Power spectra of images by octaves: how much detail there is at each size, whatever it shows."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

LOWEST = 4
"""Cycles across the image where the first octave begins: below it is what whole images are compared by."""


def octaves(side: int) -> tuple[tuple[int, int], ...]:
    """From `LOWEST` cycles across an image of `side` pixels to the most that its pixels hold: (4, 8), (8, 16), ..."""
    count = max(0, int(math.log2(side / 2 / LOWEST)))
    return tuple((LOWEST * 2**k, LOWEST * 2 ** (k + 1)) for k in range(count))


def octave_powers(batches: Iterable[Tensor]) -> Tensor:
    """Mean power of images by `octaves`, float64 [octaves], in squared 8-bit levels. Of [B, 3, F, F] in 0..255.

    Of grey images (the mean of the colours) less their mean, under a Hann window, so that the frame is no edge. An
    octave has the frequencies whose length in the plane lies in it.
    """
    total, count = torch.zeros(0, dtype=torch.float64), 0
    for images in batches:
        side = images.shape[-1]
        hann = torch.hann_window(side, dtype=torch.float64)
        window = hann[:, None] * hann
        grey = images.cpu().double().mean(dim=1)
        # The mean as the window sees it: nothing is left at frequency 0, and nothing leaks from there.
        grey = grey - (grey * window).sum(dim=(1, 2), keepdim=True) / window.sum()
        power = torch.fft.rfft2(grey * window).abs().square().sum(dim=0)
        # Of real images one half of the plane is the mirror of the other.
        power[:, 1 : (side + 1) // 2] *= 2
        across = torch.fft.rfftfreq(side, 1 / side, dtype=torch.float64)
        down = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64)
        cycles = torch.hypot(down[:, None], across)
        found = torch.stack([power[(low <= cycles) & (cycles < high)].sum() for low, high in octaves(side)])
        total, count = found if count == 0 else total + found, count + len(images)
    # By Parseval: the mean square of a windowed image is the sum over its frequencies over side^4.
    return total / (count * side**4)


def octave_gains(fake: Tensor, real: Tensor) -> Tensor:
    """log2 of fake over real power, [octaves]: 0 where they are equal, -1 where half is missing.

    Power below a millionth of an 8-bit level's square counts as so much, so that no image makes them infinite.
    """
    least = 1e-6
    return (fake.clamp(min=least) / real.clamp(min=least)).log2()
