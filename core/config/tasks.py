"""The two tasks: a GAN that is trained, a few images that are fitted."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, assert_never

from pydantic import Field, PositiveFloat, model_validator

from core.config.data import Data, Images, Rooms
from core.config.evaluation import PAIRS, CleanFid, ErrorEvaluation, Evaluation
from core.config.inr import Fourier, Inr
from core.config.networks import (
    GROUP,
    Discriminator,
    Hypernetwork,
    PooledDiscriminator,
    ResNetDiscriminator,
    StridedDiscriminator,
)
from core.config.node import JOINED, Node, PositiveInt
from core.config.objectives import Adam, Ema, GradientPenalty, Loss, Optimizers, Penalty, Precision, Wasserstein
from core.config.views import (
    AnyFine,
    Beside,
    Consistency,
    Critic,
    Foveated,
    Growing,
    Looks,
    Patches,
    Pool,
    Scenes,
    Sizes,
    View,
    Whole,
)


class Config(Node):
    """One INR-GAN and how it is trained and measured.

    An iteration is one update of D; G is updated at every `d_per_g`-th iteration (a reading: the author's later code
    counts so). `images` shown after t iterations are t * batch_size. With `flip`, as in the public code
    for every LSUN set, half of the real images that D sees are mirrored left to right; generated images and the
    metric's real set are not.
    """

    task: Literal["gan"] = "gan"
    data: Data = Rooms()
    flip: bool = True
    inr: Inr = Inr()
    hypernetwork: Hypernetwork = Hypernetwork()
    discriminator: Discriminator = ResNetDiscriminator()
    loss: Loss = Wasserstein()
    penalty: Penalty = GradientPenalty()
    optimizers: Optimizers = Optimizers()
    ema: Ema | None = None
    d_per_g: PositiveInt = 5
    batch_size: PositiveInt = 32
    precision: Precision = "float32"
    iterations: PositiveInt = 20_000
    evaluation: Evaluation = Evaluation()
    looks: Annotated[Looks, JOINED] = Looks()
    critics: Annotated[tuple[Critic, ...], JOINED] = ()
    consistency: Annotated[Consistency | None, JOINED] = None
    fine: Annotated[AnyFine | None, JOINED] = None

    @property
    def period(self) -> int:
        """After so many iterations the loop does the same again: updates of G, critics and lazy penalties have come
        round."""
        further = (critic.period * (critic.penalty or self.penalty).interval for critic in self.critics)
        return math.lcm(self.d_per_g, self.penalty.interval, *further)

    @property
    def smaller(self) -> str:
        """The field that takes less memory at half its value, as people write it."""
        return f"batch_size={max(1, self.batch_size // 2)} (it is {self.batch_size})"

    @property
    def finest(self) -> float:
        """The side of the largest real images; infinite where scenes are drawn as they are looked at."""
        match self.fine:
            case None:
                return self.data.resolution
            case Pool(resolution=resolution):
                return resolution
            case Scenes():
                return math.inf
            case _:
                assert_never(self.fine)

    def images_of(self, looks: Looks | Critic) -> int:
        """Of a batch those that a critic meets."""
        return round(looks.share * self.batch_size)

    def sizes_of(self, view: View) -> tuple[int, ...]:
        """The sides, in pixels, of the images that a view shows."""
        match view:
            case Whole() | Beside():
                return (self.data.resolution,)
            case Patches(size=size) | Foveated(size=size):
                return (size or self.data.resolution,)
            case Sizes(sizes=sizes) | Growing(sizes=sizes):
                return sizes
            case _:
                assert_never(view)

    @property
    def paired(self) -> tuple[Data, Pool] | None:
        """Of training images those in more detail that a network for super-resolution is trained on; None: of none.

        Their pixels are means over areas, as those of the real images that its own are compared with.
        """
        upsampling, data = self.evaluation.upsampling, self.data
        if upsampling is None or "sr_cnn" not in upsampling.opponents:
            return None
        resolution = upsampling.factor * data.resolution
        match data:
            case Rooms():
                pool = Pool(resolution=resolution, share=min(1.0, PAIRS / data.train))
                return data.replace(shown="areas"), pool
            case Images():
                return data, Pool(resolution=resolution)
            case _:
                assert_never(data)

    @model_validator(mode="after")
    def _image_survives_the_discriminator(self) -> Config:
        net = self.discriminator
        _check_halved(net, self.sizes_of(self.looks.view), "discriminator", "data.resolution")
        for critic in self.critics:
            at = f"critics.{critic.name}"
            _check_halved(critic.discriminator or net, self.sizes_of(critic.view), at, f"{at}.view.size")
        return self

    @model_validator(mode="after")
    def _critics_see_what_there_is(self) -> Config:
        names = [critic.name for critic in self.critics]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"critics: two are called '{twice.pop()}': each needs a name of its own")
        everyone: list[tuple[str, Looks | Critic]] = [("looks", self.looks)]
        for at, looks in [*everyone, *((f"critics.{critic.name}", critic) for critic in self.critics)]:
            if not self.images_of(looks):
                raise ValueError(f"{at}.share is {looks.share:g}: of a batch of {self.batch_size} that is no image")
            self._check_detail(at, looks.view)
            self._check_windows(at, looks)
        if isinstance(self.fine, Scenes) and not isinstance(self.data, Rooms):
            raise ValueError("fine: scenes are drawn of rooms alone: of images give a pool, fine=pool")
        if self.consistency:
            self._check_blocks(self.consistency.block)
        return self

    @model_validator(mode="after")
    def _fine_pixels_divide_coarse_ones(self) -> Config:
        scales, resolution = self.evaluation.scales, self.data.resolution
        if scales and (scales.fine % resolution or scales.fine == resolution):
            raise ValueError(
                f"evaluation.scales.fine is {scales.fine}: it must be a multiple of data.resolution, {resolution}, "
                "and larger"
            )
        return self

    @model_validator(mode="after")
    def _octaves_are_of_rooms(self) -> Config:
        if self.evaluation.octaves and not isinstance(self.data, Rooms):
            raise ValueError(
                "evaluation.octaves: windows of any zoom are drawn of rooms alone: of images give evaluation.scales"
            )
        return self

    def _check_detail(self, at: str, view: View) -> None:
        """Real images are never made larger than they are: it would show D what tells them from G's."""
        match view:
            case Patches() | Beside():
                patches = view if isinstance(view, Patches) else view.patches
                if isinstance(view, Beside) and patches.size not in (None, self.data.resolution):
                    raise ValueError(f"{at}.view.patches.size is {patches.size}: beside the picture it has its size")
                needed = (patches.size or self.data.resolution) / patches.scale.least
                what = f"windows of {patches.size or self.data.resolution} pixels at scale {patches.scale.least:g}"
            case Sizes(sizes=sizes) | Growing(sizes=sizes):
                needed, what = max(sizes), f"pictures of {max(sizes)} pixels"
            case Foveated() as foveated:
                # Where the bump lies at an edge, half of it is all there is beside the floor.
                whole = foveated.floor + foveated.width * math.sqrt(math.pi / 2)
                needed = (foveated.size or self.data.resolution) * (1 + foveated.floor) / whole
                what = "the densest part of a foveated view"
            case Whole():
                return
            case _:
                assert_never(view)
        # A window of a fortieth of a pixel more is rounding.
        if needed > self.finest * 1.025:
            raise ValueError(
                f"{at}.view: {what} would need real images of {math.ceil(needed)} pixels a side, and those here have "
                f"{self.finest}: set fine.resolution={math.ceil(needed)}, or look less closely"
            )

    def _check_windows(self, at: str, looks: Looks | Critic) -> None:
        patches = looks.view.patches if isinstance(looks.view, Beside) else looks.view
        if not isinstance(patches, Patches):
            return
        groups = self.images_of(looks) // math.gcd(self.images_of(looks), GROUP)
        if patches.whole and not 0 < round(patches.whole * groups) < groups:
            raise ValueError(
                f"{at}.view.whole is {patches.whole:g}: of {groups} groups of the minibatch's std that is all or none: "
                "choose another, or a larger batch"
            )
        if patches.draft and patches.draft.ends and self.inr.footprint:
            raise ValueError(
                f"{at}.view: points from edge to edge stand for no areas, which inr.footprint is about: leave out one"
            )

    def _check_blocks(self, block: int) -> None:
        others = [critic for critic in self.critics if not isinstance(critic.view, Whole | Beside)]
        if not others:
            raise ValueError("consistency: no further critic sees other pixels than the whole picture's: add one")
        for critic in others:
            if odd := [size for size in self.sizes_of(critic.view) if size % block]:
                raise ValueError(
                    f"consistency.block is {block}: it must divide the {odd[0]} pixels that {critic.name} sees"
                )


