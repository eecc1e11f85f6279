"""What a metric's number is made of, readable without torch: for digests, tables and `--dry-run`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from functools import cache, lru_cache
from pathlib import Path
from typing import assert_never

from core.config import (
    AnyConfig,
    CleanFid,
    Config,
    GanMetric,
    Images,
    LatentCodes,
    MeanAbsoluteError,
    Metric,
    Reconstruction,
    Rooms,
    RoomsFrechet,
)
from core.errors import InputError

INCEPTION_VARIABLE = "INR_GAN_INCEPTION"
"""Environment variable with the path of an Inception weights file, looked at before clean-fid's usual places."""

TORCHSCRIPT_INCEPTION = "inception-2015-12-05.pt"
STATE_DICT_INCEPTION = "pt_inception-2015-12-05-6726825d.pth"


def extractor_weights(resolution: int = 16) -> Path:
    """The shipped weights of the rooms extractor that sees `resolution` x `resolution` pixels, 16 or 32."""
    return Path(__file__).with_name(f"rooms{resolution}.safetensors")


def extractor_record(resolution: int = 16) -> Path:
    """What the weights were trained on and what they explain: JSON, beside them."""
    return Path(__file__).with_name(f"rooms{resolution}.json")


@cache
def extractor_sha256(resolution: int = 16) -> str:
    """sha256 (64 hex digits) of the shipped weights, as recorded when they were trained; `load_extractor` checks it."""
    record = extractor_record(resolution)
    try:
        return str(json.loads(record.read_text())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{record.name} is missing or damaged beside {__name__}: reinstall the package") from None


def inception_place(mode: str) -> Path:
    """Where clean-fid keeps the weights of a mode: a fixed folder for TorchScript, torch.hub's for the state dict."""
    if mode == "legacy_pytorch":
        home = os.environ.get("TORCH_HOME")
        base = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
        return base.expanduser() / "hub" / "checkpoints" / STATE_DICT_INCEPTION
    return Path("." if platform.system() == "Windows" else "/tmp") / TORCHSCRIPT_INCEPTION


def inception_host(mode: str) -> str:
    """The host that clean-fid fetches the weights of a mode from."""
    return "github.com" if mode == "legacy_pytorch" else "nvlabs-fi-cdn.nvidia.com"


def inception_file(mode: str) -> Path | None:
    """The weights file to use: `INR_GAN_INCEPTION`, else clean-fid's usual place, else None (not fetched yet).

    Raises `InputError` where the variable names no file.
    """
    named = os.environ.get(INCEPTION_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise InputError(f"{INCEPTION_VARIABLE} names {named}, which is no file: correct or unset it")
        return Path(named)
    place = inception_place(mode)
    return place if place.is_file() else None


def file_sha256(path: Path) -> str:
    """sha256 of a file, remembered while its size and time of change stay the same."""
    stat = path.stat()
    return _file_sha256(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _file_sha256(path: Path, _size: int, _mtime: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def title(metric: Metric) -> str:
    """The name to print: what is not the Inception FID is never called FID."""
    match metric:
        case RoomsFrechet(resolution=16):
            return "rooms Frechet distance (proxy, not FID)"
        case RoomsFrechet(resolution=resolution):
            return f"rooms Frechet distance at {resolution} x {resolution} (proxy, not FID)"
        case CleanFid(mode=mode, samples=samples):
            return f"FID (clean-fid, {mode}, {samples} samples)"
        case MeanAbsoluteError():
            return "mean absolute error of the fitted images, in [-1, 1]"
        case _:
            assert_never(metric)


def protocol(config: AnyConfig) -> dict[str, str]:
    """What a number of this config was measured with, for people: metric, title, extractor, samples, real set, ...

    Reads the record of the shipped extractor, and the Inception weights file where there is one, to name their hashes.
    """
    return _of_fit(config) if isinstance(config, Reconstruction) else _of_gan(config)


def _of_fit(config: Reconstruction) -> dict[str, str]:
    data, coded = config.data, isinstance(config.emitter, LatentCodes)
    source = f"rooms (renderer {data.renderer}, seed {data.seed})" if isinstance(data, Rooms) else "images given"
    return {
        "metric": config.evaluation.metric.kind,
        "title": title(config.evaluation.metric),
        "images": f"{config.images} of the training {source}, drawn by the seed, {data.resolution} x {data.resolution}",
        "parameters": "through latent codes and a hypernetwork, both fitted" if coded else "free, one vector an image",
        "loss": "the same mean absolute error, full batch, all pixels",
        "precision": config.precision,
        "quantisation": "none: the images that the networks render are compared in floating point",
    }


def _of_gan(config: Config) -> dict[str, str]:
    metric, data = config.evaluation.metric, config.data
    resolution = f"{data.resolution} x {data.resolution}"
    match data:
        case Rooms():
            real = f"{data.held_out} held-out rooms (renderer {data.renderer}, seed {data.seed}), {resolution}"
        case Images():
            real = f"the {data.count} training images (fingerprint {data.fingerprint[:12]}), {resolution}"
        case _:
            assert_never(data)
    return {
        "metric": metric.kind,
        "title": title(metric),
        "extractor": _extractor(metric),
        "samples": str(metric.samples),
        "real set": real,
        "latents": f"fixed, seed {config.evaluation.latents_seed}",
        "generator": f"EMA, decay {config.ema.decay:g}" if config.ema else "raw, no EMA",
        "quantisation": "generated and real images are rounded to 8 bits a channel",
        **_of_further(config),
    }


def _extractor(metric: GanMetric) -> str:
    match metric:
        case RoomsFrechet(layer=layer, resolution=side):
            read = {"pooled": "80 pooled features", "bottleneck": "64 bottleneck features"}[layer]
            return f"rooms{side}, {read} at {side} x {side} (sha256 {extractor_sha256(side)[:12]})"
        case CleanFid(mode=mode):
            file = inception_file(mode)
            known = f"sha256 {file_sha256(file)[:12]}" if file else "fetched on first use"
            return f"InceptionV3 of 2015-12-05, 2048 features, clean-fid mode {mode} ({known})"
        case _:
            assert_never(metric)


def _of_further(config: Config) -> dict[str, str]:
    """What is measured at the last iteration besides the metric."""
    evaluation, side = config.evaluation, config.data.resolution
    said: dict[str, str] = {}
    if evaluation.resamples:
        said["resamples"] = (
            f"{evaluation.resamples} further sets of {evaluation.metric.samples} latents, independent of the fixed ones"
        )
    if asked := evaluation.upsampling:
        fine = asked.factor * side
        said["upsampling"] = (
            f"{side} x {side} to {fine} x {fine}, the first {asked.metric.samples} fixed latents, against the same "
            f"real set at {fine} x {fine}; own: {side} x {side} against {side} x {side}; {title(asked.metric)}, "
            f"{_extractor(asked.metric)}"
        )
        said["upsampling grids"] = (
            f"in coarse pixels fine pixel j is at (j + 1/2) / {asked.factor} - 1/2 (centres) or j / {asked.factor} "
            f"(corners); trained on {config.inr.coordinates.sampling}"
        )
        said["upsampling methods"] = (
            "natural: the INR at those points; natural_averaged: the mean of 2 x 2 points a pixel; bilinear, bicubic "
            "(a = -0.75): of the 8-bit coarse images, edges repeated, rounded; nearest: pixels repeated"
        )
    if paths := evaluation.interpolation:
        said["interpolation"] = (
            f"{paths.paths} spherical paths between pairs of N(0, I) latents of their own, seed "
            f"{evaluation.latents_seed}, {paths.steps} images each, ends included; distances are root mean squares "
            "over pixels; not quantised; means over paths"
        )
        said["perceptual path length"] = (
            f"squared distance of the extractor's features (not LPIPS) at steps of {paths.epsilon:g}, over its square, "
            "one uniform place a path, none left out; not quantised"
        )
    return said
