"""The figure of a study of claims: every comparison beside the deck's, with the range that reproduces it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ablations.answers import ClaimsAnswer
from reports import dense, figures, stats
from reports.answers.changes import ratio_axis, reach_of
from reports.answers.frame import BOLD, LEFT, ROW_INCHES, WIDE, framed, name_rows, tiles_of, title_of
from reports.claims import ClaimVerdict
from reports.figures import GREEN, GREY, INK, PURPLE, interval_bar
from reports.finding_of_claims import asked, label_of, pairs_of
from reports.numbers import factor, listed, short
from reports.page import Block
from reports.report import Report
from reports.results import metric_name, when

WORD_COLOURS = {"reproduced": GREEN, "contradicted": PURPLE}
"""Neither is a colour of what changes do; all else is grey, and every claim has its word."""

VALUES = 0.07
"""The share of the width that the ratios beside the panel take."""

QUOTES = 0.2
"""Where the deck's words begin, as a share of the figure's width: behind the images."""

RIGHT = 0.995
QUOTE_POINTS = 6.5
RANGE = "#e6e6e6"


@dataclass(frozen=True)
class Drawn:
    """One row: what it compares, our effect, its verdict, the deck's ratio, and the range that reproduces it, whose
    ends may be 0 and infinity."""

    label: str
    effect: stats.Effect | None
    word: str
    deck: float | None = None
    range: tuple[float, float] | None = None
    instead: str = ""


def figure(report: Report, answer: ClaimsAnswer, told: Sequence[str]) -> list[Block]:
    """The figure; nothing where no run of any of its claims has ended."""
    verdicts = asked(report, answer)
    groups = [(verdict, rows_of(verdict, report)) for verdict in verdicts]
    rows = [row for _, of_claim in groups for row in of_claim]
    if not any(row.effect is not None and row.effect.n for row in rows):
        return []
    pictures = tiles_of(report, answer.pictured)
    finding = title_of(told)
    count = len(rows) + len(groups)
    compared = "what we expected" if ours_alone(verdicts) else "the deck's claims"
    with figures.style():
        frame = framed(finding, pictures, ROW_INCHES * count)
        ax = frame.panel(LEFT, WIDE - VALUES, count)
        panel(ax, groups)
        legend(ax, rows)
        return [
            report.figure(
                frame.canvas,
                "answer.svg",
                f"The answer: each {whose(verdicts)}, with the ratios after / before that it speaks of, "
                f"ours paired by seed with 95% intervals (an arrow where one goes on), n = {report.n} at most, "
                f"{measured_words(verdicts, report)}. Green is reproduced, purple "
                "contradicted, grey neither. Images are the first of the fixed latents, not chosen; pixels enlarged.",
                f"{finding} Samples beside real images, and the ratio of every comparison of {compared}.",
            )
        ]


def ours_alone(verdicts: Sequence[ClaimVerdict]) -> bool:
    """Whether none of the claims is the deck's."""
    return all(verdict.claim.is_ours for verdict in verdicts)


def whose(verdicts: Sequence[ClaimVerdict]) -> str:
    """In whose words the claims are."""
    if ours_alone(verdicts):
        return "expectation of ours"
    return "claim of the deck in its words" + ", or ours" * any(verdict.claim.is_ours for verdict in verdicts)


def measured_words(verdicts: Sequence[ClaimVerdict], report: Report) -> str:
    """When values are read, and what they are."""
    series = {number.series or "" for verdict in verdicts for number in verdict.claim.numbers}
    found = sorted(each for each in series if each.startswith((dense.SCALES, dense.OCTAVES)))
    windows = f"at the last iteration; measured is {listed([f'{dense.head_of(s)} ({s})' for s in found])}"
    others = f"{when(report.results)}; distances are {metric_name(report.results)}"
    return windows if len(found) == len(series) else f"{others}, or {windows}" if found else others


def rows_of(verdict: ClaimVerdict, report: Report) -> list[Drawn]:
    """A row for each of a claim's comparisons; of a claim of one number a row of words."""
    claim = verdict.claim
    if not claim.comparisons:
        name = report.results.title(claim.after.variant)
        mean = report.results.ends(claim.after.variant).mean
        return [Drawn(name, None, verdict.word, instead=f"{short(mean)}; the deck's {short(claim.after.value)}")]
    drawn = []
    several = len({pair.reading for pair in claim.comparisons}) > 1
    for pair, effect, word in pairs_of(verdict, report.results):
        before, after = pair.before.value, pair.after.value
        deck = after / before if before is not None and after is not None else None
        label = label_of(pair, report)
        label = f"{label}, {pair.reading}" if pair.reading and several else label
        drawn.append(Drawn(label, effect, word, deck, range_of(verdict)))
    return drawn


