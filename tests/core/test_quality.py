"""Kernel distance, precision and its kin, and the line in 1/N: against libraries and formulas on the same features."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cleanfid.fid import fid_from_feats
from scipy.spatial.distance import cdist
from torch import Tensor
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from core import config as cfg
from core.build import build_generator
from core.errors import InputError
from core.evaluation import Evaluation, Moment
from core.events import Evaluated, Sampled
from core.folder import RunFolder
from core.job import run_job
from core.metrics.features import FeatureArray
from core.metrics.frechet import Gaussian, frechet_distance
from core.metrics.measure import Measure, Reading, Resamples
from core.metrics.quality import SHARES, QualityMeasure, kernel_distance, nearest_neighbours, without_sample_bias
from core.metrics.real import RealSet
from core.signals import Picture
from tests.core.conftest import a_protocol, small_config

DIMENSIONS, GENERATED, REAL = 12, 400, 300
NAMES = ("kid", *SHARES, "infinity")


def features(seed: int, count: int, shift: float = 0.0, scale: float = 1.0) -> FeatureArray:
    """Correlated features that are not negative, as pooled ones are."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).standard_normal((DIMENSIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    return np.maximum(scale * rng.standard_normal((count, DIMENSIONS)) @ mixing + shift, 0).astype(np.float32)


@pytest.fixture(scope="module")
def fake() -> FeatureArray:
    return features(0, GENERATED, shift=0.3, scale=0.7)


@pytest.fixture(scope="module")
def real() -> FeatureArray:
    return features(1, REAL)


# --- against references -----------------------------------------------------------------------------------------------


def test_kernel_distance_is_torch_fidelitys_on_the_same_draws(fake: FeatureArray, real: FeatureArray) -> None:
    mine = kernel_distance(fake, real, subsets=7, subset=100, seed=3)
    theirs = kid_features_to_metric(
        torch.from_numpy(fake).double(),
        torch.from_numpy(real).double(),
        kid_subsets=7,
        kid_subset_size=100,
        rng_seed=3,
        verbose=False,
    )
    assert mine == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-4)
    assert mine != kernel_distance(fake, real, subsets=7, subset=100, seed=4)


def test_kernel_distance_is_the_formula(fake: FeatureArray, real: FeatureArray) -> None:
    """Subsets that are the sets themselves leave nothing to draw."""
    x, y = fake[:REAL].astype(np.float64), real.astype(np.float64)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (np.einsum("id,jd->ij", a, b) / DIMENSIONS + 1) ** 3

    others = ~np.eye(REAL, dtype=bool)
    expected = kernel(x, x)[others].mean() + kernel(y, y)[others].mean() - 2 * kernel(x, y).mean()
    assert kernel_distance(fake[:REAL], real, subsets=2, subset=REAL, seed=0) == pytest.approx(expected, rel=1e-4)


def test_kernel_distance_of_one_distribution_is_zero_in_the_mean() -> None:
    """Unbiased: the biased estimate would be above zero throughout."""
    values = [
        kernel_distance(features(2 * k, 100), features(2 * k + 1, 100), subsets=1, subset=100, seed=0)
        for k in range(10, 50)
    ]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 3 * np.std(values, ddof=1) / np.sqrt(len(values))


def test_numpys_global_random_state_is_left_as_it_was(fake: FeatureArray, real: FeatureArray) -> None:
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    first = kernel_distance(fake, real, subsets=2, subset=50, seed=2**62 + 1)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]  # noqa: NPY002
    np.random.seed(6)  # noqa: NPY002
    assert kernel_distance(fake, real, subsets=2, subset=50, seed=2**62 + 1) == first


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_shares_are_the_formulas(
    fake: FeatureArray, real: FeatureArray, neighbours: int, capfd: pytest.CaptureFixture[str]
) -> None:
    found = nearest_neighbours(fake, real, neighbours)
    assert capfd.readouterr() == ("", "")

    x, y = fake.astype(np.float64), real.astype(np.float64)
    to_real = cdist(x, y)
    real_radii, fake_radii = (np.sort(cdist(side, side), axis=1)[:, neighbours] for side in (y, x))
    within = to_real < real_radii
    expected = {
        "precision": within.any(axis=1).mean(),
        "recall": (to_real < fake_radii[:, None]).any(axis=0).mean(),
        "density": within.sum() / (neighbours * len(x)),
        "coverage": (to_real.min(axis=0) < real_radii).mean(),
    }
    assert found == pytest.approx(expected, rel=1e-4)
    assert len(set(expected.values())) == 4 and min(expected.values()) > 0

    theirs = prc_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), prc_neighborhood=neighbours, prc_batch_size=1000, verbose=False
    )
    assert found["precision"] == pytest.approx(theirs["precision"], rel=1e-4)
    assert found["recall"] == pytest.approx(theirs["recall"], rel=1e-4)


