"""One encoded image as square 8-bit RGB pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from core.config import Resampling

DECODER = 2
"""Version of `decoded`: raised whenever the same file would decode to other pixels."""

_FILTERS = {
    "box": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
}
"""PIL's, whose filters are as wide as the reduction: means over areas; Lanczos' windowed sinc, sharper and with
overshoots clipped; a triangle, softer than means."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB, upright by its EXIF orientation; transparency is composited over white.

    16-bit grey is scaled by 1/257; of 16-bit colour PIL keeps the upper 8 bits. CMYK is converted without a colour
    profile. Of an animation the first frame is taken. Raises ValueError for floating-point pixels, whose range nothing
    states.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no defined range")
    if image.mode == "I" or image.mode.startswith("I;16"):
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError("32-bit pixels beyond 0..65535 have no defined range")
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def square(image: Image.Image, resolution: int, resampling: Resampling = "box") -> Image.Image:
    """Centre-crops RGB to a square, then resizes: `resampling` to shrink; to enlarge Lanczos, or "bilinear" itself.

    Crop before resize is the public code's order, too. Where a side is longer by 3, 7, 11, ... pixels its crop lies one
    pixel further right or down: torchvision rounds half of the difference to an even number, here it is rounded down.
    Enlarged images hold no detail of the resolution they claim; a dataset smaller than its resolution is the user's
    choice and is not refused.
    """
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    if side == resolution:
        return image
    # A box enlarges to blocks.
    enlarged = resampling == "box" and side < resolution
    return image.resize((resolution, resolution), _FILTERS["lanczos" if enlarged else resampling])


def decoded(
    content: bytes, resolutions: Sequence[int], resampling: Resampling = "box"
) -> tuple[list[NDArray[np.uint8]], tuple[int, int]]:
    """The image at each resolution, uint8 [3, R, R], and its own (width, height), upright.

    Raises one of `core.data.sources.DAMAGE` for what is no image.
    """
    with Image.open(io.BytesIO(content)) as image:
        rgb = to_rgb(image)
    pixels = [np.asarray(square(rgb, resolution, resampling)).transpose(2, 0, 1) for resolution in resolutions]
    return pixels, rgb.size
