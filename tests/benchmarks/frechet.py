"""The Frechet distance against scipy's matrix square root, as clean-fid takes it.

    python -m tests.benchmarks.frechet [--dimensions 2048] [--samples 4096] [--rounds 3] [--threads 1]

One process, random features. Printed are seconds: of the real set's root, which a process takes once; of one distance
with that root known, and from the features on; of clean-fid's function, once; the ratios, and how far the values are
apart.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import click
import numpy as np
import torch

from core.metrics.frechet import Gaussian, frechet_distance


def timed(call: Callable[[], object], rounds: int) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


@click.command(help=__doc__)
@click.option("--dimensions", default=2048, show_default=True)
@click.option("--samples", default=4096, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--threads", default=1, show_default=True, help="torch's; numpy's and scipy's are OMP_NUM_THREADS.")
def main(dimensions: int, samples: int, rounds: int, threads: int) -> None:
    from cleanfid.fid import frechet_distance as by_sqrtm

    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((dimensions, dimensions)) / np.sqrt(dimensions)
    x, y = (rng.standard_normal((samples, dimensions)) @ mixing + shift for shift in (0.0, 0.1))
    generated, real = Gaussian.fit(x), Gaussian.fit(y)

    root = timed(lambda: Gaussian(real.mean, real.covariance).root, rounds)
    value = frechet_distance(generated, real)
    known = timed(lambda: frechet_distance(generated, real), rounds)
    whole = timed(lambda: frechet_distance(Gaussian.fit(x), real), rounds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # scipy's, of an argument that clean-fid gives
        started = time.perf_counter()
        reference = by_sqrtm(generated.mean, generated.covariance, real.mean, real.covariance)
        square_root = time.perf_counter() - started
    print(f"{dimensions} dimensions, {samples} features a side, {threads} thread, medians of {rounds}, seconds")
    print(f"real set's root, once a process   {root:8.2f}")
    print(f"one distance, root known          {known:8.2f}   {square_root / known:5.1f} times as fast as sqrtm")
    print(f"one distance, its root too        {known + root:8.2f}   {square_root / (known + root):5.1f} times")
    print(f"one distance, from features on    {whole:8.2f}")
    print(f"clean-fid (scipy sqrtm), once     {square_root:8.2f}")
    print(f"relative difference of the values {abs(value / float(reference) - 1):8.1e}")


if __name__ == "__main__":
    main()
