"""Run folders as the runner writes them, with curves of known effects instead of training."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ablations.schema import DesignName
from core.config import PATCH, Config, Data, Job, Reconstruction
from core.events import Built, Diverged, Evaluated, Event, Finished, LayerAtStart, Losses
from core.folder import Outcome, Recorded, RunFolder
from core.metrics.protocol import Protocol, as_json, of_fit, of_metric
from studies.catalogue import study as declared_study
from studies.plan import Plan, PlannedVariant, jobs_root, record_plan
from studies.planning import make_plan

TRUE_FACTORS = {
    "fourier_inr": 1.10,
    "generator_ema": 0.97,
    "r1": 0.98,
    "d1_g1": 0.58,
    "batch_size": 1.02,
    "learning_rates": 0.70,
    "inr_size": 0.72,
    "factorized_se": 0.90,
    "ns_loss": 1.01,
    "residual_weight": 0.99,
}
"""What each change multiplies the final metric by, near what a small prototype measured."""

Place = tuple[str, int]
Fields = Mapping[str, Any]
"""Fields of a protocol that a run has otherwise than the others."""


def planned(
    runs: Path,
    name: str = "changes_overview",
    *,
    designs: Sequence[DesignName] = ("ladder",),
    seeds: Sequence[int] = (0, 1, 2),
    only: Collection[str] | None = None,
    data: Data | None = None,
    data_name: str | None = None,
    overrides: Mapping[str, object] | None = None,
    profile: str = "cpu",
    protocol: str | None = None,
) -> Plan:
    """Records a plan of `name` at a profile, of the variants named in `only` if it is given."""
    study = declared_study(name)
    plan = make_plan(
        study,
        study.profile(profile),
        designs=designs,
        seeds=seeds,
        overrides=overrides,
        data=data,
        data_name=data_name,
        protocol=protocol,
    )
    if only is not None:
        plan = Plan(**{**dict(plan), "variants": tuple(v for v in plan.variants if v.name in only)})
    return record_plan(runs, plan)


def train_all(
    runs: Path,
    plan: Plan,
    *,
    skip: Collection[Place] = (),
    failed: Collection[Place] = (),
    diverged: Collection[Place] = (),
    unfinished: Collection[Place] = (),
    unmeasured: Collection[Place] = (),
    otherwise: Mapping[Place, Fields] | None = None,
    series: Collection[str] | None = None,
    unrecorded: Collection[Place] = (),
) -> None:
    """Writes a run folder for every job of `plan` but those skipped; the others end as the places they are in say.

    The runs in `otherwise` have other fields in their protocols, of these `series` or of all; those in `unrecorded` are
    of a version that recorded no protocols.
    """
    for variant in plan.variants:
        for seed in plan.seeds:
            place = (variant.name, seed)
            if place in skip:
                continue
            ending = (
                "failed" if place in failed else
                "diverged" if place in diverged else
                "unfinished" if place in unfinished else
                "finished"
            )  # fmt: skip
            fields = (otherwise or {}).get(place, {})
            protocols = () if place in unrecorded else protocols_of(variant, fields, series)
            write_run(runs, variant, seed, ending, measured=place not in unmeasured, protocols=protocols)


def record_whole(runs: Path, plan: Plan) -> None:
    """Says in every outcome which record the run ended with, as the runner does."""
    for variant, seed in plan.jobs():
        folder = RunFolder(jobs_root(runs), variant.job(seed))
        outcome = folder.outcome()
        assert outcome is not None
        whole = Outcome(**{**dict(outcome), "recorded": Recorded.of(folder.events_file.read_bytes())})
        folder.write("outcome.json", whole.model_dump_json())


WEIGHTS, REAL = "6726825d" + "ab" * 28, "cd" * 32
"""Of the extractor and of the real set in every protocol here."""


def protocols_of(
    variant: PlannedVariant, fields: Fields | None = None, series: Collection[str] | None = None
) -> tuple[Protocol, ...]:
    """What a run of `variant` measures with: the metric and, with their names alone for details, all that is further.

    Of these `series`, or of all, some `fields` are others.
    """
    config = variant.config
    if isinstance(config, Reconstruction):
        found = of_fit(config)
    else:
        asked = config.evaluation.metric
        real = min(4096, getattr(asked, "real", None) or 4096) if config.data.kind == "rooms" else 8192
        metric = of_metric(
            asked,
            weights=WEIGHTS,
            side=config.data.resolution,
            real_samples=real,
            real_content=REAL,
            latents_seed=config.evaluation.latents_seed,
        )
        found = (metric, *(metric.derived(name) for name in further_values(config, 1.0)))
    changed = fields or {}
    return tuple(
        p.derived(p.series, **changed) if changed and (series is None or p.series in series) else p for p in found
    )


def write_run(
    runs: Path,
    variant: PlannedVariant,
    seed: int,
    ending: str,
    *,
    measured: bool = True,
    protocols: Iterable[Protocol] | None = None,
) -> RunFolder:
    """One run folder. `protocols` are those of `protocols_of` unless others are given."""
    measured_with = tuple(protocols_of(variant) if protocols is None else protocols)
    fingerprints = {protocol.series: protocol.fingerprint for protocol in measured_with}
    config, job = variant.config, variant.job(seed)
    folder = RunFolder(jobs_root(runs), job)
    rng = np.random.default_rng([seed, *(ord(letter) for letter in variant.name)])
    final = (
        19.0
        * float(np.prod([TRUE_FACTORS.get(change, 1.2) for change in variant.changes]))
        * float(np.exp(0.07 * rng.normal()))
    )
    if isinstance(config, Reconstruction):
        return write_fit(runs, variant, config, seed, rng, measured_with)
    key = config.evaluation.metric.kind
    stop = config.iterations if ending == "finished" else config.iterations // 2 + 50
    pace = 0.04 * (1 + 0.5 * (config.batch_size > 16)) * (1.5 if config.d_per_g == 1 else 1.0) * rng.uniform(0.95, 1.05)
    events: list[Event] = [
        Built(
            iteration=0,
            images=0,
            seconds=0.0,
            emitted_parameters=100 * config.inr.width,
            shared_parameters=0,
            generator_parameters=25_700 * config.inr.width,
            discriminator_parameters=190_000,
        )
    ]
    every = config.evaluation.every
    for iteration in sorted({*range(50, stop + 1, 50), *range(every, stop + 1, every), stop}):
        at = {"iteration": iteration, "images": iteration * config.batch_size, "seconds": pace * iteration}
        if iteration % 50 == 0:
            events.append(Losses(**at, d_loss=1.0, g_loss=0.5, penalty=0.1, real_score=0.4, fake_score=-0.4))
        if measured and (iteration % config.evaluation.every == 0 or iteration == config.iterations):
            value = final * (1 + 2.5 * np.exp(-4 * iteration / config.iterations)) * float(np.exp(0.02 * rng.normal()))
            fingerprint = fingerprints.get(key, "")
            events.append(Evaluated(**at, metric=key, value=value, evaluation_seconds=0.4, protocol=fingerprint))
    end = {"iteration": stop, "images": stop * config.batch_size, "seconds": pace * stop}
    if ending == "diverged":
        events.append(Diverged(**end, reason="the loss of D is not finite"))
    if ending == "finished":
        if measured:
            events += further(config, end, value, rng, fingerprints)
        events.append(Finished(**end, generator=None))
        write_samples(folder, config.data.resolution, rng, f"{stop:06d}.png")
        write_rows(folder, config, rng)
    write_record(folder, job, events, measured_with)
    if ending != "unfinished":
        reason = {"failed": "RuntimeError: out of memory\n  at line 3", "diverged": "the loss of D is not finite"}.get(
            ending
        )
        outcome = Outcome(
            status=ending,
            iteration=stop,
            reason=reason,
            seconds=pace * stop,
            evaluation_seconds=0.4 * stop / 100,
            job_seconds=pace * stop + 6,
            attempts=2 if ending == "failed" else 1,
        )
        folder.write("outcome.json", outcome.model_dump_json())
    return folder


def write_record(folder: RunFolder, job: Job, events: Sequence[Event], protocols: Sequence[Protocol]) -> None:
    """What every run folder has but its outcome and its pictures."""
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.events_file.write_text("".join(event.model_dump_json() + "\n" for event in events))
    folder.write("job.json", job.model_dump_json())
    folder.write("protocol.json", as_json(protocols) if protocols else json.dumps(BEFORE_PROTOCOLS))
    folder.write("provenance.json", json.dumps(PROVENANCE))


UPSAMPLED = {
    "own": 0.6,
    "natural_centres": 1.0,
    "natural_corners": 1.1,
    "bilinear_centres": 2.0,
    "bilinear_corners": 1.4,
    "bicubic_centres": 1.1,
    "bicubic_corners": 1.05,
    "nearest": 1.3,
    "natural_averaged": 1.05,
}
"""Each method's distance over that of natural upsampling."""

