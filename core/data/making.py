"""Makes a prepared set: aside, in `.NAME.part` beside it, block by block with a journal, moved into place at the end.

When the making is interrupted, the same call goes on from the last block whose bytes are what the journal says.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL import __version__ as pillow_version
from pydantic import Field, ValidationError

from core.config import Node, Resampling
from core.data.arrays import HEADER, header_of
from core.data.decoding import Decoded, Skipped, decoding
from core.data.images import DECODER
from core.data.listing import LeftOut
from core.data.prepared import INDEX, SHA256, Enlarged, Index, Pixels, Progress, is_prepared, mapped_of, read_index
from core.data.sources import BLOCK, Source, fingerprint_of, opened, unreadable
from core.errors import InputError
from core.file_names import stored
from core.files import append, changed, make_folder, own_folder, placed, sync_folder, unwritable, write_whole
from core.locks import FileLock, Timeout
from core.machine import memory
from core.reading import bytes_of

JOURNAL = "journal.jsonl"

SHEET = (12, 8)
"""Columns and rows of a contact sheet."""


def listed(path: Path) -> tuple[str, tuple[LeftOut, ...]]:
    """What `Index.stamps` and `Index.left_out` would be of what is at `path` now. Raises `InputError` where no images
    are."""
    with opened(path) as source:
        return _stamps(source, source.names), source.left_out


def with_left_out(folder: Path, index: Index, left_out: tuple[LeftOut, ...]) -> Index:
    """The set with what lies beside its images now."""
    return _kept(folder, index, index.replace(left_out=left_out))


class _How(Node):
    """The first line of a journal: how the images are prepared."""

    resolutions: list[int]
    resampling: Resampling
    decoder: int
    pillow: str


class _Line(Node):
    """A line of a journal: a block that is there. `encoded` and `blocks` are sha256, of the encoded images' and of a
    resolution's pixels."""

    stamps: str
    seen: int
    rows: int = Field(ge=0, le=BLOCK)
    encoded: str = Field(pattern=SHA256)
    skipped: list[Skipped]
    enlarged: dict[str, Enlarged]
    blocks: dict[str, str]


@dataclass
class _Made:
    """What the journal has so far: images looked at, rows written, and what is known of them."""

    seen: int
    rows: int
    encoded: list[str]
    skipped: list[Skipped]
    enlarged: dict[int, Enlarged]
    blocks: dict[int, list[str]]


