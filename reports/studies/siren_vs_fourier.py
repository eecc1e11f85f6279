"""The report of `siren_vs_fourier`: first layers by generated images, and what gradients say at the start."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.config import Config
from core.events import LayerAtStart
from reports import finding as findings
from reports import pictures, sections, stats
from reports.layers import first_built, magnitude
from reports.numbers import MEAN_SPREAD, factor, interval, short
from reports.page import Block, Bullets, Heading, Paragraph, Strong, Text
from reports.report import PILOT, Report, composed
from reports.results import Results, metric_letters, metric_name, when
from reports.tables import Rows, last_values
from reports.verdicts import compare, side_of_one
from studies.plan import PlannedVariant

OWNERS = (("", "generated"), ("+shared_coordinates", "shared"))


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs."""
    parts = (
        sections.question,
        which_one,
        why_thirty,
        sections.learning_curves,
        pictures.samples,
        pictures.between_latents,
        sections.the_setting,
        sections.cost,
        limits,
        sections.missing,
        sections.provenance,
        sections.runs,
    )
    return composed(report, parts)


def bases(results: Results) -> list[tuple[str, str]]:
    """(variant, title) of every basis with a generated coordinate layer; the deck's SIREN first."""
    alternatives = [change for change in results.study.changes if change.group == "basis"]
    return [("baseline", results.title("baseline")), *((f"baseline+{c.name}", c.title) for c in alternatives)]


def frequency(variant: PlannedVariant) -> tuple[str, str]:
    """The first layer's std, and that as a part of the highest frequency the pixels can show."""
    config = variant.config
    assert isinstance(config, Config)
    basis, grid = config.inr.basis, config.inr.coordinates
    highest = np.pi * config.data.resolution / (grid.high - grid.low)
    return short(basis.scale), f"{basis.scale / highest:.2f}"


def which_one(report: Report) -> list[Block]:
    """The distances of all first layers."""
    results = report.results
    rows = Rows(
        (name, title, variant) for name, title in bases(results) if (variant := results.variant(name)) is not None
    )
    rows.words("first layer", lambda row: row[1], 1.6)
    rows.numbers("std", lambda row: frequency(row[2])[0])
    rows.numbers("of Nyquist", lambda row: frequency(row[2])[1])
    letters = metric_letters(results)
    rows.each(
        [(*owner, ratio) for owner in OWNERS for ratio in (False, True)],
        lambda at: f"to the deck's SIREN, {at[1]}" if at[2] else f"{letters}, {at[1]}",
        lambda row, at: to_siren(results, row[0], at[0]) if at[2] else last_values(results, row[0] + at[0]),
        1.3,
    )
    caption = (
        f"{metric_name(results)} {when(results)}, {MEAN_SPREAD}, with the coordinate layer generated per image "
        "or shared by all; ratios paired by seed to the deck's SIREN with the same owner, with Student-t intervals on "
        "the log scale. std: of the first layer's weights at the start; Nyquist: the angular frequency that alternates "
        "from pixel to pixel. Above 1 most features alias: neighbouring pixels look unrelated to the layers above."
    )
    pilot = [sections.pilot_note(report)] if report.n <= PILOT else []
    return [Heading("Which one"), *pilot, rows.table(caption, name="first_layers", size=7.8)]


def to_siren(results: Results, name: str, owner: str) -> stats.Effect | None:
    """The ratio of a first layer to the deck's SIREN with the same owner."""
    return None if name == "baseline" else compare(results, f"baseline{owner}", name + owner)


Best = tuple[float, str, str]
"""A first layer's mean, its variant with a generated coordinate layer, and its title."""


def best_of_kinds(results: Results, owner: str) -> tuple[Best, Best, int, int] | None:
    """The best SIREN and the best Fourier layer, how many first layers have ended, and how many are planned; None where
    one of the kinds has none that ended."""
    kinds: dict[str, list[Best]] = {"siren": [], "fourier": []}
    planned = 0
    for name, title in bases(results):
        variant, mean = results.variant(name + owner), results.ends(name + owner).mean
        planned += variant is not None
        if variant is None or mean is None or not np.isfinite(mean):
            continue
        assert isinstance(variant.config, Config)
        kinds[variant.config.inr.basis.kind].append((mean, name, title))
    if not all(kinds.values()):
        return None
    return min(kinds["siren"]), min(kinds["fourier"]), sum(map(len, kinds.values())), planned


