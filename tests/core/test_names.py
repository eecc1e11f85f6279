"""Names of any bytes as text and back, in every file that we write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.data.making import make
from core.data.prepare import described, named
from core.data.prepared import read_index
from core.data.sources import fingerprint, opened
from core.errors import InputError
from core.file_names import original, stored
from studies.runner.order import Order
from tests.support.pictures import encoded, foldered, picture

ROOT = Path(__file__).parents[2]
NAMES = [
    b"plain.png",
    "Küche 台所.png".encode(),
    b"caf\xe9.png",
    rb"caf\xe9.png",
    rb"caf\x5cxe9.png",
    b"\xff\\x5c",
    b"a\\b\n",
]


def test_names_become_text_and_come_back_and_no_two_are_one() -> None:
    names = [os.fsdecode(name) for name in NAMES]
    texts = [stored(name) for name in names]
    assert [original(text) for text in texts] == names
    assert len(set(texts)) == len(names)
    assert "".join(texts).encode()
    assert texts[:3] == ["plain.png", "Küche 台所.png", r"caf\xe9.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Under a name that is no UTF-8, with such names in it, and one that looks like one of them."""
    path = tmp_path / os.fsdecode(b"K\xfcche")
    files = {name: encoded(picture(i)) for i, name in enumerate(["x.png", "y.png", r"caf\xe9.png"])}
    foldered(path, {**files, os.fsdecode(b"caf\xe9.png"): encoded(picture(8)), os.fsdecode(b"b\xe9.png"): b"no"})
    return path


def test_images_under_any_name_are_prepared_and_told(folder: Path) -> None:
    out = folder.parent / "set"
    with pytest.raises(InputError, match=r"image b\\xe9.png cannot be read \(not an image\)"):
        make(folder, out, [8, 64])
    given = ["-m", "core.data", "prepare", folder, "--resolution", "8", "64", "--out", out, "--skip-bad"]
    told = subprocess.run([sys.executable, *given], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert r"skipped b\xe9.png: not an image" in told and r"images of K\xfcche (folder)" in told
    index = read_index(out)
    assert (index.count, index.name, index.source) == (4, r"K\xfcche", r"K\xfcche")
    assert [entry.name for entry in index.skipped] == [r"b\xe9.png"]
    assert make(folder, out, [8, 64], skip_bad=True) == index, "the same images, by their names as well"
    assert json.loads((out / "prepared.json").read_bytes())["pixels"]["64"]["enlarged"]["count"] == 4


def test_images_under_any_name_are_what_they_are_under_others(folder: Path) -> None:
    (folder / os.fsdecode(b"b\xe9.png")).unlink()
    assert named(folder) == r"K\xfcche"
    assert described(folder, 8).count == 4
    with opened(folder) as source:
        read = [source.read(name) for name in source.names]
        assert len({source.stamp(name) for name in source.names} - {""}) >= 1
    renamed = foldered(folder.parent / "renamed", {f"{i}.png": content for i, content in enumerate(read)})
    assert fingerprint(renamed) == fingerprint(folder)


def test_an_order_takes_paths_of_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"K\xfcche")
    order = Order(study="s", setting="cpu", runs=path, data_path=path / "a", cache=path / "cache", tasks=())
    assert Order.model_validate_json(order.write("x").read_bytes()) == order
