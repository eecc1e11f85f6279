"""`python -m core.render RUN --out FILE`: images of a trained run at any size, whole or a window, at latents or between
them."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from core.arguments import MOST_SEED, Parser, code_with, given_to, number, whole_number
from core.errors import InputError
from core.machine import cores
from core.render.painting import Pixels8, blocks_of, in_rows, painted
from core.render.trained import Source, read_source
from core.render.view import WHOLE, View, Window, sized
from core.render.writing import Format, check_fits, format_of, write_gif, write_png, write_tiff
from core.words import visible

MOST_SIDE = 2**18
"""Of a picture, in pixels."""

MOST_INDEX, MOST_COUNT, MOST_STEPS, MOST_POINTS, MOST_TILE, MOST_THREADS = 100_000, 1024, 1000, 16, 4096, 256

COLUMNS = 8
"""Of a sheet, as of recorded samples."""

STEPS, MILLISECONDS, TILE = 12, 80, 256

EPILOG = """\
examples
  python -m core.render runs/jobs/DIGEST --out big.tif --size 8192
  python -m core.render runs/jobs/DIGEST --out part.png --latent 5 --window 1/4,1/4,3/4,3/4 --size 1024
  python -m core.render runs/jobs/DIGEST --out sheet.png --count 16 --size 128
  python -m core.render runs/jobs/DIGEST --out walk.gif --between 0 3 --steps 24 --size 256
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command, and its exit code."""
    return code_with(_run, arguments, interrupted="interrupted: nothing was written")


def _run(arguments: Sequence[str]) -> None:
    given = given_to(_parser(), arguments)
    kind = format_of(given.out)
    steps = _steps(given, kind)
    if kind == "tiff" and given.tile % 16:
        raise InputError(f"--tile {given.tile}: the side of a TIFF's tiles is a multiple of 16")
    last = max(given.between) if given.between else (given.latent or 0) + given.count - 1
    source = read_source(
        given.run, seed=given.seed, last=last, paths=given.between is not None, allowed=given.allow_code
    )
    size = given.size or source.renderer.pixels.resolution
    view = View(given.window, *sized(size, given.window), given.points)
    pictures = _Pictures(source, given, steps)
    width, height = pictures.columns * view.width, pictures.rows * view.height
    check_fits(kind, width, height, frames=len(steps) if kind == "gif" else 1, tile=given.tile)
    # Every block is evaluated on one thread, so that the number of threads changes no pixel.
    torch.set_num_threads(1)
    with tqdm(desc="rendering", unit="block", total=pictures.places * blocks_of(view), disable=None) as bar:

        def rows(sheet: Iterator[list[Tensor | None]]) -> Iterator[Pixels8]:
            strips = painted(source.renderer, sheet, view, threads=given.threads, done=bar.update)
            return in_rows(strips, given.tile)

        _write(kind, given, pictures, rows, width, height)
    print(visible(f"{given.out}: {width} x {height} pixels, {pictures.words}"))


class _Pictures:
    """What is on the sheet, or in the frames of an animation: which pictures, how many, and in words."""

    def __init__(self, source: Source, given: argparse.Namespace, steps: list[float]) -> None:
        self.source, self.ends, self.steps, self.first = source, given.between, steps, given.latent or 0
        self.count = len(steps) if self.ends else given.count
        animated = given.out.suffix.lower() == ".gif"
        self.columns = 1 if animated else self.count if self.ends else min(COLUMNS, self.count)
        self.rows = 1 if animated else -(-self.count // self.columns)
        self.places = self.count if animated else self.columns * self.rows
        if self.ends:
            numbers = f"{self.ends[0]} to {self.ends[1]} in {self.count} steps"
        else:
            numbers = f"{self.first}" if self.count == 1 else f"{self.first} to {self.first + self.count - 1}"
        self.words = f"{source.words} {numbers}"
        if given.window != WHOLE:
            self.words += f", window {','.join(map(str, given.window))}"

    def each(self) -> Iterator[Tensor]:
        """INR parameters, [1, E] each."""
        if self.ends:
            start, end = self.ends
            return (self.source.between(start, end, step) for step in self.steps)
        return (self.source.picture(self.first + i) for i in range(self.count))

    def sheet(self) -> Iterator[list[Tensor | None]]:
        """The same in rows of `columns`, None for what the last row lacks."""
        each = self.each()
        for _ in range(self.rows):
            row: list[Tensor | None] = list(islice(each, self.columns))
            yield row + [None] * (self.columns - len(row))


def _write(
    kind: Format,
    given: argparse.Namespace,
    pictures: _Pictures,
    rows: Callable[[Iterator[list[Tensor | None]]], Iterator[Pixels8]],
    width: int,
    height: int,
) -> None:
    words = pictures.words
    try:
        match kind:
            case "png":
                write_png(given.out, rows(pictures.sheet()), width, height, words)
            case "tiff":
                write_tiff(given.out, rows(pictures.sheet()), width, height, given.tile, words)
            case "gif":
                frames = (rows(iter([[emitted]])) for emitted in pictures.each())
                write_gif(given.out, frames, width, height, given.milliseconds or MILLISECONDS, words)
    except FloatingPointError as error:
        raise InputError(
            f"{given.run}: {error}: its weights are of no use; choose another run, or train it anew"
        ) from None


def _steps(given: argparse.Namespace, kind: Format) -> list[float]:
    """The places on the path, 0 to 1. Raises InputError for options that would be taken no notice of."""
    if given.between:
        for option, value in (("--latent", given.latent is not None), ("--count", given.count != 1)):
            if value:
                raise InputError(f"{option} beside --between, which says what is rendered: leave one of them out")
    elif kind == "gif":
        raise InputError(f"--out {given.out}: an animation goes from one latent to another: add --between, as 0 1")
    elif given.steps is not None:
        raise InputError("--steps are those of a path: add --between, as 0 1, or leave them out")
    if given.milliseconds is not None and kind != "gif":
        raise InputError("--milliseconds are those of a frame of a .gif: leave them out, or name one with --out")
    return torch.linspace(0, 1, given.steps or STEPS).tolist()


def _parser() -> Parser:
    parser = Parser(
        prog="python -m core.render",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, help="a run's folder, as runs/jobs/DIGEST")
    parser.add_argument(
        "--out", type=Path, required=True, help="a .png, a .tif in tiles, which may be of any size, or a .gif"
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="N|WxH",
        help="pixels of a picture; one number is its longer side (default: as the run was trained)",
    )
    parser.add_argument(
        "--window",
        type=_window,
        default=WHOLE,
        metavar="L,T,R,B",
        help="its left, upper, right and lower edge from 0 to 1, as 0,0,1/3,0.5 (default: the whole picture)",
    )
    parser.add_argument(
        "--points", type=number(1, MOST_POINTS), default=1, metavar="K", help="a pixel is the mean of K x K points"
    )
    parser.add_argument(
        "--latent", type=number(0, MOST_INDEX), metavar="N", help="the first picture's number (default: 0)"
    )
    parser.add_argument(
        "--count", type=number(1, MOST_COUNT), default=1, metavar="N", help=f"so many, {COLUMNS} in a row (default: 1)"
    )
    parser.add_argument(
        "--seed",
        type=number(0, MOST_SEED - 1),
        help="draw latents from this seed in place of the evaluation's, which every sample of the run shows",
    )
    parser.add_argument(
        "--between",
        type=number(0, MOST_INDEX),
        nargs=2,
        metavar=("A", "B"),
        help="on the spherical path from latent A to B: a row of pictures, or in a .gif forth and back",
    )
    parser.add_argument(
        "--steps", type=number(2, MOST_STEPS), metavar="N", help=f"pictures on the path (default: {STEPS})"
    )
    parser.add_argument(
        "--milliseconds", type=number(20, 60_000), metavar="N", help=f"of a .gif's frame (default: {MILLISECONDS})"
    )
    parser.add_argument(
        "--tile",
        type=number(1, MOST_TILE),
        default=TILE,
        metavar="N",
        help=f"rows of pixels held at a time, and the side of a .tif's tiles; no pixel depends on it (default: {TILE})",
    )
    parser.add_argument(
        "--threads",
        type=number(1, MOST_THREADS),
        default=cores(),
        help="no pixel depends on it (default: one a core)",
    )
    parser.add_argument(
        "--allow-code",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="run a layer's file from this folder where the run's config names one",
    )
    return parser


def _size(text: str) -> int | tuple[int, int]:
    try:
        sides = [whole_number(side, 1, MOST_SIDE) for side in text.split("x", 1)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}: give one, or two as 1024x512") from None
    return sides[0] if len(sides) == 1 else (sides[0], sides[1])


def _window(text: str) -> Window:
    parts = text.split(",")
    try:
        edges = Window(*map(_edge, parts))
    except (ValueError, TypeError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"'{visible(text)[:80]}' is not left,top,right,bottom, four numbers from 0 to 1, as 0,0,1/3,0.5"
        ) from None
    if not (edges.left < edges.right and edges.top < edges.bottom):
        raise argparse.ArgumentTypeError(
            f"'{visible(text)[:80]}' is out of order: left has to be less than right, and top, which is counted from "
            "above, less than bottom"
        )
    return edges


def _edge(text: str) -> Fraction:
    """A number from 0 to 1 in plain digits. Raises ValueError."""
    if re.fullmatch(r"(?=.{1,30}$)[0-9]*\.?[0-9]+(/[0-9]+)?", text.strip()) is None:
        raise ValueError(text)
    top, _, bottom = text.strip().partition("/")
    edge = Fraction(top) / int(bottom or 1)
    if not 0 <= edge <= 1:
        raise ValueError(text)
    return edge


if __name__ == "__main__":
    sys.exit(main())
