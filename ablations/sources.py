"""Where each number of a config comes from: what the deck's slides say, and what its author's first public code has.

The deck is `meta_generation_2020-08-31.txt` beside this file; the public code is `archive/original-implementation` of
github.com/universome/inr-gan (November 2020), its `configs/inr-gan.yml` above all. Nothing here is read by training: it
is what tables print, so that no number is called the deck's that the deck does not give.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ablations.schema import Study
from core.config import Node

CHANGES = "Changes overview"
BASES = "Q: FourierINR vs SIREN"
LAYERS = "Size/quality tradeoff for INR architecture"
SIZES = "Bluntly increasing the model size"
UPSAMPLING = "INR natural upsampling vs bilinear upsampling"
CLIPPING = "Clipping G output"
SAMPLES_64 = "Samples on LSUN bedroom 64x64 (FID: 12.75)"
SAMPLES_128 = "Model samples for LSUN bedroom 128x128"

GAN_SLIDES = (CHANGES, BASES, LAYERS, SIZES, CLIPPING)
"""What these say of G, D and the INR holds for every GAN of the deck, but for conditions of an experiment."""

FIT_SLIDES = (LAYERS, BASES)
"""The same for fits of images."""

Standing = Literal["deck", "public", "ours"]
"""Whose a value is: a slide's; the public code's where no slide says anything; neither's."""


class Said(Node):
    """One value that a source has. `words` are its own where ours are others; `slide` is the deck's."""

    value: Any
    words: str | None = None
    slide: str = ""


class Origin(Node):
    """What both sources have at `path`, where the node around it is of the kind `only`, if that is named.

    A `condition` is of one experiment: its slide speaks of no other. `besides` marks what neither trains nor is part of
    the metric, and stand-ins for what nobody has. `note` says why the base has what neither source has.
    """

    path: str
    only: str | None = None
    deck: tuple[Said, ...] = ()
    public: tuple[Said, ...] = ()
    condition: bool = False
    besides: bool = False
    note: str = ""


def _deck(slide: str, *values: Any) -> tuple[Said, ...]:
    return tuple(value if isinstance(value, Said) else Said(value=value, slide=slide) for value in values)


def _public(*values: Any) -> tuple[Said, ...]:
    return tuple(value if isinstance(value, Said) else Said(value=value) for value in values)


def _words(value: Any, words: str, slide: str = "") -> Said:
    return Said(value=value, words=words, slide=slide)


_GIVEN_NOWHERE = "given nowhere"
_BESIDES = "measured besides, ours"
_STAND_IN = "embedded scenes stand in for photographs until --data gives some"

