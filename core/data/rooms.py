"""Procedural rooms: a bedroom as a continuous function of the image coordinates, a stand-in for LSUN bedrooms.

One-point perspective, metres, camera at the origin looking along +z, x to the right, y up. A room is five planes with a
curtained window, a picture, a rug, a bed (mattress, folded sheet, pillow, headboard), a bedside table with a lamp, a
wardrobe and a ceiling lamp; it is lit by the sky through the window, by sun patches and by the two lamps, with ambient
occlusion in corners and around furniture. Because no plane is oblique to the view, every ray-slab test splits into a
function of the column and one of the row, which is what makes the renderer fast.

Every scene has its own counter-based random numbers, splitmix64(seed, index, factor): any image can be rendered alone,
in any order, at any resolution. Pixels are computed with IEEE-exact operations only (+ - * / sqrt min max, float32, no
exp, sin or matrix product), so the bytes depend neither on chunking or threads nor on the machine's maths library.
Two versions are here, 1 and, with the fine detail of `core.data.texture`, 2; `core.data.room_cells` renders parts of
pictures and pictures that are not square. What would change a pixel of either makes a further version: `RENDERERS` and
`core.config.Rooms.renderer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data import texture
from core.data.splitmix import keys, uniform

RENDERER = 1
"""Version of the scene function where nothing else is said, as in `core.config.Rooms.renderer`."""

RENDERERS = (1, 2)
"""All versions, part of every cache key: 2 is 1 with the fine detail of `core.data.texture`."""

Floats = NDArray[Any]
"""float32 throughout; NumPy's stubs would have a Python float make it float64."""

RANGES: dict[str, tuple[float, float]] = {
    # camera and walls; metres, except zoom (tangent of half the field of view) and fractions of half an image
    "zoom": (0.50, 0.90),
    "vanishing_x": (-0.35, 0.35),
    "vanishing_y": (-0.15, 0.30),
    "room_width": (3.0, 4.8),
    "room_height": (2.3, 3.1),
    "room_depth": (3.9, 6.2),
    "camera_across": (0.35, 0.65),
    "camera_height": (1.1, 1.7),
    # colours are (value, warmth, tint): rgb = value * (1 + warmth, 1 + tint, 1 - warmth)
    "wall_value": (0.35, 0.90),
    "wall_warmth": (-0.30, 0.40),
    "wall_tint": (-0.16, 0.16),
    "accent_value": (-0.25, 0.20),
    "accent_warmth": (-0.30, 0.30),
    "floor_value": (0.20, 0.75),
    "floor_warmth": (-0.05, 0.50),
    "floor_planks": (0.00, 0.30),
    "ceiling_value": (0.65, 1.00),
    # window: wall is 0..1 left, 1..2 back, 2..3 right; position is a fraction of the free span of its wall
    "window_wall": (0.0, 3.0),
    "window_position": (0.0, 1.0),
    "window_width": (0.9, 2.1),
    "window_height": (0.9, 1.6),
    "window_frame": (0.15, 1.00),
    "sky_value": (0.45, 1.20),
    "sky_warmth": (-0.40, 0.30),
    "horizon": (0.05, 0.60),
    "ground_value": (0.10, 0.50),
    "ground_tint": (0.00, 0.40),
    "curtain_width": (-0.15, 0.50),
    "curtain_value": (0.25, 0.95),
    "curtain_warmth": (-0.40, 0.40),
    # bed: wall as the window's
    "bed_wall": (0.0, 3.0),
    "bed_position": (0.0, 1.0),
    "bed_width": (1.0, 2.0),
    "bed_height": (0.40, 0.70),
    "blanket_value": (0.20, 0.90),
    "blanket_warmth": (-0.50, 0.50),
    "blanket_tint": (-0.30, 0.30),
    "sheet_fold": (0.30, 1.10),
    "pillow_width": (0.35, 0.90),
    "headboard_height": (0.20, 0.85),
    "wood_value": (0.12, 0.70),
    "wood_warmth": (0.05, 0.50),
    "table_side": (-1.0, 1.0),
    "table_height": (0.35, 0.70),
    "wardrobe_side": (-1.0, 1.0),
    "wardrobe_width": (-0.8, 1.4),
    # picture and rug
    "picture_position": (0.0, 1.0),
    "picture_width": (0.4, 1.5),
    "picture_height": (0.35, 0.85),
    "picture_value": (0.10, 0.90),
    "picture_warmth": (-0.50, 0.50),
    "rug_size": (-0.4, 1.0),
    "rug_value": (0.15, 0.90),
    "rug_warmth": (-0.40, 0.50),
    # light; powers relative to the sky's
    "ambient": (0.20, 0.60),
    "sky_power": (0.20, 1.80),
    "sun_power": (-0.8, 1.2),
    "sun_height": (0.35, 1.10),
    "lamp_power": (0.00, 1.30),
    "table_lamp_power": (-0.5, 0.8),
}
"""Name and range of every scene factor; each is uniform in its range and independent of the others. A size or power
whose range starts below zero is absent where it is drawn negative."""

