"""Where encoded images come from: a folder with its subfolders, a zip, or an LMDB as LSUN ships. Listed and read, never
unpacked to disk.

Which files of a folder or zip are images is `core.data.listing`'s to say; in an LMDB every value is one. They are
ordered by name, folders with "/", keys by their bytes. Names are text, whatever their bytes (`core.file_names`).

What is read is foreign: nothing larger than `MOST_BYTES` is, whatever it claims to be.

This module imports no torch: a dry run calls `fingerprint`.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import lmdb
from PIL import Image

from core.data.listing import LMDB_FILE, SUFFIXES, LeftOut, Listing, left_out_words, lies_in_own, of_folder, of_names
from core.data.walk import NotWalked, damage
from core.errors import InputError
from core.file_names import original
from core.words import visible

MOST_BYTES = 256 * 2**20
"""Of one encoded image; a photograph of 100 million pixels has fewer."""

MOST_RATIO, SUSPECTED_FROM = 200, 16 * 2**20
"""A member of a zip that is packed to less than its 200th part is refused; small pictures of one colour are not."""

DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,
    Image.DecompressionBombError,
)
"""Errors of PIL and zipfile for damaged content."""


class Source(Protocol):
    """Named encoded images in a fixed order; `kind` is "folder", "zip" or "lmdb". `left_out` is what is beside them."""

    kind: str
    names: list[str]
    left_out: tuple[LeftOut, ...]

    def read(self, name: str) -> bytes:
        """The encoded image. Raises one of `DAMAGE`; may be called from several threads."""
        ...

    def stamp(self, name: str) -> str:
        """Differs when the image under that name was replaced, as far as that can be told without reading it."""
        ...

    def close(self) -> None: ...


def check_size(size: int) -> None:
    """Raises ValueError, one of `DAMAGE`, for more bytes than an image may have."""
    if size > MOST_BYTES:
        raise ValueError(f"it has {size:,} bytes, and an image may have {MOST_BYTES:,}")


def _of_file(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


class _Folder:
    kind = "folder"

    def __init__(self, path: Path, *, listed: bool) -> None:
        self.path = path
        self.listing = of_folder(path) if listed else Listing()
        self.names, self.left_out = self.listing.names, self.listing.left_out

    def read(self, name: str) -> bytes:
        with (self.path / original(name)).open("rb") as file:
            check_size(os.fstat(file.fileno()).st_size)
            content = file.read(MOST_BYTES + 1)
        check_size(len(content))
        return content

    def stamp(self, name: str) -> str:
        try:
            return _of_file(self.path / original(name))
        except OSError:
            return ""

    def close(self) -> None:
        pass


class _Zip:
    """Members are read straight from the mapped file: several times faster than zipfile for tens of thousands of small
    images, safe from many threads, and never more than the member's own claim, whatever its packing unpacks to."""

    kind = "zip"

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise InputError(
                f"{path} is not a readable zip ({error}): give a folder, a zip or an LMDB of images"
            ) from None
        if sum(member.compress_size for member in self._zip.infolist()) > path.stat().st_size:
            self._zip.close()
            raise InputError(f"{path} is a damaged zip (its members lie over one another): copy or download it again")
        members = {member.filename: member for member in self._zip.infolist() if not member.is_dir()}
        self.listing = of_names(member.filename for member in self._zip.infolist() if not member.is_dir())
        self.names, self.left_out = self.listing.names, self.listing.left_out
        self._members = {name: members[original(name)] for name in self.names}
        with path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def read(self, name: str) -> bytes:
        member = self._members[name]
        check_size(max(member.file_size, member.compress_size))
        if member.file_size > max(SUSPECTED_FROM, MOST_RATIO * member.compress_size):
            raise ValueError(f"it unpacks to over {MOST_RATIO} times its size, {member.file_size:,} bytes")
        if member.flag_bits & 1:
            return self._zip.read(member)  # Raises: it needs a password.
        start = member.header_offset
        if self._bytes[start : start + 4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no local header where the zip's directory says")
        name_length, extra_length = struct.unpack_from("<HH", self._bytes, start + 26)
        start += 30 + name_length + extra_length
        content = _unpacked(
            member.compress_type, self._bytes[start : start + member.compress_size], member.file_size + 1
        )
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise zipfile.BadZipFile("checksum differs")
        return content

    def stamp(self, name: str) -> str:
        member = self._members[name]
        return f"{member.file_size} {member.CRC}"

    def close(self) -> None:
        self._bytes.close()
        self._zip.close()


def _unpacked(kind: int, packed: bytes, most: int) -> bytes:
    """At most `most` bytes of what a zip's member unpacks to."""
    match kind:
        case zipfile.ZIP_STORED:
            return packed
        case zipfile.ZIP_DEFLATED:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most)
        case zipfile.ZIP_BZIP2:
            return bz2.BZ2Decompressor().decompress(packed, most)
        case zipfile.ZIP_LZMA:
            return _of_lzma(packed, most)
    raise NotImplementedError(f"it is packed by method {kind}, which is not read: pack it by deflate")


