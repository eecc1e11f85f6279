"""One encoded image as square 8-bit RGB pixels.

The bytes are foreign: they are opened as one of `FORMATS` and nothing else, whatever a name says, and no more pixels
are decoded than `MOST_PIXELS`. What a header says beside the pixels (EXIF, text, profiles, further pages) may be odd or
damaged, which takes nothing from the image.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, TiffImagePlugin

from core.config import Resampling

DECODER = 2
"""Version of `decoded`: raised whenever the same file would decode to other pixels."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF")
"""The formats behind `core.data.listing.SUFFIXES`. PIL knows others, and starts programs for some."""

MOST_PIXELS = 120_000_000
"""Of one image: a camera's 100 million pass. At that size a process takes 1.5 GB."""

MOST_PIXELS_JPEG2000 = 40_000_000
"""Its decoder takes three times the memory for each."""

BAND = 256
"""Rows that are brought to RGB at a time: what that takes besides is small, however large the image."""

_ORIENTATION = 0x0112

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_FILTERS = {
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
}
"""PIL's, whose filters are as wide as the reduction: means over areas; Lanczos' windowed sinc, sharper and with
overshoots clipped; a triangle, softer than means."""


def upright(image: Image.Image) -> Image.Image:
    """The image turned by its EXIF orientation; one that is damaged is none."""
    image.load()
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # PIL's readers of metadata raise nearly anything, and it is the pixels that count
        turn = None
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB; transparency is composited over white.

    16-bit grey is scaled by 1/257; of 16-bit colour PIL keeps the upper 8 bits. CMYK is converted without a colour
    profile. Of an animation the first frame is taken. Raises ValueError for floating-point pixels, whose range nothing
    states.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.height <= BAND:
        return _to_rgb(image)
    whole = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND):
        whole.paste(_to_rgb(image.crop((0, top, image.width, min(top + BAND, image.height)))), (0, top))
    return whole


def _to_rgb(image: Image.Image) -> Image.Image:
    if _is_wide(image):
        return Image.fromarray(((np.asarray(image).astype(np.int64) + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _is_wide(image: Image.Image) -> bool:
    return image.mode == "I" or image.mode.startswith("I;16")


def _check_range(image: Image.Image) -> None:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    if image.mode == "I":
        least, most = image.getextrema()
        if least < 0 or most > 65535:  # type: ignore[operator]  # of one band
            raise ValueError("32-bit pixels beyond 0..65535 have no defined range")


def centre(image: Image.Image) -> Image.Image:
    """The largest square in the middle of an image.

    Where a side is longer by 3, 7, 11, ... pixels it lies one pixel further right or down than the public code's:
    torchvision rounds half of the difference to an even number, here it is rounded down.
    """
    side = min(image.size)
    if image.size == (side, side):
        return image
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def square(image: Image.Image, resolution: int, resampling: Resampling = "box") -> Image.Image:
    """Centre-crops RGB to a square, then resizes: `resampling` to shrink; to enlarge Lanczos, or "bilinear" itself.

    Crop before resize is the public code's order, too. Enlarged images hold no detail of the resolution they claim; a
    dataset smaller than its resolution is the user's choice and is not refused.
    """
    image = centre(image)
    side = image.width
    if side == resolution:
        return image
    # A box enlarges to blocks.
    enlarged = resampling == "box" and side < resolution
    return image.resize((resolution, resolution), _FILTERS["lanczos" if enlarged else resampling])


def opened(content: bytes) -> Image.Image:
    """The image of which only the header has been read. Raises one of `core.data.sources.DAMAGE`, for what has more
    pixels than are decoded as well."""
    try:
        image = _opened(content)
    except Image.DecompressionBombError:
        raise _too_large(MOST_PIXELS) from None
    most = MOST_PIXELS_JPEG2000 if image.format == "JPEG2000" else MOST_PIXELS
    if image.width * image.height > most:
        raise _too_large(most)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A tile may claim more than the image has, and is decoded whole.
        tile = [image.tag_v2.get(tag, 1) for tag in (TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH)]
        if not all(isinstance(side, int) for side in tile) or tile[0] * tile[1] > most:
            raise _too_large(most)
    return image


def _opened(content: bytes) -> Image.Image:
    if content.startswith(b"\xff\xd8\xff"):
        # What a file with several images says of the others can be damaged; PIL's own way then refuses the first too.
        return JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except ValueError:
        # PIL refuses a PNG for the size of its texts and profiles.
        if (bare := _without_texts(content)) == content:
            raise
        return Image.open(io.BytesIO(bare), formats=FORMATS)


def _too_large(most: int) -> ValueError:
    return ValueError(f"it has more than {most:,} pixels")


_PNG = b"\x89PNG\r\n\x1a\n"


def _without_texts(content: bytes) -> bytes:
    """A PNG without texts and colour profiles; anything else as it is."""
    if not content.startswith(_PNG):
        return content
    kept, at = [_PNG], len(_PNG)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if kind not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def decoded(
    content: bytes, resolutions: Sequence[int], resampling: Resampling = "box"
) -> tuple[list[NDArray[np.uint8]], tuple[int, int]]:
    """The image at each resolution, uint8 [3, R, R], and its own (width, height), upright.

    Raises one of `core.data.sources.DAMAGE` for what is no image, and for what has more than `MOST_PIXELS`.
    """
    with opened(content) as file:
        image = upright(file)
        size = image.size
        _check_range(image)
        # Cropped first: what is done to single pixels need not be done to those that are left out.
        image = centre(image)
        if image is not file:
            file.close()
        rgb = to_rgb(image)
    del image
    pixels = [np.asarray(square(rgb, resolution, resampling)).transpose(2, 0, 1) for resolution in resolutions]
    return pixels, size