FACTOR_NAMES = tuple(RANGES)

_TRAIN_FIRST, _HELD_OUT_FIRST, _EXTRACTOR_FIRST = 0, 1 << 32, 2 << 32


def train_indices(count: int) -> NDArray[np.uint64]:
    """Indices of the scenes a discriminator is trained on."""
    return np.arange(_TRAIN_FIRST, _TRAIN_FIRST + count, dtype=np.uint64)


def held_out_indices(count: int) -> NDArray[np.uint64]:
    """Indices of the metric's real set: the same scenes whatever the number of training scenes."""
    return np.arange(_HELD_OUT_FIRST, _HELD_OUT_FIRST + count, dtype=np.uint64)


def extractor_indices(count: int) -> NDArray[np.uint64]:
    """Indices of the scenes the metric's feature extractor is trained on: neither training nor held-out scenes."""
    return np.arange(_EXTRACTOR_FIRST, _EXTRACTOR_FIRST + count, dtype=np.uint64)


# --- random numbers ---------------------------------------------------------------------------------------------------


def factors(seed: int, indices: NDArray[np.integer]) -> dict[str, Floats]:
    """The factors of the scenes `indices` of `seed`: name -> float32 [N], within `RANGES[name]`."""
    uniform_FN = uniform(keys(seed, indices), np.arange(len(RANGES), dtype=np.uint64))
    low_F, high_F = np.array(list(RANGES.values())).T
    drawn_FN = (low_F[:, None] + (high_F - low_F)[:, None] * uniform_FN).astype(np.float32)
    return dict(zip(RANGES, drawn_FN, strict=True))


# --- layout: from factors to metres -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Span:
    """An interval per scene, [N]."""

    low: Floats
    high: Floats

    def inside(self, x: Floats) -> NDArray[np.bool_]:
        return (x > _column(self.low)) & (x < _column(self.high))

    def grown(self, by: Floats | float) -> _Span:
        return _Span(self.low - by, self.high + by)


@dataclass(frozen=True)
class _Box:
    x: _Span
    y: _Span
    z: _Span


def _column(values: Floats) -> Floats:
    """[N] -> [N, 1, 1], to broadcast over the image."""
    return values.reshape(-1, 1, 1)


def _colour(value: Floats, warmth: Floats | float = 0.0, tint: Floats | float = 0.0) -> Floats:
    """Albedo [3, N] in [0.02, 1] from (value, warmth, tint)."""
    rgb = np.stack([value * (1 + warmth), value * (1 + tint), value * (1 - warmth)])
    return np.clip(rgb, 0.02, 1.0).astype(np.float32)


def _placed(position: Floats, size: Floats, low: Floats, high: Floats) -> _Span:
    """An interval of `size` whose place between `low` and `high` is the fraction `position`."""
    start = low + position * np.maximum(high - low - size, 0)
    return _Span(start, start + np.minimum(size, high - low))


def _choose(wall: Floats, left: Floats | float, back: Floats | float, right: Floats | float) -> Floats:
    """Per scene the value for its wall: 0..1 left, 1..2 back, 2..3 right."""
    return np.where(wall < 1, left, np.where(wall < 2, back, right)).astype(np.float32)