ORIGINS: tuple[Origin, ...] = (
    # --- data
    Origin(
        path="data.kind",
        deck=(_words("images", "LSUN's photographs", CHANGES),),
        public=(_words("images", "LSUN's photographs"),),
        note=_STAND_IN,
    ),
    Origin(
        path="data.resolution",
        deck=(*_deck(SAMPLES_64, 64), *_deck(SAMPLES_128, 128), *_deck(UPSAMPLING, 128)),
        public=(_words(64, "64 (conference room)"), _words(128, "128 (bedroom)")),
        condition=True,
        note="the slide gives no size",
    ),
    Origin(path="data", only="rooms", note=_STAND_IN, besides=True),
    Origin(path="data.count", only="images", note="as many as are given", besides=True),
    Origin(path="data.fingerprint", only="images", note="nobody has the deck's pixels", besides=True),
    Origin(path="data.resampling", only="images", public=_public("bilinear")),
    Origin(path="flip", public=_public(True)),
    # --- the INR
    Origin(
        path="inr.basis.kind",
        deck=_deck(BASES, "siren", "fourier"),
        public=(_words("fourier", "Fourier features at several scales"),),
    ),
    Origin(
        path="inr.basis.scale",
        only="siren",
        deck=(_words(1.0, "√(2 / n_in) = 1", BASES),),
        note="its own question",
    ),
    Origin(path="inr.basis.factor", only="siren", deck=_deck(BASES, 30.0)),
    Origin(
        path="inr.basis.scale",
        only="fourier",
        deck=(_words(100.0, "about 100", BASES),),
        public=_public(10.0),
    ),
    Origin(path="inr.basis.highest", only="fourier", deck=(_words(None, "one std (a reading)", BASES),)),
    Origin(
        path="inr.layer.kind",
        deck=_deck(LAYERS, "linear", "se_linear", "mfilm", "factorized", "factorized_se", "adain"),
        public=_public("factorized_se"),
    ),
    Origin(path="inr.layer.scale_inside", only="se_linear", public=_public(True)),
    Origin(path="inr.layer.normalise", only="mfilm", deck=_deck(LAYERS, True, False), public=_public(False)),
    Origin(path="inr.layer.scale", only="mfilm", deck=_deck(LAYERS, False, True), public=_public(True)),
    Origin(path="inr.layer.rank", deck=_deck(LAYERS, 10), public=_public(10)),
    Origin(path="inr.layer.root_rank", public=_public(False)),
    Origin(path="inr.layer", only="imported", note="a layer of one's own"),
    Origin(path="inr.init", public=(_words("deck", "the layers' formulas as they stand"),)),
    Origin(
        path="inr.width",
        deck=_deck(CHANGES, 64, 256),
        public=(_words(512, "512 up to 128×128"),),
        note="the slide gives no size",
    ),
    Origin(
        path="inr.depth",
        deck=(*_deck(CHANGES, 5), *_deck(SIZES, 10)),
        public=(_words(7, "3 + 4 in two blocks"),),
        note="the slide gives no size",
    ),
    Origin(path="inr.residual", public=_public(False)),
    Origin(path="inr.coordinates.low", public=_public(0.0)),
    Origin(path="inr.coordinates.high", public=_public(1.0)),
    Origin(path="inr.coordinates.sampling", public=_public("corners")),
    Origin(path="inr.coordinates.layer", public=_public("generated")),
    Origin(path="inr.footprint", public=_public(None)),
    Origin(
        path="inr.scales",
        deck=(_words(None, "one grid (a reading)", LAYERS),),
        public=(_words("multi_scale", "two blocks up to 128×128"),),
    ),
    Origin(path="inr.scales.blocks", public=_public(2)),
    Origin(path="inr.scales.factor", public=_public(2)),
    Origin(path="inr.scales.denser_from", public=_public(1)),
    # --- G's hypernetwork
    Origin(path="hypernetwork.latent_dim", public=_public(512)),
    Origin(path="hypernetwork.width", deck=_deck(SIZES, 1024, 2048), public=_public(1024)),
    Origin(path="hypernetwork.depth", deck=_deck(SIZES, 5, 3), public=_public(3)),
    Origin(path="hypernetwork.heads", public=_public(None)),
    Origin(path="hypernetwork.heads.width", deck=_deck(SIZES, 1024)),
    Origin(path="hypernetwork.heads.depth", deck=_deck(SIZES, 3)),
    Origin(path="hypernetwork.norm", deck=_deck(CHANGES, None), public=_public(None)),
    Origin(path="hypernetwork.norm.kind", deck=_deck(CHANGES, "batch_norm"), public=(_words(None, "off"),)),
    Origin(path="hypernetwork.residual_weight", deck=_deck(CHANGES, 0.0, 0.1), public=_public(0.1)),
    Origin(path="hypernetwork.weight_clip", deck=_deck(CLIPPING, None, 2.0), public=_public(None)),
    Origin(
        path="hypernetwork.emission",
        public=(_words(None, "nn.Linear's own start, biases over √inputs (0.195, 0.15)"),),
        note="the slide on clipping speaks of about N(0, 1), which that start is not",
    ),
    # --- D
    Origin(
        path="discriminator.kind",
        public=(_words("stylegan2", "StyleGAN2's; its ResNet (“nrgan”) is switched off in the config"),),
        note="the public ResNet's 10.1 million parameters are the slide's 10M",
    ),
    Origin(
        path="discriminator.width",
        only="resnet",
        deck=(_words(64, "10M parameters", SIZES), _words(110, "30M parameters", SIZES)),
        public=_public(64),
    ),
    Origin(path="discriminator.blocks", only="resnet", public=_public(4)),
    *(Origin(path=f"discriminator.{name}", only="strided") for name in ("patch", "width", "blocks", "hidden")),
    *(Origin(path=f"discriminator.{name}", only="pooled") for name in ("patch", "width", "blocks", "hidden", "pool")),
    # --- what is looked at: drafts of the public code have more, all switched off in its config
    Origin(path="looks.view.kind", public=_public("whole")),
    Origin(path="looks.view", note="a view of parts, sizes or warps"),
    Origin(path="looks.places", public=_public(None)),
    Origin(path="looks.share", public=_public(1.0)),
    Origin(path="critics", public=_public(())),
    Origin(path="consistency", public=_public(None)),
    Origin(path="fine", public=_public(None)),
    # --- losses and optimisation
    Origin(
        path="loss.kind",
        deck=_deck(CHANGES, "wasserstein", "non_saturating"),
        public=_public("non_saturating"),
    ),
    Origin(path="penalty.kind", deck=_deck(CHANGES, "wgan_gp", "r1"), public=_public("r1")),
    Origin(path="penalty.weight", public=_public(10.0)),
    Origin(path="penalty.interval", only="r1", public=_public(1)),
    Origin(
        path="optimizers.learning_rates.generator",
        deck=_deck(CHANGES, 0.002, 0.0001),
        public=(_words(0.00005, "0.00005"),),
    ),
    Origin(
        path="optimizers.learning_rates.discriminator",
        deck=_deck(CHANGES, 0.0002),
        public=(_words(0.003, "0.003 (of StyleGAN2's D)"),),
    ),
    Origin(
        path="optimizers.multipliers.shared",
        public=(_words(10.0, "10 (0.0005 against 0.00005)"),),
        note="the slide gives one rate for all of G; idle in an INR that shares nothing",
    ),
    Origin(path="optimizers.multipliers.mapping", public=_public(1.0)),
    *(
        Origin(path=f"optimizers.{network}.{name}", public=_public(value))
        for network in ("generator", "discriminator")
        for name, value in (("beta1", 0.0), ("beta2", 0.98), ("epsilon", 1e-8))
    ),
    Origin(path="ema", deck=_deck(CHANGES, None)),
    Origin(path="ema.decay", public=_public(0.999)),
    Origin(path="ema.warmup", public=_public(False)),
    Origin(path="d_per_g", deck=_deck(CHANGES, 5, 1), public=_public(1)),
    Origin(path="batch_size", deck=_deck(CHANGES, 32, 64), public=_public(32)),
    Origin(path="precision", public=_public("float32")),
    Origin(
        path="iterations",
        deck=(
            *_deck(CHANGES, 20_000),
            *_deck(SIZES, 40_000, 50_000),
            *_deck(UPSAMPLING, 70_000),
            *_deck(CLIPPING, 300_000),
            *_deck(SAMPLES_128, 500_000),
        ),
        condition=True,
        note="the slide gives no iterations",
    ),
    # --- evaluation
    Origin(
        path="evaluation.metric.kind", deck=(_words("clean_fid", "FID", CHANGES),), public=(_words("clean_fid", "FID"),)
    ),
    Origin(path="evaluation.metric.samples", public=_public(8192)),
    Origin(path="evaluation.metric.real", public=_public(8192)),
    Origin(
        path="evaluation.metric.mode",
        only="clean_fid",
        public=(_words("legacy_pytorch", "torch's bilinear, without antialiasing"),),
    ),
    Origin(path="evaluation.metric.real_taken", only="clean_fid", public=_public("first")),
    Origin(path="evaluation.metric.quantised", only="clean_fid", public=_public(False)),
    *(Origin(path=f"evaluation.metric.{name}", only="fd_rooms") for name in ("resolution", "layer", "extractor")),
    Origin(path="evaluation.metric.side", only="fd_imagenet"),
    Origin(path="evaluation.every", public=_public(2000)),
    Origin(path="evaluation.window", public=_public(None), note="our own measurement"),
    Origin(path="evaluation.latents_seed", note="any: fixed there, too, other draws", besides=True),
    Origin(path="evaluation.quality", note=_BESIDES, besides=True),
    Origin(path="evaluation.resamples", note=_BESIDES, besides=True),
    Origin(path="evaluation.upsampling", public=_public(None)),
    Origin(path="evaluation.upsampling.opponents", note=_BESIDES, besides=True),
    Origin(path="evaluation.upsampling.factor", deck=_deck(UPSAMPLING, 2), public=_public(2)),
    Origin(path="evaluation.interpolation", note=_BESIDES, besides=True),
    Origin(path="evaluation.scales", note=_BESIDES, besides=True),
    Origin(path="evaluation.octaves", note=_BESIDES, besides=True),
)

