"""Which sections a study's report has, and what answers its question, where they are not those of piled-up changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reports import bases, layers, layers_gan, learning_rates
from reports.abstract import change_answers
from reports.interpolations import interpolation_sections
from reports.page import Block, Text
from reports.report import Report
from reports.sections import all_sections
from reports.upsampling import upsampling_sections


@dataclass(frozen=True)
class Layout:
    """`answers` are what an abstract says besides claims, the most important first."""

    sections: Callable[[Report], list[Block]] = all_sections
    answers: Callable[[Report], list[Text]] = change_answers


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "inr_layers": Layout(layers.layer_sections, layers.answers),
        "inr_layers_gan": Layout(layers_gan.layer_gan_sections, layers_gan.answers),
        "siren_vs_fourier": Layout(bases.basis_sections, bases.answers),
        "learning_rates": Layout(learning_rates.learning_rate_sections, learning_rates.answers),
        "upsampling": Layout(upsampling_sections),
        "weight_clipping": Layout(interpolation_sections),
    }
)


def layout_of(study: str) -> Layout:
    """How this study is reported."""
    return LAYOUTS.get(study, Layout())