class _Layout:
    """All lengths of N scenes, each an array [N] in metres."""

    def __init__(self, f: dict[str, Floats]) -> None:
        self.left = -f["camera_across"] * f["room_width"]
        self.right = self.left + f["room_width"]
        self.floor = -f["camera_height"]
        self.ceiling = f["room_height"] - f["camera_height"]
        self.depth = f["room_depth"]

        # The part of a side wall nearer than this is outside the picture.
        near_left = np.minimum(-self.left / (f["zoom"] * (1 + f["vanishing_x"])), 0.7 * self.depth)
        near_right = np.minimum(self.right / (f["zoom"] * (1 - f["vanishing_x"])), 0.7 * self.depth)

        wall = f["window_wall"]
        self.window_on_back = ((wall >= 1) & (wall < 2)).astype(np.float32)
        low = _choose(wall, near_left, self.left, near_right) + 0.25
        high = _choose(wall, self.depth, self.right, self.depth) - 0.25
        self.window_along = _placed(f["window_position"], np.minimum(f["window_width"], 0.8 * (high - low)), low, high)
        top = np.minimum(self.floor + 0.75 + f["window_height"], self.ceiling - 0.15)
        self.window_up = _Span(top - f["window_height"], top)
        self.window_plane = _choose(wall, self.left, self.depth, self.right)
        centre = (self.window_along.low + self.window_along.high) / 2
        inwards = _choose(wall, 0.15, -0.15, -0.15)
        on_back = self.window_on_back
        self.window_x = on_back * centre + (1 - on_back) * (self.window_plane + inwards)
        self.window_y = (self.window_up.low + self.window_up.high) / 2
        self.window_z = on_back * (self.window_plane + inwards) + (1 - on_back) * centre

        self._place_bed(f, near_left, near_right)

        # The picture hangs on the back wall, or, where the window is there, on the side wall away from the window.
        on_left = self.window_x > (self.left + self.right) / 2
        picture_wall = np.where(on_back > 0, np.where(on_left, 0.5, 2.5), 1.5).astype(np.float32)
        self.picture_on_back = 1 - on_back
        low = _choose(picture_wall, near_left, self.left, near_right) + 0.3
        high = _choose(picture_wall, self.depth, self.right, self.depth) - 0.3
        width = np.minimum(f["picture_width"], 0.7 * (high - low))
        self.picture_along = _placed(f["picture_position"], width, low, high)
        self.picture_plane = _choose(picture_wall, self.left, self.depth, self.right)
        middle = self.floor + np.maximum(1.55, f["bed_height"] + f["headboard_height"] + 0.1 + f["picture_height"] / 2)
        self.picture_up = _Span(
            middle - f["picture_height"] / 2, np.minimum(middle + f["picture_height"] / 2, self.ceiling - 0.1)
        )

        width = np.maximum(f["wardrobe_width"], 0.0)
        at_left = f["wardrobe_side"] < 0
        start = np.where(at_left, self.left, self.right - width)
        self.wardrobe = _Box(
            _Span(start, start + width),
            _Span(self.floor, self.floor + np.minimum(2.05, f["room_height"] - 0.15)),
            _Span(self.depth - np.where(f["wardrobe_width"] > 0, np.float32(0.6), np.float32(0)), self.depth),
        )
        rug = np.maximum(f["rug_size"], 0.0)
        middle_x, middle_z = (self.left + self.right) / 2, 0.62 * self.depth
        self.rug_x = _Span(middle_x - 1.5 * rug, middle_x + 1.5 * rug)
        self.rug_z = _Span(middle_z - 1.2 * rug, middle_z + 0.8 * rug)
        self.lamp_x, self.lamp_y, self.lamp_z = middle_x, self.ceiling - 0.30, 0.60 * self.depth

    def _place_bed(self, f: dict[str, Floats], near_left: Floats, near_right: Floats) -> None:
        """Bed, headboard, pillow, table and its lamp: first (along the wall, away from the wall), then (x, z)."""
        wall, width, length = f["bed_wall"], f["bed_width"], 2.05
        low = _choose(wall, near_left - 0.6, self.left, near_right - 0.6)
        high = _choose(wall, self.depth, self.right, self.depth)
        beside = np.where(f["table_side"] < 0, np.float32(0.5), np.float32(0))
        along = _placed(f["bed_position"], width, low + 0.1 + beside, high - 0.6 + beside)
        middle = (along.low + along.high) / 2

        def turned(along: _Span, up: _Span, start: Floats | float, end: Floats | float) -> _Box:
            zero = np.zeros_like(wall)
            x = _Span(
                _choose(wall, self.left + start, along.low, self.right - end),
                _choose(wall, self.left + end, along.high, self.right - start),
            )
            z = _Span(
                _choose(wall, along.low, self.depth - end, along.low),
                _choose(wall, along.high, self.depth - start, along.high),
            )
            return _Box(x, up, _Span(np.maximum(z.low, 0.6 + zero), z.high))

        base = self.floor
        top = base + f["bed_height"]
        half_pillow = f["pillow_width"] * width / 2
        self.bed = turned(along, _Span(base + 0.0, top), 0.08, length)
        self.headboard = turned(along.grown(0.04), _Span(base, top + f["headboard_height"]), 0.0, 0.08)
        self.pillow = turned(_Span(middle - half_pillow, middle + half_pillow), _Span(top, top + 0.16), 0.1, 0.5)
        table_low = np.where(f["table_side"] < 0, along.low - 0.56, along.high + 0.08)
        table = _Span(table_low, table_low + 0.48)
        table_top = base + f["table_height"]
        self.table = turned(table, _Span(base, table_top), 0.0, 0.45)
        dark = np.where(f["table_lamp_power"] > 0, np.float32(0), np.float32(0.13))
        self.lampshade = turned(table.grown(-0.11 - dark), _Span(table_top + 0.14, table_top + 0.42), 0.09, 0.36)
        # Distance from the head's wall is offset + across * x + away * z.
        self.head_across = _choose(wall, 1, 0, -1)
        self.head_away = _choose(wall, 0, -1, 0)
        self.head_offset = _choose(wall, -self.left, self.depth, self.right)


