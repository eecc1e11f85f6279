"""Pictures that a run folder has recorded, read back: PNG and of the size they should have, or refused in one line."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from core.reading import Damaged, bytes_of
from core.words import first_words

MOST_TILES = 1024
"""More images than any grid has."""

MOST_PIXELS = 2**26
"""Of any grid: 64 images of 1024 x 1024."""


def read_grid(file: Path, resolution: int) -> Image.Image:
    """A recorded grid of images of this resolution, RGB.

    The file may be anybody's: no other decoder than PNG's is tried, and a picture that is larger than any grid is
    refused before it is decoded. Raises FileNotFoundError, and Damaged.
    """
    remedy = "remove it, and what shows it goes without"
    most = min(MOST_PIXELS, MOST_TILES * resolution**2)
    content = bytes_of(file, remedy)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            if picture.width * picture.height > most:
                raise Damaged(file, f"{picture.width} x {picture.height} pixels are no grid of samples", remedy)
            return picture.convert("RGB")
    except Damaged:
        raise
    except UnidentifiedImageError:
        raise Damaged(file, "it is no PNG", remedy) from None
    # PIL's readers raise what they stumble over: SyntaxError, struct.error, its own for bombs.
    except Exception as error:
        raise Damaged(file, first_words(error), remedy) from None
