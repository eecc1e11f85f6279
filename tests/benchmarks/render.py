"""Seconds and memory of rendering one picture against its size: `python -m tests.benchmarks.render`.

The generator is that of a variant before it is trained, for its weights change neither. Memory is what the process
grows by at its peak, over the interpreter with torch and the generator (Linux). Each size is written to a file as the
command does it, which counts as well. With --page the table goes into docs/rendering.md, between its marks.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import torch

from ablations.designs import subset_named
from core.build import build_generator
from core.machine import cores, processor
from core.memory import PeakMemory
from core.render.painting import in_rows, painted
from core.render.view import WHOLE, View
from core.render.writing import write_png, write_tiff
from studies.changes_overview import STUDY
from tests.benchmarks.tables import DOCS, Table

PAGE = DOCS / "rendering.md"


@click.command(help=__doc__)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--variant", default="all", show_default=True)
@click.option("--size", "sizes", multiple=True, type=int, default=(512, 1024, 2048, 4096, 8192), show_default=True)
@click.option("--suffix", type=click.Choice([".tif", ".png"]), default=".tif", show_default=True)
@click.option("--points", default=1, show_default=True)
@click.option("--tile", default=256, show_default=True)
@click.option("--threads", default=cores(), show_default=True)
@click.option("--page", is_flag=True, help="write the table into docs/rendering.md")
def main(
    profile: str, variant: str, sizes: tuple[int, ...], suffix: str, points: int, tile: int, threads: int, page: bool
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = STUDY.profile(profile).scaled(STUDY.folded(subset_named(STUDY, variant)))
    generator = build_generator(config).eval()
    with torch.inference_mode():
        emitted = generator.hypernetwork(torch.randn(1, config.hypernetwork.latent_dim))
    table = Table(
        f"{profile} {variant}: INR {config.inr.width} x {config.inr.depth}, {config.inr.layer.kind}; {suffix}, "
        f"{points} x {points} points a pixel, {threads} threads of {processor()}, torch {torch.__version__}",
        ("size", "seconds", "million points a second", "peak memory, MiB", "file, MiB"),
    )
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            file = Path(folder) / f"a{suffix}"
            memory, started = PeakMemory("cpu"), time.perf_counter()
            strips = painted(generator, [[emitted]], View(WHOLE, size, size, points), threads=threads, done=id)
            rows = in_rows(strips, tile)
            if suffix == ".png":
                write_png(file, rows, size, size, "")
            else:
                write_tiff(file, rows, size, size, tile, "")
            seconds, peak = time.perf_counter() - started, memory.peak()
            rate = size**2 * points**2 / seconds / 1e6
            taken = "unknown" if peak is None else f"{peak / 2**20:,.0f}"
            stored = f"{file.stat().st_size / 2**20:,.1f}"
            table.row(f"{size:,}", f"{seconds:,.1f}", f"{rate:.2f}", taken, stored)
    if page:
        table.into(PAGE, "python -m tests.benchmarks.render --page")


if __name__ == "__main__":
    main()