# --- the scene --------------------------------------------------------------------------------------------------------


class _Surfaces:
    """What each ray [N, H, W] meets first: depth t along z, the axis of its normal, a material.

    Materials are numbered in the order of painting and the greatest number wins, so that painting is a maximum of bytes
    and colours are looked up once, at the end.
    """

    def __init__(self, f: dict[str, Floats], room: _Layout, x_W: Floats, y_H: Floats) -> None:
        self.shape = (len(f["zoom"]), y_H.shape[-1], x_W.shape[-1])
        zoom = _column(f["zoom"])
        ray_x = zoom * ((2 * np.atleast_2d(x_W) - 1)[:, None, :] - _column(f["vanishing_x"]))
        ray_y = zoom * ((1 - 2 * np.atleast_2d(y_H))[:, :, None] - _column(f["vanishing_y"]))
        # A ray exactly along an axis would divide zero by zero in the slab tests.
        self.ray_x = np.where(np.abs(ray_x) < 1e-6, np.float32(1e-6), ray_x)
        self.ray_y = np.where(np.abs(ray_y) < 1e-6, np.float32(1e-6), ray_y)

        side = np.maximum(self.ray_x / _column(room.left), self.ray_x / _column(room.right))
        flat = np.maximum(self.ray_y / _column(room.floor), self.ray_y / _column(room.ceiling))
        back = 1 / _column(room.depth)
        nearest = np.maximum(np.maximum(side, back), flat)
        self.t = 1 / nearest
        self.on_back = nearest == back
        self.on_side = (nearest == side) & ~self.on_back
        self.on_flat = ~(self.on_back | self.on_side)
        # Axis of the normal, 1 x, 2 y, 3 z, plus four for every box placed so far: again the greatest wins.
        self._faces = self.on_side * np.uint8(1) + self.on_flat * np.uint8(2) + self.on_back * np.uint8(3)
        self._boxes = 0
        self._material = np.zeros(self.shape, np.uint8)
        self._palette: list[Floats] = []
        self._textures: list[int] = []

    def paint(
        self, where: NDArray[np.bool_], colour: Floats, glow: Floats | float = 0.0, *, of: int = texture.SMOOTH
    ) -> None:
        """Albedo `colour` [3, N] `of` a texture; where `glow` [N] is above zero it is the light itself, whatever the
        room's."""
        rgbg = np.concatenate([colour, np.broadcast_to(np.asarray(glow, np.float32), (1, self.shape[0]))])
        np.maximum(self._material, where * np.uint8(len(self._palette)), out=self._material)
        self._palette.append(rgbg)
        self._textures.append(of)

    def point(self) -> tuple[Floats, Floats, Floats]:
        return self.ray_x * self.t, self.ray_y * self.t, self.t

    def place(self, box: _Box) -> NDArray[np.bool_]:
        """Slab test; the box becomes the first surface where it is hit. Returns where that is."""
        x1, x2 = _column(box.x.low) / self.ray_x, _column(box.x.high) / self.ray_x
        y1, y2 = _column(box.y.low) / self.ray_y, _column(box.y.high) / self.ray_y
        enter_xz = np.maximum(np.minimum(x1, x2), _column(box.z.low))
        leave_xz = np.minimum(np.maximum(x1, x2), _column(box.z.high))
        enter_y = np.minimum(y1, y2)
        enter = np.maximum(enter_xz, enter_y)
        hit = enter < np.minimum(np.minimum(leave_xz, np.maximum(y1, y2)), self.t)
        xz_axis = np.where(enter_xz == _column(box.z.low), np.uint8(3), np.uint8(1))
        by_y = enter_y > enter_xz
        self._boxes += 1
        axis = xz_axis * ~by_y + by_y * np.uint8(2)
        np.maximum(self._faces, hit * (axis + np.uint8(4 * self._boxes)), out=self._faces)
        # A miss is moved out of sight; where hit, the sum is exactly `enter`.
        np.minimum(self.t, enter + ~hit * np.float32(1e6), out=self.t)
        return hit

    def axes(self) -> NDArray[np.uint8]:
        """The axis of the normal: 1 x, 2 y, 3 z."""
        return self._faces & 3

    def normals(self) -> tuple[Floats, Floats, Floats]:
        """Components of the unit normal. A surface met along an axis looks back along it."""
        axis = self.axes()
        return (axis == 1) * -np.sign(self.ray_x), (axis == 2) * -np.sign(self.ray_y), -(axis == 3).astype(np.float32)

    def colours(self) -> tuple[list[Floats], Floats]:
        """Albedo, three times [N, H, W], and glow [N, H, W]."""
        count, n = len(self._palette), self.shape[0]
        at = self._material + np.arange(0, n * count, count, dtype=np.int32)[:, None, None]
        channels = np.stack(self._palette, axis=-1).reshape(4, n * count)
        red, green, blue, glow = (channel.take(at) for channel in channels)
        return [red, green, blue], glow

    def detail(self, offsets_2KN: Floats) -> Floats:
        """What fine detail multiplies colours by, [N, H, W]."""
        kinds = np.array(self._textures, np.uint8).take(self._material)
        return texture.detail(kinds, self.axes(), self.point(), offsets_2KN)


