"""The images of a run: rendered or decoded once, kept as .npy files in a cache that several processes may share.

Needs no torch, so that a command can prepare images, and show its progress, before any process trains.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from core.config import Data, Images, Rooms
from core.data import rooms
from core.data.images import DECODER, decode, fingerprint
from core.errors import InputError

Progress = Callable[[int, int], None]


def prepare(
    data: Data, *, path: Path | None = None, cache: Path, progress: Progress | None = None, workers: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What D is shown and the metric's real set, both [N, 3, R, R]: from `cache` where they are there whole, else made.

    `path` is the folder or zip of `Images`, whose content must be the one `data.fingerprint` names; `Rooms` need none.
    `workers` threads render or decode; the bytes do not depend on it. Raises `InputError` for anything wrong with the
    images or a cache folder that cannot be written.
    """
    match data:
        case Rooms():
            sets = {"train": rooms.train_indices(data.train), "held_out": rooms.held_out_indices(data.held_out)}
            arrays = _rendered(data, data.resolution, sets, cache, progress, workers)
            return arrays["train"], arrays["held_out"]
        case Images():
            images = _decoded(data, data.resolution, path, cache, progress, workers, enlarge=True)
            return images, images
        case _:
            assert_never(data)


def prepare_real(
    data: Data,
    resolution: int,
    *,
    path: Path | None = None,
    cache: Path,
    progress: Progress | None = None,
    workers: int = 1,
) -> NDArray[np.uint8]:
    """The metric's real set at another resolution than `data`'s, [M, 3, R, R]: the same scenes or photographs.

    Otherwise as `prepare`, but raises `InputError` for a photograph smaller than `resolution`: enlarged it would hold
    no detail of that size to compare with.
    """
    match data:
        case Rooms():
            sets = {"held_out": rooms.held_out_indices(data.held_out)}
            return _rendered(data, resolution, sets, cache, progress, workers)["held_out"]
        case Images():
            return _decoded(data, resolution, path, cache, progress, workers, enlarge=False)
        case _:
            assert_never(data)


def _rendered(
    data: Rooms,
    resolution: int,
    sets: dict[str, NDArray[np.uint64]],
    cache: Path,
    progress: Progress | None,
    workers: int,
) -> dict[str, NDArray[np.uint8]]:
    if data.renderer != rooms.RENDERER:
        raise InputError(f"the config asks for renderer {data.renderer} of the rooms, this is {rooms.RENDERER}")
    supersample = rooms.default_supersample(resolution)
    total = sum(map(len, sets.values()))

    def make() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        done = 0
        for name, indices in sets.items():
            report = None if progress is None else _shifted(progress, done, total)
            yield name, rooms.render(indices, resolution, supersample, data.seed, workers=workers, progress=report)
            done += len(indices)

    key: dict[str, str | int] = {
        "kind": data.kind,
        "renderer": data.renderer,
        "seed": data.seed,
        "supersample": supersample,
        "resolution": resolution,
    }
    with _writable(cache):
        return _cached(cache, key | {name: len(indices) for name, indices in sets.items()}, make)


def _decoded(
    data: Images,
    resolution: int,
    path: Path | None,
    cache: Path,
    progress: Progress | None,
    workers: int,
    *,
    enlarge: bool,
) -> NDArray[np.uint8]:
    source = _checked(data, path)

    def make() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        yield "images", decode(source, resolution, enlarge=enlarge, workers=workers, progress=progress)

    key: dict[str, str | int] = {
        "kind": data.kind,
        "fingerprint": data.fingerprint,
        "decoder": DECODER,
        "resolution": resolution,
    }
    # Of images that need no enlarging both are the same; that nothing was enlarged is what the entry vouches for.
    with _writable(cache):
        return _cached(cache, key if enlarge else key | {"smallest": resolution}, make)["images"]


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: progress(before + done, total)


def _checked(data: Images, path: Path | None) -> Path:
    if path is None:
        raise InputError(f"images {data.fingerprint[:12]} need a path: give the folder or zip that holds them")
    found, count = fingerprint(path)
    if found != data.fingerprint or count != data.count:
        raise InputError(
            f"{path} holds {count} images with fingerprint {found[:12]}, the config names {data.count} with "
            f"{data.fingerprint[:12]}: give the same images, or make a config for these"
        )
    return path


@contextmanager
def _writable(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cache folder {cache} cannot be used ({error.strerror or error}): choose another") from error


# --- the cache --------------------------------------------------------------------------------------------------------


def _cached(
    cache: Path, key: dict[str, str | int], make: Callable[[], Iterator[tuple[str, NDArray[np.uint8]]]]
) -> dict[str, NDArray[np.uint8]]:
    """The arrays of `key`, from <cache>/images/<kind>-<hash of key>/ or from `make`.

    The folder holds one .npy a set and index.json (key, shapes, sha256 of the pixels), which is what makes it whole. A
    folder that is truncated or altered is made anew; a file lock keeps two processes from making the same one.
    """
    name = f"{key['kind']}-{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]}"
    parent = cache / "images"
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / name
    with FileLock(parent / f"{name}.lock"):
        whole = _read(folder, key)
        if whole is not None:
            return whole
        aside = parent / f".{name}.{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            arrays = dict(make())
            sets = {}
            for set_name, array in arrays.items():
                np.save(aside / f"{set_name}.npy", array, allow_pickle=False)
                sets[set_name] = {"shape": list(array.shape), "sha256": hashlib.sha256(array.data).hexdigest()}
            (aside / "index.json").write_text(json.dumps({"key": key, "sets": sets}, indent=1) + "\n")
            shutil.rmtree(folder, ignore_errors=True)
            aside.replace(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return arrays


def _read(folder: Path, key: dict[str, str | int]) -> dict[str, NDArray[np.uint8]] | None:
    """The arrays of a cache folder, None where any part is missing, truncated or not what the index says."""
    try:
        index = json.loads((folder / "index.json").read_text())
        if index["key"] != key:
            return None
        arrays = {}
        for name, described in index["sets"].items():
            array = np.load(folder / f"{name}.npy", allow_pickle=False)
            if array.dtype != np.uint8 or list(array.shape) != described["shape"]:
                return None
            if hashlib.sha256(array.data).hexdigest() != described["sha256"]:
                return None
            arrays[name] = array
        return arrays
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None
