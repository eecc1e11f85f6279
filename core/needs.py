"""The memory that a config cannot do without, by arithmetic: what asks for more than there is, is refused.

Counted is what has to be there, and not all of it: a config that passes may still need more, one that does not pass
cannot be trained. No torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import Any, assert_never

from core import config as cfg
from core.arithmetic import points_of, sizes_of
from core.errors import InputError
from core.machine import memory

TRAINED = 16
"""Bytes of a parameter that is trained: itself, its gradient, Adam's two averages. For a GPU the host only makes it."""

MODULE = 4_000
"""Bytes of a layer beside its numbers."""

LEAST = 8 * 2**30
"""Bytes that are always taken to be there: there may be swap, and every published config needs fewer."""

ANYWHERE = 2**45
"""Bytes that no machine has: what is compared with where another one trains."""

RECORD = 1_000
"""Bytes of the protocol of a series."""

PICTURES = 64


@dataclass(frozen=True)
class Need:
    """Bytes that `fields` ask for together. What does not last is freed before the next such part begins."""

    what: str
    fields: tuple[str, ...]
    bytes: int
    lasts: bool = True


def needs(config: cfg.AnyConfig, *, on_cpu: bool) -> list[Need]:
    """The least that a job of this config takes of the host's memory."""
    match config:
        case cfg.Config():
            parts = (_of_data(config.data), _of_networks(config, on_cpu), _of_critics(config, on_cpu))
            return [*chain.from_iterable(parts), *_of_evaluation(config)]
        case cfg.Reconstruction():
            return [*_of_data(config.data), *_of_fit(config, on_cpu)]
        case _:
            assert_never(config)


def needed_bytes(config: cfg.AnyConfig, *, on_cpu: bool = True) -> int:
    """Bytes that are needed at once: all that lasts, and the largest of what does not."""
    parts = needs(config, on_cpu=on_cpu)
    passing = [need.bytes for need in parts if not need.lasts]
    return sum(need.bytes for need in parts if need.lasts) + max(passing, default=0)


def check_memory(config: cfg.AnyConfig, *, on_cpu: bool, there: int | None = None) -> None:
    """Raises InputError for a config that needs more than the `there` bytes, None: all that this process may have."""
    if there is None:
        there = max(memory() or ANYWHERE, LEAST)
    if (total := needed_bytes(config, on_cpu=on_cpu)) <= there:
        return
    most = max(needs(config, on_cpu=on_cpu), key=lambda need: need.bytes)
    field, value = _to_blame(config, most.fields)
    raise InputError(
        f"{field} is {_number(value)}: {most.what} alone would take {_gigabytes(most.bytes)} of memory, all together "
        f"{_gigabytes(total)}, and there are {_gigabytes(there)}: lower it"
    )


def _gigabytes(count: int) -> str:
    if count < 10**14:
        return f"{count / 1e9:,.1f} GB"
    return f"{_number(count // 10**9)} GB"


def _number(value: int) -> str:
    # A number may have more digits than Python writes.
    return f"{value:,}" if value < 10**15 else f"over 10^{int((value.bit_length() - 1) * 0.30103)}"


def _to_blame(config: cfg.AnyConfig, fields: tuple[str, ...]) -> tuple[str, int]:
    """The field that is furthest above its default, and its value."""
    entries = [(field, *_value_and_default(config, field)) for field in fields]
    field, value, _ = max(
        entries, key=lambda entry: entry[1] / max(entry[2], 1) if entry[1] < 10**300 else float("inf")
    )
    return field, value


def _value_and_default(config: cfg.AnyConfig, field: str) -> tuple[int, int]:
    *nodes, name = field.split(".")
    node: Any = reduce(getattr, nodes, config)
    default = type(node).model_fields[name].default
    return getattr(node, name), default if isinstance(default, int) else 1


# --- data -------------------------------------------------------------------------------------------------------------


def _of_data(data: cfg.Data) -> Iterator[Need]:
    image = 3 * data.resolution**2
    match data:
        case cfg.Rooms():
            scenes = data.train + data.held_out
            fields = ("data.train", "data.held_out", "data.resolution")
            yield Need("the rooms", fields, scenes * (image + 8))
            yield Need("drawing one of them", ("data.resolution",), 4 * image, lasts=False)
        case cfg.Images():
            # They are mapped from a file; one is decoded, and their order is drawn.
            yield Need("an image", ("data.resolution",), image, lasts=False)
            yield Need("the images' order", ("data.count",), 8 * data.count)
        case _:
            assert_never(data)


# --- networks ---------------------------------------------------------------------------------------------------------


def _emitted(inr: cfg.Inr) -> int:
    return sum(count * size for count, size in sizes_of(inr))


def _trunk(inputs: int, width: int, depth: int) -> int:
    return (inputs + 1) * width + (depth - 1) * (width + 1) * width


INR_FIELDS = ("inr.width", "inr.depth")


def _of_inr(inr: cfg.Inr, resolution: int, field: str) -> Iterator[Need]:
    yield Need("the INR's layers", ("inr.depth",), sum(count for count, _ in sizes_of(inr)) * MODULE)
    fields = ("inr.width", field, *_points_of_a_pixel(inr))
    yield Need("one image's activations", fields, 4 * points_of(inr, resolution) * inr.width, lasts=False)