def _pick(on_back: Floats, x: Floats, z: Floats) -> Floats:
    """`x` for scenes with `on_back` 1, `z` for those with 0."""
    return np.asarray(x * _column(on_back) + z * _column(1 - on_back), np.float32)


def scene(f: dict[str, Floats], x: Floats, y: Floats, offsets_2KN: Floats | None = None) -> Floats:
    """The scenes with factors `f` ([N] each) at the grid of x [W] (rightwards) and y [H] (downwards), or [N, W] and
    [N, H] where each scene has its own.

    0 and 1 are the edges of the square picture; beyond them the view goes on, as a wider lens shows it. With
    `offsets_2KN` (`core.data.texture.offsets`) it is renderer 2, without renderer 1. Returns rgb [N, 3, H, W], float32
    in [0, 1], display-referred. A single point is a grid of one.
    """
    room = _Layout(f)
    seen = _Surfaces(f, room, np.asarray(x, np.float32), np.asarray(y, np.float32))
    _paint_walls(f, room, seen)
    _place_furniture(f, room, seen)
    return _lit(f, room, seen, None if offsets_2KN is None else seen.detail(offsets_2KN))


def offsets(seed: int, indices: NDArray[np.integer], renderer: int) -> Floats | None:
    """What `scene` takes for these scenes of `seed` by this renderer. Raises ValueError for one that is none."""
    if renderer not in RENDERERS:
        raise ValueError(f"renderer {renderer} is none of {RENDERERS}")
    return texture.offsets(keys(seed, indices)) if renderer == 2 else None


def _paint_walls(f: dict[str, Floats], room: _Layout, seen: _Surfaces) -> None:
    x, y, z = seen.point()
    wall = _colour(f["wall_value"], f["wall_warmth"], f["wall_tint"])
    accent = _colour(f["wall_value"] + f["accent_value"], f["wall_warmth"] + f["accent_warmth"], f["wall_tint"])
    seen.paint(seen.on_side, wall, of=texture.PLASTER)
    seen.paint(seen.on_back, accent, of=texture.PLASTER)

    is_floor = seen.on_flat & (seen.ray_y < 0)
    is_ceiling = seen.on_flat & ~is_floor
    seen.paint(is_ceiling, _colour(f["ceiling_value"], 0.3 * f["wall_warmth"]), of=texture.PLASTER)
    # Boards 0.45 m wide that run away from the camera, darker on every other one.
    board = x * np.float32(1 / 0.9)
    odd = (board - np.floor(board)) < 0.5
    seen.paint(is_floor, _colour(f["floor_value"], f["floor_warmth"]), of=texture.BOARDS)
    darker = _colour(f["floor_value"] * (1 - f["floor_planks"]), f["floor_warmth"])
    seen.paint(is_floor & odd, darker, of=texture.BOARDS)
    upright = seen.on_side | seen.on_back
    seen.paint(upright & (y < _column(room.floor + 0.11)), _colour(f["window_frame"]))

    rug = is_floor & room.rug_x.inside(x) & room.rug_z.inside(z)
    seen.paint(rug, _colour(0.7 * f["rug_value"], f["rug_warmth"]), of=texture.WEAVE)
    inner = rug & room.rug_x.grown(-0.15).inside(x) & room.rug_z.grown(-0.15).inside(z)
    seen.paint(inner, _colour(f["rug_value"], f["rug_warmth"]), of=texture.WEAVE)

    _hang_picture(f, room, seen, x, y, z)
    _open_window(f, room, seen, x, y, z)


def _on_wall(seen: _Surfaces, on_back: Floats, plane: Floats) -> NDArray[np.bool_]:
    """Where the first surface is the back wall (`on_back` 1), else the side wall at x = `plane`."""
    towards = (seen.ray_x > 0) == (_column(plane) > 0)
    back = _column(on_back) > 0
    return (seen.on_back & back) | (seen.on_side & towards & ~back)


