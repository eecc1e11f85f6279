"""The slide "Q: FourierINR vs SIREN": which one, and why does the factor 30 matter?"""

from ablations.answers import Line, NumberAnswer
from ablations.claims import Source
from ablations.schema import Change, Edit, Study
from core.config import Basis, Fourier, Siren
from studies import changes_overview
from studies.profiles import CPU_SCALES_FREE, LSUN64, UNIT_EMISSION

SLIDE = "Q: FourierINR vs SIREN"
OFFICIAL_SCALE = 30 / (2 * 3**0.5)
"""Std of 30 U(-1/2, 1/2), the first layer of the official SIREN for two coordinates."""
SCALES = (1.0, 2.0, 4.0, OFFICIAL_SCALE, 30.0, 100.0)
"""Of both kinds alike, from the deck's SIREN to the deck's Fourier layer."""


def said(quote: str) -> Source:
    """These words of the slide."""
    return Source(slide=SLIDE, quote=quote)


def basis(name: str, title: str, after: Basis, source: Source | None, reading: str | None = None) -> Change:
    """Another first layer and activation than the deck's SIREN."""
    edits = (Edit(path="inr.basis", before=Siren(), after=after),)
    return Change(name=name, title=title, source=source, group="basis", edits=edits, reading=reading)


def named(scale: float) -> str:
    """A scale as a part of a change's name."""
    return "official" if scale == OFFICIAL_SCALE else f"{scale:g}"


def siren(scale: float) -> Change:
    """A SIREN of another scale than the deck's."""
    if scale == OFFICIAL_SCALE:
        reading = (
            "Sitzmann et al. 2020: first-layer weights 30 U(−1/2, 1/2), std 8.66; hidden ones keep sqrt(2 / n) after "
            "their own factor 30. Emitted numbers are normal, so the distribution is, too."
        )
        return basis("siren_official", "SIREN, official init", Siren(scale=scale), None, reading)
    return basis(f"siren_{named(scale)}", f"SIREN, σ = {scale:g}", Siren(scale=scale), None)


DECK_SIGMA = said(r"Initialize the first layer with $\sigma \sim 100$.")

STUDY = Study(
    name="siren_vs_fourier",
    title="SIREN or Fourier?",
    question="Which first layer serves INR-GAN better, at which scale, and why does SIREN's factor 30 matter?",
    source=said("Why? Do we suffer from small gradients when we use $\\sin(x)$?"),
    report="siren_vs_fourier",
    # All changes but those of the basis and of the layer: with Linear layers every number of a SIREN is emitted.
    base=changes_overview.STUDY.folded(
        change.name for change in changes_overview.STUDY.changes if change.name not in ("fourier_inr", "factorized_se")
    ),
    base_title="SIREN, the deck's init",
    changes=(
        *(siren(scale) for scale in SCALES[1:]),
        *(
            basis(
                f"fourier_{named(scale)}",
                f"Fourier, σ = {scale:.3g}",
                Fourier(scale=scale),
                DECK_SIGMA if scale == 100 else None,
            )
            for scale in SCALES
        ),
        Change(
            name="no_factor",
            title="SIREN, factor 1, not 30",
            source=None,
            group="basis",
            edits=(Edit(path="inr.basis.factor", before=30.0, after=1.0),),
            reading="The opposite of the slide's “use σ₁ = σ/30 and multiply the activations by 30 afterwards”: "
            "weights of std σ, no multiplication, the same function at first.",
        ),
        Change(
            name="shared_coordinates",
            title="shared coordinate layer",
            source=None,
            group="coordinates",
            edits=(Edit(path="inr.coordinates.layer", before="generated", after="shared"),),
            reading="Not the deck's: one coordinate layer for all images, trained like any weight.",
        ),
    ),
    designs=("grid",),
    more_designs=("add_one_in",),
    answer=NumberAnswer(
        path="inr.basis.scale",
        title="scale of the first layer's weights",
        lines=(
            Line(title="SIREN", variants=("baseline", *(f"baseline+siren_{named(scale)}" for scale in SCALES[1:]))),
            Line(title="Fourier features", variants=tuple(f"baseline+fourier_{named(scale)}" for scale in SCALES)),
        ),
        panels="coordinates",
        base_panel="coordinate layer generated",
        pictured=("baseline", "baseline+fourier_1", "baseline+fourier_100"),
    ),
    profiles=(CPU_SCALES_FREE, LSUN64.adjusted(UNIT_EMISSION)),
)