OPPONENTS = {
    "lanczos_centres": 0.95,
    "lanczos_corners": 0.97,
    "sharpened_centres": 0.8,
    "sharpened_corners": 0.85,
    "sr_cnn": 0.75,
}
"""Those of methods that a config asks for."""


QUALITY = {"kid": 0.004, "precision": 0.02, "recall": 0.03, "density": 0.04, "coverage": 0.01, "infinity": 0.9}
"""Each further measure over the metric: not what real runs show, but known."""


FINER = {"patch_1_2": 0.005, "patch_1_2/places": 0.006, "patch_1_4": 0.006, "patch_1_4/places": 0.007, "swd": 4.0}
"""Each measure of detail over the metric."""


def decibels(config: Config) -> float:
    """How well dense images agree with coarse ones."""
    return 37.0


def further(
    config: Config, at: Mapping[str, float], value: float, rng: np.random.Generator, fingerprints: Mapping[str, str]
) -> list[Event]:
    """What a run measures besides at its last iteration, by the config; clipping doubles the perceptual path length."""
    return [
        Evaluated(
            **at,
            metric=name,
            value=v * float(np.exp(0.02 * rng.normal())),
            evaluation_seconds=0.4,
            protocol=fingerprints.get(name, ""),
        )
        for name, v in further_values(config, value).items()
    ]


