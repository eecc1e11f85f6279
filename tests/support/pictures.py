"""Images, archives and LMDBs for tests."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

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


def zipped(path: Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def foldered(path: Path, files: Mapping[str, bytes]) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def lsun(path: Path, files: Mapping[str, bytes]) -> Path:
    """An LMDB in LSUN's layout: a folder with data.mdb and lock.mdb, one encoded image a key."""
    size = 2**20 + 4 * sum(len(content) + 4096 for content in files.values())
    with lmdb.open(str(path), map_size=size) as environment, environment.begin(write=True) as transaction:
        for name, content in files.items():
            transaction.put(name.encode(), content)
    return path