def _check_halved(net: Discriminator, sizes: tuple[int, ...], at: str, size_field: str) -> None:
    """Raises ValueError for a discriminator that cannot take images of these sides."""
    patch = net.patch if isinstance(net, StridedDiscriminator | PooledDiscriminator) else 1
    if len(set(sizes)) > 1 and not isinstance(net, PooledDiscriminator):
        raise ValueError(f"{at}: of images of several sizes, discriminator is one that is pooled, not {net.kind}")
    for size in sizes:
        # Of more blocks the power alone would fill the memory.
        if net.blocks > size.bit_length():
            raise ValueError(f"{at}.blocks is too large: {size_field} cannot be halved {net.blocks} times")
        if size % (shrink := patch * 2**net.blocks):
            raise ValueError(
                f"{size_field} is {size}: the discriminator divides it by {shrink}, which must come out even"
            )


class FreeParameters(Node):
    """One vector of INR parameters per image, standard normal at first, optimised itself (public `StaticINRs`)."""

    kind: Literal["free"] = "free"


class LatentCodes(Node):
    """One latent code per image, standard normal at first, and a hypernetwork; both are optimised."""

    kind: Literal["latent_codes"] = "latent_codes"
    hypernetwork: Hypernetwork = Hypernetwork(norm=None, residual_weight=0.1)


