"""The report of `inr_layers`: the slide's size/quality table, ours beside it, and why some rows fail."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ablations.layers import LINEAR_MAE, READINGS, ROWS, Row, emitted_numbers
from core.events import Built
from reports import figures, pictures, sections, stats
from reports.deck import deck_number, grey_note
from reports.numbers import MEAN_SPREAD, factor, fixed, interval, listed, mean_spread, short
from reports.page import Block, Bullets, Column, Heading, Paragraph, Piece, Strong, Table, Text
from reports.report import PAGE_INCHES, PILOT, Report, composed
from reports.results import Results
from reports.rows import led
from reports.seconds import left_out, why_left_out
from reports.verdicts import compare
from studies.plan import PlannedVariant

INITS = (("", "the formulas' init"), ("+unit_init", "unit init"))
BETTER, WORSE = ("linear", "se_linear", "factorized_se"), ("mfilm_scale", "adain")
"""The slide's two groups among the layers that train at all."""

TILES = 10
GRID = 64
"""Images in a run folder's grids, at most."""

DECK_WIDTH, DECK_DEPTH = 256, 5


def named(row: Row, init: str = "", codes: bool = False) -> str:
    """The variant with this layer, at this init, of this emitter."""
    own = "" if row.name == "linear" else f"+{row.name}"
    return f"baseline{own}{init}{'+latent_codes' if codes else ''}"


def errors(results: Results, row: Row, init: str = "", codes: bool = False) -> np.ndarray:
    """The last MAE per seed, NaN where it has not been measured."""
    variant = results.variant(named(row, init, codes))
    return results.last(variant) if variant else np.full(len(results.plan.seeds), np.nan)


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    parts = (
        sections.question,
        against_the_deck,
        size_and_quality,
        why_rows_fail,
        through_codes,
        other_readings,
        reconstructions,
        sections.the_setting,
        sections.cost,
        limits,
        sections.missing,
        sections.provenance,
        sections.runs,
    )
    return composed(report, parts)


def answers(report: Report) -> list[Text]:
    """The order of the layers at each init, in a few lines."""
    results = report.results
    items: list[Text] = []
    blank = constant_error(results)
    for init, words in INITS:
        means = {row.name: stats.log_summary(errors(results, row, init)).mean for row in ROWS}
        known = {name: mean for name, mean in means.items() if mean is not None}
        if not known:
            items.append((Strong(f"At {words}:"), " not run."))
            continue
        titles = {row.name: row.title for row in ROWS}
        order = sorted(known, key=lambda name: known[name])
        ended = {name: mean for name, mean in known.items() if np.isfinite(mean)}
        failed = [titles[name] for name in order if name in ended and blank is not None and ended[name] > blank]
        diverged = [titles[name] for name in order if name not in ended]
        told: list[Piece] = [Strong(f"At {words}:"), " from best to worst "]
        told.append(listed([f"{titles[name]} {short(known[name])}" for name in order]) + ".")
        if blank is not None:
            against = f"the {short(blank)} of one constant colour per image (first seed's images)"
            told.append(f" {listed(failed)} end above {against}." if failed else f" All that ended beat {against}.")
        if diverged:
            told.append(f" {listed(diverged)} diverged.")
        told.append(f" {groups(results, init)}")
        items.append(tuple(told))
    return [failures(results), *items]


def kept_images(results: Results) -> int:
    """How many of the fitted images a run folder shows; the rest of its grid is empty."""
    return min(GRID, results.plan.variants[0].config.batch_size)


def constant_error(results: Results) -> float | None:
    """The MAE in [−1, 1] of the best constant colour for each image, over the first seed's images that were kept."""
    kept = pictures.real_images(results, results.plan.seeds[:1], kept_images(results))
    if kept is None:
        return None
    pixels = kept.reshape(len(kept), -1, 3) / 127.5 - 1
    return float(np.abs(pixels - np.median(pixels, axis=1, keepdims=True)).mean())


def groups(results: Results, init: str) -> str:
    """Whether the slide's better group beats the worse one in every seed."""
    better = np.stack([errors(results, row, init) for row in ROWS if row.name in BETTER])
    worse = np.stack([errors(results, row, init) for row in ROWS if row.name in WORSE])
    held = better.max(axis=0) < worse.min(axis=0)
    known = ~(np.isnan(better).any(axis=0) | np.isnan(worse).any(axis=0))
    if not known.any():
        return ""
    return (
        "The slide's better group (Linear, SELinear, FactorizedSE) lies below its worse one (mFiLM −norm +scale, "
        f"AdaIN) in {int((held & known).sum())} of {int(known.sum())} seeds."
    )


