"""A prepared set: images decoded, cropped and resized once, as memory-mapped arrays, with hashes that vouch for them.

prepared.json   what it is made from and how, what was skipped, the sha256 of every block; it makes a set whole
64.npy          uint8 [N, 3, 64, 64], in the order of the source; one file a resolution
contact_64.png  a few of them to look at, spread over the set

`core.data.making` makes one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from core import reading
from core.config import Images, Node, Resampling
from core.data.arrays import HEADER, Unfit, mapped
from core.data.decoding import Skipped
from core.data.listing import LeftOut
from core.data.sources import BLOCK
from core.errors import InputError
from core.reading import model_of
from core.words import visible

Progress = Callable[[int, int], None]

INDEX = "prepared.json"

FORMAT = 1
"""Version of this layout."""

CHECKED = 256 * 2**20
"""Bytes of an array that are hashed whenever it is opened, in blocks spread over it; `verify` hashes all."""

SHA256 = r"^[0-9a-f]{64}$"


class Enlarged(Node):
    """How many images were smaller than the resolution, and the first of them."""

    count: int = 0
    first: str = ""
    width: int = 0
    height: int = 0


class Pixels(Node):
    """One resolution's array: its shape, the sha256 of each block of images, and who had to be enlarged."""

    shape: tuple[int, int, int, int]
    blocks: tuple[str, ...]
    enlarged: Enlarged


