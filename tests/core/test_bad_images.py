"""Everything docs/data.md lists as wrong ends as it says there, and nothing half made is ever taken for a set."""

import errno
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from core.config import Images
from core.data import decoding, making, prepared
from core.data.making import make
from core.data.prepare import described, prepare, prepare_real
from core.data.prepared import is_prepared, read_index, read_pixels
from core.data.sources import MOST_BYTES
from core.errors import InputError
from core.folder import check_apart
from tests.support.pictures import encoded, foldered, lsun, picture, zipped

ROOT = Path(__file__).parents[2]
FILES = {f"{name}.png": encoded(picture(i)) for i, name in enumerate("abcd")}
MONKEY = pytest.MonkeyPatch


def documented() -> dict[str, str]:
    """What is wrong -> the outcome, from the last table of docs/data.md."""
    table = (ROOT / "docs" / "data.md").read_text().split("| what is wrong | outcome |\n|---|---|\n")[1]
    rows = [line.strip().strip("|").split("|") for line in table.strip().splitlines()]
    return {wrong.strip(): outcome.strip() for wrong, outcome in rows}


OUTCOMES = documented()


def holds(outcome: str, message: str) -> bool:
    """Whether a message is the documented one, "…" standing for anything."""
    pattern = ".+".join(re.escape(part) for part in outcome.split("…"))
    return re.fullmatch(pattern, message) is not None


# --- sources ----------------------------------------------------------------------------------------------------------


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _damaged_member(path: Path) -> Path:
    content = bytearray(zipped(path, {"one.png": b"\x89PNG" + bytes(500)}, zipfile.ZIP_STORED).read_bytes())
    content[200] ^= 1
    return _written(path, bytes(content))


