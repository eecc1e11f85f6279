"""The configuration of one training run, a GAN's or a reconstruction's: frozen pydantic models, one tagged union per
axis, no torch.

Everything that changes a run's numbers is here and therefore in its identity (`digest`); what only changes speed or
place (device, threads, folders) is nowhere in this file. Off is `None`. Defaults are the deck's starting point, the
variant `baseline`: where the deck gives a number the field says so, where it does not the value is the one of the
author's first public code (November 2020) and the docstring says "public code". `ablations.sources` has both for every
field, and the few that are neither's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    TypeAdapter,
    model_validator,
)

from core.arguments import MOST
from core.numbers import Seed

PositiveInt = Annotated[int, Field(gt=0, le=MOST)]
"""A count: two of them multiplied still fit into a column of a table."""


class Node(BaseModel):
    """A frozen part of the config; unknown keys and values of the wrong type are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """This node with other values, validated as any other."""
        return type(self)(**{**dict(self), **changes})


JOINED = "joined"
"""Marks a field that joined after runs had been recorded, `Annotated[bool, JOINED] = True`: its default is what those
runs did, and at its default it is no part of the canonical form, so that their identities stay."""


def canonical(value: Any) -> Any:
    """A node as the plain data that identities are made of: all fields but those `JOINED` that are at their default."""
    match value:
        case Node():
            fields = {name: (field, getattr(value, name)) for name, field in type(value).model_fields.items()}
            return {
                name: canonical(inner)
                for name, (field, inner) in fields.items()
                if JOINED not in field.metadata or inner != field.default
            }
        case Mapping():
            return {key: canonical(inner) for key, inner in value.items()}
        case tuple() | list():
            return [canonical(inner) for inner in value]
    return value


# --- data -------------------------------------------------------------------------------------------------------------


class Rooms(Node):
    """The embedded procedural scenes, a stand-in for LSUN's rooms.

    `train` scenes are shown to the discriminator, `held_out` further ones are the metric's real set. `renderer` is the
    version of the scene function: images of two versions never share an identity.
    """

    kind: Literal["rooms"] = "rooms"
    resolution: PositiveInt = 64
    train: PositiveInt = 8192
    held_out: PositiveInt = 4096
    seed: int = 0
    renderer: Literal[1] = 1


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

# --- the implicit neural representation f(x, y) -> rgb ----------------------------------------------------------------


class Coordinates(Node):
    """Where f is evaluated, and who owns the layer that reads the coordinates.

    Pixel i of n sits at low + (high - low) * (i + offset) / n with offset 0 ("corners", as the public code) or 1/2
    ("centres"). `layer` says whether the first layer's weights are generated per image or shared by all images.
    """

    low: float = 0.0
    high: float = 1.0
    sampling: Literal["corners", "centres"] = "corners"
    layer: Literal["generated", "shared"] = "generated"


class Siren(Node):
    """Sine activations everywhere. `scale` is the std of the first layer's pre-activation weights: the deck's
    sqrt(2 / n_in) = 1 for two coordinates, 30 / (n_in sqrt(3)) = 8.66 in the official SIREN (Sitzmann et al. 2020).

    `factor` is the deck's 30: weights of std scale / factor, their product times factor. Of weights that are emitted it
    leaves nothing, forwards or backwards; of a shared layer's it makes steps of Adam `factor` times as large.
    """

    kind: Literal["siren"] = "siren"
    scale: PositiveFloat = 1.0
    factor: PositiveFloat = 30.0


class Fourier(Node):
    """Sines and cosines of the first layer, ReLU above. `scale` is the std of its weights (deck: ~100)."""

    kind: Literal["fourier"] = "fourier"
    scale: PositiveFloat = 100.0


Basis = Annotated[Siren | Fourier, Field(discriminator="kind")]


class Linear(Node):
    """Every hidden weight and bias emitted: n^2 + n numbers a layer."""

    kind: Literal["linear"] = "linear"


class SELinear(Node):
    """A shared weight, every entry modulated by the sigmoid of an emitted number: n^2 + n numbers a layer.

    `scale_inside` multiplies what was emitted by the weight's std before the sigmoid, as the public code does.
    """

    kind: Literal["se_linear"] = "se_linear"
    scale_inside: bool = True


class MFiLM(Node):
    """A shared weight, scaled and shifted per output: 3n numbers a layer.

    The deck's "mFiLM" is the default, "-norm" sets `normalise` off, "+scale" sets `scale` on
    (`core.models.layers.mfilm` has the formulas; that of "mFiLM -norm +scale" alone is public).
    """

    kind: Literal["mfilm"] = "mfilm"
    normalise: bool = True
    scale: bool = False

    @model_validator(mode="after")
    def _is_a_row_of_the_slide(self) -> MFiLM:
        if self.normalise and self.scale:
            raise ValueError("mfilm: the slide has no row with both normalise and scale: set normalise to false")
        return self


