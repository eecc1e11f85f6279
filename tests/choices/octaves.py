"""Measures what the measures of `evaluation.octaves` read of true windows and of known faults, and writes
docs/octaves.md.

    python -m tests.choices.octaves

Of the embedded rooms' version 2. Takes about two minutes of one core.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from core.config import PATCH, Octaves, RoomsFrechet
from core.data import rooms
from core.metrics.measure import build_metric
from core.metrics.octaves import BANDS, OctavesMeasure
from core.metrics.patches import Edges
from core.metrics.protocol import resize_of
from studies.click_life import Command
from tests.choices.records import write
from tests.support.true_windows import POINTS, blurred, elsewhere, empty, held_out, of_enlarged, of_scenes, texture_of

RECORD = Path(__file__).parents[2] / "docs" / "octaves.json"
CONFIG = Octaves()
EXACT, EXACT_OF = 32, 64
"""Points of a cell that stand for its area, and of how many windows."""

TRUE = "true windows"
TEXTURELESS, COARSER, FINER = "no texture (renderer 1)", "texture 8 times as coarse", "texture 8 times as fine"
SMALL, LARGER = "16 x 16, bicubic", "64 x 64, bicubic"
POINT, BLUR, PLACE, NEXT = "points", "every cell seen with its neighbours", "windows of another place", "the next zoom"


def pictures(resolution: int) -> Tensor:
    """The shown scenes whole, uint8 [N, 3, R, R]."""
    return torch.from_numpy(rooms.render(rooms.train_indices(CONFIG.windows), resolution, renderer=2))


def generators(edges: Edges, whole: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """By name what stands in a generator's place at a zoom: windows of training scenes."""
    indices = rooms.train_indices(CONFIG.windows)
    true = of_scenes(indices, edges)
    yield TRUE, true
    yield POINT, of_scenes(indices, edges, points=1)
    for name, images in whole.items():
        yield name, of_enlarged(images, edges)
    yield TEXTURELESS, of_scenes(indices, edges, renderer=1)
    for name, finer in ((COARSER, 1 / 8), (FINER, 8.0)):
        with texture_of(finer):
            yield name, of_scenes(indices, edges)
    yield BLUR, blurred(true)
    yield PLACE, elsewhere(true)


def off(edges: Edges) -> dict[str, float]:
    """How far windows are from means over their cells' areas, in 8-bit levels."""
    few = edges[0][:EXACT_OF], edges[1][:EXACT_OF]
    indices = rooms.train_indices(EXACT_OF)
    error = of_scenes(indices, few).double() - of_scenes(indices, few, points=EXACT).double()
    return {"rms": round(float(error.square().mean().sqrt()), 2), "median": float(error.abs().median())}


def measured() -> dict[str, Any]:
    """The record."""
    torch.set_num_threads(1)
    started = time.process_time()
    config = RoomsFrechet(samples=CONFIG.windows)
    real = torch.from_numpy(rooms.render(rooms.held_out_indices(64), PATCH, renderer=2))
    metric = build_metric(config, real, device="cpu", cache=None)
    measure = OctavesMeasure(CONFIG, metric, held_out, resize_of(config, PATCH), latents_seed=8192)
    making = time.process_time() - started
    whole = {SMALL: pictures(PATCH), LARGER: pictures(4 * PATCH)}
    rows: dict[str, dict[str, float]] = {}
    found: dict[str, dict[str, Any]] = {"empty": {}, "off": {}}
    before: Tensor | None = None
    for zoom in CONFIG.zooms:
        edges = measure.edges(CONFIG.windows, zoom, "windows")
        shown = dict(generators(edges, whole))
        # A generator that repeats what it has learned of larger windows.
        shown |= {} if before is None else {NEXT: before}
        for name, windows in shown.items():
            read = {each.key.removeprefix("octaves/"): each.value for each in measure.readings(zoom, windows)}
            rows.setdefault(name, {}).update({key: float(f"{value:.4g}") for key, value in read.items()})
        found["empty"][str(zoom)] = {name: round(empty(shown[name]), 4) for name in (TRUE, TEXTURELESS)}
        found["off"][str(zoom)] = off(edges)
        before = shown[TRUE]
    return {"rows": rows, **found, "real_seconds": round(making, 1)}


# --- the page ---------------------------------------------------------------------------------------------------------


