"""The images of a run: rendered or decoded once, kept as .npy files in a cache that several processes may share.

Needs no torch, so that a command can prepare images, and show its progress, before any process trains.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from core.config import Data, Images, Pool, Resampling, Rooms
from core.data import rooms
from core.data.arrays import Unfit, header_of, read
from core.data.decoding import sizes
from core.data.images import DECODER
from core.data.listing import LeftOut
from core.data.making import listed, make, with_left_out
from core.data.prepared import (
    FORMAT,
    Damaged,
    Enlarged,
    Index,
    Progress,
    check_enlarged,
    check_real,
    check_same,
    check_serves,
    is_prepared,
    read_index,
    read_pixels,
)
from core.data.room_cells import Edges, cells
from core.data.sources import fingerprint, is_lmdb
from core.errors import InputError
from core.file_names import stored
from core.files import check_tree, is_full, make_folder, sync_folder, unwritable, write_whole
from core.locks import FileLock
from core.reading import record_of

SETS = frozenset({"train", "held_out", "windows"})
"""Of rooms."""


def described(path: Path, resolution: int, resampling: Resampling = "box") -> Images:
    """The config of the images at `path`, a prepared set, whose filter is its own, or what one can be made of.

    Raises `InputError` where there are none, or none of that resolution in a prepared set.
    """
    if not is_prepared(path):
        sha256, count = fingerprint(path)
        return Images(resolution=resolution, count=count, fingerprint=sha256, resampling=resampling)
    index = read_index(path)
    index.at(path, resolution)
    return Images(resolution=resolution, count=index.count, fingerprint=index.fingerprint, resampling=index.resampling)


def named(path: Path) -> str:
    """The images' name for people: the one that a prepared set was given, else that of the file or folder."""
    return read_index(path).name if is_prepared(path) else stored(path.resolve().name)


def left_out(path: Path) -> tuple[LeftOut, ...]:
    """Which files at `path` are no images, as far as it is not a set that was prepared: there it is what was so then.

    Raises `InputError` where there are none.
    """
    if is_prepared(path):
        return read_index(path).left_out
    return () if is_lmdb(path) else listed(path)[1]


