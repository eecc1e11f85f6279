"""Trains one INR-GAN from one config and yields what happens.

`python -m core.train --config FILE --out DIR` runs one job in its folder.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core import config as cfg
from core.arguments import MOST_SEED, MOST_WORKERS
from core.command_line import GOES_ON
from core.diagnose import at_start, macs
from core.errors import InputError
from core.evaluate import Evaluator, Moment, fixed_latents
from core.events import Built, Diverged, Event, Finished, Losses
from core.imported import check_allowed
from core.interleave import Pause, interleaved
from core.machine import check_device
from core.means import Means
from core.metrics.identity import INCEPTION_VARIABLE
from core.parser import Parser, code_with, given_to, number
from core.pixels import PICTURES
from core.precision import check_precision
from core.step import Networks, Step
from core.words import takes


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
    check_precision(config.precision, device)
    nets = Networks(config, job.seed, images, device)
    iteration, spent = 0, 0.0
    means = Means(device, (critic.name for critic in nets.critics[1:]))
    step = Step(config, nets, means)
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

        step(iteration)

        # What happened since the last report; the only place where the loop waits for the device.
        if iteration % report_every == 0 or iteration == config.iterations:
            losses = means.take()
            infinite = [name for name, value in losses.items() if not math.isfinite(value)]
            if infinite:
                yield Diverged(reason=f"{', '.join(infinite)} not finite at iteration {iteration}", **now())
                return
            own = {name: losses.pop(name) for name in means.NAMES}
            yield Losses(**own, further=losses, **now())

    yield Finished(generator=nets.evaluated.state_dict(), **now())


def _gan(job: cfg.Job) -> cfg.Config:
    if not isinstance(job.config, cfg.Config):
        raise TypeError(f"a job of task '{job.config.task}' is no GAN")
    return job.config


def _built(nets: Networks, latents: Tensor) -> Built:
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
        discriminator_parameters=sum(p.numel() for critic in nets.critics for p in critic.parameters),
        layer_parameters=nets.generator.inr.hidden_layers[0].emitted,
        macs=products,
        initial=initial,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one job folder and prints its events as they happen; a folder that has begun goes on where it was."""
    return code_with(_run, arguments, interrupted=GOES_ON)


def _run(arguments: Sequence[str]) -> None:
    # core.job records what this module yields, so it cannot be imported before this module is whole.
    from core.job import read_job, run_job

    parser = Parser(prog="python -m core.train", description=main.__doc__)
    parser.add_argument("--config", type=Path, required=True, help="JSON: a config, or a job with config and seed")
    parser.add_argument("--out", type=Path, required=True, help="the job's folder is made below this one")
    parser.add_argument(
        "--seed",
        type=number(0, MOST_SEED - 1),
        help="of a file that holds a config alone (default: 0); a job has its own",
    )
    parser.add_argument("--data", type=Path, help="folder or zip of images, where the config asks for images")
    parser.add_argument("--inception", type=Path, help=f"Inception's weights, a file (or {INCEPTION_VARIABLE})")
    parser.add_argument(
        "--allow-code",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="run a layer's file from this folder where the config names one; without it layers are those of installed "
        "packages alone, for a config may be somebody else's",
    )
    parser.add_argument("--cache", type=Path, help="where prepared data is kept (default: OUT/cache)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=number(most=MOST_WORKERS), default=1)
    parser.add_argument(
        "--evaluation",
        choices=["inline", "beside"],
        default="inline",
        help="beside: train on while another process evaluates. The numbers are the same; it gains nothing where all "
        "cores or the GPU are busy without it (default: inline)",
    )
    parser.add_argument("--evaluation-device", help="of the process beside, as cpu or cuda:1 (default: DEVICE)")
    given = given_to(parser, arguments)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    check_device(given.device, gpus)
    if given.evaluation_device is not None:
        check_device(given.evaluation_device, gpus, "--evaluation-device")
    job = read_job(given.config, given.seed)
    _check_used(given, job.config)
    if given.inception is not None:
        os.environ[INCEPTION_VARIABLE] = str(given.inception)
    check_allowed(job.config, given.allow_code, near=[given.config.parent, Path()])
    events = run_job(
        job,
        runs=given.out,
        device=given.device,
        data_path=given.data,
        cache=given.cache or given.out / "cache",
        threads=given.threads,
        evaluation=given.evaluation,
        evaluation_device=given.evaluation_device,
    )
    for event in events:
        line = event.model_dump_json()
        print(line if takes(sys.stdout, line) else json.dumps(json.loads(line)), flush=True)


def _check_used(given: argparse.Namespace, config: cfg.AnyConfig) -> None:
    """Raises InputError for an option that a job of this config would take no notice of."""
    if given.data is not None and not isinstance(config.data, cfg.Images):
        raise InputError(f"--data {given.data}: the config's data are {config.data.kind}, which are made: leave it out")
    if given.inception is not None and not cfg.asks_inception(config):
        raise InputError(
            f"--inception {given.inception}: nothing that the config measures asks Inception: leave it out"
        )
    if given.evaluation == "beside" and isinstance(config, cfg.Reconstruction):
        raise InputError("--evaluation beside: a reconstruction's error is found as it is fitted: leave it out")


if __name__ == "__main__":
    sys.exit(main())
