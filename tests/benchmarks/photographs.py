"""What the ImageNet Frechet distance reads of photographs: its floor, corrupted ones, and how long it takes.

    python -m tests.benchmarks.photographs photos.zip [--side 32] [--seen 64] [--samples 2048] [--real 8192]

Real and corrupted photographs are different ones of one set, spread over it. A floor is the distance of real ones;
corruptions are told in units of that of as many. Images a second are of one thread, the resizing included.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch

from core.config import ImageNetFrechet
from core.data.prepare import described, prepare
from core.metrics.frechet import Gaussian, frechet_distance
from core.metrics.measure import Measure, build_metric
from tests.support.corruptions import OF_PHOTOGRAPHS, joined, quantised


@click.command(help=__doc__)
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--side", default=32, show_default=True)
@click.option("--seen", "seen_at", default=64, show_default=True)
@click.option("--samples", default=2048, show_default=True)
@click.option("--real", default=8192, show_default=True)
@click.option("--floors", multiple=True, type=int, default=(2048, 8192), show_default=True)
@click.option("--few", is_flag=True, help="Of each corruption the two weakest alone.")
def main(path: Path, side: int, seen_at: int, samples: int, real: int, floors: tuple[int, ...], few: bool) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        images = prepare(described(path, side), path=path, cache=Path(cache))[0]
        order = np.random.default_rng(0).permutation(len(images))
        compared = torch.from_numpy(images[np.sort(order[:real])])
        others = images[order[real:]]
    metric = ImageNetFrechet(samples=samples, real=real, side=seen_at)  # type: ignore[arg-type]
    started = time.perf_counter()
    measure = build_metric(metric, compared, device="cpu", cache=None)
    seconds = time.perf_counter() - started
    print(f"{path.name}, {len(images):,} of {side} x {side}, seen at {seen_at} x {seen_at}")
    print(f"real set      {len(compared):,} images in {seconds:.1f} s, {len(compared) / seconds:.0f} images/s")
    for count in floors:
        if 2 * count <= len(images):
            print(f"floor         {floor(measure, images[order], count):.3f}: {count:,} real against {count:,} real")
    shown = others[:samples]
    started = time.perf_counter()
    least = value(measure, shown)
    print(f"an evaluation {time.perf_counter() - started:.1f} s of {samples:,} images, the making of them not included")
    print(f"floor         {least:.3f}: {samples:,} real against {len(compared):,} real")
    as_floats = shown.astype(np.float32)
    for what, (corrupt, strengths) in OF_PHOTOGRAPHS.items():
        for strength in strengths[:2] if few else strengths:
            found = value(measure, quantised(corrupt(as_floats, strength)))
            print(f"{what:30} {strength:<6g} {found:10.2f}  {found / least:8.2f} floors", flush=True)
    found = value(measure, joined(shown))
    print(f"{'halves of others joined':37} {found:10.2f}  {found / least:8.2f} floors")


def value(measure: Measure, images: np.ndarray) -> float:
    return measure(iter(torch.from_numpy(images).split(256)))


def floor(measure: Measure, images: np.ndarray, count: int) -> float:
    """Of the first `count` images against as many of the next."""
    one, other = (seen(measure, images[part : part + count]) for part in (0, count))
    return frechet_distance(one, other)


@torch.inference_mode()
def seen(measure: Measure, images: np.ndarray) -> Gaussian:
    parts = torch.from_numpy(images).split(256)
    return Gaussian.fit(np.concatenate([measure.features(part).numpy() for part in parts]))


if __name__ == "__main__":
    main()
