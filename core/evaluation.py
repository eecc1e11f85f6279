"""The evaluation of a GAN's generator: the metric on fixed latents, and further measures at the last iteration.

A process loads images, metrics and their real sets once, and all its jobs share them.
"""

from __future__ import annotations

import math
import time
import typing
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from core import config as cfg
from core.data.fine import FineImages, fine_images
from core.data.load import ImageSet, held_out_windows, load, load_real, stored_pool
from core.events import Diverged, Evaluated, Event, Pictured, Sampled
from core.metrics.features import generated
from core.metrics.interpolation import PathMeasure, PathStrips
from core.metrics.measure import FinalMeasure, Measure, Resamples, Strips, build_metric
from core.metrics.octaves import Draw, OctavesMeasure
from core.metrics.protocol import Protocol, resize_of
from core.metrics.scales import ScalesMeasure
from core.metrics.super_resolution import SuperResolver, super_resolver
from core.metrics.upsampling import UpsamplingMeasure
from core.models.generator import Generator
from core.numbers import measured
from core.pixels import PICTURES, rounded
from core.streams import stream


class Moment(TypedDict):
    """When something happened, as every event says it (`core.events`)."""

    iteration: int
    images: int
    seconds: float


def fixed_latents(config: cfg.Config, device: torch.device | str) -> Tensor:
    """The latents of every evaluation, [N, latent_dim]: as many as the metric or the pictures need."""
    count = max(config.evaluation.metric.samples, PICTURES)
    random = stream(config.evaluation.latents_seed, "evaluation")
    return torch.randn(count, config.hypernetwork.latent_dim, generator=random).to(device)


