"""The protocol of a number, readable without torch: numbers of two protocols stand in no table together.

The words of a protocol are part of its fingerprint. Reworded they part numbers that belong together, so they are short
and stay as they are; `docs/protocols.md` explains them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, assert_never

from pydantic import Field, PositiveInt, ValidationError

from core.config import CleanFid, GanMetric, ImageNetFrechet, Node, Reconstruction, RoomsFrechet, canonical
from core.names import SeriesName

RESIZED = {
    "clean": "bicubic with antialiasing (PIL)",
    "legacy_tensorflow": "bilinear without antialiasing (TensorFlow 1)",
    "legacy_pytorch": "bilinear without antialiasing (torch)",
}
"""How clean-fid's modes bring images to Inception's 299 x 299."""


REAL_TAKEN = "real images taken"
"""The detail that says which real images are compared with, where they are not spread evenly over the set."""


class Protocol(Node):
    """One series of numbers. None is what has no meaning for it, as the extractor of an error of pixels.

    `weights` is the sha256 of the extractor's file, `real_content` that of the real images (`content` of
    `core.metrics.real.RealSet`) or, of fitted images, of the data's description. `samples` and `real_samples` are how
    many images were used, not how many were asked for. `generator` is a rule: whether a run has an average is what its
    config says. `details` are settings that only some measures have.
    """

    series: SeriesName
    extractor: str | None
    weights: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    resize: str | None
    quantisation: str
    samples: PositiveInt | None
    real_samples: PositiveInt | None
    real_content: str | None
    latents: str
    truncation: str
    generator: str
    precision: str
    details: dict[str, str] = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """12 hex digits of the sha256 of all fields."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def derived(self, series: str, *, details: Mapping[str, str] | None = None, **changed: Any) -> Protocol:
        """The protocol of another series that is measured as this one but for what is named."""
        return self.replace(series=series, details={**self.details, **(details or {})}, **changed)

    def fields(self) -> dict[str, str]:
        """Every field in words, details among them; nothing that has no meaning here."""
        values = {**self.model_dump(mode="json", exclude={"details"}), **self.details}
        return {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items() if value}


def differences(one: Protocol | None, other: Protocol | None) -> dict[str, tuple[str, str]]:
    """The fields in which two protocols differ, with the values of both. None is a protocol that was not recorded."""
    if one is None or other is None:
        fingerprints = tuple("not recorded" if protocol is None else protocol.fingerprint for protocol in (one, other))
        return {} if one is other else {"protocol": (fingerprints[0], fingerprints[1])}
    here, there = one.fields(), other.fields()
    return {
        name: (here.get(name, "none"), there.get(name, "none"))
        for name in dict.fromkeys([*here, *there])
        if here.get(name) != there.get(name)
    }


def resize_of(metric: GanMetric, side: int) -> str:
    """How images of `side` x `side` pixels are brought to what the metric's extractor sees."""
    match metric:
        case RoomsFrechet(resolution=seen):
            how = "means over areas" if side > seen else "bilinear"
            return f"none, {side}" if side == seen else f"{how}, {side} to {seen}"
        case CleanFid(mode=mode):
            return f"{RESIZED[mode]}, {side} to 299"
        case ImageNetFrechet(side=seen):
            return f"{RESIZED['legacy_pytorch']}, {side} to {seen}"
        case _:
            assert_never(metric)


def of_metric(
    metric: GanMetric, *, weights: str, side: int, real_samples: int, real_content: str, latents_seed: int
) -> Protocol:
    """The protocol of a Frechet distance of images of `side` x `side` pixels.

    `weights` is the sha256 of the extractor that is used, the real set is the one that is used.
    """
    match metric:
        case RoomsFrechet(layer=layer, resolution=seen):
            extractor = f"rooms{seen}, {layer}"
        case CleanFid():
            extractor = "Inception v3 of 2015-12-05, pool3"
        case ImageNetFrechet():
            extractor = "EfficientNet-Lite0 of ImageNet, stage 5 pooled"
        case _:
            assert_never(metric)
    return Protocol(
        series=metric.kind,
        extractor=extractor,
        weights=weights,
        resize=resize_of(metric, side),
        quantisation="8 bits a channel"
        if metric.quantised
        else "8 bits a channel of real images, none of generated ones",
        samples=metric.samples,
        real_samples=real_samples,
        real_content=real_content,
        latents=f"fixed, seed {latents_seed}",
        truncation="none",
        generator="EMA where the run has one, else raw",
        precision="float32",
        details={} if metric.real_taken == "spread" else {REAL_TAKEN: "the first of the set"},
    )


def of_fit(config: Reconstruction) -> tuple[Protocol, ...]:
    """The protocols of the errors of fitted images: `mae` and `psnr`."""
    described = json.dumps(canonical(config.data), sort_keys=True)
    error = Protocol(
        series=config.evaluation.metric.kind,
        extractor=None,
        weights=None,
        resize=None,
        quantisation="none",
        samples=config.images,
        real_samples=config.images,
        real_content=f"of data {hashlib.sha256(described.encode()).hexdigest()}, drawn by the seed",
        latents="none",
        truncation="none",
        generator="as fitted",
        precision=config.precision,
        details={"range": "-1 to 1"},
    )
    return error, error.derived("psnr", details={"peak": "2", "mean": "over images"})


# --- protocol.json of a run folder ------------------------------------------------------------------------------------


def as_json(protocols: Iterable[Protocol]) -> str:
    """Every series with its fields and their fingerprint."""
    series = {p.series: {**p.model_dump(mode="json"), "fingerprint": p.fingerprint} for p in protocols}
    return json.dumps(series, indent=1) + "\n"


def from_json(recorded: Mapping[str, Any]) -> dict[str, Protocol]:
    """The protocols of a record by series; empty for one of an earlier version, which recorded none."""
    protocols = {}
    for series, fields in recorded.items():
        if not isinstance(fields, Mapping):
            return {}
        plain = json.dumps({name: value for name, value in fields.items() if name != "fingerprint"})
        try:
            protocols[series] = Protocol.model_validate_json(plain)
        except ValidationError:
            return {}
    return protocols