def _hang_picture(f: dict[str, Floats], room: _Layout, seen: _Surfaces, x: Floats, y: Floats, z: Floats) -> None:
    along = _pick(room.picture_on_back, x, z)
    wall = _on_wall(seen, room.picture_on_back, room.picture_plane)
    framed = wall & room.picture_along.inside(along) & room.picture_up.inside(y)
    seen.paint(framed, _colour(0.6 * f["wood_value"], f["wood_warmth"]), of=texture.WOOD)
    canvas = framed & room.picture_along.grown(-0.06).inside(along) & room.picture_up.grown(-0.06).inside(y)
    seen.paint(canvas, _colour(f["picture_value"], f["picture_warmth"]), of=texture.WEAVE)
    # The picture's lower part in the complement: something like a landscape.
    split = room.picture_up.low + 0.4 * (room.picture_up.high - room.picture_up.low)
    lower = _colour(0.9 - 0.8 * f["picture_value"], -f["picture_warmth"])
    seen.paint(canvas & (y < _column(split)), lower, of=texture.WEAVE)


def _open_window(f: dict[str, Floats], room: _Layout, seen: _Surfaces, x: Floats, y: Floats, z: Floats) -> None:
    along = _pick(room.window_on_back, x, z)
    wall = _on_wall(seen, room.window_on_back, room.window_plane)
    frame = wall & room.window_along.grown(0.07).inside(along) & room.window_up.grown(0.07).inside(y)
    seen.paint(frame, _colour(f["window_frame"]))
    middle = (room.window_along.low + room.window_along.high) / 2
    cross = room.window_up.low + 0.62 * (room.window_up.high - room.window_up.low)
    pane = frame & room.window_along.inside(along) & room.window_up.inside(y)
    pane &= np.abs(along - _column(middle)) > 0.03
    pane &= np.abs(y - _column(cross)) > 0.025

    up = (y - _column(room.window_up.low)) / _column(room.window_up.high - room.window_up.low)
    # Outdoors is as bright as the sky is and takes no light from the room.
    daylight = 0.35 + 0.65 * f["sky_value"]
    seen.paint(pane, _colour(f["ground_value"], 0.0, f["ground_tint"]), daylight)
    # Paler towards the horizon, in three bands.
    for height, paleness in ((0.0, 1.0), (0.2, 0.9), (0.45, 0.8)):
        sky = _colour(paleness * np.minimum(f["sky_value"], 1), f["sky_warmth"] / paleness**3, 0.3 * f["sky_warmth"])
        seen.paint(pane & (up > _column(f["horizon"] + height)), sky, daylight)

    drape = np.maximum(f["curtain_width"], 0.0)
    reach = wall & room.window_up.grown(0.12).inside(y) & room.window_along.grown(0.12).inside(along)
    open_ = _Span(
        room.window_along.low - 0.12 + (0.12 + drape) * (drape > 0),
        room.window_along.high + 0.12 - (0.12 + drape) * (drape > 0),
    )
    curtain = reach & ~open_.inside(along) & _column(drape > 0)
    seen.paint(curtain, _colour(f["curtain_value"], f["curtain_warmth"]), of=texture.WEAVE)


def _place_furniture(f: dict[str, Floats], room: _Layout, seen: _Surfaces) -> None:
    wood = _colour(f["wood_value"], f["wood_warmth"])
    blanket = _colour(f["blanket_value"], f["blanket_warmth"], f["blanket_tint"])
    sheet = _colour(0.55 + 0.45 * f["blanket_value"], 0.2 * f["blanket_warmth"])
    shade = _colour(np.full_like(f["zoom"], 0.95), 0.15)

    def put(box: _Box, colour: Floats, of: int, glow: Floats | float = 0.0) -> NDArray[np.bool_]:
        hit = seen.place(box)
        seen.paint(hit, colour, glow, of=of)
        return hit

    wardrobe = put(room.wardrobe, wood * np.float32(0.85), texture.WOOD)
    # The gap between its doors.
    middle = (room.wardrobe.x.low + room.wardrobe.x.high) / 2
    seen.paint(wardrobe & (np.abs(seen.ray_x * seen.t - _column(middle)) < 0.02), wood * np.float32(0.3))

    put(room.headboard, wood, texture.WOOD)
    put(room.table, wood * np.float32(0.9), texture.WOOD)
    bed = put(room.bed, blanket, texture.WEAVE)
    x, y, z = seen.point()
    from_head = _column(room.head_offset) + _column(room.head_across) * x + _column(room.head_away) * z
    seen.paint(bed & (from_head < _column(f["sheet_fold"])), sheet, of=texture.WEAVE)
    seen.paint(bed & (y < _column(room.floor + 0.16)), wood * np.float32(0.7), of=texture.WOOD)
    put(room.pillow, sheet * np.float32(0.97), texture.WEAVE)
    put(room.lampshade, shade, texture.WEAVE, 0.25 + np.maximum(f["table_lamp_power"], 0))

    # A globe of 0.14 m under the ceiling.
    across = seen.ray_x * _column(room.lamp_z) - _column(room.lamp_x)
    up = seen.ray_y * _column(room.lamp_z) - _column(room.lamp_y)
    globe = (across * across + up * up < 0.14**2) & (seen.t > _column(room.lamp_z))
    seen.paint(globe, shade, 0.35 + f["lamp_power"])


