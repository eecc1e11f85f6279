"""Fine detail of the rooms' surfaces, of known spectrum: what renderer 2 adds to renderer 1.

A surface's colour is multiplied by 1 + d, where d is a sum of six octaves of noise over the surface in metres,

    d(u, v) = gain * sum_k noise_k(u / spacing_k, v / spacing_k),    spacing_k = 32 mm / 2^k, k = 0..5,

so it is seen in perspective, and is the same function at any density of pixels: what is finer than a pixel is averaged
by the points within. An octave interpolates linearly between random values on a lattice, high-passed. Its power at f, g
cycles per spacing is proportional to (1 - cos^2(pi f) cos^2(pi g))^2 sinc^4(f) sinc^4(g): greatest at waves of 2.6
spacings, half of that at 1.9 and 4.3; 63% of all lies at 2 to 4 spacings, 92% at 1 to 4. Its mean over a period (256
spacings) is zero. The octaves have equal power and cover waves of 2 mm to 128 mm: a surface has as much contrast in a
patch of 16 pixels of a large picture as in one of a small picture, and a picture of 16 pixels shows next to none.

texture        of                                                      gain   lattice
PLASTER        walls, ceiling                                          0.011  square
WOOD, BOARDS   furniture, frame of the picture; floor                  0.035  8 times longer along the grain, which runs
                                                                              upwards, or away from the camera
WEAVE          bedding, rug, curtains, canvas, lampshade               0.030  4 times longer, by turns along u and v

The variance of an octave is gain^2 / 3, that of d six times as much: its standard deviation is 1.6%, 4.9% and 4.2%.
Only IEEE-exact operations are used, as in `core.data.rooms`. Change anything here, and `Rooms.renderer` needs a new
number.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.splitmix import splitmix64, uniform

Floats = NDArray[Any]

OCTAVES = 6
COARSEST = 0.032
"""Lattice spacing of the first octave in metres; each further one has half."""

SMOOTH, PLASTER, WOOD, BOARDS, WEAVE = range(5)
"""Textures that a material can have."""

GAINS = (0.0, 0.011, 0.035, 0.035, 0.03)
"""Of each texture."""

_LONGER = {WOOD: 8.0, BOARDS: 8.0, WEAVE: 4.0}
_SIDE = 256
_BOARD = 0.45
_FIRST_COUNTER = 1 << 32  # The factors have the counters below.


def offsets(key_N: NDArray[np.uint64]) -> Floats:
    """Where each scene's octaves begin on the lattice, in spacings, float32 [2, OCTAVES, N]."""
    counters = np.arange(_FIRST_COUNTER, _FIRST_COUNTER + 2 * OCTAVES, dtype=np.uint64)
    return (uniform(key_N, counters) * _SIDE).astype(np.float32).reshape(2, OCTAVES, -1)


@cache
def lattice() -> NDArray[np.float64]:
    """The values that every octave interpolates, [256, 256], periodic; their mean is 0, their variance 1.

    Whole numbers in [-128, 128) less the mean of the 3 x 3 around, weighted 1 2 1 each way: sums that are exact.
    """
    drawn = splitmix64(np.arange(_SIDE * _SIDE, dtype=np.uint64) + np.uint64(7 << 40)) >> np.uint64(56)
    value = drawn.astype(np.int64).reshape(_SIDE, _SIDE) - 128
    around = value
    for axis in (0, 1):
        around = np.roll(around, 1, axis) + 2 * around + np.roll(around, -1, axis)
    passed = (16 * value - around).astype(np.float64)
    return np.asarray(passed / np.sqrt((passed * passed).mean()))


@cache
def _tables() -> tuple[Floats, Floats, Floats, Floats]:
    """Of each cell of the lattice its value and differences: noise = a + b u + v (c + d u), u and v in [0, 1)."""
    a = lattice()
    right, below, across = np.roll(a, -1, 1), np.roll(a, -1, 0), np.roll(a, (-1, -1), (0, 1))
    parts = a, right - a, below - a, across - right - below + a
    value, along, down, both = (part.astype(np.float32).ravel() for part in parts)
    return value, along, down, both


def detail(
    texture: NDArray[np.uint8], axis: NDArray[np.uint8], point: tuple[Floats, Floats, Floats], offsets_2KN: Floats
) -> Floats:
    """1 + d, float32 [N, H, W].

    `texture` and `axis` of the normal (1 x, 2 y, 3 z) are [N, H, W], the `point` x, y, z of the surface in metres.
    """
    x, y, z = point
    u = np.where(axis == 1, z, x)
    v = np.where(axis == 2, z, y)
    # Neighbouring boards are of different trees.
    v = v + (texture == BOARDS) * np.floor(x * np.float32(1 / _BOARD)) * np.float32(5.37)
    scale_u, scale_v = _scales()
    at = texture.astype(np.intp)
    # By turns: even octaves, odd ones.
    turns = [(u * scale_u[odd].take(at), v * scale_v[odd].take(at)) for odd in (0, 1)]
    total = np.zeros_like(u)
    for k in range(OCTAVES):
        finer = np.float32(2**k)
        p, q = (line * finer + begin[k, :, None, None] for line, begin in zip(turns[k % 2], offsets_2KN, strict=True))
        noise = _noise(p, q)
        total += noise
    total *= np.array(GAINS, np.float32).take(at)
    total += 1
    return total


@cache
def _scales() -> tuple[Floats, Floats]:
    """Spacings of the first octave per metre for [even or odd octaves, texture], along u and along v."""
    u, v = (np.full((2, len(GAINS)), 1 / COARSEST) for _ in range(2))
    for texture, longer in _LONGER.items():
        v[0, texture] /= longer
        (u if texture == WEAVE else v)[1, texture] /= longer
    return u.astype(np.float32), v.astype(np.float32)


def _noise(u: Floats, v: Floats) -> Floats:
    """The lattice between its points, float32, at `u` and `v` in spacings; overwrites both."""
    left, top = np.floor(u), np.floor(v)
    u -= left
    v -= top
    at = top.astype(np.intp)
    at &= _SIDE - 1
    at *= _SIDE
    column = left.astype(np.intp)
    column &= _SIDE - 1
    at += column
    value, along, down, both = _tables()
    out = both.take(at)
    out *= u
    out += down.take(at)
    out *= v
    out += value.take(at)
    u *= along.take(at)
    out += u
    return out
