"""What an iteration costs as one number of the config grows: resolution, batch, and the INR's width and depth.

    python -m tests.benchmarks.scaling [--profile cpu] [--device cpu] [--variant all] [--set PATH=VALUE]

Each row is the variant with one number multiplied (depth: hidden layers added), in turns with the variant as it is.
Printed are median milliseconds, median and quartiles of the ratios within a round, and how many times the operations
and unfused bytes there are.
"""

from __future__ import annotations

import statistics

import click
import torch

from core.config import Config
from core.precision import check_precision
from studies.overrides import parse_override
from tests.benchmarks.counting import counted
from tests.benchmarks.step import Measured, config_of, spread


def rows(config: Config) -> dict[str, dict[str, object]]:
    """What each row changes."""
    side, batch, inr = config.data.resolution, config.batch_size, config.inr
    found: dict[str, dict[str, object]] = {}
    for factor in (2, 4):
        found[f"resolution {factor * side}"] = {"data.resolution": factor * side}
    for factor in (2, 4):
        found[f"batch {factor * batch}"] = {"batch_size": factor * batch}
    for factor in (2, 4):
        found[f"INR width {factor * inr.width}"] = {"inr.width": factor * inr.width}
    for more in (2, 4):
        found[f"INR depth {inr.depth + more}"] = {"inr.depth": inr.depth + more}
    return found


@click.command(help=__doc__)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--device", "device_name", default="cpu", show_default=True)
@click.option("--variant", default="all", show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--periods", default=3, show_default=True, help="of the loop, in a round")
@click.option("--set", "pairs", multiple=True, metavar="PATH=VALUE", help="further changes of the config")
def main(profile: str, device_name: str, variant: str, rounds: int, periods: int, pairs: tuple[str, ...]) -> None:
    torch.set_num_threads(1)
    device, given = torch.device(device_name), dict(map(parse_override, pairs))
    base = config_of(profile, variant, given)
    check_precision(base.precision, device)
    own = Measured(base, device, plain=False)
    print(f"{profile}, {variant}, {base.precision}, {device}: {rounds} rounds of {periods} periods of the loop")
    work = counted(own.step, own.period)
    for name, changed in rows(base).items():
        other = Measured(config_of(profile, variant, given | changed), device, plain=False)
        ours, theirs = [], []
        for round_ in range(rounds + 1):
            mine = own.milliseconds(own.step, periods * own.period)
            its = other.milliseconds(other.step, periods * own.period)
            if round_:
                ours.append(mine)
                theirs.append(its)
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        larger = counted(other.step, other.period)
        print(
            f"{name:16s} {statistics.median(theirs):9.2f} ms  {spread(ratios)} times the time of "
            f"{statistics.median(ours):.2f} ms, {larger.flops / work.flops:.2f} times the FLOP, "
            f"{larger.bytes / work.bytes:.2f} times the bytes"
        )


if __name__ == "__main__":
    main()
