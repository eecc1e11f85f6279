"""What an INR reads of a grid where points alone do not do: the sides of what they stand for, and coarser grids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

EVEN = 1e-6
"""Widths are equal within this share of them, and a middle is on an edge: positions come from divisions."""


class Repeat(torch.autograd.Function):
    """[B, p, C] -> [B, P, C], the coarse point that each point lies in. Gradients are summed in a fixed order, which
    torch's own do not keep on a GPU: an interrupted job has to end as an undisturbed one."""

    @staticmethod
    def forward(ctx: Any, x_BpC: Tensor, of_P: Tensor, members_pM: Tensor, filled_pM: Tensor | None) -> Tensor:
        ctx.members, ctx.filled = members_pM, filled_pM
        return _taken(x_BpC, of_P)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BPC: Tensor) -> tuple[Tensor, None, None, None]:
        members, filled = ctx.members, ctx.filled
        theirs = _taken(gradient_BPC, members.flatten(-2)).unflatten(1, members.shape[-2:])
        if filled is not None:
            theirs = theirs * filled.unsqueeze(-1)
        return theirs.sum(dim=2), None, None, None


class Level(nn.Module):
    """Points of one grid, [P, I], or [B, P, I] where each sample has its own.

    `sides` are of what each stands for, shaped alike, None for points. `of` [P] or [B, P] is the point of the coarser
    level, which has `coarser` points, that each lies in; None for the coarsest.
    """

    points: Tensor
    sides: Tensor | None
    of: Tensor | None

    def __init__(self, points: Tensor, sides: Tensor | None, of: Tensor | None = None, coarser: int = 0) -> None:
        super().__init__()
        if sides is not None and _alike(sides):
            # One factor for all points of an image instead of one for each.
            sides = sides[..., :1, :]
        members, filled = (None, None) if of is None else members_of(of, coarser)
        parts = {"points": points, "sides": sides, "of": of, "members": members, "filled": filled}
        for name, tensor in parts.items():
            self.register_buffer(name, tensor, persistent=False)

    def repeated(self, x_BpC: Tensor) -> Tensor:
        """Features at the points of the coarser level for these, [B, P, C]."""
        repeated: Tensor = Repeat.apply(x_BpC, self.of, self.members, self.filled)
        return repeated


class Places(nn.Module):
    """The levels of a grid; an INR with one grid has one."""

    def __init__(self, levels: Iterable[Level]) -> None:
        super().__init__()
        self.held = nn.ModuleList(levels)

    @property
    def levels(self) -> list[Level]:
        """The coarsest first."""
        return cast("list[Level]", list(self.held))

    @property
    def finest(self) -> Level:
        """The level of the grid itself."""
        return self.levels[-1]

    @property
    def device(self) -> torch.device:
        """Where the points are."""
        return self.finest.points.device

    def __len__(self) -> int:
        return self.finest.points.shape[-2]

    def __getitem__(self, chosen: Tensor) -> Places:
        """These points of the finest level, and those of coarser ones that they lie in."""
        levels: list[Level] = []
        for level in reversed(self.levels):
            sides = level.sides if level.sides is None or level.sides.shape[-2] == 1 else level.sides[..., chosen, :]
            points, of, coarser = level.points[..., chosen, :], None, 0
            if level.of is not None:
                chosen, of = level.of[chosen].unique(return_inverse=True)
                coarser = len(chosen)
            levels.insert(0, Level(points, sides, of, coarser))
        return Places(levels)


Where = Tensor | Places
"""Points alone, [P, I] or [B, P, I], where nothing else is read."""


def members_of(of: Tensor, count: int) -> tuple[Tensor, Tensor | None]:
    """The points that lie in each of `count` coarser ones, [count, M] or [B, count, M], and which of these there are,
    None for all."""
    order = of.argsort(dim=-1, stable=True)
    numbers = torch.arange(count, device=of.device).expand(*of.shape[:-1], count).contiguous()
    in_order = of.gather(-1, order)
    starts, ends = (torch.searchsorted(in_order, numbers, right=right) for right in (False, True))
    places = starts.unsqueeze(-1) + torch.arange(int((ends - starts).max()), device=of.device)
    filled = places < ends.unsqueeze(-1)
    members = order.gather(-1, places.clamp(max=of.shape[-1] - 1).flatten(-2)).unflatten(-1, places.shape[-2:])
    return members, None if bool(filled.all()) else filled


def coarser(edges: Tensor, side: Tensor | float) -> tuple[Tensor, Tensor]:
    """The cells of this side, counted from the picture's edge, that cells with these edges lie in by their middles.

    Of edges [W + 1] or [B, W + 1] in units of the picture: edges [.., w + 1], and for each cell which one, [.., W]. A
    middle on an edge is of the cell to its right; the last cell may reach beyond the picture. A part of a picture has
    so the coarse cells that the whole has.
    """
    middles = (edges[..., 1:] + edges[..., :-1]) / 2
    numbers = (middles / side + EVEN).floor()
    first = numbers.amin(dim=-1, keepdim=True)
    of = (numbers - first).long()
    steps = torch.arange(int(of.max()) + 2, dtype=edges.dtype)
    return (first + steps) * side, of


def merged(edges: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The same where cells are of different widths: `count` neighbours each, counted from the first."""
    cells = edges.shape[-1] - 1
    kept = torch.cat([edges[..., :-1][..., ::count], edges[..., -1:]], dim=-1)
    return kept, torch.arange(cells) // count


def even_side(edges: Tensor) -> Tensor | None:
    """The one width of all cells, [1] or [B, 1]; None where they differ."""
    widths = edges.diff(dim=-1)
    mean = widths.mean(dim=-1, keepdim=True)
    return mean if bool(((widths - mean).abs() <= EVEN * mean).all()) else None


def crossed(columns_of: Tensor, rows_of: Tensor, columns: int) -> Tensor:
    """The number of the point, of so many in a row, in every pair of a column [.., W] and a row [.., H]: [.., H W]."""
    return (rows_of.unsqueeze(-1) * columns + columns_of.unsqueeze(-2)).flatten(-2)


def _taken(x_BpC: Tensor, of: Tensor) -> Tensor:
    if of.ndim == 1:
        return x_BpC.index_select(1, of)
    return x_BpC.gather(1, of.unsqueeze(-1).expand(-1, -1, x_BpC.shape[-1]))


def _alike(sides: Tensor) -> bool:
    return bool(((sides - sides[..., :1, :]).abs() <= EVEN * sides[..., :1, :]).all())
