"""Names that become paths, addresses, arguments and identifiers, whichever file they come from: what each kind of them
looks like, said once. Words for people, as titles, are free text and no names."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

MOST = 80
"""Letters of a declared name: a file is called after a study and a setting together, with what is behind them."""

MOST_SETTING, MOST_VARIANT, MOST_SERIES = 100, 4000, 200

_DECLARED = "[a-z][a-z0-9_]*"

NAME = rf"^{_DECLARED}$"
VARIANT = rf"^{_DECLARED}((\+|-|\.\.){_DECLARED})*(@[0-9]+)?$"
"""As `ablations.designs` and what tries each variant at several rates call them: all-x, baseline..x, baseline+x@3."""
SETTING = r"^[a-z0-9][a-z0-9_]*(-[a-z0-9_]+)*$"
"""Profile, protocol, hash of overrides and data, and what was tuned: cpu-deck-2020-1f2e3d4c-retuned8."""
SERIES = r"^[a-z][a-z0-9_]*(/[a-z0-9_]+)*$"
DIGEST = r"^[0-9a-f]{16}$"
WORKER = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
"""As launchers call them: 1f2e3d4c-7, inline-1f2e3d4c, slurm-1234_0.2."""
MODULE = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
FINGERPRINT = r"^([0-9a-f]{12})?$"

Name = Annotated[str, Field(pattern=NAME, max_length=MOST)]
"""Of a study, a change, a profile, a search: what people declare."""
ModuleName = Annotated[str, Field(pattern=MODULE, max_length=MOST_SERIES)]
"""Of a module, with its packages."""
VariantName = Annotated[str, Field(pattern=VARIANT, max_length=MOST_VARIANT)]
SettingName = Annotated[str, Field(pattern=SETTING, max_length=MOST_SETTING)]
SeriesName = Annotated[str, Field(pattern=SERIES, max_length=MOST_SERIES)]
"""Of a series of measurements: fd_rooms/kid."""
Fingerprint = Annotated[str, Field(pattern=FINGERPRINT)]
"""Of a protocol; empty where none was recorded."""
Digest = Annotated[str, Field(pattern=DIGEST)]
"""Of a job: the name of its run folder."""


def fits(pattern: str, text: str) -> bool:
    """Whether a text is a name of that kind."""
    # Not match: Python's `$` lets a line break pass behind the end.
    return re.fullmatch(pattern, text) is not None