class Factorized(Node):
    """An emitted rank-r product for a weight: 2nr + n numbers a layer.

    `root_rank` divides the product by sqrt(rank), which the public code of 2020 did not.
    """

    kind: Literal["factorized"] = "factorized"
    rank: PositiveInt = 10
    root_rank: bool = False


class FactorizedSE(Node):
    """A shared weight modulated by the sigmoid of an emitted rank-r product: 2nr + n numbers a layer.

    `root_rank` divides the product by sqrt(rank), which the public code of 2020 did not.
    """

    kind: Literal["factorized_se"] = "factorized_se"
    rank: PositiveInt = 10
    root_rank: bool = False


class AdaIN(Node):
    """A shared layer whose outputs are scaled and shifted per image: 2n numbers a layer."""

    kind: Literal["adain"] = "adain"


class Imported(Node):
    """A layer of somebody's own: `target` names its class as "module:Class", a subclass of `EmittedLayer`, `arguments`
    are what its constructor takes besides sizes and standard deviations. `core.imported.imported` makes one.

    `sha256` is that of the module's file, so that an edited layer is another run; modules that it imports are no part.
    """

    kind: Literal["imported"] = "imported"
    target: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")
    arguments: dict[str, bool | int | float | str | None] = Field(default_factory=dict)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


DeckLayer = Annotated[Linear | SELinear | MFiLM | Factorized | FactorizedSE | AdaIN, Field(discriminator="kind")]
"""Those of the slide "Size/quality tradeoff for INR architecture"."""

Layer = Annotated[Linear | SELinear | MFiLM | Factorized | FactorizedSE | AdaIN | Imported, Field(discriminator="kind")]


class Inr(Node):
    """`depth` counts the coordinate layer and the hidden layers, all of `width`; the RGB layer comes on top.

    "64x5" is width 64, depth 5 (a reading: the deck may also mean five hidden layers above the coordinate layer).
    `init` "deck" takes the layers' formulas as they stand; "unit" multiplies each by a constant, measured once, with
    which pre-activations and the output start with mean square 1 (the coordinate layer keeps its scale). `residual`
    makes every hidden layer (x + f(x)) / sqrt(2), f with its activation: not the deck's, an answer to its trouble with
    depth.
    """

    basis: Basis = Siren()
    layer: Layer = Linear()
    init: Literal["deck", "unit"] = "deck"
    width: PositiveInt = 64
    depth: int = Field(default=5, ge=2)
    residual: bool = False
    coordinates: Coordinates = Coordinates()

    @model_validator(mode="after")
    def _fourier_halves_the_width(self) -> Inr:
        if isinstance(self.basis, Fourier) and self.width % 2:
            raise ValueError(f"inr.width is {self.width}: a Fourier INR needs an even width, half sines, half cosines")
        return self


# --- the generator's and the discriminator's networks -----------------------------------------------------------------


class BatchNorm(Node):
    """Batch normalisation after every linear map of the hypernetwork's trunk."""

    kind: Literal["batch_norm"] = "batch_norm"


class Emission(Node):
    """Initial statistics of the emitted parameters, each in units of the standard normal that INR layers expect.

    At initialisation an emitted parameter is bias_std * N(0, 1), the same for all latents, plus a part with standard
    deviation `gain` over latents, whatever the trunk before it.
    """

    gain: PositiveFloat
    bias_std: NonNegativeFloat


class Heads(Node):
    """Independent networks behind the trunk, one for every layer of the INR: `depth` layers of `width` each, built as
    the trunk is, then a linear map to that layer's parameters (slide "Bluntly increasing the model size").
    """

    width: PositiveInt = 1024
    depth: PositiveInt = 3


class Hypernetwork(Node):
    """G(z): a fully connected trunk, `depth` layers of `width`, then one linear map to all parameters of an INR, or
    `heads`.

    From the second layer on h + w * relu(norm(linear(h))), w learnable and `residual_weight` at the start.
    `weight_clip` clips the emitted parameters to +-weight_clip (slide "Clipping G output"). Without `emission` the last
    maps start as torch's nn.Linear does, biases over the square root of their inputs, which is the public code's way:
    at the deck's sizes about 0.195 and 0.15 in `Emission`'s terms, with BatchNorm and a residual weight of 0 about 0.34
    and 0.23.
    """

    latent_dim: PositiveInt = 512
    width: PositiveInt = 1024
    depth: PositiveInt = 5
    heads: Heads | None = None
    norm: BatchNorm | None = BatchNorm()
    residual_weight: float = 0.0
    weight_clip: PositiveFloat | None = None
    emission: Emission | None = None


