"""Line continuity: whether straight edges go on from one window of an image to the next.

Each window is looked at alone: the edge in it is the line that its gradients fit best. An edge that crosses into the
next window should lie there where the line says. What is locally right and globally broken is found so, which distances
over patches do not see: they ask each window for itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WINDOW = 8
"""Pixels of a window's side; a few edges at most lie in one."""
CONTRAST = 8.0
"""8-bit levels a pixel, root mean square across the line, from which on an edge is no shading."""
COHERENCE, THICKNESS = 0.9, 1.25
"""One straight edge: how much of the gradients' power is across it at least, and their spread in pixels at most."""


@dataclass(frozen=True)
class Lines:
    """The line in each window: normal [.., 2] and middle [.., 2] as (x, y) in pixels of the image, and whether there is
    one, bool [..]."""

    normal: Tensor
    middle: Tensor
    there: Tensor

    def at(self, rows: slice, columns: slice) -> Lines:
        """Those of some windows."""
        return Lines(*(part[:, rows, columns] for part in (self.normal, self.middle, self.there)))

    def distance(self, point: Tensor) -> Tensor:
        """Of points [.., 2] from the lines, [..]."""
        return (self.normal * (point - self.middle)).sum(dim=-1).abs()


def fitted_lines(images: Tensor) -> Lines:
    """The line in each `WINDOW` of [B, 3, F, F] in 0..255; its parts are [B, F / WINDOW, F / WINDOW, ..]."""
    grey = images.double().mean(dim=1)
    windows = grey.unfold(1, WINDOW, WINDOW).unfold(2, WINDOW, WINDOW)
    # Between four pixels each, within the window alone: a seam is no edge of either side.
    across = windows.diff(dim=-1)
    down = windows.diff(dim=-2)
    gx = (across[..., 1:, :] + across[..., :-1, :]).flatten(-2) / 2
    gy = (down[..., :, 1:] + down[..., :, :-1]).flatten(-2) / 2
    xx, yy, xy = ((a * b).mean(dim=-1) for a, b in ((gx, gx), (gy, gy), (gx, gy)))
    # Structure tensor: its larger eigenvalue is the power across the line.
    split = torch.hypot((xx - yy) / 2, xy)
    larger, total = (xx + yy) / 2 + split, xx + yy
    angle = torch.atan2(xy, (xx - yy) / 2) / 2
    normal = torch.stack([angle.cos(), angle.sin()], dim=-1)

    line = torch.arange(1, WINDOW, dtype=torch.float64, device=images.device)
    y, x = (part.flatten() for part in torch.meshgrid(line, line, indexing="ij"))
    weight = (gx * normal[..., :1] + gy * normal[..., 1:]).square()
    weight = weight / weight.sum(dim=-1, keepdim=True).clamp(min=1e-12)
    middle = torch.stack([(weight * x).sum(dim=-1), (weight * y).sum(dim=-1)], dim=-1)
    off = normal[..., :1] * (x - middle[..., :1]) + normal[..., 1:] * (y - middle[..., 1:])
    thickness = (weight * off.square()).sum(dim=-1).sqrt()

    there = (larger >= CONTRAST**2) & (2 * split >= COHERENCE * total) & (thickness <= THICKNESS)
    start = WINDOW * torch.arange(windows.shape[1], dtype=torch.float64, device=images.device)
    corner = torch.stack(torch.meshgrid(start, start, indexing="xy"), dim=-1)
    return Lines(normal, middle + corner, there)


def residuals(images: Tensor) -> Tensor:
    """How far lines of neighbouring windows miss each other, float64 [pairs], in pixels, `WINDOW` at most.

    Of pairs that both have a line, where one of the two leads into the other window; the mean distance of each line's
    middle from the other line.
    """
    lines = fitted_lines(images)
    found = []
    everywhere = slice(None)
    for one, other, axis in (
        (lines.at(everywhere, slice(-1)), lines.at(everywhere, slice(1, None)), 0),
        (lines.at(slice(-1), everywhere), lines.at(slice(1, None), everywhere), 1),
    ):
        border = (other.middle[..., axis] / WINDOW).floor() * WINDOW
        leads = _crosses(one, axis, border) | _crosses(other, axis, border)
        pairs = one.there & other.there & leads
        missed = (one.distance(other.middle) + other.distance(one.middle)) / 2
        found.append(missed[pairs])
    return torch.cat(found).clamp(max=WINDOW)


def line_distance(fake: Tensor, real: Tensor) -> float:
    """Wasserstein-1 distance of two sets of `residuals`, in pixels; `WINDOW`, the most, where one of them is empty."""
    if not len(fake) or not len(real):
        return float(WINDOW)
    # The area between the two distribution functions. SciPy's, without the second that its import takes.
    steps = torch.cat([fake, real]).sort().values
    below = [torch.searchsorted(side.sort().values, steps[:-1], right=True) / len(side) for side in (fake, real)]
    return float(((below[0] - below[1]).abs() * steps.diff()).sum())


def _crosses(lines: Lines, axis: int, border: Tensor) -> Tensor:
    """Whether lines meet the border at x (axis 0) or y = `border` within the side of their own window."""
    along = 1 - axis
    normal, middle = lines.normal, lines.middle
    place = middle[..., along] + normal[..., axis] * (middle[..., axis] - border) / normal[..., along]
    side = (middle[..., along] / WINDOW).floor() * WINDOW
    # A line along the border divides by zero, and crosses nothing.
    return (place >= side) & (place <= side + WINDOW)