def finding(report: Report) -> list[str]:
    """Which kind of first layer is better with each owner of the coordinate layer, and what the factor 30 does."""
    results = report.results
    told: list[str] = []
    for owner, words in OWNERS:
        found = best_of_kinds(results, owner)
        effect = compare(results, found[0][1] + owner, found[1][1] + owner) if found is not None else None
        if found is None or effect is None or effect.ratio is None:
            continue
        siren, fourier, ended, _ = found
        ratio, n = f"×{interval(effect)}", f"n = {effect.n}"
        if told:
            side = {"below": "Fourier is better", "above": "SIREN is better"}.get(side_of_one(effect), "not resolved")
            told.append(f"With a {words} coordinate layer: ×{interval(effect)} ({n}), {side}.")
            continue
        told += [
            {
                "below": f"The best Fourier layer beats the best SIREN: {ratio} of its distance ({n}; picked as best).",
                "above": f"The best SIREN beats the best Fourier layer, which has {ratio} of its distance ({n}).",
            }.get(side_of_one(effect), f"The best Fourier layer over the best SIREN is not resolved: {ratio} ({n})."),
            f"They are “{fourier[2]}” and “{siren[2]}”, picked among {ended} on these seeds, so that the advantage is "
            "overstated.",
        ]
    effect = factor_effect(results)
    if told and effect is not None and effect.ratio is not None:
        told.append(
            f"SIREN's factor 30 does nothing where coordinates are generated; shared, with over without it is "
            f"×{interval(effect)} (n = {effect.n}): {meaning(effect)}."
        )
    return told or findings.sentences(report)


def factor_effect(results: Results) -> stats.Effect | None:
    """SIREN's factor with over without, where one coordinate layer serves all images."""
    return compare(results, "baseline+no_factor+shared_coordinates", "baseline+shared_coordinates")


def answers(report: Report) -> list[Text]:
    """The best of each kind, and whether the difference is resolved."""
    results = report.results
    items: list[Text] = []
    for owner, words in OWNERS:
        found = best_of_kinds(results, owner)
        if found is None:
            continue
        siren, fourier, ended, planned = found
        effect = compare(results, siren[1] + owner, fourier[1] + owner)
        verdict = "not compared"
        so_far = f" so far, of {ended} of {planned} first layers," if ended < planned else ""
        if effect is not None and effect.ratio is not None:
            side = side_of_one(effect)
            meaning = {"below": "Fourier is better", "above": "SIREN is better"}.get(
                side, "the difference is not resolved"
            )
            verdict = f"their ratio, Fourier over SIREN, is {interval(effect)}: {meaning}"
        items.append(
            (
                Strong(f"Coordinate layer {words}:"),
                f" (exploratory){so_far} the best of each kind are “{fourier[2]}” ({short(fourier[0])}) and "
                f"“{siren[2]}” ({short(siren[0])}); {verdict}. Both were picked as the best of several on these "
                "seeds, so the advantage is overstated.",
            )
        )
    return items


