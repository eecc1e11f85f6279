"""Detail by scale: what the generators hold at other densities than they were trained at, in numbers and pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from core.reading import Damaged
from reports import dense, figures, stats
from reports.numbers import counted, factor, fixed, listed
from reports.page import Block, Heading, Note, Paragraph, Strong, Table
from reports.report import PAGE_INCHES, Report
from reports.results import Results
from reports.tables import Rows, to_runs
from studies.plan import PlannedVariant

RATIOS = re.compile(r"(patch_1_\d+)(/places)?|spectrum|swd|lines")
"""Series that are distances, and tables have: of single quarters of the places and levels of a pyramid none."""

SIGNED = re.compile(r"octave_\d+_\d+")

SHEET_COLUMNS, SHEET_PIXELS = 8, 1024
"""Of the sheet of dense images: the most columns, and the most pixels beside each other."""

SHEET_DOTS = 150
"""The fewest dots an inch."""


def detail_by_scale(report: Report) -> list[Block]:
    """The section; none where no run has measured it."""
    results = report.results
    there = dense.series_of(results)
    if not there:
        return []
    measured = [v for v in results.plan.listed if dense.fine_of(v) is not None]
    ratios = [series for series in there if RATIOS.fullmatch(dense.name_of(series))]
    signed = [series for series in there if SIGNED.fullmatch(dense.name_of(series))]
    return [
        Heading("Detail by scale"),
        Paragraph(
            "The trained generators at densities that they were not trained at, against real images of as many pixels. "
            "No verdict is of these numbers unless a claim names one; what each of them sees, and what it is blind to, "
            "is on the page scales.md of the documentation."
        ),
        *incoherent(results, measured),
        *([ratios_table(results, measured, ratios)] if results.variant("baseline") is not None else []),
        values_table(results, measured, ratios),
        *([signed_table(results, measured, signed)] if dense.PSNR in there else []),
        *pictures(report, measured),
    ]


def incoherent(results: Results, variants: Sequence[PlannedVariant]) -> list[Block]:
    """Which variants show another picture between their pixels than at them, and of which that is not told."""
    limit = f"{dense.COHERENT:g} dB"
    blocks: list[Block] = []
    if failed := dense.by_coherence(results, variants, "fails"):
        names = "; ".join(f"{title} ({known.words})" for title, known in failed)
        blocks.append(
            Note(
                (
                    Strong("Coherence failed:"),
                    f" {names}. Means over the dense image are less than {limit} from the image that it is trained as: "
                    "it is another picture between its pixels, whatever its distances say.",
                )
            )
        )
    if undecided := dense.by_coherence(results, variants, "open"):
        names = "; ".join(f"{title} ({known.words})" for title, known in undecided)
        blocks.append(Note((Strong("Coherence is open:"), f" {names}; the interval reaches below {limit}.")))
    return blocks


# --- tables -----------------------------------------------------------------------------------------------------------


def ratios_table(results: Results, variants: Sequence[PlannedVariant], series: Sequence[str]) -> Table:
    """Every distance over that of the base."""
    base = results.variant("baseline")
    assert base is not None
    before = {each: results.worst_where_diverged(base, each) for each in series}

    def ratio(variant: PlannedVariant, each: str) -> stats.Effect | str:
        if variant.name == base.name:
            return "1"
        return stats.paired_effect(before[each], results.worst_where_diverged(variant, each))

    def pairs(variant: PlannedVariant) -> int:
        both = [found.n for each in series if isinstance(found := ratio(variant, each), stats.Effect)]
        return max(both, default=ended(results, variant, series))

    rows = Rows(variants)
    rows.words("variant", lambda v: to_runs(results, v.name, v.title, strong=v.name == base.name), 1.9)
    rows.each(series, dense.head_of, ratio, 1.0)
    rows.numbers("n", pairs, 0.3)
    return rows.table(
        f"Distances at other densities over those of “{base.title}”, below 1 where there is more detail or better "
        "detail: geometric mean of the ratio paired by seed [95% interval], at the last iteration. Intervals are not "
        "corrected for their number. Patches show 1/2 or 1/4 of the side each, of all places together, and the mean of "
        "the four quarters of the places; spectrum is the mean of the octaves' magnitudes.",
        name="scales_ratios",
        size=7.0,
    )


def values_table(results: Results, variants: Sequence[PlannedVariant], series: Sequence[str]) -> Table:
    """Every distance as it was measured."""
    ends = {(v.name, s): stats.log_summary(results.worst_where_diverged(v, s)) for v in variants for s in series}
    writers = {each: fixed(ends[v.name, each].mean for v in variants) for each in series}

    def cell(variant: PlannedVariant, each: str) -> str:
        found = ends[variant.name, each]
        spread = "" if found.factor is None else f" ×/÷ {factor(found.factor)}"
        return f"{writers[each](found.mean)}{spread}" if found.n else "–"

    rows = Rows(variants)
    rows.words("variant", lambda v: v.title, 1.9)
    rows.each(series, dense.head_of, cell, 1.0)
    rows.numbers("n", lambda v: ended_words(results, v, series), 0.4)
    return rows.table(
        "The same distances, lower is better: geometric mean ×/÷ geometric standard deviation over n seeds. Patches "
        "are Fréchet distances of the metric's features and no FID; swd is × 1000; lines are pixels.",
        name="scales_values",
        size=7.0,
    )


def signed_table(results: Results, variants: Sequence[PlannedVariant], series: Sequence[str]) -> Table:
    """Agreement in dB and power by octaves, which have no ratios."""

    def cell(variant: PlannedVariant, each: str) -> str:
        known = results.last_of(variant, each)
        found = stats.summary(known[np.isfinite(known)])
        if found.mean is None:
            return "–"
        spread = "" if found.sd is None else f" ± {found.sd:.2f}"
        return f"{found.mean:+.2f}{spread}".replace("-", "−")

    def agreement(variant: PlannedVariant) -> str:
        known = dense.coherence(results, variant)
        return "–" if known is None else known.words.partition(",")[0] if known.low is None else interval_of(known)

    rows = Rows(variants)
    rows.words("variant", lambda v: v.title, 1.9)
    rows.numbers("PSNR, dB [95%]", agreement, 1.2)
    rows.words("coherent", lambda v: coherent(results, v), 0.7)
    rows.each(series, dense.head_of, cell, 1.0)
    rows.numbers("n", lambda v: ended_words(results, v, [dense.PSNR]), 0.4)
    return rows.table(
        "Agreement and power. PSNR: means over areas of the dense image against the image at the training resolution, "
        f"arithmetic mean in dB over n seeds; below {dense.COHERENT:g} dB it is not coherent. The other columns are "
        "octaves in cycles across the image: log2 of the power of generated dense images over that of real ones, "
        "arithmetic mean ± sd over seeds; −1 where half of the power is missing, 0 where there is as much.",
        name="scales_octaves",
        size=7.4,
    )


def interval_of(known: dense.Coherence) -> str:
    """A mean in dB with its interval."""
    return known.words.rpartition(", n")[0].replace(" dB", "")


def coherent(results: Results, variant: PlannedVariant) -> str | Strong:
    """The word of a variant's agreement."""
    known = dense.coherence(results, variant)
    if known is not None and known.word == "fails":
        return Strong("failed")
    return "–" if known is None else "open" if known.word == "open" else "yes"


