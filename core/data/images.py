"""Real images from a folder (with its subfolders) or a zip: listed, fingerprinted and decoded, never unpacked to disk.

An image is a file whose name ends in one of `SUFFIXES`; other files (labels, readmes), names that start with a dot and
the Mac's `__MACOSX` are no images. They are ordered by name (folders with "/"), in a folder as in a zip of it.
This module imports no torch: a dry run calls `fingerprint`.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.errors import InputError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif"}
)

DECODER = 1
"""Version of `decode`, part of the cache's key: raised whenever the same file would decode to other pixels."""


def _is_image(name: str) -> bool:
    *folders, file = name.split("/")
    if file.startswith(".") or os.path.splitext(file)[1].lower() not in SUFFIXES:  # noqa: PTH122 (ten times faster)
        return False
    return not any(folder == "__MACOSX" or (folder.startswith(".") and folder != "..") for folder in folders)


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        found = (file for file in path.rglob("*") if _is_image(file.relative_to(path).as_posix()) and file.is_file())
        self.names = sorted(file.relative_to(path).as_posix() for file in found)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def close(self) -> None:
        pass


class _Zip:
    """Members are read straight from the mapped file: several times faster than zipfile for tens of thousands of small
    images, and safe from many threads. Anything but stored and deflated members goes through zipfile."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise InputError(f"{path} is not a readable zip ({error}): give a folder or a zip of images") from None
        self._members = {i.filename: i for i in self._zip.infolist() if not i.is_dir() and _is_image(i.filename)}
        self.names = sorted(self._members)
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def read(self, name: str) -> bytes:
        member = self._members[name]
        encrypted = member.flag_bits & 1
        if encrypted or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return self._zip.read(member)
        start = member.header_offset
        if self._bytes[start : start + 4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no local header where the zip's directory says")
        name_length, extra_length = struct.unpack_from("<HH", self._bytes, start + 26)
        start += 30 + name_length + extra_length
        content = self._bytes[start : start + member.compress_size]
        if member.compress_type == zipfile.ZIP_DEFLATED:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.file_size + 1)
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise zipfile.BadZipFile("checksum differs")
        return content

    def close(self) -> None:
        self._bytes.close()
        self._zip.close()


# What PIL and zipfile raise for damaged content, besides OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    NotImplementedError,
    Image.DecompressionBombError,
)


def _open(path: Path) -> _Folder | _Zip:
    if not path.exists():
        raise InputError(f"{path} does not exist: give a folder or a zip of images")
    source = _Folder(path) if path.is_dir() else _Zip(path)
    if not source.names:
        source.close()
        kinds = " ".join(sorted(SUFFIXES))
        raise InputError(f"{path} holds no images: files with one of the endings {kinds} are looked for")
    return source


def _unreadable(path: Path, name: str, error: BaseException) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    # PIL names the in-memory file it was given, which says nothing to anybody.
    reason = "not an image" if "cannot identify image file" in reason else reason
    return InputError(f"{path}: image {name} cannot be read ({reason}): repair or remove it")


def fingerprint(path: Path) -> tuple[str, int]:
    """sha256 (64 hex digits) over the images' names, sizes and bytes in order, and their count.

    A folder and a zip of it have the same fingerprint. Raises `InputError` for a path that holds no images and for a
    file that cannot be read; whether the bytes are a valid image is `decode`'s concern.
    """
    source = _open(path)
    digest = hashlib.sha256()
    try:
        for name in source.names:
            try:
                content = source.read(name)
            except _DAMAGE as error:
                raise _unreadable(path, name, error) from None
            title = name.encode("utf-8", "surrogateescape")
            digest.update(struct.pack("<QQ", len(title), len(content)))
            digest.update(title)
            digest.update(content)
        return digest.hexdigest(), len(source.names)
    finally:
        source.close()


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB, upright by its EXIF orientation; transparency is composited over white.

    16-bit grey is scaled by 1/257. CMYK is converted without a colour profile. Raises ValueError for floating-point
    pixels, whose range nothing states.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("32-bit pixels beyond 0..65535 have no defined range")
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def square(image: Image.Image, resolution: int) -> Image.Image:
    """Centre-crops RGB to a square, then resizes: box filter (area average) to shrink, Lanczos to enlarge.

    Enlarged images hold no detail of the resolution they claim; a dataset smaller than its resolution is the user's
    choice and is not refused.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    if side == resolution:
        return image
    resampling = Image.Resampling.BOX if side > resolution else Image.Resampling.LANCZOS
    return image.resize((resolution, resolution), resampling)


def decode(
    path: Path,
    resolution: int,
    *,
    enlarge: bool = True,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """All images of a folder or zip in order, uint8 [N, 3, R, R].

    `workers` threads decode at once; the result does not depend on it. `progress(done, total)` is called from the
    calling thread. Raises `InputError` naming the first image that cannot be decoded, or, without `enlarge`, that has a
    side below `resolution`: none is left out silently.
    """
    source = _open(path)

    def one(name: str) -> NDArray[np.uint8]:
        try:
            with Image.open(io.BytesIO(source.read(name))) as image:
                if not enlarge and min(image.size) < resolution:
                    raise InputError(
                        f"{path}: image {name} is {image.width} x {image.height} and real images of {resolution} x "
                        f"{resolution} are asked for: give larger images, or lower the factor of the upsampling"
                    )
                return np.asarray(square(to_rgb(image), resolution)).transpose(2, 0, 1)
        except InputError:
            raise
        except _DAMAGE as error:
            raise _unreadable(path, name, error) from None

    try:
        total = len(source.names)
        images = np.empty((total, 3, resolution, resolution), np.uint8)
        with warnings.catch_warnings(), ThreadPoolExecutor(max(1, workers)) as pool:
            # Odd metadata and large photographs are not the user's concern here; damage raises.
            warnings.simplefilter("ignore")
            for i, image in enumerate(pool.map(one, source.names) if workers > 1 else map(one, source.names)):
                images[i] = image
                if progress is not None and ((i + 1) % 256 == 0 or i + 1 == total):
                    progress(i + 1, total)
        return images
    finally:
        source.close()