def test_shares_tell_a_dropped_mode_from_blurred_samples(real: FeatureArray) -> None:
    few = np.repeat(features(1, 20), 20, axis=0) + 1e-3 * features(5, 400)
    far = features(6, 400, scale=3.0)
    dropped, blurred = nearest_neighbours(few, real, 3), nearest_neighbours(far, real, 3)
    assert dropped["precision"] > 0.9 and dropped["recall"] < 0.2
    assert blurred["precision"] < 0.5 and blurred["recall"] > 0.9


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_line_in_one_over_n_is_that_of_clean_fids_distances(fake: FeatureArray, real: FeatureArray) -> None:
    gaussian = Gaussian.fit(real)
    mine = without_sample_bias(fake, gaussian, points=6, smallest=100, random=np.random.default_rng(3))

    rng = np.random.default_rng(3)
    counts = [100, 160, 220, 280, 340, 400]
    distances = [
        float(fid_from_feats(fake[rng.permutation(GENERATED)[:n]].astype(float), real.astype(float))) for n in counts
    ]
    design = np.stack([np.ones(6), 1 / np.array(counts)], axis=1)
    (at_zero, slope), *_ = np.linalg.lstsq(design, np.array(distances), rcond=None)
    assert mine == pytest.approx(at_zero, rel=1e-4)
    assert slope > 0 and mine < min(distances)


def test_the_line_takes_most_of_the_bias_of_few_samples_away() -> None:
    gaussian = Gaussian.fit(features(2, 20_000))
    true = frechet_distance(Gaussian.fit(features(3, 50_000, scale=0.9)), gaussian)
    sets = [features(seed, 400, scale=0.9) for seed in range(10, 30)]
    plain = [frechet_distance(Gaussian.fit(some), gaussian) - true for some in sets]
    line = [without_sample_bias(some, gaussian, 15, 100, np.random.default_rng(0)) - true for some in sets]
    assert np.mean(plain) > 5 * abs(np.mean(line))


# --- as a further measure ---------------------------------------------------------------------------------------------


class Painter:
    """Stands for a generator: latents [N, 3] are the colours of one pixel."""

    signal = Picture()

    def __call__(self, z: Tensor) -> Tensor:
        return z[:, :, None, None]


def colours(images: Tensor) -> Tensor:
    return images[:, :, 0, 0].float()


def measure(samples: int = 200, reals: int = 150) -> Measure:
    images = torch.randint(0, 256, (reals, 3, 1, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Measure(samples, colours, RealSet(images, colours, "the colour"), a_protocol("colour"))


QUALITY = cfg.Quality(samples=120, neighbours=3, kernel_subsets=4, kernel_subset=60, points=4, smallest=50)


def latents(count: int = 256) -> Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(1)) - 0.5


def test_readings_are_those_of_the_metrics_own_images() -> None:
    asked = QualityMeasure(QUALITY, measure(), latents_seed=9)
    found = list(asked(Painter(), latents()))  # type: ignore[arg-type]
    assert [reading.key for reading in found] == [f"colour/{name}" for name in NAMES]
    assert found == list(asked(Painter(), latents()))  # type: ignore[arg-type]

    shown = ((latents()[:200] + 1) * 127.5).round().numpy()
    compared = asked.measure.real.images[:, :, 0, 0].numpy()[np.arange(120) * 150 // 120].astype(np.float32)
    expected = nearest_neighbours(shown[:120], compared, 3)
    assert {reading.key.split("/")[1]: reading.value for reading in found[1:5]} == expected
    other = list(QualityMeasure(QUALITY, measure(), latents_seed=10)(Painter(), latents()))  # type: ignore[arg-type]
    assert [a.value == b.value for a, b in zip(found, other, strict=True)] == [False, True, True, True, True, False]


def test_images_that_the_metric_takes_as_they_come_are_not_rounded_here() -> None:
    seen: list[Tensor] = []

    def watching(images: Tensor) -> Tensor:
        seen.append(images)
        return colours(images)

    images = measure().real.images
    as_floats = Measure(200, watching, RealSet(images, colours, "the colour"), a_protocol("colour"), quantised=False)
    list(QualityMeasure(QUALITY, as_floats, latents_seed=9)(Painter(), latents()))  # type: ignore[arg-type]
    torch.testing.assert_close(torch.cat(seen)[:, :, 0, 0], (latents()[:200] + 1) * 127.5)
    list(Resamples(as_floats, 1, 9)(Painter(), latents()))  # type: ignore[arg-type]
    assert {batch.dtype for batch in seen} == {torch.float32}
    with pytest.raises(ValueError, match="must be float32"):
        as_floats(iter([images]))


def test_protocols_say_how_many_images_each_number_is_of() -> None:
    asked = QualityMeasure(QUALITY, measure(), latents_seed=9)
    protocols = {protocol.series.partition("/")[2]: protocol for protocol in asked.protocols}
    assert list(protocols) == list(NAMES)
    assert (protocols["recall"].samples, protocols["recall"].real_samples) == (120, 120)
    assert protocols["recall"].details == {"neighbours": "3"}
    assert protocols["kid"].real_samples == 120 and protocols["kid"].details["subsets"] == "4 of 60"
    of_metric = asked.measure.protocol
    assert (protocols["infinity"].samples, protocols["infinity"].real_samples) == (
        of_metric.samples,
        of_metric.real_samples,
    )


def test_features_that_are_not_finite_are_infinitely_far() -> None:
    broken = replace(measure(), features=lambda images: colours(images) * torch.inf)
    found = list(QualityMeasure(QUALITY, broken, latents_seed=9)(Painter(), latents()))  # type: ignore[arg-type]
    assert found == [Reading(f"colour/{name}", float("inf")) for name in NAMES]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"smallest": 200}, "quality.smallest is 200 and the metric has 200 samples"),
        ({"neighbours": 119}, "quality.neighbours is 119 and it must be two fewer than the 120 images"),
        (
            {"samples": 1000, "neighbours": 149},
            "quality.neighbours is 149 and it must be two fewer than the 150 images",
        ),
        ({"kernel_subset": 151}, "quality.kernel_subset is 151 and there are 200 samples and 150 real images"),
    ],
)
def test_numbers_of_images_that_cannot_be_had_are_refused(changed: dict[str, int], said: str) -> None:
    with pytest.raises(InputError) as caught:
        QualityMeasure(cfg.Quality(**{**QUALITY.model_dump(), **changed}), measure(), latents_seed=9)
    assert said in str(caught.value) and "lower it" in str(caught.value) and "\n" not in str(caught.value)