def _points_of_a_pixel(inr: cfg.Inr) -> tuple[str, ...]:
    return ("inr.footprint.points",) if isinstance(inr.footprint, cfg.Averaged) else ()


def _of_hypernetwork(net: cfg.Hypernetwork, inr: cfg.Inr, at: str, each: int) -> Iterator[Need]:
    emitted = _emitted(inr)
    own = tuple(f"{at}.{name}" for name in ("latent_dim", "width", "depth"))
    yield Need("the hypernetwork's trunk", own, each * _trunk(net.latent_dim, net.width, net.depth))
    yield Need("the hypernetwork's layers", (f"{at}.depth",), net.depth * MODULE)
    if net.heads is None:
        yield Need("the map to the INR's parameters", (*own[1:2], *_size_of(inr)), each * (net.width + 1) * emitted)
        return
    heads, within = net.heads, (f"{at}.heads.width", f"{at}.heads.depth")
    one = _trunk(net.width, heads.width, heads.depth)
    yield Need("the heads", (*within, *own[1:2], "inr.depth"), each * inr.depth * one)
    yield Need("the heads' layers", (within[1], "inr.depth"), inr.depth * heads.depth * MODULE)
    yield Need("the heads' maps to the INR's parameters", (within[0], *_size_of(inr)), each * heads.width * emitted)


def _size_of(inr: cfg.Inr) -> tuple[str, ...]:
    return (*INR_FIELDS, "inr.layer.rank") if isinstance(inr.layer, cfg.Factorized | cfg.FactorizedSE) else INR_FIELDS


