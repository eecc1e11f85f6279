"""Folders and zips of real images: every mode becomes upright RGB, and every wrong input is one clear line."""

import io
import os
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.images import decode, fingerprint
from core.errors import InputError

SHARED = Path(os.environ.get("INR_GAN_SHARED", Path(__file__).parents[3] / "shared"))


def shared(name: str) -> Path:
    path = SHARED / "data" / name
    if not path.exists():
        pytest.skip(f"no {name} in the shared data: set INR_GAN_SHARED to the folder that has data/{name}")
    return path


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(seed: int = 0, size: tuple[int, int] = (24, 20), mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


# --- what is read -----------------------------------------------------------------------------------------------------


def test_folder_and_zip_agree_in_order_pixels_and_fingerprint(tmp_path: Path) -> None:
    files = {f"{name}.png": encoded(picture(i)) for i, name in enumerate(["b/2", "a/10", "c", "a/9"])}
    extra = {"labels.json": b"{}", "__MACOSX/a/._9.png": b"x", ".hidden.png": b"x", "a/.DS_Store": b"x"}
    folder = tmp_path / "folder"
    for name, content in (files | extra).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "empty.png").mkdir()
    stored = zipped(tmp_path / "stored.zip", dict(reversed((files | extra).items())), zipfile.ZIP_STORED)
    deflated = zipped(tmp_path / "deflated.zip", files)
    bzip2 = zipped(tmp_path / "bzip2.zip", files, zipfile.ZIP_BZIP2)

    images = decode(folder, 20)
    assert images.shape == (4, 3, 20, 20)
    np.testing.assert_array_equal(images[0], np.asarray(picture(1).crop((2, 0, 22, 20))).transpose(2, 0, 1))
    for path in (stored, deflated, bzip2):
        np.testing.assert_array_equal(decode(path, 20, workers=3), images)
        assert fingerprint(path) == fingerprint(folder)
    assert fingerprint(folder)[1] == 4
    assert {p.name for p in tmp_path.iterdir()} == {"folder", "stored.zip", "deflated.zip", "bzip2.zip"}


def test_fingerprint_changes_with_a_byte_and_with_a_name(tmp_path: Path) -> None:
    a, b = encoded(picture(0)), encoded(picture(1))
    found = {
        fingerprint(zipped(tmp_path / f"{i}.zip", files))[0]
        for i, files in enumerate([{"a.png": a, "b.png": b}, {"a.png": b, "b.png": a}, {"a.png": a, "c.png": b}])
    }
    assert len(found) == 3


def _only(tmp_path: Path, content: bytes, resolution: int, name: str = "one.png") -> np.ndarray:
    return decode(zipped(tmp_path / "one.zip", {name: content}), resolution)[0]


def test_shrinking_is_an_area_average(tmp_path: Path) -> None:
    image = picture(0, (32, 32))
    expected = np.asarray(image).reshape(8, 4, 8, 4, 3).mean((1, 3)).transpose(2, 0, 1)
    # PIL rounds after each of its two passes.
    assert np.abs(_only(tmp_path, encoded(image), 8) - expected).max() <= 1


def test_enlarging_and_single_pixels_give_the_resolution(tmp_path: Path) -> None:
    assert _only(tmp_path, encoded(picture(0, (8, 8))), 32).shape == (3, 32, 32)
    white = _only(tmp_path, encoded(Image.new("RGB", (1, 1), "white")), 16)
    assert white.min() == 255


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (16, 16), (255, 255, 255)).convert(mode)
    content = encoded(image, "TIFF")
    assert _only(tmp_path, content, 16, "one.tif").min() == 255


def test_transparency_is_composited_over_white(tmp_path: Path) -> None:
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    half.paste((10, 20, 30, 255), (0, 0, 8, 16))
    for content in (encoded(half), encoded(half.convert("P")), encoded(half, "WEBP", lossless=True)):
        pixels = _only(tmp_path, content, 16)
        assert pixels[:, 8, 12].tolist() == [255, 255, 255]
        assert np.abs(pixels[:, 8, 2].astype(int) - [10, 20, 30]).max() < 30


