"""How a report writes numbers: three digits, ∞ for what diverged, – for what is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from reports import stats

MOST_WORDS = 20
"""Of a finding's first sentence, which stands in a table of studies."""


def short(value: float | None) -> str:
    """Three significant digits, no exponent; ∞ for a diverged run, – where there is none."""
    if value is None or np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞"
    if value == 0:
        return "0"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    text = f"{value:,.{min(digits, 12)}f}"
    return text.rstrip("0").rstrip(".") if digits > 2 else text


def times(value: float) -> str:
    """A factor on an axis."""
    return f"{value:g}×"


def fixed(values: Iterable[float | None]) -> Callable[[float | None], str]:
    """Writes every one of these values with the same number of decimals: three significant digits of a middling one."""
    there = [abs(v) for v in values if v is not None and np.isfinite(v) and v != 0]
    decimals = int(np.clip(2 - np.floor(np.log10(np.median(there))), 0, 4)) if there else 2

    def write(value: float | None) -> str:
        if value is None or np.isnan(value):
            return "–"
        return "∞" if np.isinf(value) else f"{value:,.{decimals}f}"

    return write


def factor(value: float | None) -> str:
    """A ratio: two decimals, fewer for the large ones, two digits for the tiny ones."""
    if value is None or np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"


def interval(effect: stats.Effect | None) -> str:
    """Ratio with the ends of its interval."""
    if effect is None or effect.ratio is None:
        return "–"
    if effect.low is None:
        return factor(effect.ratio)
    return f"{factor(effect.ratio)} [{factor(effect.low)}, {factor(effect.high)}]"


def mean_spread(summary: stats.LogSummary, write: Callable[[float | None], str] = short) -> str:
    """Geometric mean ×/÷ geometric standard deviation (n), with the diverged runs in words, and the median where they
    leave no mean."""
    if summary.n == 0 or (summary.mean is None and not summary.diverged):
        return "–"
    if summary.diverged:
        middle = (
            f", median {write(summary.median)}" if summary.median is not None and np.isfinite(summary.median) else ""
        )
        return f"∞ (diverged in {summary.diverged} of {summary.n}{middle})"
    spread = f" ×/÷ {factor(summary.factor)}" if summary.factor is not None else ""
    return f"{write(summary.mean)}{spread} (n = {summary.n})"


MEAN_SPREAD = "geometric mean ×/÷ geometric standard deviation over seeds (n)"
"""What `mean_spread` writes, for captions: the one kind of mean that values of a metric have in tables and figures."""


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """1 run, 2 runs."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def numbers_words(numbers: Sequence[int]) -> str:
    """Numbers in order: "0, 1, 2"; of four or more that follow each other the ends, "0 to 19"."""
    if len(numbers) > 3 and list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers))


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


WORK = (
    "Arithmetic: multiply-accumulates of the products in G, D and the penalty, forwards and backwards, counted from "
    "the config; no load of a machine is in them."
)


@dataclass(frozen=True)
class WorkUnit:
    """A unit of multiply-accumulates in which a column or an axis of them is short."""

    size: float
    name: str
    words: str

    def write(self, macs: float) -> str:
        """So many multiply-accumulates in this unit, without its name."""
        return short(macs / self.size)


def fixed_unit(counts: Sequence[float]) -> WorkUnit:
    """The unit for all of these."""
    largest = max(counts, default=0.0)
    if largest >= 1e15:
        return WorkUnit(1e15, "PMAC", "peta-multiply-accumulates")
    if largest >= 1e12:
        return WorkUnit(1e12, "TMAC", "tera-multiply-accumulates")
    return WorkUnit(1e9, "GMAC", "giga-multiply-accumulates")


def work_text(macs: float | None) -> str:
    """Multiply-accumulates with the unit that keeps them short."""
    if macs is None:
        return "–"
    unit = fixed_unit([macs])
    return f"{unit.write(macs)} {unit.name}"


def p_text(p: float | None) -> str:
    """A p-value: two digits, never 0."""
    if p is None:
        return "–"
    return "< .0001" if p < 1e-4 else f"{p:.2g}".removeprefix("0") if p < 1 else "1"
