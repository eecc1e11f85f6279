"""The cost of training by arithmetic: multiply-accumulates counted from a config alone, without torch.

Counted are the products that networks are made of (matrix products and convolutions), forwards and backwards: of G, of
D on real and on generated images, and of the gradient penalty, whose second derivatives go through D once more. Not
counted is what is no product (activations, norms, optimisers, the moving average) and all that is evaluation. Of an
imported layer only its product with the pixels is known. The counts are those that torch's own operations make, by the
same rules; a GPU or CPU may be faster at some of them than at others, so they are work and not time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import assert_never

from core import config as cfg


@dataclass(frozen=True)
class Work:
    """Multiply-accumulates of products: forwards, and backwards to all that is trained."""

    forward: int = 0
    backward: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(self.forward + other.forward, self.backward + other.backward)

    def __mul__(self, times: int) -> Work:
        return Work(self.forward * times, self.backward * times)

    @property
    def both(self) -> int:
        """There and back."""
        return self.forward + self.backward


def product(macs: int, *, from_data: bool = False) -> Work:
    """One product: its way back is one product for the weights and one for what came in, unless that is data."""
    return Work(macs, macs if from_data else 2 * macs)


# --- G ----------------------------------------------------------------------------------------------------------------


def emitted_by(layer: cfg.Layer, width: int) -> int:
    """Numbers that one hidden layer of this width is emitted as, for one image; of an imported layer a plain one's."""
    match layer:
        case cfg.MFiLM():
            return 3 * width
        case cfg.AdaIN():
            return 2 * width
        case cfg.Factorized(rank=rank) | cfg.FactorizedSE(rank=rank):
            return 2 * rank * width + width
        case cfg.Linear() | cfg.SELinear() | cfg.Imported():
            return width * width + width
        case _:
            assert_never(layer)


def sizes_of(inr: cfg.Inr) -> list[tuple[int, int]]:
    """How many layers there are, and the numbers that each is emitted as for one image: coordinate, hidden, RGB.

    Not a number a layer: a config from elsewhere may have any depth.
    """
    frequencies = inr.width // 2 if isinstance(inr.basis, cfg.Fourier) else inr.width
    first = 0 if inr.coordinates.layer == "shared" else 3 * frequencies
    # The first hidden layer of every block after the first is two.
    blocks = 1 if inr.scales is None else inr.scales.blocks
    hidden = inr.depth - 1 + blocks - 1
    return [(blocks, first), (hidden, emitted_by(inr.layer, inr.width)), (1, 3 * inr.width + 3)]


def hidden_layer(layer: cfg.Layer, width: int, pixels: int) -> Work:
    """One hidden layer of one image."""
    square = product(pixels * width * width)
    match layer:
        case cfg.Factorized(rank=rank) if 4 * rank <= width:
            # Through `rank` numbers a pixel, where that is the cheaper form.
            return product(2 * pixels * rank * width)
        case cfg.Factorized(rank=rank) | cfg.FactorizedSE(rank=rank):
            return product(rank * width * width) + square
        case cfg.Linear() | cfg.SELinear() | cfg.MFiLM() | cfg.AdaIN() | cfg.Imported():
            return square
        case _:
            assert_never(layer)


@dataclass(frozen=True)
class Block:
    """Layers on one grid: its points, and the hidden layers that are applied to features there."""

    points: int
    hidden: int