def _of_discriminator(net: cfg.Discriminator, resolution: int, each: int) -> Iterator[Need]:
    match net:
        case cfg.ResNetDiscriminator(width=width, blocks=blocks):
            last = width * 2**blocks
            numbers = 27 * width + last * (resolution // 2**blocks) ** 2
            # Of the last block, which has most.
            numbers += (last // 2) ** 2 * 27 if blocks else 0
            names: tuple[str, ...] = ("width", "blocks")
        case (
            cfg.StridedDiscriminator(patch=patch, width=width, blocks=blocks, hidden=hidden)
            | cfg.PooledDiscriminator(patch=patch, width=width, blocks=blocks, hidden=hidden)
        ):
            last = width * 2**blocks
            side = net.pool if isinstance(net, cfg.PooledDiscriminator) else resolution // patch // 2**blocks
            numbers = 27 * patch**2 * width + last * side**2 * hidden
            numbers += (last // 2) * last * 16 if blocks else 0
            names = ("width", "blocks", "hidden", "patch")
        case _:
            assert_never(net)
    fields = (*(f"discriminator.{name}" for name in names), "data.resolution")
    yield Need("the discriminator", fields, each * numbers)


def _of_networks(config: cfg.Config, on_cpu: bool) -> Iterator[Need]:
    each = TRAINED if on_cpu else 4
    resolution = config.data.resolution
    yield from _of_hypernetwork(config.hypernetwork, config.inr, "hypernetwork", each)
    yield from _of_inr(config.inr, resolution, "data.resolution")
    yield from _of_discriminator(config.discriminator, resolution, each)
    batch = config.batch_size * 3 * resolution**2
    yield Need("a batch of images", ("batch_size", "data.resolution"), (4 * 2 if on_cpu else 1) * batch, lasts=False)
    if on_cpu:
        emitted = 4 * config.batch_size * _emitted(config.inr)
        yield Need("a batch's emitted parameters", ("batch_size", *_size_of(config.inr)), emitted, lasts=False)


def _of_critics(config: cfg.Config, on_cpu: bool) -> Iterator[Need]:
    """What is stored for views of parts, and what further critics and other sizes than the whole picture's take."""
    each = TRAINED if on_cpu else 4
    if isinstance(config.fine, cfg.Pool):
        side, image = config.fine.resolution, 3 * config.fine.resolution**2
        if isinstance(config.data, cfg.Rooms):
            scenes = math.ceil(config.fine.share * config.data.train)
            yield Need("the fine rooms", ("fine.resolution", "data.train"), scenes * (image + 8))
        else:
            yield Need("a fine image", ("fine.resolution",), image, lasts=False)
    everyone: list[cfg.Looks | cfg.Critic] = [config.looks, *config.critics]
    for looks in everyone:
        side, images = max(config.sizes_of(looks.view)), config.images_of(looks)
        if isinstance(looks, cfg.Critic):
            for need in _of_discriminator(looks.discriminator or config.discriminator, side, each):
                yield dataclasses.replace(need, what=f"the discriminator of {looks.name}", fields=("data.resolution",))
        shown = (4 * 2 if on_cpu else 1) * images * 3 * side**2
        yield Need("a batch of what a critic sees", ("batch_size", "data.resolution"), shown, lasts=False)


def _of_fit(config: cfg.Reconstruction, on_cpu: bool) -> Iterator[Need]:
    each = TRAINED if on_cpu else 4
    resolution = config.data.resolution
    yield from _of_inr(config.inr, resolution, "data.resolution")
    yield Need("the images", ("images", "data.resolution"), 4 * config.images * 3 * resolution**2)
    match config.emitter:
        case cfg.FreeParameters():
            yield Need("their INRs", ("images", *_size_of(config.inr)), each * config.images * _emitted(config.inr))
        case cfg.LatentCodes(hypernetwork=net):
            at = "emitter.hypernetwork"
            yield from _of_hypernetwork(net, config.inr, at, each)
            yield Need("the codes", ("images", f"{at}.latent_dim"), each * config.images * net.latent_dim)
        case _:
            assert_never(config.emitter)


# --- evaluation -------------------------------------------------------------------------------------------------------


def _of_evaluation(config: cfg.Config) -> Iterator[Need]:
    evaluation, latent = config.evaluation, config.hypernetwork.latent_dim
    resolution, metric = config.data.resolution, config.evaluation.metric
    samples = "evaluation.metric.samples"
    latents = 4 * max(metric.samples, PICTURES) * latent
    yield Need("the latents of the evaluation", (samples, "hypernetwork.latent_dim"), latents)
    # As they come, and in double precision.
    yield Need("the samples' features", (samples,), 12 * metric.samples * metric.features, lasts=False)
    yield Need("the records of resamples", ("evaluation.resamples",), RECORD * evaluation.resamples)
    if quality := evaluation.quality:
        at = "evaluation.quality"
        compared = min(quality.samples, metric.samples)
        yield Need("the samples' neighbours", (f"{at}.samples", samples), 4 * compared**2, lasts=False)
        kernel = min(quality.kernel_subset, metric.samples)
        yield Need("the kernels of a subset", (f"{at}.kernel_subset", samples), 8 * kernel**2, lasts=False)
        yield Need("the points of a line", (f"{at}.points",), 8 * quality.points, lasts=False)
    if upsampling := evaluation.upsampling:
        at = "evaluation.upsampling"
        side = upsampling.factor * resolution
        coarse = (1 if upsampling.metric.quantised else 4) * upsampling.metric.samples * 3 * resolution**2
        yield Need("the samples", (f"{at}.metric.samples", "data.resolution"), coarse, lasts=False)
        fields = (f"{at}.factor", "data.resolution")
        # The mean of 2 x 2 points is rendered at twice the side.
        enlarged = 4 * points_of(config.inr, 2 * side) * max(3, config.inr.width)
        yield Need("an enlarged image", (*fields, *_points_of_a_pixel(config.inr)), enlarged, lasts=False)
        if isinstance(config.data, cfg.Rooms):
            yield Need("the rooms at that size", (*fields, "data.held_out"), config.data.held_out * 3 * side**2)
        seen = 12 * upsampling.metric.samples * upsampling.metric.features
        yield Need("the samples' features", (f"{at}.metric.samples",), seen, lasts=False)
        if "sr_cnn" in upsampling.opponents:
            pairs = cfg.PAIRS
            if isinstance(config.data, cfg.Rooms):
                pairs = min(pairs, config.data.train)
                yield Need("the training rooms at that size", fields, pairs * (3 * side**2 + 8))
            # Its windows, and in single precision what they have beyond enlarged ones.
            window = min(cfg.WINDOW, resolution) * upsampling.factor
            yield Need("the windows of a network that enlarges", (f"{at}.factor",), pairs * 15 * window**2)
    if scales := evaluation.scales:
        at = "evaluation.scales"
        dense = 3 * scales.fine**2
        # Of a batch no fewer than one: what one layer of the INR holds of it.
        yield Need("a dense image", (f"{at}.fine",), 4 * scales.fine**2 * max(3, config.inr.width), lasts=False)
        yield Need("the dense images", (f"{at}.dense", f"{at}.fine"), scales.dense * dense, lasts=False)
        if isinstance(config.data, cfg.Rooms):
            yield Need("the rooms at fine pixels", (f"{at}.fine", "data.held_out"), config.data.held_out * dense)
        yield Need("the patches' features", (f"{at}.patches",), 12 * scales.patches * metric.features, lasts=False)
    if octaves := evaluation.octaves:
        at = "evaluation.octaves"
        # Real windows and those of the floor are in memory one zoom after the other.
        drawn = 3 * cfg.PATCH**2 * (octaves.real + octaves.windows)
        yield Need("the true windows", (f"{at}.real", f"{at}.windows"), drawn, lasts=False)
        features = 12 * max(octaves.real, octaves.windows) * metric.features
        yield Need("the windows' features", (f"{at}.real", f"{at}.windows"), features, lasts=False)
    if walk := evaluation.interpolation:
        at = "evaluation.interpolation"
        image = 3 * resolution**2
        yield Need("the ends of paths", (f"{at}.paths", "hypernetwork.latent_dim"), 8 * walk.paths * latent)
        yield Need("a path's images", (f"{at}.steps", "data.resolution"), 12 * walk.steps * image, lasts=False)
        shown = walk.pictures * walk.steps * image
        yield Need("the pictures of paths", (f"{at}.pictures", f"{at}.steps"), shown, lasts=False)