Emitter = Annotated[FreeParameters | LatentCodes, Field(discriminator="kind")]


class Reconstruction(Node):
    """INRs fitted to a few images, the public code's `StaticINRsTrainer`: the experiment behind the deck's "MAE (50
    imgs)".

    `images` of the training set, drawn by the seed, are fitted together by full-batch Adam on the mean absolute error;
    what a layer shares is trained jointly. The deck gives the 50 images; 128 x 128 pixels follow from its 3.6
    iterations a second and 10 GB (a reading), rates and iterations are nowhere.
    """

    task: Literal["reconstruction"] = "reconstruction"
    data: Data = Rooms(resolution=128)
    images: PositiveInt = 50
    inr: Inr = Inr(basis=Fourier(), width=256)
    emitter: Emitter = FreeParameters()
    learning_rate: PositiveFloat = 5e-4
    optimizer: Adam = Adam(beta1=0.9, beta2=0.999)
    precision: Precision = "float32"
    iterations: PositiveInt = 5_000
    evaluation: ErrorEvaluation = ErrorEvaluation()

    d_per_g: ClassVar[int] = 1
    """Every iteration updates what renders."""
    period: ClassVar[int] = 1

    @property
    def batch_size(self) -> int:
        """Images an iteration sees: all of them."""
        return self.images

    @property
    def smaller(self) -> str:
        """As that of `Config`."""
        return f"images={max(1, self.images // 2)} (it is {self.images})"


AnyConfig = Annotated[Config | Reconstruction, Field(discriminator="task")]


def asks_inception(config: AnyConfig) -> bool:
    """Whether anything that the config measures is measured by Inception."""
    return any(isinstance(metric, CleanFid) for metric in config.evaluation.metrics)
