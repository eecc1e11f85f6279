"""Measures what the measures of `evaluation.scales` read of true scenes and of known faults, and writes docs/scales.md.

    python -m tests.choices.scales

Of the embedded rooms alone: their truth is known at any resolution. Takes about three minutes of one core, one of which
trains a generator of the `cpu` profile on a seed that no study uses.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from core.config import PATCH, Config, Job, RoomsFrechet, Scales
from core.data import rooms
from core.events import Evaluated
from core.job import run_job
from core.metrics.measure import Reading, build_metric
from core.metrics.protocol import resize_of
from core.metrics.scales import ScalesMeasure
from studies.changes_overview import EVERYTHING, STUDY
from studies.click_life import Command
from tests.choices.records import write
from tests.support.true_scenes import (
    ORACLES,
    Answer,
    Scenes,
    areas,
    blurred,
    coarse,
    jittered,
    latents_of,
    misplaced,
    noisy,
    shuffled,
)

RECORD = Path(__file__).parents[2] / "docs" / "scales.json"
SAMPLES, HELD_OUT, SEED = 2048, 4096, 3000
CONFIG = Scales()

TRUE, OTHERS = "true scenes", "other true scenes"
TRAINED = "a generator: `cpu`, all ten changes"

FLOORS = (TRUE, OTHERS)
BICUBIC, OFF = "16 x 16, bicubic", "sixteenths off by up to 1/64 of the side"

PATCHES = ("patch_1_2", "patch_1_2/places", "patch_1_4", "patch_1_4/places")
OTHER = ("psnr", "octave_4_8", "octave_8_16", "octave_16_32", "spectrum", "swd_64", "swd_32", "swd_16", "lines")
SHOWN = (*PATCHES, *OTHER, "line_pairs")
IN_FLOORS = (*PATCHES, "spectrum", "swd_64", "swd_32", "swd_16", "lines")
"""Distances, whose floor is not zero."""


def shown_scenes(first: int) -> Tensor:
    """2,048 training scenes at 128 x 128 points: the points that 2 x 2 of a pixel of 64 are the mean of."""
    indices = rooms.train_indices(first + SAMPLES)[first:]
    return torch.from_numpy(rooms.render(indices, 2 * CONFIG.fine, supersample=1))


def generators(images: Tensor) -> Iterator[tuple[str, Scenes]]:
    """By name what stands in a generator's place."""
    yield TRUE, Scenes(images, areas)
    for name, answer in ORACLES.items():
        if answer is not areas:
            yield name, Scenes(images, answer)
    faults: dict[str, Answer] = {
        "noise of 2 levels": partial(noisy, 2.0),
        "noise of 6 levels": partial(noisy, 6.0),
        "every cell seen with its neighbours (blur)": blurred,
        "windows of another place": misplaced,
    }
    for name, answer in faults.items():
        yield name, Scenes(images, answer)
    changes: dict[str, Callable[[Tensor], Tensor]] = {
        "sixteenths of other images": shuffled,
        OFF: jittered,
    }
    for name, change in changes.items():
        yield name, Scenes(change(images), areas)
    # A third of the scenes: of every measure's images most are others than those of the true scenes.
    wall = rooms.factors(0, rooms.train_indices(SAMPLES))["window_wall"]
    yield "no window but on the back wall", Scenes(images[torch.from_numpy((wall >= 1) & (wall < 2))], areas)
    yield "sixteen scenes, repeated", Scenes(images, areas, 16)


def readings(measure: ScalesMeasure, generator: Any, latents: Tensor) -> dict[str, float]:
    found = measure(generator, latents)
    return {r.key.removeprefix("scales/"): float(f"{r.value:.4g}") for r in found if isinstance(r, Reading)}


def trained() -> tuple[dict[str, float], dict[str, float]]:
    """What a generator of the `cpu` profile reads, and the seconds of each reading."""
    config = STUDY.profile("cpu").scaled(EVERYTHING)
    assert isinstance(config, Config)
    asked = config.replace(
        evaluation=config.evaluation.replace(every=config.iterations, quality=None, resamples=0, scales=CONFIG)
    )
    with tempfile.TemporaryDirectory() as folder:
        events = list(run_job(Job(config=asked, seed=SEED), runs=Path(folder) / "runs", cache=Path(folder) / "cache"))
    mine = [event for event in events if isinstance(event, Evaluated) and event.metric.startswith("scales/")]
    names = [event.metric.removeprefix("scales/") for event in mine]
    values = {name: float(f"{event.value:.4g}") for name, event in zip(names, mine, strict=True)}
    return values, {name: round(event.evaluation_seconds, 3) for name, event in zip(names, mine, strict=True)}


