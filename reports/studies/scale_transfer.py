"""The report of `scale_transfer`: the same effects at several scales, how far their order agrees, and what flips."""

from __future__ import annotations

from functools import partial

from reports import figures
from reports.abstract import spoken
from reports.figures import GREY, word_colour
from reports.numbers import interval, listed, p_text, times
from reports.page import Block, Heading, Listing, Paragraph, Strong, Text
from reports.pictures import between_latents, samples
from reports.report import Report, composed
from reports.results import Results, metric_letters
from reports.scales import Agreement, Scale, agreements, scales_of
from reports.sections import fair_arms, learning_curves, method, path, question, single_changes, spread
from reports.sections.panels import Panel, Point, drawn
from reports.tables import Rows
from studies.plan import Plan

FEW_SEEDS = 10
"""Below this many seeds a rank correlation's interval is said to be too narrow."""


def body(report: Report) -> list[Block]:
    """The report from the question to the list of runs, which are those of the setting it is of."""
    parts = (question, transfer, path, single_changes, fair_arms, spread, learning_curves, samples, between_latents)
    return composed(report, (*parts, method))


def settings(results: Results) -> list[Plan]:
    """The plans of the other settings that the report reads."""
    mine = results.plan.setting
    return [scale.results.plan for scale in scales_of(results) if scale.results.plan.setting != mine]


def transfer(report: Report) -> list[Block]:
    """Every change at every scale, and how far the scales agree."""
    scales = scales_of(report.results)
    blocks: list[Block] = [Heading("The same changes at several scales")]
    if len(scales) < 2:
        names = [p.name for p in report.results.study.profiles if p.name != report.results.profile.name]
        commands = "\n".join(f"python -m studies.run {report.results.plan.asked_as} --profile {name}" for name in names)
        return [
            *blocks,
            Paragraph("One scale was run here, so there is nothing to compare. The others:"),
            Listing(commands),
        ]
    rows = Rows(report.results.study.changes)
    rows.words("change", lambda change: change.title, 1.2)
    for scale in scales:
        rows.words(f"{scale.title} (n = {scale.n})", partial(cell, scale), 1.3)
    with figures.style():
        canvas = drawn(
            [panel(scales, place) for place in range(len(scales[0].effects))],
            "scale",
            [scale.title.replace(", ", "\n").replace(" iterations", "") for scale in scales],
        )
    blocks += [
        report.figure(
            canvas,
            "scales.svg",
            "Ratio with / without each change, taken out of all, at every scale that was run (pixels, iterations), "
            "with its 95% interval; below 1 it helps. Blue helps, vermilion hurts, black is negligible, grey open or "
            "unstable; a title has the colour of the largest scale.",
            "One small panel for each change: its ratio at every scale.",
        ),
        rows.table(
            "The ratio of the distance with / without each change, taken out of all, and the verdict at each scale "
            f"after Holm's correction over its changes. Distances are {measured(scales)}; each scale has its own "
            "real set and floor, so that ratios compare, values do not.",
            name="scales",
            size=7.2,
        ),
        agreement_table(scales),
        Paragraph(
            "No free number was chosen again for a larger scale: what an effect is there is that of the same recipe, "
            "trained for longer or on larger images. ρ is Spearman's rank correlation of the effects; its interval "
            "resamples seeds, so it says how far training noise moves the order of these changes, and with fewer than "
            f"{FEW_SEEDS} seeds it is too narrow. “By noise alone” is the median of the same between as many seeds of "
            "the smallest scale and as many others of it: an agreement that no larger scale can be asked to exceed."
        ),
    ]
    return blocks


def measured(scales: list[Scale]) -> str:
    """The metrics of the scales: "FD"."""
    return listed(list(dict.fromkeys(metric_letters(scale.results) for scale in scales)))


def cell(scale: Scale, change: object) -> str:
    """A change at a scale: ratio, interval and verdict."""
    effect = next(e for e in scale.effects if e.change == change)
    return f"{interval(effect.effect)} {effect.verdict.partition(':')[0]}" if effect.tested else effect.why


