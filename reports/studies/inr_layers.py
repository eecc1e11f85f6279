"""The report of `inr_layers`: the slide's size/quality table, ours beside it, and why some rows fail."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ablations.layers import LINEAR_MAE, READINGS, ROWS, Row, emitted_numbers
from reports import figures, pictures, sections, stats
from reports.deck import deck_number, grey_note
from reports.layers import INITS, MARKS, constant_error, errors, first_built, magnitude, mean, named
from reports.layers import finding as finding  # The report's own, as everything in this module.
from reports.numbers import MEAN_SPREAD, factor, listed, short
from reports.page import Block, Bullets, Heading, Paragraph, Piece, Strong, Text
from reports.report import PAGE_INCHES, PILOT, Report, composed
from reports.results import Results
from reports.seconds import left_out, why_left_out
from reports.tables import Rows, last_values
from reports.verdicts import compare

DECK = tuple((row, row.mae) for row in ROWS if row.mae is not None)
"""The slide's rows with their errors there."""

BETTER, WORSE = ("linear", "se_linear", "factorized_se"), ("mfilm_scale", "adain")
"""The slide's two groups among the layers that train at all."""

TILES = 10


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
        known = {row.title: error for row in ROWS if (error := mean(results, row, init)) is not None}
        if not known:
            items.append((Strong(f"At {words}:"), " not run."))
            continue
        order = sorted(known, key=lambda title: known[title])
        failed = [title for title in order if blank is not None and blank < known[title] < np.inf]
        diverged = [title for title in order if not np.isfinite(known[title])]
        text = f" from best to worst {listed([f'{title} {short(known[title])}' for title in order])}."
        if blank is not None:
            against = f"the {short(blank)} of one constant colour per image (first seed's images)"
            text += f" {listed(failed)} end above {against}." if failed else f" All that ended beat {against}."
        if diverged:
            text += f" {listed(diverged)} diverged."
        items.append((Strong(f"At {words}:"), f"{text} {groups(results, init)}"))
    return [failures(results), *items]


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
    order = next((verdict.order for verdict in report.claims if verdict.order is not None), None)
    differs = what_differs(report)
    rows = Rows(enumerate(DECK))
    rows.words("layer", lambda row: row[1][0].title, 1.2)
    rows.numbers("MAE, the deck", lambda row: deck_number(f"{row[1][1]:.3f}", differs))
    rows.numbers("to Linear", lambda row: deck_number(factor(row[1][1] / LINEAR_MAE), differs))
    rows.numbers("MAE, ours", lambda row: last_values(results, named(row[1][0])), 1.4)
    rows.numbers(
        "to Linear [95%]",
        lambda row: "1" if row[0] == 0 else compare(results, named(ROWS[0]), named(row[1][0])),
        1.2,
    )
    rows.numbers(
        "place, the deck's → ours",
        lambda row: f"{order.given[row[0]]:g} → {order.ours[row[0]]:g}" if order else None,
        1.1,
    )
    caption = (
        "The slide's table and ours, at the formulas' init with free parameters, as the author's public code does it. "
        "Ours: geometric mean ×/÷ geometric standard deviation over seeds (image draw and init), the ratio paired by "
        "seed with its Student-t interval on the log scale. The deck's are one run each as far as it says, on images, "
        "sizes and iterations that it does not give: orders compare, errors do not. Places count from the smallest "
        "error; ties share one."
    )
    judged: list[Block] = [
        Paragraph(("The claim is the order of the eight rows. Verdict: ", Strong(v.word), f" ({v.why})."))
        for v in report.claims
    ]
    pilot = [sections.pilot_note(report)] if report.n <= PILOT else []
    return [
        Heading("The slide's order, and ours"),
        rows.table(caption, name="against_the_deck", size=8.2, note=grey_note(differs)),
        *judged,
        Paragraph(failures(results)),
        *pilot,
    ]