class ResNetDiscriminator(Node):
    """A pre-activation ResNet: `blocks` halvings of the image from `width` channels on, doubling them each time.

    Width 64 and four blocks are 10.1 million parameters, the deck's "10M" D (after the public code's "nrgan" D).
    """

    kind: Literal["resnet"] = "resnet"
    width: PositiveInt = 64
    blocks: PositiveInt = 4


class StridedDiscriminator(Node):
    """Few and cheap layers for small images: patch x patch pixels folded into channels, a convolution to `width`
    channels, `blocks` strided ones that halve the image and double the channels, `hidden` units, minibatch std."""

    kind: Literal["strided"] = "strided"
    patch: PositiveInt = 2
    width: PositiveInt = 32
    blocks: PositiveInt = 1
    hidden: PositiveInt = 128


Discriminator = Annotated[ResNetDiscriminator | StridedDiscriminator, Field(discriminator="kind")]


# --- losses and optimisation ------------------------------------------------------------------------------------------


class Wasserstein(Node):
    """D maximises D(real) - D(fake), G maximises D(fake) (Arjovsky et al. 2017)."""

    kind: Literal["wasserstein"] = "wasserstein"


class NonSaturating(Node):
    """Logistic loss for D, -log D(G(z)) for G (Goodfellow et al. 2014)."""

    kind: Literal["non_saturating"] = "non_saturating"


Loss = Annotated[Wasserstein | NonSaturating, Field(discriminator="kind")]


class GradientPenalty(Node):
    """WGAN-GP: weight * E(|grad D| - 1)^2 at random mixtures of real and fake (Gulrajani et al. 2017, eq. 3)."""

    kind: Literal["wgan_gp"] = "wgan_gp"
    weight: NonNegativeFloat = 10.0


class R1(Node):
    """weight * E|grad D|^2 at real images, no factor 1/2 (Mescheder et al. 2018, eq. 9; weight and form: public code).

    `interval` k applies k times the penalty at every k-th step of D.
    """

    kind: Literal["r1"] = "r1"
    weight: NonNegativeFloat = 10.0
    interval: PositiveInt = 1


Penalty = Annotated[GradientPenalty | R1, Field(discriminator="kind")]


class LearningRates(Node):
    """Of G and of D, as the deck writes them: 0.002/0.0002 at first."""

    generator: PositiveFloat = 0.002
    discriminator: PositiveFloat = 0.0002


class Adam(Node):
    """Betas and epsilon of one network's Adam (Kingma and Ba 2015); the defaults are the public code's."""

    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.98, ge=0, lt=1)
    epsilon: PositiveFloat = 1e-8


class Multipliers(Node):
    """Factors on G's learning rate: of the parameters that the INR shares between images, and of the hypernetwork's
    trunk, which has the place of StyleGAN's mapping network (trained there at 0.01 times the rate).

    What emits, the hypernetwork's last linear map or its heads, has G's rate as it stands. `shared` is idle in an INR
    that shares nothing.
    """

    shared: PositiveFloat = 1.0
    mapping: PositiveFloat = 1.0


class Optimizers(Node):
    """One Adam per network; `multipliers` are within G's."""

    learning_rates: LearningRates = LearningRates()
    multipliers: Multipliers = Multipliers()
    generator: Adam = Adam()
    discriminator: Adam = Adam()


class Ema(Node):
    """Exponential moving average of the generator, per step of G; the deck gives no decay, 0.999 is the public code's.

    With `warmup`, which is ours, the decay after step t is min(decay, (1 + t) / (10 + t)); the public code has none.
    """

    decay: float = Field(default=0.999, ge=0, lt=1)
    warmup: Annotated[bool, JOINED] = True


Precision = Literal["float32", "tf32", "bfloat16"]
"""Of the products (matrix products, convolutions) in training; weights, optimisers, averages and evaluations are
float32 in any case. "tf32" rounds their factors to 10 bits of mantissa, on a GPU that can; "bfloat16" to 7, which
activations keep, forwards and backwards (`torch.autocast`)."""


# --- evaluation -------------------------------------------------------------------------------------------------------


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

    @model_validator(mode="after")
    def _clean_is_of_8_bits(self) -> CleanFid:
        if self.mode == "clean" and not self.quantised:
            raise ValueError("clean_fid: mode clean is of 8-bit images: set quantised to true, or choose another mode")
        return self


PUBLIC_FID = CleanFid(real_taken="first", quantised=False)
"""As the public code computes it: the first 8,192 real images, generated ones as floats."""


GanMetric = Annotated[RoomsFrechet | CleanFid, Field(discriminator="kind")]


