"""Which sections a study's report has, where they are not those of a study of piled-up changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from reports.bases import basis_sections
from reports.interpolations import interpolation_sections
from reports.layers import layer_sections
from reports.layers_gan import layer_gan_sections
from reports.learning_rates import learning_rate_sections
from reports.page import Block
from reports.sections import Report, all_sections
from reports.upsampling import upsampling_sections

Sections = Callable[[Report], list[Block]]

LAYOUTS: Mapping[str, Sections] = MappingProxyType(
    {
        "inr_layers": layer_sections,
        "inr_layers_gan": layer_gan_sections,
        "siren_vs_fourier": basis_sections,
        "learning_rates": learning_rate_sections,
        "upsampling": upsampling_sections,
        "weight_clipping": interpolation_sections,
    }
)


def sections_of(study: str) -> Sections:
    """What makes the blocks of this study's report."""
    return LAYOUTS.get(study, all_sections)
