"""What an evaluation costs: generated images a second, their features a second, and the Frechet distance.

    python -m tests.benchmarks.evaluation [--profile cpu] [--device cpu] [--samples 2048]

The generator is the untrained one of the profile's largest variant; features are those of the shipped rooms extractor,
whichever metric the profile has (`tests.benchmarks.frechet` has Inception's size). Medians and quartiles over rounds.
"""

from __future__ import annotations

import time

import click
import torch

from core.build import build_generator
from core.metrics.extractor import load_extractor
from core.metrics.features import features_of, generated
from core.metrics.frechet import Gaussian, frechet_distance
from tests.benchmarks.counting import synchronise
from tests.benchmarks.step import config_of, spread


@click.command(help=__doc__)
@click.option("--profile", default="cpu", show_default=True)
@click.option("--variant", default="all", show_default=True)
@click.option("--device", "device_name", default="cpu", show_default=True)
@click.option("--samples", default=2048, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(profile: str, variant: str, device_name: str, samples: int, rounds: int) -> None:
    torch.set_num_threads(1)
    device = torch.device(device_name)
    config = config_of(profile, variant, {})
    generator = build_generator(config).to(device).eval()
    latents = torch.randn(samples, config.hypernetwork.latent_dim, device=device)
    side = config.data.resolution
    seen = 16 if side == 16 else 32
    net = load_extractor(seen, device)
    print(f"{profile}, {variant}, {device}: {samples} images of {side} x {side}, {rounds} rounds")
    making, seeing, fitting = [], [], []
    real: Gaussian | None = None
    for round_ in range(rounds + 1):
        started = clock(device)
        batches = list(generated(generator, latents))
        made = clock(device)
        features = features_of(iter(batches), lambda images: net.features(images.to(device), "pooled"), samples)
        seen_at = clock(device)
        found = Gaussian.fit(features)
        real = real or found
        frechet_distance(real, found)
        ended = clock(device)
        if round_:
            making.append(samples / (made - started))
            seeing.append(samples / (seen_at - made))
            fitting.append((ended - seen_at) * 1e3)
    print(f"generated     {spread(making)} images/s")
    print(f"features      {spread(seeing)} images/s, rooms{seen}, {features.shape[1]} of each")
    print(f"Frechet       {spread(fitting)} ms with the statistics")


def clock(device: torch.device) -> float:
    """Seconds, once the device has done what it was told."""
    synchronise(device)
    return time.perf_counter()


if __name__ == "__main__":
    main()
