"""Trains a rooms feature extractor and writes rooms16.safetensors and rooms16.json, or those of rooms32.

    python -m tests.choices.extractor [--resolution 32] [--out FOLDER]

Regression of the standardised scene factors from images of scenes that are in no training or held-out set, on the CPU
with one thread: the same torch version on the same kind of machine gives the same bytes, others give another network,
whose numbers do not compare with those of the shipped one.

rooms16 took four CPU-minutes (torch 2.15, 2.5 GHz): mean validation R^2 0.377, above 0.3 for 28 of the 60
factors and above 0.7 for 15; wall colour, viewpoint, blanket and floor colour lead, while what covers less than a pixel
(the view from the window, pillows, table height) is not seen at all. rooms16.json records it.

rooms32 took as long, with fewer scenes and iterations: mean R^2 0.339, above 0.3 for 27 factors and above 0.7 for 13.
What it is for is that it tells images of 32 x 32 pixels from enlarged ones, by which it is tested. rooms32.json
records it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from core.arguments import Parser, code_with, given_to, number
from core.data import rooms
from core.files import write_whole
from core.metrics.extractor import BOTTLENECK, CHANNELS, FactorNet
from core.metrics.identity import extractor_record, extractor_weights

SEED = 16
VALIDATION = 4_096
BATCH, LEARNING_RATE = 96, 2e-3


@dataclass(frozen=True)
class Length:
    """Training scenes, and iterations of `BATCH` of them."""

    scenes: int
    iterations: int


LENGTHS = {16: Length(scenes=49_152, iterations=3_000), 32: Length(scenes=20_480, iterations=2_000)}
"""By resolution: at 32 x 32 pixels a scene takes four times as long to render."""


def _scenes(indices: np.ndarray, resolution: int) -> tuple[Tensor, Tensor]:
    """Images uint8 [N, 3, R, R] and factors [N, targets] scaled to mean 0 and variance 1."""
    images = torch.from_numpy(rooms.render(indices, resolution, seed=SEED))
    drawn = rooms.factors(SEED, indices)
    columns = [
        (drawn[name] - (low + high) / 2) / ((high - low) / np.sqrt(12)) for name, (low, high) in rooms.RANGES.items()
    ]
    return images, torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


@torch.inference_mode()
def r_squared(net: FactorNet, images: Tensor, targets: Tensor) -> Tensor:
    """Explained variance of each factor, [targets]."""
    predicted = torch.cat([net(batch) for batch in torch.split(images, 1024)])
    return 1 - (predicted - targets).square().mean(0) / targets.var(0, unbiased=False)


def train(resolution: int, length: Length) -> tuple[FactorNet, Tensor]:
    """The trained network and its validation R^2 of each factor."""
    torch.manual_seed(SEED)
    indices = rooms.extractor_indices(length.scenes + VALIDATION)
    images, targets = _scenes(indices[VALIDATION:], resolution)
    net = FactorNet(resolution)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=length.iterations, pct_start=0.05
    )
    order = torch.empty(0, dtype=torch.long)
    for step in range(length.iterations):
        if len(order) < BATCH:
            order = torch.randperm(len(images))
        batch, order = order[:BATCH], order[BATCH:]
        loss = (net(images[batch]) - targets[batch]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(f"iteration {step + 1}: mean squared error {loss.item():.3f}", flush=True)
    return net.eval(), r_squared(net, *_scenes(indices[:VALIDATION], resolution))


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains and writes, and its exit code."""
    return code_with(_run, arguments)


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=extractor_weights(16).parent, help="folder (default: where the shipped ones are)"
    )
    parser.add_argument("--resolution", type=number(), choices=sorted(LENGTHS), default=16)
    given = given_to(parser, arguments)
    length = LENGTHS[given.resolution]
    torch.set_num_threads(1)
    net, explained = train(given.resolution, length)
    for name, value in sorted(zip(rooms.FACTOR_NAMES, explained.tolist(), strict=True), key=lambda item: -item[1]):
        print(f"{name:20s} R2 {value:6.3f}")

    stored = safetensors.torch.save({name: value.contiguous() for name, value in net.state_dict().items()})
    record = {
        "sha256": hashlib.sha256(stored).hexdigest(),
        "pooled": CHANNELS,
        "bottleneck": BOTTLENECK,
        "targets": len(explained),
        "r2_mean": round(explained.mean().item(), 4),
        "targets_above_0.3": int((explained > 0.3).sum()),
        "targets_above_0.7": int((explained > 0.7).sum()),
        "scenes": length.scenes,
        "validation_scenes": VALIDATION,
        "iterations": length.iterations,
        "batch_size": BATCH,
        "learning_rate": LEARNING_RATE,
        "seed": SEED,
        "renderer": rooms.RENDERER,
        "torch": torch.__version__,
    }
    write_whole(given.out / extractor_weights(given.resolution).name, stored)
    described = json.dumps(record, indent=2) + "\n"
    write_whole(given.out / extractor_record(given.resolution).name, described.encode())
    print(described, end="")


if __name__ == "__main__":
    sys.exit(main())
