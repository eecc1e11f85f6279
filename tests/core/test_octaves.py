"""The measures of windows at any zoom: true windows are means of the scene, each fault is read, and a job has them."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from core import config as cfg
from core.build import build_generator
from core.data import rooms
from core.data.load import held_out_windows
from core.events import Evaluated, Pictured
from core.folder import RunFolder
from core.grids import Cells
from core.job import run_job
from core.metrics.measure import build_metric
from core.metrics.octaves import OctavesMeasure, log_powers
from core.metrics.protocol import from_json, resize_of
from tests.choices import octaves as chosen
from tests.core.conftest import small_config
from tests.support import true_windows
from tests.support.true_windows import blurred, elsewhere, empty, held_out, of_enlarged, of_scenes, texture_of

COUNT = 512
CONFIG = cfg.Octaves(windows=COUNT, real=2 * COUNT)
METRIC = cfg.RoomsFrechet(samples=COUNT)


@lru_cache(maxsize=1)
def measure() -> OctavesMeasure:
    torch.set_num_threads(1)
    whole = torch.from_numpy(rooms.render(rooms.held_out_indices(64), 16, renderer=2))
    metric = build_metric(METRIC, whole, device="cpu", cache=None)
    return OctavesMeasure(CONFIG, metric, held_out, resize_of(METRIC, cfg.PATCH), latents_seed=8192)


@lru_cache(maxsize=1)
def shown() -> Tensor:
    """512 training scenes at 16 x 16."""
    return torch.from_numpy(rooms.render(rooms.train_indices(COUNT), 16, renderer=2))


@cache
def readings(name: str, zoom: int) -> dict[str, float]:
    edges = measure().edges(COUNT, zoom, "windows")
    indices = rooms.train_indices(COUNT)
    match name:
        case "bicubic":
            found = of_enlarged(shown(), edges)
        case "no texture":
            found = of_scenes(indices, edges, renderer=1)
        case "coarser texture":
            with texture_of(1 / 8):
                found = of_scenes(indices, edges)
        case _:
            found = of_scenes(indices, edges)
    found = {"blur": blurred, "elsewhere": elsewhere}.get(name, lambda same: same)(found)
    return {each.key.removeprefix("octaves/"): each.value for each in measure().readings(zoom, found)}


# --- true windows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zoom", CONFIG.zooms)
def test_true_windows_are_means_over_their_cells(zoom: int) -> None:
    """Against 32 x 32 points a cell: what 4 x 4 leave is noise of about a level, more on edges, and no bias."""
    edges = measure().edges(16, zoom, "windows")
    indices = rooms.held_out_indices(16)
    found, fine = (of_scenes(indices, edges, points=points).double() for points in (4, 32))
    error = found - fine
    assert error.square().mean().sqrt() < 4 and error.mean().abs() < 0.1
    assert error.abs().median() <= 1 and error.abs().quantile(0.8) <= 2


def test_a_window_is_that_part_of_a_picture_that_is_made_whole() -> None:
    columns, rows = measure().edges(4, 16, "windows")
    found = of_scenes(rooms.held_out_indices(4), (columns, rows))
    whole = rooms.render(rooms.held_out_indices(4), 256, 4, renderer=2)
    for i, (x, y) in enumerate(zip((columns[:, 0] * 256).round().int(), (rows[:, 0] * 256).round().int(), strict=True)):
        assert np.array_equal(whole[i, :, y : y + 16, x : x + 16], found[i].numpy())


def test_they_are_kept_by_what_they_are(tmp_path: Path) -> None:
    data, (columns, rows) = cfg.Rooms(renderer=2), measure().edges(8, 64, "windows")

    def windows(first: int = 0, points: int = 2) -> Tensor:
        return held_out_windows(data, first, columns, rows, points=points, cache=tmp_path)

    found = windows()
    assert torch.equal(found, of_scenes(rooms.held_out_indices(8), (columns, rows), points=2))
    assert not torch.equal(windows(first=8), found) and not torch.equal(windows(points=4), found)
    (folder,) = {
        file.parent for file in tmp_path.rglob("windows.npy") if np.load(file).tobytes() == found.numpy().tobytes()
    }
    (folder / "windows.npy").write_bytes(b"nothing")
    assert torch.equal(windows(), found)
    assert len([each for each in (tmp_path / "images").iterdir() if each.is_dir()]) == 3


def test_of_the_whole_picture_they_are_the_metrics_own_images() -> None:
    found = of_scenes(rooms.held_out_indices(8), measure().edges(8, 1, "windows"))
    assert np.array_equal(found.numpy(), rooms.render(rooms.held_out_indices(8), 16, renderer=2))


# --- what is seen -----------------------------------------------------------------------------------------------------

SEEN: dict[str, dict[int, float]] = {
    "bicubic": {4: 3, 16: 3.5, 64: 3, 256: 2.5},
    "no texture": {16: 1.4, 64: 2.5, 256: 2.5},
    "coarser texture": {64: 1.15, 256: 1.5},
    "blur": {1: 3, 4: 2, 16: 1.25, 64: 1.5, 256: 1.5},
}
"""By fault and zoom, how many times what other true windows do it has to read."""


@pytest.mark.parametrize("fault", SEEN)
def test_faults_are_read_as_worse_than_other_true_windows(fault: str) -> None:
    ratios = {}
    for zoom, least in SEEN[fault].items():
        ratio = readings(fault, zoom)[f"patch_1_{zoom}"] / readings("true", zoom)[f"patch_1_{zoom}"]
        ratios |= {zoom: ratio} if ratio < least else {}
    assert ratios == {}


def test_true_windows_read_what_the_floor_does_and_have_no_less_power() -> None:
    for zoom in CONFIG.zooms:
        found = readings("true", zoom)
        assert found[f"patch_1_{zoom}"] == pytest.approx(found[f"floor_1_{zoom}"], rel=0.4)
        gains = [value for name, value in found.items() if name.startswith("power")]
        assert len(gains) == 2 and max(map(abs, gains)) < 0.5


def test_only_the_places_tell_where_detail_is() -> None:
    there, found = readings("true", 4), readings("elsewhere", 4)
    assert found["patch_1_4"] == pytest.approx(there["patch_1_4"], rel=1e-3)
    assert found["patch_1_4/places"] > 3 * there["patch_1_4/places"]
    assert "patch_1_1/places" not in readings("true", 1)


def test_power_that_is_missing_is_read_by_octave() -> None:
    smooth, coarse = readings("no texture", 256), readings("bicubic", 64)
    assert smooth["power_512_1024"] < -2 and smooth["power_1024_2048"] < -2
    assert coarse["power_128_256"] < -2 and coarse["power_256_512"] < -2
    # Below its pixels a picture shows next to none of it.
    assert abs(readings("no texture", 1)["power_4_8"]) < 0.5


def test_windows_without_anything_in_them_are_few_with_texture_and_many_without() -> None:
    edges, indices = measure().edges(COUNT, 256, "windows"), rooms.train_indices(COUNT)
    assert empty(of_scenes(indices, edges)) < 0.1 < 0.6 < empty(of_scenes(indices, edges, renderer=1))


# --- power ------------------------------------------------------------------------------------------------------------


def test_a_wave_has_its_power_in_its_octave() -> None:
    x = torch.arange(16) / 16
    waves = torch.stack([(127.5 + 40 * (2 * torch.pi * cycles * x).sin()).expand(3, 16, 16) for cycles in (3, 6)])
    powers = 2 ** log_powers(torch.cat([waves, waves.mT]))
    # Of the mean square, 800, the squares of the windows leave 3/8 each way; a window spreads a wave by a cycle.
    assert powers[0, 0] > 0.6 * 800 * 9 / 64 > 3 * powers[0, 1]
    assert powers[1, 1] > 0.9 * 800 * 9 / 64 > 100 * powers[1, 0]
    torch.testing.assert_close(powers[2:], powers[:2])
    flat = log_powers(torch.full((1, 3, 16, 16), 77))
    torch.testing.assert_close(2**flat, torch.full((1, 2), 0.01, dtype=torch.float64))


# --- generators -------------------------------------------------------------------------------------------------------


def test_a_generator_is_asked_where_the_windows_lie() -> None:
    inr = cfg.Inr(width=8, depth=3, coordinates=cfg.Coordinates(low=-1.0, high=1.0, sampling="centres"))
    generator = build_generator(small_config(inr=inr, data=cfg.Rooms(resolution=16))).eval()
    latents = torch.randn(260, 8)
    with torch.inference_mode():
        found = measure().windows_of(generator, latents, 256)
        columns, rows = measure().edges(260, 256, "windows")
        last = generator(latents[259:], Cells(columns[259:], rows[259:], generator.pixels.config))
    assert found.shape == (260, 3, 16, 16) and found.dtype == torch.uint8
    assert (found[259].int() - generator.signal.to_stored(last)[0].int()).abs().max() <= 1
    # Cells of 1 / 4096 are told apart.
    middles = Cells(columns, rows, generator.pixels.config).coordinates()
    assert (middles[:, 1, 0] - middles[:, 0, 0] == pytest.approx(2 / 4096, rel=1e-3)) and middles.dtype == torch.float32


# --- in a job ---------------------------------------------------------------------------------------------------------

SMALL = cfg.Octaves(zooms=(1, 64), windows=16, real=24, points=2)


def of_small(octaves: cfg.Octaves | None) -> cfg.Config:
    evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5, octaves=octaves)
    return small_config(evaluation=evaluation, data=cfg.Rooms(resolution=8, renderer=2))


def test_a_job_measures_it_at_its_end_and_trains_as_without(tmp_path: Path) -> None:
    def run(octaves: cfg.Octaves | None) -> tuple[RunFolder, list[Evaluated], list[Pictured]]:
        job = cfg.Job(config=of_small(octaves), seed=1)
        events = list(run_job(job, runs=tmp_path / "runs", cache=tmp_path / "cache"))
        evaluated = [event for event in events if isinstance(event, Evaluated)]
        return RunFolder(tmp_path / "runs", job), evaluated, [each for each in events if isinstance(each, Pictured)]

    folder, events, pictured = run(SMALL)
    _, without, _ = run(None)
    assert [(each.metric, each.value) for each in events[: len(without)]] == [(e.metric, e.value) for e in without]
    found = {event.metric: event for event in events if event.metric.startswith("octaves/")}
    assert list(found) == [
        *("octaves/patch_1_1", "octaves/floor_1_1", "octaves/power_2_4", "octaves/power_4_8"),
        *("octaves/patch_1_64", "octaves/patch_1_64/places", "octaves/floor_1_64", "octaves/floor_1_64/places"),
        *("octaves/power_128_256", "octaves/power_256_512", "octaves/power"),
    ]
    assert np.isfinite([event.value for event in found.values()]).all()
    recorded = from_json(folder.read("protocol.json"))
    assert all(event.protocol == recorded[name].fingerprint for name, event in found.items())
    assert recorded["octaves/floor_1_64"].generator == "true scenes"
    assert recorded["octaves/patch_1_64"].real_content != recorded["octaves/patch_1_1"].real_content
    (kept,) = (each for each in pictured if each.name == "octaves")
    assert kept.pictures.shape == (4, 16, 3, 16, 16)
    assert (folder.samples / "octaves.png").exists()


def test_off_it_leaves_no_trace() -> None:
    assert "octaves" not in cfg.canonical(cfg.Config())["evaluation"]
    assert cfg.Job(config=of_small(SMALL), seed=0).digest != cfg.Job(config=of_small(None), seed=0).digest
    on = of_small(SMALL)
    assert cfg.parse(cfg.canonical(on)) == on == cfg.parse(on.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"zooms": (4, 1)}, "name each once, the smallest first"),
        ({"zooms": (0,)}, "greater than or equal to 1"),
        ({"zooms": (2048,)}, "less than or equal to 1024"),
        ({"windows": 18}, r"octaves\.windows is 18: a quarter of them is of each place"),
        ({"real": 30}, r"octaves\.real is 30: a quarter of them"),
        ({"points": 17}, "less than or equal to 16"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_reason(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        cfg.Octaves(**fields)  # type: ignore[arg-type]


def test_it_is_refused_where_it_does_not_fit_the_rest_of_the_config() -> None:
    with pytest.raises(ValidationError, match=r"octaves asks for 2048 images and the fixed latents are 64"):
        cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), octaves=cfg.Octaves())
    photographs = cfg.Images(resolution=8, count=20, fingerprint="a" * 64)
    with pytest.raises(ValidationError, match=r"windows of any zoom are drawn of rooms alone: of images give"):
        small_config(evaluation=cfg.Evaluation(octaves=cfg.Octaves()), data=photographs)


def test_the_page_says_what_was_recorded() -> None:
    record = json.loads(chosen.RECORD.read_text())
    assert chosen.RECORD.with_suffix(".md").read_text() == chosen.page(record)
    rows = record["rows"]
    for zoom in cfg.Octaves().zooms:
        name = f"patch_1_{zoom}"
        assert rows[chosen.TRUE][name] < 0.01
        # What the study asks about is there to be seen, by more than five times the floor.
        assert zoom < 64 or rows[chosen.TEXTURELESS][name] > 5 * rows[chosen.TRUE][name]
        assert zoom < 4 or rows[chosen.SMALL][name] > 10 * rows[chosen.TRUE][name]


def test_the_support_is_of_the_measures_own_points() -> None:
    assert cfg.Octaves().points == true_windows.POINTS
