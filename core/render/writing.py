"""Pixels into files: PNG and GIF by Pillow, which holds a picture whole, tiled TIFF by tifffile, which need not."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, PngImagePlugin

from core.errors import InputError
from core.files import written_whole
from core.machine import memory
from core.render.painting import Pixels8

try:
    import tifffile
except ImportError:  # It is an extra.
    tifffile = None  # type: ignore[assignment]

Format = Literal["png", "tiff", "gif"]

FORMATS: dict[str, Format] = {".png": "png", ".tif": "tiff", ".tiff": "tiff", ".gif": "gif"}
"""By suffix."""

MOST_HELD = 2**30
"""Bytes that pixels may take at once, on a machine with four times as much."""

OF_FRAME = 3
"""Bytes of a pixel that a frame takes while Pillow compares it with others."""

OF_IMAGE = 4
"""The same of a whole picture in RGB."""

CLASSIC = 2**32 - 2**25
"""Bytes that fit in a TIFF that is not a BigTIFF, with its header."""


def format_of(file: Path) -> Format:
    """By the suffix. Raises InputError for another one, for a folder, and for TIFF where tifffile is not installed."""
    if (kind := FORMATS.get(file.suffix.lower())) is None:
        raise InputError(f"--out {file}: the suffix says the format: {', '.join(FORMATS)}")
    if file.is_dir():
        raise InputError(f"--out {file} is a folder: name a file, or move it away")
    if kind == "tiff" and tifffile is None:
        raise InputError(f"--out {file}: TIFF needs tifffile: pip install 'inr-gan-ablations[render]', or write a .png")
    return kind


def check_fits(kind: Format, width: int, height: int, *, frames: int, tile: int) -> None:
    """Raises InputError for what the format cannot hold, or this machine while it is written."""
    most = min(MOST_HELD, (memory() or 4 * MOST_HELD) // 4)
    match kind:
        case "png":
            held, remedy = OF_IMAGE * width * height, "write a .tif, of which only rows of tiles are"
        case "tiff":
            held, remedy = 2 * 3 * width * tile, "choose a smaller --tile"
        case "gif":
            held, remedy = (OF_IMAGE + OF_FRAME * frames) * width * height, "ask for fewer --steps or a smaller --size"
            if max(width, height) >= 2**16:
                raise InputError(f"{width} x {height} pixels are more than a GIF can have: 65,535 a side")
    if held > most:
        raise InputError(
            f"{width} x {height} pixels{f' in {frames} frames' if kind == 'gif' else ''} would be {held / 2**20:,.0f} "
            f"MiB held at once, above {most / 2**20:,.0f}: {remedy}"
        )


def write_png(file: Path, rows: Iterable[Pixels8], width: int, height: int, words: str) -> None:
    """One PNG of rows that come one after the other."""
    with written_whole(file) as stream:
        described = PngImagePlugin.PngInfo()
        described.add_text("Description", words)
        _whole(rows, width, height).save(stream, format="png", pnginfo=described)


def write_tiff(file: Path, rows: Iterable[Pixels8], width: int, height: int, tile: int, words: str) -> None:
    """A TIFF in tiles, deflated, of rows as high as a tile; a BigTIFF where it may need one."""
    with (
        written_whole(file) as stream,
        tifffile.TiffWriter(stream, bigtiff=3 * width * height > CLASSIC) as tiff,
    ):
        tiff.write(
            _tiles(rows, tile),
            shape=(height, width, 3),
            dtype=np.uint8,
            tile=(tile, tile),
            photometric="rgb",
            compression="zlib",
            predictor=True,
            description=words,
            metadata=None,
            maxworkers=1,
        )


def write_gif(
    file: Path, frames: Iterable[Iterable[Pixels8]], width: int, height: int, milliseconds: int, words: str
) -> None:
    """An endless animation of these frames, forth and back, each in 256 colours of its own."""
    with written_whole(file) as stream:
        forth = [_whole(rows, width, height).quantize(256, dither=Image.Dither.NONE) for rows in frames]
        content = io.BytesIO()
        forth[0].save(
            content,
            format="gif",
            save_all=True,
            append_images=[*forth[1:], *forth[-2:0:-1]],
            duration=milliseconds,
            loop=0,
            comment=words.encode(),
        )
        # Pillow writes to a file of the system's by itself, and says not why it cannot.
        stream.write(content.getbuffer())


def _whole(rows: Iterable[Pixels8], width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height))
    top = 0
    for part in rows:
        image.paste(Image.fromarray(part), (0, top))
        top += len(part)
    return image


def _tiles(rows: Iterable[Pixels8], tile: int) -> Iterator[Pixels8]:
    """Row by row; those at the right and lower edges are filled up by the writer."""
    for part in rows:
        for left in range(0, part.shape[1], tile):
            yield np.ascontiguousarray(part[:, left : left + tile])
