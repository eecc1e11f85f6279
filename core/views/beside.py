"""The whole picture and a window of it as channels of one image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from core.data.shown import Real
from core.grids import Cells, Pair
from core.views import Sight
from core.views.windows import Windows


class Beside:
    """See `core.config.Beside`: `whole` is the picture in as many pixels as the windows have. With `cut` real pictures
    are cut from fine images, too: not every training image is among these, and both have to be of one."""

    def __init__(self, whole: Cells, windows: Windows, *, cut: bool = False) -> None:
        self.whole, self.windows, self.cut = whole, windows, cut

    def next(self, iteration: int) -> Sight:
        """See `View`."""
        sight = self.windows.next(iteration)
        assert isinstance(sight.generated, Cells) and isinstance(sight.real, Cells)
        return Sight(Pair(self.whole, sight.generated), Pair(self.whole, sight.real))

    def of_real(self, real: Real, sight: Sight) -> Tensor:
        """See `View`."""
        assert isinstance(sight.real, Pair)
        windows = self.windows.of_real(real, Sight(real=sight.real.second))
        return torch.cat([real.seen(sight.real.first) if self.cut else real.whole, windows], dim=1)

    def state_dict(self) -> dict[str, Any]:
        """See `View`."""
        return self.windows.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `View`."""
        self.windows.load_state_dict(state)
