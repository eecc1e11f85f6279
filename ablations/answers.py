"""What the one figure shows that answers a study, as data: the report draws it and titles it with the finding.

A kind for each sort of question: what changes do (`changes`), whether claims hold (`claims`), which variant is best
(`variants`), where a number should lie (`number`), whether effects carry over to larger scales (`scales`), what a gain
costs (`frontier`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.config import Node
from core.names import Name

PairDesign = Literal["ladder", "add_one_in", "leave_one_out"]
"""A design that compares each change's variant with one other."""


class Enlarged(Node):
    """Images of a variant made twice as large, by one of the ways that `core.config.Upsampling` compares."""

    variant: str
    method: Literal["nearest", "bilinear", "bicubic", "natural", "lanczos", "sharpened", "sr_cnn"]


class Dense(Node):
    """Images of a variant at the `fine` pixels of `evaluation.scales`; real ones above them are of that size, too."""

    variant: str


Pictured = Annotated[tuple[str | Enlarged | Dense, ...], Field(max_length=3)]
"""Beside real images: samples of the variants of these names, in this order."""


class ChangesAnswer(Node):
    """Samples of a few variants beside real ones, and the effect of every change in the first two of these designs that
    were run, sorted by the first."""

    kind: Literal["changes"] = "changes"
    designs: tuple[PairDesign, ...] = Field(min_length=1, max_length=3)
    pictured: Pictured = ("baseline", "all")


class ClaimsAnswer(Node):
    """Samples, and a row for every comparison of these claims, of all where none is named: our ratio after / before
    with its interval, the deck's where it gives both numbers, and where the interval has to lie for the claim to be
    reproduced."""

    kind: Literal["claims"] = "claims"
    claims: tuple[Name, ...] = ()
    pictured: Pictured = ("baseline",)


class Elsewhere(Node):
    """Another study, whose runs lie beside; `profiles` names the profile there that goes with one of this study's,
    where the two have other names."""

    study: Name
    profiles: dict[Name, Name] = Field(default_factory=dict)

    def profile_for(self, profile: str) -> str:
        """The profile there that goes with this one here."""
        return self.profiles.get(profile, profile)


class VariantsAnswer(Node):
    """Samples, and a row for each of some variants with its mean and the value of every seed, the best first.

    Rows are `variants` by name, or the base and every alternative of the group `rows`, or, where neither is given, all
    variants; the best `most` of them, and the base. Each alternative of the group `panels` has a panel of its own with
    the same rows, beside that of the base, which is called `base_panel`. With `order_of` the rows of each panel are in
    the order of the values that variants with the same alternatives have in another study, so that values that grow
    downwards say that the one study predicts the other. One row alone has no panel: its samples are the figure.
    """

    kind: Literal["variants"] = "variants"
    variants: tuple[str, ...] = ()
    rows: Name | None = None
    panels: Name | None = None
    base_panel: str = ""
    order_of: Elsewhere | None = None
    most: int = Field(default=14, ge=1, le=20)
    pictured: Pictured = ("baseline",)

    @property
    def groups(self) -> tuple[Name, ...]:
        """The groups of alternatives that it names."""
        return tuple(group for group in (self.rows, self.panels) if group is not None)


class Line(Node):
    """Variants by name that a line connects, in whatever order."""

    title: str
    variants: tuple[str, ...] = Field(min_length=1)


class NumberAnswer(Node):
    """Samples, and the metric over the number that each variant has at `path` of its config, as lines: their means, and
    the value of every seed. `panels` and `base_panel` are as in `VariantsAnswer`."""

    kind: Literal["number"] = "number"
    path: str
    title: str
    lines: tuple[Line, ...] = Field(min_length=1, max_length=4)
    panels: Name | None = None
    base_panel: str = ""
    pictured: Pictured = ("baseline",)

    @property
    def groups(self) -> tuple[Name, ...]:
        """The groups of alternatives that it names."""
        return () if self.panels is None else (self.panels,)


class ScalesAnswer(Node):
    """Samples, and the effect of every change taken out of all, at the smallest of the study's settings that were run
    and at the largest ones, `most` in all."""

    kind: Literal["scales"] = "scales"
    most: int = Field(default=3, ge=2, le=4)
    pictured: Pictured = ("baseline", "all")


class FrontierAnswer(Node):
    """Samples, and every variant's `series` and metric, as ratios to the base, over the arithmetic of its training; no
    other variant has as little of both as one on the frontier. `title` is what the series is called. The finding is the
    cheapest variant whose whole interval lies below the factor that `claim` declares, one of this series."""

    kind: Literal["frontier"] = "frontier"
    series: str
    title: str
    claim: Name
    pictured: Pictured = ("baseline",)


AnyAnswer = ChangesAnswer | ClaimsAnswer | VariantsAnswer | NumberAnswer | ScalesAnswer | FrontierAnswer
Answer = Annotated[AnyAnswer, Field(discriminator="kind")]