def against_the_deck(report: Report) -> list[Block]:
    """The slide's errors as ratios to Linear, ours beside them."""
    results = report.results
    rows: list[tuple[Text, ...]] = []
    order = next((verdict.order for verdict in report.claims if verdict.order is not None), None)
    write = fixed([stats.log_summary(errors(results, row)).mean for row in ROWS])
    differs = what_differs(report)
    for index, row in enumerate(ROWS):
        assert row.mae is not None
        to_linear = compare(results, named(ROWS[0]), named(row)) if row.name != "linear" else None
        rows.append(
            (
                row.title,
                deck_number(f"{row.mae:.3f}", differs),
                deck_number(factor(row.mae / LINEAR_MAE), differs),
                led(results, named(row), mean_spread(stats.log_summary(errors(results, row)), write)),
                "1" if row.name == "linear" else interval(to_linear),
                f"{order.given[index]:g} → {order.ours[index]:g}" if order else "–",
            )
        )
    table = Table(
        name="against_the_deck",
        columns=(
            Column("layer", share=1.2),
            Column("MAE, the deck", "right"),
            Column("to Linear", "right"),
            Column("MAE, ours", "right", 1.4),
            Column("to Linear [95%]", "right", 1.2),
            Column("place, the deck's → ours", "right", 1.1),
        ),
        rows=tuple(rows),
        caption="The slide's table and ours, at the formulas' init with free parameters, as the author's public code "
        "does it. Ours: geometric mean ×/÷ geometric standard deviation over seeds (image draw and init), the ratio "
        "paired by seed with its Student-t interval on the log scale. The deck's are one run each as far "
        "as it says, on images, sizes and iterations that it does not give: orders compare, errors do not. Places "
        "count "
        "from the smallest error; ties share one.",
        size=8.2,
        note=grey_note(differs),
    )
    judged: list[Block] = [
        Paragraph(("The claim is the order of the eight rows. Verdict: ", Strong(v.word), f" ({v.why})."))
        for v in report.claims
    ]
    pilot = [sections.pilot_note(report)] if report.n <= PILOT else []
    return [Heading("The slide's order, and ours"), table, *judged, Paragraph(failures(results)), *pilot]


FAILS = 5.0
"""Times the error of Linear from which a row of the slide counts as failing: its rows lie below 2 or above 6."""


def failures(results: Results) -> Text:
    """Which of the slide's failing rows fail here too, at the formulas' init: an error above a constant colour's."""
    blank = constant_error(results)
    told: list[str] = []
    for row in ROWS:
        ours = stats.geometric_mean(errors(results, row))
        if row.mae is None or row.mae < FAILS * LINEAR_MAE or blank is None or ours is None:
            continue
        seen = "fails here too" if ours.centre > blank else "the slide's failure is not seen here"
        told.append(
            f"{row.title} ({factor(row.mae / LINEAR_MAE)} times Linear's error there): {seen}, with "
            f"{short(ours.centre)} against the {short(blank)} of one constant colour an image"
        )
    words = "; ".join(told) if told else "not known, for want of finished runs"
    return (Strong("Rows that fail on the slide."), f" {words}.")


def what_differs(report: Report) -> tuple[str, ...]:
    """What keeps the slide's errors from being compared with ours."""
    return tuple(dict.fromkeys(what for verdict in report.claims for what in verdict.differs))