def range_of(verdict: ClaimVerdict) -> tuple[float, float] | None:
    """Where an interval has to lie for a claim of a pair to be reproduced; None where that is no range of ratios."""
    margin = verdict.claim.margin or 1.0
    ends = {"same": (1 / margin, margin), "lower": (0.0, 1 / margin), "higher": (margin, np.inf)}
    ends |= {"no_higher": (0.0, margin)}
    return ends.get(verdict.claim.expects)


def panel(ax: Axes, groups: Sequence[tuple[ClaimVerdict, Sequence[Drawn]]]) -> Axes:
    """Each claim's words with its verdict, and below them its rows."""
    rows = [row for _, of_claim in groups for row in of_claim]
    known = [row.effect for row in rows if row.effect is not None and row.effect.ratio is not None]
    ends = [x for e in known for x in (e.low, e.high) if x is not None]
    decks = [row.deck for row in rows if row.deck]
    limits = reach_of([*decks, *(e.ratio for e in known if e.ratio is not None)], ends)
    places: list[float] = []
    below = 0.0
    for verdict, of_claim in groups:
        header(ax, verdict, below)
        below += 1
        for row in of_claim:
            draw_row(ax, row, below, limits)
            places.append(below)
            below += 1
    ax.axvline(1, color=INK, lw=0.8, zorder=1)
    name_rows(ax, [row.label for row in rows], places)
    ax.set_ylim(below - 0.4, -0.5)
    ratio_axis(ax, limits)
    ax.set_xlabel("← less        after / before        more →", fontsize=6.5)
    return ax


def header(ax: Axes, verdict: ClaimVerdict, place: float) -> None:
    """The deck's words across the figure, and what became of them."""
    at: dict[str, Any] = {"xycoords": ("figure fraction", "data"), "va": "center", "annotation_clip": False}
    colour = WORD_COLOURS.get(verdict.word, GREY)
    word = figures.text_points(verdict.word, 7) * BOLD
    room = 72 * figures.WIDTH * (RIGHT - QUOTES) - word - 14
    words = figures.in_lines(verdict.claim.said, QUOTE_POINTS, room, most=1)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    ax.annotate(
        words,
        (QUOTES, place + 0.1),
        fontsize=QUOTE_POINTS,
        style="normal" if verdict.claim.is_ours else "italic",
        color=INK,
        bbox=box,
        **at,
    )
    ax.annotate(verdict.word, (RIGHT, place + 0.1), fontsize=7, fontweight="bold", color=colour, ha="right", **at)


def draw_row(ax: Axes, row: Drawn, place: float, limits: tuple[float, float]) -> None:
    """One comparison: the range, the deck's ratio, ours with its interval, and its number."""
    colour = WORD_COLOURS.get(row.word, GREY)
    if row.range is not None:
        low, high = max(row.range[0], limits[0]), min(row.range[1], limits[1])
        ax.add_patch(Rectangle((low, place - 0.36), high - low, 0.72, color=RANGE, lw=0, zorder=0))
    if row.deck:
        ax.plot(row.deck, place, "D", ms=4.6, mfc="none", mec=INK, mew=0.8, zorder=3)
    place_of: dict[str, Any] = {"xytext": (7, 0), "textcoords": "offset points", "xycoords": ax.get_yaxis_transform()}
    looks: dict[str, Any] = {"fontsize": 6.5, "color": colour, "va": "center", "annotation_clip": False}
    effect = row.effect
    if effect is None or effect.ratio is None:
        word = row.instead or ("diverged" if effect is not None and effect.diverged else "not run")
        ax.text(1.0, place, f" {word}", fontsize=6.5, color=GREY, va="center")
        return
    if effect.low is not None and effect.high is not None:
        interval_bar(ax, effect.low, effect.high, place, colour, limits)
    filled = row.word in WORD_COLOURS
    ax.plot(effect.ratio, place, "o", ms=4, mfc=colour if filled else "white", mec=colour, mew=0.9, zorder=4)
    ax.annotate(f"×{factor(effect.ratio)}", (1, place), **place_of, **looks)


def legend(ax: Axes, rows: Sequence[Drawn]) -> None:
    """What the marks are, above the panel."""
    ax.plot([], [], "o-", ms=4, lw=1.1, color=GREY, mfc="white", label="ours, 95%")
    if any(row.deck for row in rows):
        ax.plot([], [], "D", ms=4.6, mfc="none", mec=INK, mew=0.8, label="the deck's")
    if any(row.range is not None for row in rows):
        ax.plot([], [], "s", ms=6, color=RANGE, label="reproduces it")
    ax.legend(loc="lower right", bbox_to_anchor=(1.08, 1.0), ncols=3, frameon=False, fontsize=6.5, handletextpad=0.4)
