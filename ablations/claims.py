"""What the deck says, or we expect: the words, the numbers in them, and what counts as reproducing them, declared
before the runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from core.config import JOINED, Node
from core.names import Name

_SIGNS = (
    (r"\rightarrow", "→"),
    (r"\times", "×"),
    (r"\sigma_1", "σ₁"),
    (r"\sigma", "σ"),
    (r"\sim", "~"),
    (r"\sin", "sin"),
    (r"\text{clip}", "clip"),
    ("n^2", "n²"),
    ("$", ""),
)


class Source(Node):
    """Where the deck says it: the slide's title and the words, verbatim."""

    slide: str
    quote: str

    @property
    def words(self) -> str:
        """The quote as people read it: what its mark-up stands for."""
        text = self.quote
        for mark, sign in _SIGNS:
            text = text.replace(mark, sign)
        return text


class Measured(Node):
    """One number of a claim: which variant, which of its runs' measures, and what the deck says it was.

    `series` is the key of a further measure of the same runs (`core.config.Evaluation`), None for the reported metric.
    `value` is None where the deck speaks of it without a number.
    """

    variant: str
    value: float | None = None
    series: str | None = None

    @property
    def name(self) -> str:
        """The variant, and the measure where it is not the reported one."""
        return self.variant if self.series is None else f"{self.variant}, {self.series}"


class Comparison(Node):
    """One of the pairs of numbers that a claim speaks of. `title` is what people call it; `reading` names the reading
    of the claim's words that it belongs to, where they leave room for several."""

    title: str
    reading: str = ""
    before: Measured
    after: Measured


class Claim(Node):
    """What one sentence of the deck says of two numbers, or of one, or of an order, with what counts as reproduced said
    beforehand. A question of ours that the deck does not answer has no `source`, and an `expectation` in our words.

    `expects` says where the 95% interval of the paired ratio `after` / `before` has to lie for the claim to be
    reproduced: entirely below 1 ("lower"), entirely above 1 ("higher"), or entirely between 1 / `margin` and `margin`
    ("same"). With a `margin` "lower" asks for an interval below 1 / `margin`, "higher" for one above `margin`: what
    "much" means; "no_higher" asks for one below `margin`, lower or about the same. The claim is contradicted when the
    interval lies entirely outside of that, and inconclusive otherwise.
    Without `before` the claim is of a single "value", which stands only where all conditions are the deck's: reproduced
    when the interval of our mean lies below `margin` times the deck's value, contradicted when it lies above.

    A sentence that speaks of several pairs, or that can be read in several ways, is one claim all the same: `also` has
    the further pairs. Within a reading all pairs have to hold, and one that does not contradicts it (at 5% over all of
    them); a claim stands as its readings do where they agree, and is inconclusive where they do not.

    Where magnitudes do not compare, an interval on the claimed side of 1 contradicts no "much": the claim is then open.
    `late` says what of a claim was declared after runs had been seen; its verdict is exploratory in any case.

    "order" is of the order of all of the claim's numbers: reproduced when the rank correlation between the deck's
    values and ours is positive and random order is as strongly correlated in at most 5%, contradicted when it is
    negative and so.

    The magnitude of a ratio is compared only in the profile `comparable_profile`, at `iterations` where the deck says
    them, on `dataset`; elsewhere it is "not comparable". A run that is longer is read at these iterations.
    """

    name: Name
    source: Source | None = None
    expectation: Annotated[str | None, JOINED] = None
    expects: Literal["lower", "higher", "same", "no_higher", "value", "order"]
    before: Measured | None
    after: Measured
    title: Annotated[str, JOINED] = ""
    reading: Annotated[str, JOINED] = ""
    also: Annotated[tuple[Comparison, ...], JOINED] = ()
    late: Annotated[str | None, JOINED] = None
    margin: float | None = Field(default=None, gt=1)
    metric: str
    dataset: str
    iterations: PositiveInt | None
    comparable_profile: Name
    remark: str | None = None

    @model_validator(mode="after")
    def _is_somebodys(self) -> Claim:
        if (self.source is None) == (self.expectation is None):
            raise ValueError(
                f"claim {self.name}: has either a source, with the deck's words, or an expectation of ours"
            )
        return self

    @model_validator(mode="after")
    def _rule_fits(self) -> Claim:
        if (self.before is None) != (self.expects == "value"):
            raise ValueError(f"claim {self.name}: expects a value exactly where there is no number before")
        if self.margin is None and self.expects in ("same", "no_higher", "value"):
            raise ValueError(f"claim {self.name}: what expects the same, nothing higher, or a value needs a margin")
        if self.margin is not None and self.expects == "order":
            raise ValueError(f"claim {self.name}: an order has no margin")
        if self.also and self.expects == "value":
            raise ValueError(f"claim {self.name}: a claim of a value has no further pairs")
        if self.expects == "value" and self.after.value is None:
            raise ValueError(f"claim {self.name}: a claim of a value needs the value")
        if self.expects == "order" and any(number.value is None for number in self.numbers):
            raise ValueError(f"claim {self.name}: a claim of an order needs the deck's value of every number")
        return self

    @property
    def is_ours(self) -> bool:
        """Whether it is an expectation of ours, not the deck's."""
        return self.source is None

    @property
    def words(self) -> str:
        """The deck's words without marks of quotation, or ours."""
        return self.source.words if self.source is not None else self.expectation or ""

    @property
    def said(self) -> str:
        """The same, the deck's in marks of quotation."""
        return f"“{self.words}”" if self.source is not None else self.words

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All of its pairs, the first one first; none where the claim is of one number."""
        if self.before is None:
            return ()
        first = Comparison(title=self.title, reading=self.reading, before=self.before, after=self.after)
        return (first, *self.also)

    @property
    def numbers(self) -> tuple[Measured, ...]:
        """Every number that the claim speaks of, once: before and after of each pair, or after alone."""
        return tuple(dict.fromkeys([*(n for pair in self.comparisons for n in (pair.before, pair.after)), self.after]))

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that have to be trained for it."""
        return tuple(dict.fromkeys(number.variant for number in self.numbers))

    @property
    def ratio(self) -> float | None:
        """The deck's after / before of the first pair, None where it gives no such numbers or speaks of an order."""
        if self.expects == "order" or self.before is None or self.before.value is None or self.after.value is None:
            return None
        return self.after.value / self.before.value