def size_and_quality(report: Report) -> list[Block]:
    """The table the slide announces, at both inits, and its figure."""
    results = report.results
    everything = [errors(results, row, init) for row in ROWS for init, _ in INITS]
    write = fixed([stats.log_summary(values).mean for values in everything])
    unsteady = why_left_out(results)
    rows: list[tuple[Text, ...]] = []
    for row in ROWS:
        variant = results.variant(named(row))
        unit = results.variant(named(row, "+unit_init"))
        there = variant or unit
        if there is None:
            continue
        jobs = results.jobs[results.jobs["variant"] == there.name]
        finished = jobs[jobs["status"] == "finished"]
        rate = (finished["iteration"].astype(float) / finished["seconds"]).to_numpy()
        peak = finished["peak_memory"].astype(float).to_numpy() / 2**20
        rows.append(
            (
                row.title,
                whole(jobs, "layer_parameters"),
                whole(jobs, "emitted_parameters"),
                *(
                    led(results, named(row, init), mean_spread(stats.log_summary(errors(results, row, init)), write))
                    for init, _ in INITS
                ),
                short(stats.summary(results.last_of(unit, "psnr")).mean) if unit else "–",
                *([] if unsteady else [short(stats.summary(rate).mean)]),
                short(float(np.nanmin(peak))) if np.isfinite(peak).any() else "–",
                millions(jobs),
            )
        )
    width = results.plan.variants[0].config.inr.width if results.plan.variants else 0
    device = " or ".join(sorted({str(c.get("device", "?")) for _, c in results.recorded("provenance.json")}))
    table = Table(
        name="size_and_quality",
        columns=(
            Column("layer", share=1.3),
            Column("per layer", "right"),
            Column("per image", "right"),
            Column("MAE, formulas' init", "right", 1.4),
            Column("MAE, unit init", "right", 1.4),
            Column("PSNR", "right"),
            *([] if unsteady else [Column("its/s", "right")]),
            Column("MiB", "right"),
            Column("MMAC", "right"),
        ),
        rows=tuple(rows),
        caption=f"Size and quality at width {width}: numbers emitted for one {width}×{width} layer and per image; mean "
        f"absolute error in [−1, 1] at the last iteration, {MEAN_SPREAD}; PSNR in dB at unit init"
        f"{'' if unsteady else ' and iterations a second'}, arithmetic means; growth of memory to its peak, the least "
        f"over seeds, on the machine that ran it ({device}; CUDA: of "
        "the allocator, CPU: of the resident set); multiply-adds of the matrix products that render one image."
        + left_out(unsteady),
        size=7.8,
    )
    blocks: list[Block] = [Heading("Size and quality"), table]
    differs = what_differs(report)
    with figures.style():
        canvas = Canvas(figsize=(figures.WIDTH, 3.0), layout="constrained")
        panels = canvas.subplots(1, 2, sharey=True)
        for ax, (init, words) in zip(panels, INITS, strict=True):
            tradeoff(ax, results, init, grey=bool(differs))
            ax.set_title(f"ours at {words}")
        panels[0].set_ylabel("MAE in [−1, 1], log scale")
        figures.shared_legend(canvas, panels)
        blocks.append(
            report.figure(
                canvas,
                "tradeoff.svg",
                "Mean absolute error against the numbers emitted per image. Filled: ours, the geometric mean. "
                "Hollow: the deck's MAE, placed at the sizes of an INR 256×5, which the slide does not give, in "
                f"both panels alike, by the same mark{' and grey' if differs else ''}; sizes by the slide's formulas. "
                "Ours and the deck's are different images, sizes and fits: the pattern compares, the heights do not."
                + (f" Differs: {'; '.join(differs)}." if differs else ""),
                "Scatter of reconstruction error against emitted parameters, ours and the deck's.",
            )
        )
    return blocks


def whole(jobs: pd.DataFrame, column: str) -> str:
    """The first known whole number of a column."""
    known = jobs[column].dropna()
    return f"{int(known.iloc[0]):,}" if len(known) else "–"


def millions(jobs: pd.DataFrame) -> str:
    """Multiply-adds in millions."""
    known = jobs["macs"].dropna()
    return short(float(known.iloc[0]) / 1e6) if len(known) else "–"


