"""What a critic looks at: the whole picture, another size of it, a part; and where real images of that detail are from.

Scales and places are in units of the picture: at scale s a critic sees a window whose sides are s times the picture's,
in as many pixels as its view has, so that the picture as dense as the window has size / s of them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from core.config.networks import Discriminator
from core.config.node import Node, PositiveInt
from core.config.objectives import Penalty

Share = Annotated[float, Field(gt=0, le=1)]


class FixedScale(Node):
    """Every window is `scale` of the picture."""

    kind: Literal["fixed"] = "fixed"
    scale: Share = 0.25

    @property
    def least(self) -> float:
        """The smallest scale that is drawn."""
        return self.scale


class UniformScale(Node):
    """s uniform in [low, 1], as GRAF draws it (Schwarz et al. 2020) once its schedule has ended."""

    kind: Literal["uniform"] = "uniform"
    low: Share = 0.25

    @property
    def least(self) -> float:
        """The smallest scale that is drawn."""
        return self.low


class BetaScale(Node):
    """s = low + (1 - low) Beta(1, b), b growing linearly from `start` to `end` over the share `until` of the run.

    At first nearly every window is the whole picture (Skorokhodov et al. 2022, EpiGRAF; its public configs).
    """

    kind: Literal["beta"] = "beta"
    low: Share = 0.25
    start: PositiveFloat = 0.001
    end: PositiveFloat = 0.8
    until: Share = 1.0

    @property
    def least(self) -> float:
        """The smallest scale that is drawn."""
        return self.low


class LogUniformScale(Node):
    """log s uniform in [log low, 0]: every octave of detail is seen as often."""

    kind: Literal["log_uniform"] = "log_uniform"
    low: Share = 1 / 256

    @property
    def least(self) -> float:
        """The smallest scale that is drawn."""
        return self.low


Scale = Annotated[FixedScale | UniformScale | BetaScale | LogUniformScale, Field(discriminator="kind")]


class Draft(Node):
    """What the author's drafts of patches did otherwise, each by itself (archive of the public code, November 2020).

    With a draft real windows are drawn apart from G's, by workers that load data; without one both are the same.
    `ends`: G's points include both edges of the window, as linspace does, while those of whole images do not.
    `resampling`: real windows by that filter, and G's by points. `workers`: so many data workers draw the same windows,
    for each seeds its generator alike. `area`: the scale that is drawn for a real window is its share of the area, for
    G's of the side. `beyond`: G's offsets are drawn in [0, 1 - low], whatever the scale, so that windows reach beyond
    the picture.
    """

    ends: bool = False
    resampling: Literal["box", "bilinear"] = "box"
    workers: PositiveInt | None = None
    area: bool = False
    beyond: bool = False


class Whole(Node):
    """The whole picture in its own pixels."""

    kind: Literal["whole"] = "whole"


class Patches(Node):
    """Windows of `size` x `size` pixels, None: as many as the whole picture has; `scale` s, offset uniform in
    [0, 1 - s] on either axis. Real and generated images are seen through the same windows.

    One window is drawn for every group of the minibatch's std, whose images are then alike in that. Of the groups the
    share `whole` sees the whole picture instead: one critic for both.
    """

    kind: Literal["patches"] = "patches"
    size: PositiveInt | None = None
    scale: Scale = FixedScale()
    whole: Annotated[float, Field(ge=0, lt=1)] = 0.0
    draft: Draft | None = None


class Beside(Node):
    """The whole picture and a window of it as channels of one image, as the author's draft of dense patches
    (`concat_patches`) has them."""

    kind: Literal["beside"] = "beside"
    patches: Patches = Patches()


class Sizes(Node):
    """The whole picture, at every iteration in one of these sizes, each as likely (Xu et al. 2021, MS-PIE)."""

    kind: Literal["sizes"] = "sizes"
    sizes: tuple[PositiveInt, ...] = Field(default=(16, 24, 32), min_length=1)


class Growing(Node):
    """The whole picture at growing sizes, each for an equal part of the share `until` of the run, the last to its end.

    Nothing is added to G: it is asked at more points (slide: "progressive growing").
    """

    kind: Literal["growing"] = "growing"
    sizes: tuple[PositiveInt, ...] = Field(default=(8, 16), min_length=1)
    until: Share = 0.5


class Foveated(Node):
    """The whole picture in `size` x `size` pixels that are smaller around a drawn place and larger away from it.

    Columns and rows lie at equal steps of the cumulative density floor + exp(-(x - c)^2 / (2 width^2)), c uniform.
    """

    kind: Literal["foveated"] = "foveated"
    size: PositiveInt | None = None
    floor: PositiveFloat = 0.08
    width: PositiveFloat = 0.15


View = Annotated[Whole | Patches | Beside | Sizes | Growing | Foveated, Field(discriminator="kind")]


class Places(Node):
    """Three more channels for D: x and y from -1 to 1, and log2 of a pixel's side over one of the whole picture's,
    times `scale`. The penalty is on the image's channels alone."""

    scale: PositiveFloat = 1.0


class Looks(Node):
    """What the discriminator looks at: its view, of the first `share` of the batch."""

    view: View = Whole()
    places: Places | None = None
    share: Share = 1.0


class Critic(Node):
    """A further discriminator: what it looks at, of the last `share` of the batch; all that is its own.

    Its part in G's loss has `weight`; it is met at every iteration that `period` divides. None is as the first
    discriminator's: architecture, learning rate, penalty.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")
    view: View = Patches()
    places: Places | None = None
    share: Share = 1.0
    discriminator: Discriminator | None = None
    penalty: Penalty | None = None
    learning_rate: PositiveFloat | None = None
    weight: PositiveFloat = 1.0
    period: PositiveInt = 1


class Consistency(Node):
    """`weight` E |A f(dense) - f(coarse)| added to G's loss: means over blocks of `block` x `block` pixels of what a
    further critic sees against f in the middle of the block, whose gradient is stopped.

    What a denser grid shows is then what the coarse one does. Of all further critics whose pixels are not the whole
    picture's.
    """

    weight: PositiveFloat = 1.0
    block: PositiveInt = 4


class Pool(Node):
    """The same scenes or photographs at `resolution`, of the first `share` of the training images: of others windows
    are cut from these. Windows of a fixed scale lie on whole stored pixels where theirs can be; elsewhere, and at other
    scales, a pixel is the mean of parts of stored ones, which blurs it by up to one of them."""

    kind: Literal["pool"] = "pool"
    resolution: PositiveInt = 64
    share: Share = 1.0


class Scenes(Node):
    """The rooms' own function, at any scale: the mean of `points` x `points` points of every pixel of a window."""

    kind: Literal["scenes"] = "scenes"
    points: Annotated[int, Field(ge=1, le=16)] = 4


AnyFine = Annotated[Pool | Scenes, Field(discriminator="kind")]