def _lit(f: dict[str, Floats], room: _Layout, seen: _Surfaces, detail: Floats | None) -> Floats:
    """The shown colours; `detail` [N, H, W] multiplies them."""
    x, y, z = seen.point()
    normal_x, normal_y, normal_z = seen.normals()
    rgb, glow = seen.colours()

    occlusion = _corner_shade(room, x, y, z)
    occlusion = occlusion * _furniture_shade(room.bed, room.floor, x, y, z)
    occlusion *= _furniture_shade(room.wardrobe, room.floor, x, y, z)

    def lamp(at_x: Floats, at_y: Floats, at_z: Floats, reach: float) -> Floats:
        """Lambert's cosine over a distance law that stays finite: reach^2 / (reach^2 + r^2)."""
        to_x, to_y, to_z = _column(at_x) - x, _column(at_y) - y, _column(at_z) - z
        squared = to_x * to_x
        squared += to_y * to_y
        squared += to_z * to_z
        cosine = np.multiply(to_x, normal_x, out=to_x)
        cosine += np.multiply(to_y, normal_y, out=to_y)
        cosine += np.multiply(to_z, normal_z, out=to_z)
        cosine /= np.sqrt(squared + np.float32(1e-4))
        # Light that comes off the other surfaces reaches faces that look away.
        np.maximum(cosine, 0, out=cosine)
        cosine *= np.float32(0.8)
        cosine += np.float32(0.2)
        square = np.float32(reach * reach)
        squared += square
        cosine *= np.divide(square, squared, out=squared)
        return np.asarray(cosine, np.float32)

    ambient = _column(f["ambient"])
    sky = lamp(room.window_x, room.window_y, room.window_z, 2.2) * _column(f["sky_power"] * f["sky_value"])
    sun = _sun_patch(f, room, (normal_x, normal_y, normal_z), x, y, z)
    bulb = lamp(room.lamp_x, room.lamp_y - 0.1, room.lamp_z, 1.8) * _column(f["lamp_power"])
    shade = room.lampshade
    lamps = bulb + lamp(
        (shade.x.low + shade.x.high) / 2, shade.y.high + 0.05, (shade.z.low + shade.z.high) / 2, 0.6
    ) * _column(np.maximum(f["table_lamp_power"], 0) * 1.5)

    out = np.empty((seen.shape[0], 3, *seen.shape[1:]), np.float32)
    is_lit = (glow <= 0).astype(np.float32)
    cool = f["sky_warmth"] * np.float32(0.5)
    for c, (sky_tint, sun_tint, bulb_tint) in enumerate(((1, 1.1, 1.12), (0, 1.0, 0.97), (-1, 0.85, 0.75))):
        light = sky * _column(1 + sky_tint * cool)
        light += lamps * np.float32(bulb_tint)
        light += ambient
        light *= occlusion
        light += sun * np.float32(sun_tint)
        light *= is_lit
        light += glow
        # Extended Reinhard tone curve, light * (1 + light / 9) / (1 + 0.45 light), then gamma 2: albedo is
        # display-referred already.
        shown = light * np.float32(1 / 9)
        shown += 1
        shown *= light
        light *= np.float32(0.45)
        light += 1
        shown /= light
        np.sqrt(shown, out=shown)
        shown *= rgb[c]
        shown *= np.float32(1.05)
        if detail is not None:
            shown *= detail
        np.minimum(shown, 1, out=out[:, c])
    return out


def _corner_shade(room: _Layout, x: Floats, y: Floats, z: Floats) -> Floats:
    """Ambient occlusion of the room's edges: falls from 1 as two planes come closer than half a metre."""
    reach = np.float32(1 / 0.55)
    closest = [
        np.maximum(1 - distance * reach, 0)
        for distance in (
            np.minimum(x - _column(room.left), _column(room.right) - x),
            np.minimum(y - _column(room.floor), _column(room.ceiling) - y),
            _column(room.depth) - z,
        )
    ]
    # A point on a plane is at distance 0 of that plane: one unit is the plane itself, the rest is occlusion.
    total = closest[0] * closest[0] + closest[1] * closest[1] + closest[2] * closest[2]
    return np.asarray(1 - np.float32(0.30) * np.clip(total - 1, 0, 1.5), np.float32)