def test_16_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    pixels = _only(tmp_path, encoded(Image.fromarray(grey)), 16)
    np.testing.assert_array_equal(pixels[0], np.arange(256).reshape(16, 16))
    np.testing.assert_array_equal(pixels[0], pixels[2])


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    lying = Image.new("RGB", (16, 16), "black")
    lying.paste("white", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: what was on top is at the right
    pixels = _only(tmp_path, encoded(lying, "JPEG", exif=exif, quality=95), 16, "one.jpg")
    assert pixels[:, 8, 14].min() > 240
    assert pixels[:, 8, 1].max() < 15


# --- what is refused --------------------------------------------------------------------------------------------------


def _png_with_bad_crc() -> bytes:
    content = bytearray(encoded(picture()))
    content[content.index(b"IDAT") + 20] ^= 0xFF
    return bytes(content)


def _bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


BAD_IMAGES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty file": ("bad.png", lambda: b""),
    "text called png": ("bad.png", lambda: b"this is no image"),
    "truncated jpeg": ("bad.jpg", lambda: encoded(picture(0, (64, 64)), "JPEG")[:600]),
    "truncated png": ("bad.png", lambda: encoded(picture(0, (64, 64)))[:600]),
    "damaged png": ("bad.png", _png_with_bad_crc),
    "half a gif": ("bad.gif", lambda: encoded(picture(0, (64, 64)), "GIF")[:40]),
    "truncated webp": ("bad.webp", lambda: encoded(picture(0, (64, 64)), "WEBP")[:100]),
    "decompression bomb": ("bad.png", _bomb),
    "floating-point tiff": ("bad.tif", lambda: encoded(Image.new("F", (8, 8), 0.5), "TIFF")),
}


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("what", BAD_IMAGES)
def test_a_bad_image_is_named_in_one_line(tmp_path: Path, what: str, as_zip: bool) -> None:
    name, content = BAD_IMAGES[what]
    files = {"a/good.png": encoded(picture()), f"b/{name}": content()}
    path = tmp_path / "images"
    if as_zip:
        zipped(path, files)
    else:
        for file, written in files.items():
            (path / file).parent.mkdir(parents=True)
            (path / file).write_bytes(written)
    with pytest.raises(InputError) as caught:
        decode(path, 16, workers=2)
    message = str(caught.value)
    assert f"b/{name}" in message
    assert "remove it" in message
    assert "\n" not in message


def _damaged_member(path: Path) -> Path:
    zipped(path, {"one.png": b"\x89PNG" + bytes(500)}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    return path


def _encrypted(path: Path) -> Path:
    zipped(path, {"one.png": encoded(picture())})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return path


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    (path / "notes.txt").write_text("no image")
    return path


BAD_PATHS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda path: path, "does not exist"),
    "folder without images": (_folder, "holds no images"),
    "zip without images": (lambda path: zipped(path, {"notes.txt": b"hello"}), "holds no images"),
    "empty zip": (lambda path: zipped(path, {}), "holds no images"),
    "not a zip": (lambda path: _written(path, b"hello"), "not a readable zip"),
    "empty file": (lambda path: _written(path, b""), "not a readable zip"),
    "single image": (lambda path: _written(path, encoded(picture())), "not a readable zip"),
    "truncated zip": (
        lambda path: _written(path, zipped(path, {"a.png": encoded(picture())}).read_bytes()[:-30]),
        "not a readable zip",
    ),
    "damaged member": (_damaged_member, "one.png cannot be read (checksum"),
    "encrypted member": (_encrypted, "one.png cannot be read"),
}


@pytest.mark.parametrize("what", BAD_PATHS)
def test_a_bad_path_is_one_line_for_both_readers(tmp_path: Path, what: str) -> None:
    make, expected = BAD_PATHS[what]
    path = make(tmp_path / "given")
    for reader in (fingerprint, lambda given: decode(given, 16)):
        with pytest.raises(InputError) as caught:
            reader(path)
        message = str(caught.value)
        assert expected in message
        assert str(path) in message
        assert "\n" not in message


def test_names_that_climb_out_of_the_zip_are_only_names(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = zipped(tmp_path / "deep" / "x.zip", {"../../escaped.png": encoded(picture()), "a.png": encoded(picture())})
    assert decode(path, 16).shape == (2, 3, 16, 16)
    assert not list(tmp_path.glob("**/escaped.png"))


# --- real photographs -------------------------------------------------------------------------------------------------


def test_fingerprint_imports_no_torch() -> None:
    code = "import sys; from core.data.images import fingerprint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_thirty_thousand_photographs_are_fingerprinted_at_once() -> None:
    path = shared("photos32.zip")
    started = time.process_time()
    digest, count = fingerprint(path)
    assert time.process_time() - started < 2  # about 0.4 s on an idle core
    assert count == 30_000
    assert len(digest) == 64


def test_real_photographs_are_decoded_grey_ones_too() -> None:
    images = decode(shared("indoor64.zip"), 16)
    assert images.shape == (6500, 3, 16, 16)
    assert 80 < images.mean() < 160
    grey = (images[:, 0] == images[:, 1]).all((1, 2)) & (images[:, 1] == images[:, 2]).all((1, 2))
    assert 0 < grey.sum() < 650
