"""The rows of the slide "Size/quality tradeoff for INR architecture" as alternatives to its first, Linear.

Source: Ivan Skorokhodov, "Meta Generation", August 31, 2020 (`meta_generation_2020-08-31.txt` beside this file).
"""

from __future__ import annotations

from typing import assert_never

from ablations.claims import Source
from ablations.schema import Change, Edit
from core.config import AdaIN, DeckLayer, Factorized, FactorizedSE, Linear, MFiLM, Node, SELinear

SLIDE = "Size/quality tradeoff for INR architecture"
LINEAR_MAE = 0.047


class Row(Node):
    """A layer with its words in the slide's table and the MAE on 50 images given there; both are None for another
    reading of a row."""

    name: str
    title: str
    quote: str | None = None
    mae: float | None = None
    layer: DeckLayer
    reading: str | None = None
    original: str | None = None
    """The row that this is another reading of."""

    def change(self) -> Change:
        """This layer in Linear's place."""
        return Change(
            name=self.name,
            title=self.title,
            source=Source(slide=SLIDE, quote=self.quote) if self.quote else None,
            group="layer",
            edits=(Edit(path="inr.layer", before=Linear(), after=self.layer),),
            reading=self.reading,
        )


def emitted_numbers(layer: DeckLayer, inputs: int, outputs: int) -> int:
    """Numbers emitted per image for one such layer; for n x n the slide's formulas."""
    match layer:
        case Linear() | SELinear():
            return inputs * outputs + outputs
        case MFiLM():
            return 3 * outputs
        case Factorized(rank=rank) | FactorizedSE(rank=rank):
            return rank * (inputs + outputs) + outputs
        case AdaIN():
            return 2 * outputs
        case _:
            assert_never(layer)


ROWS: tuple[Row, ...] = (
    Row(name="linear", title="Linear", quote="Linear 0.047 $n^2 + n$", mae=LINEAR_MAE, layer=Linear()),
    Row(
        name="se_linear",
        title="SELinear",
        quote="SELinear 0.050 $n^2 + n$",
        mae=0.050,
        layer=SELinear(),
        reading="Emitted numbers are multiplied by the weight's std before the sigmoid, as in the public code.",
    ),
    Row(
        name="mfilm",
        title="mFiLM",
        quote="mFiLM 0.914 $3n$",
        mae=0.914,
        layer=MFiLM(),
        reading="In no public code: GAN memory's formula, every output's weights normalised, scale and shift raw.",
    ),
    Row(
        name="mfilm_no_norm",
        title="mFiLM −norm",
        quote="mFiLM -norm 0.656 $3n$",
        mae=0.656,
        layer=MFiLM(normalise=False),
        reading="In no public code: the same without the normalisation, the shift in units of the weight's std.",
    ),
    Row(
        name="mfilm_scale",
        title="mFiLM −norm +scale",
        quote="mFiLM -norm +scale 0.089 $3n$",
        mae=0.089,
        layer=MFiLM(normalise=False, scale=True),
        reading="The one mFiLM of the public code: scale 1 + p / 10, shift and bias a tenth.",
    ),
    Row(
        name="factorized",
        title="Factorized",
        quote="Factorized ($r = 10$) 0.285 $2nr + n$",
        mae=0.285,
        layer=Factorized(),
        reading="No 1 / sqrt(r), as in the public code.",
    ),
    Row(
        name="factorized_se",
        title="FactorizedSE",
        quote="FactorizedSE ($r = 10$) 0.059 $2nr + n$",
        mae=0.059,
        layer=FactorizedSE(),
        reading="No 1 / sqrt(r) inside the sigmoid, as in the public code.",
    ),
    Row(
        name="adain",
        title="AdaIN",
        quote="AdaIN 0.089 $2n$",
        mae=0.089,
        layer=AdaIN(),
        reading="The public code's: nothing is normalised, a bounded scale and a shift of the outputs.",
    ),
)
"""In the slide's order."""


READINGS: tuple[Row, ...] = (
    Row(
        name="se_linear_unscaled",
        original="se_linear",
        title="SELinear, p unscaled",
        layer=SELinear(scale_inside=False),
        reading="The other reading: the sigmoid sees the emitted numbers as they are.",
    ),
    Row(
        name="factorized_root",
        original="factorized",
        title="Factorized / √r",
        layer=Factorized(root_rank=True),
        reading="The other reading: the product divided by sqrt(r), as in the author's code of 2021.",
    ),
    Row(
        name="factorized_se_root",
        original="factorized_se",
        title="FactorizedSE / √r",
        layer=FactorizedSE(root_rank=True),
        reading="The other reading: the product divided by sqrt(r), as in the author's code of 2021.",
    ),
)
"""Where the slide leaves room: its rows, read otherwise."""

LAYERS: tuple[Change, ...] = tuple(row.change() for row in ROWS if row.name != "linear")
"""The slide's other seven rows as changes."""

OTHER_READINGS: tuple[Change, ...] = tuple(row.change() for row in READINGS)

UNIT_INIT = Change(
    name="unit_init",
    title="unit init",
    source=None,
    group="init",
    edits=(Edit(path="inr.init", before="deck", after="unit"),),
    reading="Not the deck's: every layer starts with pre-activations of mean square 1, by a constant that is measured "
    "once and stays. It separates a parametrization from the size its numbers happen to start with; it also scales "
    "what a step of the optimiser does to the layer's weights.",
)