def further_values(config: Config, value: float) -> dict[str, float]:
    """The values of `further`, without scatter."""
    key = config.evaluation.metric.kind
    found = {f"{key}/resample_{k}": value for k in range(1, config.evaluation.resamples + 1)}
    if config.evaluation.upsampling is not None:
        measured = UPSAMPLED | {
            name: factor
            for opponent in config.evaluation.upsampling.opponents
            for name, factor in OPPONENTS.items()
            if name.startswith(opponent)
        }
        large = 0.7 if config.looks.view.kind == "sizes" else 1.0
        found |= {f"upsampled/{name}": large * factor * value for name, factor in measured.items()}
    if config.evaluation.interpolation is not None:
        found["interpolation/ppl"] = 20.0 if config.hypernetwork.weight_clip else 10.0
        found |= {f"interpolation/{name}": 1.5 for name in ("path_length", "largest_step", "curvature")}
    if config.evaluation.scales is not None:
        found |= {f"scales/{name}": factor * value for name, factor in FINER.items()}
        found |= {"scales/psnr": decibels(config), "scales/spectrum": 2.0, "scales/lines": 0.3}
        found |= {"scales/octave_4_8": -0.5, "scales/octave_8_16": -2.0, "scales/octave_16_32": 0.4}
    if (octaves := config.evaluation.octaves) is not None:
        for zoom in octaves.zooms:
            found |= {f"octaves/patch_1_{zoom}": 0.4 * value, f"octaves/floor_1_{zoom}": 0.005}
            found |= {f"octaves/power_{2 * zoom}_{4 * zoom}": -0.5, f"octaves/power_{4 * zoom}_{8 * zoom}": -1.5}
        found["octaves/power"] = 1.0
    if config.evaluation.quality is not None:
        found |= {f"{key}/{name}": factor * value for name, factor in QUALITY.items()}
    return found