def blocks_of(inr: cfg.Inr, resolution: int) -> list[Block]:
    """Those of an INR at its trained resolution, the coarsest first."""
    pixels = points_of(inr, resolution)
    if inr.scales is None:
        return [Block(pixels, inr.depth - 1)]
    sides = [-(-resolution // coarsening) for coarsening in inr.scales.coarsening]
    points = [*(side**2 for side in sides[:-1]), pixels]
    counts = inr.scales.layers(inr.depth)
    # A block's last features go into a layer of the next one, which is evaluated where they are.
    further = [*[1] * (len(counts) - 1), 0]
    return [Block(*each) for each in zip(points, map(sum, zip(counts, further, strict=True)), strict=True)]


def points_of(inr: cfg.Inr, resolution: int) -> int:
    """Where f is evaluated for an image."""
    return (resolution * (inr.footprint.points if isinstance(inr.footprint, cfg.Averaged) else 1)) ** 2


def rendering(inr: cfg.Inr, resolution: int, images: int, *, own_points: bool = False) -> Work:
    """A batch of images from their emitted parameters; `own_points`: each is seen at others, as if they were on the
    coarser grids of an INR of several scales."""
    frequencies = inr.width // 2 if isinstance(inr.basis, cfg.Fourier) else inr.width
    work = product(points_of(inr, resolution) * inr.width * 3) * images
    for block in blocks_of(inr, resolution):
        # A shared coordinate layer is the same for all images, and is applied once where they are seen at one place.
        once = inr.coordinates.layer == "shared" and not own_points
        work += product(block.points * 2 * frequencies, from_data=True) * (1 if once else images)
        work += hidden_layer(inr.layer, inr.width, block.points) * block.hidden * images
    return work


def trunk(inputs: int, width: int, depth: int, *, from_data: bool) -> Work:
    """A fully connected trunk, for one latent."""
    first = product(inputs * width, from_data=from_data)
    return first + product(width * width) * (depth - 1)


def emission(net: cfg.Hypernetwork, sizes: list[tuple[int, int]], *, trained_latents: bool = False) -> Work:
    """The parameters of one image's INR from its latent."""
    work = trunk(net.latent_dim, net.width, net.depth, from_data=not trained_latents)
    if net.heads is None:
        return work + product(net.width * sum(count * size for count, size in sizes))
    for count, size in sizes:
        if size:
            head = trunk(net.width, net.heads.width, net.heads.depth, from_data=False)
            work += (head + product(net.heads.width * size)) * count
    return work


# --- D ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pass:
    """Multiply-accumulates of D on one image, forwards: of all layers, and of the first and the last among them."""

    all: int
    first: int
    last: int


def discriminating(net: cfg.Discriminator, resolution: int, channels: int = 3) -> Pass:
    """One image through D."""
    match net:
        case cfg.ResNetDiscriminator(width=width, blocks=blocks):
            stem = resolution**2 * channels * width * 9
            total = stem
            for block in range(blocks):
                channels, size = width * 2**block, resolution // 2**block
                total += size**2 * channels * 9 * (channels + 2 * channels)
                total += (size // 2) ** 2 * channels * 2 * channels
            score = width * 2**blocks * (resolution // 2**blocks) ** 2
            return Pass(total + score, stem, score)
        case (
            cfg.StridedDiscriminator(patch=patch, width=width, blocks=blocks, hidden=hidden)
            | cfg.PooledDiscriminator(patch=patch, width=width, blocks=blocks, hidden=hidden)
        ):
            size = resolution // patch
            stem = size**2 * channels * patch**2 * width * 9
            total = stem
            widths = [width * 2**block for block in range(blocks + 1)]
            for inputs, outputs in pairwise(widths):
                size //= 2
                total += size**2 * inputs * outputs * 16
            last = net.pool if isinstance(net, cfg.PooledDiscriminator) else size
            # The score also reads how much the minibatch varies.
            return Pass(total + widths[-1] * last**2 * hidden + hidden + 1, stem, hidden + 1)
        case _:
            assert_never(net)


# --- critics ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Iteration:
    """The parts of an iteration. `d` is part of every one: G's images and D's update by its loss; `penalty` of those
    that are regularised, `g` of those that update G."""

    d: int
    penalty: int
    g: int


def sides(view: cfg.View, config: cfg.Config, iterations: int) -> list[tuple[float, int]]:
    """The sides of the images that a view shows, each with its share of so many iterations, drawn ones on average."""
    shown = config.sizes_of(view)
    if isinstance(view, cfg.Growing):
        stages = [growing_stage(view, i, config.iterations) for i in range(1, iterations + 1)]
        return [(stages.count(k) / max(1, iterations), side) for k, side in enumerate(shown)]
    return [(1 / len(shown), side) for side in shown]


def growing_stage(view: cfg.Growing, iteration: int, iterations: int) -> int:
    """Which of its sizes a picture has grown to: each but the last for an equal part of the share it grows in."""
    last = len(view.sizes) - 1
    return min(last, int((iteration - 1) * last / (view.until * iterations)))


def own(view: cfg.View) -> bool:
    """Whether images are seen at points of their own."""
    return isinstance(view, cfg.Patches | cfg.Beside | cfg.Foveated)


def met(looks: cfg.Looks | cfg.Critic, config: cfg.Config, side: int) -> Iteration:
    """What it costs that a critic meets images of that side, the hypernetwork apart."""
    net, penalty_of = config.discriminator, config.penalty
    if isinstance(looks, cfg.Critic):
        net, penalty_of = looks.discriminator or net, looks.penalty or penalty_of
    images, pictures = config.images_of(looks), 2 if isinstance(looks.view, cfg.Beside) else 1
    fake = rendering(config.inr, side, images, own_points=own(looks.view))
    if pictures == 2:
        fake += rendering(config.inr, side, images)
    d = discriminating(net, side, pictures * (6 if looks.places else 3))
    # Real and generated images through D and back to its weights; its first layer has nothing further to go back to.
    update = 2 * (3 * d.all - d.first)
    # D's gradient by the images goes through every layer; going back through it, to the weights, takes each layer
    # twice, but the last one, which begins with a constant, once.
    second = 3 * d.all - d.last
    match penalty_of:
        case cfg.GradientPenalty():
            # Its mixtures are images of their own: a pass through D more, and back from below the score.
            penalty = second + 3 * d.all - d.first - 2 * d.last
        case cfg.R1():
            penalty = second
        case _:
            assert_never(penalty_of)
    return Iteration(d=fake.forward + images * update, penalty=images * penalty, g=2 * images * d.all + fake.backward)


def parts(config: cfg.Config) -> Iteration:
    """The cost of each part of an iteration, of the discriminator's critic and the hypernetwork."""
    emitted = emission(config.hypernetwork, sizes_of(config.inr)) * config.batch_size
    first = met(config.looks, config, config.sizes_of(config.looks.view)[0])
    return Iteration(d=emitted.forward + first.d, penalty=first.penalty, g=emitted.backward + first.g)


def of_critic(looks: cfg.Looks | cfg.Critic, config: cfg.Config, iterations: int) -> float:
    """What one critic costs in so many iterations, the hypernetwork apart."""
    further, period, penalty = False, 1, config.penalty
    if isinstance(looks, cfg.Critic):
        further, period, penalty = True, looks.period, looks.penalty or penalty
    regularised, updating = iterations // (period * penalty.interval), iterations // math.lcm(period, config.d_per_g)
    total = 0.0
    for share, side in sides(looks.view, config, iterations):
        part = met(looks, config, side)
        coarse = 0
        if config.consistency and further and not isinstance(looks.view, cfg.Whole | cfg.Beside):
            images, blocks = config.images_of(looks), side // config.consistency.block
            coarse = rendering(config.inr, blocks, images, own_points=own(looks.view)).forward
        total += share * (iterations // period * part.d + regularised * part.penalty + updating * (part.g + coarse))
    return total


# --- a run ------------------------------------------------------------------------------------------------------------


def g_updates(config: cfg.AnyConfig, iterations: int | None = None) -> int:
    """How often G is updated in so many iterations, or in all; a fit has no D, and updates in each."""
    done = config.iterations if iterations is None else iterations
    return done // config.d_per_g


def training(config: cfg.AnyConfig, iterations: int | None = None) -> int:
    """Multiply-accumulates of so many iterations, or of all."""
    done = config.iterations if iterations is None else iterations
    match config:
        case cfg.Config():
            emitted = emission(config.hypernetwork, sizes_of(config.inr)) * config.batch_size
            critics = of_critic(config.looks, config, done) + sum(
                of_critic(critic, config, done) for critic in config.critics
            )
            return done * emitted.forward + g_updates(config, done) * emitted.backward + round(critics)
        case cfg.Reconstruction():
            work = rendering(config.inr, config.data.resolution, config.images)
            if isinstance(config.emitter, cfg.LatentCodes):
                net = config.emitter.hypernetwork
                work += emission(net, sizes_of(config.inr), trained_latents=True) * config.images
            return done * work.both
        case _:
            assert_never(config)