def _encrypted(path: Path) -> Path:
    content = bytearray(zipped(path, {"one.png": encoded(picture())}).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return _written(path, bytes(content))


def _around(path: Path) -> Path:
    path.mkdir()
    lsun(path / "bedroom_train_lmdb", FILES)
    return path


def _mdb(path: Path, content: bytes) -> Path:
    path.mkdir()
    (path / "data.mdb").write_bytes(content)
    return path


def _truncated_mdb(path: Path) -> Path:
    file = lsun(path, {f"{i:03d}": encoded(picture(i, (64, 64))) for i in range(20)}) / "data.mdb"
    # An LMDB of another system may be as large as its map: what counts are the pages in use.
    file.write_bytes(file.read_bytes()[: 40 * 4096])
    return path


def _damaged_mdb(path: Path) -> Path:
    """Its first leaf page is noise, at which the library aborts the process."""
    file = lsun(path, {f"{i:03d}": bytes(300) for i in range(200)}) / "data.mdb"
    content = bytearray(file.read_bytes())
    leaves = [at for at in range(8192, len(content), 4096) if content[at + 10] & 2]
    for at in leaves:
        content[at : at + 4096] = np.random.default_rng(at).bytes(4096)
    return _written(file, bytes(content)).parent


def _circular_mdb(path: Path, levels: int = 12, fan: int = 250) -> Path:
    """Every child of a branch page is the same page of the level below it: 61 kB with 250 ** 12 keys."""
    size = 4096
    file = lsun(path, {"a": b"x"}) / "data.mdb"
    content = bytearray(file.read_bytes()[: 2 * size])
    for level in range(levels + 1):
        page, end, nodes = bytearray(size), size, []
        for number in range(fan if level < levels else 1):
            # A child's page and no flags, or in the leaf a value of one byte, then the key.
            key = b"a" if level == levels else struct.pack(">H", number) if number else b""
            head = (1, 0, 0, 1) if level == levels else (3 + level, 0, 0, len(key))
            node = struct.pack("<4H", *head) + key + (b"x" if level == levels else b"")
            end -= len(node) + len(node) % 2
            page[end : end + len(node)] = node
            nodes.append(end)
        struct.pack_into("<QHHHH", page, 0, 2 + level, 0, 2 if level == levels else 1, 16 + 2 * len(nodes), end)
        struct.pack_into(f"<{len(nodes)}H", page, 16, *nodes)
        content += page
    for meta in (0, size):
        # Depth, pages of each kind, entries, root, last page; behind the page's head, the map and the free pages.
        values = (0, 0, levels + 1, levels, 1, 0, 10**6, 2, 2 + levels)
        struct.pack_into("<IHHQQQQQQ", content, meta + 88, *values)
        struct.pack_into("<Q", content, meta + 32, 2**20)
    return _written(file, bytes(content)).parent


def _mdb_of_one_value(path: Path) -> Path:
    """Every key's value is the one of the first: 200 keys with 20 kB each in 30 pages."""
    keys = [f"{number:03d}".encode() for number in range(200)]
    file = lsun(path, {key.decode(): bytes(20_000) for key in keys}) / "data.mdb"
    content = file.read_bytes()
    places = {}
    for key in keys:
        # Of a large value its node has its length, its flag, the key, and the page where it lies.
        at = content.index(struct.pack("<HHHH", 20_000, 0, 1, 3) + key) + 11
        places[at] = content[at : at + 8]
    first = min(places.values(), key=lambda page: int(struct.unpack("<Q", page)[0]))
    changed = bytearray(content)
    for at in places:
        changed[at : at + 8] = first
    kept = 1 + max(*(at // 4096 for at in places), struct.unpack("<Q", first)[0] + 5)
    for meta in (0, 4096):
        root = struct.unpack_from("<Q", changed, meta + 88 + 40)[0]
        if root < 2**63:
            kept = max(kept, root + 1)
        struct.pack_into("<Q", changed, meta + 88 + 48, kept - 1)
    return _written(file, bytes(changed[: kept * 4096])).parent


def _overlapping_zip(path: Path) -> Path:
    """A hundred members that are one."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", FILES["a.png"])
        for number in range(100):
            again = zipfile.ZipInfo(f"{number:03d}.png")
            first = archive.filelist[0]
            again.header_offset, again.CRC = first.header_offset, first.CRC
            again.compress_size, again.file_size = first.compress_size, first.file_size
            archive.filelist.append(again)
    return path


def _beyond_the_limit(path: Path) -> Path:
    foldered(path, {"a.png": FILES["a.png"], "b/bad.png": b""})
    with (path / "b" / "bad.png").open("r+b") as file:
        file.truncate(MOST_BYTES + 1)
    return path


def _of_a_run(path: Path) -> Path:
    return foldered(path, {"job.json": b"{}", "events.jsonl": b"", "samples/real.png": FILES["a.png"]})


def _prepared_before(path: Path) -> Path:
    make(foldered(path.with_name("photos"), FILES), path, [8])
    return path


def _png_with_bad_crc() -> bytes:
    content = bytearray(encoded(picture()))
    content[content.index(b"IDAT") + 20] ^= 0xFF
    return bytes(content)


def _bomb() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(1000)), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def _with(name: str, content: Callable[[], bytes]) -> Callable[[Path], Path]:
    return lambda path: zipped(path, {"a/good.png": encoded(picture()), f"b/{name}": content()})


LARGE = picture(0, (64, 64))

SOURCES: dict[str, Callable[[Path], Path]] = {
    "the path does not exist": lambda path: path,
    "a folder without images": lambda path: foldered(path, {"notes.txt": b"no image"}),
    "a zip without images": lambda path: zipped(path, {"notes.txt": b"hello"}),
    "an empty zip": lambda path: zipped(path, {}),
    "a text file": lambda path: _written(path, b"hello"),
    "an empty file": lambda path: _written(path, b""),
    "a single image": lambda path: _written(path, encoded(picture())),
    "a truncated zip": lambda path: _written(path, zipped(path, FILES).read_bytes()[:-30]),
    "a damaged member of a zip": _damaged_member,
    "an encrypted zip": _encrypted,
    "a zip whose members lie over one another": _overlapping_zip,
    "a zip that holds an LMDB": lambda path: zipped(path, {"bedroom_train_lmdb/data.mdb": b"x"}),
    "a folder around an LMDB": _around,
    "an LMDB that is none": lambda path: _mdb(path, b"no database" * 1000),
    "an empty LMDB file": lambda path: _mdb(path, b""),
    "a truncated LMDB": _truncated_mdb,
    "an LMDB without keys": lambda path: lsun(path, {}),
    "an LMDB with a damaged page": _damaged_mdb,
    "an LMDB whose pages lead to one page over and over": _circular_mdb,
    "an LMDB whose keys lead to one value": _mdb_of_one_value,
    "an LMDB with a key that is no image": lambda path: lsun(path, FILES | {"length": b"4"}),
    "an image of no bytes": lambda path: zipped(path, FILES | {"b/bad.png": b""}),
    "text called .png": _with("bad.png", lambda: b"this is no image"),
    "a truncated JPEG": _with("bad.jpg", lambda: encoded(LARGE, "JPEG")[:600]),
    "a truncated PNG": _with("bad.png", lambda: encoded(LARGE)[:600]),
    "a PNG with a flipped bit": _with("bad.png", _png_with_bad_crc),
    "half a GIF": _with("bad.gif", lambda: encoded(LARGE, "GIF")[:40]),
    "a truncated WebP": _with("bad.webp", lambda: encoded(LARGE, "WEBP")[:100]),
    "a decompression bomb": _with("bad.png", _bomb),
    "a file beyond the limit": _beyond_the_limit,
    "a zip bomb": lambda path: zipped(path, {"one.png": bytes(2**24 + 1)}),
    "another format under a good name": _with("bad.png", lambda: encoded(picture(), "TGA")),
    "a folder of this program's own pictures": _of_a_run,
    "a prepared set, to be prepared again": _prepared_before,
    "floating-point pixels": _with("bad.tif", lambda: encoded(Image.new("F", (8, 8), 0.5), "TIFF")),
    "32-bit pixels beyond 16 bits": _with("bad.tif", lambda: encoded(Image.new("I", (8, 8), 70_000), "TIFF")),
}


@pytest.mark.parametrize("wrong", SOURCES)
def test_a_bad_source(tmp_path: Path, wrong: str) -> None:
    path, out = SOURCES[wrong](tmp_path / "given"), tmp_path / "set"
    with pytest.raises(InputError) as caught:
        make(path, out, [8])
    assert holds(OUTCOMES[wrong], str(caught.value)), str(caught.value)
    assert str(path) in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize("wrong", [w for w in SOURCES if "bad." in OUTCOMES[w] or "key that is no image" in w])
def test_a_bad_image_may_be_skipped_and_is_listed(tmp_path: Path, wrong: str) -> None:
    path = SOURCES[wrong](tmp_path / "given")
    index = make(path, tmp_path / "set", [8], skip_bad=True)
    (skipped,) = index.skipped
    assert f"image {skipped.name} cannot be read ({skipped.reason})" in _message(
        lambda: make(path, tmp_path / "no", [8])
    )
    assert index.count == len(read_pixels(tmp_path / "set", index, 8)) >= 1
    assert read_index(tmp_path / "set") == index


def _message(refused: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        refused()
    return str(caught.value)


# --- while a set is made ----------------------------------------------------------------------------------------------


def _good(tmp_path: Path) -> Path:
    return zipped(tmp_path / "good.zip", FILES)


Making = Callable[[Path, MONKEY], object]


def _begun_otherwise(tmp_path: Path, _: MONKEY) -> None:
    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(_good(tmp_path), tmp_path / "set", [8], progress=interrupt)
    make(_good(tmp_path), tmp_path / "set", [8, 16])


def _left_out(tmp_path: Path, _: MONKEY) -> None:
    path = zipped(tmp_path / "some.zip", FILES | {"b.png": b"no", "e.png": FILES["a.png"]})
    make(path, tmp_path / "set", [8], skip_bad=True)
    make(path, tmp_path / "set", [8])


def _no_space(tmp_path: Path, monkeypatch: MONKEY) -> None:
    monkeypatch.setattr(making.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    make(_good(tmp_path), tmp_path / "set", [8])


def _meanwhile(tmp_path: Path, _: MONKEY) -> None:
    with FileLock(tmp_path / ".set.lock"):
        make(_good(tmp_path), tmp_path / "set", [8])


def _killed(tmp_path: Path, monkeypatch: MONKEY) -> None:
    monkeypatch.setattr(decoding, "ALONE", 0.0)
    monkeypatch.setattr(decoding, "_decode_here", _kill_this_process)
    make(lsun(tmp_path / "many", {f"{i:04d}": FILES["a.png"] for i in range(600)}), tmp_path / "set", [8], workers=2)


def _kill_this_process(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(before: Callable[[Path], object], sides: tuple[int, ...] = (8,)) -> Making:
    """The set of good images, once this has been done in its folder."""

    def made(tmp_path: Path, _: MONKEY) -> None:
        before(tmp_path)
        make(_good(tmp_path), tmp_path / "set", sides)

    return made


NO_IMAGES = {"a.png": b"x", "b.png": b"y"}

WHILE_MADE: dict[str, Making] = {
    "no image can be read, with --skip-bad": lambda path, _: make(
        zipped(path / "bad.zip", NO_IMAGES), path / "set", [8], skip_bad=True
    ),
    "a resolution beyond this machine's memory": lambda path, _: make(_good(path), path / "set", [1_000_000]),
    "the output exists and is something else": _after(lambda path: foldered(path / "set", {"thesis.tex": b"mine"})),
    "the output is a set of other images": _after(
        lambda path: make(zipped(path / "others.zip", FILES | {"d.png": encoded(picture(9))}), path / "set", [8])
    ),
    "the output has other resolutions": _after(lambda path: make(_good(path), path / "set", [8]), (8, 16)),
    "the output lies among the images": lambda path, _: make(
        foldered(path / "images", FILES), path / "images" / "set", [8]
    ),
    "the output was begun in another way": _begun_otherwise,
    "a set that left images out, without --skip-bad": _left_out,
    "the output is below a file": lambda path, _: make(_good(path), _written(path / "file", b"") / "set", [8]),
    "not enough space for it": _no_space,
    "two commands at once": _meanwhile,
    "a decoding process is killed": _killed,
}


@pytest.mark.parametrize("wrong", WHILE_MADE)
def test_a_set_that_cannot_be_made(tmp_path: Path, monkeypatch: MONKEY, wrong: str) -> None:
    message = _message(lambda: WHILE_MADE[wrong](tmp_path, monkeypatch))
    assert holds(OUTCOMES[wrong], message), message
    if is_prepared(tmp_path / "set"):
        assert read_index(tmp_path / "set").count == 4


def test_a_disk_that_fills(tmp_path: Path) -> None:
    """The operating system refuses to write more; with room again the same command goes on and ends as it should."""
    path = lsun(tmp_path / "many", {f"{i:04d}": FILES["abcd"[i % 4] + ".png"] for i in range(2100)})
    full = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, -1)); "
        "from core.data.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    given = ["prepare", str(path), "--resolution", "16", "--out", str(tmp_path / "set"), "--workers", "1"]
    ended = subprocess.run([sys.executable, "-c", full, *given], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert holds("error: " + OUTCOMES["a disk that fills"], ended.stderr.strip()), ended.stderr
    assert not (tmp_path / "set").exists()
    seen: list[tuple[int, int]] = []
    index = make(path, tmp_path / "set", [16], progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (1024, 2100)
    assert index == make(path, tmp_path / "again", [16])


# --- prepared sets ----------------------------------------------------------------------------------------------------


def _set(tmp_path: Path) -> Path:
    make(_good(tmp_path), tmp_path / "set", [8])
    return tmp_path / "set"


def _trained_on(path: Path, resolution: int = 8, **other: object) -> None:
    """What a training process does with the path that it is given."""
    data = described(path, 8)
    data = Images.model_validate(data.model_dump() | {"resolution": resolution} | other)
    prepare(data, path=path, cache=path.parent / "cache")


def _flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(content)


def _index_edited(folder: Path, **values: object) -> None:
    file = folder / "prepared.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def _elsewhere(path: Path) -> None:
    index = json.loads((path / "prepared.json").read_text())
    _index_edited(path, pixels={"../8": index["pixels"]["8"]})


def _no_memory(*_: object, **__: object) -> None:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def _not_mapped(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "memmap", _no_memory)
        _trained_on(path)


def _too_small(path: Path) -> None:
    shutil.rmtree(path)
    make(path.parent / "good.zip", path, [8, 64])
    prepare_real(described(path, 8), 64, path=path, cache=path.parent / "cache")


def _damaged(damage: Callable[[Path], object]) -> Callable[[Path], None]:
    def trained_on(path: Path) -> None:
        damage(path)
        _trained_on(path)

    return trained_on


OF_SETS: dict[str, Callable[[Path], object]] = {
    "a truncated prepared set": _damaged(lambda path: os.truncate(path / "8.npy", 300)),
    "a prepared set with a flipped bit": _damaged(lambda path: _flip_a_bit(path / "8.npy")),
    "a prepared set without prepared.json": _damaged(lambda path: (path / "prepared.json").unlink()),
    "a damaged prepared.json": _damaged(lambda path: (path / "prepared.json").write_text("{")),
    "a set prepared by a later version": _damaged(lambda path: _index_edited(path, format=2)),
    "a prepared set whose arrays have other names": _damaged(_elsewhere),
    "a missing array in a prepared set": _damaged(lambda path: (path / "8.npy").unlink()),
    "a set that cannot be read here": _not_mapped,
    "a resolution that was not prepared": lambda path: _trained_on(path, 16),
    "a set of another filter than the config's": lambda path: _trained_on(path, resampling="lanczos"),
    "other images than the config's": lambda path: _trained_on(path, fingerprint="ab" * 32),
    "runs below the folder of images": lambda path: check_apart(path / "runs", path),
    "images too small for an upsampling": _too_small,
}


@pytest.mark.parametrize("wrong", OF_SETS)
def test_a_bad_set(tmp_path: Path, wrong: str) -> None:
    message = _message(lambda: OF_SETS[wrong](_set(tmp_path)))
    assert holds(OUTCOMES[wrong], message), message


def test_the_document_lists_what_is_tested_here() -> None:
    tested = {*SOURCES, *WHILE_MADE, *OF_SETS, "a disk that fills"}
    assert tested == set(OUTCOMES)
    assert len(tested) >= 30


def test_an_altered_array_of_any_size_is_found_by_verify(tmp_path: Path, monkeypatch: MONKEY) -> None:
    path = lsun(tmp_path / "many", {f"{i:04d}": FILES["abcd"[i % 4] + ".png"] for i in range(4100)})
    make(path, tmp_path / "set", [8])
    assert prepared.verify(tmp_path / "set").count == 4100
    monkeypatch.setattr(prepared, "CHECKED", 2 * 1024 * 3 * 8**2)
    content = np.lib.format.open_memmap(tmp_path / "set" / "8.npy", mode="r+")
    content[1500, 0, 0, 0] ^= 1
    content.flush()
    del content
    read_pixels(tmp_path / "set", read_index(tmp_path / "set"), 8)
    with pytest.raises(InputError, match="images 1024 to 2047 of"):
        prepared.verify(tmp_path / "set")


def test_a_set_of_the_cache_that_cannot_be_read_here_is_kept(tmp_path: Path, monkeypatch: MONKEY) -> None:
    path = _good(tmp_path)
    data = described(path, 8)
    prepare(data, path=path, cache=tmp_path / "cache")
    (folder,) = (file for file in (tmp_path / "cache" / "images").iterdir() if file.is_dir())
    before = (folder / "8.npy").stat().st_mtime_ns

    with monkeypatch.context() as patch:
        patch.setattr(np, "memmap", _no_memory)
        with pytest.raises(InputError, match="Cannot allocate memory"):
            prepare(data, path=path, cache=tmp_path / "cache")
    assert (folder / "8.npy").stat().st_mtime_ns == before
    prepare(data, path=path, cache=tmp_path / "cache")
