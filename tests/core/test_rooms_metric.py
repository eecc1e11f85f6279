"""The rooms Frechet distance: does it see what a person sees, is it steady, and is it tied to one shipped extractor."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.config import RoomsFrechet
from core.data import rooms
from core.errors import InputError
from core.metrics import extractor, identity
from core.metrics import real as real_set
from core.metrics.enlarging import interpolated, positions
from core.metrics.extractor import load_extractor, resized
from core.metrics.features import features_of
from core.metrics.frechet import Gaussian, frechet_distance
from core.metrics.measure import Measure, build_metric
from core.metrics.real import RealSet
from tests.core.conftest import a_protocol
from tests.support.corruptions import CORRUPTIONS, joined, quantised

SAMPLES = 2048
CONFIG = RoomsFrechet(samples=SAMPLES, extractor=identity.extractor_sha256())


def batches(images: np.ndarray) -> Iterator[Tensor]:
    return iter(torch.from_numpy(images).split(500))


@pytest.fixture(scope="module")
def shown() -> np.ndarray:
    """4,096 training scenes."""
    return rooms.render(rooms.train_indices(4096), 16)


@pytest.fixture(scope="module")
def held_out() -> Tensor:
    return torch.from_numpy(rooms.render(rooms.held_out_indices(4096), 16))


@pytest.fixture(scope="module", params=["pooled", pytest.param("bottleneck", marks=pytest.mark.slow)])
def measure(request: pytest.FixtureRequest, held_out: Tensor) -> Measure:
    """Against the 4,096 held-out scenes."""
    torch.set_num_threads(1)
    config = CONFIG.replace(layer=request.param)
    return build_metric(config, held_out, device="cpu", cache=None)


@pytest.fixture(scope="module")
def floor(measure: Measure, shown: np.ndarray) -> float:
    """Real against real."""
    return measure(batches(shown[:SAMPLES]))


# --- sanity -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_more_corruption_is_further_away(measure: Measure, shown: np.ndarray, floor: float, what: str) -> None:
    corrupt, strengths = CORRUPTIONS[what]
    real = shown[:SAMPLES].astype(np.float32)
    values = [measure(batches(quantised(corrupt(real, strength)))) for strength in strengths]
    assert [floor, *values] == sorted([floor, *values])
    assert values[-1] > 20 * floor
    if what == "noise":
        assert values[1] > 20 * floor


def test_joined_halves_of_different_rooms_are_far(measure: Measure, shown: np.ndarray, floor: float) -> None:
    """Every patch is real, the pictures are not."""
    assert measure(batches(joined(shown[:SAMPLES]))) > 5 * floor


def test_values_are_steady_over_resampling(measure: Measure, shown: np.ndarray) -> None:
    """Eight halves of 4,096 scenes: their spread is 0.7 of that of independent sets, so 7% stands for 10%."""
    features = features_of(batches(shown), measure.features, len(shown))
    rng = np.random.default_rng(0)
    values = [
        frechet_distance(Gaussian.fit(features[rng.choice(4096, SAMPLES, replace=False)]), measure.real.gaussian)
        for _ in range(8)
    ]
    assert np.std(values, ddof=1) < 0.07 * np.mean(values)


# --- at 32 x 32 -------------------------------------------------------------------------------------------------------

FINE = 1024


@pytest.fixture(scope="module")
def fine_shown() -> np.ndarray:
    """1,024 training scenes; with 2 x 2 samples a pixel, which a quarter of the time renders."""
    return rooms.render(rooms.train_indices(FINE), 32, supersample=2)


@pytest.fixture(scope="module")
def fine_measure() -> Measure:
    """Against 2,048 held-out scenes."""
    torch.set_num_threads(1)
    real = torch.from_numpy(rooms.render(rooms.held_out_indices(2 * FINE), 32, supersample=2))
    return build_metric(RoomsFrechet(samples=FINE, resolution=32), real, device="cpu", cache=None)


def test_more_corruption_is_further_away_at_32(fine_measure: Measure, fine_shown: np.ndarray) -> None:
    floor = fine_measure(batches(fine_shown))
    for what, (corrupt, strengths) in CORRUPTIONS.items():
        corrupted = (corrupt(fine_shown.astype(np.float32), strength) for strength in strengths[1::2])
        values = [fine_measure(batches(quantised(images))) for images in corrupted]
        assert [floor, *values] == sorted([floor, *values]), what
        assert values[-1] > 20 * floor, what
    assert fine_measure(batches(joined(fine_shown))) > 5 * floor


def test_enlarged_images_are_told_from_those_of_the_size(fine_measure: Measure, fine_shown: np.ndarray) -> None:
    """The further the blurrier: real images of 16 x 16, enlarged in three ways."""
    floor = fine_measure(batches(fine_shown))
    coarse = torch.from_numpy(quantised(fine_shown.reshape(FINE, 3, 16, 2, 16, 2).mean((3, 5))))
    at = positions(16, 2, "centres")
    bicubic, bilinear = (fine_measure(iter([interpolated(coarse, at, method)])) for method in ("bicubic", "bilinear"))
    assert 2 * floor < bicubic < bilinear


# --- the measure ------------------------------------------------------------------------------------------------------


def test_takes_exactly_its_samples_in_any_batches(measure: Measure, shown: np.ndarray, floor: float) -> None:
    assert (measure.key, measure.samples) == ("fd_rooms", SAMPLES)
    more = torch.from_numpy(shown[: SAMPLES + 300])
    assert measure(iter(more.split(333))) == pytest.approx(floor, rel=1e-5)
    with pytest.raises(ValueError, match="2048 images are needed and 100 were given"):
        measure(batches(shown[:100]))
    with pytest.raises(ValueError, match="must be uint8"):
        measure(iter([torch.zeros(4, 3, 16, 16)]))


def test_features_that_are_not_finite_are_infinitely_far() -> None:
    some = torch.randint(0, 256, (8, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    real = RealSet(some, lambda images: images[:, :2, 0, 0].float(), "two values of a corner")
    broken = Measure(4, lambda images: torch.full((len(images), 2), torch.nan), real, a_protocol())
    assert broken(iter([torch.zeros(4, 3, 16, 16, dtype=torch.uint8)])) == float("inf")


def test_larger_images_are_averaged_and_smaller_ones_enlarged(shown: np.ndarray) -> None:
    images = torch.from_numpy(shown[:8])
    assert torch.equal(resized(images, 16), images.float())
    doubled = images.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.equal(resized(doubled, 16), images.float())
    enlarged = resized(images, 32)
    assert torch.equal(enlarged.round().to(torch.uint8), interpolated(images, positions(16, 2, "centres"), "bilinear"))
    assert not torch.equal(enlarged, enlarged.round())
    for resolution in (1, 8, 24, 40):
        for side in (16, 32):
            images = torch.zeros(2, 3, resolution, resolution, dtype=torch.uint8)
            assert resized(images, side).shape == (2, 3, side, side)


def test_real_statistics_are_cached_and_remade_when_damaged(
    tmp_path: Path, shown: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(real_set, "_known", {})
    real, fake = torch.from_numpy(shown[:200]), shown[200:300]
    config = RoomsFrechet(samples=100)

    def value() -> float:
        real_set._known.clear()
        return build_metric(config, real, device="cpu", cache=tmp_path)(batches(fake))

    first = value()
    (stored,) = tmp_path.glob("statistics/*.safetensors")
    written = stored.stat().st_mtime_ns
    assert value() == first
    assert stored.stat().st_mtime_ns == written
    whole = stored.read_bytes()
    for damaged in (whole[:100], whole[:-400] + bytes(400), whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        stored.write_bytes(damaged)
        assert value() == first
        assert stored.read_bytes() == whole
    build_metric(config, real[:150], device="cpu", cache=tmp_path)
    assert len(list(tmp_path.glob("statistics/*.safetensors"))) == 2


# --- the shipped extractor --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("resolution", "r2_mean"), [(16, 0.34), (32, 0.33)])
def test_the_record_describes_the_shipped_weights(resolution: int, r2_mean: float) -> None:
    record = json.loads(identity.extractor_record(resolution).read_text())
    weights = identity.extractor_weights(resolution)
    assert identity.file_sha256(weights) == record["sha256"] == identity.extractor_sha256(resolution)
    assert weights.stat().st_size <= 1 << 20
    assert record["renderer"] == rooms.RENDERER
    assert record["targets"] == len(rooms.FACTOR_NAMES)
    assert record["r2_mean"] > r2_mean


def test_the_first_extractor_is_the_one_that_numbers_were_recorded_with() -> None:
    assert identity.extractor_sha256() == "e4ac20e097223376e6c4624edc3bacbf5a030154a3d40dd92938550e1c0a8ddf"


def test_the_extractor_explains_factors_of_scenes_it_never_saw(shown: np.ndarray) -> None:
    with torch.inference_mode():
        predicted = load_extractor()(torch.from_numpy(shown[:2048])).numpy()
    drawn = rooms.factors(0, rooms.train_indices(2048))
    for name in ("wall_warmth", "vanishing_x", "blanket_warmth", "floor_value"):
        column = predicted[:, rooms.FACTOR_NAMES.index(name)]
        assert np.corrcoef(column, drawn[name])[0, 1] > 0.8, name


def test_another_extractor_than_the_configs_is_refused() -> None:
    other = RoomsFrechet(extractor="0" * 64)
    with pytest.raises(InputError, match=r"rooms16 extractor is 000000000000, this version ships [0-9a-f]{12}"):
        build_metric(other, torch.zeros(4, 3, 16, 16, dtype=torch.uint8), device="cpu", cache=None)
    with pytest.raises(InputError, match="at least two"):
        build_metric(CONFIG, torch.zeros(1, 3, 16, 16, dtype=torch.uint8), device="cpu", cache=None)


@pytest.mark.parametrize("damage", [lambda content: content[:-8], lambda content: b"", None])
def test_damaged_or_missing_weights_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes] | None
) -> None:
    copy = tmp_path / "rooms16.safetensors"
    if damage is not None:
        shutil.copy(identity.extractor_weights(), copy)
        copy.write_bytes(damage(copy.read_bytes()))
    monkeypatch.setattr(extractor, "extractor_weights", lambda resolution: copy)
    with pytest.raises(InputError, match="reinstall the package"):
        load_extractor()
