"""Windows of a picture: parts that are drawn anew at every iteration, for real and generated images alike."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from core import config as cfg
from core.config import GROUP
from core.data.shown import Real
from core.grids import Cells, evenly_cut, with_ends
from core.streams import stream
from core.views import FromStream, Sight


class Drawing(NamedTuple):
    """What a view draws for: `images` of `size` x `size` pixels; from which stream: of a seed, and a critic's name.

    `stored` are the pixels a side of the images that real windows are cut from, None where they are drawn.
    """

    size: int
    images: int
    seed: int
    name: str
    stored: int | None = None


class Drawn(FromStream):
    """A view that draws from a stream of its own, for each group of the minibatch's std once."""

    def __init__(self, drawing: Drawing) -> None:
        self.size, self.group = drawing.size, math.gcd(drawing.images, GROUP)
        self.groups = drawing.images // self.group
        self.random = stream(drawing.seed, f"windows {drawing.name}".strip())

    def draw(self, numbers: int) -> Tensor:
        """Uniform in [0, 1), float64 [groups, numbers]."""
        return torch.rand(self.groups, numbers, generator=self.random, dtype=torch.float64)

    def for_images(self, of_groups: Tensor) -> Tensor:
        """[groups, ...] -> [images, ...]: image i is of group i modulo the number of groups, as the std has them."""
        return of_groups.repeat(self.group, *[1] * (of_groups.ndim - 1))


class Windows(Drawn):
    """See `core.config.Patches`."""

    def __init__(self, config: cfg.Patches, coordinates: cfg.Coordinates, drawing: Drawing, *, iterations: int) -> None:
        super().__init__(drawing)
        self.config, self.coordinates, self.iterations = config, coordinates, iterations
        self.draft = config.draft or cfg.Draft()
        self.whole = round(config.whole * self.groups)
        self.places = _places_on(drawing.stored, config.scale, drawing.size)

    def next(self, iteration: int) -> Sight:
        """See `View`."""
        scale, *places = self.draw(3).T
        sides = self._scale(scale, iteration)
        generated = real = self._window(sides, places, beyond=self.draft.beyond)
        if self.draft.ends:
            generated = with_ends(generated)
        if self.config.draft is not None:
            scale, *places = (self.draw(3) if self.draft.workers is None else self._of_workers(iteration)).T
            sides = self._scale(scale, iteration)
            real = self._window(self._of_areas(sides) if self.draft.area else sides, places)
        return Sight(generated, real)

    def of_real(self, real: Real, sight: Sight) -> Tensor:
        """See `View`."""
        return real.seen(sight.real, self.draft.resampling)

    def _scale(self, uniform: Tensor, iteration: int) -> Tensor:
        match self.config.scale:
            case cfg.FixedScale(scale=scale):
                return torch.full_like(uniform, scale)
            case cfg.UniformScale(low=low):
                return low + (1 - low) * uniform
            case cfg.LogUniformScale(low=low):
                return low**uniform
            case cfg.BetaScale(low=low, start=start, end=end, until=until):
                b = start + (end - start) * min(1.0, (iteration - 1) / (until * self.iterations))
                # Beta(1, b) by its inverse distribution function.
                return low + (1 - low) * (1 - uniform ** (1 / b))

    def _of_areas(self, sides: Tensor) -> Tensor:
        # The same draw, read as a share of the area.
        return sides.sqrt()

    def _window(self, sides: Tensor, places: list[Tensor], *, beyond: bool = False) -> Cells:
        room = torch.full_like(sides, 1 - self.config.scale.least) if beyond else 1 - sides
        first = torch.arange(self.groups) < self.whole
        sides = torch.where(first, 1.0, sides)
        if self.places is not None:
            places = [(place * self.places).floor() / (self.places - 1) for place in places]
        left, upper = (torch.where(first, 0.0, place * room) for place in places)
        columns, rows = (self.for_images(evenly_cut(self.size, low, low + sides)) for low in (left, upper))
        return Cells(columns, rows, self.coordinates)

    def _of_workers(self, iteration: int) -> Tensor:
        # Every worker draws what the others do, and batches come from them in turn.
        workers = self.draft.workers or 1
        random = stream(0, f"windows of a worker, batch {(iteration - 1) // workers}")
        return torch.rand(self.groups, 3, generator=random, dtype=torch.float64)


def _places_on(stored: int | None, scale: cfg.Scale, size: int) -> int | None:
    """How many places a window has of which each pixel is a whole number of stored ones; None where it may lie
    anywhere, for it never is, or nothing is stored: means of parts of pixels are of a picture that is blurred."""
    if stored is None or not isinstance(scale, cfg.FixedScale):
        return None
    side = scale.scale * stored
    places = stored - round(side) + 1
    return places if side == round(side) and round(side) % size == 0 and places > 1 else None


class Foveated(Drawn):
    """See `core.config.Foveated`."""

    def __init__(self, config: cfg.Foveated, coordinates: cfg.Coordinates, drawing: Drawing) -> None:
        super().__init__(drawing)
        self.config, self.coordinates = config, coordinates

    def next(self, iteration: int) -> Sight:
        """See `View`."""
        columns, rows = (self.for_images(self.edges(centre)) for centre in self.draw(2).T)
        cells = Cells(columns, rows, self.coordinates)
        return Sight(cells, cells)

    def of_real(self, real: Real, sight: Sight) -> Tensor:
        """See `View`."""
        return real.seen(sight.real)

    def edges(self, centre_G: Tensor) -> Tensor:
        """Edges at equal steps of the cumulative density around each centre, float64 [G, size + 1]."""
        floor, width, centre = self.config.floor, self.config.width, centre_G[:, None]

        def below(x: Tensor) -> Tensor:
            bump = torch.erf((x - centre) / (width * math.sqrt(2))) + torch.erf(centre / (width * math.sqrt(2)))
            return floor * x + width * math.sqrt(math.pi / 2) * bump

        wanted = evenly_cut(self.size) * below(torch.ones_like(centre))
        low, high = torch.zeros_like(wanted), torch.ones_like(wanted)
        for _ in range(50):
            middle = (low + high) / 2
            left = below(middle) < wanted
            low, high = torch.where(left, middle, low), torch.where(left, high, middle)
        edges = (low + high) / 2
        edges[:, 0], edges[:, -1] = 0.0, 1.0
        return edges