def deck_size(row: Row) -> int:
    """Numbers emitted per image for the deck's INR 256×5 with Fourier features: coordinate, four hidden, RGB layer."""
    n = DECK_WIDTH
    return (2 * n // 2 + n // 2) + (DECK_DEPTH - 1) * emitted_numbers(row.layer, n, n) + (3 * n + 3)


MARKS = ("o", "s", "v", "^", "P", "D", "X", "*")


def tradeoff(ax: Axes, results: Results, init: str, *, grey: bool) -> Axes:
    """Error over emitted parameters, one mark per layer; the deck's hollow, and `grey` where they do not compare."""
    palette = figures.palette(len(ROWS))
    sizes, values = [], []
    for row, mark, colour in zip(ROWS, MARKS, palette, strict=True):
        assert row.mae is not None
        ax.plot(deck_size(row), row.mae, mark, mfc="none", mec=figures.GREY if grey else colour, ms=6, mew=0.9)
        sizes.append(deck_size(row))
        values.append(row.mae)
        variant = results.variant(named(row, init))
        ours = errors(results, row, init)
        ours = ours[np.isfinite(ours)]
        if variant is None or not ours.size:
            continue
        emitted = results.jobs[results.jobs["variant"] == variant.name]["emitted_parameters"].dropna()
        if emitted.empty:
            continue
        size = int(emitted.iloc[0])
        ax.plot((size, size), (ours.min(), ours.max()), color=colour, lw=1.1)
        ax.plot(size, np.exp(np.log(ours).mean()), mark, color=colour, ms=6, label=row.title)
        sizes.append(size)
        values += list(ours)
    figures.log_axis(ax, "x", *figures.span(sizes, 1.6), text=thousands)
    figures.log_axis(ax, "y", *figures.span(values, 1.3))
    ax.set_xlabel("numbers emitted per image")
    return ax


def thousands(value: float) -> str:
    """500, 2k, 100k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def why_rows_fail(report: Report) -> list[Block]:
    """Pre-activations before the first iteration, layer by layer."""
    results = report.results
    rows: list[tuple[Text, ...]] = []
    depth = 0
    for row in ROWS:
        for init, words in INITS:
            built = first_built(results, results.variant(named(row, init)))
            if built is None or not built.initial:
                continue
            sizes = [layer.pre_activation for layer in built.initial]
            depth = max(depth, len(sizes))
            error = stats.log_summary(errors(results, row, init)).mean
            rows.append((row.title, words, *(magnitude(size) for size in sizes), short(error)))
    blocks: list[Block] = [Heading("Which rows start too large")]
    if not rows:
        return [*blocks, Paragraph("No run recorded the sizes of its layers' outputs.")]
    middle = [Column(f"hidden {k}", "right") for k in range(1, depth - 1)]
    blocks.append(
        Table(
            name="initial_sizes",
            columns=(
                Column("layer", share=1.3),
                Column("init", share=1.2),
                Column("coordinates", "right"),
                *middle,
                Column("RGB, before tanh", "right"),
                Column("MAE", "right"),
            ),
            rows=tuple(rows),
            caption="Root mean square of each layer's outputs before the first iteration (first seed), and the error "
            "at the end. tanh is flat beyond about 3: where the last layer starts in the tens, most channels are near "
            "its flat end and little gradient comes back; not every such row fails.",
            size=7.8,
        )
    )
    return [*blocks, Paragraph(tuple(explanation(results)))]


def explanation(results: Results) -> list[Piece]:
    """Who grows, in one sentence each, from the recorded numbers."""
    told: list[Piece] = []
    complete = 0
    for row in ROWS:
        deck = first_built(results, results.variant(named(row)))
        unit = stats.log_summary(errors(results, row, "+unit_init")).mean
        error = stats.log_summary(errors(results, row)).mean
        if deck is None or not deck.initial or error is None or unit is None:
            continue
        complete += 1
        last = deck.initial[-1].pre_activation
        if last > 3 or error > 2 * unit:
            told.append(Strong(row.title))
            told.append(
                f" starts with {magnitude(last)} before tanh and ends at {short(error)}; at unit init, at "
                f"{short(unit)}. "
            )
    if not complete:
        return ["Not said: no layer has finished runs at both inits."]
    return told or ["No layer starts beyond tanh's range, and none gains a factor of two by unit init."]


def magnitude(value: float) -> str:
    """A size that may span decades."""
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def first_built(results: Results, variant: PlannedVariant | None) -> Built | None:
    """What the variant's first run recorded when its networks stood."""
    if variant is None or not results.plan.seeds:
        return None
    run = str(results.job(variant, results.plan.seeds[0])["run"])
    if run in results.damaged:
        return None
    folder = results.folder(run)
    return next((event for event in folder.each_event(b'"built"') if isinstance(event, Built)), None)


def through_codes(report: Report) -> list[Block]:
    """What changes when a hypernetwork has to emit the parameters."""
    results = report.results
    rows: list[tuple[Text, ...]] = []
    columns = [(init, codes) for init, _ in INITS for codes in (False, True)]
    write = fixed([stats.log_summary(errors(results, row, *cell)).mean for row in ROWS for cell in columns])
    for row in ROWS:
        cells = [stats.log_summary(errors(results, row, init, codes)) for init, codes in columns]
        names = [named(row, init, codes) for init, codes in columns]
        rows.append(
            (
                row.title,
                *(led(results, name, mean_spread(cell, write)) for name, cell in zip(names, cells, strict=True)),
            )
        )
    blocks: list[Block] = [Heading("Through latent codes, as G has to")]
    if all(stats.log_summary(errors(results, row, init, True)).n == 0 for row in ROWS for init, _ in INITS):
        return [*blocks, Paragraph("Not run.")]
    table = Table(
        name="latent_codes",
        columns=(
            Column("layer", share=1.2),
            *(
                Column(f"{'codes' if codes else 'free'}, {'unit init' if init else 'formulas’ init'}", "right", 1.0)
                for init, codes in columns
            ),
        ),
        rows=tuple(rows),
        caption=f"Mean absolute error, {MEAN_SPREAD}: "
        "with free parameters, one vector per image, and through latent codes and a "
        "hypernetwork, both fitted, at a fifth of the rate. The second is what G has to do, and what the "
        "slide's experiment left out.",
        size=8.2,
    )
    said: list[Text] = []
    for init, words in INITS:
        one = [stats.log_summary(errors(results, row, init)).mean for row in ROWS]
        other = [stats.log_summary(errors(results, row, init, True)).mean for row in ROWS]
        pairs = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]
        if len(pairs) > 2:
            rho = stats.rank_correlation([a for a, _ in pairs], [b for _, b in pairs])
            said.append(
                f"At {words}, the order of layers by the one and by the other has a rank correlation of {rho:.2f}."
            )
    return [*blocks, table, *([Bullets(tuple(said))] if said else [])]