def panel(scales: list[Scale], place: int) -> Panel:
    """One change against the scales."""
    effects = [scale.effects[place] for scale in scales]
    points = [Point(x, e.effect, word_colour(e.word) if e.tested else GREY) for x, e in enumerate(effects)]
    return Panel(effects[0].change.brief, word_colour(effects[-1].word) if effects[-1].tested else GREY, points)


def agreement_table(scales: list[Scale]) -> Block:
    """Every larger scale against the smallest."""
    rows = Rows(agreements(scales))
    rows.words("scale", lambda a: a.larger.title, 1.1)
    rows.numbers("ρ [95%]", lambda a: correlation(a), 1.0)
    rows.numbers("p", lambda a: None if a.order is None else p_text(a.order.p), 0.4)
    rows.numbers("by noise alone", lambda a: None if a.noise is None else f"{a.noise:.2f}", 0.6)
    rows.words("verdicts that flip", lambda a: listed([c.brief for c in a.flips]) or "none", 0.9)
    rows.words("effects that differ, larger / smaller", differing, 1.8)
    return rows.table(
        f"Every larger scale against {scales[0].title} (n = {scales[0].n}): rank correlation of the effects, its p if "
        "order were random, changes that help at one and hurt at the other, and those whose ratio differs after "
        "Holm's correction over all changes, with how many times the smaller scale's it is (95% interval, not "
        "corrected).",
        name="agreement",
        size=7.4,
    )


def correlation(found: Agreement) -> str | None:
    """ρ with its interval; None where too few changes have two seeds at both scales."""
    order = found.order
    return None if order is None else f"{order.rho:.2f} [{order.low:.2f}, {order.high:.2f}]"


def differing(found: Agreement) -> str:
    """The changes whose effects differ, with how much."""
    told = [
        f"{change.brief} {times(effect.ratio or 1.0)}"
        + ("" if effect.low is None or effect.high is None else f" [{effect.low:.2f}, {effect.high:.2f}]")
        for change, effect in found.apart
    ]
    return "; ".join(told) or "none resolved"


def finding(report: Report) -> list[str]:
    """How many verdicts flip and how far the orders agree, then each scale by itself."""
    scales = scales_of(report.results)
    if len(scales) < 2:
        where = f" ({scales[0].title}, n = {scales[0].n})" if scales else ""
        return [f"One scale was run{where}: nothing is compared yet."]
    found = agreements(scales)
    flips = sum(len(each.flips) for each in found)
    orders = [f"{each.order.rho:.2f}" for each in found if each.order is not None]
    # Of the scale that has the fewest.
    least = min(scale.n for scale in scales)
    told = f"; rank correlation {listed(orders)}" if orders else ""
    larger = f"{len(found)} larger scales" if len(found) > 1 else "a larger scale"
    resolved = sum(each.resolved for each in found)
    first = f"{flips or 'None'} of {resolved} resolved verdicts flips at {larger} (n = {least}){told}."
    return [first, *(spoken(answer) for answer in answers(report))]


def answers(report: Report) -> list[Text]:
    """For each larger scale whether the order and the verdicts of the smallest one hold."""
    scales = scales_of(report.results)
    if len(scales) < 2:
        return ["One scale was run, so nothing is compared."]
    said: list[Text] = []
    for found in agreements(scales):
        if found.order is None:
            said.append(f"At {found.larger.title} fewer than three changes have two seeds.")
            continue
        noise = "" if found.noise is None else f", where noise alone leaves {found.noise:.2f}"
        flips = f"{len(found.flips)} of {found.resolved} that help or hurt at both flip"
        if found.flips:
            flips += f" ({listed([change.brief for change in found.flips])})"
        said.append(
            (
                Strong(f"{scales[0].title} against {found.larger.title}:"),
                f" rank correlation of the effects ρ = {correlation(found)} (n = {scales[0].n} and "
                f"{found.larger.n}){noise}; {flips}; effects that differ: {differing(found)}.",
            )
        )
    return said