FAILS = 5.0
"""Times the error of Linear from which a row of the slide counts as failing: its rows lie below 2 or above 6."""


def failures(results: Results) -> Text:
    """Which of the slide's failing rows fail here too, at the formulas' init: an error above a constant colour's."""
    blank = constant_error(results)
    failing: list[str] = []
    for row, mae in DECK:
        ours = stats.geometric_mean(errors(results, row))
        if mae < FAILS * LINEAR_MAE or blank is None or ours is None:
            continue
        seen = "fails here too" if ours.centre > blank else "the slide's failure is not seen here"
        failing.append(
            f"{row.title} ({factor(mae / LINEAR_MAE)} times Linear's error there): {seen}, with "
            f"{short(ours.centre)} against the {short(blank)} of one constant colour an image"
        )
    words = "; ".join(failing) if failing else "not known, for want of finished runs"
    return (Strong("Rows that fail on the slide."), f" {words}.")


def what_differs(report: Report) -> tuple[str, ...]:
    """The fields that keep the slide's errors from being compared with ours."""
    return tuple(dict.fromkeys(what for verdict in report.claims for what in verdict.differs))


def size_and_quality(report: Report) -> list[Block]:
    """The table the slide announces, at both inits, and its figure."""
    results = report.results
    unsteady = why_left_out(results)
    jobs = {row: jobs_of(results, row, *(init for init, _ in INITS)) for row in ROWS}
    rows = Rows(row for row in ROWS if len(jobs[row]))
    rows.words("layer", lambda row: row.title, 1.3)
    rows.numbers("per layer", lambda row: whole(jobs[row], "layer_parameters"))
    rows.numbers("per image", lambda row: whole(jobs[row], "emitted_parameters"))
    rows.numbers("MAE, formulas' init", lambda row: last_values(results, named(row)), 1.4)
    rows.numbers("MAE, unit init", lambda row: last_values(results, named(row, "+unit_init")), 1.4)
    rows.numbers("PSNR", lambda row: short(stats.summary(psnr(results, row)).mean))
    if not unsteady:
        rows.numbers("its/s", lambda row: iterations_a_second(jobs[row]))
    rows.numbers("MiB", lambda row: least_memory(jobs[row]))
    rows.numbers("MMAC", lambda row: millions(jobs[row]))
    width = results.plan.variants[0].config.inr.width
    device = " or ".join(sorted({str(c.get("device", "?")) for _, c in results.recorded("provenance.json")}))
    caption = (
        f"Size and quality at width {width}: numbers emitted for one {width}×{width} layer and per image; mean "
        f"absolute error in [−1, 1] at the last iteration, {MEAN_SPREAD}; PSNR in dB at unit init"
        f"{'' if unsteady else ' and iterations a second'}, arithmetic means; growth of memory to its peak, the least "
        f"over seeds, on the machine that ran it ({device}; CUDA: of the allocator, CPU: of the resident set); "
        f"multiply-adds of the matrix products that render one image.{left_out(unsteady)}"
    )
    table = rows.table(caption, name="size_and_quality", size=7.8)
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


def jobs_of(results: Results, row: Row, *inits: str) -> pd.DataFrame:
    """The jobs of a layer with free parameters, at the first of these inits that is planned."""
    planned = [variant.name for init in inits if (variant := results.variant(named(row, init))) is not None]
    return results.jobs[results.jobs["variant"].isin(planned[:1])]


def whole(jobs: pd.DataFrame, column: str) -> int | None:
    """The first known whole number of a column."""
    return next((int(number) for number in jobs[column].dropna()), None)


def millions(jobs: pd.DataFrame) -> str:
    """Multiply-adds in millions."""
    macs = whole(jobs, "macs")
    return short(None if macs is None else macs / 1e6)


def psnr(results: Results, row: Row) -> np.ndarray:
    """The last PSNR per seed at unit init, in dB; none where that is not planned."""
    unit = results.variant(named(row, "+unit_init"))
    return results.last_of(unit, "psnr") if unit else np.empty(0)