def other_readings(report: Report) -> list[Block]:
    """The rows that can be read otherwise."""
    results = report.results
    write = fixed([stats.log_summary(errors(results, row)).mean for row in (*ROWS, *READINGS)])
    rows: list[tuple[Text, ...]] = []
    for row in READINGS:
        original = next(r for r in ROWS if r.name == row.original)
        for init, words in INITS:
            ours, theirs = errors(results, row, init), errors(results, original, init)
            if not np.isfinite(ours).any():
                continue
            rows.append(
                (
                    original.title,
                    row.title,
                    words,
                    led(results, named(original, init), mean_spread(stats.log_summary(theirs), write)),
                    led(results, named(row, init), mean_spread(stats.log_summary(ours), write)),
                    interval(stats.paired_effect(theirs, ours)),
                )
            )
    if not rows:
        return []
    return [
        Heading("Where the slide can be read otherwise"),
        Table(
            name="other_readings",
            columns=(
                Column("row", share=1.0),
                Column("other reading", share=1.2),
                Column("init", share=1.0),
                Column("MAE, as read", "right", 1.3),
                Column("MAE, the other", "right", 1.3),
                Column("ratio [95%]", "right", 1.2),
            ),
            rows=tuple(rows),
            caption=f"The same row under its two readings, free parameters, {MEAN_SPREAD}; "
            "a ratio below 1 is the other reading's "
            "advantage. mFiLM with and without norm are rows of the slide itself.",
            size=8.0,
        ),
    ]


def reconstructions(report: Report) -> list[Block]:
    """The same images by every layer."""
    results = report.results
    seed = results.plan.seeds[0] if results.plan.seeds else 0
    rows: list[tuple[str, np.ndarray]] = []
    if (target := pictures.real_images(results, [seed], TILES)) is not None:
        rows.append(("images", target))
    for init, words in INITS:
        for row in ROWS:
            variant = results.variant(named(row, init))
            if variant is None:
                continue
            folder = results.folder(str(results.job(variant, seed)["run"]))
            file = folder.samples / f"{variant.config.iterations:06d}.png"
            tiles = figures.first_tiles(file, variant.config.data.resolution, TILES)
            if tiles is not None:
                rows.append((f"{row.title}, {words}", tiles))
    blocks: list[Block] = [Heading("The same images by every layer")]
    if len(rows) < 2:
        return [*blocks, Paragraph(f"No reconstructions of seed {seed} at the last iteration.")]
    with figures.style():
        sheet = figures.sample_sheet(rows)
        tall = float(sheet.get_figheight() * figures.WIDTH / sheet.get_figwidth())
        blocks.append(
            report.figure(
                sheet,
                "reconstructions.png",
                f"The first images of seed {seed}'s draw and their reconstructions at the last iteration, free "
                "parameters. Pixels enlarged, not smoothed.",
                "Sheet of images, one row for each layer and init.",
                width=round(min(100.0, 100 * PAGE_INCHES / tall), 1),
            )
        )
    return blocks


def limits(report: Report) -> list[Block]:
    """What these numbers do not say."""
    results = report.results
    items: list[Text] = [
        f"{results.profile.caveat}" if results.profile.caveat else "",
        sections.marked(
            "An error on fitted images is about memory, not about generation: whether its order predicts the order as "
            "GANs is what `inr_layers_gan` asks."
        ),
        "One learning rate serves every layer: a layer may look worse for want of its own.",
        "Definitions of mFiLM and mFiLM −norm are readings: no public code has them.",
        "Seconds and memory are of the machine that ran them, under its load; layers were not timed against each other "
        "in one process (tests/benchmarks/layers.py does that).",
    ]
    width = results.plan.variants[0].config.inr.width if results.plan.variants else 0
    if width and width < 64:
        items.append(
            f"At width {width} a product of rank 10 is nearly a full matrix ({20 * width + width:,} numbers against "
            f"{width**2 + width:,}); at the deck's 256 it is a twelfth."
        )
    return [Heading("What these numbers do not say"), Bullets(tuple(item for item in items if item))]
