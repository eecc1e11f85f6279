"""What generators draw: samples at the same latents, and what lies between latents."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from ablations.designs import available, ladder, variant_name
from core.folder import RunFolder
from core.reading import Damaged
from reports import figures
from reports.numbers import short
from reports.page import Block, Heading, Note, Paragraph, Strong
from reports.report import PAGE_INCHES, Report, highlighted, rung_label
from reports.results import Results, metric_letters
from studies.plan import PlannedVariant

TILES = 12
"""Samples per row of the sheet."""

ENLARGED_ROWS, ENLARGED_BY = 6, ("nearest", "bilinear", "bicubic", "natural")
"""Of the images that a run made twice as large: latents that are shown, and the methods, a column each; opponents of
the config have the columns behind them."""


def enlarged_tiles(folder: RunFolder, variant: PlannedVariant) -> dict[str, NDArray[np.uint8]]:
    """The images of the first latents by each method, [N, 2 R, 2 R, 3]; empty where the run kept none.

    Raises Damaged.
    """
    upsampling = variant.config.evaluation.upsampling
    columns = (*ENLARGED_BY, *(upsampling.opponents if upsampling else ()))
    rows = figures.rows_of_tiles(folder.samples / "upsampled.png", 2 * variant.config.data.resolution)
    if rows is None or rows.shape[1] != len(columns):
        return {}
    return {name: rows[:ENLARGED_ROWS, index] for index, name in enumerate(columns)}


def samples(report: Report) -> list[Block]:
    """What the generators draw at the same latents."""
    results = report.results
    study = results.study
    subsets = ladder(study) if "ladder" in available(study) else []
    rungs = [results.variant(variant_name(study, subset)) for subset in subsets]
    wanted = [(rung_label(rungs, rung, report), variant) for rung, variant in enumerate(rungs) if variant is not None]
    on_ladder = len(wanted) > 1
    if not on_ladder:
        wanted = [(v.title, v) for v in results.plan.listed]
    rows = []
    absent = []
    damaged = []
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    for label, variant in wanted:
        folder = results.folder_of(variant, seed)
        file = folder and folder.samples / f"{variant.config.iterations:06d}.png"
        try:
            tiles = figures.first_tiles(file, variant.config.data.resolution, TILES) if file else None
        except Damaged as error:
            tiles = None
            damaged.append(str(error))
        if tiles is None:
            absent.append(label.strip())
        else:
            rows.append((f"{label}, {metric_letters(results)} {short(value_of(results, variant, seed))}", tiles))
    blocks: list[Block] = [Heading("Samples")]
    if rows:
        if (real := real_images(results, results.plan.seeds, TILES)) is not None and real.shape[1] == rows[0][1].shape[
            1
        ]:
            rows.insert(0, ("real images", real))
        rows = [row for row in rows if row[1].shape[1] == rows[0][1].shape[1]]
        with figures.style():
            sheet = figures.sample_sheet(rows)
            tall = float(sheet.get_figheight() * figures.WIDTH / sheet.get_figwidth())
            what = "each rung" if on_ladder else "each variant"
            blocks.append(
                report.figure(
                    sheet,
                    "samples.png",
                    f"Samples of {what} at the last iteration, seed {seed}: column by column the same latents, the "
                    "first of the fixed ones and not chosen, through the evaluated generator; behind each label what "
                    "this run measured. Pixels enlarged, not smoothed.",
                    f"Sheet of sample images, one row for {what}.",
                    width=round(min(100.0, 100 * PAGE_INCHES / tall), 1),
                )
            )
    if absent:
        some = "; ".join(absent) if rows else "any of the variants"
        blocks.append(Paragraph(f"No samples of seed {seed} at the last iteration for: {some}."))
    return [*blocks, *(Note((Strong("A picture is left out:"), f" {each}.")) for each in damaged)]


def value_of(results: Results, variant: PlannedVariant, seed: int) -> float:
    """What the run that is shown measured at its last iteration; NaN where it has not got there."""
    return float(results.last(variant)[results.plan.seeds.index(seed)])


def real_images(results: Results, seeds: Sequence[int], most: int) -> np.ndarray | None:
    """Tiles of real images, from the first run of these seeds that kept them: of a fit, the images that it fits."""
    for variant in results.plan.variants:
        for seed in (seed for seed in seeds if seed in results.plan.seeds_of(variant)):
            folder = results.folder(str(results.job(variant, seed)["run"]))
            with suppress(Damaged):  # Any other run has them as well.
                tiles = figures.first_tiles(folder.samples / "real.png", variant.config.data.resolution, most)
                if tiles is not None:
                    return tiles
    return None


PATHS = 2
"""Of each variant, in the strips."""


def between_latents(report: Report) -> list[Block]:
    """The first paths between two latents, of the few variants that the curves are about."""
    results = report.results
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    rows: list[tuple[str, NDArray[np.uint8]]] = []
    for name in highlighted(report):
        variant = results.variant(name)
        assert variant is not None
        folder = results.folder_of(variant, seed)
        file = folder and folder.samples / "interpolations.png"
        strips = figures.rows_of_tiles(file, variant.config.data.resolution) if file else None
        if strips is not None:
            rows += [(f"{variant.title}, path {path + 1}", strip) for path, strip in enumerate(strips[:PATHS])]
    rows = [row for row in rows if row[1].shape == rows[0][1].shape]
    if not rows:
        return []
    with figures.style():
        drawn = report.figure(
            figures.sample_sheet(rows),
            "interpolations.png",
            f"Spherical paths between two latents, seed {seed}, the evaluated generator at the last iteration: the "
            "same endpoints in every variant, the first of those drawn and not chosen. A generator that has learnt "
            "the images one by one jumps. Pixels enlarged, not smoothed.",
            "Strips of images on paths between two latents, some for each of a few variants.",
        )
    return [Heading("Between latents", 2), drawn]
