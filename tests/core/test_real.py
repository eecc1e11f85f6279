"""The real set as the metrics see it: which images are looked at, that no other is, and what is kept of them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save, save_file
from torch import Tensor

from core.errors import InputError
from core.metrics import real as real_set
from core.metrics.frechet import Gaussian
from core.metrics.real import RealSet, evenly


def pixels(images: Tensor) -> Tensor:
    return images.flatten(1)[:, :5].float()


def images(count: int = 700) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 2, 2), generator=generator, dtype=torch.uint8)


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_set, "_known", {})


def test_places_are_spread_evenly_and_in_order() -> None:
    assert evenly(10, 4).tolist() == [0, 2, 5, 7]
    assert evenly(7, 7).tolist() == evenly(7, 9).tolist() == evenly(7, None).tolist() == list(range(7))
    many = evenly(3_033_042, 8192)
    assert len(many) == 8192 and many[0] == 0 and many[-1] == 8191 * 3_033_042 // 8192
    assert set(many.diff().tolist()) == {370, 371}


def test_the_first_images_are_taken_where_that_is_asked_for() -> None:
    watched = Watched(images())
    first = RealSet(watched, pixels, "five pixels", limit=30, taken="first")  # type: ignore[arg-type]
    assert first.places.tolist() == list(range(30)) and len(first) == 30
    assert first.content == RealSet(images()[:30], pixels, "five pixels").content
    np.testing.assert_allclose(first.gaussian.mean, pixels(images()[:30]).double().mean(0).numpy())
    np.testing.assert_array_equal(first.features(3), pixels(images()[[0, 10, 20]]).numpy())
    assert watched.read == set(range(30))
    spread = RealSet(images(), pixels, "five pixels", limit=30)
    assert spread.content != first.content and not np.allclose(spread.gaussian.mean, first.gaussian.mean)
    # A smaller set is taken whole either way.
    assert RealSet(images(7), pixels, "five pixels", limit=30, taken="first").places.tolist() == list(range(7))


class Watched:
    """Images that say which of them were read."""

    def __init__(self, images: Tensor) -> None:
        self.images, self.shape, self.read = images, images.shape, set[int]()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, places: Tensor) -> Tensor:
        self.read |= set(places.tolist())
        return self.images[places]


def test_no_other_image_is_read() -> None:
    watched = Watched(images())
    some = RealSet(watched, pixels, "five pixels", limit=30)  # type: ignore[arg-type]
    expected = [i * 700 // 30 for i in range(30)]
    assert len(some) == 30
    assert some.content == RealSet(images()[expected], pixels, "five pixels").content
    np.testing.assert_allclose(some.gaussian.mean, Gaussian.fit(pixels(images()[expected]).numpy()).mean)
    np.testing.assert_array_equal(some.features(4), pixels(images()[[expected[i] for i in (0, 7, 15, 22)]]).numpy())
    np.testing.assert_array_equal(some.features(99), pixels(images()[expected]).numpy())
    assert watched.read == set(expected)


def test_a_smaller_set_is_taken_whole(tmp_path: Path) -> None:
    """From a file in memory, whose changed bytes outside of what is looked at change nothing."""
    whole = RealSet(images(), pixels, "five pixels", limit=701)
    assert len(whole) == 700 and whole.content == RealSet(images(), pixels, "five pixels").content
    mapped = np.lib.format.open_memmap(tmp_path / "images.npy", mode="w+", dtype=np.uint8, shape=(700, 3, 2, 2))
    mapped[:] = images().numpy()
    of_file = torch.from_numpy(mapped)
    content = RealSet(of_file, pixels, "five pixels", limit=100).content
    assert content == RealSet(images(), pixels, "five pixels", limit=100).content
    mapped[1:7] = 0
    assert RealSet(of_file, pixels, "five pixels", limit=100).content == content
    mapped[7] = 0
    assert RealSet(of_file, pixels, "five pixels", limit=100).content != content


def test_what_was_found_is_kept_by_content_extractor_and_images_taken(tmp_path: Path) -> None:
    calls: list[int] = []

    def counted(batch: Tensor) -> Tensor:
        calls.append(len(batch))
        return pixels(batch)

    def looked_at(some: Tensor, extractor: str, limit: int | None, count: int) -> int:
        calls.clear()
        real_set._known.clear()
        compared = RealSet(some, counted, extractor, limit, tmp_path)
        np.testing.assert_array_equal(compared.features(count)[0], pixels(some)[0].numpy())
        _ = compared.gaussian
        return sum(calls)

    assert looked_at(images(), "five pixels", 300, 50) == 350
    assert looked_at(images(), "five pixels", 300, 50) == 0
    assert looked_at(images(), "five pixels", 300, 60) == 60
    assert looked_at(images(), "other weights", 300, 50) == 350
    assert looked_at(images(), "five pixels", 200, 50) == 250
    assert looked_at(images().flip(0), "five pixels", 300, 50) == 350
    assert looked_at(images(), "five pixels", 300, 50) == 0

    # In one process even the file is not needed again.
    for file in tmp_path.glob("statistics/*.safetensors"):
        file.unlink()
    RealSet(images(), counted, "five pixels", 300, tmp_path).features(50)
    assert calls == []


def test_a_file_that_is_cut_altered_or_of_other_images_is_made_anew(tmp_path: Path) -> None:
    def found() -> np.ndarray:
        real_set._known.clear()
        return RealSet(images(), pixels, "five pixels", cache=tmp_path).features(40)

    expected = found()
    (file,) = tmp_path.glob("statistics/*.safetensors")
    whole = file.read_bytes()
    other = RealSet(images(), pixels, "four pixels", cache=tmp_path)
    other.features(40)
    (of_another,) = set(tmp_path.glob("statistics/*.safetensors")) - {file}

    def altered() -> None:
        save_file({"features": load_file(file)["features"] + 1}, file)

    def forged(**arrays: np.ndarray) -> None:
        key = hashlib.sha256(f"features of 40 | five pixels | {of_images.content}".encode()).hexdigest()
        file.write_bytes(save(arrays, metadata={"sha256": real_set._checksum(key, arrays)}))

    def linked() -> None:
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere").write_bytes(whole + b" ")

    of_images = RealSet(images(), pixels, "five pixels")
    damages = [
        linked,
        lambda: forged(other=np.zeros((40, 5), np.float32)),
        lambda: forged(features=np.zeros((39, 5), np.float32)),
        lambda: forged(features=np.zeros(40, np.float32)),
        lambda: os.truncate(file, 2**40),
        lambda: file.write_bytes(whole.replace(b"F32", b"X32")),
        lambda: file.write_bytes(whole[:60]),
        lambda: file.write_bytes(whole[:-1]),
        lambda: file.write_bytes(b""),
        lambda: file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1])),
        lambda: file.write_bytes(of_another.read_bytes()),
        altered,
    ]
    for damage in damages:
        damage()
        assert file.stat().st_size > len(whole) or file.read_bytes() != whole
        np.testing.assert_array_equal(found(), expected)
        assert file.read_bytes() == whole
    file.unlink()
    os.mkfifo(file)
    np.testing.assert_array_equal(found(), expected)
    assert file.read_bytes() == whole and found().flags.writeable
    assert {entry.suffix for entry in (tmp_path / "statistics").iterdir()} == {".safetensors", ".lock"}


def test_what_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    broken = RealSet(images(), lambda batch: pixels(batch) / 0, "no pixels")
    for look in (lambda: broken.gaussian, lambda: broken.features(3)):
        with pytest.raises(InputError, match=r"extractor \(no pixels\) gives features that are not finite: replace it"):
            look()
    (tmp_path / "statistics").symlink_to(tmp_path.parent)
    with pytest.raises(InputError, match=r"statistics leads out of"):
        RealSet(images(), pixels, "five pixels", cache=tmp_path).features(3)
    (tmp_path / "statistics").unlink()
    (tmp_path / "statistics").write_text("in the way")
    with pytest.raises(InputError, match=r"cache folder .* cannot be used \(Not a directory\): choose another"):
        RealSet(images(), pixels, "five pixels", cache=tmp_path).features(3)
