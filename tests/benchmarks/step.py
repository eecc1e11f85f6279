"""One training iteration: its time, its ratio to the plain step's, where the time goes, and how far it is from the
floor.

    python -m tests.benchmarks.step [--profile cpu] [--device cpu] [--set precision=bfloat16] [VARIANT ...]

Ours and the plain step (`tests/core/plain.py`: the same maths in torch's everyday words, one pass through G for both
updates) alternate in one process, in rounds of whole periods of the loop; printed are medians over rounds and, of the
ratios of paired rounds, median and quartiles. Above 1: ours is faster. One thread on a CPU, as in a study. Real images
are noise of 8 bits, which costs what photographs do.

Operations are those of products and convolutions; bytes are what operations read and write when each goes to memory for
itself. The floor is the longer of both at the rate that one large product and one large copy reach here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import click
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ablations.designs import subset_named
from core.config import Config
from core.machine import processor
from core.means import Means
from core.precision import check_precision
from core.step import Networks, Step
from studies.changes_overview import STUDY
from studies.overrides import overridden, parse_override
from tests.benchmarks.counting import Parts, Work, counted, reached, synchronise
from tests.core.plain import PlainStep

IMAGES = 1024


def config_of(profile: str, variant: str, changed: dict[str, object]) -> Config:
    """The variant at the profile's scale, with further nodes changed."""
    config = STUDY.profile(profile).scaled(STUDY.folded(subset_named(STUDY, variant)))
    assert isinstance(config, Config)
    found = overridden(config, changed)
    assert isinstance(found, Config)
    return found


class Measured:
    """Ours, with its parts and without, and the plain step of one config, each with networks of its own."""

    def __init__(self, config: Config, device: torch.device, *, plain: bool = True) -> None:
        self.config, self.device = config, device
        self.period = config.period
        self.means = Means(device, (critic.name for critic in config.critics))
        self.step = Step(config, self.networks(), self.means)
        self.plain = PlainStep(config, self.networks()) if plain else None
        self.done = 0

    def networks(self) -> Networks:
        """Fresh ones; noise as images."""
        random = torch.Generator().manual_seed(0)
        side = self.config.data.resolution
        images = torch.randint(0, 256, (IMAGES, 3, side, side), dtype=torch.uint8, generator=random)
        return Networks(self.config, 0, images, self.device)

    def milliseconds(self, iterate: Callable[[int], object], iterations: int) -> float:
        """Mean of so many iterations; both steps are at the same one when their rounds alternate."""
        synchronise(self.device)
        started = time.perf_counter()
        for iteration in range(self.done + 1, self.done + iterations + 1):
            iterate(iteration)
        self.means.take()
        synchronise(self.device)
        return (time.perf_counter() - started) / iterations * 1e3

    def rounds(self, rounds: int, iterations: int) -> tuple[list[float], list[float]]:
        """Milliseconds per iteration of ours and of the plain step, after two rounds that are not kept."""
        ours, plain = [], []
        for round_ in range(rounds + 2):
            mine = self.milliseconds(self.step, iterations)
            other = self.milliseconds(self.plain, iterations) if self.plain else float("nan")
            self.done += iterations
            if round_ >= 2:
                ours.append(mine)
                plain.append(other)
        return ours, plain

    def shares(self, iterations: int) -> dict[str, float]:
        """Milliseconds per iteration of each part; on a GPU their sum is more than the whole, which does not wait."""
        parts = Parts(self.device)
        self.step.part = parts
        for iteration in range(1, iterations + 1):
            self.step(iteration)
        return {name: seconds / iterations * 1e3 for name, seconds in parts.seconds.items()}


def counted_alone(config: Config) -> Work:
    """The work of one iteration, of tensors that have shapes and no numbers: nothing is computed."""
    measured = Measured(config, torch.device("cpu"), plain=False)
    with FakeTensorMode(allow_non_fake_inputs=True):
        return counted(measured.step, measured.period)


@click.command(help=__doc__)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--device", "device_name", default="cpu", show_default=True)
@click.option("--rounds", default=15, show_default=True, help="0: count only")
@click.option("--iterations", default=40, show_default=True, help="a round's; made a multiple of the loop's period")
@click.option("--set", "pairs", multiple=True, metavar="PATH=VALUE", help="further changes of the config")
@click.option("--plain/--no-plain", default=True, help="whether the plain step is timed as well")
@click.argument("variants", nargs=-1)
def main(
    profile: str,
    device_name: str,
    rounds: int,
    iterations: int,
    pairs: tuple[str, ...],
    plain: bool,
    variants: tuple[str, ...],
) -> None:
    torch.set_num_threads(1)
    device = torch.device(device_name)
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{processor()}, 1 thread"
    print(f"{profile} on {named}, torch {torch.__version__}, {rounds} rounds of {iterations} iterations")
    large = {"size": 8192, "megabytes": 1024} if device.type == "cuda" else {"size": 1024, "megabytes": 64}
    for variant in variants or ("baseline", "all"):
        config = config_of(profile, variant, dict(map(parse_override, pairs)))
        check_precision(config.precision, device)
        if not rounds:
            work = counted_alone(config)
            print(f"\n{variant}, {config.precision}: {work.flops / 1e9:.4g} GFLOP, {work.bytes / 1e6:.4g} MB unfused")
            continue
        measured = Measured(config, device, plain=plain)
        whole = measured.period * -(-iterations // measured.period)
        ours, others = measured.rounds(rounds, whole)
        middle = statistics.median(ours)
        print(f"\n{variant}, {config.precision}: {spread(ours)} ms an iteration, {1e3 / middle:.1f} iterations/s")
        if plain:
            ratios = [other / mine for mine, other in zip(ours, others, strict=True)]
            print(f"  plain step {spread(others)} ms: ratio {spread(ratios)}")
        work = counted_alone(config)
        peak = reached(device, config.precision, **large)
        by_flops, by_bytes = work.flops / peak.flops * 1e3, work.bytes / peak.bandwidth * 1e3
        print(
            f"  {work.flops / 1e9:.3g} GFLOP ({by_flops:.3g} ms at {peak.flops / 1e9:.3g} GFLOP/s), "
            f"{work.bytes / 1e6:.3g} MB unfused ({by_bytes:.3g} ms at {peak.bandwidth / 1e9:.3g} GB/s): "
            f"{max(by_flops, by_bytes) / middle:.0%} of the floor's speed"
        )
        shares = measured.shares(whole)
        for name, milliseconds in sorted(shares.items(), key=lambda item: -item[1]):
            print(f"  {name:16s} {milliseconds:9.3f} ms {milliseconds / sum(shares.values()):6.1%}")


def spread(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


if __name__ == "__main__":
    main()
