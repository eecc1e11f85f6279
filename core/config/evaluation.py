"""Evaluations: metrics, their numbers of images, and how often."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, model_validator

from core.arguments import MOST
from core.config.node import JOINED, Node, PositiveInt


class RoomsFrechet(Node):
    """Frechet distance over the shipped network that was trained on the rooms' own factors. Not an FID: a proxy.

    `layer` is where features are read: the last convolution averaged over positions (80 features, as FID reads
    Inception) or the linear bottleneck behind it (64, which keep where things are). `resolution` is the side of the
    images that the network sees; others are resized to it, as FID's are to 299. `extractor` is the sha256 of the
    shipped weights, so that a retrained network never shares numbers with this one. `real` is as in `CleanFid`.
    """

    kind: Literal["fd_rooms"] = "fd_rooms"
    samples: PositiveInt = 2048
    real: PositiveInt | None = 8192
    resolution: Literal[16, 32] = 16
    layer: Literal["pooled", "bottleneck"] = "pooled"
    extractor: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    real_taken: ClassVar[Literal["spread"]] = "spread"
    quantised: ClassVar[bool] = True

    @property
    def features(self) -> int:
        """Numbers that it sees of an image."""
        return {"pooled": 80, "bottleneck": 64}[self.layer]


class CleanFid(Node):
    """Inception FID by clean-fid: by default of 8,192 generated and 8,192 real images, resized bilinearly by torch.

    `real` images are spread evenly over the real set in its order, or are its first ones (`real_taken`); a smaller set,
    or None, is taken whole. Generated images are rounded to 8 bits as real ones are, or with `quantised` off go into
    Inception as they come; "clean" is of 8-bit images by its definition (Parmar et al. 2022).
    """

    kind: Literal["clean_fid"] = "clean_fid"
    samples: PositiveInt = 8192
    real: PositiveInt | None = 8192
    mode: Literal["clean", "legacy_tensorflow", "legacy_pytorch"] = "legacy_pytorch"
    real_taken: Annotated[Literal["spread", "first"], JOINED] = "spread"
    quantised: Annotated[bool, JOINED] = True

    features: ClassVar[int] = 2048

    @model_validator(mode="after")
    def _clean_is_of_8_bits(self) -> CleanFid:
        if self.mode == "clean" and not self.quantised:
            raise ValueError("clean_fid: mode clean is of 8-bit images: set quantised to true, or choose another mode")
        return self


PUBLIC_FID = CleanFid(real_taken="first", quantised=False)
"""As the public code computes it: the first 8,192 real images, generated ones as floats."""


class ImageNetFrechet(Node):
    """Frechet distance over EfficientNet-Lite0, trained on ImageNet, for photographs without a download. Not an FID.

    Its weights are the package of the extra `imagenet`. Features are its fifth stage averaged over positions, of which
    2,048 images tell more than of later ones. `side` is that of the images that the network sees; all are
    resized to it bilinearly by torch, as FID's are to 299. `real` is as in `CleanFid`.
    """

    kind: Literal["fd_imagenet"] = "fd_imagenet"
    samples: PositiveInt = 2048
    real: PositiveInt | None = 8192
    side: Literal[64, 128, 224] = 64

    real_taken: ClassVar[Literal["spread"]] = "spread"
    quantised: ClassVar[bool] = True
    features: ClassVar[int] = 112


GanMetric = Annotated[RoomsFrechet | CleanFid | ImageNetFrechet, Field(discriminator="kind")]


Opponent = Literal["lanczos", "sharpened", "sr_cnn"]

PAIRS = 4_096
"""Training images that a network for super-resolution sees, at most."""

WINDOW = 16
"""Coarse pixels of the side of what it is trained on of each, at most."""


class Upsampling(Node):
    """Images at `factor` times the resolution that the generator was trained at, against real images of that size.

    The generator's own dense grid ("natural") and interpolations of the images that it renders at the training
    resolution (slide "INR natural upsampling vs bilinear upsampling"), each with the fine pixels where the coarse
    pixels' areas put them ("centres") and half a fine pixel up and left of it, where a grid that contains the coarse
    samples does ("corners", as the public code). `metric` measures them all, coarse images included: one extractor.

    `opponents` are further ways of enlarging the rendered images, each measured besides: Lanczos' kernel, bicubic with
    an unsharp mask, and a small network that is trained on pairs of coarse and fine training images
    (`core.metrics.super_resolution`).
    """

    factor: int = Field(default=2, ge=2)
    metric: GanMetric = PUBLIC_FID
    opponents: Annotated[tuple[Opponent, ...], JOINED] = ()

    @model_validator(mode="after")
    def _opponents_are_named_once(self) -> Upsampling:
        if len(set(self.opponents)) < len(self.opponents):
            raise ValueError(f"upsampling.opponents are {', '.join(self.opponents)}: name each once")
        return self


class Interpolation(Node):
    """Spherical paths between `paths` pairs of fixed latents: how far, how evenly and how straight images move.

    Perceptual path length (Karras et al. 2019, sec. 4.1) over the metric's own features takes steps of `epsilon`; the
    default is small enough to stand for the limit (of one `cpu` generator 1e-2 gives 6% less, 1e-5 the same). The other
    numbers, and the strips of the first `pictures` paths, are of `steps` images on each path, ends included.
    """

    paths: PositiveInt = 256
    steps: int = Field(default=32, ge=3)
    epsilon: PositiveFloat = 1e-3
    pictures: PositiveInt = 8

    @model_validator(mode="after")
    def _pictures_are_of_paths(self) -> Interpolation:
        if self.pictures > self.paths:
            raise ValueError(f"interpolation.pictures is {self.pictures}: there are {self.paths} paths to show")
        return self


class Quality(Node):
    """More measures of the metric's own features and images: what one distance does not tell apart.

    Kernel distance (KID, Binkowski et al. 2018): the unbiased estimate, a mean over `kernel_subsets` draws of
    `kernel_subset` images from either side. Precision and recall (Kynkaanniemi et al. 2019), density and coverage
    (Naeem et al. 2020): of `neighbours` nearest neighbours among at most `samples` images of either side. The metric
    without the bias of few samples (Chong and Forsyth 2020): a line in 1/N through the metric at `points` numbers of
    images N from `smallest` on, read at 0.
    """

    samples: PositiveInt = 10_000
    neighbours: PositiveInt = 5
    kernel_subsets: PositiveInt = 100
    kernel_subset: int = Field(default=1_000, ge=2)
    points: int = Field(default=15, ge=3)
    smallest: int = Field(default=5_000, ge=2)


PATCH = 16
"""Cells of the side of a patch, whatever it shows."""


class Scales(Node):
    """What the INR holds between and below the pixels that it was trained at, against real images of `fine` pixels.

    Patches: the metric's distance of `patches` windows of 16 x 16 cells, at each of `zooms` a window that shows
    1 / zoom of the picture's side, to windows of real images, of all places and of each quarter of them. The rest is of
    `dense` images rendered at `fine` pixels: how far their means over areas are from the images at the training
    resolution (PSNR), their power by octaves, patches of their Laplacian pyramids (`pyramids` of them; Karras et al.
    2018), and whether straight edges go on from window to window. Of the metric's real set `real` images are looked at,
    spread evenly. `docs/scales.md` has what each of them sees.
    """

    zooms: tuple[Annotated[int, Field(ge=2, le=MOST)], ...] = Field(default=(2, 4), min_length=1)
    fine: PositiveInt = 64
    patches: int = Field(default=2048, ge=8, le=MOST)
    dense: PositiveInt = 256
    pyramids: PositiveInt = 128
    real: int = Field(default=4096, ge=2, le=MOST)

    @model_validator(mode="after")
    def _is_measured_on_pixels(self) -> Scales:
        if list(self.zooms) != sorted(set(self.zooms)):
            raise ValueError(f"scales.zooms are {self.zooms}: name each once, the smallest first")
        for zoom in self.zooms:
            if self.fine % (PATCH * zoom):
                raise ValueError(
                    f"scales.fine is {self.fine}: it must be a multiple of {PATCH * zoom}, so that cells of a window "
                    f"at zoom {zoom} are whole pixels"
                )
        if self.patches % 4:
            raise ValueError(f"scales.patches is {self.patches}: a quarter of them is of each place")
        if self.pyramids > self.dense:
            raise ValueError(f"scales.pyramids is {self.pyramids}: there are {self.dense} dense images")
        return self


class Octaves(Node):
    """What the INR holds at any zoom, against the rooms' own function: no real image is stored at its pixels.

    At each of `zooms` the metric's distance of `windows` windows of 16 x 16 cells, which show 1 / zoom of the side of
    the picture, to `real` true ones, each of a held-out scene of its own, the mean of `points` x `points` points a
    cell; of all places, and the mean over the quarters of the places. Beside each the same of as many other true
    windows, the floor, and how much power windows have in two octaves. At zoom z a window is a part of a picture of
    16 z pixels a side; with zooms four apart their octaves follow on each other. `docs/octaves.md` has what is seen.
    """

    zooms: tuple[Annotated[int, Field(ge=1, le=1024)], ...] = Field(default=(1, 4, 16, 64, 256), min_length=1)
    windows: int = Field(default=2048, ge=8, le=MOST)
    real: int = Field(default=4096, ge=8, le=MOST)
    points: int = Field(default=4, ge=1, le=16)

    @model_validator(mode="after")
    def _each_zoom_once(self) -> Octaves:
        if list(self.zooms) != sorted(set(self.zooms)):
            raise ValueError(f"octaves.zooms are {self.zooms}: name each once, the smallest first")
        return self

    @model_validator(mode="after")
    def _a_quarter_is_of_each_place(self) -> Octaves:
        for name, count in (("windows", self.windows), ("real", self.real)):
            if count % 4:
                raise ValueError(f"octaves.{name} is {count}: a quarter of them is of each place")
        return self


class Evaluation(Node):
    """Every `every` iterations and at the last: `metric` on fixed latents, of the EMA generator if there is one.

    A run's value is its last evaluation or, with a `window`, the geometric mean of the evaluations in that share of its
    iterations at its end (`core.values`).
    At the last iteration also: `quality`, of the same images; the metric on `resamples` further sets of latents, which
    tells how much of a difference is the draw of the evaluated images; `upsampling`; `interpolation`;
    `scales`; `octaves`.
    """

    metric: GanMetric = PUBLIC_FID
    every: PositiveInt = 2000
    latents_seed: int = 8192
    window: Annotated[float | None, JOINED] = Field(default=None, gt=0, lt=1)
    quality: Quality | None = None
    resamples: NonNegativeInt = 0
    upsampling: Upsampling | None = None
    interpolation: Interpolation | None = None
    scales: Annotated[Scales | None, JOINED] = None
    octaves: Annotated[Octaves | None, JOINED] = None

    @property
    def metrics(self) -> tuple[GanMetric, ...]:
        """All that images are measured by."""
        return (self.metric, self.upsampling.metric) if self.upsampling else (self.metric,)

    @model_validator(mode="after")
    def _upsampling_has_its_latents(self) -> Evaluation:
        if self.upsampling and self.upsampling.metric.samples > self.metric.samples:
            raise ValueError(
                f"upsampling.metric.samples is {self.upsampling.metric.samples} and the fixed latents are "
                f"{self.metric.samples}: lower it to metric.samples"
            )
        return self

    @model_validator(mode="after")
    def _scales_have_their_latents(self) -> Evaluation:
        if self.scales and (most := max(self.scales.patches, self.scales.dense)) > self.metric.samples:
            raise ValueError(
                f"scales asks for {most} images and the fixed latents are {self.metric.samples}: lower scales.patches "
                "and scales.dense to metric.samples"
            )
        return self

    @model_validator(mode="after")
    def _octaves_have_their_latents(self) -> Evaluation:
        if self.octaves and self.octaves.windows > self.metric.samples:
            raise ValueError(
                f"octaves asks for {self.octaves.windows} images and the fixed latents are {self.metric.samples}: "
                "lower octaves.windows to metric.samples"
            )
        return self


class MeanAbsoluteError(Node):
    """E|f - image| over images, pixels and channels in [-1, 1], of the images that are fitted. PSNR goes with it."""

    kind: Literal["mae"] = "mae"


class ErrorEvaluation(Node):
    """Every `every` iterations and at the last: the error of what the iteration's parameters render."""

    metric: MeanAbsoluteError = MeanAbsoluteError()
    every: PositiveInt = 500

    window: ClassVar[None] = None
    quality: ClassVar[None] = None
    upsampling: ClassVar[None] = None
    interpolation: ClassVar[None] = None
    scales: ClassVar[None] = None
    octaves: ClassVar[None] = None

    @property
    def metrics(self) -> tuple[MeanAbsoluteError]:
        """As those of `Evaluation`."""
        return (self.metric,)


Metric = GanMetric | MeanAbsoluteError
