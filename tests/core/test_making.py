"""Prepared sets: the pixels of the images themselves, whatever interrupted the making and however many decode."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from core.config import Resampling
from core.data import decoding, making, rooms
from core.data.__main__ import main
from core.data.making import make
from core.data.prepare import described, named
from core.data.prepared import read_index, read_pixels
from core.data.sources import fingerprint
from core.errors import InputError
from core.processes import environment
from core.train import main as train_main
from studies.changes_overview import STUDY
from tests.support.pictures import encoded, foldered, lsun, picture, shared, zipped


def many(path: Path, count: int = 2500) -> Path:
    """Small different images, every 700th of which is none."""
    bad = {i for i in range(count) if i % 700 == 699}
    return lsun(path, {f"{i:05d}": b"no" if i in bad else encoded(picture(i, (9, 8)), "BMP") for i in range(count)})


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_a_set_holds_the_images_and_says_what_it_is(tmp_path: Path) -> None:
    files = {f"{i}.png": encoded(picture(i)) for i in range(5)}
    path = zipped(tmp_path / "photographs.zip", files)
    index = make(path, tmp_path / "set", [20, 10], name="My photographs")
    for resolution, filtered in ((20, None), (10, Image.Resampling.BOX)):
        array = read_pixels(tmp_path / "set", index, resolution)
        assert array.shape == (5, 3, resolution, resolution)
        for i, pixels in enumerate(array):
            square = picture(i).crop((2, 0, 22, 20))
            expected = square if filtered is None else square.resize((10, 10), filtered)
            np.testing.assert_array_equal(pixels, np.asarray(expected).transpose(2, 0, 1))
    assert (index.count, index.resolutions, index.skipped) == (5, [10, 20], ())
    assert index.fingerprint == fingerprint(path)[0]
    assert index.words.startswith(
        "5 images of photographs.zip (zip), centre-cropped to squares, box filter, 10 × 10 and"
    )
    assert read_index(tmp_path / "set") == index
    assert named(tmp_path / "set") == "My photographs"
    assert described(tmp_path / "set", 10) == described(path, 10)
    with Image.open(tmp_path / "set" / "contact_20.png") as sheet:
        assert sheet.size == (5 * 21 - 1, 20)
    np.testing.assert_array_equal(np.load(tmp_path / "set" / "20.npy"), read_pixels(tmp_path / "set", index, 20))


def test_a_set_of_a_folder_a_zip_and_an_lmdb_is_one_set(tmp_path: Path) -> None:
    files = {f"{name}.png": encoded(picture(i)) for i, name in enumerate("abc")}
    made = [
        make(path, tmp_path / f"set{i}", [16])
        for i, path in enumerate(
            [foldered(tmp_path / "f", files), zipped(tmp_path / "z.zip", files), lsun(tmp_path / "l", files)]
        )
    ]
    assert len({(index.fingerprint, index.pixels["16"].blocks) for index in made}) == 1


def test_the_filter_is_another_data_set(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.png": encoded(picture())})
    filters = get_args(Resampling)
    for resampling in filters:
        make(path, tmp_path / resampling, [8], resampling=resampling)
    assert len({described(tmp_path / resampling, 8) for resampling in filters}) == len(filters) == 3
    # A set's filter is its own, whatever is asked for; of images that are not prepared it is what is asked for.
    assert described(tmp_path / "box", 8, "bilinear").resampling == "box"
    assert (described(path, 8).resampling, described(path, 8, "bilinear").resampling) == ("box", "bilinear")


def test_enlarged_images_are_counted(tmp_path: Path) -> None:
    files = {"a.png": encoded(picture(0, (64, 64))), "b.png": encoded(picture(1, (30, 40)))}
    index = make(zipped(tmp_path / "x.zip", files), tmp_path / "set", [16, 32])
    assert index.pixels["16"].enlarged.count == 0
    found = index.pixels["32"].enlarged
    assert (found.count, found.first, found.width, found.height) == (1, "b.png", 30, 40)


def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = many(tmp_path / "lmdb")
    monkeypatch.setattr(decoding, "ALONE", 0.0)
    for workers in (1, 2):
        make(path, tmp_path / str(workers), [8, 4], skip_bad=True, workers=workers)
    assert content(tmp_path / "1") == content(tmp_path / "2")


class Stopped(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_interrupted_making_goes_on_and_ends_the_same(tmp_path: Path, after: int) -> None:
    path = many(tmp_path / "lmdb")
    whole = make(path, tmp_path / "whole", [8, 4], skip_bad=True)

    def interrupt(done: int, _: int) -> None:
        if done >= after * 1024:
            raise Stopped

    with pytest.raises(Stopped):
        make(path, tmp_path / "set", [8, 4], skip_bad=True, progress=interrupt)
    assert not (tmp_path / "set").exists()
    with pytest.raises(InputError):  # and a failed attempt in between
        make(path, tmp_path / "set", [8, 4], skip_bad=False)
    seen: list[int] = []
    assert make(path, tmp_path / "set", [8, 4], skip_bad=True, progress=lambda done, _: seen.append(done)) == whole
    assert seen[0] == sum(sorted([0, 1025, 2050])[: after + 1][-1:])
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def _interrupted(path: Path, folder: Path) -> Path:
    def interrupt(done: int, _: int) -> None:
        if done >= 2048:
            raise Stopped

    with pytest.raises(Stopped):
        make(path, folder, [8], progress=interrupt)
    return folder.with_name(f".{folder.name}.part")


def _alter(aside: Path) -> None:
    with (aside / "8.npy").open("r+b") as file:
        file.seek(128 + 1500 * 192)
        file.write(b"\xff\x00\xff")


def _zero_a_line(aside: Path) -> None:
    lines = (aside / "journal.jsonl").read_bytes().split(b"\n")
    lines[2] = bytes(len(lines[2]))
    (aside / "journal.jsonl").write_bytes(b"\n".join(lines))


def _tear_the_journal(aside: Path) -> None:
    os.truncate(aside / "journal.jsonl", (aside / "journal.jsonl").stat().st_size - 30)


MEANWHILE: dict[str, tuple[Callable[[Path], object], int]] = {
    "altered": (_alter, 1024),
    "cut": (lambda aside: os.truncate(aside / "8.npy", 128 + 1500 * 192), 1024),
    "a torn line": (_tear_the_journal, 1024),
    "a line of zeros": (_zero_a_line, 1024),
    "an array is gone": (lambda aside: (aside / "8.npy").unlink(), 0),
}


@pytest.mark.parametrize("damage", MEANWHILE)
def test_what_was_damaged_meanwhile_is_made_again(tmp_path: Path, damage: str) -> None:
    path = lsun(tmp_path / "lmdb", {f"{i:05d}": encoded(picture(i, (9, 8)), "BMP") for i in range(2500)})
    damaged, kept = MEANWHILE[damage]
    damaged(_interrupted(path, tmp_path / "set"))
    seen: list[int] = []
    make(path, tmp_path / "set", [8], progress=lambda done, _: seen.append(done))
    assert seen[0] == kept
    make(path, tmp_path / "whole", [8])
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def test_a_replaced_image_is_noticed_on_going_on(tmp_path: Path) -> None:
    files = {f"{i:05d}.bmp": encoded(picture(i, (9, 8)), "BMP") for i in range(2500)}
    _interrupted(zipped(tmp_path / "x.zip", files), tmp_path / "set")
    files["01100.bmp"] = encoded(picture(7, (9, 8)), "BMP")
    path = zipped(tmp_path / "x.zip", files)
    index = make(path, tmp_path / "set", [8])
    assert index.fingerprint == fingerprint(path)[0]
    assert index == make(path, tmp_path / "whole", [8]).replace(stamps=index.stamps)


def test_the_same_command_again_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "x.zip", {"a.png": encoded(picture()), "b.png": encoded(picture(1))})
    index = make(path, tmp_path / "set", [8])
    monkeypatch.setattr(making, "decoding", None)
    assert make(path, tmp_path / "set", [8]) == index
    os.utime(path)
    assert make(path, tmp_path / "set", [8]) == index


def test_fewer_images_or_another_name_are_not_what_is_there(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {f"{i}.png": encoded(picture(i)) for i in range(4)})
    make(path, tmp_path / "set", [8])
    with pytest.raises(InputError, match="holds other images"):
        make(path, tmp_path / "set", [8], most=2)
    assert make(path, tmp_path / "set", [8], name="LSUN bedroom").name == named(tmp_path / "set") == "LSUN bedroom"
    assert make(path, tmp_path / "set", [8]).name == "LSUN bedroom"


def test_killed_it_leaves_no_process_behind_and_goes_on(tmp_path: Path) -> None:
    path = many(tmp_path / "lmdb", 690)
    slow = (
        "import sys, time; from core.data import decoding; decoding.ALONE = 0.0; "
        "from core.data.making import make; from pathlib import Path; "
        "make(Path(sys.argv[1]), Path(sys.argv[2]), [8], workers=2, progress=lambda *_: (print('on', flush=True), "
        "time.sleep(60) if _[0] else None))"
    )
    file = tmp_path / "slow.py"
    file.write_text(f"if __name__ == '__main__':\n    {slow}\n")
    process = subprocess.Popen(
        [sys.executable, str(file), str(path), str(tmp_path / "set")],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["on\n", "on\n"]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert children
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    seen: list[int] = []
    make(path, tmp_path / "set", [8], progress=lambda done, _: seen.append(done))
    assert seen == [690]


@pytest.mark.slow
def test_a_ctrl_c_while_processes_start_is_one_line(tmp_path: Path) -> None:
    """A terminal's reaches all of them, also those in which Python has not started yet."""
    path = many(tmp_path / "lmdb", 690)
    file = tmp_path / "prepare.py"
    file.write_text(
        "if __name__ == '__main__':\n    import sys; from core.data import decoding; decoding.ALONE = 0.0\n"
        "    from core.data.__main__ import main; sys.exit(main())\n"
    )
    command = [sys.executable, str(file), "prepare", str(path), "--resolution", "8", "--workers", "3"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

        def starting() -> list[str]:
            lines = [Path(f"/proc/{child}/cmdline").read_bytes().decode() for child in children.read_text().split()]
            return [line for line in lines if "spawn_main" in line]

        while process.poll() is None and not starting():
            time.sleep(0.001)
        time.sleep(0.4)  # Python is importing there.
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("interrupted") and "Traceback" not in said


def test_the_command_prepares_shows_and_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = zipped(tmp_path / "x.zip", {"a.png": encoded(picture()), "b.png": b"no", "c.png": encoded(picture(1))})
    assert main(["prepare", str(path), "--resolution", "16", "32", "--skip-bad", "--name", "Mine"]) == 0
    said = capsys.readouterr().out
    assert "2 images of x.zip (zip)" in said
    assert "2 images are smaller than 32 x 32 and were enlarged, a.png (24 x 20) first" in said
    assert "skipped b.png: not an image" in said
    made = tmp_path / "x_16_32"
    assert sorted(file.name for file in made.iterdir()) == [
        "16.npy", "32.npy", "contact_16.png", "contact_32.png", "prepared.json",
    ]  # fmt: skip
    assert main(["show", str(made)]) == 0
    assert capsys.readouterr().out == said
    assert main(["verify", str(made)]) == 0
    assert "every byte is what was prepared" in capsys.readouterr().out
    assert main(["prepare", str(path), "--resolution", "16", "--out", str(tmp_path / "y")]) == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: image b.png cannot be read (not an image): repair")
    for wrong in (["prepare", str(path)], ["prepare", str(path), "--resolution", "0"], ["prepare"], []):
        assert main(wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_place_without_a_name_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = foldered(tmp_path / "images", {"a.png": encoded(picture())})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    nameless, there = "/ is the folder that all others are in", "exists and is no prepared set"
    cases = [
        ([str(path), "--out", "/"], nameless),
        (["/"], nameless),
        ([str(path), "--out", "."], f"{tmp_path / 'here'} {there}"),
    ]
    for arguments, said in cases:
        assert main(["prepare", *arguments, "--resolution", "8"]) == 2
        assert capsys.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_images_as_lsun_ships_them_are_prepared_trained_on_and_evaluated(tmp_path: Path, count: int) -> None:
    scenes = rooms.render(rooms.train_indices(count // 4), 16, seed=5).transpose(0, 2, 3, 1)
    images = np.concatenate([scenes, scenes[:, :, ::-1], scenes[:, ::-1], scenes[:, ::-1, ::-1]])
    files = {
        f"{i:040x}": encoded(Image.fromarray(pixels), "WEBP" if i % 10 == 0 else "JPEG", quality=90)
        for i, pixels in enumerate(images)
    }
    path = lsun(tmp_path / "bedroom_train_lmdb", files)
    given = ["prepare", str(path), "--resolution", "16", "--out", str(tmp_path / "set"), "--name", "LSUN bedroom"]
    assert main(given) == 0
    data = described(tmp_path / "set", 16)
    assert data.count == count
    everything = STUDY.profile("cpu").scaled(STUDY.folded([change.name for change in STUDY.changes]))
    evaluation = everything.evaluation.replace(quality=None, resamples=0)
    config = everything.replace(data=data, iterations=100, evaluation=evaluation)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    out = tmp_path / "runs"
    given = ["--config", str(tmp_path / "config.json"), "--out", str(out), "--data", str(tmp_path / "set")]
    assert train_main([*given, "--device", "cpu"]) == 0
    (outcome,) = out.glob("*/outcome.json")
    assert json.loads(outcome.read_text())["status"] == "finished"
    told = json.loads((outcome.parent / "data.json").read_text())
    assert (told["name"], told["count"], told["skipped"]) == ("LSUN bedroom", count, [])
    events = [json.loads(line) for line in (outcome.parent / "events.jsonl").read_text().splitlines()]
    values = [e["value"] for e in events if e["kind"] == "evaluated" and e["metric"] == "fd_rooms"]
    assert len(values) == 2 and 0 < values[-1] < 10


@pytest.mark.slow
@pytest.mark.parametrize(("name", "resolution", "count"), [("photos32.zip", 32, 30_000), ("indoor64.zip", 16, 6_500)])
def test_real_photographs(tmp_path: Path, name: str, resolution: int, count: int) -> None:
    index = make(shared(name), tmp_path / "set", [resolution], workers=2)
    images = read_pixels(tmp_path / "set", index, resolution)
    assert images.shape == (count, 3, resolution, resolution)
    assert 80 < images.mean() < 160
    assert 30 < images.std() < 90


@pytest.mark.parametrize("call", ["replace", "unlink"])
def test_a_kill_as_the_set_is_moved_into_place_costs_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = many(tmp_path / "lmdb", 600)
    whole = make(path, tmp_path / "whole", [8])
    before = getattr(Path, call)

    def killed(self: Path, *arguments: object) -> object:
        if self.name in (".set.part", "journal.jsonl"):
            raise Stopped
        return before(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Path, call, killed)
        with pytest.raises(Stopped):
            make(path, tmp_path / "set", [8])
    begun: list[int] = []
    assert make(path, tmp_path / "set", [8], progress=lambda done, _: begun.append(done)) == whole
    assert begun in ([], [600])  # Nothing is decoded again.
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def _one_set(tmp_path: Path) -> tuple[Path, Path]:
    """Images, and the folder in which a set of them is begun."""
    path = zipped(tmp_path / "x.zip", {f"{i}.png": encoded(picture(i)) for i in range(3)})
    return path, tmp_path / ".set.part"


@pytest.mark.parametrize("name", ["8.npy", "journal.jsonl", "contact_8.png", "prepared.json", ""])
@pytest.mark.parametrize("kind", ["link", "second name", "pipe"])
def test_nothing_is_written_through_what_somebody_put_where_a_set_is_begun(
    name: str, kind: str, tmp_path: Path
) -> None:
    path, aside = _one_set(tmp_path)
    victim = tmp_path / "home" / "bashrc"
    victim.parent.mkdir()
    victim.write_text("mine")
    if name:
        aside.mkdir()
    trap = aside / name
    if kind == "pipe":
        os.mkfifo(trap)
    elif name and kind == "second name":
        os.link(victim, trap)
    else:
        trap.symlink_to(victim if name else victim.parent)
    with pytest.raises(InputError, match=r"\.part.* link.*remove it"):
        make(path, tmp_path / "set", [8])
    assert victim.read_text() == "mine" and list(victim.parent.iterdir()) == [victim]
    assert not (tmp_path / "set").exists()


def test_a_link_that_comes_while_a_set_is_made_is_not_written_through(tmp_path: Path) -> None:
    path, aside = _one_set(tmp_path)
    victim = tmp_path / "bashrc"
    victim.write_text("mine")

    def swapped(_: int, __: int) -> None:
        (aside / "8.npy").unlink()
        (aside / "8.npy").symlink_to(victim)

    with pytest.raises(InputError, match=r"8\.npy is a link, and no file of ours: remove it"):
        make(path, tmp_path / "set", [8], progress=swapped)
    assert victim.read_text() == "mine"


def test_what_another_user_began_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, aside = _one_set(tmp_path)
    aside.mkdir()
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(InputError, match=r"\.part belongs to another user: have them remove it"):
        make(path, tmp_path / "set", [8])


HOW = {"resolutions": [8], "resampling": "box", "decoder": making.DECODER, "pillow": making.pillow_version}

LINE = {"stamps": "", "encoded": "0" * 64, "skipped": [], "enlarged": {}, "blocks": {}}

DAMAGED_LINES = {
    "a list": b"[1]",
    "nothing": b"{}",
    "null": b"null",
    "no text": b"\xff",
    "deep": b"[" * 100_000,
    "no blocks": json.dumps(LINE | {"seen": 3, "rows": 3}).encode(),
    "less than none": json.dumps(LINE | {"seen": -1, "rows": -1}).encode(),
    "too many rows": json.dumps(LINE | {"seen": 10**15, "rows": 10**15}).encode(),
}


@pytest.mark.parametrize("line", DAMAGED_LINES)
@pytest.mark.parametrize("place", ["first", "second"])
def test_a_damaged_line_ends_what_is_gone_on_from(place: str, line: str, tmp_path: Path) -> None:
    path, aside = _one_set(tmp_path)
    aside.mkdir()
    before = [json.dumps(HOW).encode()] if place == "second" else []
    (aside / "journal.jsonl").write_bytes(b"\n".join([*before, DAMAGED_LINES[line], b""]))
    make(path, tmp_path / "set", [8])
    make(path, tmp_path / "whole", [8])
    assert content(tmp_path / "set") == content(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["a zip", "another shape", "a pipe", "a folder", "an index of a pipe", "no text"])
def test_what_is_no_array_of_a_set_is_one_line(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = _one_set(tmp_path)
    make(path, tmp_path / "set", [8])
    array, index = tmp_path / "set" / "8.npy", tmp_path / "set" / "prepared.json"
    size = array.stat().st_size
    if damage == "a zip":
        zipped(array, {"a.npy": b"x"})
        with array.open("ab") as file:
            file.write(bytes(size - array.stat().st_size))
    elif damage == "another shape":
        whole = array.read_bytes()
        array.write_bytes(whole.replace(b"(3, 3, 8, 8)", b"(9, 8, 8, 1)"))
        assert array.read_bytes() != whole
    elif damage == "no text":
        index.write_bytes(b"\xff")
    else:
        taken = index if "index" in damage else array
        taken.unlink()
        taken.mkdir() if damage == "a folder" else os.mkfifo(taken)
    assert main(["verify", str(tmp_path / "set")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "prepare" in said


def test_names_are_what_they_are_in_any_locale(tmp_path: Path) -> None:
    path = foldered(tmp_path / "Küche", {"bär.png": encoded(picture())})
    made = subprocess.run(
        [sys.executable, "-m", "core.data", "prepare", str(path), "--resolution", "8", "--out", str(tmp_path / "set")],
        env=environment() | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    index = read_index(tmp_path / "set")
    assert (index.name, index.stamps) == ("Küche", make(path, tmp_path / "other", [8]).stamps)
