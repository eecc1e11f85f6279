"""Fits INRs to a few images and yields what happens: the experiment behind the deck's "MAE (50 imgs)"."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, assert_never

import torch
from torch import Tensor

from core import config as cfg
from core import precision
from core.build import build_domain, build_inr, build_optimizer
from core.diagnose import built
from core.events import Checkpointed, Diverged, Evaluated, Event, Finished, Fitted, Sampled
from core.metrics import protocol
from core.models.fitted import CodedInrs, FreeInrs
from core.numbers import measured
from core.pixels import PICTURES
from core.streams import initialising, stream


def drawn(images: Tensor, config: cfg.Reconstruction, seed: int) -> Tensor:
    """The images that this seed fits, uint8 [N, 3, R, R], in the order of its draw."""
    if len(images) < config.images:
        raise ValueError(f"{config.images} images are to be fitted and the data has {len(images)}")
    order = torch.randperm(len(images), generator=stream(seed, "images"))
    return images[order[: config.images]]


def build_inrs(config: cfg.Reconstruction) -> FreeInrs | CodedInrs:
    """The INRs with what emits their parameters, initialised from torch's global random state."""
    grid, signal = build_domain(config.data, config.inr.coordinates)
    inr = build_inr(config.inr, grid, signal)
    calibrated = config.inr.init == "unit"
    match config.emitter:
        case cfg.FreeParameters():
            return FreeInrs(inr, grid, signal, config.images, calibrated=calibrated)
        case cfg.LatentCodes(hypernetwork=hypernetwork):
            return CodedInrs(inr, grid, signal, hypernetwork, config.images, calibrated=calibrated)
        case _:
            assert_never(config.emitter)


def psnr(images: Tensor, targets: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of [N, 3, R, R] in [-1, 1], its mean over images."""
    squared = (images - targets).double().square().mean(dim=(1, 2, 3))
    return float((10 * torch.log10(4 / squared)).mean())


def reconstruct(
    job: cfg.Job,
    images: Tensor,
    *,
    device: torch.device | str = "cpu",
    resume: dict[str, Any] | None = None,
    checkpoint_due: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Fits the job's images, of uint8 [N, 3, R, R], and yields its events, `Finished` or `Diverged` last.

    `resume` and `checkpoint_due` are as in `core.loop.train`. The error of an evaluation is that of its iteration's
    updated parameters.
    """
    config, device = job.config, torch.device(device)
    if not isinstance(config, cfg.Reconstruction):
        raise TypeError(f"a job of task '{config.task}' is not a reconstruction")
    precision.check_precision(config.precision, device)
    with initialising(job.seed, "generator"):
        inrs = build_inrs(config).to(device)
    # In the order in which a grid arranges values, for the two are subtracted.
    targets = inrs.signal.to_network(drawn(images, config, job.seed).to(device)).contiguous()
    optimizer = build_optimizer(config.optimizer, config.learning_rate, inrs)
    iteration, spent = 0, 0.0
    report_every = max(1, config.iterations // 50)
    of_error, of_ratio = (each.fingerprint for each in protocol.of_fit(config))

    def rendered() -> Tensor:
        with precision.forward(config.precision, device):
            shown: Tensor = inrs()
        return shown

    if resume:
        inrs.load_state_dict(resume["inrs"])
        optimizer.load_state_dict(resume["optimizer"])
        iteration, spent = resume["iteration"], resume["seconds"]
    else:
        with torch.no_grad():
            emitted = inrs.parameters_of_all()
        yield built(inrs, emitted)
    since = time.perf_counter()

    def now() -> dict[str, Any]:
        return {
            "iteration": iteration,
            "images": iteration * config.images,
            "seconds": spent + time.perf_counter() - since,
        }

    while iteration < config.iterations:
        iteration += 1
        with precision.products(config.precision):
            loss = (rendered() - targets).abs().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        last = iteration == config.iterations
        if iteration % report_every == 0 or last:
            value = loss.item()
            if not math.isfinite(value):
                yield Diverged(reason=f"loss not finite at iteration {iteration}", **now())
                return
            yield Fitted(loss=value, **now())

        if iteration % config.evaluation.every == 0 or last:
            moment = now()
            started = time.perf_counter()
            with torch.inference_mode(), precision.products(config.precision):
                shown = rendered()
                error = measured((shown - targets).abs().mean().item())
                if not math.isfinite(error):
                    yield Diverged(reason=f"error not finite at iteration {iteration}", **moment)
                    return
                noise_ratio = psnr(shown, targets)
            seconds = time.perf_counter() - started
            yield Evaluated(metric="mae", value=error, protocol=of_error, evaluation_seconds=seconds, **moment)
            yield Evaluated(metric="psnr", value=noise_ratio, protocol=of_ratio, evaluation_seconds=0.0, **moment)
            yield Sampled(pictures=inrs.signal.to_stored(shown[:PICTURES]).cpu(), **moment)
            spent, since = moment["seconds"], time.perf_counter()

        if not last and checkpoint_due():
            moment = now()
            state = {
                "inrs": inrs.state_dict(),
                "optimizer": optimizer.state_dict(),
                "iteration": iteration,
                "seconds": moment["seconds"],
            }
            yield Checkpointed(state=state, **moment)
            spent, since = moment["seconds"], time.perf_counter()

    yield Finished(generator=inrs.state_dict(), **now())
