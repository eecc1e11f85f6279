"""The image cache: made once, shared by processes, and never trusted when it is not whole."""

import json
import os
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.config import Images, Rooms
from core.data import prepare as prepare_module
from core.data import rooms
from core.data.arrays import header_of
from core.data.load import load, load_real
from core.data.sources import fingerprint
from core.errors import InputError

ROOMS = Rooms(resolution=8, train=12, held_out=6, seed=2)


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for every call of the renderer."""
    calls: list[int] = []
    render = rooms.render

    def counted(indices: np.ndarray, *args: object, **options: object) -> np.ndarray:
        calls.append(len(indices))
        return render(indices, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare_module.rooms, "render", counted)
    return calls


@pytest.fixture
def photographs(tmp_path: Path) -> tuple[Path, Images]:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(5):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    digest, count = fingerprint(folder)
    return folder, Images(resolution=8, count=count, fingerprint=digest)


def test_rooms_are_rendered_once(tmp_path: Path, renders: list[int]) -> None:
    first = load(ROOMS, cache=tmp_path, workers=2)
    assert renders == [12, 6]
    assert first.train.dtype == torch.uint8
    assert first.train.shape == (12, 3, 8, 8)
    np.testing.assert_array_equal(first.train.numpy(), rooms.render(rooms.train_indices(12), 8, seed=2))
    np.testing.assert_array_equal(first.real.numpy(), rooms.render(rooms.held_out_indices(6), 8, seed=2))
    renders.clear()
    again = load(ROOMS, cache=tmp_path)
    assert renders == []
    assert torch.equal(again.train, first.train)
    assert torch.equal(again.real, first.real)


@pytest.mark.parametrize("change", [{"seed": 3}, {"train": 13}, {"held_out": 7}, {"resolution": 16}])
def test_another_set_is_another_entry(tmp_path: Path, renders: list[int], change: dict[str, int]) -> None:
    load(ROOMS, cache=tmp_path)
    renders.clear()
    load(Rooms.model_validate(ROOMS.model_dump() | change), cache=tmp_path)
    assert len(renders) == 2


def test_the_real_set_alone_at_another_resolution_is_the_same_scenes(tmp_path: Path, renders: list[int]) -> None:
    fine = load_real(ROOMS, 16, cache=tmp_path)
    assert renders == [6]
    np.testing.assert_array_equal(fine.numpy(), rooms.render(rooms.held_out_indices(6), 16, seed=2))
    renders.clear()
    assert torch.equal(load_real(ROOMS, 16, cache=tmp_path), fine)
    assert renders == []


def test_photographs_are_never_enlarged_into_a_real_set(tmp_path: Path, photographs: tuple[Path, Images]) -> None:
    path, images = photographs
    fine = load_real(images, 20, path=path, cache=tmp_path / "cache")
    assert fine.shape == (5, 3, 20, 20)
    larger = Images(resolution=21, count=images.count, fingerprint=images.fingerprint)
    load(larger, path=path, cache=tmp_path / "cache")
    for _ in range(2):
        with pytest.raises(
            InputError,
            match=r"5 images are smaller than 21 x 21, 0.png \(24 x 20\) first, and real images of that size are",
        ):
            load_real(images, 21, path=path, cache=tmp_path / "cache")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _alter(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


def _forge_shape(path: Path) -> None:
    index = path.with_name("index.json")
    described = json.loads(index.read_text())
    described["sets"][path.stem]["shape"][0] -= 1
    index.write_text(json.dumps(described))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _claim_more(path: Path) -> None:
    path.write_bytes(header_of((10**15,)))


def _as_a_zip(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.zeros(3))
    path.with_suffix(".npz").replace(path)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "truncated": _truncate,
    "altered": _alter,
    "empty": lambda path: path.write_bytes(b"") and None,
    "missing": lambda path: path.unlink(),
    "index missing": lambda path: path.with_name("index.json").unlink(),
    "index cut": lambda path: _truncate(path.with_name("index.json")),
    "index is a list": lambda path: path.with_name("index.json").write_text("[]") and None,
    "shape differs": _forge_shape,
    "claims more than there is": _claim_more,
    "sparse": lambda path: os.truncate(path, 2**40) and None,
    "a zip": _as_a_zip,
    "pickled": lambda path: np.save(path, np.array([{}]), allow_pickle=True),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_made_anew(tmp_path: Path, renders: list[int], damage: str) -> None:
    first = load(ROOMS, cache=tmp_path)
    (stored,) = tmp_path.glob("images/*/held_out.npy")
    DAMAGE[damage](stored)
    renders.clear()
    again = load(ROOMS, cache=tmp_path)
    assert renders == [12, 6]
    assert torch.equal(again.real, first.real)
    renders.clear()
    load(ROOMS, cache=tmp_path)
    assert renders == []


@pytest.mark.parametrize("place", ["images", "images/SET", "images/SET/train.npy", "images/SET/index.json"])
@pytest.mark.parametrize("kind", ["link out", "link to nothing", "pipe"])
def test_nothing_in_a_cache_leads_out_of_it(place: str, kind: str, tmp_path: Path, renders: list[int]) -> None:
    cache, victim = tmp_path / "cache", tmp_path / "victim"
    load(ROOMS, cache=cache)
    (made,) = cache.glob("images/rooms-*/")
    trap = cache / place.replace("SET", made.name)
    trap.rename(tmp_path / "aside")
    if kind == "pipe":
        os.mkfifo(trap)
    else:
        trap.symlink_to(victim)
    if kind == "link out":
        (tmp_path / "aside").rename(victim)
    before = sorted(victim.rglob("*"))
    renders.clear()
    with pytest.raises(InputError, match=r"remove it|choose another"):
        load(ROOMS, cache=cache)
    assert renders == [] and victim.exists() == (kind == "link out") and sorted(victim.rglob("*")) == before


def test_a_cache_may_itself_be_a_link(tmp_path: Path, renders: list[int]) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "cache").symlink_to("large")
    load(ROOMS, cache=tmp_path / "cache")
    renders.clear()
    load(ROOMS, cache=tmp_path / "large")
    assert renders == []


def test_photographs_are_not_prepared_through_a_link_in_the_cache(
    tmp_path: Path, photographs: tuple[Path, Images]
) -> None:
    path, data = photographs
    (tmp_path / "victim").mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "images").symlink_to("../victim")
    with pytest.raises(InputError, match=r"leads out of .*cache"):
        load(data, path=path, cache=tmp_path / "cache")
    assert not list((tmp_path / "victim").iterdir())


def test_an_interrupted_rendering_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module.rooms, "render", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(ROOMS, cache=tmp_path)
    assert [path.suffix for path in (tmp_path / "images").iterdir()] in ([], [".lock"])


def test_two_loaders_at_once_render_once(tmp_path: Path, renders: list[int]) -> None:
    with ThreadPoolExecutor(4) as pool:
        sets = list(pool.map(lambda _: load(ROOMS, cache=tmp_path), range(4)))
    assert renders == [12, 6]
    assert all(torch.equal(sets[0].train, other.train) for other in sets)


def test_progress_counts_both_sets(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    load(ROOMS, cache=tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (18, 18)
    assert seen == sorted(seen)


def test_images_are_both_training_and_real_set(tmp_path: Path, photographs: tuple[Path, Images]) -> None:
    folder, data = photographs
    images = load(data, path=folder, cache=tmp_path / "cache")
    assert images.train.shape == (5, 3, 8, 8)
    assert torch.equal(images.train, images.real)
    again = load(data, path=folder, cache=tmp_path / "cache", workers=2)
    assert torch.equal(images.train, again.train)


def test_other_images_than_the_configs_are_refused(tmp_path: Path, photographs: tuple[Path, Images]) -> None:
    folder, data = photographs
    (folder / "4.png").unlink()
    with pytest.raises(InputError) as caught:
        load(data, path=folder, cache=tmp_path / "cache")
    message = str(caught.value)
    assert data.fingerprint[:12] in message
    assert fingerprint(folder)[0][:12] in message
    assert "\n" not in message
    with pytest.raises(InputError, match="need a path"):
        load(data, cache=tmp_path / "cache")


def test_a_cache_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match=r"cache folder .* cannot be used .*: choose another"):
        load(ROOMS, cache=tmp_path / "cache")


def test_a_full_disk_is_told_as_one_and_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(InputError, match=r"(No space|File too large).*free space") as caught:
            load(ROOMS, cache=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(tmp_path) in str(caught.value)
    assert not list((tmp_path / "images").glob("*/"))
    assert np.array_equal(load(ROOMS, cache=tmp_path).train, load(ROOMS, cache=tmp_path).train)


def test_what_killed_processes_left_of_the_cache_goes(tmp_path: Path) -> None:
    load(ROOMS, cache=tmp_path)
    (made,) = (tmp_path / "images").glob("rooms-*/")
    left = made.with_name(f".{made.name}.4711")
    made.rename(left)
    load(ROOMS, cache=tmp_path)
    assert made.exists() and not left.exists()


def test_arrays_are_kept_as_numpy_keeps_them(tmp_path: Path) -> None:
    load(ROOMS, cache=tmp_path)
    (made,) = (tmp_path / "images").glob("rooms-*/train.npy")
    np.save(tmp_path / "as_numpy.npy", np.load(made))
    assert made.read_bytes() == (tmp_path / "as_numpy.npy").read_bytes()