def why_thirty(report: Report) -> list[Block]:
    """Gradients before the first iteration."""
    results = report.results
    layers = [
        (title, words, built.initial)
        for owner, words in OWNERS
        for name, title in bases(results)
        if (built := first_built(results, results.variant(name + owner))) is not None and built.initial
    ]
    heading = Heading("Why does the factor 30 matter?")
    if not layers:
        return [heading, Paragraph("No run recorded its gradients at the start.")]
    rows = Rows(layers)
    rows.words("first layer", share=1.6)
    rows.words("owner", share=0.8)
    rows.numbers("first layer, rms", lambda row: magnitude(row[2][0].pre_activation))
    rows.numbers("grad, emitted", lambda row: scientific(row[2][0].emitted_gradient))
    rows.numbers("grad, own weights", lambda row: scientific(row[2][0].own_gradient))
    rows.numbers("grad, hidden", lambda row: scientific(hidden_gradient(row[2])))
    rows.numbers("grad, RGB", lambda row: scientific(row[2][-1].emitted_gradient))
    caption = (
        "Before the first iteration (first seed): the root mean square of the coordinate layer's outputs, and of "
        "gradients of a fixed random projection of the image, per entry: by the numbers emitted for the first layer, "
        "by its own stored weights where it is shared, by the numbers emitted for hidden layers (mean) and for the RGB "
        "layer."
    )
    return [heading, Bullets(tuple(factor_findings(results))), rows.table(caption, name="gradients", size=7.8)]


def hidden_gradient(layers: Sequence[LayerAtStart]) -> float | None:
    """The mean gradient by the numbers emitted for hidden layers, as far as they are emitted."""
    gradients = [layer.emitted_gradient for layer in layers[1:-1] if layer.emitted_gradient is not None]
    return float(np.mean(gradients)) if gradients else None


def scientific(value: float | None) -> str:
    """A gradient's size."""
    return "–" if value is None else f"{value:.2g}"


def factor_findings(results: Results) -> list[Text]:
    """With and without the factor, for both owners of the layer."""
    items: list[Text] = [
        (
            Strong("Coordinate layer generated:"),
            " nothing. Emitted numbers times σ / 30, their product times 30, is their product times σ: neither the "
            "function nor any gradient knows of the factor, so here both variants are one program by construction.",
        )
    ]
    with_it = results.variant("baseline+shared_coordinates")
    without = results.variant("baseline+no_factor+shared_coordinates")
    if with_it is not None and without is not None:
        effect = stats.paired_effect(results.last(without), results.last(with_it))
        a, b = first_built(results, with_it), first_built(results, without)
        gradients = ""
        if a and b and a.initial and b.initial and a.initial[0].own_gradient and b.initial[0].own_gradient:
            ratio = factor(a.initial[0].own_gradient / b.initial[0].own_gradient)
            gradients = (
                f" At the start its weights' gradients are {ratio} times as large, and the weights 30 times smaller."
            )
        finding = " not run yet."
        if effect.ratio is not None:
            finding = (
                f" it is a learning rate.{gradients} Adam's step does not grow with the gradient, so relative to the "
                f"weights the layer moves 30 times as fast. With over without it, {metric_letters(results)} has the "
                f"ratio {interval(effect)}: {meaning(effect)}."
            )
        items.append((Strong("Coordinate layer shared:"), finding))
    return [*items, *small_gradients(results)]


def small_gradients(results: Results) -> list[Text]:
    """The slide's second question, from what was recorded at the start."""
    ratios = []
    for name, title in bases(results):
        built = first_built(results, results.variant(name))
        if built is None or not built.initial:
            continue
        first, *layers, _ = built.initial
        hidden = [layer.emitted_gradient for layer in layers if layer.emitted_gradient]
        if first.emitted_gradient and hidden:
            ratios.append(f"{title}: {factor(first.emitted_gradient / float(np.mean(hidden)))}")
    if not ratios:
        return []
    return [
        (
            Strong("“Do we suffer from small gradients?”"),
            " The first layer's gradient over the hidden layers' (per emitted number, at the start, coordinates "
            f"generated): {'; '.join(ratios)}.",
        )
    ]


def meaning(effect: stats.Effect) -> str:
    """The ratio of a factor in words."""
    side = side_of_one(effect)
    return {"below": "the factor helps", "above": "the factor hurts"}.get(side, "not resolved")


def limits(report: Report) -> list[Block]:
    """The limits of these numbers."""
    extra: tuple[Text, ...] = (
        "All first layers train with the learning rates that were chosen at the ladder's ends, whose scales differ.",
        "Hidden layers are emitted (Linear), where the official SIREN's own factor 30 in hidden layers cancels: what "
        "is left of its init is the first layer's scale.",
    )
    return [*sections.limits(report), Bullets(extra)]