FIT_ORIGINS: tuple[Origin, ...] = (
    Origin(path="images", deck=_deck(LAYERS, 50)),
    Origin(path="emitter.kind", public=(_words("free", "a free vector for each image"),)),
    Origin(
        path="learning_rate",
        public=(_words(None, "not in its config"),),
        note="its GANs' rate of what INRs share",
    ),
    *(
        Origin(path=f"optimizer.{name}", public=(_words(None, "not in its config"),), note="Kingma and Ba 2015")
        for name in ("beta1", "beta2", "epsilon")
    ),
    Origin(path="iterations", note=_GIVEN_NOWHERE),
    Origin(path="evaluation.metric.kind", deck=(_words("mae", "MAE", LAYERS),), public=(_words("mae", "mean L1"),)),
    Origin(path="evaluation.every", note=_GIVEN_NOWHERE, besides=True),
)
"""What a fit of images has otherwise, or besides."""

MECHANISMS: tuple[str, ...] = (
    "G's update reuses the images of D's; there it draws new ones. G's first update is at iteration `d_per_g`, there "
    "at the first.",
    "Images are shuffled anew in every epoch; there, on one GPU, they are shown in the order of the database, over and "
    "over.",
    "D is a ResNet of the same widths as the public “nrgan”: its blocks add (shortcut + branch) / √2 of He-initialised "
    "convolutions, halve four times, and its score sees positions; there a first block halves as well, five times in "
    "all, convolutions are plain, branches have a learnable weight of 0.1, and the last map is averaged.",
    "The public code's INRs concatenate their coordinates to every hidden layer and run in two blocks of growing "
    "resolution; the deck's INRs are read without either.",
    "Of mFiLM alone “-norm +scale” is public; the other two rows are readings (`core/models/layers/mfilm.py`). The "
    "public SIREN and WGAN-GP cannot run as they were published.",
)
"""What is no number of a config and is not as in the public code, nor known to be as in the deck."""


