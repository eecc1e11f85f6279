"""The report of clipped weights: how images move between two latents, in numbers, strips and an animation."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.files import write_whole
from reports import figures, stats
from reports.finding import sentences
from reports.numbers import MEAN_SPREAD, fixed, interval, listed, mean_spread
from reports.page import Animation, Block, Heading, Paragraph, Strong
from reports.pictures import samples
from reports.report import Report, composed
from reports.results import Results
from reports.sections import findings, learning_curves, method
from reports.tables import Rows, to_runs
from studies.plan import PlannedVariant

MEASURES = {
    "interpolation/ppl": "perceptual path length",
    "interpolation/path_length": "path over distance of the ends",
    "interpolation/largest_step": "largest over mean step",
    "interpolation/curvature": "bend over mean step",
}
STRIPS, SHOWN_STEPS = 3, 16
ENLARGED, FRAME_MILLISECONDS = 6, 90


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    return composed(report, (findings, smoothness, strips, learning_curves, samples, method))


def finding(report: Report) -> list[str]:
    """What clipping does to the distance, by the margin that was declared, and to interpolations."""
    verdicts = {verdict.claim.name: verdict for verdict in report.claims}
    distance, awful = verdicts.get("fid"), verdicts.get("awful")
    if distance is None or distance.effect is None or distance.effect.ratio is None:
        return sentences(report)
    margin, ratio = f"a factor of {distance.claim.margin:g}", f"×{interval(distance.effect)}"
    n = f"n = {distance.effect.n}"
    told = [
        {
            "reproduced": f"Clipping at ±2 leaves the distance within {margin}: {ratio} ({n}).",
            "contradicted": f"Clipping at ±2 moves the distance by more than {margin}: {ratio} ({n}).",
        }.get(distance.word, f"Whether clipping leaves the distance within {margin} is not resolved: {ratio} ({n}).")
    ]
    if awful is not None and awful.parts:
        measures = [
            f"{part.comparison.title} ×{interval(part.effect)}"
            for part in awful.parts
            if part.effect is not None and part.effect.ratio is not None
        ]
        words = {"reproduced": "It makes interpolations worse", "contradicted": "It does not make interpolations worse"}
        said = words.get(awful.word, "That it makes interpolations worse is not resolved")
        told.append(f"{said}: {listed(measures)}." if measures else f"{said}.")
    return told


def smoothness(report: Report) -> list[Block]:
    """Every measure of interpolations, of every variant."""
    results = report.results
    blocks: list[Block] = [Heading("How smooth interpolations are")]
    variants = results.plan.listed
    ends = {(key, v.name): results.worst_where_diverged(v, key) for key in MEASURES for v in variants}
    there = [key for key in MEASURES if any(np.isfinite(ends[key, variant.name]).any() for variant in variants)]
    if not there:
        return [*blocks, Paragraph("No run has measured it yet.")]
    summaries = {measure: stats.log_summary(values) for measure, values in ends.items()}
    writers = {key: fixed(summaries[key, variant.name].mean for variant in variants) for key in there}
    rows = Rows((key, variant.name) for key in there for variant in variants)
    rows.words("measure", lambda row: Strong(MEASURES[row[0]]), 1.0, once=True)
    rows.words("variant", lambda row: results.title(row[1]), 1.2)
    rows.numbers(
        "mean ×/÷ spread (n)", lambda row: to_runs(results, row[1], mean_spread(summaries[row], writers[row[0]]))
    )
    baseline = results.variant("baseline")
    rows.numbers(
        f"over {results.title('baseline')} [95%]",
        lambda row: (
            ""
            if baseline is None or row[1] == baseline.name
            else stats.paired_effect(ends[row[0], baseline.name], ends[row])
        ),
    )
    config = variants[0].config
    asked = config.evaluation.interpolation
    counts = f"{asked.paths} paths of {asked.steps} images, epsilon {asked.epsilon:g}" if asked else ""
    caption = (
        "Spherical paths between the same pairs of latents in every variant and seed, at the last iteration "
        f"({counts}): {MEAN_SPREAD}. Perceptual path length is that of Karras et al. 2019, eq. 2, over the metric's "
        "own feature network, not LPIPS. The others are in pixels: 1 is a straight path of even steps, 0 one without "
        "bends; more is less smooth."
    )
    return [*blocks, rows.table(caption, name="interpolations")]


def strips(report: Report) -> list[Block]:
    """The same paths in every variant, as strips and as an animation."""
    results = report.results
    blocks: list[Block] = [Heading("Interpolations")]
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    recorded = [
        (variant, paths) for variant in results.plan.listed if (paths := paths_of(results, variant, seed)) is not None
    ]
    if not recorded:
        return [*blocks, Paragraph(f"No run of seed {seed} has kept interpolations.")]
    steps = recorded[0][1].shape[1]
    columns = np.linspace(0, steps - 1, min(SHOWN_STEPS, steps)).round().astype(int)
    rows = [
        (f"path {path + 1}: {variant.title}", paths[path, columns])
        for path in range(min(STRIPS, *(len(paths) for _, paths in recorded)))
        for variant, paths in recorded
    ]
    with figures.style():
        sheet = figures.sample_sheet(rows)
        blocks.append(
            report.figure(
                sheet,
                "interpolations.png",
                f"Spherical paths between latents, seed {seed}: row by row the variants, path by path the same "
                f"endpoints, {len(columns)} of {steps} images. The first paths, not chosen. "
                "Pixels enlarged, not smoothed.",
                "Strips of images on paths between two latents, one row for each variant.",
            )
        )
    report.drawings["interpolation.gif"] = partial(write_animation, [paths for _, paths in recorded])
    names = "; ".join(variant.title for variant, _ in recorded)
    return [
        *blocks,
        Animation(
            "figures/interpolation.gif",
            f"The same paths, moving. From top to bottom: {names}; from left to right: {len(recorded[0][1])} paths; "
            "forth and back.",
            "The images of the strips one after the other.",
        ),
    ]


def paths_of(results: Results, variant: PlannedVariant, seed: int) -> NDArray[np.uint8] | None:
    """The recorded paths of one run, uint8 [paths, steps, R, R, 3]; None where it kept none."""
    config = variant.config
    if config.evaluation.interpolation is None:
        return None
    folder = results.folder_of(variant, seed)
    return figures.rows_of_tiles(folder.samples / "interpolations.png", config.data.resolution) if folder else None


def write_animation(variants: list[NDArray[np.uint8]], file: Path) -> None:
    """One row of tiles per variant, one column per path, one frame per step, forth and back, as an endless GIF."""
    count, steps = min(len(paths) for paths in variants), variants[0].shape[1]
    frames = []
    for step in [*range(steps), *range(steps - 2, 0, -1)]:
        grid = np.concatenate([np.concatenate(list(paths[:count, step]), axis=1) for paths in variants], axis=0)
        frames.append(Image.fromarray(grid.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)))
    content = io.BytesIO()
    frames[0].save(content, format="gif", save_all=True, append_images=frames[1:], duration=FRAME_MILLISECONDS, loop=0)
    write_whole(file, content.getvalue())
