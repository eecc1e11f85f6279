"""Images per second that a feed gives, against what a training step takes: `python -m tests.benchmarks.loading`.

A prepared set of random pixels at the profile's resolution is fed resident and streamed, the file freshly mapped; the
need is that of the profile's fastest variant here (`all` and `baseline` are timed), or of --step milliseconds on a
device that is not at hand. One thread trains.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch

from ablations.designs import subset_named
from core.config import Job
from core.data.feed import feed
from studies.changes_overview import STUDY
from studies.overrides import overridden
from tests.benchmarks.step import seconds_per_iteration


def images_per_second(images: torch.Tensor, batch: int, *, resident: bool, device: torch.device, batches: int) -> float:
    source = feed(images, 0, batch, flip=True, device=device, resident=resident)
    source.take()
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(batches):
        source.take()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return batches * batch / (time.perf_counter() - started)


@click.command(help=__doc__)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--device", "device_name", default="cpu", show_default=True)
@click.option("--count", default=30_000, show_default=True, help="Images in the set.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--step", type=float, help="Milliseconds of a step elsewhere, in place of those measured here.")
@click.option("--batch", type=int, help="With --step: its batch size.")
def main(profile: str, device_name: str, count: int, rounds: int, step: float | None, batch: int | None) -> None:
    torch.set_num_threads(1)
    device = torch.device(device_name)
    jobs = {
        name: Job(config=STUDY.profile(profile).scaled(STUDY.folded(subset_named(STUDY, name))), seed=0)
        for name in ("baseline", "all")
    }
    resolution = jobs["all"].config.data.resolution
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npy"
        np.save(file, np.random.default_rng(0).integers(0, 256, (count, 3, resolution, resolution), dtype=np.uint8))
        images = torch.from_numpy(np.load(file, mmap_mode="c"))
        needs: dict[str, tuple[int, float]] = {}
        if step is not None:
            size = batch or jobs["all"].config.batch_size
            needs["given"] = (size, size / (step / 1e3))
        else:
            short = {"iterations": 60, "evaluation.every": 60, "evaluation.metric.samples": 64}
            for name, job in jobs.items():
                small = Job(config=overridden(job.config, short), seed=0)
                seconds = [seconds_per_iteration(small, images, device_name) for _ in range(rounds)]
                needs[name] = (job.config.batch_size, job.config.batch_size / statistics.median(seconds))
        print(f"{count} images of {resolution} x {resolution}, {images.nbytes / 1e6:.0f} MB, {device}")
        print(
            f"{'step':10s} {'batch':>5s} {'needs/s':>10s} {'resident/s':>12s} {'streamed/s':>12s} {'least ratio':>12s}"
        )
        for name, (size, need) in needs.items():
            batches = max(20, 20_000 // size)
            found = {
                resident: statistics.median(
                    images_per_second(images, size, resident=resident, device=device, batches=batches)
                    for _ in range(rounds)
                )
                for resident in (True, False)
            }
            least = min(found.values()) / need
            print(f"{name:10s} {size:5d} {need:10,.0f} {found[True]:12,.0f} {found[False]:12,.0f} {least:11.1f}x")


if __name__ == "__main__":
    main()
