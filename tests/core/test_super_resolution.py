"""The network for super-resolution: trained alike twice, better than bicubic on images it never saw, kept, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from core import config as cfg
from core.config.node import canonical
from core.data import rooms
from core.data.sources import fingerprint
from core.errors import InputError
from core.events import Evaluated, Pictured
from core.folder import RunFolder
from core.job import run_job
from core.metrics import super_resolution as sr
from core.metrics.enlarging import AMOUNT, interpolated, positions
from core.metrics.measure import build_metric
from core.metrics.protocol import from_json
from core.metrics.upsampling import UpsamplingMeasure
from tests.choices import upsampling as chosen
from tests.core.conftest import small_config

ALL: tuple[cfg.Opponent, ...] = ("lanczos", "sharpened", "sr_cnn")


@pytest.fixture
def few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sr, "ITERATIONS", 60)


def pair_of(first: int, count: int, side: int = 16) -> tuple[Tensor, Tensor]:
    """Training rooms at two resolutions."""
    scenes = rooms.train_indices(first + count)[first:]
    coarse, fine = (torch.from_numpy(rooms.render(scenes, side * factor)) for factor in (1, 2))
    return coarse, fine


def test_it_beats_bicubic_on_images_that_it_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sr, "ITERATIONS", 250)
    coarse, fine = pair_of(0, 256)
    network = sr.super_resolver(coarse, fine, seed=3, cache=None, device="cpu")
    coarse, fine = pair_of(256, 64)
    bicubic = interpolated(coarse, positions(16, 2, "centres"), "bicubic")

    def error(images: Tensor) -> float:
        return float((images.double() - fine.double()).square().mean())

    assert network(coarse).dtype == torch.uint8 and network(coarse).shape == fine.shape
    assert error(network(coarse)) < 0.97 * error(bicubic)
    floats = network(coarse.float())
    assert floats.dtype == torch.float32
    assert (floats.round() - network(coarse).float()).abs().max() == 0


def test_its_training_is_its_pairs_and_its_seed(few_iterations: None) -> None:
    pairs = sr.pairs_of(*pair_of(0, 40), seed=3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = sr.trained(pairs, 3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = sr.trained(pairs, 3).state_dict(), sr.trained(pairs, 4).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_before_it_is_trained_it_is_bicubic() -> None:
    images = pair_of(0, 4)[0].float()
    pairs = sr.pairs_of(*pair_of(0, 4), seed=0)
    found = sr.SuperResolver(sr.Network(2), pairs, 0)(images)
    torch.testing.assert_close(found, interpolated(images, positions(16, 2, "centres"), "bicubic"))


def test_windows_show_what_lies_around_them_and_edges_are_repeated() -> None:
    """Of images larger than a window; a window sees of the network what the whole image does."""
    coarse, fine = pair_of(0, 3, side=24)
    pairs = sr.pairs_of(coarse, fine, seed=0)
    assert pairs.coarse.shape == (3, 3, 24, 24) and pairs.fine.shape == (3, 3, 32, 32) and pairs.factor == 2
    torch.manual_seed(0)
    network = sr.Network(2)
    torch.nn.init.normal_(network.layers[4].weight)
    resolver = sr.SuperResolver(network.eval(), pairs, 0)
    whole = resolver(coarse.float())
    windows = sr.bicubic(pairs.coarse.double(), 2) + 127.5 * network(sr.in_unit_range(pairs.coarse.float())).detach()
    for image, true, window, of_true in zip(whole, fine, windows.clamp(0, 255).float(), pairs.fine, strict=True):
        places = [(y, x) for y in range(0, 17, 2) for x in range(0, 17, 2)]
        (place,) = [(y, x) for y, x in places if torch.equal(true[:, y : y + 32, x : x + 32], of_true)]
        torch.testing.assert_close(
            image[:, place[0] : place[0] + 32, place[1] : place[1] + 32], window, atol=1e-2, rtol=0
        )


def test_its_arithmetic_is_counted_as_torch_counts_it() -> None:
    pairs = sr.pairs_of(*pair_of(0, sr.BATCH), seed=0)
    network = sr.Network(2)
    with FlopCounterMode(display=False) as counter:
        network(sr.in_unit_range(pairs.coarse.float())).abs().mean().backward()
    assert counter.get_total_flops() == 2 * sr.training_macs(2) / sr.ITERATIONS


def test_it_is_kept_and_what_is_damaged_is_trained_again(
    tmp_path: Path, few_iterations: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pair_of(0, 40)

    def weights() -> list[Tensor]:
        monkeypatch.setattr("core.metrics.real._known", {})
        found = sr.super_resolver(*pair, seed=3, cache=tmp_path, device="cpu")
        return list(found.network.parameters())

    first = weights()
    (file,) = (tmp_path / "statistics").glob("*.safetensors")
    content = file.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(sr, "trained", None)
        assert all(map(torch.equal, first, weights()))
    file.write_bytes(content[:-5] + b"\0" * 5)
    assert all(map(torch.equal, first, weights()))
    assert file.read_bytes() == content


def test_its_protocol_says_how_it_was_trained() -> None:
    pairs = sr.pairs_of(*pair_of(0, 8), seed=3)
    real = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    coarse, fine = (
        build_metric(cfg.RoomsFrechet(samples=4), images, device="cpu", cache=None)
        for images in (real[..., ::2, ::2], real)
    )
    measure = UpsamplingMeasure(2, coarse, fine, ALL, sr.SuperResolver(sr.Network(2), pairs, 3))
    told = {protocol.series: protocol.details for protocol in measure.protocols}
    mine = told["upsampled/sr_cnn"]
    assert mine["upsampling"] == "a network for super-resolution, of 8-bit images"
    assert mine["trained on"].startswith("8 windows of 16 x 16 pixels of training images and the same of 32 x 32, sha")
    assert "mean absolute error, 1,000 iterations of 16" in mine["trained by"] and mine["numbers trained"] == "8,796"
    assert mine["arithmetic of its training"] == "0.124 T multiply-accumulates"
    assert "unsharp mask of 0.5 at 0.5 coarse pixels" in told["upsampled/sharpened_corners"]["upsampling"]
    assert told["upsampled/lanczos_centres"]["upsampling"] == "Lanczos a = 3, of 8-bit images"
    assert "network" not in told["upsampled/bicubic_centres"]


# --- in a job ---------------------------------------------------------------------------------------------------------


def upsampling(**fields: object) -> cfg.Upsampling:
    return cfg.Upsampling(metric=cfg.RoomsFrechet(samples=8, resolution=32), **fields)  # type: ignore[arg-type]


def test_off_is_no_part_of_an_identity() -> None:
    assert "opponents" not in canonical(upsampling()) and canonical(upsampling(opponents=ALL))["opponents"] == list(ALL)
    with pytest.raises(ValueError, match=r"upsampling.opponents are lanczos, lanczos: name each once"):
        upsampling(opponents=("lanczos", "lanczos"))


def test_a_generator_of_the_large_size_is_measured_as_any_other(tmp_path: Path, few_iterations: None) -> None:
    """As the study has it: described at the small size, its discriminator sees the large one alone."""
    evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), upsampling=upsampling(opponents=ALL))
    small = small_config(evaluation=evaluation, iterations=2)
    large = small.replace(looks=cfg.Looks(view=cfg.Sizes(sizes=(16,))), fine=cfg.Pool(resolution=16))
    protocols = []
    for config in (small, large):
        job = cfg.Job(config=config, seed=0)
        events = list(run_job(job, runs=tmp_path / "runs", cache=tmp_path / "cache"))
        assert events[-1].kind == "finished"
        protocols.append(RunFolder(tmp_path / "runs", job).read("protocol.json"))
    assert protocols[0] == protocols[1]


@pytest.mark.parametrize("shown", ["areas", "points"])
def test_a_job_measures_every_opponent(tmp_path: Path, few_iterations: None, shown: str) -> None:
    evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), upsampling=upsampling(opponents=ALL))
    data = cfg.Rooms(resolution=8, train=64, held_out=32, shown=shown)  # type: ignore[arg-type]
    job = cfg.Job(config=small_config(data=data, evaluation=evaluation, iterations=1), seed=0)
    events = list(run_job(job, runs=tmp_path / "runs", cache=tmp_path / "cache"))
    values = {event.metric: event.value for event in events if isinstance(event, Evaluated)}
    further = ["lanczos_centres", "lanczos_corners", "sharpened_centres", "sharpened_corners", "sr_cnn"]
    assert list(values)[-5:] == [f"upsampled/{name}" for name in further] and np.isfinite(list(values.values())).all()
    (pictures,) = (e.pictures for e in events if isinstance(e, Pictured) and e.name == "upsampled")
    assert pictures.shape == (8, 7, 3, 16, 16)
    with Image.open(RunFolder(tmp_path / "runs", job).samples / "upsampled.png") as image:
        assert image.size == (7 * 16, 8 * 16)
    recorded = from_json(RunFolder(tmp_path / "runs", job).read("protocol.json"))["upsampled/sr_cnn"]
    assert recorded.details["trained on"].startswith("64 windows of 8 x 8 pixels")


def test_photographs_train_it_by_their_originals_or_are_refused(tmp_path: Path, few_iterations: None) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((20, 17), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    digest, count = fingerprint(folder)

    def job(factor: int) -> cfg.Job:
        asked = upsampling(factor=factor, opponents=("sr_cnn",))
        evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), upsampling=asked)
        data = cfg.Images(resolution=8, count=count, fingerprint=digest)
        return cfg.Job(config=small_config(data=data, evaluation=evaluation, iterations=1), seed=0)

    options = {"runs": tmp_path / "runs", "cache": tmp_path / "cache", "data_path": folder}
    *_, last = (e for e in run_job(job(2), **options) if isinstance(e, Evaluated))  # type: ignore[arg-type]
    assert last.metric == "upsampled/sr_cnn"
    with pytest.raises(InputError, match=r"6 images are smaller than 24 x 24, 0.png \(20 x 17\) first"):
        list(run_job(job(3), **options))  # type: ignore[arg-type]


# --- docs/upsampling.md -----------------------------------------------------------------------------------------------


def test_the_page_is_its_record_and_the_amount_is_the_one_that_it_chose() -> None:
    record = json.loads(chosen.RECORD.read_text())
    assert chosen.RECORD.with_suffix(".md").read_text() == chosen.page(record)
    assert float(min(record["amounts"], key=record["amounts"].get)) == AMOUNT
    rows = record["rows"]
    bicubic = rows["bicubic"]
    assert rows["sr_cnn"]["psnr"] > bicubic["psnr"] + 0.5 and rows["sr_cnn"]["centres"] < bicubic["centres"]
    assert record["network"]["trained on"].startswith("4,096 windows of 16 x 16 pixels")