def prepare(
    data: Data, *, path: Path | None = None, cache: Path, progress: Progress | None = None, workers: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Training images and the metric's real set, both [N, 3, R, R]: from `cache` if they are there whole, else made.

    `path` is what holds the `Images`, a prepared set or a folder, zip or LMDB, whose content must be the one that
    `data.fingerprint` names; `Rooms` need none. Images are memory-mapped. `workers` render or decode at once; the bytes
    do not depend on it. Raises `InputError` for anything wrong with the images or a cache folder that cannot be
    written.
    """
    match data:
        case Rooms():
            train, held_out = rooms.train_indices(data.train), rooms.held_out_indices(data.held_out)
            if data.shown == "areas":
                sets = {"train": train, "held_out": held_out}
                arrays = _rendered(data, data.resolution, sets, cache, progress, workers)
                return arrays["train"], arrays["held_out"]
            points = _rendered(data, data.resolution, {"train": train}, cache, progress, workers, shown=data.shown)
            real = _rendered(data, data.resolution, {"held_out": held_out}, cache, progress, workers)
            return points["train"], real["held_out"]
        case Images():
            folder, index = prepared_set(
                data, data.resolution, path=path, cache=cache, progress=progress, workers=workers
            )
            images = read_pixels(folder, index, data.resolution)
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
            folder, index = prepared_set(data, resolution, path=path, cache=cache, progress=progress, workers=workers)
            images = read_pixels(folder, index, resolution)
            check_real(path or folder, index, resolution)
            return images
        case _:
            assert_never(data)


def prepare_pool(
    data: Data,
    pool: Pool,
    *,
    path: Path | None = None,
    cache: Path,
    progress: Progress | None = None,
    workers: int = 1,
) -> NDArray[np.uint8]:
    """The first `pool.share` of the training images at `pool.resolution`, [M, 3, F, F]; else as `prepare_real`."""
    match data:
        case Rooms():
            sets = {"train": rooms.train_indices(math.ceil(pool.share * data.train))}
            return _rendered(data, pool.resolution, sets, cache, progress, workers, shown=data.shown)["train"]
        case Images():
            images = prepare_real(data, pool.resolution, path=path, cache=cache, progress=progress, workers=workers)
            return images[: math.ceil(pool.share * len(images))]
        case _:
            assert_never(data)


def prepare_windows(
    data: Rooms,
    indices: NDArray[np.uint64],
    columns: Edges,
    rows: Edges,
    *,
    points: int,
    cache: Path,
    workers: int = 1,
) -> NDArray[np.uint8]:
    """A window of each of the scenes `indices`, uint8 [N, 3, H, W], of edges [N, W + 1] and [N, H + 1], H = W: means of
    `points` x `points` points a cell (`core.data.room_cells`). From `cache` if they are there whole, else made."""
    where = hashlib.sha256()
    for line in (indices, columns, rows):
        where.update(np.ascontiguousarray(line).data)
    key: dict[str, str | int] = {
        "kind": f"{data.kind}-windows",
        "renderer": _there(data),
        "seed": data.seed,
        "supersample": points,
        "resolution": columns.shape[1] - 1,
        "where": where.hexdigest(),
        "windows": len(indices),
    }

    def made() -> dict[str, NDArray[np.uint8]]:
        return {
            "windows": cells(
                indices, columns, rows, seed=data.seed, renderer=data.renderer, points=points, workers=workers
            )
        }

    return _cached(key, cache, made)["windows"]


def prepared_set(
    data: Images,
    resolution: int,
    *,
    path: Path | None = None,
    cache: Path,
    progress: Progress | None = None,
    workers: int = 1,
) -> tuple[Path, Index]:
    """The prepared set that has `data` at `resolution`: the one at `path`, or one made in `cache` of what is there."""
    if path is None:
        raise InputError(f"images {data.fingerprint[:12]} need a path: give the folder, zip or LMDB that holds them")
    if is_prepared(path):
        index = read_index(path)
        check_serves(path, index, data, resolution)
        return path, index
    folder = _folder_of(data, resolution, cache)
    with _writable(cache):
        _made_for(folder, cache)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            cached = _whole(folder, resolution)
            stamps, beside = listed(path)
            # Reading all of a large source takes minutes: what was not touched since need not be read again.
            if cached is None or cached.stamps != stamps:
                check_same(path, data, *fingerprint(path))
            if cached is not None:
                return folder, with_left_out(folder, cached, beside)
            return folder, make(
                path, folder, [resolution], resampling=data.resampling, workers=workers, progress=progress
            )


@lru_cache(maxsize=8)
def check_larger(path: Path, resolution: int) -> None:
    """Raises InputError where images at `path` are smaller than `resolution`, at which they are wanted as real ones.

    Of images that are not prepared it reads what their headers say.
    """
    if is_prepared(path):
        check_real(path, read_index(path), resolution)
        return
    small = Enlarged()
    for name, (width, height) in sizes(path):
        if min(width, height) < resolution:
            small = small if small.count else Enlarged(first=name, width=width, height=height)
            small = small.replace(count=small.count + 1)
    check_enlarged(path, small, resolution)


def index_of(data: Images, resolution: int, *, path: Path, cache: Path) -> Index:
    """The index of the images at `path` once they have been prepared, there or in `cache`."""
    return read_index(path if is_prepared(path) else _folder_of(data, resolution, cache))


def _folder_of(data: Images, resolution: int, cache: Path) -> Path:
    made_of = f"{FORMAT} {data.fingerprint} {data.resampling} {DECODER} {resolution}"
    return cache / "images" / f"images-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"


def _whole(folder: Path, resolution: int) -> Index | None:
    """The index of a folder of the cache; one that is proven to be damaged is removed, no other."""
    try:
        index = read_index(folder)
        read_pixels(folder, index, resolution)
        return index
    except Damaged:
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _made_for(folder: Path, cache: Path) -> None:
    """Makes the place of a folder of the cache. Raises InputError where it, or anything in it, leads out of there."""
    check_tree(cache, folder)
    make_folder(folder.parent)


@contextmanager
def _writable(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise unwritable(cache, error) from error
        raise InputError(f"cache folder {cache} cannot be used ({error.strerror or error}): choose another") from error


# --- rooms ------------------------------------------------------------------------------------------------------------


def _rendered(
    data: Rooms,
    resolution: int,
    sets: dict[str, NDArray[np.uint64]],
    cache: Path,
    progress: Progress | None,
    workers: int,
    shown: Literal["areas", "points"] = "areas",
) -> dict[str, NDArray[np.uint8]]:
    """The scenes of these sets, pixels as they are `shown`, from <cache>/images/rooms-<hash of what they are>/ or made.

    See `_cached`.
    """
    supersample = rooms.default_supersample(resolution) if shown == "areas" else 1
    key: dict[str, str | int] = {
        "kind": data.kind,
        "renderer": _there(data),
        "seed": data.seed,
        "supersample": supersample,
        "resolution": resolution,
        **{name: len(indices) for name, indices in sets.items()},
    }

    def made() -> dict[str, NDArray[np.uint8]]:
        arrays: dict[str, NDArray[np.uint8]] = {}
        for set_name, indices in sets.items():
            before = sum(map(len, arrays.values()))
            report = None if progress is None else _shifted(progress, before, sum(map(len, sets.values())))
            arrays[set_name] = rooms.render(
                indices,
                resolution,
                supersample,
                data.seed,
                renderer=data.renderer,
                workers=workers,
                progress=report,
            )
        return arrays

    return _cached(key, cache, made)


def _there(data: Rooms) -> int:
    """The renderer that is asked for. Raises InputError where there is no such."""
    if data.renderer not in rooms.RENDERERS:
        there = " and ".join(map(str, rooms.RENDERERS))
        raise InputError(f"the config asks for renderer {data.renderer} of the rooms, here are {there}")
    return data.renderer


def _cached(
    key: dict[str, str | int], cache: Path, make: Callable[[], dict[str, NDArray[np.uint8]]]
) -> dict[str, NDArray[np.uint8]]:
    """What `key` describes, from <cache>/images/<kind>-<hash of the key>/ or made.

    The folder holds one .npy a set and index.json (key, shapes, sha256 of the pixels), which is what makes it whole. A
    folder that is truncated or altered is made anew; a file lock keeps two processes from making the same one.
    """
    name = f"{key['kind']}-{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]}"
    folder = cache / "images" / name
    with _writable(cache):
        _made_for(folder, cache)
        with FileLock(folder.with_name(f"{name}.lock")):
            if (whole := _read(folder, key)) is not None:
                return whole
            for rest in folder.parent.glob(f".{name}.*"):  # By whoever was killed: what is left keeps room.
                if rest.is_dir() and not rest.is_symlink():
                    shutil.rmtree(rest, ignore_errors=True)
                else:
                    rest.unlink()
            arrays = make()
            _keep(folder, key, arrays)
            return arrays


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: progress(before + done, total)


def _keep(folder: Path, key: dict[str, str | int], arrays: dict[str, NDArray[np.uint8]]) -> None:
    """Writes a folder of the cache aside, under a name that cannot be guessed, and moves it into place."""
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    aside.mkdir()
    try:
        sets = {}
        for name, array in arrays.items():
            # Not `np.save`, of whose errors nobody can tell what is wrong.
            write_whole(aside / f"{name}.npy", header_of(array.shape), np.ascontiguousarray(array).reshape(-1).data)
            sets[name] = {"shape": list(array.shape), "sha256": hashlib.sha256(array.data).hexdigest()}
        write_whole(aside / "index.json", (json.dumps({"key": key, "sets": sets}, indent=1) + "\n").encode())
        shutil.rmtree(folder, ignore_errors=True)
        aside.replace(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _read(folder: Path, key: dict[str, str | int]) -> dict[str, NDArray[np.uint8]] | None:
    """The arrays of a cache folder, None where any part is missing, truncated or not what the index says."""
    try:
        index = record_of(folder / "index.json", "remove it")
        if index["key"] != key:
            return None
        arrays, side = {}, int(key["resolution"])
        # No name in a file that may be anybody's leads to another file.
        for name in SETS & key.keys():
            described = index["sets"][name]
            array = read(folder / f"{name}.npy", (int(key[name]), 3, side, side))
            if list(array.shape) != described["shape"]:
                return None
            if hashlib.sha256(array.data).hexdigest() != described["sha256"]:
                return None
            arrays[name] = array
        return arrays
    except (OSError, ValueError, KeyError, TypeError, Unfit):
        return None
