"""Trains one INR-GAN from one config and yields what happens.

`python -m core.train --config FILE --out DIR` runs one job in its folder.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, assert_never

import torch
from torch import Tensor

from core import config as cfg
from core import penalties
from core.build import (
    build_discriminator,
    build_generator,
    build_generator_optimizer,
    build_loss,
    build_optimizer,
)
from core.data.feed import feed
from core.diagnose import at_start, macs
from core.errors import InputError
from core.evaluate import Evaluator, Moment, fixed_latents
from core.events import Built, Diverged, Event, Finished, Losses
from core.interleave import Pause, interleaved
from core.metrics.identity import INCEPTION_VARIABLE
from core.models.ema import ExponentialAverage
from core.models.generator import Generator
from core.pixels import PICTURES, to_unit_range
from core.streams import initialising, stream


class _Means:
    """Means of scalars over a stretch of iterations, summed on the device so that nothing waits for them."""

    NAMES = ("d_loss", "g_loss", "penalty", "real_score", "fake_score")

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(len(self.NAMES), device=device)
        self.counts = [0] * len(self.NAMES)

    def add(self, name: str, value: Tensor) -> None:
        index = self.NAMES.index(name)
        self.sums[index] += value.detach()
        self.counts[index] += 1

    def take(self) -> dict[str, float]:
        """The means, 0 for what did not occur, and starts anew."""
        pairs = zip(self.NAMES, self.sums.tolist(), self.counts, strict=True)
        means = {name: total / max(count, 1) for name, total, count in pairs}
        self.sums, self.counts = torch.zeros_like(self.sums), [0] * len(self.NAMES)
        return means

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.counts = state["sums"].to(self.sums.device), list(state["counts"])


class _Networks:
    """The networks, their optimisers and random streams: all that changes while a job trains."""

    def __init__(self, job: cfg.Job, images: Tensor, device: torch.device) -> None:
        config, seed = _gan(job), job.seed
        with initialising(seed, "generator"):
            self.generator = build_generator(config).to(device)
        with initialising(seed, "discriminator"):
            self.discriminator = build_discriminator(config).to(device).to(memory_format=torch.channels_last)
        self.average = ExponentialAverage(self.generator, config.ema.decay) if config.ema else None
        adams, d_rate = config.optimizers, config.optimizers.learning_rates.discriminator
        self.g_optimizer = build_generator_optimizer(adams, self.generator)
        self.d_optimizer = build_optimizer(adams.discriminator, d_rate, self.discriminator)
        self.real = feed(images, seed, config.batch_size, flip=config.flip, device=device)
        self.latents = stream(seed, "latents", device)
        self.mixtures = stream(seed, "mixtures", device)

    @property
    def evaluated(self) -> Generator:
        """The generator that is measured: the average where there is one."""
        return self.average.network if self.average else self.generator  # type: ignore[return-value]

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            name: getattr(self, name).state_dict()
            for name in ("generator", "discriminator", "g_optimizer", "d_optimizer", "real")
        }
        state |= {name: getattr(self, name).get_state() for name in ("latents", "mixtures")}
        if self.average:
            state |= {"average": self.average.network.state_dict(), "average_steps": self.average.steps}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("generator", "discriminator", "g_optimizer", "d_optimizer", "real"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("latents", "mixtures"):
            getattr(self, name).set_state(state[name])
        if self.average:
            self.average.network.load_state_dict(state["average"])
            self.average.steps = state["average_steps"]


def train(
    job: cfg.Job,
    images: Tensor,
    evaluator: Evaluator,
    *,
    device: torch.device | str = "cpu",
    resume: dict[str, Any] | None = None,
    checkpoint_due: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Trains `job` on `images` (uint8 [N, 3, R, R]) and yields its events, `Finished` or `Diverged` last.

    `evaluator` is asked every `evaluation.every` iterations and at the last. `resume` is the state of a `Checkpointed`
    event: the events after it are those of the uninterrupted job, bit for bit on the same machine with the same number
    of threads. `checkpoint_due` is asked after every iteration; while an evaluation is under way
    its answer waits for the next time.
    """
    return interleaved(_steps(job, images, torch.device(device), resume), evaluator, checkpoint_due)


