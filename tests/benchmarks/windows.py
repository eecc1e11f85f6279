"""A step of training with windows of pictures of 64 x 64 against one with those of 4096 x 4096.

    python -m tests.benchmarks.windows [--rounds 15] [--iterations 40] [--page]

The variants of `extreme_resolution` with a second discriminator, each with networks of its own, alternate in one
process in rounds of whole periods of the loop; real windows are drawn by the rooms' own function, which is counted.
Printed are the median of each with its quartiles, and those of its ratio to the first in the same round. The bar is a
median ratio of at most 1.2: the cost of a step is to be constant. One thread.
"""

from __future__ import annotations

import statistics
from pathlib import Path

import click
import torch

from core.arithmetic import training
from core.config import Config, Rooms
from core.data.fine import fine_images
from core.machine import processor
from core.step import Networks
from studies.extreme_resolution import STUDY
from tests.benchmarks.step import IMAGES, Measured, spread
from tests.benchmarks.tables import DOCS, Table

VARIANTS = ("r64", "r256", "r1024", "r4096")
BAR = 1.2
PAGE = DOCS / "resolutions.md"


def config_of(change: str, profile: str) -> Config:
    """The base with that change, at the profile's scale."""
    found = STUDY.profile(profile).scaled(STUDY.folded(() if change == "baseline" else (change,)))
    assert isinstance(found, Config) and isinstance(found.data, Rooms)
    return found


class Seen(Measured):
    """One variant whose critics see windows of scenes."""

    def networks(self) -> Networks:
        """Fresh ones; whole images are noise, which costs what scenes do."""
        random = torch.Generator().manual_seed(0)
        side = self.config.data.resolution
        images = torch.randint(0, 256, (IMAGES, 3, side, side), dtype=torch.uint8, generator=random)
        fine = fine_images(self.config.data, self.config.fine, cache=Path())
        return Networks(self.config, 0, images, self.device, fine)


@click.command(help=__doc__)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--rounds", default=15, show_default=True)
@click.option("--iterations", default=40, show_default=True, help="a round's; made a multiple of the loop's period")
@click.option("--page", is_flag=True, help="write the table into docs/resolutions.md")
@click.argument("variants", nargs=-1)
def main(profile: str, rounds: int, iterations: int, page: bool, variants: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    names = variants or VARIANTS
    configs = [config_of(name, profile) for name in names]
    timed = [Seen(config, torch.device("cpu"), plain=False) for config in configs]
    found: list[list[float]] = [[] for _ in timed]
    for round_ in range(rounds + 2):
        for each, times in zip(timed, found, strict=True):
            whole = each.period * -(-iterations // each.period)
            taken = each.milliseconds(each.step, whole)
            each.done += whole
            # Of two rounds nothing is kept: memory is taken, and kernels are chosen.
            times += [taken] if round_ >= 2 else []
    table = Table(
        f"{profile}, {processor()}, one thread, torch {torch.__version__}, {rounds} rounds of {iterations} iterations",
        ("variant", "MMAC an iteration", "ms an iteration", f"over {names[0]}"),
    )
    beyond = []
    for name, config, times in zip(names, configs, found, strict=True):
        ratios = [taken / first for taken, first in zip(times, found[0], strict=True)]
        work = training(config) / config.iterations / 1e6
        table.row(f"`{name}`", f"{work:,.1f}", spread(times), "1" if name == names[0] else spread(ratios))
        beyond += [name] if name in VARIANTS and statistics.median(ratios) > BAR else []
    print(f"\nbar: a median ratio of at most {BAR}: {', '.join(beyond) + ' above it' if beyond else 'held'}")
    if page:
        table.into(PAGE, "python -m tests.benchmarks.windows --page")


if __name__ == "__main__":
    main()
