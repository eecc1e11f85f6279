"""Real images: the embedded rooms, or photographs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.config.node import JOINED, Node, PositiveInt


class Rooms(Node):
    """The embedded procedural scenes, a stand-in for LSUN's rooms.

    `train` scenes are shown to the discriminator, `held_out` further ones are the metric's real set. `renderer` is the
    version of the scene function: images of two versions never share an identity. 2 is 1 with fine detail of surfaces
    (wood, weave, plaster), for pictures of many pixels. Of the scenes that are shown to the discriminator a pixel is
    the mean over its area or, `shown` as points, the scene in its middle; the metric's are means in any case.
    """

    kind: Literal["rooms"] = "rooms"
    resolution: PositiveInt = 64
    train: PositiveInt = 8192
    held_out: PositiveInt = 4096
    seed: int = 0
    renderer: Literal[1, 2] = 1
    shown: Annotated[Literal["areas", "points"], JOINED] = "areas"


Resampling = Literal["box", "lanczos", "bilinear"]
"""The filter that makes real images smaller, see `Images`."""


class Images(Node):
    """Real images, centre-cropped to a square and resized. Identified by content, never by path.

    `resampling` is the filter that makes images smaller: "box" (means over areas), "lanczos" (sharper, what the
    StyleGAN tools take) or "bilinear" (a triangle as wide as the reduction, what torchvision does to PIL images: public
    code). It moves an FID by as much as some changes do. Images are made larger by Lanczos, with "bilinear" by that.
    """

    kind: Literal["images"] = "images"
    resolution: PositiveInt = 64
    count: PositiveInt
    fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    resampling: Resampling = "box"


PUBLIC_RESAMPLING: Resampling = "bilinear"
"""The public code's."""

Data = Annotated[Rooms | Images, Field(discriminator="kind")]
