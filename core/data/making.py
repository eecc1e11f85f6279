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
    """`Index.stamps` and `Index.left_out` as a set of the images at `path` would have them. Raises `InputError` where
    there are none."""
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
            return _kept(folder, there, there.replace(name=name or there.name, left_out=source.left_out))
        draft = _Draft(folder, how)
        draft.resume(source, names)
        _check_skipped(path, draft.skipped, skip_bad)
        _check_memory(resolutions)
        _check_space(folder, len(names) - draft.rows, resolutions)
        report = progress or (lambda done, total: None)
        report(draft.seen, len(names))
        block = _Block(draft)
        remaining = names[draft.seen :]
        with decoding(path, source, remaining, resolutions, resampling, workers) as results:
            for image_name, image in zip(remaining, results, strict=True):
                if isinstance(image, Skipped) and not skip_bad:
                    raise unreadable(path, image_name, image.reason)
                block.add(image_name, image)
                if block.rows == BLOCK or block.seen == len(names):
                    draft.add(block.line(_stamps(source, names[draft.seen : block.seen])))
                    report(draft.seen, len(names))
                    block = _Block(draft)
        if not draft.rows:
            raise InputError(f"{path}: none of its {len(names)} images can be read ({draft.skipped[0].reason})")
        index = draft.index(name or path.resolve().name, path, source, names)
        draft.finish(folder, index)
        return index


class _Draft:
    """A set that is being made, in a folder aside: `lines` of its journal, and what they say together."""

    def __init__(self, folder: Path, how: _How) -> None:
        self.folder, self.how = folder.with_name(f".{folder.name}.part"), how
        self.lines: list[_Line] = []

    @property
    def seen(self) -> int:
        """Images that were looked at."""
        return self.lines[-1].seen if self.lines else 0

    @property
    def rows(self) -> int:
        """Images that are written."""
        return sum(line.rows for line in self.lines)

    @property
    def skipped(self) -> list[Skipped]:
        """Images that cannot be read."""
        return [skipped for line in self.lines for skipped in line.skipped]

    @property
    def enlarged(self) -> dict[str, Enlarged]:
        """By resolution."""
        return self.lines[-1].enlarged if self.lines else {str(side): Enlarged() for side in self.how.resolutions}

    def array(self, side: int | str) -> Path:
        """The file of a resolution's pixels."""
        return self.folder / f"{side}.npy"

    def resume(self, source: Source, names: Sequence[str]) -> None:
        """Keeps what an interrupted making left that still holds, or begins with nothing."""
        own_folder(self.folder)
        for side in self.how.resolutions:
            with suppress(FileExistsError), self.array(side).open("xb") as file:
                file.write(bytes(HEADER))
        journal = self.folder / JOURNAL
        before, lines = _parsed(bytes_of(journal, "remove it") if journal.exists() else b"")
        if before not in (None, self.how):
            other = ", ".join(f"{key} {value}" for key, value in before if getattr(self.how, key) != value)
            raise InputError(
                f"{self.folder} holds what an interrupted command had prepared otherwise ({other}): go on with its "
                "options, or remove it to begin anew"
            )
        self.lines = []
        for line in lines:
            if not self._holds(line, source, names):
                break
            self.lines.append(line)
        write_whole(journal, "".join(map(_written, (self.how, *self.lines))).encode())

    def _holds(self, line: _Line, source: Source, names: Sequence[str]) -> bool:
        """Whether the next block is there as its line says, and of the images that are next now."""
        if line.seen - self.seen != line.rows + len(line.skipped) or line.seen > len(names):
            return False
        if list(line.enlarged) != [str(side) for side in self.how.resolutions]:
            return False
        # Images have been added behind what was the last block.
        if line.rows < BLOCK and line.seen < len(names):
            return False
        if line.stamps != _stamps(source, names[self.seen : line.seen]):
            return False
        return set(line.blocks) == set(self.enlarged) and all(
            _sha256(self.array(side), 3 * int(side) ** 2, self.rows, line.rows) == expected
            for side, expected in line.blocks.items()
        )

    def add(self, line: _Line) -> None:
        """Says in the journal that a block is there."""
        append(self.folder / JOURNAL, _written(line))
        self.lines.append(line)

    def index(self, name: str, path: Path, source: Source, names: Sequence[str]) -> Index:
        """The index of the whole set."""
        lines = [line for line in self.lines if line.rows]
        return Index(
            name=stored(name),
            source=stored(path.resolve().name),
            kind=source.kind,
            count=self.rows,
            # As `Fingerprint` makes it, from the blocks' own.
            fingerprint=hashlib.sha256(b"".join(bytes.fromhex(line.encoded) for line in lines)).hexdigest(),
            stamps=_stamps(source, names),
            resampling=self.how.resampling,
            decoder=self.how.decoder,
            pillow=self.how.pillow,
            skipped=tuple(self.skipped),
            left_out=source.left_out,
            pixels={
                side: Pixels(
                    shape=(self.rows, 3, int(side), int(side)),
                    blocks=tuple(line.blocks[side] for line in lines),
                    enlarged=enlarged,
                )
                for side, enlarged in self.enlarged.items()
            },
        )

    def finish(self, folder: Path, index: Index) -> None:
        """Headers, contact sheets and the index, then the move into place."""
        for side, pixels in index.pixels.items():
            with changed(self.array(side)) as stream:
                stream.write(header_of(pixels.shape))
                stream.flush()
                os.fsync(stream.fileno())
            sheet = io.BytesIO()
            contact_sheet(mapped_of(self.folder, pixels)).save(sheet, "PNG")
            write_whole(self.folder / f"contact_{side}.png", sheet.getvalue())
        _write_index(self.folder, index)
        # The journal goes last: without it what took hours would be begun anew, where the move did not last.
        self.folder.replace(folder)
        sync_folder(folder.parent)
        (folder / JOURNAL).unlink()


