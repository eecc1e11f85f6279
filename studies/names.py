"""Names that help and completion say before anything is loaded that reads declarations."""

from __future__ import annotations

NAMES: tuple[str, ...] = (
    "lsun_bedroom_64",
    "siren_vs_fourier",
    "inr_layers",
    "inr_layers_gan",
    "changes_overview",
    "scale_transfer",
    "learning_rates",
    "lsun_bedroom_128",
    "model_size",
    "upsampling",
    "weight_clipping",
    "dense_patches",
    "local_discriminator",
    "random_resolutions",
    "progressive_growing",
    "point_or_area",
    "scaling_inside",
    "extreme_resolution",
)
"""Those of the deck, in its order, and what they raise behind the one that raises it: each is a file here. Behind them
those of what it promises."""

PROTOCOLS = ("deck-2020", "clean-50k", "embedded", "imagenet")
LAUNCHERS = ("local", "inline")
"""A test holds these two to be `ablations.protocols`' and `studies.runner.launchers`' own."""