def write_rows(folder: RunFolder, config: Config, rng: np.random.Generator) -> None:
    """The pictures that go with further measures."""
    size = config.data.resolution
    if (asked := config.evaluation.interpolation) is not None:
        grid = rng.integers(0, 256, (asked.pictures * size, asked.steps * size, 3), dtype=np.uint8)
        Image.fromarray(grid).save(folder.samples / "interpolations.png")
    if config.evaluation.upsampling is not None:
        columns = 4 + len(config.evaluation.upsampling.opponents)
        grid = rng.integers(0, 256, (8 * 2 * size, columns * 2 * size, 3), dtype=np.uint8)
        Image.fromarray(grid).save(folder.samples / "upsampled.png")
    if (scales := config.evaluation.scales) is not None:
        grid = rng.integers(0, 256, (2 * scales.fine, 8 * scales.fine, 3), dtype=np.uint8)
        Image.fromarray(grid).save(folder.samples / "dense.png")
    if (octaves := config.evaluation.octaves) is not None:
        grid = rng.integers(0, 256, (2 * len(octaves.zooms) * PATCH, 16 * PATCH, 3), dtype=np.uint8)
        Image.fromarray(grid).save(folder.samples / "octaves.png")


def write_fit(
    runs: Path,
    variant: PlannedVariant,
    config: Reconstruction,
    seed: int,
    rng: np.random.Generator,
    protocols: tuple[Protocol, ...],
) -> RunFolder:
    """One finished run folder of a reconstruction; mFiLM's outputs start large and its error stays large."""
    job = variant.job(seed)
    folder = RunFolder(jobs_root(runs), job)
    fingerprints = {protocol.series: protocol.fingerprint for protocol in protocols}
    fails = "mfilm" in variant.changes and "unit_init" not in variant.changes
    sizes = (1.0, 10.0, 900.0, 1e6) if fails else (1.0, 1.1, 0.9, 1.0)
    initial = tuple(LayerAtStart(pre_activation=size, emitted_gradient=0.1, own_gradient=None) for size in sizes)
    events: list[Event] = [
        Built(
            iteration=0,
            images=0,
            seconds=0.0,
            emitted_parameters=100 * (1 + len(variant.name)),
            shared_parameters=10,
            generator_parameters=1000,
            layer_parameters=100,
            macs=820_000,
            initial=initial,
        )
    ]
    error = (0.9 if fails else 0.02 * 1.2 ** len(variant.changes)) * float(np.exp(0.07 * rng.normal()))
    for iteration in range(config.evaluation.every, config.iterations + 1, config.evaluation.every):
        at = {"iteration": iteration, "images": iteration * config.images, "seconds": 0.01 * iteration}
        values = {"mae": error * config.iterations / iteration, "psnr": 30.0}
        events += [
            Evaluated(**at, metric=name, value=value, evaluation_seconds=0.1, protocol=fingerprints.get(name, ""))
            for name, value in values.items()
        ]
    end = {"iteration": config.iterations, "images": config.iterations * config.images, "seconds": 3.0}
    events.append(Finished(**end, generator=None))
    for name in (f"{config.iterations:06d}.png", "real.png"):
        write_samples(folder, config.data.resolution, rng, name)
    write_record(folder, job, events, protocols)
    outcome = Outcome(
        status="finished",
        iteration=config.iterations,
        seconds=3.0,
        evaluation_seconds=0.3,
        job_seconds=3.5,
        peak_memory=30 * 2**20,
    )
    folder.write("outcome.json", outcome.model_dump_json())
    return folder


def write_samples(folder: RunFolder, resolution: int, rng: np.random.Generator, name: str) -> None:
    """A grid of 2 x 8 tiles of coloured noise."""
    folder.samples.mkdir(parents=True, exist_ok=True)
    grid = rng.integers(0, 256, (2 * resolution, 8 * resolution, 3), dtype=np.uint8)
    Image.fromarray(grid).save(folder.samples / name)


BEFORE_PROTOCOLS = {"metric": "fd_rooms", "samples": "2048", "latents": "fixed, seed 8192"}
"""What `protocol.json` was before it had fingerprints."""

PROVENANCE = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "dirty": False,
    "python": "3.11.7",
    "torch": "2.15.0",
    "numpy": "2.4.6",
    "device": "cpu",
    "processor": "Skylake-class, 2 cores",
    "threads": 1,
    "platform": "Linux x86_64",
}