class _Block:
    """Decoded images, each written behind the rows of `draft` as it comes: in memory is only the last."""

    def __init__(self, draft: _Draft) -> None:
        self.draft, self.row, self.seen, self.enlarged = draft, draft.rows, draft.seen, dict(draft.enlarged)
        self.encoded: list[bytes] = []
        self.skipped: list[Skipped] = []
        self.pixels = {side: hashlib.sha256() for side in self.enlarged}

    @property
    def rows(self) -> int:
        return len(self.encoded)

    def add(self, name: str, image: Decoded | Skipped) -> None:
        self.seen += 1
        if isinstance(image, Skipped):
            self.skipped.append(image)
            return
        for side, pixels in zip(self.pixels, image.pixels, strict=True):
            content = pixels.tobytes()
            self.pixels[side].update(content)
            with changed(self.draft.array(side)) as file:
                file.seek(HEADER + (self.row + self.rows) * len(content))
                file.write(content)
            if min(image.size) < int(side):
                before, (width, height) = self.enlarged[side], image.size
                first = before if before.count else Enlarged(first=name, width=width, height=height)
                self.enlarged[side] = first.replace(count=before.count + 1)
        self.encoded.append(image.sha256)

    def line(self, stamps: str) -> _Line:
        """Ends the block; the line of the journal that says that it is there."""
        for side in self.pixels:
            # What an interrupted command had written beyond it is no part of it.
            with changed(self.draft.array(side)) as file:
                file.truncate(HEADER + (self.row + self.rows) * 3 * int(side) ** 2)
        return _Line(
            stamps=stamps,
            seen=self.seen,
            rows=self.rows,
            encoded=hashlib.sha256(b"".join(self.encoded)).hexdigest(),
            skipped=self.skipped,
            enlarged=self.enlarged,
            blocks={side: pixels.hexdigest() for side, pixels in self.pixels.items()},
        )


def _written(line: Node) -> str:
    return json.dumps(line.model_dump()) + "\n"


def _stamps(source: Source, names: Sequence[str]) -> str:
    """Differs when one of these images was renamed or replaced."""
    return hashlib.sha256("\n".join(f"{name} {source.stamp(name)}" for name in names).encode()).hexdigest()


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
    """The index of a set now, written where it has changed."""
    if now != before:
        _write_index(folder, now)
    return now


def _write_index(folder: Path, index: Index) -> None:
    write_whole(folder / INDEX, (index.model_dump_json(indent=1) + "\n").encode())


def _sha256(file: Path, size: int, row: int, rows: int) -> str:
    """That of rows of so many bytes in an array's file."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        stream.seek(HEADER + row * size)
        for _ in range(rows):
            digest.update(stream.read(size))
    return digest.hexdigest()


def contact_sheet(images: NDArray[np.uint8]) -> Image.Image:
    """Images spread evenly over [N, 3, R, R], in order, with a white line between them."""
    columns, rows = SHEET
    side, shown = images.shape[-1], min(len(images), columns * rows)
    columns = min(columns, shown)
    step = side + 1
    sheet = np.full((-(-shown // columns) * step - 1, columns * step - 1, 3), 255, np.uint8)
    for place in range(shown):
        top, across = place // columns * step, place % columns * step
        sheet[top : top + side, across : across + side] = images[place * len(images) // shown].transpose(1, 2, 0)
    return Image.fromarray(sheet)


def _already(path: Path, folder: Path, source: Source, names: Sequence[str], how: _How, skip_bad: bool) -> Index:
    """The set that is there, where it is the one asked for."""
    if not is_prepared(folder):
        raise InputError(f"{folder} exists and is no prepared set: give another folder with --out")
    index = read_index(folder)
    (folder / JOURNAL).unlink(missing_ok=True)  # Its maker was killed in between.
    missing = [side for side in how.resolutions if side not in index.resolutions]
    same = (index.resampling, index.decoder) == (how.resampling, how.decoder)
    if same and index.stamps != _stamps(source, names):
        unread = {entry.name for entry in index.skipped}
        kept = [name for name in names if name not in unread]
        same = index.count == len(kept) and index.fingerprint == fingerprint_of(path, source, kept)
    if missing or not same:
        what = f"has no {' and '.join(map(str, missing))}" if same else "holds other images, or prepared in another way"
        raise InputError(
            f"{folder} is a prepared set already and {what}: give another folder with --out, or remove it first"
        )
    _check_skipped(path, index.skipped, skip_bad)
    return index


def _check_memory(resolutions: Sequence[int]) -> None:
    """Raises InputError for images that are larger than this machine's memory, each of them."""
    # As an image, as an array, and as a row of the contact sheet.
    needed, there = SHEET[0] * 3 * max(resolutions) ** 2, memory()
    if there is not None and needed > there:
        raise InputError(
            f"--resolution {max(resolutions)} takes {needed / 1e9:,.1f} GB for a row of images and this machine has "
            f"{there / 1e9:.1f} GB: ask for a smaller one"
        )


def _check_space(folder: Path, images: int, resolutions: Sequence[int]) -> None:
    """Raises InputError where the disk has no room for so many more images."""
    needed = images * sum(3 * resolution**2 for resolution in resolutions)
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
