"""Images that somebody else made: the formats that are meant, no more memory than is said, odd metadata harmless."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from core.data import sources
from core.data.images import FORMATS, MOST_PIXELS, decoded
from core.data.images import opened as opened_image
from core.data.making import make
from core.data.prepared import read_index
from core.data.sources import DAMAGE, opened
from core.errors import InputError
from tests.support.pictures import encoded, foldered, lsun, picture, zipped

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.filterwarnings(
    "ignore:Corrupt EXIF data:UserWarning", "ignore::PIL.Image.DecompressionBombWarning"
)
"""As `core.data.decoding` does."""


# --- formats ----------------------------------------------------------------------------------------------------------

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def test_no_program_is_started_for_what_a_name_hides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called, program = tmp_path / "called", tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {called}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(InputError, match=r"image a.png cannot be read \(not an image\)"):
        make(foldered(tmp_path / "given", {"a.png": EPS}), tmp_path / "set", [8])
    assert not called.exists()


@pytest.mark.parametrize("kind", ["SGI", "TGA", "PCX", "ICO", "DDS", "SPIDER"])
def test_other_formats_under_a_good_name_are_no_images(kind: str) -> None:
    image = picture().convert("F") if kind == "SPIDER" else picture()
    with pytest.raises(DAMAGE):
        decoded(encoded(image, kind), [8])


def test_the_formats_that_are_meant_are_read() -> None:
    for kind in FORMATS:
        if kind == "AVIF" and not features.check("avif"):
            continue
        assert decoded(encoded(picture(), kind), [8])[1] == (24, 20)


# --- metadata ---------------------------------------------------------------------------------------------------------


def _exif(*entries: bytes) -> bytes:
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)


ORIENTED = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
ODD = {
    "a negative number in a tag of no sign": (_exif(struct.pack("<HHIi", 0x101, 8, 1, -3), ORIENTED), True),
    "a pointer beyond the end": (_exif(ORIENTED, struct.pack("<HHII", 0x8769, 4, 1, 10**9)), True),
    "a text where a number should be": (_exif(struct.pack("<HHI4s", 0x112, 2, 4, b"six\0")), False),
    "an orientation that there is not": (_exif(struct.pack("<HHIHH", 0x112, 3, 1, 77, 0)), False),
    "no directory at all": (b"Exif\0\0II*\0\xff\xff\xff\xff", False),
    "noise": (b"Exif\0\0" + bytes(range(200)), False),
    "nothing": (b"Exif\0\0", False),
    "a rational by zero": (_exif(struct.pack("<HHII", 0x11A, 5, 1, 26), ORIENTED) + bytes(8), True),
}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_metadata_takes_nothing_from_an_image(what: str, kind: str) -> None:
    exif, turned = ODD[what]
    options = {} if kind == "PNG" else {"quality": 95}
    plain, odd = (encoded(picture(), kind, **more, **options) for more in ({}, {"exif": exif}))
    (expected,), size = decoded(plain, [16])
    (found,), found_size = decoded(odd, [16])
    if turned:
        assert found_size == size[::-1]
    else:
        assert np.array_equal(found, expected) and found_size == size


def test_what_a_photograph_says_of_further_ones_may_be_damaged() -> None:
    stream = io.BytesIO()
    picture().save(stream, "MPO", save_all=True, append_images=[picture(1)])
    content = bytearray(stream.getvalue())
    at = content.index(b"MPF\0")
    content[at + 12 : at + 60] = bytes(range(48))
    assert np.array_equal(decoded(bytes(content), [8])[0][0], decoded(stream.getvalue(), [8])[0][0])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_large_texts_and_profiles_of_a_png_take_nothing_from_it(kind: bytes) -> None:
    plain = encoded(picture())
    packed = zlib.compress(bytes(8 * 2**20))
    content = b"key\0" + (b"\1\0\0\0" if kind == b"iTXt" else b"\0") + packed
    end = plain.index(b"IDAT") - 4
    assert np.array_equal(
        decoded(plain[:end] + _chunk(kind, content) + plain[end:], [8])[0][0], decoded(plain, [8])[0][0]
    )


# --- bombs ------------------------------------------------------------------------------------------------------------


def _png(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = _chunk(b"IHDR", head), _chunk(b"IDAT", zlib.compress(bytes(1000))), _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _tiff_of_a_large_tile() -> bytes:
    tags = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 277: 1, 322: 2**16, 323: 2**16, 324: 200, 325: 20}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(200)


@pytest.mark.parametrize(
    "content",
    [_png(13377, 13377), _png(1, MOST_PIXELS + 1), _png(60_000, 60_000), _tiff_of_a_large_tile()],
    ids=["just below PIL's limit", "a line", "beyond PIL's limit", "a tile larger than the image"],
)
def test_what_has_too_many_pixels_is_refused_by_its_header(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match="it has more than 120,000,000 pixels"):
        decoded(content, [8])


def test_a_camera_of_100_million_pixels_is_not_refused() -> None:
    assert opened_image(_png(11648, 8736)).size == (11648, 8736)


PACKED = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def _refused(path: Path, reason: str) -> None:
    with opened(path) as source, pytest.raises(DAMAGE, match=reason):
        source.read(source.names[0])


@pytest.mark.parametrize("kind", PACKED)
def test_a_member_that_claims_to_be_huge_is_not_unpacked(
    tmp_path: Path, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 2**20)
    _refused(zipped(tmp_path / "x.zip", {"a.png": bytes(2**20 + 1)}, kind), "bytes, and an image may have 1,048,576")
    monkeypatch.setattr(sources, "SUSPECTED_FROM", 2**16)
    _refused(zipped(tmp_path / "y.zip", {"a.png": bytes(2**20)}, kind), "it unpacks to over 200 times its size")


def test_no_more_of_a_member_is_unpacked_than_it_claims(tmp_path: Path) -> None:
    """The directory says 1,000 bytes; the member has 16 MiB."""
    for kind in PACKED:
        path = zipped(tmp_path / f"{kind}.zip", {"a.png": bytes(2**24)}, kind)
        path.write_bytes(path.read_bytes().replace(struct.pack("<I", 2**24), struct.pack("<I", 1000)))
    code = (
        "import resource, sys; from pathlib import Path; from core.data.sources import opened, DAMAGE\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in sys.argv[1:]:\n"
        "    with opened(Path(name)) as source:\n"
        "        try: source.read('a.png')\n"
        "        except DAMAGE as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    paths = [tmp_path / f"{kind}.zip" for kind in PACKED]
    told = subprocess.run([sys.executable, "-c", code, *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    *said, grown = told.stdout.splitlines()
    assert said == ["checksum differs"] * 3
    assert int(grown) < 12_000


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, *PACKED])
def test_members_of_every_packing_are_read(tmp_path: Path, kind: int) -> None:
    content = encoded(picture(0, (64, 64)))
    with opened(zipped(tmp_path / "x.zip", {"a.png": content}, kind)) as source:
        assert source.read("a.png") == content


def test_a_packing_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.png": encoded(picture())}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 9
    path.write_bytes(content)
    _refused(path, "it is packed by method 9, which is not read: pack it by deflate")


@pytest.mark.parametrize("hold", [foldered, lsun])
def test_files_and_values_beyond_the_limit_are_not_read(
    tmp_path: Path, hold: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hold(tmp_path / "given", {"a.png": bytes(3000)})
    monkeypatch.setattr(sources, "MOST_BYTES", 2999)
    _refused(path, "it has 3,000 bytes, and an image may have 2,999")


def test_a_value_that_lies_outside_of_the_file_is_found_in_another_process(tmp_path: Path) -> None:
    path = lsun(tmp_path / "given", {f"{i}": bytes(9000) for i in range(5)}) / "data.mdb"
    content = bytearray(path.read_bytes())
    used = max(at for at in range(0, len(content), 4096) if any(content[at : at + 4096]))
    size = struct.pack("<I", 9000)
    at = content.index(size)
    content[at : at + 4] = struct.pack("<I", len(content) + 1)
    path.write_bytes(content[: used + 3 * 4096])
    with pytest.raises(InputError, match="is a damaged LMDB"), opened(path):
        pass


def _peak(content: bytes, tmp_path: Path) -> tuple[int, str]:
    (tmp_path / "image").write_bytes(content)
    code = (
        "import resource, sys, warnings; warnings.simplefilter('ignore'); from pathlib import Path\n"
        "from core.data.images import decoded\n"
        "content = Path(sys.argv[1]).read_bytes(); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found, size = decoded(content, [64]); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, size)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "image"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    grown, _, size = told.stdout.strip().partition(" ")
    return int(grown) * 1024, size


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["RGBA", "I;16", "turned"])
def test_the_largest_image_takes_what_is_documented(tmp_path: Path, kind: str) -> None:
    side = 10_900
    image = Image.new("RGB" if kind == "turned" else kind, (side, side))
    options: dict[str, object] = {"compress_level": 1}
    if kind == "turned":
        exif = Image.Exif()
        exif[0x112] = 6
        options["exif"] = exif
    grown, size = _peak(encoded(image, "PNG", **options), tmp_path)
    assert size == f"({side}, {side})"
    assert grown < 1.5e9


# --- prepared sets that somebody else made ----------------------------------------------------------------------------


NAMES = ["../x", "8/../8", "08", "-8", "", "8 ", "1e1", "٨"]

SHAPES: list[list[int]] = [[1, 3, 16, 16], [10**30, 3, 8, 8], [-1, 3, 8, 8]]


@pytest.mark.parametrize(("name", "shape"), [*((name, [1, 3, 8, 8]) for name in NAMES), *(("8", s) for s in SHAPES)])
def test_a_sets_arrays_have_numbers_as_names_and_the_shapes_of_its_images(
    tmp_path: Path, name: str, shape: list[int]
) -> None:
    make(foldered(tmp_path / "given", {"a.png": encoded(picture())}), tmp_path / "set", [8])
    file = tmp_path / "set" / "prepared.json"
    index = json.loads(file.read_bytes())
    index["pixels"] = {name: index["pixels"]["8"] | {"shape": shape}}
    file.write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"is no whole prepared set \(prepared.json is damaged\)"):
        read_index(tmp_path / "set")
