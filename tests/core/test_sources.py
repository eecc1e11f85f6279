"""Folders, zips and LMDBs of images: the same images in the same order, whatever holds them."""

import os
import socket
import time
import zipfile
from pathlib import Path

import pytest

from core.data.sources import BLOCK, fingerprint, opened
from core.data.walk import damage
from core.errors import InputError
from tests.support.pictures import encoded, foldered, lsun, picture, shared, zipped

FILES = {f"{name}.png": encoded(picture(i)) for i, name in enumerate(["b/2", "a/10", "c", "a/9"])}
IN_ORDER = ["a/10.png", "a/9.png", "b/2.png", "c.png"]
NO_IMAGES = {
    "dataset.json": b'{"labels": [["a/9.png", 3]]}',
    "__MACOSX/a/._9.png": b"x",
    ".hidden.png": b"x",
    "a/.DS_Store": b"x",
}


def test_what_holds_them_does_not_matter(tmp_path: Path) -> None:
    folder = foldered(tmp_path / "folder", FILES | NO_IMAGES)
    (folder / "empty.png").mkdir()
    held = [
        folder,
        zipped(tmp_path / "stored.zip", dict(reversed((FILES | NO_IMAGES).items())), zipfile.ZIP_STORED),
        zipped(tmp_path / "deflated.zip", FILES),
        zipped(tmp_path / "bzip2.zip", FILES, zipfile.ZIP_BZIP2),
        lsun(tmp_path / "lmdb", FILES),
    ]
    found = set()
    for path in held:
        with opened(path) as source:
            assert source.names == IN_ORDER
            assert [source.read(name) for name in source.names] == [FILES[name] for name in IN_ORDER]
        found.add(fingerprint(path))
    ((_, count),) = found
    assert count == 4


def test_an_lmdb_may_be_named_by_its_file_and_has_any_keys(tmp_path: Path) -> None:
    import lmdb

    keys = [b"\xff\x00", b"0x61", b"a", "ä".encode(), b"line\nbreak"]
    with lmdb.open(str(tmp_path / "any"), map_size=2**20) as environment, environment.begin(write=True) as transaction:
        for i, key in enumerate(keys):
            transaction.put(key, encoded(picture(i)))
    with opened(tmp_path / "any" / "data.mdb") as source:
        assert len(set(source.names)) == len(keys)
        read = {source.read(name) for name in source.names}
    assert read == {encoded(picture(i)) for i in range(len(keys))}


def test_an_lmdb_that_is_as_full_as_can_be_is_sound(tmp_path: Path) -> None:
    file = lsun(tmp_path / "full", {f"{number:08d}": b"%08d" % number for number in range(20_000)}) / "data.mdb"
    file.write_bytes(file.read_bytes().rstrip(b"\0"))
    with file.open("ab") as stream:
        stream.write(bytes(-file.stat().st_size % 4096))
    assert damage(file) is None


def test_linked_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    folder = foldered(tmp_path / "folder", FILES)
    foldered(tmp_path / "elsewhere", {"x.png": FILES["c.png"]})
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "a" / "above").symlink_to(folder)
    with opened(folder) as source:
        assert source.names == sorted([*FILES, "linked/x.png"])
        assert source.read("linked/x.png") == FILES["c.png"]


def test_an_lmdb_may_be_copied_and_touched(tmp_path: Path) -> None:
    path = lsun(tmp_path / "lmdb", FILES)
    with opened(path) as source:
        before = source.stamp("c.png")
    os.utime(path / "data.mdb")
    with opened(path) as source:
        assert source.stamp("c.png") == before


def test_fingerprint_changes_with_a_byte_and_with_the_order_not_with_a_name(tmp_path: Path) -> None:
    a, b = encoded(picture(0)), encoded(picture(1))
    found = [
        fingerprint(zipped(tmp_path / f"{i}.zip", files))[0]
        for i, files in enumerate(
            [{"a.png": a, "b.png": b}, {"a.png": b, "b.png": a}, {"a.png": a, "b.png": a}, {"a.png": a, "z.png": b}]
        )
    ]
    assert len(set(found)) == 3
    assert found[0] == found[3]


def test_fingerprint_tells_blocks_apart(tmp_path: Path) -> None:
    one = encoded(picture(0, (2, 2)))
    counts = (BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK)
    found = {fingerprint(lsun(tmp_path / str(n), {f"{i:05d}": one for i in range(n)})) for n in counts}
    assert {count for _, count in found} == set(counts)
    assert len({digest for digest, _ in found}) == 4


def test_names_that_climb_out_of_the_zip_are_only_names(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    path = zipped(tmp_path / "deep" / "x.zip", {"../../escaped.png": encoded(picture()), "a.png": encoded(picture())})
    with opened(path) as source:
        assert len([source.read(name) for name in source.names]) == 2
    assert not list(tmp_path.glob("**/escaped.png"))


def test_thirty_thousand_photographs_are_fingerprinted_at_once() -> None:
    path = shared("photos32.zip")
    started = time.process_time()
    digest, count = fingerprint(path)
    assert time.process_time() - started < 2  # about 0.4 s on an idle core
    assert count == 30_000
    assert len(digest) == 64


@pytest.mark.parametrize("what", ["zeros", "null", "pipe", "pipe.zip", "pipe.mdb", "socket"])
def test_what_is_no_file_or_folder_is_neither_waited_for_nor_read(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # A socket's name has to be short.
    path = tmp_path / what
    with socket.socket(socket.AF_UNIX) as listening:
        match what:
            case "zeros":
                path.symlink_to("/dev/zero")
            case "null":
                path = Path(os.devnull)
            case "socket":
                listening.bind(what)
            case _:
                os.mkfifo(path)
        for listed in (True, False):
            with pytest.raises(InputError, match="is no file or folder: give a folder, a zip or an LMDB"):
                opened(path, listed=listed).__enter__()
