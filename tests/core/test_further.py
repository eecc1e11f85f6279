"""Further measures in a job: at the last iteration alone, after the metric, and changing nothing before them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from core import config as cfg
from core.data.sources import fingerprint
from core.errors import InputError
from core.evaluation import Evaluation, Inline
from core.events import Diverged, Evaluated, Event, Pictured, Sampled
from core.folder import RunFolder
from core.job import run_job
from core.loop import train
from core.metrics.interpolation import SHOWN_PATHS, SHOWN_STEPS
from core.metrics.measure import Reading, Resamples
from core.metrics.protocol import Protocol, from_json
from core.models.generator import Generator
from core.signals import Picture
from tests.core.conftest import MeanPixel, a_protocol, small_config
from tests.core.test_train import payload

FURTHER = cfg.Evaluation(
    metric=cfg.RoomsFrechet(samples=64),
    every=5,
    resamples=2,
    upsampling=cfg.Upsampling(metric=cfg.RoomsFrechet(samples=48, resolution=32)),
    interpolation=cfg.Interpolation(paths=6, steps=4, pictures=3),
)
OF_CONVENTIONS = [
    f"{method}_{where}" for method in ("natural", "bilinear", "bicubic") for where in ("centres", "corners")
]
UPSAMPLED = ("own", *OF_CONVENTIONS, "nearest", "natural_averaged")
KEYS = [
    "fd_rooms/resample_1",
    "fd_rooms/resample_2",
    *(f"upsampled/{name}" for name in UPSAMPLED),
    *(f"interpolation/{name}" for name in ("ppl", "path_length", "largest_step", "curvature")),
]


def events_of(job: cfg.Job, runs: Path, cache: Path, **options: object) -> list[Event]:
    return list(run_job(job, runs=runs, cache=cache, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("ema", [None, cfg.Ema(decay=0.9)])
def test_a_job_measures_everything_once_and_trains_as_without(tmp_path: Path, cache: Path, ema: cfg.Ema | None) -> None:
    job = cfg.Job(config=small_config(evaluation=FURTHER, ema=ema), seed=1)
    events = events_of(job, tmp_path, cache)
    plain = small_config(evaluation=cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5), ema=ema)
    without = payload(events_of(cfg.Job(config=plain, seed=1), tmp_path, cache))
    assert [
        event for event in payload(events) if event.get("metric") not in KEYS and event.get("name") != "upsampled"
    ] == without

    (first,) = (i for i, event in enumerate(events) if getattr(event, "metric", "") == KEYS[0])
    assert isinstance(events[first - 1], Sampled) and events[first - 1].iteration == 12
    *measured, finished = events[first:]
    pictured = [event for event in measured if isinstance(event, Pictured)]
    assert [event.metric for event in measured if isinstance(event, Evaluated)] == KEYS
    assert [event.name for event in pictured] == ["upsampled", "interpolations"] and finished.kind == "finished"
    assert {(event.iteration, event.images, event.seconds) for event in events[first - 2 : -1]} == {
        (12, 72, events[first - 2].seconds)
    }
    values = {event.metric: event.value for event in measured if isinstance(event, Evaluated)}
    assert np.isfinite(list(values.values())).all() and min(values.values()) >= 0
    metric = next(e.value for e in events if isinstance(e, Evaluated) and e.iteration == 12)
    assert len({metric, values["fd_rooms/resample_1"], values["fd_rooms/resample_2"]}) == 3
    assert values["fd_rooms/resample_1"] == pytest.approx(metric, rel=0.5)

    folder = RunFolder(tmp_path, job)
    with Image.open(folder.samples / "interpolations.png") as image:
        assert image.size == (4 * 8, 3 * 8)
        pixels = np.asarray(image)
    np.testing.assert_array_equal(pixels[8:16, 24:32].transpose(2, 0, 1), pictured[1].pictures[1, 3])
    outcome = folder.outcome()
    assert outcome is not None
    spent = sum(event.evaluation_seconds for event in events if isinstance(event, Evaluated))
    assert outcome.evaluation_seconds == pytest.approx(spent)
    recorded = from_json(folder.read("protocol.json"))
    assert list(recorded) == ["fd_rooms", *KEYS]
    assert all(e.protocol == recorded[e.metric].fingerprint for e in events if isinstance(e, Evaluated))
    assert len({protocol.fingerprint for protocol in recorded.values()}) == len(recorded)


def test_resamples_are_independent_sets_and_the_same_for_every_generator() -> None:
    seen: list[Tensor] = []

    class Latents:
        signal = Picture()

        def __call__(self, z: Tensor) -> Tensor:
            seen.append(z)
            return torch.zeros(len(z), 3, 1, 1)

    class Count(MeanPixel):
        samples = 300

    fixed = torch.zeros(64, 8)
    readings = list(Resamples(Count(), 3, latents_seed=4)(Latents(), fixed))  # type: ignore[arg-type]
    assert readings == [Reading(f"mean_pixel/resample_{k}", 128.0) for k in (1, 2, 3)]
    first = torch.cat(seen)
    assert first.shape == (900, 8) and len(first.unique(dim=0)) == 900
    seen.clear()
    list(Resamples(Count(), 2, latents_seed=4)(Latents(), fixed))  # type: ignore[arg-type]
    assert torch.equal(torch.cat(seen), first[:600])


def test_a_pixel_that_is_not_finite_in_a_further_measure_is_a_divergence(images: Tensor) -> None:
    class Broken:
        protocols: tuple[Protocol, ...] = (a_protocol("first"),)

        def __call__(self, generator: Generator, latents: Tensor) -> Iterator[Reading]:
            assert not generator.training
            yield Reading("first", 1.0)
            raise FloatingPointError("the generator made a pixel that is not finite")

    job = cfg.Job(config=small_config(), seed=0)
    *_, first, last = train(job, images, Inline(Evaluation(small_config(), MeanPixel(), [Broken()])))
    assert isinstance(first, Evaluated) and (first.metric, first.iteration) == ("first", 12)
    assert first.protocol == a_protocol("first").fingerprint
    assert isinstance(last, Diverged) and last.reason.endswith("not finite at iteration 12")


def test_photographs_are_upsampled_to_real_ones_or_refused_before_training(tmp_path: Path) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((20, 17), Image.Resampling.BICUBIC).save(folder / f"{i}.png")

    def job(factor: int) -> cfg.Job:
        digest, count = fingerprint(folder)
        upsampling = cfg.Upsampling(factor=factor, metric=cfg.RoomsFrechet(samples=8, resolution=32))
        evaluation = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), upsampling=upsampling)
        data = cfg.Images(resolution=8, count=count, fingerprint=digest)
        return cfg.Job(config=small_config(data=data, evaluation=evaluation, iterations=1), seed=0)

    options = {"runs": tmp_path / "runs", "cache": tmp_path / "cache", "data_path": folder}
    events = list(run_job(job(2), **options))  # type: ignore[arg-type]
    assert [e.metric for e in events if isinstance(e, Evaluated)][1:] == [f"upsampled/{name}" for name in UPSAMPLED]
    with pytest.raises(
        InputError, match=r"6 images are smaller than 24 x 24, 0.png \(20 x 17\) first, .* the factor of the upsampling"
    ):
        list(run_job(job(3), **options))  # type: ignore[arg-type]
    assert RunFolder(tmp_path / "runs", job(3)).events() == []


def test_what_cannot_be_measured_is_refused_with_the_reason() -> None:
    with pytest.raises(ValidationError, match=r"upsampling.metric.samples is 100 and the fixed latents are 64"):
        cfg.Evaluation(
            metric=cfg.RoomsFrechet(samples=64), upsampling=cfg.Upsampling(metric=cfg.RoomsFrechet(samples=100))
        )
    with pytest.raises(ValidationError, match=r"pictures is 9: there are 8 paths"):
        cfg.Interpolation(paths=8, pictures=9)
    for bad in ({"factor": 1}, {"metric": {"kind": "fd_rooms", "resolution": 24}}):
        with pytest.raises(ValidationError):
            cfg.Upsampling.model_validate_json(json.dumps(bad))


def test_every_gan_shows_the_first_paths_that_a_measured_one_would(tmp_path: Path, cache: Path) -> None:
    plain = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5)
    *_, shown, finished = events_of(cfg.Job(config=small_config(evaluation=plain), seed=1), tmp_path, cache)
    assert isinstance(shown, Pictured) and shown.name == "interpolations" and finished.kind == "finished"

    asked = cfg.Interpolation(steps=SHOWN_STEPS, pictures=SHOWN_PATHS)
    measured = cfg.Evaluation(metric=cfg.RoomsFrechet(samples=64), every=5, interpolation=asked)
    events = events_of(cfg.Job(config=small_config(evaluation=measured), seed=1), tmp_path, cache)
    (theirs,) = (event.pictures for event in events if isinstance(event, Pictured))
    assert shown.pictures.shape == theirs.shape == (SHOWN_PATHS, SHOWN_STEPS, 3, 8, 8)
    assert (shown.pictures.int() - theirs.int()).abs().max() <= 1