class Upsampling(Node):
    """Images at `factor` times the resolution that the generator was trained at, against real images of that size.

    The generator's own dense grid ("natural") and interpolations of the images that it renders at the training
    resolution (slide "INR natural upsampling vs bilinear upsampling"), each with the fine pixels where the coarse
    pixels' areas put them ("centres") and half a fine pixel up and left of it, where a grid that contains the coarse
    samples does ("corners", as the public code). `metric` measures them all, coarse images included: one extractor.
    """

    factor: int = Field(default=2, ge=2)
    metric: GanMetric = PUBLIC_FID


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


class Evaluation(Node):
    """Every `every` iterations and at the last: `metric` on fixed latents, of the EMA generator if there is one.

    At the last iteration also: `quality`, of the same images; the metric on `resamples` further sets of latents, which
    tells how much of a difference is the draw of the evaluated images; `upsampling`; `interpolation`.
    """

    metric: GanMetric = PUBLIC_FID
    every: PositiveInt = 2000
    latents_seed: int = 8192
    quality: Quality | None = None
    resamples: NonNegativeInt = 0
    upsampling: Upsampling | None = None
    interpolation: Interpolation | None = None

    @model_validator(mode="after")
    def _upsampling_has_its_latents(self) -> Evaluation:
        if self.upsampling and self.upsampling.metric.samples > self.metric.samples:
            raise ValueError(
                f"upsampling.metric.samples is {self.upsampling.metric.samples} and the fixed latents are "
                f"{self.metric.samples}: lower it to metric.samples"
            )
        return self


# --- the two tasks ----------------------------------------------------------------------------------------------------


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

    @model_validator(mode="after")
    def _image_survives_the_discriminator(self) -> Config:
        halvings, resolution = self.discriminator.blocks, self.data.resolution
        patch = self.discriminator.patch if isinstance(self.discriminator, StridedDiscriminator) else 1
        # Of more blocks the power alone would fill the memory.
        if halvings > resolution.bit_length():
            raise ValueError(f"discriminator.blocks is too large: data.resolution cannot be halved {halvings} times")
        if resolution % (shrink := patch * 2**halvings):
            raise ValueError(
                f"data.resolution is {resolution}: the discriminator divides it by {shrink}, which must come out even"
            )
        return self


class FreeParameters(Node):
    """One vector of INR parameters per image, standard normal at first, optimised itself (public `StaticINRs`)."""

    kind: Literal["free"] = "free"


class LatentCodes(Node):
    """One latent code per image, standard normal at first, and a hypernetwork; both are optimised."""

    kind: Literal["latent_codes"] = "latent_codes"
    hypernetwork: Hypernetwork = Hypernetwork(norm=None, residual_weight=0.1)


Emitter = Annotated[FreeParameters | LatentCodes, Field(discriminator="kind")]


class MeanAbsoluteError(Node):
    """E|f - image| over images, pixels and channels in [-1, 1], of the images that are fitted. PSNR goes with it."""

    kind: Literal["mae"] = "mae"


class ErrorEvaluation(Node):
    """Every `every` iterations and at the last: the error of what the iteration's parameters render."""

    metric: MeanAbsoluteError = MeanAbsoluteError()
    every: PositiveInt = 500


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

    @property
    def batch_size(self) -> int:
        """Images an iteration sees: all of them."""
        return self.images


Metric = GanMetric | MeanAbsoluteError
AnyConfig = Annotated[Config | Reconstruction, Field(discriminator="task")]


def asks_inception(config: AnyConfig) -> bool:
    """Whether anything that the config measures is measured by Inception."""
    if isinstance(config, Reconstruction):
        return False
    upsampling = config.evaluation.upsampling
    return isinstance(config.evaluation.metric, CleanFid) or (
        upsampling is not None and isinstance(upsampling.metric, CleanFid)
    )


class Job(Node):
    """What one process trains: a config and a seed. The seed fixes data order, initial weights and latents alike.

    `schema_version` is part of the identity: it is raised whenever the same config would train to other numbers.
    """

    config: AnyConfig
    seed: Seed
    schema_version: Literal[3] = 3

    @property
    def digest(self) -> str:
        """The run's identity, 16 hex digits of the sha256 of config, seed and schema version."""
        written = json.dumps(canonical(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(written.encode()).hexdigest()[:16]


def place_of(location: tuple[int | str, ...]) -> str:
    """Where in a config a validation error is, as people write the path; the task's tag is not part of it."""
    return ".".join(str(part) for part in location if part not in ("gan", "reconstruction")) or "the config"


_any_config: TypeAdapter[Config | Reconstruction] = TypeAdapter(AnyConfig)


def parse(data: Mapping[str, Any]) -> AnyConfig:
    """A config from plain data, a GAN's where no `task` is named.

    Strict: raises `pydantic.ValidationError` for unknown keys and wrong types.
    """
    return _any_config.validate_json(json.dumps({"task": "gan", **data}))
