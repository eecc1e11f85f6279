"""One encoded image: every mode becomes upright square RGB."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from core.data.images import Resampling, decoded
from tests.support.pictures import encoded, picture


def only(content: bytes, resolution: int, resampling: Resampling = "box") -> np.ndarray:
    (pixels,), _ = decoded(content, [resolution], resampling)
    return pixels


def test_shrinking_is_an_area_average() -> None:
    image = picture(0, (32, 32))
    expected = np.asarray(image).reshape(8, 4, 8, 4, 3).mean((1, 3)).transpose(2, 0, 1)
    # PIL rounds after each of its two passes.
    assert np.abs(only(encoded(image), 8) - expected).max() <= 1


def test_enlarging_and_single_pixels_give_the_resolution() -> None:
    assert only(encoded(picture(0, (8, 8))), 32).shape == (3, 32, 32)
    white = only(encoded(Image.new("RGB", (1, 1), "white")), 16)
    assert white.min() == 255


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.new("RGB", (16, 16), (255, 255, 255)).convert(mode)
    content = encoded(image, "TIFF")
    assert only(content, 16).min() == 255


def test_transparency_is_composited_over_white() -> None:
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    half.paste((10, 20, 30, 255), (0, 0, 8, 16))
    for content in (encoded(half), encoded(half.convert("P")), encoded(half, "WEBP", lossless=True)):
        pixels = only(content, 16)
        assert pixels[:, 8, 12].tolist() == [255, 255, 255]
        assert np.abs(pixels[:, 8, 2].astype(int) - [10, 20, 30]).max() < 30


def test_16_bit_grey_keeps_its_range() -> None:
    grey = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    pixels = only(encoded(Image.fromarray(grey)), 16)
    np.testing.assert_array_equal(pixels[0], np.arange(256).reshape(16, 16))
    np.testing.assert_array_equal(pixels[0], pixels[2])


def test_exif_orientation_is_applied() -> None:
    lying = Image.new("RGB", (16, 16), "black")
    lying.paste("white", (0, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: what was on top is at the right
    pixels = only(encoded(lying, "JPEG", exif=exif, quality=95), 16)
    assert pixels[:, 8, 14].min() > 240
    assert pixels[:, 8, 1].max() < 15


def test_cmyk_jpegs_keep_their_colours() -> None:
    content = encoded(Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(only(content, 16).mean((1, 2)) - [200, 40, 90]).max() < 6


def test_16_bit_colour_keeps_its_upper_bits() -> None:
    row = b"\x00" + bytes([200, 255, 40, 0, 90, 128]) * 4
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(row * 4)),
        (b"IEND", b""),
    ]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    assert only(content, 4)[:, 1, 1].tolist() == [200, 40, 90]


def test_every_resolution_comes_from_the_image_itself_upright() -> None:
    image = picture(1, (48, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels, size = decoded(encoded(image, "PNG", exif=exif), [32, 16], "lanczos")
    upright = image.transpose(Image.Transpose.ROTATE_270).crop((8, 0, 56, 48))
    assert size == (64, 48)
    for found in pixels:
        side = found.shape[-1]
        expected = upright.resize((side, side), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(found, np.asarray(expected).transpose(2, 0, 1))


def test_an_animation_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert only(content, 8)[:, 4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize(("one", "other"), [("box", "lanczos"), ("box", "bilinear"), ("bilinear", "lanczos")])
def test_the_filters_differ(one: Resampling, other: Resampling) -> None:
    content = encoded(picture(0, (32, 32)))
    assert (only(content, 16, one) != only(content, 16, other)).mean() > 0.5


def by_the_public_code(image: Image.Image, resolution: int) -> Image.Image:
    """Its transforms for LSUN, as torchvision does them to a PIL image: the largest centre square, half of what is left
    over rounded to an even number, then bilinear resizing, larger or smaller."""
    side = min(image.size)
    left, top = (round((length - side) / 2) for length in image.size)
    square = image.crop((left, top, left + side, top + side))
    return square if side == resolution else square.resize((resolution, resolution), Image.Resampling.BILINEAR)


@pytest.mark.parametrize("size", [(40, 40), (45, 40), (40, 45), (40, 46), (20, 41), (16, 16), (10, 12)])
def test_bilinear_is_what_the_public_code_does(size: tuple[int, int]) -> None:
    image = picture(2, size)
    expected = np.asarray(by_the_public_code(image, 16)).transpose(2, 0, 1)
    np.testing.assert_array_equal(only(encoded(image), 16, "bilinear"), expected)


def test_but_for_the_crop_where_a_side_is_longer_by_3_or_7_pixels() -> None:
    """docs/data.md says so: our crop lies one pixel before the public code's there."""
    for size, place in (((43, 40), (2, 0)), ((40, 47), (0, 4))):
        image = picture(2, size)
        left, top = place
        theirs = np.asarray(by_the_public_code(image, 40))
        np.testing.assert_array_equal(theirs, np.asarray(image.crop((left, top, left + 40, top + 40))))
        ours = image.crop((max(left - 1, 0), max(top - 1, 0), max(left - 1, 0) + 40, max(top - 1, 0) + 40))
        np.testing.assert_array_equal(only(encoded(image), 40, "bilinear").transpose(1, 2, 0), np.asarray(ours))


def test_bilinear_shrinking_is_antialiased() -> None:
    """Without a filter as wide as the reduction, lines of one pixel in eight would come or go as a whole."""
    striped = np.zeros((64, 64, 3), np.uint8)
    striped[:, ::8] = 255
    found = only(encoded(Image.fromarray(striped)), 8, "bilinear")
    assert abs(float(found.mean()) - striped.mean()) < 2 and found.max() < 80
