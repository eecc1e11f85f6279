"""What the studies of any resolution share: a base that is trained on whole images, finer ones of them, the scale of
two CPU cores, and how detail is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ablations.claims import Claim, Comparison, Measured
from ablations.schema import AnyScaling, Change, Multiply, Profile, Put, change, edited
from core.config import AnyConfig, Evaluation, Pool, Rooms, RoomsFrechet, Scales
from core.metrics.identity import extractor_sha256
from studies.changes_overview import EVERYTHING, QUALITY
from studies.profiles import CPU, LSUN128, R1_ELSEWHERE, UNIT_EMISSION, cpu_evaluation

PATCH, TWICE = "scales/patch_1_4", "scales/patch_1_2"
"""The distances of windows of a quarter and of half of the side, in 16 x 16 pixels, to those of true images."""

MUCH = 1.25
"""What "detail" asks for: a distance of patches below 1 / 1.25 of that without the change."""

BASE: AnyConfig = edited(
    EVERYTHING,
    {
        "data": Rooms(resolution=128),
        "fine": Pool(resolution=512, share=0.25),
        "iterations": 70_000,
        "evaluation": Evaluation(quality=QUALITY, scales=Scales(fine=512)),
    },
)
"""All ten changes, whole images alone; finer images are there, of every fourth for their size, and nobody looks at
them."""

BASE_TITLE = "all ten changes, whole images alone"

CPU_ITERATIONS, CPU_MEMORY = 1_600, 80
"""Twice those of the profile `cpu`, and twice the steps of G that its average remembers: detail comes late."""

UNTUNED = (
    "The free numbers are those that were chosen for the profile `cpu` by its rule; none was chosen again for losses "
    "on parts but the weight of a second discriminator's (docs/patch_weight.md). Forms without a second discriminator "
    "have no such weight, and nothing was chosen for them."
)


def cpu_dense(*scalings: AnyScaling, **fields: Any) -> Profile:
    """The profile `cpu` for a study of this base, with further scalings."""
    return CPU.adjusted(
        Multiply(path="penalty.weight", factor=0.0625, only="r1", why=R1_ELSEWHERE),
        Multiply(path="iterations", factor=CPU_ITERATIONS / 70_000, why="a minute per run, not a day"),
        Put(
            path="ema.decay",
            value=1 - 1 / CPU_MEMORY,
            why=f"a memory of {CPU_MEMORY} steps of G in {CPU_ITERATIONS:,} iterations, as 1,000 in 20,000",
        ),
        Put(
            path="fine",
            value=Pool(resolution=128),
            why="eight times the size, twice that of windows: how real ones are made smaller can matter",
        ),
        Put(
            path="evaluation",
            value=cpu_evaluation(RoomsFrechet(extractor=extractor_sha256()), every=160, scales=Scales()),
            why="a proxy over a network that ships with the code; windows, spectra and lines against true rooms",
        ),
        *scalings,
        **{
            "title": "the deck's numbers scaled down to two CPU cores: rooms of 16×16, detail of 64×64, "
            f"{CPU_ITERATIONS:,} iterations",
            "rule": UNTUNED,
            "piloted": (),
            **fields,
        },
    )


LSUN128_DENSE = LSUN128.adjusted(
    UNIT_EMISSION,
    Put(
        path="inr.coordinates.sampling",
        value="centres",
        why="means over pixels of two densities have their middles in common, not their corners",
    ),
    title="the deck's scale: 128×128, detail of 512×512 (of images that large), 70,000 iterations",
)

LONGER: Change = change(
    BASE,
    "longer",
    "whole images alone, twice the iterations",
    {"iterations": 140_000},
    group="form",
    reading="About the arithmetic that a second D costs.",
).replace(short="twice the iterations")


def claimed(
    name: str, expects: str, pairs: Sequence[Comparison], *, metric: str = "a distance of patches", **fields: Any
) -> Claim:
    """A claim of pairs, the first one first, that no number of the deck's is compared with: `fields` say whose it is,
    its margin, and what is to be remarked."""
    first, *also = pairs
    of_pairs = {"before": first.before, "after": first.after, "title": first.title, "reading": first.reading}
    of_deck = {"dataset": "LSUN bedroom", "iterations": None, "comparable_profile": "lsun128"}
    return Claim.model_validate(
        {"name": name, "expects": expects, **of_pairs, "also": tuple(also), "metric": metric, **of_deck, **fields}
    )


def against(title: str, after: str, *, before: str = "baseline", series: str | None = PATCH) -> Comparison:
    """One variant against another, by one measure."""
    return Comparison(
        title=title, before=Measured(variant=before, series=series), after=Measured(variant=after, series=series)
    )
