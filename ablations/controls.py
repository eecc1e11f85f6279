"""Control arms: a variant trained for longer, so that something else than iterations is equal in a comparison.

Where a change alters how much is computed in an iteration, equal iterations are unequal in something else. Reading the
costlier arm earlier makes that equal at the cheaper arm's end; a control makes it equal at the costlier one's.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.config import AnyConfig, Node
from core.names import Name

Equal = Literal["updates of G", "real images"]


class Control(Node):
    """The variant `of`, trained `times` as many iterations and evaluated as many times as before.

    Beside `against` it answers for `change` at equal `equal`. Both are names of variants that designs or claims of the
    study have.
    """

    name: Name
    title: str
    change: Name
    of: str
    against: str
    equal: Equal
    times: int = Field(ge=2)

    def applied(self, config: AnyConfig) -> AnyConfig:
        """The config of `of`, as it is planned, for longer."""
        every = config.evaluation.every * self.times
        evaluation = config.evaluation.replace(every=every)
        return config.replace(iterations=config.iterations * self.times, evaluation=evaluation)
