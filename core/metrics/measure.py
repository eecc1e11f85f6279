"""What a metric is to those who use one."""

from __future__ import annotations

import typing
from collections.abc import Iterator

import torch
from torch import Tensor

from core.metrics.features import Features
from core.metrics.protocol import Protocol
from core.metrics.real import RealSet


class Measure(typing.Protocol):
    """A metric with its real set behind it: the distance of generated images to that set."""

    @property
    def key(self) -> str:
        """ "fd_rooms" or "clean_fid": the name of the series in events and tables."""
        ...

    @property
    def protocol(self) -> Protocol:
        """What a value is measured with."""
        ...

    @property
    def samples(self) -> int:
        """How many generated images a value is computed from."""
        ...

    @property
    def quantised(self) -> bool:
        """Whether it takes generated images rounded to 8 bits, uint8, or as they come, float32 in 0..255."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Of the images that it takes."""
        ...

    @property
    def features(self) -> Features:
        """What a value is computed on."""
        ...

    @property
    def real(self) -> RealSet:
        """What generated images are compared with."""
        ...

    def __call__(self, images: Iterator[Tensor]) -> float:
        """Batches of images [B, 3, R, R] on any device -> the distance, `inf` where a feature is not finite."""
        ...
