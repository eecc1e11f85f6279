"""The real set as the metrics see it: some of its images, behind one feature extractor, looked at once.

What is found is kept by content under the cache folder: the key is the sha256 of the images that are looked at and of
what the extractor is. A file carries the checksum of its key and numbers; one that does not fit it is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

from core.errors import InputError
from core.files import check_inside, is_full, make_folder, unwritable, write_whole
from core.locks import FileLock
from core.metrics.features import FeatureArray, Features, features_of
from core.metrics.frechet import Gaussian
from core.reading import bytes_of

BATCH = 256

MOST_STATISTICS, MOST_A_ROW = 2**28, 2**14
"""Bytes of a file; of 4096 features that are float64 the covariance takes half of it, and a row of float32 as many."""

Arrays = dict[str, NDArray[np.generic]]

Shapes = Mapping[str, tuple[int | None, ...]]
"""By name; None is any length."""


def evenly(total: int, count: int | None) -> Tensor:
    """`count` of `total` places, spread evenly and in order: floor(i * total / count). All where there are no more."""
    if count is None or count >= total:
        return torch.arange(total)
    return torch.arange(count) * total // count


Taken = Literal["spread", "first"]
"""Which of the real images are looked at where the metric takes fewer than there are."""


@dataclass(frozen=True)
class RealSet:
    """Of `images`, uint8 [M, 3, R, R], `limit` (None: all) behind `extract`: spread `evenly`, or the first.

    `extractor` says what `extract` is: its name, what it reads, the sha256 of its weights. Of the images only those
    that are looked at are ever read, a batch at a time: they may be a file in memory. `cache` None keeps nothing on
    disk. All of its numbers are remembered for the rest of the process.
    """

    images: Tensor
    extract: Features
    extractor: str
    limit: int | None = None
    cache: Path | None = None
    taken: Taken = "spread"

    @property
    def places(self) -> Tensor:
        """Which images are looked at, in order."""
        return torch.arange(len(self)) if self.taken == "first" else evenly(len(self.images), self.limit)

    def __len__(self) -> int:
        """How many images are looked at."""
        return len(self.images) if self.limit is None else min(self.limit, len(self.images))

    @cached_property
    def content(self) -> str:
        """sha256 over shape and bytes of the images that are looked at, 64 hex digits."""
        digest = hashlib.sha256(f"{[len(self), *self.images.shape[1:]]} ".encode())
        for batch in self._batches(self.places):
            digest.update(batch.contiguous().cpu().numpy().data)
        return digest.hexdigest()

    @cached_property
    def gaussian(self) -> Gaussian:
        """Of the features of all images that are looked at. Raises InputError where one is not finite."""

        def fitted() -> Arrays:
            fit = Gaussian.fit(self._extracted(self.places))
            return {"mean": fit.mean, "covariance": fit.covariance}

        statistics = self._kept("statistics", {"mean": (None,), "covariance": (None, None)}, fitted)
        return Gaussian(statistics["mean"].astype(np.float64), statistics["covariance"].astype(np.float64))

    def features(self, count: int) -> FeatureArray:
        """Features of `count` of the images that are looked at, float32 [N, D]; all where there are no more.

        They are spread evenly over them, whichever those are. Raises InputError where one is not finite.
        """
        places = self.places[evenly(len(self), count)]
        shapes = {"features": (len(places), None)}
        kept = self._kept(f"features of {len(places)}", shapes, lambda: {"features": self._extracted(places)})
        return kept["features"].astype(np.float32, copy=False)

    def _batches(self, places: Tensor) -> Iterator[Tensor]:
        return (self.images[part] for part in places.split(BATCH))

    def _extracted(self, places: Tensor) -> FeatureArray:
        features = features_of(self._batches(places), self.extract, len(places))
        if not np.isfinite(features).all():
            raise InputError(f"the extractor ({self.extractor[:40]}) gives features that are not finite: replace it")
        return features

    def _kept(self, what: str, shapes: Shapes, make: Callable[[], Arrays]) -> Arrays:
        """Arrays of the same images and extractor."""
        return kept(f"{what} | {self.extractor} | {self.content}", shapes, make, self.cache)


_known: dict[str, Arrays] = {}


def kept(what: str, shapes: Shapes, make: Callable[[], Arrays], cache: Path | None) -> Arrays:
    """The arrays that `what` says all of, kept by this or another process; else made, and kept.

    Raises InputError for a cache folder that cannot be used.
    """
    key = hashlib.sha256(what.encode()).hexdigest()
    if key in _known:
        return _known[key]
    try:
        folder = None if cache is None else cache / "statistics"
        if cache is not None and folder is not None:
            check_inside(cache, folder)
            make_folder(folder)
        with FileLock(folder / f"{key[:32]}.lock") if folder else nullcontext():
            file = folder / f"{key[:32]}.safetensors" if folder else None
            arrays = _read(file, key, shapes) if file else None
            if arrays is None:
                arrays = make()
                if file:
                    write_whole(file, save(arrays, metadata={"sha256": _checksum(key, arrays)}))
    except OSError as error:
        if is_full(error):
            raise unwritable(Path(error.filename or str(cache)), error) from error
        reason = error.strerror or error
        raise InputError(f"cache folder {cache} cannot be used ({reason}): choose another") from error
    _known[key] = arrays
    return arrays


def _checksum(key: str, arrays: Arrays) -> str:
    digest = hashlib.sha256(key.encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape} ".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _read(file: Path, key: str, shapes: Shapes) -> Arrays | None:
    """None for a file that is missing, a link, damaged, altered or made of something else."""
    if file.is_symlink():
        return None
    rows = max(size or 0 for shape in shapes.values() for size in shape)
    try:
        content = bytes_of(file, "remove it", MOST_STATISTICS + rows * MOST_A_ROW)
        arrays = load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    except (SafetensorError, FileNotFoundError, ValueError, LookupError, TypeError):
        return None
    fitting = arrays.keys() == shapes.keys() and all(
        len(shape) == arrays[name].ndim and all(map(_fits, shape, arrays[name].shape)) for name, shape in shapes.items()
    )
    return arrays if fitting and metadata == {"sha256": _checksum(key, arrays)} else None


def _fits(expected: int | None, there: int) -> bool:
    return expected in (None, there)