def distances(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The table of distances, with times what true windows read."""
    names = [f"patch_1_{zoom}" for zoom in CONFIG.zooms]
    lines = [
        f"| in a generator's place | {' | '.join(f'`{name}`' for name in names)} | `patch_1_4/places` |",
        f"|:--|{'--:|' * (len(names) + 1)}",
    ]

    def cell(row: Mapping[str, float], name: str) -> str:
        if name not in row:
            return "–"
        times = row[name] / rows[TRUE][name]
        return f"{row[name]:.4f} ({times:.0f})" if times >= 10 else f"{row[name]:.4f} ({times:.1f})"

    floor = {name.replace("floor", "patch"): value for name, value in rows[TRUE].items() if name.startswith("floor")}
    for title, row in {"other true windows (the floor)": floor, **rows}.items():
        lines.append(f"| {title} | {' | '.join(cell(row, name) for name in (*names, 'patch_1_4/places'))} |")
    return lines


def powers(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The table of power by octaves."""
    ends = [(low * zoom, high * zoom) for zoom in CONFIG.zooms for low, high in BANDS]
    lines = [
        f"| in a generator's place | {' | '.join(f'{low}–{high}' for low, high in ends)} |",
        f"|:--|{'--:|' * len(ends)}",
    ]
    for title, row in rows.items():
        cells = [f"{row[name]:+.1f}" if (name := f"power_{low}_{high}") in row else "–" for low, high in ends]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def page(record: Mapping[str, Any]) -> str:
    """docs/octaves.md."""
    rows = record["rows"]
    true, smooth = rows[TRUE], rows[TEXTURELESS]

    def times(row: str, zoom: int) -> str:
        ratio = rows[row][f"patch_1_{zoom}"] / true[f"patch_1_{zoom}"]
        return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"

    def placed(zoom: int) -> str:
        return f"{rows[PLACE][f'patch_1_{zoom}/places'] / true[f'patch_1_{zoom}/places']:.0f}"

    shares = [
        f"{record['empty'][str(zoom)][TRUE]:.1%} at zoom {zoom} ({record['empty'][str(zoom)][TEXTURELESS]:.0%} without "
        "texture)"
        for zoom in CONFIG.zooms
        if zoom >= 16
    ]
    errors = ", ".join(f"{record['off'][str(zoom)]['rms']:.1f} at zoom {zoom}" for zoom in CONFIG.zooms)
    paragraphs = [
        "# Any resolution: what is measured at any zoom",
        "By `python -m tests.choices.octaves`. `evaluation.octaves` (off where nothing is said) measures the trained "
        "generator at its last iteration in windows of 16×16 cells that show 1/zoom of the side: at zoom 256 parts of "
        "a picture of 4,096 pixels. [`evaluation.scales`](scales.md) compares with stored images of many pixels; here "
        "true windows are drawn by the rooms' own function, each of a held-out scene of its own, so that any zoom "
        "costs the same. Photographs have no such function, and are refused. `renderer` 2 has fine detail of known "
        "spectrum (`core/data/texture.py`), without which 4,096 pixels hold edges and nothing else.",
        "\n".join(
            [
                "| series | what it is |",
                "|:--|:--|",
                "| `octaves/patch_1_16` | Fréchet distance of the metric's own features of windows that show 1/16 of "
                "the side: f at the middles of cells or as its footprint has it, against means over their areas. Not "
                "an FID |",
                "| …`/places` | the mean of the distances in the four quarters of the places that there are: detail in "
                "the wrong place. Of a quarter of the windows each, so its floor is higher |",
                "| `octaves/floor_1_16`, …`/places` | the same of as many true windows of other scenes: what nothing "
                "can be told from. The same in every run of the same protocol |",
                "| `octaves/power_32_64`, … | log2 of a window's power in 32 to 64 cycles across the picture (grey, "
                "Hann window), its mean over generated windows less that over true ones. −1: most windows have half. "
                "Needs no network |",
                "| `octaves/power` | the mean of the magnitudes over all octaves |",
            ]
        ),
        "Where windows lie is drawn from `evaluation.latents_seed`, by one law for both: uniform in steps of a cell, a "
        f"quarter in each place. Both are rounded to 8 bits. True windows are means of {POINTS}×{POINTS} points a cell "
        f"(`points`); by so many 8-bit levels they are off the mean of {EXACT}×{EXACT} (root mean square, most of it "
        f"on edges): {errors}. At zoom 1 they are the metric's own real images at 16×16.",
        "Windows in which no colour varies by more than two levels are part of the law: " + ", ".join(shares) + ".",
        f"Drawing {CONFIG.real:,} real windows and {CONFIG.windows:,} of the floor at {len(CONFIG.zooms)} zooms, and "
        f"looking at them, takes {record['real_seconds']:.0f} s of a core once a cache. Of every zoom are kept "
        "16 true windows above 16 generated ones (`samples/octaves.png`).",
        "## Floors and controls",
        f"In a generator's place: {CONFIG.windows:,} windows of training scenes a zoom. In brackets: times what true "
        "windows read.",
        "\n".join(distances(rows)),
        "The same in power, log2 by octaves in cycles across the picture:",
        "\n".join(powers(rows)),
        "\n".join(
            [
                f"- **Texture is seen** from zoom 16 on: without it windows read {times(TEXTURELESS, 16)}, "
                f"{times(TEXTURELESS, 64)} and {times(TEXTURELESS, 256)} floors at zooms 16, 64 and 256, and lack "
                f"2^{-smooth['power_1024_2048']:.0f} of the power in the last octave. At zooms 1 and 4 it is below the "
                "cells: nothing is to be seen of it, and nothing is.",
                f"- **The wrong octave is seen less**: texture 8 times as coarse reads {times(COARSER, 64)} and "
                f"{times(COARSER, 256)} floors at zooms 64 and 256, 8 times as fine {times(FINER, 64)} and "
                f"{times(FINER, 256)}. The power tells which octave it is.",
                f"- **Bicubic enlargement** of true 16×16 images reads {times(SMALL, 4)}, {times(SMALL, 16)}, "
                f"{times(SMALL, 64)} and {times(SMALL, 256)} floors from zoom 4 on, of 64×64 ones "
                f"{times(LARGER, 16)}, {times(LARGER, 64)} and {times(LARGER, 256)} from 16 on: what has to be beaten "
                "before there is any detail.",
                "- **Points** instead of means over areas are told at coarse zooms, where much lies between them.",
                "- **Windows of another place** read as true ones over all places; only the places tell: "
                f"{placed(4)}, {placed(64)} and {placed(256)} times what true windows read at zooms 4, 64 and 256.",
                "- **The next zoom**: true windows that show four times the side stand for a generator to which "
                "all zooms look alike.",
            ]
        ),
        "Distances at two zooms are of other windows, and do not compare; those of other numbers of windows neither. "
        "`tests/core/test_octaves.py` holds faults to least factors over the floor, on 512 scenes.",
    ]
    return "\n\n".join(paragraphs) + "\n"


@click.command(cls=Command)
def main() -> None:
    """Records what is read of true windows and of faults."""
    write(RECORD, measured(), page)


if __name__ == "__main__":
    main()