def slides_of(study: Study) -> tuple[str, ...]:
    """The slides that a study is of: its own, its changes' and its claims'."""
    sources = [study.source, *(change.source for change in study.changes), *(claim.source for claim in study.claims)]
    return tuple(dict.fromkeys(source.slide for source in sources if source is not None))


def _place(path: str) -> str:
    """A path as `ORIGINS` has it: a hypernetwork and a metric are what they are wherever they stand."""
    return path.removeprefix("emitter.").replace("evaluation.upsampling.metric", "evaluation.metric")


def origin(data: Mapping[str, Any], path: str) -> Origin | None:
    """What is known of the value at a path of a config in plain data, or of a node around it."""
    table = (*FIT_ORIGINS, *ORIGINS) if data.get("task") == "reconstruction" else ORIGINS
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        above = ".".join(parts[:length])
        for known in table:
            if known.path not in (above, _place(above)):
                continue
            if known.only is None or known.only == _kind_around(data, above, whole=length < len(parts)):
                return known
    return None


def _kind_around(data: Mapping[str, Any], path: str, *, whole: bool) -> Any:
    """The kind of the node that a path stands in, or of the node at it."""
    node: Any = data
    for part in path.split(".") if whole else path.split(".")[:-1]:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node.get("kind") if isinstance(node, Mapping) else None


def _same(one: Any, other: Any) -> bool:
    # A tuple is a list in plain data.
    other = tuple(other) if isinstance(other, list) else other
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def matches(known: Iterable[Said], value: Any) -> tuple[Said, ...]:
    """What is said of this very value."""
    return tuple(said for said in known if _same(said.value, value))


def in_deck(known: Origin | None, slides: Sequence[str], task: str) -> tuple[Said, ...]:
    """All that the deck says there, for a study of these slides."""
    if known is None:
        return ()
    common = () if known.condition else GAN_SLIDES if task == "gan" else FIT_SLIDES
    return tuple(said for said in known.deck if said.slide in (*slides, *common))


def standing(data: Mapping[str, Any], path: str, value: Any, slides: Sequence[str]) -> Standing:
    """Whose the value at a path is, in a study of these slides."""
    known = origin(data, path)
    if known is None:
        return "ours"
    if said := in_deck(known, slides, data["task"]):
        return "deck" if matches(said, value) else "ours"
    return "public" if matches(known.public, value) else "ours"
