"""Where encoded images come from: a folder with its subfolders, a zip, or an LMDB as LSUN ships. Listed and read, never
unpacked to disk.

In folders and zips an image is a file whose name ends in one of `SUFFIXES`; other files (labels, readmes, the
`dataset.json` of the StyleGAN tools), names that start with a dot and the Mac's `__MACOSX` are no images. In an LMDB
every value is one. They are ordered by name, folders with "/", keys by their bytes.

This module imports no torch: a dry run calls `fingerprint`.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from PIL import Image

from core.data.walk import NotWalked, damage
from core.errors import InputError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".avif"}
)

LMDB_FILE = "data.mdb"

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
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
"""What PIL and zipfile raise for damaged content."""


class Source(Protocol):
    """Named encoded images in a fixed order; `kind` is "folder", "zip" or "lmdb"."""

    kind: str
    names: list[str]

    def read(self, name: str) -> bytes:
        """The encoded image. Raises one of `DAMAGE`; may be called from several threads."""
        ...

    def stamp(self, name: str) -> str:
        """Differs when the image under that name was replaced, as far as that can be told without reading it."""
        ...

    def close(self) -> None: ...


def _is_image(name: str) -> bool:
    *folders, file = name.split("/")
    if file.startswith(".") or os.path.splitext(file)[1].lower() not in SUFFIXES:  # noqa: PTH122 (ten times faster)
        return False
    return not any(folder == "__MACOSX" or (folder.startswith(".") and folder != "..") for folder in folders)


def _of_file(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


class _Folder:
    kind = "folder"

    def __init__(self, path: Path, *, listed: bool) -> None:
        self.path = path
        self.names = sorted(self._images()) if listed else []

    def _images(self) -> Iterator[str]:
        def refuse(error: OSError) -> None:
            raise InputError(f"{error.filename} cannot be read ({error.strerror}): correct its permissions")

        above = {self.path: {self.path.resolve()}}
        for folder, folders, files in os.walk(self.path, followlinks=True, onerror=refuse):
            here = Path(folder)
            inside = here.relative_to(self.path).as_posix()
            prefix = "" if inside == "." else f"{inside}/"
            # A link to a folder above would never end.
            real = {name: (here / name).resolve() for name in folders}
            folders[:] = [name for name in folders if real[name] not in above[here]]
            above |= {here / name: above[here] | {real[name]} for name in folders}
            del above[here]
            yield from (
                prefix + name
                for name in files
                if _is_image(prefix + name) and os.path.isfile(f"{folder}/{name}")  # noqa: PTH113
            )

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def was_prepared(self) -> bool:
        """Whether the only pictures are the contact sheets of a prepared set."""
        return any(self.path.glob("*.npy")) and all(name.startswith("contact_") for name in self.names)

    def stamp(self, name: str) -> str:
        try:
            return _of_file(self.path / name)
        except OSError:
            return ""

    def close(self) -> None:
        pass


class _Zip:
    """Members are read straight from the mapped file: several times faster than zipfile for tens of thousands of small
    images, and safe from many threads. Anything but stored and deflated members goes through zipfile."""

    kind = "zip"

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise InputError(
                f"{path} is not a readable zip ({error}): give a folder, a zip or an LMDB of images"
            ) from None
        self._members = {i.filename: i for i in self._zip.infolist() if not i.is_dir() and _is_image(i.filename)}
        self.names = sorted(self._members)
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def holds_lmdb(self) -> bool:
        return any(name.rsplit("/", 1)[-1] == LMDB_FILE for name in self._zip.namelist())

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

    def stamp(self, name: str) -> str:
        member = self._members[name]
        return f"{member.file_size} {member.CRC}"

    def close(self) -> None:
        self._bytes.close()
        self._zip.close()


class _Lmdb:
    """LSUN's layout: a folder with data.mdb, the key any bytes, the value one encoded image (JPEG, later WebP)."""

    kind = "lmdb"

    def __init__(self, path: Path, *, listed: bool) -> None:
        # Only those who have an LMDB need the library.
        import lmdb

        file = path / LMDB_FILE if path.is_dir() else path
        try:
            self._env = lmdb.open(
                str(file), subdir=False, readonly=True, lock=False, readahead=False, max_spare_txns=os.cpu_count() or 1
            )
        except (lmdb.Error, OSError) as error:
            reason = " ".join(str(error).removeprefix(f"{file}: ").split())
            raise InputError(
                f"{path} cannot be opened as an LMDB ({reason}): give the folder that holds its {LMDB_FILE}"
            ) from None
        info = self._env.info()
        self._stamp = f"{file.stat().st_size} {info['last_pgno']} {info['last_txnid']}"
        self.names = self._keys(path, file) if listed else []

    def _keys(self, path: Path, file: Path) -> list[str]:
        import lmdb

        try:
            # Reading a page that the file no longer has would kill the process.
            needed = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
            if file.stat().st_size < needed:
                raise InputError(
                    f"{path} is truncated: its {LMDB_FILE} has {file.stat().st_size} of {needed} bytes: copy or "
                    "download it again"
                )
            # The library aborts the process at a damaged page: let it be another one.
            if (found := damage(file)) is not None:
                raise lmdb.Error(found)
            with self._env.begin() as transaction:
                return [_as_name(key) for key in transaction.cursor().iternext(values=False)]
        except NotWalked as error:
            self._env.close()
            raise InputError(
                f"{path} cannot be looked through by another process ({error}), which says nothing of the LMDB: "
                "correct that and run the same again"
            ) from None
        except (lmdb.Error, InputError) as error:
            self._env.close()
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} is a damaged LMDB ({error}): copy or download it again") from None

    def read(self, name: str) -> bytes:
        import lmdb

        try:
            with self._env.begin() as transaction:
                content: bytes | None = transaction.get(_as_key(name))
        except lmdb.Error as error:
            raise OSError(str(error)) from None
        if content is None:
            raise OSError("its key is gone")
        return content

    def stamp(self, name: str) -> str:
        return self._stamp

    def close(self) -> None:
        self._env.close()


