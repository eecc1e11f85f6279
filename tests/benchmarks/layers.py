"""Forward and backward of each layer against the plain form, one weight per image and one batched product.

    python -m tests.benchmarks.layers [--width 256 --width 32] [--resolution 32] [--images 4] [--device cpu]

Both forms alternate in one process on one thread; printed are medians of milliseconds over rounds, the ratio of the
plain form to the layer's own choice (above 1: the layer is faster), its quartiles, and which form the layer chose.
Linear has one form only: its ratio is the noise.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import click
import torch
from torch import Tensor

from ablations.layers import ROWS
from core.build import build_layer
from core.models.layers.emitted import EmittedLayer
from tests.benchmarks.counting import synchronise


def timed(forward: Callable[[Tensor, Tensor], Tensor], layer: EmittedLayer, x: Tensor, emitted: Tensor) -> float:
    """Milliseconds of one forward and backward pass."""
    synchronise(x.device)
    started = time.perf_counter()
    y = forward(x, emitted)
    torch.autograd.grad(y, (x, emitted, *layer.parameters()), torch.ones_like(y), allow_unused=True)
    synchronise(x.device)
    return (time.perf_counter() - started) * 1e3


@click.command(help=__doc__)
@click.option("--width", "widths", multiple=True, type=int, default=(256, 32), show_default=True)
@click.option("--resolution", default=32, show_default=True)
@click.option("--images", default=4, show_default=True)
@click.option("--rounds", default=25, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(widths: tuple[int, ...], resolution: int, images: int, rounds: int, device: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{images} images of {resolution} x {resolution} on {device}, {rounds} rounds, torch {torch.__version__}")
    for width in widths:
        x = torch.randn(images, resolution**2, width, device=device, requires_grad=True)
        for row in ROWS:
            layer = build_layer(row.layer)(width, width, weight_std=width**-0.5, bias_std=0.1).to(device)
            emitted = torch.randn(images, layer.emitted, device=device, requires_grad=True)
            own, plain = [], []
            for round_ in range(rounds + 2):
                pair = (timed(layer, layer, x, emitted), timed(layer.materialised, layer, x, emitted))
                if round_ >= 2:
                    own.append(pair[0])
                    plain.append(pair[1])
            ratios = sorted(p / o for p, o in zip(plain, own, strict=True))
            low, middle, high = statistics.quantiles(ratios, n=4)
            chosen = "structured" if layer.prefers_structure(resolution**2) else "plain"
            print(
                f"width {width:4d} {row.title:20s} own {statistics.median(own):8.2f} ms  "
                f"plain {statistics.median(plain):8.2f} ms  ratio {middle:5.2f} [{low:.2f}, {high:.2f}]  {chosen}"
            )


if __name__ == "__main__":
    main()
