"""Trains one INR-GAN from one config and yields what happens."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from core import config as cfg
from core.data.fine import FineImages
from core.diagnose import built
from core.evaluation import Evaluator, Moment, fixed_latents
from core.events import Built, Diverged, Event, Finished, Losses
from core.interleave import Pause, interleaved
from core.means import Means
from core.pixels import PICTURES
from core.precision import check_precision
from core.step import Networks, Step


def train(
    job: cfg.Job,
    images: Tensor,
    evaluator: Evaluator,
    *,
    device: torch.device | str = "cpu",
    resume: dict[str, Any] | None = None,
    checkpoint_due: Callable[[], bool] = lambda: False,
    fine: FineImages | None = None,
) -> Iterator[Event]:
    """Trains `job` on `images` (uint8 [N, 3, R, R]) and yields its events, `Finished` or `Diverged` last.

    `fine` are the same images in more detail, where the config asks for them.
    `evaluator` is asked every `evaluation.every` iterations and at the last. `resume` is the state of a `Checkpointed`
    event: the events after it are those of the uninterrupted job, bit for bit on the same machine with the same number
    of threads. `checkpoint_due` is asked after every iteration; while an evaluation is under way
    its answer waits for the next time.
    """
    loop = Loop(job.gan, job.seed, images, torch.device(device), resume, fine)
    return interleaved(loop.events(), evaluator, checkpoint_due)


class Loop:
    """A job's networks, how far they have come, and the seconds that their training took."""

    def __init__(
        self,
        config: cfg.Config,
        seed: int,
        images: Tensor,
        device: torch.device,
        resume: dict[str, Any] | None,
        fine: FineImages | None = None,
    ) -> None:
        check_precision(config.precision, device)
        self.config, self.device = config, device
        self.nets = Networks(config, seed, images, device, fine)
        self.means = Means(device, (critic.name for critic in self.nets.critics[1:]))
        self.step = Step(config, self.nets, self.means)
        self.iteration, self.spent, self.since = 0, 0.0, time.perf_counter()
        if resume:
            self.nets.load_state_dict(resume["networks"])
            self.means.load_state_dict(resume["means"])
            self.iteration, self.spent = resume["iteration"], resume["seconds"]

    def events(self) -> Iterator[Event | Pause]:
        """The events of the loop itself, and a pause after every iteration for evaluations and checkpoints."""
        if not self.iteration:
            yield self._built()
        self.since = time.perf_counter()
        while True:
            if self.iteration:
                pause = self._pause()
                yield pause
                # Time that the consumer takes at a pause is no training time.
                self.spent, self.since = pause.moment["seconds"], time.perf_counter()
            if self.iteration == self.config.iterations:
                break

            self.iteration += 1
            self.step(self.iteration)

            if self._reports():
                losses = self.means.take()
                infinite = [name for name, value in losses.items() if not math.isfinite(value)]
                if infinite:
                    reason = f"{', '.join(infinite)} not finite at iteration {self.iteration}"
                    yield Diverged(reason=reason, **self._now())
                    return
                of_the_first = {name: losses.pop(name) for name in Means.NAMES}
                yield Losses(**of_the_first, further=losses, **self._now())

        yield Finished(generator=self.nets.evaluated.state_dict(), **self._now())

    def _reports(self) -> bool:
        """Whether losses are reported now: the only place where the loop waits for the device."""
        every, last = max(1, self.config.iterations // 50), self.iteration == self.config.iterations
        return self.iteration % every == 0 or last

    def _now(self) -> Moment:
        return {
            "iteration": self.iteration,
            "images": self.iteration * self.config.batch_size,
            "seconds": self.spent + time.perf_counter() - self.since,
        }

    def _pause(self) -> Pause:
        moment, last = self._now(), self.iteration == self.config.iterations
        return Pause(
            moment=moment,
            generator=self.nets.evaluated,
            evaluates=self.iteration % self.config.evaluation.every == 0 or last,
            state=lambda: self._state(moment),
        )

    def _state(self, moment: Moment) -> dict[str, Any]:
        return {
            "networks": self.nets.state_dict(),
            "iteration": self.iteration,
            "seconds": moment["seconds"],
            "means": self.means.state_dict(),
        }

    def _built(self) -> Built:
        # Of a copy: looking must not move the running statistics of a batch norm.
        generator = copy.deepcopy(self.nets.generator)
        with torch.no_grad():
            emitted = generator.hypernetwork(fixed_latents(self.config, self.device)[:PICTURES])
        return built(generator, emitted, (critic.network for critic in self.nets.critics))
