"""The protocols that numbers are measured by on request, by name: how many images, resized how, read by what.

The deck does not say how it measured its FIDs. What its author's first public code did is `deck-2020`, the only
protocol under which the deck's numbers stand plain beside ours; what differs even there is in its words.
"""

from __future__ import annotations

from core.config import PUBLIC_FID, CleanFid, GanMetric, ImageNetFrechet, Node, RoomsFrechet


class NamedProtocol(Node):
    """The metric of a run, and the one by which images larger than the training images are measured."""

    name: str
    title: str
    source: str
    metric: GanMetric
    upsampling: GanMetric


DECK_2020 = NamedProtocol(
    name="deck-2020",
    title="FID as the author's public code of 2020 computes it",
    source="8,192 generated images, not rounded to 8 bits, and the first 8,192 real ones, resized bilinearly without "
    "antialiasing by torch, one fixed set of latents, the average of G where there is one. What still differs: the "
    "square root of the product of covariances is exact here, 50 Newton-Schulz steps there; latents are other draws; "
    "photographs whose sides differ by 3, 7, 11, ... pixels are cropped one pixel further left or up.",
    metric=PUBLIC_FID,
    upsampling=PUBLIC_FID,
)

CLEAN_50K = NamedProtocol(
    name="clean-50k",
    title="FID with clean-fid's resizing, of 50,000 images",
    source="Parmar et al. 2022: bicubic resizing with antialiasing; 50,000 generated images as most papers since "
    "Heusel et al. 2017, and as many real ones, or all where there are fewer.",
    metric=CleanFid(samples=50_000, real=50_000, mode="clean"),
    upsampling=CleanFid(samples=50_000, real=50_000, mode="clean"),
)

EMBEDDED = NamedProtocol(
    name="embedded",
    title="rooms Frechet distance, a proxy",
    source="2,048 generated images and all held-out rooms, read by networks that ship with the code: one that sees "
    "16 x 16 pixels, and for images that were made larger one that sees 32 x 32.",
    metric=RoomsFrechet(resolution=16),
    upsampling=RoomsFrechet(resolution=32),
)
"""Without the sha256 of the shipped weights, which `studies.planning` fills in: this file reads none."""

IMAGENET = NamedProtocol(
    name="imagenet",
    title="ImageNet Frechet distance, not an FID",
    source="2,048 generated and 8,192 real images, resized bilinearly without antialiasing by torch to 64 x 64, "
    "read by EfficientNet-Lite0, whose weights are the package of the extra imagenet: a proxy for photographs that "
    "needs no download, and no value of it stands beside an FID.",
    metric=ImageNetFrechet(),
    upsampling=ImageNetFrechet(),
)

PROTOCOLS = {protocol.name: protocol for protocol in (DECK_2020, CLEAN_50K, EMBEDDED, IMAGENET)}