def _furniture_shade(box: _Box, floor: Floats, x: Floats, y: Floats, z: Floats) -> Floats:
    """A soft contact shadow on the floor around a box that stands on it."""
    out_x = np.maximum(np.maximum(_column(box.x.low) - x, x - _column(box.x.high)), 0)
    out_z = np.maximum(np.maximum(_column(box.z.low) - z, z - _column(box.z.high)), 0)
    near = np.maximum(1 - (out_x * out_x + out_z * out_z) * np.float32(1 / 0.30), 0)
    low = np.maximum(1 - (y - _column(floor)) * np.float32(1 / 0.25), 0)
    return np.asarray(1 - np.float32(0.6) * near * near * low, np.float32)


def _sun_patch(
    f: dict[str, Floats], room: _Layout, normal: tuple[Floats, Floats, Floats], x: Floats, y: Floats, z: Floats
) -> Floats:
    """Direct sun [N, H, W]: where the ray towards the sun leaves through the window."""
    on_back = room.window_on_back
    outwards = np.sign(room.window_plane)
    slant = np.where(room.window_x > (room.left + room.right) / 2, np.float32(0.35), np.float32(-0.35))
    towards, along = _pick(on_back, z, x), _pick(on_back, x, z)
    distance = (_column(room.window_plane) - towards) * _column(outwards)
    at_along = along + distance * _column(slant * room.window_on_back)
    at_up = y + distance * _column(f["sun_height"])
    through = room.window_along.inside(at_along) & room.window_up.inside(at_up) & (distance > 0.02)
    rising = normal[1] * _column(f["sun_height"])
    facing = _pick(on_back, normal[2], normal[0]) * _column(outwards) + rising
    return np.asarray(through * np.maximum(facing, 0) * _column(np.maximum(f["sun_power"], 0) * 1.3), np.float32)


# --- rendering --------------------------------------------------------------------------------------------------------


def default_supersample(resolution: int) -> int:
    """Samples per pixel and axis: 4 up to 32 pixels (16 x 16 images use 64 x 64 samples), 2 above."""
    return 4 if resolution <= 32 else 2


_SAMPLES_PER_CHUNK = 1 << 17  # temporaries of 512 kB: larger ones leave the cache, smaller ones pay for the calls


def _chunks(indices: NDArray[np.integer], samples: int) -> Iterator[tuple[int, NDArray[np.integer]]]:
    step = max(1, _SAMPLES_PER_CHUNK // samples**2)
    for start in range(0, len(indices), step):
        yield start, indices[start : start + step]


def _render_chunk(
    indices: NDArray[np.integer], resolution: int, supersample: int, seed: int, renderer: int
) -> NDArray[np.uint8]:
    samples = resolution * supersample
    centres = ((np.arange(samples, dtype=np.float64) + 0.5) / samples).astype(np.float32)
    return area_means(scene(factors(seed, indices), centres, centres, offsets(seed, indices, renderer)), supersample)


def area_means(rgb: Floats, supersample: int) -> NDArray[np.uint8]:
    """Of colours [N, 3, k H, k W] in [0, 1] the means over k x k points, rounded to uint8 [N, 3, H, W]."""
    # Summed slice by slice: the order of the additions, hence every bit, is the same for any number of images.
    rows = rgb[:, :, 0::supersample]
    for k in range(1, supersample):
        rows = rows + rgb[:, :, k::supersample]
    total = rows[..., 0::supersample]
    for k in range(1, supersample):
        total = total + rows[..., k::supersample]
    return np.floor(total * np.float32(255 / supersample**2) + np.float32(0.5)).astype(np.uint8)


def render(
    indices: NDArray[np.integer],
    resolution: int,
    supersample: int | None = None,
    seed: int = 0,
    *,
    renderer: int = RENDERER,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Images uint8 [N, 3, R, R] of the scenes `indices`: the mean over supersample x supersample points of each pixel.

    `supersample` None is `default_supersample`. `workers` threads render at once (NumPy releases the interpreter lock);
    the bytes do not depend on it. `progress(done, total)` is called from the calling thread.
    """
    if resolution < 1 or (supersample is not None and supersample < 1):
        raise ValueError(f"resolution {resolution} and supersample {supersample} must be at least 1")
    supersample = default_supersample(resolution) if supersample is None else supersample
    indices = np.asarray(indices)
    images = np.empty((len(indices), 3, resolution, resolution), np.uint8)

    def one(chunk: tuple[int, NDArray[np.integer]]) -> int:
        start, part = chunk
        images[start : start + len(part)] = _render_chunk(part, resolution, supersample, seed, renderer)
        return len(part)

    chunks = _chunks(indices, resolution * supersample)
    done = 0
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for count in pool.map(one, chunks) if workers > 1 else map(one, chunks):
            done += count
            if progress is not None:
                progress(done, len(indices))
    return images