def measured() -> dict[str, Any]:
    """The record."""
    torch.set_num_threads(1)
    held_out = torch.from_numpy(rooms.render(rooms.held_out_indices(HELD_OUT), CONFIG.fine))
    config = RoomsFrechet(samples=SAMPLES)
    metric = build_metric(config, coarse(held_out), device="cpu", cache=None)
    started = time.process_time()
    measure = ScalesMeasure(CONFIG, metric, held_out, resize_of(config, PATCH), latents_seed=8192)
    making = time.process_time() - started
    rows = {}
    for name, scenes in generators(shown_scenes(0)):
        rows[name] = readings(measure, scenes, latents_of(SAMPLES))
    rows[OTHERS] = readings(measure, Scenes(shown_scenes(SAMPLES), areas), latents_of(SAMPLES))
    rows[TRAINED], seconds = trained()
    return {"rows": rows, "seconds": seconds, "real_seconds": round(making, 1)}


# --- the page ---------------------------------------------------------------------------------------------------------


def cell(row: Mapping[str, float], floor: Mapping[str, float], series: str) -> str:
    value = row[series]
    if series == "psnr":
        return f"{value:.1f}"
    if series not in IN_FLOORS:
        return f"{value:+.2f}" if series.startswith("octave") else f"{value:.2f}"
    digits = 1 if series.startswith("swd") else 2 if series in ("spectrum", "lines") else 3
    times = value / floor[series]
    shown = f"{times:.0f}" if times >= 10 else f"{times:.1f}"
    return f"{value:.{digits}f} ({shown})"


def table(rows: Mapping[str, Mapping[str, float]], columns: tuple[str, ...]) -> list[str]:
    floor = rows[TRUE]
    names = [*FLOORS, *(name for name in rows if name not in (*FLOORS, TRAINED)), TRAINED]
    return [
        f"| in a generator's place | {' | '.join(f'`{column}`' for column in columns)} |",
        f"|:--|{'--:|' * len(columns)}",
        *(f"| {name} | {' | '.join(cell(rows[name], floor, column) for column in columns)} |" for name in names),
    ]


MEASURES = (
    (
        "`patch_1_2`, `patch_1_4`",
        "Fréchet distance of the metric's own features of windows of 16×16 cells that show a half and a quarter of the "
        "side (`zooms`): f at the middles of cells, against means over these cells of real images of `fine` pixels. "
        "Not an FID",
        ("patch",),
    ),
    (
        "…`/upper_left`, `/upper_right`, `/lower_left`, `/lower_right`, `/places`",
        "the same of the windows in each quarter of the places that there are, and the mean of the four: detail in the "
        "wrong place. Of a quarter of the windows each, so their floor is higher",
        (),
    ),
    (
        "`psnr`",
        "means over areas of the dense render against the render at the training resolution, in dB of the range, 100 "
        "at most, averaged in dB over images. Of generated images alone: whether one picture is shown at both "
        "densities, not whether it is good",
        ("psnr",),
    ),
    (
        "`octave_4_8`, `octave_8_16`, …, `spectrum`",
        "log2 of the power of dense images over that of real ones, by cycles across the image (grey, Hann window), and "
        "the mean of the magnitudes. −1: half of the power is missing",
        ("octave", "spectrum"),
    ),
    (
        "`swd_64`, `swd_32`, `swd_16`, `swd`",
        "sliced Wasserstein distance of 7×7 patches of each level of a Laplacian pyramid, × 1000 (Karras et al. 2018, "
        "with their constants), and the mean of levels. Patches are standardised colour by colour on either side, so "
        "that contrast is not compared",
        ("swd",),
    ),
    (
        "`lines`, `line_pairs`",
        "in each window of 8×8 pixels of the dense render its straight edge, if it has one; where an edge leads into "
        "the next window and that has one, too, by how many pixels they miss each other; the Wasserstein-1 distance of "
        "these misses to those in real images. `line_pairs`: such pairs in an image over those in a real one",
        ("line",),
    ),
)
"""Series, what they are, and how their names begin."""


