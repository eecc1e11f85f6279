"""What of a folder or zip is trained on, and that all else is counted and named: this program's pictures among it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.data.listing import SUFFIXES, left_out_words
from core.data.making import make
from core.data.prepare import left_out
from core.data.prepared import read_index
from core.data.sources import fingerprint, opened
from core.errors import InputError
from tests.support.pictures import encoded, foldered, lsun, picture, zipped

PNG = encoded(picture())
PHOTOS = {f"photos/{name}.png": encoded(picture(i)) for i, name in enumerate("abc")}
RUN = "runs/jobs/acf976bb4e63dc62"

OWN: dict[str, Mapping[str, bytes]] = {
    "a prepared set": {"photos_16/prepared.json": b"{}", "photos_16/contact_16.png": PNG},
    "a prepared set that lost its index": {"photos_16/16.npy": b"x", "photos_16/contact_16.png": PNG},
    "a run": {"x/job.json": b"{}", "x/events.jsonl": b"", "x/samples/000020.png": PNG, "x/samples/real.png": PNG},
    "a run that was ended at its start": {"x/job.json": b"", "x/protocol.json": b"", "x/samples/real.png": PNG},
    "a report": {"r/report.md": b"", "r/verdicts.json": b"", "r/figures/samples.png": PNG, "r/figures/i.gif": PNG},
    "a report as PDF alone": {"r/results.csv": b"", "r/protocols.json": b"", "r/figures/samples.png": PNG},
    "a report that was interrupted": {"r/figures/ladder.svg": b"", "r/figures/samples.png": PNG},
    "what MLflow keeps": {"mlruns/1/0123/artifacts/samples/a.png": PNG},
    "what MLflow keeps elsewhere": {f"kept/{'0a' * 16}/artifacts/a.png": PNG},
    "a folder of runs": {
        "runs/jobs/.x": b"", "runs/plans/.x": b"", "runs/queue/id": b"", "runs/reports/s/cpu/figures/a.png": PNG,
        "runs/cache/images/x/contact_8.png": PNG,
    },
    "this program": {
        **{f"{room}/__init__.py": b"" for room in ("ablations", "core", "studies", "reports")},
        "docs/screenshots/a.png": PNG, "reports/published/a.png": PNG,
    },
}  # fmt: skip


@pytest.mark.parametrize("what", OWN)
@pytest.mark.parametrize("hold", [foldered, zipped])
def test_own_pictures_are_no_data_and_are_counted(
    tmp_path: Path, what: str, hold: Callable[[Path, Mapping[str, bytes]], Path]
) -> None:
    (tmp_path / "alone").mkdir()
    alone = hold(tmp_path / "alone" / "given", PHOTOS)
    (tmp_path / "with").mkdir()
    path = hold(tmp_path / "with" / "given", PHOTOS | OWN[what])
    assert fingerprint(path) == fingerprint(alone)
    mine = sum(name.endswith((".png", ".gif")) for name in OWN[what])
    assert f"{mine} picture{'s' * (mine > 1)} that this program made (" in left_out_words(left_out(path))
    with opened(path) as source:
        assert source.names == sorted(PHOTOS)


def test_pictures_of_others_beside_ours_are_data(tmp_path: Path) -> None:
    files = {
        "jobs/a.png": PNG, "plans/b.png": PNG, "reports/c.png": PNG, "samples/000020.png": PNG, "figures/d.png": PNG,
        "runs/jobs/.x": b"", "runs/plans/.x": b"", "runs/queue/.x": b"", "runs/photos/e.png": PNG,
    }  # fmt: skip
    with opened(foldered(tmp_path / "given", files)) as source:
        assert len(source.names) == 6 and source.left_out == ()


@pytest.mark.parametrize("inside", ["", "samples"])
def test_a_folder_of_ours_is_no_source(tmp_path: Path, inside: str) -> None:
    run = foldered(tmp_path / "run", {"job.json": b"{}", "events.jsonl": b"", "samples/000020.png": PNG})
    with pytest.raises(InputError, match="holds pictures that this program made"), opened(run / inside):
        pass


def test_a_prepared_set_is_not_prepared_again(tmp_path: Path) -> None:
    make(foldered(tmp_path / "photos", PHOTOS), tmp_path / "set", [8])
    with pytest.raises(InputError, match="is a prepared set already: train on it as it is"):
        make(tmp_path / "set", tmp_path / "again", [8])


def test_the_folder_around_an_lmdb_is_told_so_whatever_else_of_ours_is_there(tmp_path: Path) -> None:
    path = foldered(tmp_path / "given", {**OWN["a run"], "deep/notes": b"x"})
    lsun(path / "deep" / "bedroom_train_lmdb", PHOTOS)
    with pytest.raises(InputError, match="holds no images but the LMDB deep/bedroom_train_lmdb: give that folder"):
        fingerprint(path)


OTHERS = {
    "a.heic": b"x", "b.HEIC": b"x", "c.npy": b"x", "noending": b"x", "labels.txt": b"x", ".hidden.png": b"x",
    "__MACOSX/._a.jpg": b"x", ".git/config": b"x",
}  # fmt: skip


def test_whatever_is_left_out_is_counted_named_and_recorded(tmp_path: Path) -> None:
    path = foldered(tmp_path / "given", PHOTOS | OTHERS)
    (path / "gone.png").symlink_to(path / "nowhere")
    os.mkfifo(path / "pipe.png")
    index = make(path, tmp_path / "set", [8])
    assert left_out_words(index.left_out) == (
        "left out: 2 files ending in .heic (a.heic, b.HEIC); 2 hidden pictures (.hidden.png, __MACOSX/._a.jpg); "
        "2 names without a file (gone.png, pipe.png); 1 file ending in .npy (c.npy); 1 file ending in .txt "
        "(labels.txt); 1 file without an ending (noending)"
    )
    assert read_index(tmp_path / "set") == index
    assert left_out(tmp_path / "set") == left_out(path) == index.left_out
    (path / "d.heic").write_bytes(b"x")
    assert make(path, tmp_path / "set", [8]).left_out[0].count == 3


def test_a_folder_of_nothing_but_others_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no images \(left out: 2 files ending in .heic \(a.heic, b.HEIC\)"):
        fingerprint(foldered(tmp_path / "given", OTHERS))


def test_many_endings_are_summed_up(tmp_path: Path) -> None:
    files = {f"x.{i:03d}": b"x" for i in range(300)}
    with opened(foldered(tmp_path / "given", PHOTOS | files)) as source:
        assert len(source.left_out) < 20
        assert sum(each.count for each in source.left_out) == 300


def test_a_name_that_comes_twice_in_a_zip_is_counted(tmp_path: Path) -> None:
    zipped(tmp_path / "x.zip", {"a.png": PNG})
    with zipfile.ZipFile(tmp_path / "x.zip", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("a.png", PNG)
    with opened(tmp_path / "x.zip") as source:
        assert source.names == ["a.png"]
        assert left_out_words(source.left_out) == "left out: 1 picture under a name that comes again (a.png)"


def test_endings_of_a_format_that_is_read_are_taken(tmp_path: Path) -> None:
    jpeg = encoded(picture(), "JPEG")
    names = ["a.jfif", "b.jpe", "c.JPEG", "d.TIF", "e.Mpo", "f.apng"]
    with opened(foldered(tmp_path / "given", dict.fromkeys(names, jpeg))) as source:
        assert source.names == names
    assert {".jpg", ".png", ".webp", ".avif", ".jp2", ".j2k", ".pbm"} <= SUFFIXES
