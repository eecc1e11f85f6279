"""`python -m core.data`: images on disk into a set that any study trains on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from core.arguments import MOST_WORKERS, Parser, code_with, given_to, number
from core.command_line import GOES_ON
from core.config import Resampling
from core.data.making import make
from core.data.prepared import Index, read_index, verify
from core.files import placed
from core.machine import cores
from core.words import visible

MOST_SIDE = 16_384
"""Of a picture that anybody trains on."""

EPILOG = """\
The source is a folder of images with its subfolders, a zip (of the StyleGAN tools too), or an LMDB as LSUN ships, by
its folder. Images are turned upright, cropped to their centre square and resized once; grey, 16-bit and CMYK ones
become RGB, transparent ones stand on white. An interrupted command goes on where it was. Then train with
  python -m studies.run changes_overview --data OUT
"""


@contextmanager
def _bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    bars: list[tqdm] = []

    def progress(done: int, total: int) -> None:
        if not bars:
            # What an interrupted command had done is not this one's speed.
            bars.append(tqdm(desc=what, unit=unit, total=total, initial=done, disable=None, unit_scale=True))
        bars[0].update(done - bars[0].n)

    try:
        yield progress
    finally:
        for bar in bars:
            bar.close()


def _show(folder: Path, index: Index) -> None:
    _say(f"{folder}: {index.words}")
    for side in index.resolutions:
        enlarged = index.pixels[str(side)].enlarged
        sheet = folder / f"contact_{side}.png"
        _say(f"  {side}.npy, to look at: {sheet}")
        if enlarged.count:
            _say(
                f"  {enlarged.count:,} images are smaller than {side} x {side} and were enlarged, {enlarged.first} "
                f"({enlarged.width} x {enlarged.height}) first: they hold no detail of that size"
            )
    for skipped in index.skipped:
        _say(f"  skipped {skipped.name}: {skipped.reason}")
    for left_out in index.left_out:
        _say(f"  left out: {left_out.words}")


def _say(line: str) -> None:
    print(visible(line))


def _prepare(given: argparse.Namespace) -> None:
    out = given.out or _default(given.source, given.resolution)
    with _bar("preparing", "image") as progress:
        index = make(
            given.source,
            out,
            given.resolution,
            resampling=given.resampling,
            skip_bad=given.skip_bad,
            most=given.max_images,
            name=given.name,
            workers=given.workers,
            progress=progress,
        )
    _show(out, index)


def _default(source: Path, resolutions: Sequence[int]) -> Path:
    there = placed(source.resolve())
    return there.with_name(f"{there.stem}_{'_'.join(map(str, resolutions))}")


def _verify(given: argparse.Namespace) -> None:
    with _bar("verifying", "block") as progress:
        index = verify(given.set, progress)
    _show(given.set, index)
    print("every byte is what was prepared")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command, and its exit code."""
    return code_with(_run, arguments, interrupted=GOES_ON)


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(
        prog="python -m core.data",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="prepare|verify|show")

    prepare = commands.add_parser("prepare", help="decode, crop and resize once", description=_prepare.__doc__)
    prepare.add_argument("source", type=Path, help="a folder, a zip or an LMDB of images")
    prepare.add_argument(
        "--resolution", type=number(most=MOST_SIDE), nargs="+", required=True, help="one or more sides in pixels"
    )
    prepare.add_argument("--out", type=Path, help="the set's folder (default: beside the source, SOURCE_RESOLUTION)")
    prepare.add_argument(
        "--resampling",
        choices=get_args(Resampling),
        default="box",
        help="the filter that shrinks (default: box, means over areas; bilinear is what the deck author's public "
        "code does); it moves an FID, so configs name it",
    )
    prepare.add_argument("--name", help="what people call the data, as in 'LSUN bedroom' (default: the source's name)")
    prepare.add_argument("--skip-bad", action="store_true", help="leave out what cannot be read, and list it")
    prepare.add_argument("--max-images", type=number(), metavar="N", help="the first N images alone")
    prepare.add_argument(
        "--workers", type=number(most=MOST_WORKERS), default=cores(), help="processes (default: one a core)"
    )
    prepare.set_defaults(run=_prepare)

    check = commands.add_parser("verify", help="hash every byte of a prepared set")
    check.add_argument("set", type=Path)
    check.set_defaults(run=_verify)

    show = commands.add_parser("show", help="what a prepared set holds")
    show.add_argument("set", type=Path)
    show.set_defaults(run=lambda given: _show(given.set, read_index(given.set)))

    given = given_to(parser, arguments)
    given.run(given)


if __name__ == "__main__":
    sys.exit(main())