def page(record: Mapping[str, Any]) -> str:
    """docs/scales.md."""
    rows, seconds = record["rows"], record["seconds"]
    floor, boxes, bicubic, off = (rows[name] for name in (TRUE, "means over 1/16 boxes", BICUBIC, OFF))

    def spent(prefixes: tuple[str, ...]) -> str:
        return f"{sum(s for name, s in seconds.items() if name.startswith(prefixes)):.1f}" if prefixes else "with them"

    paragraphs = [
        "# Any resolution: what is measured between the pixels",
        "By `python -m tests.choices.scales`. `evaluation.scales` (off where nothing is said) measures the trained "
        "generator at its last iteration at densities that it was not trained at, against real images of `fine` "
        "pixels. Series are called `scales/…`, and each has a protocol of its own. Verdicts stay the metric's unless "
        "a claim names one of these; `octave_…` have a sign and `psnr` is in dB, so no ratio of them means anything. "
        "Eight dense images are kept below eight real ones (`samples/dense.png`).",
        "\n".join(
            [
                "| series | what it is | seconds |",
                "|:--|:--|--:|",
                *(f"| {name} | {what} | {spent(prefixes)} |" for name, what, prefixes in MEASURES),
            ]
        ),
        f"Seconds are those of one run of the `cpu` profile at the defaults ({CONFIG.patches:,} windows a zoom, "
        f"{CONFIG.dense} dense images, {CONFIG.pyramids} pyramids), by the clock, on one thread of a machine that "
        f"other work kept busy: {sum(seconds.values()):.1f} in all. What is known of {HELD_OUT:,} real images takes "
        f"{record['real_seconds']:.0f} s of a core once a process; they are rendered at 64×64 once a cache.",
        "Generated and real images are rounded to 8 bits alike, but for `psnr`. Where windows lie is drawn from "
        "`evaluation.latents_seed`, by one law for both: uniform over the fine pixels, a quarter of them in each "
        "place. Their cells are whole fine pixels, because means of pixels anywhere else are of a blurred picture, "
        "which flatters blurred generators: with windows anywhere bicubic enlargement of true images read 0.074 at a "
        "quarter of the side where means over the very cells read 0.096, and 0.088 with 128×128 pixels (2,048 scenes, "
        "measured once).",
        "Of real images up to `real` are looked at, spread evenly, each once a place and zoom. Photographs must have "
        "the `fine` pixels, or the run is refused before it trains; their metric is `fd_imagenet`, which enlarges "
        "patches as it does images.",
        "## Floors, oracles, controls",
        "In a generator's place: true scenes, what is known of them at 16×16, and true scenes made worse. They are "
        f"{SAMPLES:,} scenes that are not among the {HELD_OUT:,} real ones, at 128×128 points. In brackets: times what "
        "true scenes read.",
        "\n".join(table(rows, PATCHES)),
        "\n".join(table(rows, (*OTHER, "line_pairs"))),
        "\n".join(
            [
                "- **True scenes** are what a perfect INR would read.",
                "- **Means over 1/16 boxes** are what an INR holds that has learned area pixels of 16×16 without "
                "error. "
                f"Of the power in 8 to 16 and in 16 to 32 cycles it has 2^{boxes['octave_8_16']:.1f} and "
                f"2^{boxes['octave_16_32']:.1f}, and it agrees with its own pixels to {boxes['psnr']:.0f} dB. An INR "
                "that sees area pixels alone has no reason to be better there.",
                f"- **Bicubic enlargement of true 16×16 images** reads {bicubic['patch_1_4']:.3f} at a quarter of the "
                "side: what has to be beaten before anything is called super-resolution.",
                "- **Windows of another place** read as true ones over all places: only the places tell.",
                "- **Sixteenths that are off** leave every window right but for a seam. Distances of patches stay at "
                f"{off['patch_1_4'] / floor['patch_1_4']:.1f} floors, the lines are at "
                f"{off['lines'] / floor['lines']:.0f}.",
                "- **Blind spots**: the pyramid and the lines to a kind of room that is missing, the pyramid's last "
                "level to noise and blur (and its floor is high), the power to few scenes that repeat. A generator "
                "whose edges are too soft to be found has a `line_pairs` near 0, and then few pairs make its `lines`; "
                "without any it is 8.",
            ]
        ),
        "Floors are of these numbers of images: a Fréchet distance of fewer windows is larger, and two of different "
        "numbers do not compare, which their protocols see to. `tests/core/test_scales.py` holds each fault to a least "
        "factor over the floor, and each blind spot to its series, on 512 scenes.",
    ]
    return "\n\n".join(paragraphs) + "\n"


@click.command(cls=Command)
def main() -> None:
    """Records what is read of true scenes and of faults."""
    write(RECORD, measured(), page)


if __name__ == "__main__":
    main()