class Evaluation:
    """`measure` at every evaluation, `final` ones at the last iteration alone, after it."""

    def __init__(
        self,
        config: cfg.Config,
        measure: Measure,
        final: Iterable[FinalMeasure] = (),
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.last_iteration, self.measure, self.final = config.iterations, measure, tuple(final)
        self.latents = fixed_latents(config, device)
        self.protocols = (measure.protocol, *(protocol for each in self.final for protocol in each.protocols))
        """Of every series, the metric's first."""
        self._fingerprints = {protocol.series: protocol.fingerprint for protocol in self.protocols}

    def __call__(self, generator: Generator, moment: Moment) -> Iterator[Event]:
        """The events of an evaluation; `Diverged` is the last of them where something is not finite.

        The generator is in training mode again afterwards.
        """
        generator.eval()
        try:
            yield from self._events(generator, moment)
        except FloatingPointError as error:
            yield Diverged(reason=f"{error} at iteration {moment['iteration']}", **moment)
        finally:
            generator.train()

    def _events(self, generator: Generator, moment: Moment) -> Iterator[Event]:
        started = time.perf_counter()
        batches = generated(generator, self.latents, quantised=self.measure.quantised)
        first = next(batches)
        value = measured(self.measure(chain([first], batches)))
        seconds = time.perf_counter() - started
        yield self._evaluated(self.measure.key, value, seconds, moment)
        yield Sampled(pictures=rounded(first[:PICTURES]).cpu(), **moment)
        if not math.isfinite(value):
            yield Diverged(reason=f"{self.measure.key} not finite at iteration {moment['iteration']}", **moment)
        elif moment["iteration"] == self.last_iteration:
            yield from self._at_the_end(generator, moment)

    def _at_the_end(self, generator: Generator, moment: Moment) -> Iterator[Event]:
        """The readings of the final measures; each value's seconds are those since the one before."""
        for measure in self.final:
            started = time.perf_counter()
            for result in measure(generator, self.latents):
                if isinstance(result, Strips):
                    yield Pictured(name=result.name, pictures=result.pictures, **moment)
                else:
                    seconds = time.perf_counter() - started
                    yield self._evaluated(result.key, result.value, seconds, moment)
                started = time.perf_counter()

    def _evaluated(self, series: str, value: float, seconds: float, moment: Moment) -> Evaluated:
        fingerprint = self._fingerprints[series]
        return Evaluated(
            metric=series, value=measured(value), protocol=fingerprint, evaluation_seconds=seconds, **moment
        )


# --- what a process loads once ----------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def images_of(data: cfg.Data, path: Path | None, cache: Path) -> ImageSet:
    """The images that `data` describes; raises InputError where they cannot be had."""
    return load(data, path=path, cache=cache)


@lru_cache(maxsize=2)
def fine_of(data: cfg.Data, fine: cfg.AnyFine | None, path: Path | None, cache: Path) -> FineImages | None:
    """Training images in more detail; raises InputError where they cannot be had."""
    return fine_images(data, fine, path=path, cache=cache)


def evaluation_of(config: cfg.Config, *, data_path: Path | None, cache: Path, device: str) -> Evaluation:
    """All that `config` measures. Raises InputError, before training, for weights and real sets that cannot be had."""

    def against(metric: cfg.GanMetric, resolution: int) -> Measure:
        seed = config.evaluation.latents_seed
        return _measure(metric, config.data, resolution, data_path, cache, device, seed)

    measure = against(config.evaluation.metric, config.data.resolution)
    network = None
    if config.paired:
        network = _network(config.data, *config.paired, data_path, cache, device, config.evaluation.latents_seed)
    final = list(_final(config, measure, against, network))
    if scales := config.evaluation.scales:
        seed = config.evaluation.latents_seed
        final.append(_scales(scales, config.evaluation.metric, config.data, data_path, cache, device, seed))
    if octaves := config.evaluation.octaves:
        # That these are rooms is the config's own rule.
        assert isinstance(config.data, cfg.Rooms)
        seed = config.evaluation.latents_seed
        final.append(_octaves(octaves, config.evaluation.metric, config.data, cache, device, seed))
    return Evaluation(config, measure, final, device=device)


def _final(
    config: cfg.Config,
    measure: Measure,
    against: Callable[[cfg.GanMetric, int], Measure],
    network: SuperResolver | None,
) -> Iterator[FinalMeasure]:
    """The measures of the last iteration; `against` is a metric's measure at a resolution of the real set, `network`
    one that was trained to enlarge, where the config asks for one."""
    evaluation, resolution, seed = config.evaluation, config.data.resolution, config.evaluation.latents_seed
    if evaluation.quality:
        # Its libraries take seconds to import.
        from core.metrics.quality import QualityMeasure

        yield QualityMeasure(evaluation.quality, measure, seed)
    if evaluation.resamples:
        yield Resamples(measure, evaluation.resamples, seed)
    if upsampling := evaluation.upsampling:
        coarse, fine = (
            against(upsampling.metric, resolution),
            against(upsampling.metric, upsampling.factor * resolution),
        )
        yield UpsamplingMeasure(upsampling.factor, coarse, fine, upsampling.opponents, network)
    if paths := evaluation.interpolation:
        yield PathMeasure(paths, measure.features, seed, measure.protocol)
    else:
        yield PathStrips(seed)


@lru_cache(maxsize=4)
def _measure(
    metric: cfg.GanMetric,
    data: cfg.Data,
    resolution: int,
    path: Path | None,
    cache: Path,
    device: str,
    latents_seed: int,
) -> Measure:
    """Against the data's real set at `resolution`."""
    if resolution == data.resolution:
        real = images_of(data, path, cache).real
    else:
        real = load_real(data, resolution, path=path, cache=cache)
    return build_metric(metric, real, device=device, cache=cache, latents_seed=latents_seed)


@lru_cache(maxsize=2)
def _network(
    data: cfg.Data,
    as_areas: cfg.Data,
    pool: cfg.Pool,
    path: Path | None,
    cache: Path,
    device: str,
    latents_seed: int,
) -> SuperResolver:
    """Of training images as D sees them and the same in more detail; trained before any generator, and once a cache."""
    fine = stored_pool(as_areas, pool, path=path, cache=cache)
    coarse = images_of(data, path, cache).train[: len(fine)]
    return super_resolver(coarse, fine, seed=latents_seed, cache=cache, device=device)


@lru_cache(maxsize=2)
def _scales(
    scales: cfg.Scales,
    metric: cfg.GanMetric,
    data: cfg.Data,
    path: Path | None,
    cache: Path,
    device: str,
    latents_seed: int,
) -> FinalMeasure:
    """Against the data's real set at its fine pixels."""
    measure = _measure(metric, data, data.resolution, path, cache, device, latents_seed)
    real = load_real(data, scales.fine, path=path, cache=cache)
    return ScalesMeasure(scales, measure, real, resize_of(metric, cfg.PATCH), latents_seed)


@lru_cache(maxsize=2)
def _octaves(
    octaves: cfg.Octaves, metric: cfg.GanMetric, data: cfg.Rooms, cache: Path, device: str, latents_seed: int
) -> FinalMeasure:
    """Against windows of the rooms' own function."""

    def drawn(draw: Draw) -> Tensor:
        return held_out_windows(data, draw.first, *draw.edges, points=octaves.points, cache=cache)

    measure = _measure(metric, data, data.resolution, None, cache, device, latents_seed)
    return OctavesMeasure(octaves, measure, drawn, resize_of(metric, cfg.PATCH), latents_seed)


# --- where it is evaluated --------------------------------------------------------------------------------------------


class Answer(typing.Protocol):
    """The events of an evaluation that was asked for."""

    @property
    def ready(self) -> bool:
        """Whether the first of them is there."""
        ...

    def __iter__(self) -> Iterator[Event]:
        """All of them, once; waits for what is not there yet."""
        ...


class Evaluator(typing.Protocol):
    """Evaluates in the process that trains (`Inline`), or in one beside it (`core.side_evaluator`)."""

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The protocol of each series, the metric first."""
        ...

    def ask(self, generator: Generator, moment: Moment) -> Answer:
        """Begins to evaluate the generator as it is now.

        It may train on once the answer has come to its end or, where `Answer.ready` is not true at once, right away.
        """
        ...


class Inline:
    """Evaluates in the process that trains, while the answer is read."""

    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """See `Evaluator`."""
        return self.evaluation.protocols

    def ask(self, generator: Generator, moment: Moment) -> Answer:
        """See `Evaluator`."""
        return _AtOnce(self.evaluation(generator, moment))


class _AtOnce:
    ready = True

    def __init__(self, events: Iterator[Event]) -> None:
        self.events = events

    def __iter__(self) -> Iterator[Event]:
        return self.events