def iterations_a_second(jobs: pd.DataFrame) -> str:
    """The arithmetic mean over finished jobs."""
    finished = jobs[jobs["status"] == "finished"]
    return short(stats.summary((finished["iteration"].astype(float) / finished["seconds"]).to_numpy()).mean)


def least_memory(jobs: pd.DataFrame) -> str:
    """The least peak over finished jobs, in MiB."""
    peaks = jobs[jobs["status"] == "finished"]["peak_memory"].dropna().astype(float)
    return short(peaks.min() / 2**20 if len(peaks) else None)


def deck_size(row: Row) -> int:
    """Numbers emitted per image for the deck's INR 256×5 with Fourier features: coordinate, four hidden, RGB layer."""
    n, depth = 256, 5
    return (2 * n // 2 + n // 2) + (depth - 1) * emitted_numbers(row.layer, n, n) + (3 * n + 3)


def tradeoff(ax: Axes, results: Results, init: str, *, grey: bool) -> Axes:
    """Error over emitted parameters, one mark per layer; the deck's hollow, and `grey` where they do not compare."""
    sizes, values = [], []
    for (row, mae), mark, colour in zip(DECK, MARKS, figures.palette(len(DECK)), strict=True):
        ax.plot(deck_size(row), mae, mark, mfc="none", mec=figures.GREY if grey else colour, ms=6, mew=0.9)
        sizes.append(deck_size(row))
        values.append(mae)
        ours = errors(results, row, init)
        ours = ours[np.isfinite(ours)]
        size = whole(jobs_of(results, row, init), "emitted_parameters")
        if size is None or not ours.size:
            continue
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
    sizes = {
        (row, init): [layer.pre_activation for layer in built.initial]
        for row in ROWS
        for init in INITS
        if (built := first_built(results, results.variant(named(row, init[0])))) is not None and built.initial
    }
    heading = Heading("Which rows start too large")
    if not sizes:
        return [heading, Paragraph("No run recorded the sizes of its layers' outputs.")]
    depth = max(map(len, sizes.values()))
    heads = ["coordinates", *(f"hidden {k}" for k in range(1, depth - 1)), "RGB, before tanh"]
    rows = Rows(sizes)
    rows.words("layer", lambda at: at[0].title, 1.3)
    rows.words("init", lambda at: at[1][1], 1.2)
    rows.each(range(depth), heads.__getitem__, lambda at, place: magnitude(sizes[at][place]))
    rows.numbers("MAE", lambda at: short(mean(results, at[0], at[1][0])))
    caption = (
        "Root mean square of each layer's outputs before the first iteration (first seed), and the error at the end. "
        "tanh is flat beyond about 3: where the last layer starts in the tens, most channels are near its flat end and "
        "little gradient comes back; not every such row fails."
    )
    return [heading, rows.table(caption, name="initial_sizes", size=7.8), Paragraph(tuple(explanation(results)))]


def explanation(results: Results) -> list[Piece]:
    """The layers that grow, in one sentence each, from the recorded numbers."""
    sentences: list[Piece] = []
    complete = 0
    for row in ROWS:
        built = first_built(results, results.variant(named(row)))
        error, unit = mean(results, row), mean(results, row, "+unit_init")
        if built is None or not built.initial or error is None or unit is None:
            continue
        complete += 1
        last = built.initial[-1].pre_activation
        if last > 3 or error > 2 * unit:
            ends = f"ends at {short(error)}; at unit init, at {short(unit)}"
            sentences += [Strong(row.title), f" starts with {magnitude(last)} before tanh and {ends}. "]
    if not complete:
        return ["Not said: no layer has finished runs at both inits."]
    return sentences or ["No layer starts beyond tanh's range, and none gains a factor of two by unit init."]


def through_codes(report: Report) -> list[Block]:
    """The difference that a hypernetwork makes, which has to emit the parameters."""
    results = report.results
    heading = Heading("Through latent codes, as G has to")
    if not any(results.ends(named(row, init, True)).n for row in ROWS for init, _ in INITS):
        return [heading, Paragraph("Not run.")]
    rows = Rows(ROWS)
    rows.words("layer", lambda row: row.title, 1.2)
    rows.each(
        [(init, codes) for init, _ in INITS for codes in (False, True)],
        lambda at: f"{'codes' if at[1] else 'free'}, {'unit init' if at[0] else 'formulas’ init'}",
        lambda row, at: last_values(results, named(row, *at)),
        1.0,
    )
    caption = (
        f"Mean absolute error, {MEAN_SPREAD}: with free parameters, one vector per image, and through latent codes and "
        "a hypernetwork, both fitted, at a fifth of the rate. The second is what G has to do, and what the slide's "
        "experiment left out."
    )
    blocks: list[Block] = [heading, rows.table(caption, name="latent_codes", size=8.2)]
    correlations: list[Text] = []
    for init, words in INITS:
        means = [(mean(results, row, init), mean(results, row, init, True)) for row in ROWS]
        pairs = [(free, codes) for free, codes in means if free is not None and codes is not None]
        if len(pairs) > 2:
            rho = stats.rank_correlation([free for free, _ in pairs], [codes for _, codes in pairs])
            correlations.append(
                f"At {words}, the order of layers by the one and by the other has a rank correlation of {rho:.2f}."
            )
    return [*blocks, Bullets(tuple(correlations))] if correlations else blocks


def other_readings(report: Report) -> list[Block]:
    """The rows that can be read otherwise."""
    results = report.results
    read = [
        (next(original for original in ROWS if original.name == row.original), row, init, words)
        for row in READINGS
        for init, words in INITS
        if np.isfinite(errors(results, row, init)).any()
    ]
    if not read:
        return []
    rows = Rows(read)
    rows.words("row", lambda row: row[0].title, 1.0)
    rows.words("other reading", lambda row: row[1].title, 1.2)
    rows.words("init", lambda row: row[3], 1.0)
    rows.numbers("MAE, as read", lambda row: last_values(results, named(row[0], row[2])), 1.3)
    rows.numbers("MAE, the other", lambda row: last_values(results, named(row[1], row[2])), 1.3)
    rows.numbers("ratio [95%]", lambda row: compare(results, named(row[0], row[2]), named(row[1], row[2])), 1.2)
    caption = (
        f"The same row under its two readings, free parameters, {MEAN_SPREAD}; a ratio below 1 is the other reading's "
        "advantage. mFiLM with and without norm are rows of the slide itself."
    )
    measures = [mean(results, row) for row in (*ROWS, *READINGS)]
    return [
        Heading("Where the slide can be read otherwise"),
        rows.table(caption, name="other_readings", measures=measures),
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
    """The limits of these numbers."""
    results = report.results
    items: list[Text] = [
        *filter(None, [results.profile.caveat]),
        sections.marked(
            "An error on fitted images is about memory, not about generation: whether its order predicts the order as "
            "GANs is what `inr_layers_gan` asks."
        ),
        "One learning rate serves every layer: a layer may look worse for want of its own.",
        "Definitions of mFiLM and mFiLM −norm are readings: no public code has them.",
        "Seconds and memory are of the machine that ran them, under its load; layers were not timed against each other "
        "in one process (tests/benchmarks/layers.py does that).",
    ]
    width = results.plan.variants[0].config.inr.width
    if width < 64:
        items.append(
            f"At width {width} a product of rank 10 is nearly a full matrix ({20 * width + width:,} numbers against "
            f"{width**2 + width:,}); at the deck's 256 it is a twelfth."
        )
    return [Heading("What these numbers do not say"), Bullets(tuple(items))]