def _as_name(key: bytes) -> str:
    try:
        name = key.decode()
    except UnicodeDecodeError:
        return f"0x{key.hex()}"
    # A key that begins with 0x is spelled out too, so that no two have one name.
    return name if name.isprintable() and not name.startswith("0x") else f"0x{key.hex()}"


def _as_key(name: str) -> bytes:
    return bytes.fromhex(name[2:]) if name.startswith("0x") else name.encode()


@contextmanager
def opened(path: Path, *, listed: bool = True) -> Iterator[Source]:
    """The images at `path`; for those who know the names already not `listed`, which takes long for millions.

    Raises `InputError` for a path that holds none, with what to give instead.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: give a folder, a zip or an LMDB of images")
    source: Source
    try:
        if (path / LMDB_FILE).is_file() or path.suffix == ".mdb":
            source = _Lmdb(path, listed=listed)
        else:
            source = _Folder(path, listed=listed) if path.is_dir() else _Zip(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): correct its permissions") from None
    try:
        if listed and (not source.names or (isinstance(source, _Folder) and source.was_prepared())):
            raise InputError(_without_images(path, source))
        yield source
    finally:
        source.close()


def _without_images(path: Path, source: Source) -> str:
    if isinstance(source, _Lmdb):
        return f"{path} is an LMDB without a single key: copy or download it again"
    if isinstance(source, _Zip) and source.holds_lmdb():
        return f"{path} holds an LMDB, as LSUN is downloaded: unzip it and give the folder with its {LMDB_FILE}"
    if path.is_dir() and any(path.glob("*.npy")):
        return f"{path} was a prepared set and has lost its prepared.json: prepare the images again"
    inside = sorted(file.parent.name for file in path.glob(f"*/{LMDB_FILE}")) if path.is_dir() else []
    if inside:
        return f"{path} holds no images but the LMDB {', '.join(inside[:3])}: give that folder"
    return f"{path} holds no images: files with one of the endings {' '.join(sorted(SUFFIXES))} are looked for"


def unreadable(path: Path, name: str, reason: str) -> InputError:
    """One line for an image that cannot be read or decoded."""
    return InputError(
        f"{path}: image {name} cannot be read ({reason}): repair or remove it, or prepare the images with --skip-bad"
    )


def reason_of(error: BaseException) -> str:
    """What is wrong with an image, in a few words."""
    reason = " ".join(str(error).split()) or type(error).__name__
    # PIL names the in-memory file it was given, which says nothing to anybody.
    return "not an image" if "cannot identify image file" in reason else reason


BLOCK = 1024
"""Images that are hashed, written and vouched for together."""


class Fingerprint:
    """sha256 over the sha256 of every block of images, which is over those of the block's encoded images: the same for
    a folder, a zip and an LMDB of the same files in the same order, whatever they are called."""

    def __init__(self) -> None:
        self._blocks = hashlib.sha256()
        self._block = hashlib.sha256()
        self.count = 0

    def add(self, content: bytes) -> None:
        """One more encoded image."""
        self._block.update(hashlib.sha256(content).digest())
        self.count += 1
        if self.count % BLOCK == 0:
            self._blocks.update(self._block.digest())
            self._block = hashlib.sha256()

    def hexdigest(self) -> str:
        """64 hex digits."""
        whole = self._blocks.copy()
        if self.count % BLOCK:
            whole.update(self._block.digest())
        return whole.hexdigest()


def fingerprint_of(path: Path, source: Source, names: Iterable[str]) -> str:
    """`Fingerprint` of the images under these names. Raises `InputError` for one that cannot be read."""
    found = Fingerprint()
    for name in names:
        try:
            found.add(source.read(name))
        except DAMAGE as error:
            raise unreadable(path, name, reason_of(error)) from None
    return found.hexdigest()


def fingerprint(path: Path) -> tuple[str, int]:
    """`Fingerprint` of all images at `path`, and their count.

    Raises `InputError` for a path that holds no images and for one that cannot be read; whether the bytes are a valid
    image is `core.data.images.decoded`'s concern.
    """
    with opened(path) as source:
        return fingerprint_of(path, source, source.names), len(source.names)