def _steps(
    job: cfg.Job, images: Tensor, device: torch.device, resume: dict[str, Any] | None
) -> Iterator[Event | Pause]:
    """The loop: its events but those of evaluations and checkpoints, and a pause after every iteration for these."""
    config = _gan(job)
    nets = _Networks(job, images, device)
    g_params = list(nets.generator.parameters())
    d_loss_of, g_loss_of = build_loss(config.loss)
    iteration, spent = 0, 0.0
    means = _Means(device)
    report_every = max(1, config.iterations // 50)

    if resume:
        nets.load_state_dict(resume["networks"])
        iteration, spent = resume["iteration"], resume["seconds"]
        means.load_state_dict(resume["means"])
    else:
        yield _built(nets, fixed_latents(config, device))
    since = time.perf_counter()

    def now() -> Moment:
        return {
            "iteration": iteration,
            "images": iteration * config.batch_size,
            "seconds": spent + time.perf_counter() - since,
        }

    def paused() -> Pause:
        moment = now()
        return Pause(
            moment=moment,
            generator=nets.evaluated,
            evaluates=iteration % config.evaluation.every == 0 or iteration == config.iterations,
            state=lambda: {
                "networks": nets.state_dict(),
                "iteration": iteration,
                "seconds": moment["seconds"],
                "means": means.state_dict(),
            },
        )

    while True:
        # Whatever is done with the networks as they are now is no part of the training time.
        if iteration:
            pause = paused()
            yield pause
            spent, since = pause.moment["seconds"], time.perf_counter()
        if iteration == config.iterations:
            break
        iteration += 1

        # One update of D. Where G's follows, it reuses these fakes: one pass through G less.
        updates_g = iteration % config.d_per_g == 0
        real = to_unit_range(nets.real.take()).contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(updates_g):
            generated_images = nets.generator(_latents(config, nets.latents))
        fake = generated_images.detach()
        regularised = _is_regularised(config.penalty, iteration)
        real.requires_grad_(regularised and isinstance(config.penalty, cfg.R1))
        real_scores, fake_scores = nets.discriminator(real), nets.discriminator(fake)
        adversarial = d_loss_of(real_scores, fake_scores)
        penalty = _penalty(config.penalty, nets, real, real_scores, fake) if regularised else None
        nets.d_optimizer.zero_grad(set_to_none=True)
        (adversarial if penalty is None else adversarial + penalty).backward()
        nets.d_optimizer.step()
        means.add("d_loss", adversarial)
        means.add("real_score", real_scores.mean())
        means.add("fake_score", fake_scores.mean())
        if penalty is not None:
            means.add("penalty", penalty)

        # One update of G, at every d_per_g-th iteration; D's own gradients are not needed for it.
        if updates_g:
            nets.discriminator.requires_grad_(False)
            g_loss = g_loss_of(nets.discriminator(generated_images))
            for param, gradient in zip(g_params, torch.autograd.grad(g_loss, g_params, allow_unused=True), strict=True):
                param.grad = gradient
            nets.discriminator.requires_grad_(True)
            nets.g_optimizer.step()
            if nets.average:
                nets.average.update(nets.generator)
            means.add("g_loss", g_loss)

        # What happened since the last report; the only place where the loop waits for the device.
        if iteration % report_every == 0 or iteration == config.iterations:
            losses = means.take()
            infinite = [name for name, value in losses.items() if not math.isfinite(value)]
            if infinite:
                yield Diverged(reason=f"{', '.join(infinite)} not finite at iteration {iteration}", **now())
                return
            yield Losses(**losses, **now())

    yield Finished(generator=nets.evaluated.state_dict(), **now())


def _gan(job: cfg.Job) -> cfg.Config:
    if not isinstance(job.config, cfg.Config):
        raise TypeError(f"a job of task '{job.config.task}' is no GAN")
    return job.config


def _latents(config: cfg.Config, generator: torch.Generator) -> Tensor:
    shape = (config.batch_size, config.hypernetwork.latent_dim)
    return torch.randn(shape, generator=generator, device=generator.device)


def _is_regularised(penalty: cfg.Penalty, iteration: int) -> bool:
    return isinstance(penalty, cfg.GradientPenalty) or iteration % penalty.interval == 0


def _penalty(penalty: cfg.Penalty, nets: _Networks, real: Tensor, real_scores: Tensor, fake: Tensor) -> Tensor:
    match penalty:
        case cfg.GradientPenalty(weight=weight):
            mix = torch.rand(len(real), generator=nets.mixtures, device=real.device)
            return weight * penalties.wgan_gp(nets.discriminator, real, fake, mix)
        case cfg.R1(weight=weight, interval=interval):
            return weight * interval * penalties.r1(real_scores, real)
        case _:
            assert_never(penalty)


def _built(nets: _Networks, latents: Tensor) -> Built:
    # Of a copy: looking must not move the running statistics of a batch norm.
    generator = copy.deepcopy(nets.generator)
    with torch.no_grad():
        emitted = generator.hypernetwork(latents[:PICTURES])
    initial, products = at_start(generator, emitted), macs(generator, emitted)
    shared = sum(parameter.numel() for parameter in nets.generator.inr.parameters())
    return Built(
        iteration=0,
        images=0,
        seconds=0.0,
        emitted_parameters=nets.generator.inr.emitted,
        shared_parameters=shared,
        generator_parameters=sum(parameter.numel() for parameter in nets.generator.parameters()),
        discriminator_parameters=sum(parameter.numel() for parameter in nets.discriminator.parameters()),
        layer_parameters=nets.generator.inr.hidden_layers[0].emitted,
        macs=products,
        initial=initial,
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs one job folder and prints its events as they happen; a folder that has begun goes on where it was."""
    # core.job records what this module yields, so it cannot be imported before this module is whole.
    from core.job import read_job, run_job

    parser = argparse.ArgumentParser(prog="python -m core.train", description=main.__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON: a config, or a job with config and seed")
    parser.add_argument("--out", type=Path, required=True, help="the job's folder is made below this one")
    parser.add_argument("--seed", type=int, default=0, help="where the file holds a config alone")
    parser.add_argument("--data", type=Path, help="folder or zip of images, where the config asks for images")
    parser.add_argument("--inception", type=Path, help=f"Inception's weights, a file (or {INCEPTION_VARIABLE})")
    parser.add_argument("--cache", type=Path, help="where prepared data is kept (default: OUT/cache)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--evaluation",
        choices=["inline", "beside"],
        default="inline",
        help="beside: train on while another process evaluates. The numbers are the same; it gains nothing where all "
        "cores or the GPU are busy without it (default: inline)",
    )
    parser.add_argument("--evaluation-device", help="of the process beside, as cpu or cuda:1 (default: DEVICE)")
    given = parser.parse_args(arguments)
    if given.inception is not None:
        os.environ[INCEPTION_VARIABLE] = str(given.inception)
    try:
        events = run_job(
            read_job(given.config, given.seed),
            runs=given.out,
            device=given.device,
            data_path=given.data,
            cache=given.cache or given.out / "cache",
            threads=given.threads,
            evaluation=given.evaluation,
            evaluation_device=given.evaluation_device,
        )
        for event in events:
            print(event.model_dump_json(), flush=True)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
