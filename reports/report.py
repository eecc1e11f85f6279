"""What all sections of a report share: the results, their verdicts, and where figures and runs are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
from matplotlib.figure import Figure as Canvas

from ablations.designs import base_title
from ablations.schema import DesignName, Study
from core.reading import Damaged
from reports import figures
from reports.claims import ClaimVerdict, judge_claim
from reports.comparability import MixedProtocols
from reports.page import Block, Figure, Note, Strong, Text
from reports.results import Results
from reports.verdicts import ChangeEffect, judge_changes
from studies.plan import PlannedVariant, is_drawn

FIGURES = (
    "answer.svg",
    *(f"path_{design}.svg" for design in ("ladder", "add_one_in", "leave_one_out")),
    "interpolation.gif",
    "scales.svg",
    "ladder.svg",
    "effects.svg",
    "upsampling.svg",
    "upsampled.png",
    "upsampled_centres.png",
    "interpolations.png",
    "curves.svg",
    "samples.png",
    "tradeoff.svg",
    "reconstructions.png",
    "dense.png",
    "octaves.svg",
    "octaves.png",
    "rankings.svg",
    "sweep.svg",
    "importance.svg",
)
"""Every figure that a report may have."""

DESIGN_TITLES: dict[DesignName, str] = {
    "ladder": "ladder: on the rung before",
    "add_one_in": "add one in: each change alone",
    "leave_one_out": "leave one out: on all others",
    "screening": "screening: on average over the others on and off",
    "shapley": "Shapley value: on average over orders",
}

DESIGN_HEADS: dict[DesignName, str] = {
    "ladder": "ladder",
    "add_one_in": "add one in",
    "leave_one_out": "leave one out",
    "screening": "screening",
    "shapley": "Shapley value",
}


def design_title(design: DesignName, study: Study) -> str:
    """What a design compares, with the name of what a single change is added to."""
    return f"add one in: to {base_title(study)}" if design == "add_one_in" else DESIGN_TITLES[design]


PILOT = 3
"""Up to this many seeds a study is a pilot, and its report says so."""

PAGE_INCHES = 8.2
"""The tallest a figure may be, so that it and its caption and heading share a page."""


PUBLISHED = "runs.jsonl"
"""Beside a published report: what is on record of its runs, one a line, in the order of its appendix."""


@dataclass(frozen=True)
class Report:
    """What the sections share. `folder` is the page's; its figures are drawn first and saved with the page."""

    results: Results
    folder: Path
    claims: tuple[ClaimVerdict, ...]
    effects: dict[DesignName, list[ChangeEffect]]
    published: bool = False
    drawings: dict[str, Callable[[Path], None]] = field(default_factory=dict, repr=False, compare=False)
    """What writes each picture, by its file's name; those of sections that were left out half-way included."""

    @classmethod
    def of(cls, results: Results, folder: Path, *, published: bool = False) -> Report:
        """Judges everything once. What is `published` leads to records beside it, not to run folders."""
        claims = tuple(judge_claim(claim, results) for claim in results.study.claims)
        return cls(results, folder, claims, judge_changes(results), published)

    @property
    def n(self) -> int:
        """The largest number of seeds that any variant has finished or diverged with."""
        ended = self.results.jobs[self.results.jobs["status"].isin(["finished", "diverged"])]
        if all(map(is_drawn, self.results.plan.variants)):
            return int(ended["seed"].nunique())  # Only of a design whose seeds draw variants of their own.
        return int(ended.groupby("variant")["seed"].nunique().max()) if len(ended) else 0

    def target(self, run: str) -> str | None:
        """Where a page's link to a run leads: its folder, or its line in what is published; None: there is no such."""
        if self.published:
            return f"{PUBLISHED}#L{1 + list(self.results.jobs['run']).index(run)}"
        path = self.results.folder(run).path
        # Quoted, for a link in Markdown ends at a space.
        there = Path(os.path.relpath(path, self.folder)).as_posix()
        return quote(there, errors="surrogateescape") if path.exists() else None

    def figure(
        self, canvas: Canvas, name: str, caption: Text, alt: str, width: float = 100.0, floats: bool = False
    ) -> Figure:
        """Keeps a drawn figure for the page's folder and returns its block; what `alt` begins with may be empty."""
        self.drawings[name] = partial(figures.save, canvas)
        return Figure(f"figures/{name}", caption, alt.strip(), width, floats)


def composed(report: Report, parts: Sequence[Callable[[Report], list[Block]]]) -> list[Block]:
    """The blocks of these sections, in order."""
    return [block for part in parts for block in unless_unsound(part, report)]


def unless_unsound(part: Callable[[Report], list[Block]], report: Report) -> list[Block]:
    """A section, or a note of why it is left out: its numbers were measured under different protocols, or a file that
    it needs is damaged."""
    try:
        return part(report)
    except (MixedProtocols, Damaged) as error:
        return [Note((Strong("A section is left out:"), f" {error}."))]


def rung_label(rungs: Sequence[PlannedVariant | None], rung: int, report: Report) -> str:
    """A rung by what it adds to the one before, or by all it has where the one before is not planned."""
    variant = rungs[rung]
    if rung and rungs[rung - 1] is not None:
        return f"{rung}  + {report.results.study.changes[rung - 1].title}"
    return f"{rung}  {variant.title if variant else ''}"


HIGHLIGHTS = (("baseline", figures.INK), ("all", figures.GREEN))


MOST_HIGHLIGHTS = 4
"""So many variants beside the ends of a ladder have a colour."""


def highlighted(report: Report) -> dict[str, str]:
    """The few variants that curves and strips are about, each with its colour, in the order of their importance: the
    ends of the ladder, those of claims, the best alternatives, what searches chose."""
    results = report.results
    colours: dict[str, str] = {}
    spare = [colour for colour in figures.CATEGORIES if colour != figures.GREEN][:MOST_HIGHLIGHTS]
    for name, colour in HIGHLIGHTS:
        if (variant := results.variant(name)) is not None:
            colours.setdefault(variant.name, colour)
    named = [results.variant(name) for verdict in report.claims for name in verdict.claim.variants]
    named += best_variants(results) if results.study.groups else []
    named += [results.variant(choice.variant) for choice in results.plan.searched]
    for variant in named:
        if variant is not None and variant.name not in colours and spare:
            colours[variant.name] = spare.pop(0)
    return colours or {variant.name: colour for variant, colour in zip(results.plan.listed, spare, strict=False)}


def best_variants(results: Results) -> list[PlannedVariant]:
    """The variants whose runs all finished, the least geometric mean first; unstable ones have no rank."""
    stable = [(results.ends(v.name).mean, v) for v in results.plan.variants if v.name not in results.unstable]
    known = [(mean, variant) for mean, variant in stable if mean is not None and np.isfinite(mean)]
    return [variant for _, variant in sorted(known, key=lambda pair: pair[0])]