def make(
    path: Path,
    folder: Path,
    resolutions: Sequence[int],
    *,
    resampling: Resampling = "box",
    skip_bad: bool = False,
    most: int | None = None,
    name: str | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Index:
    """Prepares the images at `path` (folder, zip or LMDB) into `folder`, or goes on with it where it was interrupted.

    `workers` processes decode; the bytes do not depend on it. `most` takes the first so many. With `skip_bad` an image
    that cannot be decoded is left out and listed; without, the first one raises. Raises `InputError` for anything that
    is wrong with the images, the folder or the disk: with what to do, and nothing that was made is lost.
    """
    resolutions = sorted(set(resolutions))
    folder = placed(folder)
    if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
        raise InputError(f"{folder} lies in the folder of images {path}: give a folder elsewhere with --out")
    with _written_to(folder), opened(path) as source, _alone(folder):
        names = source.names[:most]
        how = _How(resolutions=resolutions, resampling=resampling, decoder=DECODER, pillow=pillow_version)
        if folder.exists():
            there = _already(path, folder, source, names, how, skip_bad)
            now = {"name": name or there.name, "left_out": source.left_out}
            return _kept(folder, there, there.replace(**now))
        aside = folder.with_name(f".{folder.name}.part")
        made = _begun(aside, how, source, names)
        _check_skipped(path, made.skipped, skip_bad)
        _enough_memory(resolutions)
        _enough_space(folder, len(names), resolutions, made.rows)
        report = progress or (lambda done, total: None)
        report(made.seen, len(names))
        block = _Block(aside, made)
        left = names[made.seen :]
        with decoding(path, source, left, resolutions, resampling, workers) as results:
            for image_name, found in zip(left, results, strict=True):
                if isinstance(found, Skipped) and not skip_bad:
                    raise unreadable(path, image_name, found.reason)
                block.add(image_name, found)
                if block.rows == BLOCK or block.seen == len(names):
                    _write(aside, block, made, _stamps(source, names[made.seen : block.seen]))
                    report(made.seen, len(names))
                    block = _Block(aside, made)
        if not made.rows:
            raise InputError(f"{path}: none of its {len(names)} images can be read ({made.skipped[0].reason})")
        index = _index(path, source, names, made, resolutions, resampling, name)
        _finish(aside, folder, index)
        return index


class _Block:
    """Decoded images, each written behind the rows of `made` as it comes: in memory is only the last."""

    def __init__(self, aside: Path, made: _Made) -> None:
        self.aside, self.row, self.seen, self.enlarged = aside, made.rows, made.seen, dict(made.enlarged)
        self.sha256: list[bytes] = []
        self.skipped: list[Skipped] = []
        self.pixels = {resolution: hashlib.sha256() for resolution in made.enlarged}

    @property
    def rows(self) -> int:
        return len(self.sha256)

    def add(self, name: str, found: Decoded | Skipped) -> None:
        self.seen += 1
        if isinstance(found, Skipped):
            self.skipped.append(found)
            return
        for resolution, image in zip(self.pixels, found.pixels, strict=True):
            content = image.tobytes()
            self.pixels[resolution].update(content)
            with changed(self.aside / f"{resolution}.npy") as file:
                file.seek(HEADER + (self.row + self.rows) * len(content))
                file.write(content)
            if min(found.size) < resolution:
                before, (width, height) = self.enlarged[resolution], found.size
                first = before if before.count else Enlarged(first=name, width=width, height=height)
                self.enlarged[resolution] = first.replace(count=before.count + 1)
        self.sha256.append(found.sha256)


def _write(aside: Path, block: _Block, made: _Made, stamps: str) -> None:
    """Ends a block, and then says in the journal that it is there."""
    for resolution in block.pixels:
        # What an interrupted command had written beyond it is no part of it.
        with changed(aside / f"{resolution}.npy") as file:
            file.truncate(HEADER + (made.rows + block.rows) * 3 * resolution**2)
    line = _Line(
        stamps=stamps,
        seen=block.seen,
        rows=block.rows,
        encoded=hashlib.sha256(b"".join(block.sha256)).hexdigest(),
        skipped=block.skipped,
        enlarged={str(resolution): entry for resolution, entry in block.enlarged.items()},
        blocks={str(resolution): found.hexdigest() for resolution, found in block.pixels.items()},
    )
    append(aside / JOURNAL, _written(line))
    _account(made, line)


def _written(line: Node) -> str:
    return json.dumps(line.model_dump()) + "\n"


def _account(made: _Made, line: _Line) -> None:
    made.seen = line.seen
    made.rows += line.rows
    made.encoded += [line.encoded] if line.rows else []
    made.skipped += line.skipped
    for resolution in made.blocks:
        made.enlarged[resolution] = line.enlarged[str(resolution)]
        if line.rows:
            made.blocks[resolution].append(line.blocks[str(resolution)])


def _stamps(source: Source, names: Sequence[str]) -> str:
    """Differs when one of these images was renamed or replaced."""
    return hashlib.sha256("\n".join(f"{name} {source.stamp(name)}" for name in names).encode()).hexdigest()


def _begun(aside: Path, how: _How, source: Source, names: Sequence[str]) -> _Made:
    """What an interrupted making left that still holds, in `aside`, or an empty beginning there."""
    resolutions = how.resolutions
    made = _Made(0, 0, [], [], dict.fromkeys(resolutions, Enlarged()), {resolution: [] for resolution in resolutions})
    own_folder(aside)
    for resolution in resolutions:
        with suppress(FileExistsError), (aside / f"{resolution}.npy").open("xb") as file:
            file.write(bytes(HEADER))
    journal = aside / JOURNAL
    before, lines = _parsed(bytes_of(journal, "remove it") if journal.exists() else b"")
    if before not in (None, how):
        other = ", ".join(f"{key} {value}" for key, value in before if getattr(how, key) != value)
        raise InputError(
            f"{aside} holds what an interrupted command had prepared otherwise ({other}): go on with its options, or "
            "remove it to begin anew"
        )
    kept = _written(how)
    for line in lines:
        if line.seen - made.seen != line.rows + len(line.skipped) or set(line.blocks) != set(map(str, resolutions)):
            break
        if line.seen > len(names) or line.stamps != _stamps(source, names[made.seen : line.seen]):
            break
        # Images have been added behind what was the last block.
        if line.rows < BLOCK and line.seen < len(names):
            break
        if not all(_is_there(aside / f"{side}.npy", side, made.rows, line) for side in resolutions):
            break
        _account(made, line)
        kept += _written(line)
    write_whole(journal, kept.encode())
    return made


def _parsed(journal: bytes) -> tuple[_How | None, list[_Line]]:
    """The lines of a journal up to the first that is torn or damaged."""
    how, lines = None, []
    with suppress(ValidationError):
        for text in journal.split(b"\n")[:-1]:
            if how is None:
                how = _How.model_validate_json(text)
            else:
                lines.append(_Line.model_validate_json(text))
    return how, lines


def _check_skipped(path: Path, skipped: Sequence[Skipped], skip_bad: bool) -> None:
    """Raises InputError where images were left out by a command that was allowed to, and this one is not."""
    if skipped and not skip_bad:
        raise unreadable(path, skipped[0].name, skipped[0].reason)


def _kept(folder: Path, before: Index, now: Index) -> Index:
    """What a set says of itself now."""
    if now != before:
        _write_index(folder, now)
    return now


def _write_index(folder: Path, index: Index) -> None:
    write_whole(folder / INDEX, (index.model_dump_json(indent=1) + "\n").encode())


def _is_there(file: Path, resolution: int, row: int, line: _Line) -> bool:
    """Whether the block of a journal's line is in the array's file as it was written."""
    size = 3 * resolution**2
    with file.open("rb") as stream:
        stream.seek(HEADER + row * size)
        found = hashlib.sha256()
        for _ in range(line.rows):
            found.update(stream.read(size))
    return found.hexdigest() == line.blocks[str(resolution)]


def _index(
    path: Path,
    source: Source,
    names: Sequence[str],
    made: _Made,
    resolutions: Sequence[int],
    resampling: Resampling,
    name: str | None,
) -> Index:
    return Index(
        name=stored(name or path.resolve().name),
        source=stored(path.resolve().name),
        kind=source.kind,
        count=made.rows,
        # As `Fingerprint` makes it, from the blocks' own.
        fingerprint=hashlib.sha256(b"".join(map(bytes.fromhex, made.encoded))).hexdigest(),
        stamps=_stamps(source, names),
        resampling=resampling,
        decoder=DECODER,
        pillow=pillow_version,
        skipped=tuple(made.skipped),
        left_out=source.left_out,
        pixels={
            str(resolution): Pixels(
                shape=(made.rows, 3, resolution, resolution),
                blocks=tuple(made.blocks[resolution]),
                enlarged=made.enlarged[resolution],
            )
            for resolution in resolutions
        },
    )


def _finish(aside: Path, folder: Path, index: Index) -> None:
    """Headers, contact sheets and the index, then the move into place."""
    for side, pixels in index.pixels.items():
        file = aside / f"{side}.npy"
        with changed(file) as stream:
            stream.write(header_of(pixels.shape))
            stream.flush()
            os.fsync(stream.fileno())
        sheet = io.BytesIO()
        contact_sheet(mapped_of(aside, pixels)).save(sheet, "PNG")
        write_whole(aside / f"contact_{side}.png", sheet.getvalue())
    _write_index(aside, index)
    # The journal goes last: without it what took hours would be begun anew, where the move did not last.
    aside.replace(folder)
    sync_folder(folder.parent)
    (folder / JOURNAL).unlink()


def contact_sheet(images: NDArray[np.uint8]) -> Image.Image:
    """Images spread evenly over [N, 3, R, R], in order, with a white line between them."""
    columns, rows = SHEET
    side, shown = images.shape[-1], min(len(images), columns * rows)
    columns = min(columns, shown)
    step = side + 1
    sheet = np.full((-(-shown // columns) * step - 1, columns * step - 1, 3), 255, np.uint8)
    for place in range(shown):
        top, left = place // columns * step, place % columns * step
        sheet[top : top + side, left : left + side] = images[place * len(images) // shown].transpose(1, 2, 0)
    return Image.fromarray(sheet)


def _already(path: Path, folder: Path, source: Source, names: Sequence[str], how: _How, skip_bad: bool) -> Index:
    """The set that is there, where it is the one asked for."""
    if not is_prepared(folder):
        raise InputError(f"{folder} exists and is no prepared set: give another folder with --out")
    index = read_index(folder)
    (folder / JOURNAL).unlink(missing_ok=True)  # Whoever made it was killed in between.
    missing = [side for side in how.resolutions if side not in index.resolutions]
    same = (index.resampling, index.decoder) == (how.resampling, how.decoder) and (
        index.stamps == _stamps(source, names) or _holds(index, path, source, names)
    )
    if missing or not same:
        what = f"has no {' and '.join(map(str, missing))}" if same else "holds other images, or prepared in another way"
        raise InputError(
            f"{folder} is a prepared set already and {what}: give another folder with --out, or remove it first"
        )
    _check_skipped(path, index.skipped, skip_bad)
    return index


def _holds(index: Index, path: Path, source: Source, names: Sequence[str]) -> bool:
    """Whether a set is of these images, by reading them all."""
    left_out = {entry.name for entry in index.skipped}
    kept = [name for name in names if name not in left_out]
    return index.count == len(kept) and index.fingerprint == fingerprint_of(path, source, kept)


def _enough_memory(resolutions: Sequence[int]) -> None:
    """Raises InputError for images that are larger than this machine's memory, each of them."""
    # As an image, as an array, and as a row of the contact sheet.
    needed, there = SHEET[0] * 3 * max(resolutions) ** 2, memory()
    if there is not None and needed > there:
        raise InputError(
            f"--resolution {max(resolutions)} takes {needed / 1e9:,.1f} GB for a row of images and this machine has "
            f"{there / 1e9:.1f} GB: ask for a smaller one"
        )


def _enough_space(folder: Path, count: int, resolutions: Sequence[int], rows: int) -> None:
    needed = (count - rows) * sum(3 * resolution**2 for resolution in resolutions)
    free = shutil.disk_usage(folder.parent).free
    if needed > free:
        raise InputError(
            f"{folder.parent} has {free / 1e9:.1f} GB free and the prepared images take {needed / 1e9:.1f} GB more: "
            "free space, or give another folder with --out"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        lock = FileLock(folder.with_name(f".{folder.name}.lock")).acquire(timeout=0)
    except Timeout:
        raise InputError(f"{folder} is being prepared by another process: wait for it") from None
    with lock:
        yield


@contextmanager
def _written_to(folder: Path) -> Iterator[None]:
    """An error of the file system while something is made, as one line."""
    try:
        make_folder(folder.parent)
        yield
    except OSError as error:
        raise unwritable(folder, error) from error