def _of_lzma(packed: bytes, most: int) -> bytes:
    """As a zip has it: two bytes of version, the length of the properties, these, and the raw stream."""
    length, properties, dictionary = struct.unpack_from("<HBI", packed, 2)
    position, literal = divmod(properties, 45)
    # The stream names the memory that it wants: no more is needed than there is to unpack.
    filters = [
        {
            "id": lzma.FILTER_LZMA1,
            "dict_size": min(max(dictionary, 4096), max(most, 4096)),
            "pb": position,
            "lp": literal // 9,
            "lc": literal % 9,
        }
    ]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(packed[4 + length :], most)


class _Lmdb:
    """LSUN's layout: a folder with data.mdb, the key any bytes, the value one encoded image (JPEG, later WebP)."""

    kind = "lmdb"
    left_out: tuple[LeftOut, ...] = ()

    def __init__(self, path: Path, *, listed: bool) -> None:
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
        try:
            # Reading a page that the file no longer has would kill the process.
            needed = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]
            if file.stat().st_size < needed:
                raise InputError(
                    f"{path} is truncated: its {LMDB_FILE} has {file.stat().st_size} of {needed} bytes: copy or "
                    "download it again"
                )
            # The library aborts the process at a damaged page: let it be another one.
            if (reason := damage(file)) is not None:
                raise lmdb.Error(reason)
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
        try:
            with self._env.begin(buffers=True) as transaction:
                value: memoryview | None = transaction.get(_as_key(name))
                if value is None:
                    raise OSError("its key is gone")
                check_size(len(value))
                return bytes(value)
        except lmdb.Error as error:
            raise OSError(str(error)) from None

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


def is_lmdb(path: Path) -> bool:
    """Whether an LMDB is there, by its names: all that it holds are images."""
    return (path / LMDB_FILE).is_file() or path.suffix == ".mdb"


@contextmanager
def opened(path: Path, *, listed: bool = True) -> Iterator[Source]:
    """The images at `path`; for those who know the names already not `listed`, which takes long for millions.

    Raises `InputError` for a path that holds none, with what to give instead.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: give a folder, a zip or an LMDB of images")
    # A pipe would be waited for, and a device read, without end.
    if not path.is_dir() and not path.is_file():
        raise InputError(f"{path} is no file or folder: give a folder, a zip or an LMDB of images")
    source: Source
    try:
        if is_lmdb(path):
            source = _Lmdb(path, listed=listed)
        else:
            source = _Folder(path, listed=listed) if path.is_dir() else _Zip(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): correct its permissions") from None
    try:
        if listed and not source.names:
            raise InputError(_without_images(path, source))
        yield source
    finally:
        source.close()


def _without_images(path: Path, source: Source) -> str:
    if isinstance(source, _Lmdb):
        return f"{path} is an LMDB without a single key: copy or download it again"
    assert isinstance(source, _Folder | _Zip)
    lmdbs, left_out = source.listing.lmdbs, left_out_words(source.left_out)
    if isinstance(source, _Zip) and lmdbs:
        return f"{path} holds an LMDB, as LSUN is downloaded: unzip it and give the folder with its {LMDB_FILE}"
    if lmdbs:
        return f"{path} holds no images but the LMDB {', '.join(lmdbs[:3])}: give that folder"
    if path.is_dir() and lies_in_own(path):
        if (path / "prepared.json").exists():
            return f"{path} is a prepared set already: train on it as it is, or prepare what it was made of"
        if any(path.glob("*.npy")):
            return f"{path} was a prepared set and has lost its prepared.json: prepare the images again"
        return f"{path} holds pictures that this program made, which are no data: give the images that it learnt from"
    also = f" ({left_out})" if left_out else ""
    return f"{path} holds no images{also}: files with one of the endings {' '.join(sorted(SUFFIXES))} are looked for"


def unreadable(path: Path, name: str, reason: str) -> InputError:
    """One line for an image that cannot be read or decoded."""
    return InputError(
        f"{path}: image {visible(name)} cannot be read ({reason}): repair or remove it, or prepare the images with "
        "--skip-bad"
    )


def reason_of(error: BaseException) -> str:
    """The reason of an error about an image, in a few words."""
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
    digest = Fingerprint()
    for name in names:
        try:
            digest.add(source.read(name))
        except DAMAGE as error:
            raise unreadable(path, name, reason_of(error)) from None
    return digest.hexdigest()


def fingerprint(path: Path) -> tuple[str, int]:
    """`Fingerprint` of all images at `path`, and their count.

    Raises `InputError` for a path that holds no images and for one that cannot be read; whether the bytes are a valid
    image is `core.data.images.decoded`'s concern.
    """
    with opened(path) as source:
        return fingerprint_of(path, source, source.names), len(source.names)