def ended(results: Results, variant: PlannedVariant, series: Sequence[str]) -> int:
    """The most seeds with a value of some of these series, or that diverged."""
    return max((stats.summary(results.worst_where_diverged(variant, each)).n for each in series), default=0)


def ended_words(results: Results, variant: PlannedVariant, series: Sequence[str]) -> str:
    """The same, with how many diverged."""
    n, lost = ended(results, variant, series), int(np.isinf(results.last(variant)).sum())
    return f"{lost} of {n} diverged" if lost else str(n)


# --- pictures ---------------------------------------------------------------------------------------------------------


def pictures(report: Report, variants: Sequence[PlannedVariant]) -> list[Block]:
    """Dense images of every variant below real ones, all of the size that most have."""
    results = report.results
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    rows: list[dense.Row] = []
    damaged: list[str] = []
    for variant in variants:
        try:
            found = dense.tiles(results, variant, seed)
        except Damaged as error:
            damaged.append(str(error))
            continue
        if found is not None:
            rows += [("real images", found[0])] if not rows else []
            rows.append((variant.title, found[1]))
    left_out: list[Block] = [Note((Strong("A picture is left out:"), f" {each}.")) for each in damaged]
    if not rows:
        return [Paragraph(f"No run of seed {seed} has kept dense images."), *left_out]
    side = rows[0][1].shape[1]
    count = max(1, min(SHEET_COLUMNS, SHEET_PIXELS // side))
    rows = [(title, images[:count]) for title, images in rows if images.shape[1] == side]
    with figures.style():
        sheet = figures.sample_sheet(rows, *dots(len(rows), count, side))
        wide, tall = float(sheet.get_figwidth()), float(sheet.get_figheight())
        width = min(100.0, 100 * wide / figures.WIDTH, 100 * PAGE_INCHES / tall * wide / figures.WIDTH)
        coarse = listed([f"{size}×{size}" for size in sorted({v.config.data.resolution for v in variants})])
        drawn = report.figure(
            sheet,
            "dense.png",
            f"Images at {side}×{side} pixels, seed {seed}: real ones, spread evenly over the real set, and those of "
            f"{counted(len(rows) - 1, 'variant')}, trained at {coarse}. Column by column the same latents, the first "
            "of the fixed ones and not chosen, through the evaluated generator at the last iteration. Pixels of one "
            "size, not smoothed.",
            "Sheet of dense images, real ones in the first row and one row for each variant.",
            width=round(width, 1),
        )
    return [drawn, *left_out]


def dots(rows: int, columns: int, side: int, gap: int = 4) -> tuple[int, int]:
    """Dots an inch and a side of each pixel, with which a sheet of such tiles is as wide as the page, or as tall."""
    room = min((figures.WIDTH - figures.LABEL_INCHES) / columns, PAGE_INCHES / rows)
    scale = max(1, math.ceil((SHEET_DOTS * room - gap) / side))
    return math.ceil((scale * side + gap) / room), scale
