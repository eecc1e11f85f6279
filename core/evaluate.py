"""What is measured of a GAN's generator: the metric on fixed latents, and more at the last iteration."""

from __future__ import annotations

import math
import time
import typing
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypedDict

import torch
from torch import Tensor

from core import config as cfg
from core.events import Diverged, Evaluated, Event, Pictured, Sampled
from core.metrics.further import Further, Strips
from core.metrics.generated import generated
from core.metrics.measure import Measure
from core.metrics.protocol import Protocol
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
    """`measure` at every evaluation, `further` at the last iteration alone, after it."""

    def __init__(
        self,
        config: cfg.Config,
        measure: Measure,
        further: Sequence[Further] = (),
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self.last_iteration, self.measure, self.further = config.iterations, measure, further
        self.latents = fixed_latents(config, device)
        self.protocols = (measure.protocol, *(protocol for each in further for protocol in each.protocols))
        """Of every series, the metric's first."""
        self._fingerprints = {protocol.series: protocol.fingerprint for protocol in self.protocols}

    def __call__(self, generator: Generator, moment: Moment) -> Iterator[Event]:
        """What is found, as events; `Diverged` is the last of them where something is not finite.

        The generator is in training mode again afterwards.
        """
        generator.eval()
        try:
            yield from self._found(generator, moment)
        except FloatingPointError as error:
            yield Diverged(reason=f"{error} at iteration {moment['iteration']}", **moment)
        finally:
            generator.train()

    def _found(self, generator: Generator, moment: Moment) -> Iterator[Event]:
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
            yield from self._found_further(generator, moment)

    def _found_further(self, generator: Generator, moment: Moment) -> Iterator[Event]:
        """What the further measures find; each value's seconds are those since the one before."""
        for measure in self.further:
            started = time.perf_counter()
            for found in measure(generator, self.latents):
                if isinstance(found, Strips):
                    yield Pictured(name=found.name, pictures=found.pictures, **moment)
                else:
                    seconds = time.perf_counter() - started
                    yield self._evaluated(found.key, found.value, seconds, moment)
                started = time.perf_counter()

    def _evaluated(self, series: str, value: float, seconds: float, moment: Moment) -> Evaluated:
        fingerprint = self._fingerprints[series]
        return Evaluated(
            metric=series, value=measured(value), protocol=fingerprint, evaluation_seconds=seconds, **moment
        )


# --- who evaluates ----------------------------------------------------------------------------------------------------


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
    """Whoever evaluates: the process that trains (`Inline`), or one beside it (`core.beside.Beside`)."""

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """What each series is measured with, the metric first."""
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
