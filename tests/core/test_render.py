"""Rendering: pixels that hang on nothing but what was asked for, files that hold them, and faults in one line."""

from __future__ import annotations

import resource
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

from core import config as cfg
from core.folder import Outcome, RunFolder
from core.grids import Cells, evenly_cut
from core.job import run_job
from core.pixels import to_uint8
from core.render import writing
from core.render.__main__ import main
from core.render.painting import Pixels8, blocks_of, in_rows, painted
from core.render.trained import Source, read_source
from core.render.view import WHOLE, View, Window
from tests.core.conftest import small_config

# Fourier features vary from pixel to pixel, so that a pixel out of its place is seen.
INR = cfg.Inr(width=16, depth=3, basis=cfg.Fourier(scale=10.0), coordinates=cfg.Coordinates(low=-1.0))
FIT = cfg.Reconstruction(
    data=cfg.Rooms(resolution=8, train=64, held_out=32),
    images=4,
    inr=cfg.Inr(width=8, depth=3),
    learning_rate=1e-2,
    iterations=4,
    evaluation=cfg.ErrorEvaluation(every=4),
)
SHORT = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=4)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, Path]:
    """A GAN and a fit, trained."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("runs")
    jobs = {
        "gan": cfg.Job(config=small_config(inr=INR, iterations=4, evaluation=SHORT), seed=3),
        "fit": cfg.Job(config=FIT, seed=3),
    }
    for job in jobs.values():
        list(run_job(job, runs=root, cache=cache))
    return {name: RunFolder(root, job).path for name, job in jobs.items()}


@pytest.fixture(scope="module")
def source(runs: dict[str, Path]) -> Source:
    return read_source(runs["gan"], seed=None, last=63, paths=True, allowed=())


def pixels_of(source: Source, view: View, *, picture: int = 0, threads: int = 1, held: int = 64) -> Pixels8:
    strips = painted(source.renderer, [[source.picture(picture)]], view, threads=threads, done=lambda _: None)
    return np.concatenate(list(in_rows(strips, held)))


def whole(width: int, height: int, points: int = 1) -> View:
    return View(WHOLE, width, height, points)


def read(file: Path) -> Pixels8:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def apart(a: Pixels8, b: Pixels8) -> int:
    """The levels that the two differ by at most."""
    return int(np.abs(a.astype(int) - b).max())


# --- pixels -----------------------------------------------------------------------------------------------------------


@given(
    size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    held=st.integers(1, 200),
    threads=st.integers(1, 3),
    points=st.integers(1, 3),
)
@settings(max_examples=15, deadline=None)
def test_no_pixel_hangs_on_the_rows_held_or_the_threads(
    source: Source, size: tuple[int, int], held: int, threads: int, points: int
) -> None:
    view = whole(*size, points)
    pixels = pixels_of(source, view, held=held, threads=threads)
    assert pixels.shape == (size[1], size[0], 3)
    np.testing.assert_array_equal(pixels, pixels_of(source, view, held=1000))


@given(data=st.data(), side=st.integers(2, 200), points=st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_a_window_whose_edges_are_those_of_pixels_is_that_part_of_the_whole(
    source: Source, data: st.DataObject, side: int, points: int
) -> None:
    (left, right), (top, bottom) = (
        sorted(data.draw(st.lists(st.integers(0, side), min_size=2, max_size=2, unique=True))) for _ in range(2)
    )
    window = Window(*(Fraction(edge, side) for edge in (left, top, right, bottom)))
    part = pixels_of(source, View(window, right - left, bottom - top, points))
    np.testing.assert_array_equal(part, pixels_of(source, whole(side, side, points))[top:bottom, left:right])


@pytest.mark.parametrize("points", [1, 3])
def test_pixels_are_those_of_f_evaluated_at_once(source: Source, points: int) -> None:
    view = View(Window(Fraction(1, 7), Fraction(0), Fraction(1), Fraction(2, 3)), 150, 70, points)
    columns, rows = evenly_cut(150, 1 / 7, 1), evenly_cut(70, 0, 2 / 3)
    with torch.inference_mode():
        at_once = source.renderer.render(source.picture(2), Cells(columns, rows, INR.coordinates, points=points))
    expected = to_uint8(at_once)[0].permute(1, 2, 0).numpy()
    pixels = pixels_of(source, view, picture=2)
    # The last bits of a product depend on its shape, which moves a value across a half.
    assert apart(pixels, expected) <= 1 and (pixels != expected).mean() < 1e-3


def test_rows_are_there_before_the_rest_is_evaluated(source: Source) -> None:
    done: list[int] = []
    view = whole(64, 6400)
    strips = painted(source.renderer, [[source.picture(0)]], view, threads=1, done=done.append)
    next(strips)
    assert sum(done) == 1 and blocks_of(view) == 100
    strips.close()  # type: ignore[attr-defined]


# --- the command ------------------------------------------------------------------------------------------------------


def rendered(run: Path, out: Path, *options: str) -> Pixels8:
    assert main([str(run), "--out", str(out), *options]) == 0
    return read(out)


def test_at_the_size_of_training_pictures_are_the_recorded_samples(runs: dict[str, Path], tmp_path: Path) -> None:
    for run, name in ((runs["gan"], "000004.png"), (runs["fit"], "000004.png")):
        recorded = read(run / "samples" / name)
        sheet = rendered(run, tmp_path / "sheet.png", "--count", "4")
        assert sheet.shape == (8, 32, 3) and apart(sheet, recorded[:8, :32]) <= 1
        third = rendered(run, tmp_path / "third.png", "--latent", "2")
        np.testing.assert_array_equal(third, sheet[:, 16:24])


def test_a_tiff_holds_the_pixels_of_the_png_whatever_its_tiles(runs: dict[str, Path], tmp_path: Path) -> None:
    options = ("--size", "150x90", "--latent", "1")
    expected = rendered(runs["gan"], tmp_path / "a.png", *options)
    for tile in ("16", "48", "256"):
        file = tmp_path / f"{tile}.tif"
        np.testing.assert_array_equal(rendered(runs["gan"], file, *options, "--tile", tile), expected)
        with tifffile.TiffFile(file) as stored:
            page = stored.pages.first
            assert page.tile == (int(tile), int(tile)) and page.is_tiled and "latent 1" in page.description


def test_a_large_tiff_is_a_big_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "CLASSIC", 1000)
    rows = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    writing.write_tiff(tmp_path / "a.tif", [rows[:16], rows[16:]], 30, 20, 16, "")
    with tifffile.TiffFile(tmp_path / "a.tif") as stored:
        assert stored.is_bigtiff
        np.testing.assert_array_equal(stored.asarray(), rows)


def test_a_window_in_decimals_keeps_its_proportions(runs: dict[str, Path], tmp_path: Path) -> None:
    part = rendered(runs["gan"], tmp_path / "part.png", "--window", "0.1,1/5,.45,0.35", "--size", "35")
    all_of_it = rendered(runs["gan"], tmp_path / "all.png", "--size", "100")
    np.testing.assert_array_equal(part, all_of_it[20:35, 10:45])


def test_a_seed_draws_latents_of_its_own_the_same_however_many(runs: dict[str, Path], tmp_path: Path) -> None:
    three, one, other = (
        rendered(runs["gan"], tmp_path / "seed.png", "--seed", seed, "--count", count)
        for seed, count in (("5", "3"), ("5", "1"), ("6", "1"))
    )
    np.testing.assert_array_equal(three[:, :8], one)
    assert apart(one, other) > 1 and apart(three[:, 8:16], one) > 1


def test_a_sheet_is_filled_up_with_black(runs: dict[str, Path], tmp_path: Path) -> None:
    sheet = rendered(runs["gan"], tmp_path / "sheet.tif", "--count", "9", "--size", "20x10", "--tile", "16")
    assert sheet.shape == (20, 160, 3) and not sheet[10:, 20:].any()
    ninth = rendered(runs["gan"], tmp_path / "ninth.png", "--latent", "8", "--size", "20x10")
    np.testing.assert_array_equal(sheet[10:, :20], ninth)


def test_a_path_begins_and_ends_at_its_latents(runs: dict[str, Path], tmp_path: Path) -> None:
    options = ("--between", "4", "1", "--steps", "3", "--size", "16")
    strip = rendered(runs["gan"], tmp_path / "path.png", *options)
    ends = [rendered(runs["gan"], tmp_path / "end.png", "--latent", end, "--size", "16") for end in ("4", "1")]
    assert strip.shape == (16, 48, 3)
    assert apart(strip[:, :16], ends[0]) <= 1 and apart(strip[:, 32:], ends[1]) <= 1
    rendered(runs["gan"], tmp_path / "path.gif", *options, "--milliseconds", "50")
    with Image.open(tmp_path / "path.gif") as animation:
        assert (animation.n_frames, animation.info["duration"], animation.info["loop"]) == (4, 50, 0)  # type: ignore[attr-defined]
        frames = []
        for index in range(4):
            animation.seek(index)
            frames.append(np.asarray(animation.convert("RGB")))
    np.testing.assert_array_equal(frames[1], frames[3])
    # 256 colours for 256 pixels.
    for frame, expected in zip(frames, (strip[:, :16], strip[:, 16:32], strip[:, 32:]), strict=False):
        assert np.abs(frame.astype(int) - expected).mean() < 2


# --- faults -----------------------------------------------------------------------------------------------------------


def refusal(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "a.bmp"], "the suffix says the format"),
        (["--out", "there.png"], "is a folder"),
        (["--out", "none/a.png"], "make its folder"),
        (["--out", "a.png", "--size", "0"], "no whole number from 1"),
        (["--out", "a.png", "--size", "8x"], "two as 1024x512"),
        (["--out", "a.png", "--size", "100000"], "write a .tif"),
        (["--out", "a.gif", "--size", "4000", "--between", "0", "1", "--steps", "90"], "fewer --steps"),
        (["--out", "a.gif", "--size", "70000x1", "--between", "0", "1"], "65,535"),
        (["--out", "a.tif", "--size", "262144x1", "--tile", "4096"], "smaller --tile"),
        (["--out", "a.tif", "--tile", "50"], "multiple of 16"),
        (["--out", "a.png", "--window", "0,0,1"], "is not left,top,right,bottom"),
        (["--out", "a.png", "--window", "0,0,1,1.01"], "from 0 to 1"),
        (["--out", "a.png", "--window", "0,0,1e9,1"], "from 0 to 1"),
        (["--out", "a.png", "--window", "0,0,1/0,1"], "from 0 to 1"),
        (["--out", "a.png", "--window", "0.5,0,0.5,1"], "out of order"),
        (["--out", "a.png", "--window", "0,0,0.000001,1", "--size", "8x8"], "larger window"),
        (["--out", "a.png", "--latent", "64"], "0 to 63"),
        (["--out", "a.png", "--points", "17"], "from 1 to 16"),
        (["--out", "a.png", "--steps", "4"], "add --between"),
        (["--out", "a.gif"], "add --between"),
        (["--out", "a.png", "--milliseconds", "50"], "of a .gif"),
        (["--out", "a.png", "--between", "0", "1", "--count", "2"], "leave one of them out"),
        (["--out", "a.png", "--between", "0", "1", "--latent", "2"], "leave one of them out"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    runs: dict[str, Path],
    tmp_path: Path,
    options: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.png").mkdir()
    assert words in refusal([str(runs["gan"]), *options], capsys)
    assert [entry.name for entry in tmp_path.iterdir()] == ["there.png"]


def test_a_fit_has_its_images_alone(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, words in (
        (["--seed", "1"], "--seed"),
        (["--between", "0", "1"], "--between"),
        (["--latent", "4"], "0 to 3"),
    ):
        assert words in refusal([str(runs["fit"]), "--out", str(tmp_path / "a.png"), *options], capsys)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def of_another_run(file: Path) -> None:
    save_file({"weight": torch.zeros(3)}, file)


def not_finite(file: Path) -> None:
    save_file({name: value * torch.nan if "output" in name else value for name, value in load_file(file).items()}, file)


def elsewhere(file: Path) -> None:
    file.rename(file.parents[1] / file.name)
    file.symlink_to(file.parents[1] / file.name)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.unlink, "published runs come without weights"),
        (cut, "no safetensors file"),
        (of_another_run, "not those of the run's config"),
        (not_finite, "not finite"),
        (elsewhere, "leads out of"),
    ],
)
def test_weights_that_are_none_are_refused(
    runs: dict[str, Path],
    tmp_path: Path,
    damage: Callable[[Path], None],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "jobs" / runs["gan"].name
    shutil.copytree(runs["gan"], run)
    damage(run / "generator.safetensors")
    assert words in refusal([str(run), "--out", str(tmp_path / "a.png")], capsys)
    assert not list(tmp_path.glob("*.png"))


def test_a_run_that_has_not_finished_is_refused_with_what_helps(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / runs["gan"].name, str(tmp_path / "a.png")
    assert "is no folder" in refusal([str(run), "--out", out], capsys)
    run.mkdir()
    assert "no run's folder" in refusal([str(run), "--out", out], capsys)
    shutil.copy(runs["gan"] / "job.json", run)
    assert "interrupted" in refusal([str(run), "--out", out], capsys)
    ended = Outcome(status="diverged", iteration=1, seconds=0.0, evaluation_seconds=0.0, job_seconds=0.0)
    RunFolder(tmp_path, run.name).write("outcome.json", ended.model_dump_json())
    assert "diverged" in refusal([str(run), "--out", out], capsys)
    assert "no digest" in refusal([str(tmp_path), "--out", out], capsys)


def test_a_layer_of_somebodys_is_not_run_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "received_layer.py"
    file.write_text("raise SystemExit('it was run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    layer = cfg.Imported(target="received_layer:Layer", sha256="0" * 64)
    job = cfg.Job(config=small_config(inr=cfg.Inr(width=8, depth=3, layer=layer)), seed=0)
    folder = RunFolder(tmp_path, job)
    folder.write("job.json", job.model_dump_json())
    ended = Outcome(status="finished", iteration=12, seconds=0.0, evaluation_seconds=0.0, job_seconds=0.0)
    folder.write("outcome.json", ended.model_dump_json())
    assert "--allow-code" in refusal([str(folder.path), "--out", str(tmp_path / "a.png")], capsys)


def test_without_the_extra_a_tiff_is_refused(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(writing, "tifffile", None)
    assert "[render]" in refusal([str(runs["gan"]), "--out", str(tmp_path / "a.tif")], capsys)


@pytest.fixture
def little_room() -> Iterator[None]:
    """Files of two thousand bytes at most."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("suffix", [".png", ".tif", ".gif"])
def test_a_full_disk_leaves_what_was_there(
    runs: dict[str, Path], tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"a{suffix}"
    out.write_bytes(b"before")
    line = refusal([str(runs["gan"]), "--out", str(out), "--size", "64", "--between", "0", "1"], capsys)
    assert str(out) in line and "free space" in line
    assert out.read_bytes() == b"before" and len(list(tmp_path.iterdir())) == 1