class Index(Node):
    """`prepared.json`. `fingerprint` is of the encoded images that were kept (`core.data.sources.Fingerprint`),
    `stamps` of the names and stamps of all that were there, `skipped` are those that could not be read, `left_out`
    files that were none."""

    format: int = FORMAT
    name: str
    source: str
    kind: str
    count: int = Field(gt=0)
    fingerprint: str = Field(pattern=SHA256)
    stamps: str
    resampling: Resampling
    decoder: int
    pillow: str
    skipped: tuple[Skipped, ...]
    left_out: tuple[LeftOut, ...] = ()
    pixels: dict[Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}$")], Pixels]

    @model_validator(mode="after")
    def _arrays_are_of_these_images(self) -> Index:
        for side, pixels in self.pixels.items():
            if pixels.shape != (self.count, 3, int(side), int(side)) or len(pixels.blocks) != -(-self.count // BLOCK):
                raise ValueError(f"{side} holds other than {self.count} images of {side} x {side}")
        return self

    @property
    def resolutions(self) -> list[int]:
        """In order."""
        return sorted(map(int, self.pixels))

    def at(self, folder: Path, resolution: int) -> Pixels:
        """The array of a resolution. Raises `InputError` for one that was not prepared."""
        if (pixels := self.pixels.get(str(resolution))) is None:
            there = " and ".join(map(str, self.resolutions))
            raise InputError(
                f"{folder} is prepared at {there} and {resolution} is asked for: prepare the images with "
                f"--resolution {' '.join(map(str, sorted({*self.resolutions, resolution})))} into another folder"
            )
        return pixels

    @property
    def words(self) -> str:
        """The set in one sentence."""
        sizes = " and ".join(f"{side} × {side}" for side in self.resolutions)
        return (
            f"{self.count:,} images of {visible(self.source)} ({self.kind}), centre-cropped to squares, "
            f"{self.resampling} filter, {sizes}; fingerprint {self.fingerprint[:12]}"
        )


class Damaged(InputError):
    """A set that is not what was written: it can only be prepared again."""


def is_prepared(path: Path) -> bool:
    """Whether a prepared set is there; it may still be damaged."""
    return (path / INDEX).is_file()


def read_index(folder: Path) -> Index:
    """The index of a set, its files' sizes checked. Raises `InputError`, `Damaged` where it is not whole."""
    try:
        index = model_of(folder / INDEX, Index, "prepare it again")
        if index.format != FORMAT:
            raise InputError(f"{folder} was prepared by another version (format {index.format}): prepare it again")
        for side, pixels in index.pixels.items():
            expected = HEADER + math.prod(pixels.shape)
            if (size := (folder / f"{side}.npy").stat().st_size) != expected:
                raise Damaged(f"{folder}: {side}.npy has {size} of {expected} bytes: prepare it again")
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise Damaged(f"{folder} is no whole prepared set ({name} is missing): prepare it again") from None
    except reading.Unreadable:
        raise  # That proves no damage: what is damaged is removed from a cache.
    except reading.Damaged:
        raise Damaged(f"{folder} is no whole prepared set ({INDEX} is damaged): prepare it again") from None
    except OSError as error:
        raise _unusable(folder, error) from None
    return index


def check_serves(folder: Path, index: Index, data: Images, resolution: int) -> None:
    """Raises InputError where a set is not the one that `data` describes, or has it not at `resolution`."""
    check_same(folder, data, index.fingerprint, index.count)
    if index.resampling != data.resampling:
        raise InputError(
            f"{folder} is prepared with the {index.resampling} filter, the config names {data.resampling}: give a "
            "set that is prepared so, or leave data.resampling to the set"
        )
    index.at(folder, resolution)


def check_same(path: Path, data: Images, sha256: str, count: int) -> None:
    """Raises InputError where the images at `path`, `count` of that fingerprint, are others than `data` describes."""
    if sha256 != data.fingerprint or count != data.count:
        raise InputError(
            f"{path} holds {count} images with fingerprint {sha256[:12]}, the config names {data.count} with "
            f"{data.fingerprint[:12]}: give the same images, or make a config for these"
        )


def check_real(path: Path, index: Index, resolution: int) -> None:
    """Raises InputError where images of a set were enlarged to `resolution` and real ones of that size are wanted."""
    check_enlarged(path, index.at(path, resolution).enlarged, resolution)


def check_enlarged(path: Path, small: Enlarged, resolution: int) -> None:
    """Raises InputError where images at `path` have to be enlarged."""
    if small.count:
        raise InputError(
            f"{path}: {small.count} images are smaller than {resolution} x {resolution}, {visible(small.first)} "
            f"({small.width} x {small.height}) first, and real images of that size are asked for: give larger "
            "images, or lower fine.resolution, the factor of the upsampling or the fine pixels of scales"
        )


def _unusable(folder: Path, error: OSError) -> InputError:
    """Of a whole set that cannot be read here and now."""
    return InputError(f"{folder} cannot be read ({error.strerror or error}): correct that, the set may well be whole")


def read_pixels(folder: Path, index: Index, resolution: int) -> NDArray[np.uint8]:
    """uint8 [N, 3, R, R], memory-mapped: pages are read when they are asked for, and shared between processes.

    Raises `InputError` for a resolution that was not prepared, `Damaged` for bytes other than those that were written.
    """
    pixels = index.at(folder, resolution)
    array = mapped_of(folder, pixels)
    count = len(pixels.blocks)
    looked_at = min(count, max(1, CHECKED // (BLOCK * 3 * resolution**2)))
    _check(folder, array, pixels, [i * count // looked_at for i in range(looked_at)])
    return array


def verify(folder: Path, progress: Progress | None = None) -> Index:
    """Hashes every block of every array. Raises `Damaged` for the first that is not what was written."""
    index = read_index(folder)
    total = sum(len(pixels.blocks) for pixels in index.pixels.values())
    done = 0
    if progress is not None:
        progress(done, total)
    for pixels in index.pixels.values():
        array = mapped_of(folder, pixels)
        for block in range(len(pixels.blocks)):
            _check(folder, array, pixels, [block])
            done += 1
            if progress is not None:
                progress(done, total)
    return index


def mapped_of(folder: Path, pixels: Pixels) -> NDArray[np.uint8]:
    """One resolution's array of the set in `folder`. Raises `Damaged` where it is not one."""
    name = f"{pixels.shape[-1]}.npy"
    try:
        return mapped(folder / name, pixels.shape)
    except OSError as error:
        raise _unusable(folder, error) from None
    except Unfit as error:
        raise Damaged(f"{folder}: {name} is damaged ({error}): prepare it again") from None


def _check(folder: Path, array: NDArray[np.uint8], pixels: Pixels, which: Sequence[int]) -> None:
    for i in which:
        content = array[i * BLOCK : (i + 1) * BLOCK]
        if hashlib.sha256(content.data).hexdigest() != pixels.blocks[i]:
            last = i * BLOCK + len(content) - 1
            raise Damaged(
                f"{folder}: images {i * BLOCK} to {last} of {array.shape[-1]}.npy are not those that were prepared: "
                "prepare it again"
            )