def test_the_most_that_is_allowed_can_be_measured() -> None:
    most = cfg.Quality(samples=1000, neighbours=148, kernel_subsets=2, kernel_subset=150, points=3, smallest=199)
    found = list(QualityMeasure(most, measure(), latents_seed=9)(Painter(), latents()))  # type: ignore[arg-type]
    assert np.isfinite([reading.value for reading in found]).all()


def test_a_job_records_them_at_its_last_iteration_before_all_else(tmp_path: Path) -> None:
    small = cfg.Quality(samples=32, neighbours=3, kernel_subsets=2, kernel_subset=16, points=3, smallest=40)
    evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5, quality=small, resamples=1)

    def events_of(job: cfg.Job, runs: str) -> Iterator[object]:
        return run_job(job, runs=tmp_path / runs, cache=tmp_path / "cache")

    job = cfg.Job(config=small_config(evaluation=evaluation), seed=1)
    found = [event for event in events_of(job, "runs") if isinstance(event, Evaluated)]
    keys = [f"fd_rooms/{name}" for name in (*NAMES, "resample_1")]
    assert [(event.metric, event.iteration) for event in found if "/" in event.metric] == [(key, 12) for key in keys]
    values = {event.metric: event.value for event in found}
    assert np.isfinite(list(values.values())).all()
    assert all(0 <= values[f"fd_rooms/{name}"] <= 1 for name in SHARES if name != "density")
    again = [event for event in events_of(job, "again") if isinstance(event, Evaluated)]
    assert [(event.metric, event.value) for event in again] == [(event.metric, event.value) for event in found]

    too_many = json.loads(job.config.model_dump_json())
    too_many["evaluation"]["quality"]["kernel_subset"] = 33
    refused = cfg.Job(config=cfg.parse(too_many), seed=1)
    with pytest.raises(InputError, match="kernel_subset is 33 and there are 64 samples and 32 real images"):
        list(events_of(refused, "refused"))
    assert RunFolder(tmp_path / "refused", refused).events() == []


def test_an_evaluation_without_quantisation_still_shows_8_bit_pictures() -> None:
    """What is measured is not rounded, what is looked at is."""
    config = small_config()
    torch.manual_seed(0)
    generator = build_generator(config)
    seen: list[Tensor] = []

    def watching(images: Tensor) -> Tensor:
        seen.append(images)
        return images.mean((2, 3))

    real = torch.randint(0, 256, (20, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    behind = RealSet(real, of_real, "means")
    measure = Measure(64, watching, behind, a_protocol("means"), quantised=False)
    moment: Moment = {"iteration": 1, "images": 1, "seconds": 0.0}
    evaluated, sampled, *_ = Evaluation(config, measure)(generator, moment)
    assert isinstance(evaluated, Evaluated) and isinstance(sampled, Sampled)
    shown = torch.cat(seen)
    assert shown.dtype == torch.float32 and (shown != shown.round()).float().mean() > 0.9
    assert sampled.pictures.dtype == torch.uint8
    assert torch.equal(sampled.pictures, shown[: len(sampled.pictures)].round().to(torch.uint8))


def of_real(images: Tensor) -> Tensor:
    return images.float().mean((2, 3))
