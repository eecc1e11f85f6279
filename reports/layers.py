"""The slide's layers in the results of a study: their variants and last values, and what was recorded at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ablations.layers import ROWS, Row
from core.events import Built
from reports import finding as findings
from reports import pictures, stats
from reports.numbers import MOST_WORDS, interval, listed, sentence
from reports.report import Report
from reports.results import Results
from reports.verdicts import compare, side_of_one
from studies.plan import PlannedVariant

INITS = (("", "the formulas' init"), ("+unit_init", "unit init"))
GRID = 64
"""Images in a run folder's grids, at most."""

MARKS = ("o", "s", "v", "^", "P", "D", "X", "*")


def named(row: Row, init: str = "", codes: bool = False) -> str:
    """The variant with this layer, at this init, of this emitter."""
    own = "" if row.name == "linear" else f"+{row.name}"
    return f"baseline{own}{init}{'+latent_codes' if codes else ''}"


def errors(results: Results, row: Row, init: str = "", codes: bool = False) -> np.ndarray:
    """The last MAE per seed, NaN where it has not been measured."""
    variant = results.variant(named(row, init, codes))
    return results.last(variant) if variant else np.full(len(results.plan.seeds), np.nan)


def mean(results: Results, row: Row, init: str = "", codes: bool = False) -> float | None:
    """The geometric mean of the last MAE, infinite where a run diverged."""
    return results.ends(named(row, init, codes)).mean


def magnitude(value: float) -> str:
    """A size that may span decades."""
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def first_built(results: Results, variant: PlannedVariant | None) -> Built | None:
    """The record of the variant's first run of its networks as built."""
    if variant is None or not results.plan.seeds:
        return None
    run = str(results.job(variant, results.plan.seeds[0])["run"])
    if run in results.damaged:
        return None
    folder = results.folder(run)
    return next((event for event in folder.each_event(b'"built"') if isinstance(event, Built)), None)


def constant_error(results: Results) -> float | None:
    """The MAE in [−1, 1] of the best constant colour for each image, over the first seed's images that were kept."""
    # The rest of a run folder's grid is empty.
    count = min(GRID, results.plan.variants[0].config.batch_size)
    images = pictures.real_images(results, results.plan.seeds[:1], count)
    if images is None:
        return None
    pixels = images.reshape(len(images), -1, 3) / 127.5 - 1
    return float(np.abs(pixels - np.median(pixels, axis=1, keepdims=True)).mean())


# --- the finding of the fits ------------------------------------------------------------------------------------------


def finding(report: Report) -> list[str]:
    """Which of the slide's layers fail to fit at each init, which fits best, and what became of the deck's order."""
    results = report.results
    blank = constant_error(results)
    by_init = {words: against_constant(results, init, blank) for init, words in INITS} if blank is not None else {}
    told = [failing({words: found for words, found in by_init.items() if found.ended}, report.n)]
    told += [best_at(results, init, words) for init, words in INITS]
    for verdict in report.claims:
        if verdict.order is not None:
            layers, rho = len(verdict.claim.numbers), f"ρ = {verdict.order.rho:.2f}"
            told.append(f"The deck's order of {layers} layers: {verdict.word}, {rho}.")
    return [words for words in told if words] or findings.sentences(report)


@dataclass(frozen=True)
class AgainstConstant:
    """Of the slide's layers at one init: how many have ended, and those whose error lies above that of a constant
    colour with its whole interval, and those of which that is open."""

    ended: int
    worse: tuple[str, ...]
    unclear: tuple[str, ...]

    @property
    def counted(self) -> str:
        """How many are worse."""
        return f"{len(self.worse) or 'none'} of {self.ended}"

    @property
    def named(self) -> str:
        """Which are worse; how many of those that ended, where none is and others are missing."""
        return listed(self.worse) if self.worse else "none" if self.ended == len(ROWS) else self.counted


def against_constant(results: Results, init: str, blank: float) -> AgainstConstant:
    """The layers at an init beside the error of one constant colour an image."""
    found = {row.title: stats.geometric_mean(errors(results, row, init)) for row in ROWS}
    means = {title: mean for title, mean in found.items() if mean is not None}
    low = {title: mean.low for title, mean in means.items() if mean.low is not None}
    worse = tuple(title for title, end in low.items() if end > blank)
    below = {title for title, mean in means.items() if mean.high is not None and mean.high < blank}
    return AgainstConstant(len(means), worse, tuple(title for title in means if title not in {*worse, *below}))


def failing(by_init: Mapping[str, AgainstConstant], n: int) -> str:
    """Which layers end above a constant colour, init by init, in `MOST_WORDS` words at most; empty where nothing is
    known."""

    def line(names: Callable[[AgainstConstant], str]) -> str:
        parts: list[str] = []
        for words, found in by_init.items():
            verb = "" if parts else f" {'is' if len(found.worse) < 2 else 'are'} worse than a constant colour"
            unclear = f" ({len(found.unclear)} open)" if found.unclear else ""
            parts.append(f"at {words} {names(found)}{verb}{unclear}")
        return sentence(f"{', '.join(parts)} (n = {n})")

    if not by_init:
        return ""
    whole = line(lambda found: found.named)
    return whole if len(whole.split()) <= MOST_WORDS else line(lambda found: found.counted)


def best_at(results: Results, init: str, words: str) -> str:
    """Which layer fits best at an init, and the next one's ratio to it; empty where fewer than two have ended."""
    known = sorted(
        ((error, row.title, row) for row in ROWS if (error := mean(results, row, init)) is not None),
        key=lambda found: found[0],
    )
    if len(known) < 2 or not np.isfinite(known[1][0]):
        return ""
    (_, best, first), (_, next_one, second) = known[:2]
    effect = compare(results, named(first, init), named(second, init))
    if effect is None or effect.ratio is None:
        return ""
    open_words = ", not resolved" if side_of_one(effect) == "unresolved" else ""
    return f"At {words} {best} is best, the next, {next_one}, has ×{interval(effect)} of its error{open_words}."
